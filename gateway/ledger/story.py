"""Pure. An account's story from its rows: how much, what was done about it, what raised its score, what spoke for it.

    teller = Teller(account, load);  teller.add(row), row by row;  teller.story() -> Story

Everything is counted as it comes, in tables with a bound, so a story of a million rows needs no more memory. `load`
reads the policy of an `adopted` row; without it, or where it can't, lines and thresholds have no words.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from gateway.ledger.line import timestamp
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Resumed, Row, Ruled, Settled, Used
from gateway.ledger.steps import action_of, word_of
from gateway.ledger.story_campaigns import Belonged, Memberships
from gateway.ledger.story_path import Path, Step, line_words
from gateway.ledger.words import plain
from gateway.policy.model import Policy

__all__ = ["ACTIONS", "MAX_DAYS", "SCHEMA", "First", "Peak", "Shift", "Story", "Teller"]

SCHEMA = "gauger.account/1"
ACTIONS = ("allow", "tag", "clamp", "throttle", "limit", "block", "reject")
STRENGTHS = ("tag", "clamp", "throttle", "limit", "block")
MAX_DAYS = 400
MAX_SHIFTS = 200
MAX_NAMES = 64  # models, keys, policies
MAX_OPEN = 65_536  # requests between their two rows
EXPOSURE = ("answers_taken", "useful_output", "recipe_units")
"""Readings that say what an account has taken. They stand in the record where its policy reads them."""


class Shift(msgspec.Struct, frozen=True):
    """A moment at which other rules were at work than at the request before."""

    at: str
    request: str
    begin: tuple[str, ...]
    end: tuple[str, ...]
    scores: dict[str, float]


class Peak(msgspec.Struct, frozen=True):
    """A scorecard's line where it counted most, or most against. `campaign`: of all members of the account's campaign
    together, whether that was the score or not."""

    card: str
    line: str
    db: float
    at: str
    request: str
    words: str = ""  # what it read
    campaign: bool = False


class First(msgspec.Struct, frozen=True):
    """The first action of a strength. `done` False: it was only watched, full enforcement would have done it.

    `before` is what was asked, and answered, when that request was judged; `after` all else, itself included.
    """

    action: str
    done: bool
    at: str
    request: str
    requests_before: int
    output_before: int  # tokens
    requests_after: int
    output_after: int  # tokens


class Story(msgspec.Struct, frozen=True):
    """What the rows say of one account. Tokens are those of answers; `peaks` and `against` are strongest first."""

    account: str
    schema: str = SCHEMA
    first: str = ""
    last: str = ""
    plan: str = ""
    org: str = ""
    labels: tuple[str, ...] = ()
    requests: int = 0
    unfinished: int = 0
    keys: int = 0
    networks: int = 0
    policies: tuple[str, ...] = ()  # digests
    models: dict[str, int] = {}
    actions: dict[str, int] = {}
    days: dict[str, dict[str, int]] = {}  # day, UTC -> action -> requests
    input: int = 0
    output: int = 0
    scores: dict[str, float] = {}  # as they were last
    highest: dict[str, tuple[float, str]] = {}  # card -> dB, when
    rules: dict[str, int] = {}  # rule -> requests at which it was at work
    shifts: tuple[Shift, ...] = ()
    more_shifts: int = 0
    peaks: tuple[Peak, ...] = ()
    against: tuple[Peak, ...] = ()
    starts: int = 0  # of processes in between: the state began anew
    gaps: int = 0
    erased: int = 0
    path: tuple[Step, ...] = ()
    more_crossings: int = 0  # that the path leaves out
    firsts: tuple[First, ...] = ()  # in the order of the rows
    exposure: dict[str, float] = {}  # reading -> its last value
    campaigns: tuple[Belonged, ...] = ()  # that it was a member of
    more_campaigned: int = 0  # requests that were judged with further campaigns


_Table = dict[tuple[str, str, bool], tuple[float, Ruled]]
"""Card, line and whether it is the campaign's -> dB, and where."""


class _Open(msgspec.Struct):
    """A request between its two rows, and what had come before it."""

    day: str
    row: Ruled
    requests: int
    output: int


