"""Pure. The two sides of a score, worked out apart: what an account comes to by itself, and what its campaign does.

    own       every family but `campaign`, of the account's readings
    whole     those of what is asked for and got, and `campaign`, of all members' readings together
    speaks    the families `account` and `contract`, as far as they are below 0: for the account, whatever its campaign

`policy/jointly.py` says which of the two becomes the score; `Sides` says so too, with all that it is made of.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.campaigns import ACTS
from gateway.campaigns.readings import NAMES
from gateway.ledger.rejudge import NO_BOUND, Rejudged
from gateway.policy.cards import Card, Scores
from gateway.policy.conditions.emit import Slots
from gateway.policy.conditions.expressions import names_in
from gateway.policy.jointly import apart, personal, reader, together
from gateway.policy.model import Evidence, Scorecard
from gateway.policy.rounding import hundredths

__all__ = ["Side", "Sides", "same"]

NOTHING: dict[str, float] = {}


class Side:
    """One card as it counts of one entity. `score` None: it has none, as below what the card needs.

    `known` are the values that its lines read, by name; of a campaign they are all members' together.
    """

    def __init__(self, judged: Rejudged, card: Scorecard, entity: str, value: Callable[[str], Any]) -> None:
        self.card = card
        self.entity = entity
        self.policy, self.engine = judged.policy, judged.engine
        self._value = value
        self.known: dict[str, Any] = {}
        self.score: float | None = None
        self.counted, self.sums, self.known = self._scored(card)
        self.score = self.known.get(f"score.{card.id}")

    @property
    def joint(self) -> bool:
        """Whether it is a campaign's."""
        return self.entity == "campaign"

    def uncut(self) -> dict[str, float]:
        """What each line would count if it had no ceiling and no floor of its own, dB."""
        lines = [msgspec.structs.replace(each, ceiling=NO_BOUND, floor=-NO_BOUND) for each in self.card.evidence]
        return self._scored(msgspec.structs.replace(self.card, evidence=tuple(lines)))[0]

    def can_read(self, line: Evidence) -> bool:
        """Whether there is such a thing as what a line reads: of a campaign only some readings are there at all."""
        names = (line.text,) if line.kind == "rate" else names_in(self.engine.parsed[line.text])
        return not self.joint or all(name.removeprefix("campaign.") in NAMES for name in names)

    def _scored(self, card: Scorecard) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
        names = self.engine.names
        slots = Slots(names)
        made = Card(card, slots, names, self.policy.lists, self.engine.parsed)
        values = [None if name.startswith("score.") else self._value(name) for name in slots.names]
        scores = Scores({}, {}, {})
        made.score(values, scores, self.entity)
        known = dict(zip(slots.names, values, strict=True))
        return scores.evidence.get(card.id, NOTHING), scores.families.get(card.id, NOTHING), known


class Sides:
    """Both sides of one card at one request. `whole` None: no campaign, or one without a score by this card."""

    def __init__(self, judged: Rejudged, card: Scorecard) -> None:
        facts, now = judged.ruled.facts, judged.ruled.now
        self.own = Side(judged, apart(card), "account", judged.known.get)
        self.whole: Side | None = None
        self.speaks: dict[str, float] = {}  # family -> dB, below 0
        self.total: float | None = None  # campaign's score, membership, and what speaks for the account
        self.membership = facts.membership
        campaign = facts.campaign
        if campaign is None or "campaign" not in card.of:
            return
        self.whole = Side(judged, together(card), "campaign", lambda name: reader(name)(campaign, now, NOTHING))
        if campaign.owners < ACTS:
            self.whole.score = None
        if self.whole.score is None:
            return
        self.mine = Side(judged, personal(card), "account", judged.known.get)
        self.speaks = {family: db for family, db in self.mine.sums.items() if db < 0.0}
        self.total = hundredths(self.whole.score + self.membership + sum(self.speaks.values()))

    @property
    def shared(self) -> bool:
        """Whether the score is the campaign's."""
        return self.total is not None and (self.own.score is None or self.total > self.own.score)


def same(one: float, other: float) -> bool:
    """Whether two scores are one number, as printed."""
    return abs(one - other) < 0.005
