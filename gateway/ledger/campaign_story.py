"""Pure. A campaign's story from records alone: its accounts, what it came to and took, what speaks for its members.

    teller = Campaigned(id, load);  teller.add(row), row by row;  teller.story() -> CampaignStory

A row is the campaign's where its verdict knew the account as a member. So an account's requests count from then on, and
what it did before is in its own story; but what all members have taken is in each row's snapshot, from their beginning.
Everything has a bound, so a story of a million rows needs no more memory.
"""

from collections.abc import Callable, Mapping

import msgspec

from gateway.campaigns import Campaign
from gateway.catalogue import CARDS
from gateway.ledger.campaign_words import NOT_A_PERSON, Spoken, doubts, grown, how, spoken, taken
from gateway.ledger.line import timestamp
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Row, Ruled, Settled
from gateway.ledger.steps import action_of, word_of
from gateway.ledger.story import ACTIONS, MAX_NAMES, MAX_OPEN, STRENGTHS, Peak
from gateway.ledger.story_path import Path, Step, line_words
from gateway.ledger.words import plain
from gateway.policy.model import Policy

__all__ = ["MAX_MEMBERS", "MAX_SHOTS", "SCHEMA", "CampaignStory", "Campaigned", "Joined", "Look", "Strike"]

SCHEMA = "gauger.campaign/1"
MAX_MEMBERS = 10_000  # accounts
MAX_SHOTS = 64  # snapshots in between


class Joined(msgspec.Struct):
    """An account, from the rows in which it was a member. Tokens are those of answers."""

    account: str
    org: str
    first: str
    last: str
    membership: float  # dB, at the last
    requests: int = 0
    output: int = 0
    actions: dict[str, int] = {}


class Look(msgspec.Struct, frozen=True):
    """What was known of it at one time. `taken` in words."""

    at: str
    request: str
    epoch: int
    members: int
    owners: int
    scores: dict[str, float]  # card -> dB
    answers_taken: float | None
    recipe_units: float | None
    taken: tuple[str, ...]
    readings: dict[str, float]


class Strike(msgspec.Struct, frozen=True):
    """The first action of a strength on any member. `done` False: it was only watched.

    `before` is what members were asked and answered, as members, when that request was judged; `after` all else.
    `look` is the campaign at that time: what had been taken by then.
    """

    action: str
    done: bool
    at: str
    request: str
    account: str
    requests_before: int
    output_before: int
    requests_after: int
    output_after: int
    look: Look


class Held(msgspec.Struct):
    """A rule that was at work on members."""

    rule: str
    first: str
    request: str
    account: str
    requests: int = 0


class CampaignStory(msgspec.Struct, frozen=True):
    """What the rows say of one campaign. `path` is of its own score: of a member with no other use, and for whom
    nothing speaks."""

    id: str
    schema: str = SCHEMA
    since: str = ""  # when its recipe was first seen
    first: str = ""  # request that was judged with it
    last: str = ""
    linked: bool = True
    how: str = ""
    notes: tuple[str, ...] = ()
    accounts: int = 0  # that were met in the rows, as far as they were kept
    owners: int = 0
    further: int = 0  # requests of accounts that were not kept
    requests: int = 0
    unfinished: int = 0
    input: int = 0
    output: int = 0
    actions: dict[str, int] = {}
    policies: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()  # the first, some in between, the last
    scores: dict[str, float] = {}
    highest: dict[str, tuple[float, str]] = {}
    path: tuple[Step, ...] = ()
    more_crossings: int = 0
    firsts: tuple[Strike, ...] = ()
    rules: tuple[Held, ...] = ()  # in the order in which they began
    peaks: tuple[Peak, ...] = ()
    against: tuple[Peak, ...] = ()
    readings: tuple[str, ...] = ()  # of its own signals, at last and at first, in words
    spoken: tuple[Spoken, ...] = ()
    alike: dict[str, str] = {}  # signal, in words -> who looks alike without guilt
    members: tuple[Joined, ...] = ()  # the busiest first
    starts: int = 0
    gaps: int = 0
    erased: int = 0


class _Open(msgspec.Struct):
    row: Ruled
    requests: int
    output: int