class Teller:
    """Takes a ledger's rows in order; those of other accounts are passed over. `given`: policies by digest."""

    def __init__(
        self,
        account: str,
        load: Callable[[Adopted], Policy | None] | None = None,
        given: Mapping[str, Policy] | None = None,
    ) -> None:
        self.account = account
        self._load = load
        self._loaded: dict[str, Policy | None] = dict(given or {})
        self._adopted: dict[str, Adopted] = {}
        self._story = Story(plain(account))
        self._path = Path()
        self._firsts: dict[tuple[str, bool], _Open] = {}
        self._exposure: dict[str, float] = {}
        self._open: dict[str, _Open] = {}  # by request
        self._first: Ruled | None = None
        self._last: Ruled | None = None
        self._at_work: frozenset[str] = frozenset()
        self._keys: set[str] = set()
        self._networks: set[str] = set()
        self._policies: dict[str, None] = {}
        self._models: dict[str, int] = {}
        self._days: dict[str, dict[str, int]] = {}
        self._rules: dict[str, int] = {}
        self._shifts: list[Shift] = []
        self._more_shifts = self._requests = self._input = self._output = 0
        self._starts = self._gaps = self._erased = 0
        self._scores: dict[str, float] = {}
        self._highest: dict[str, tuple[float, str]] = {}
        self._peaks: _Table = {}
        self._against: _Table = {}
        self._campaigns = Memberships()
        self._actions: dict[str, int] = {}

    def add(self, row: Row) -> None:
        """One more row."""
        if isinstance(row, Ruled):
            if row.facts.caller.account == self.account:
                self._ruled(row)
        elif isinstance(row, Settled):
            if row.account == self.account:
                self._settled(row)
        elif isinstance(row, Opened):
            self._starts += self._first is not None
        elif isinstance(row, Resumed):
            pass  # what is known of the account is what it was
        elif isinstance(row, Gap):
            self._gaps += 1
        elif isinstance(row, Erased):
            self._erased += 1
        elif isinstance(row, Adopted):
            while len(self._adopted) >= MAX_NAMES:
                del self._adopted[next(iter(self._adopted))]
            self._adopted[row.digest] = row
        else:
            assert isinstance(row, Used)  # its end says all of it

    def _policy(self, digest: str) -> Policy | None:
        """The policy of a digest, as far as its text was met and can be read."""
        if digest not in self._loaded and digest in self._adopted and self._load is not None:
            while len(self._loaded) >= MAX_NAMES:
                del self._loaded[next(iter(self._loaded))]
            found = self._load(self._adopted[digest])
            self._loaded[digest] = found if found is not None and found.digest == digest else None
        return self._loaded.get(digest)

    def _ruled(self, row: Ruled) -> None:
        verdict, caller, at = row.verdict, row.facts.caller, timestamp(row.now)
        self._requests += 1
        self._first = self._first or row
        self._last = row
        _count(self._models, plain(row.facts.seen.model or "none"))
        for known, name in ((self._keys, caller.key), (self._networks, caller.network)):
            if name and len(known) < MAX_NAMES:
                known.add(name)
        if len(self._policies) < MAX_NAMES:
            self._policies[plain(row.policy)] = None
        day = at[:10]
        if day not in self._days and len(self._days) < MAX_DAYS:
            self._days[day] = {}
        while len(self._open) >= MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[row.request] = open_ = _Open(day, row, self._requests - 1, self._output)
        self._acted(verdict.action, verdict.verdict, open_)
        self._path.add(row, self._policy(row.policy))
        self._campaigns.add(row)
        self._exposure |= {name: verdict.readings[name] for name in EXPOSURE if name in verdict.readings}
        at_work = frozenset((*verdict.rules, *verdict.shadow))
        for name in at_work:
            _count(self._rules, plain(name))
        if at_work != self._at_work:
            shift = Shift(at, plain(row.request), _names(at_work - self._at_work), _names(self._at_work - at_work), {})
            shift = msgspec.structs.replace(shift, scores={plain(card): db for card, db in verdict.scores.items()})
            self._at_work = at_work
            if len(self._shifts) < MAX_SHIFTS:
                self._shifts.append(shift)
            else:
                self._more_shifts += 1
        for card, db in verdict.scores.items():
            name = plain(card)
            if name not in self._scores and len(self._scores) >= MAX_NAMES:
                continue
            self._scores[name] = db
            if name not in self._highest or db > self._highest[name][0]:
                self._highest[name] = (db, at)
        for joint, evidence in ((False, verdict.evidence), (True, verdict.together)):
            for card, lines in evidence.items():
                for line, db in lines.items():
                    self._evidence((card, line, joint), db, row)

    def _evidence(self, key: tuple[str, str, bool], db: float, row: Ruled) -> None:
        table = self._peaks if db > 0 else self._against
        old = table.get(key)
        if (old is None and len(table) < MAX_NAMES) or (old is not None and abs(db) > abs(old[0])):
            table[key] = db, row

    def _acted(self, action: str, word: str, open_: _Open) -> None:
        """What was done about a request, and what full enforcement would have done, if that is something else."""
        for name, done in ((action, True), *(((word, False),) if word != action else ())):
            if name in STRENGTHS:
                self._firsts.setdefault((name, done), open_)

    def _settled(self, row: Settled) -> None:
        self._input += row.outcome.usage.input
        self._output += row.outcome.usage.output
        found = self._open.pop(row.request, None)
        if found is not None:
            verdict = found.row.verdict
            action = action_of(verdict, row.outcome.limits, row.reflection)
            self._acted(action, word_of(verdict, row.outcome.limits), found)
            _count(self._actions, action)
            if found.day in self._days:
                _count(self._days[found.day], action)

    def _first_actions(self) -> tuple[First, ...]:
        def first(name: str, done: bool, when: _Open) -> First:
            at, request = timestamp(when.row.now), plain(when.row.request)
            after = self._requests - when.requests, self._output - when.output
            return First(name, done, at, request, when.requests, when.output, *after)

        ordered = sorted(self._firsts.items(), key=lambda each: (each[1].requests, STRENGTHS.index(each[0][0])))
        return tuple(first(name, done, when) for (name, done), when in ordered)

    def _strongest(self, table: "_Table") -> tuple[Peak, ...]:
        """The lines of a table, the strongest first, with what they read where they were that."""
        made = []
        for (card, line, joint), (db, row) in table.items():
            words = line_words(row, card, line, self._policy(row.policy), joint=joint)
            made.append(Peak(plain(card), plain(line), db, timestamp(row.now), plain(row.request), words, joint))
        return tuple(sorted(made, key=lambda each: (-abs(each.db), each.card, each.line, each.campaign)))

    def story(self) -> Story | None:
        """All of it; None where no row is this account's."""
        if self._first is None or self._last is None:
            return None
        caller = self._last.facts.caller
        return msgspec.structs.replace(
            self._story,
            first=timestamp(self._first.now),
            last=timestamp(self._last.now),
            plan=plain(caller.plan or ""),
            org=plain(caller.org or ""),
            labels=tuple(map(plain, caller.labels)),
            requests=self._requests,
            unfinished=len(self._open),
            keys=len(self._keys),
            networks=len(self._networks),
            policies=tuple(self._policies),
            models=_sorted(self._models),
            actions={name: self._actions[name] for name in ACTIONS if name in self._actions},
            days=self._days,
            input=self._input,
            output=self._output,
            scores=self._scores,
            highest=self._highest,
            rules=_sorted(self._rules),
            shifts=tuple(self._shifts),
            more_shifts=self._more_shifts,
            peaks=self._strongest(self._peaks),
            against=self._strongest(self._against),
            starts=self._starts,
            gaps=self._gaps,
            erased=self._erased,
            path=self._path.steps(),
            more_crossings=self._path.more,
            firsts=self._first_actions(),
            exposure=self._exposure,
            campaigns=self._campaigns.told(),
            more_campaigned=self._campaigns.more,
        )


def _count(table: dict[str, int], name: str) -> None:
    """One more. A name that finds the table full counts as `other`."""
    if name not in table and len(table) >= MAX_NAMES:
        name = "other"
    table[name] = table.get(name, 0) + 1


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(plain, names)))


def _sorted(table: dict[str, int]) -> dict[str, int]:
    return dict(sorted(table.items(), key=lambda each: (-each[1], each[0])))
