"""Pure. The campaigns that an account was a member of, from its rows: when, how surely, what they came to.

What a row says of a campaign is the snapshot that its verdict knew. Memory is bounded: the first few are kept.
"""

import msgspec

from gateway.ledger.campaign_words import how, member, taken
from gateway.ledger.line import timestamp
from gateway.ledger.record import Ruled
from gateway.ledger.words import plain

__all__ = ["MAX_CAMPAIGNS", "Belonged", "Memberships"]

MAX_CAMPAIGNS = 16


class Belonged(msgspec.Struct, frozen=True):
    """A campaign of an account. Figures without a time are those of the last request that was judged with it."""

    id: str
    first: str  # request that was judged with it
    last: str
    requests: int
    since: str  # when its recipe was first seen
    members: int
    owners: int
    linked: bool
    how: str
    membership: float  # dB
    member: str
    scores: dict[str, float]  # card -> dB of the campaign by itself
    highest: dict[str, float]
    taken: tuple[str, ...]


class _Seen(msgspec.Struct):
    first: Ruled
    last: Ruled
    requests: int
    highest: dict[str, float]


class Memberships:
    """Takes the rows of one account in order."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self.more = 0  # requests with campaigns that were not kept

    def add(self, row: Ruled) -> None:
        """One more judged request."""
        campaign = row.facts.campaign
        if campaign is None:
            return
        found = self._seen.get(campaign.id)
        if found is None:
            if len(self._seen) >= MAX_CAMPAIGNS:
                self.more += 1
                return
            found = self._seen[campaign.id] = _Seen(row, row, 0, {})
        found.last = row
        found.requests += 1
        for card, db in row.verdict.campaign.items():
            found.highest[card] = max(db, found.highest.get(card, db))

    def told(self) -> tuple[Belonged, ...]:
        """All that were kept, in the order in which they came."""
        return tuple(map(_told, self._seen.values()))


def _told(seen: _Seen) -> Belonged:
    campaign, membership = seen.last.facts.campaign, seen.last.facts.membership
    assert campaign is not None
    return Belonged(
        id=plain(campaign.id),
        first=timestamp(seen.first.now),
        last=timestamp(seen.last.now),
        requests=seen.requests,
        since=timestamp(campaign.since),
        members=campaign.members,
        owners=campaign.owners,
        linked=campaign.linked,
        how=how(campaign.linked),
        membership=membership,
        member=member(membership),
        scores={plain(card): db for card, db in seen.last.verdict.campaign.items()},
        highest={plain(card): db for card, db in seen.highest.items()},
        taken=taken(campaign.readings),
    )