class Campaigned:
    """Takes a ledger's rows in order; those of other campaigns are passed over. `given`: policies by digest."""

    def __init__(
        self,
        campaign: str,
        load: Callable[[Adopted], Policy | None] | None = None,
        given: Mapping[str, Policy] | None = None,
    ) -> None:
        self.campaign = campaign
        self._load = load
        self._loaded: dict[str, Policy | None] = dict(given or {})
        self._adopted: dict[str, Adopted] = {}
        self._path = Path(joint=True)
        self._firsts: dict[tuple[str, bool], _Open] = {}
        self._open: dict[str, _Open] = {}  # by request
        self._members: dict[str, Joined] = {}
        self._rules: dict[str, Held] = {}
        self._first: Ruled | None = None
        self._last: Ruled | None = None
        self._shots: list[Ruled] = []  # of each so many epochs one
        self._every, self._epochs = 1, 0
        self._actions: dict[str, int] = {}
        self._policies: dict[str, None] = {}
        self._highest: dict[str, tuple[float, str]] = {}
        self._peaks: dict[tuple[str, str], tuple[float, Ruled]] = {}  # card, line -> dB, where
        self._against: dict[tuple[str, str], tuple[float, Ruled]] = {}
        self._requests = self._input = self._output = self._further = 0
        self._starts = self._gaps = self._erased = 0

    def waits_for(self, request: str) -> bool:
        """Whether the end of this request is the campaign's, and not met yet."""
        return request in self._open

    def add(self, row: Row) -> None:
        """One more row."""
        if isinstance(row, Ruled):
            if row.facts.campaign is not None and row.facts.campaign.id == self.campaign:
                self._ruled(row, row.facts.campaign)
        elif isinstance(row, Settled):
            self._settled(row)
        elif isinstance(row, Opened):
            self._starts += self._first is not None
        elif isinstance(row, Gap):
            self._gaps += 1
        elif isinstance(row, Erased):
            self._erased += 1
        elif isinstance(row, Adopted):
            while len(self._adopted) >= MAX_NAMES:
                del self._adopted[next(iter(self._adopted))]
            self._adopted[row.digest] = row

    def _policy(self, digest: str) -> Policy | None:
        if digest not in self._loaded and digest in self._adopted and self._load is not None:
            while len(self._loaded) >= MAX_NAMES:
                del self._loaded[next(iter(self._loaded))]
            found = self._load(self._adopted[digest])
            self._loaded[digest] = found if found is not None and found.digest == digest else None
        return self._loaded.get(digest)

    def _ruled(self, row: Ruled, campaign: Campaign) -> None:
        verdict, caller, at = row.verdict, row.facts.caller, timestamp(row.now)
        self._requests += 1
        before = self._last.facts.campaign if self._last is not None else None
        self._first, self._last = self._first or row, row
        if before is None or before.epoch != campaign.epoch:
            self._shoot(row)
        member = self._members.get(caller.account)
        if member is None and len(self._members) < MAX_MEMBERS:
            made = Joined(plain(caller.account), plain(caller.org or ""), at, at, row.facts.membership)
            member = self._members[caller.account] = made
        if member is not None:
            member.last, member.membership = at, row.facts.membership
            member.requests += 1
        self._further += member is None
        if len(self._policies) < MAX_NAMES:
            self._policies[plain(row.policy)] = None
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[row.request] = open_ = _Open(row, self._requests - 1, self._output)
        self._acted(verdict.action, verdict.verdict, open_)
        self._path.add(row, self._policy(row.policy))
        for name in (*verdict.rules, *verdict.shadow):
            held = self._rules.get(name)
            if held is None and len(self._rules) < MAX_NAMES:
                held = self._rules[name] = Held(plain(name), at, plain(row.request), plain(caller.account))
            if held is not None:
                held.requests += 1
        for card, db in verdict.campaign.items():
            name = plain(card)
            if name not in self._highest and len(self._highest) >= MAX_NAMES:
                continue
            if name not in self._highest or db > self._highest[name][0]:
                self._highest[name] = (db, at)
        for card, lines in verdict.together.items():
            for line, db in lines.items():
                table, key = self._peaks if db > 0 else self._against, (card, line)
                old = table.get(key)
                if (old is None and len(table) < MAX_NAMES) or (old is not None and abs(db) > abs(old[0])):
                    table[key] = db, row

    def _shoot(self, row: Ruled) -> None:
        """Keeps the snapshots of each so many epochs, twice as many once there are too many."""
        if not self._epochs % self._every:
            self._shots.append(row)
            if len(self._shots) > MAX_SHOTS:
                self._shots, self._every = self._shots[::2], self._every * 2
        self._epochs += 1

    def _acted(self, action: str, word: str, open_: _Open) -> None:
        for name, done in ((action, True), *(((word, False),) if word != action else ())):
            if name in STRENGTHS:
                self._firsts.setdefault((name, done), open_)

    def _settled(self, row: Settled) -> None:
        found = self._open.pop(row.request, None)
        if found is None:
            return
        usage, verdict = row.outcome.usage, found.row.verdict
        self._input += usage.input
        self._output += usage.output
        action = action_of(verdict, row.outcome.limits, row.reflection)
        self._acted(action, word_of(verdict, row.outcome.limits), found)
        self._actions[action] = self._actions.get(action, 0) + 1
        member = self._members.get(found.row.facts.caller.account)
        if member is not None:
            member.output += usage.output
            member.actions[action] = member.actions.get(action, 0) + 1

    def _strikes(self) -> tuple[Strike, ...]:
        def strike(name: str, done: bool, when: _Open) -> Strike:
            row = when.row
            after = self._requests - when.requests, self._output - when.output
            before = (plain(row.request), plain(row.facts.caller.account), when.requests, when.output)
            return Strike(name, done, timestamp(row.now), *before, *after, _look(row))

        ordered = sorted(self._firsts.items(), key=lambda each: (each[1].requests, STRENGTHS.index(each[0][0])))
        return tuple(strike(name, done, when) for (name, done), when in ordered)

    def _strongest(self, table: Mapping[tuple[str, str], tuple[float, Ruled]]) -> tuple[Peak, ...]:
        made = []
        for (card, line), (db, row) in table.items():
            words = line_words(row, card, line, self._policy(row.policy), joint=True)
            made.append(Peak(plain(card), plain(line), db, timestamp(row.now), plain(row.request), words, True))
        return tuple(sorted(made, key=lambda each: (-abs(each.db), each.card, each.line)))

    def story(self) -> CampaignStory | None:
        """All of it; None where no row is this campaign's."""
        first, last = self._first, self._last
        if first is None or last is None or first.facts.campaign is None or last.facts.campaign is None:
            return None
        campaign, was = last.facts.campaign, first.facts.campaign
        seen = self._shots[-1].facts.campaign
        shots = [*self._shots, *([last] if seen is None or seen.epoch != campaign.epoch else [])]
        members = sorted(self._members.values(), key=lambda each: (-each.requests, each.account))
        own = [card for card in CARDS.values() if card.family == "campaign"]
        names = [gauge.name.removeprefix("campaign.") for card in own for gauge in card.readings]
        return CampaignStory(
            id=plain(campaign.id),
            since=timestamp(campaign.since),
            first=timestamp(first.now),
            last=timestamp(last.now),
            linked=campaign.linked,
            how=how(campaign.linked),
            notes=(NOT_A_PERSON, *doubts(campaign, last.now)),
            accounts=len(members),
            owners=len({each.org or f"account {each.account}" for each in members}),
            further=self._further,
            requests=self._requests,
            unfinished=len(self._open),
            input=self._input,
            output=self._output,
            actions={name: self._actions[name] for name in ACTIONS if name in self._actions},
            policies=tuple(self._policies),
            looks=tuple(map(_look, shots)),
            scores={plain(card): db for card, db in last.verdict.campaign.items()},
            highest=self._highest,
            path=self._path.steps(),
            more_crossings=self._path.more,
            firsts=self._strikes(),
            rules=tuple(self._rules.values()),
            peaks=self._strongest(self._peaks),
            against=self._strongest(self._against),
            readings=tuple(filter(None, (grown(campaign, was, name) for name in names))),
            spoken=spoken(campaign, last.now),
            alike={f"{card.code} {card.name}": card.look_alikes for card in own},
            members=tuple(members),
            starts=self._starts,
            gaps=self._gaps,
            erased=self._erased,
        )


def _look(row: Ruled) -> Look:
    campaign = row.facts.campaign
    assert campaign is not None
    readings = campaign.readings
    return Look(
        at=timestamp(row.now),
        request=plain(row.request),
        epoch=campaign.epoch,
        members=campaign.members,
        owners=campaign.owners,
        scores={plain(card): db for card, db in row.verdict.campaign.items()},
        answers_taken=readings.get("answers_taken"),
        recipe_units=readings.get("recipe_units"),
        taken=taken(readings),
        readings={plain(name): value for name, value in readings.items()},
    )
