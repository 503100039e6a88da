"""Pure. An account's story from its rows: how much, what was done about it, what raised its score, what spoke for it.

    teller = Teller(account);  teller.add(row), row by row;  teller.story() -> Story;  to_text(story)

Everything is counted as it comes, in tables with a bound, so a story of a million rows needs no more memory.
"""

from collections.abc import Iterable

import msgspec

from gateway.ledger.explain_text import fold
from gateway.ledger.line import timestamp
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Row, Ruled, Settled
from gateway.ledger.steps import action_of
from gateway.ledger.words import amount, plain

__all__ = ["SCHEMA", "Peak", "Shift", "Story", "Teller", "to_text"]

SCHEMA = "gauger.account/1"
ACTIONS = ("allow", "tag", "clamp", "throttle", "limit", "block", "reject")
MAX_DAYS = 400
MAX_SHIFTS = 200
MAX_NAMES = 64  # models, keys, policies
MAX_OPEN = 65_536  # requests between their two rows
SHOWN = 12  # of a list


class Shift(msgspec.Struct, frozen=True):
    """A moment at which other rules were at work than at the request before."""

    at: str
    request: str
    begin: tuple[str, ...]
    end: tuple[str, ...]
    scores: dict[str, float]


class Peak(msgspec.Struct, frozen=True):
    """A scorecard's line where it counted most, or most against."""

    card: str
    line: str
    db: float
    at: str
    request: str


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


class Teller:
    """Takes a ledger's rows in order; those of other accounts are passed over."""

    def __init__(self, account: str) -> None:
        self.account = account
        self._story = Story(plain(account))
        self._open: dict[str, tuple[str, Ruled]] = {}  # request -> day, its row
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
        self._peaks: dict[tuple[str, str], Peak] = {}
        self._against: dict[tuple[str, str], Peak] = {}
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
        elif isinstance(row, Gap):
            self._gaps += 1
        elif isinstance(row, Erased):
            self._erased += 1
        else:
            assert isinstance(row, Adopted)

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
        self._open[row.request] = (day, row)
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
        for card, lines in verdict.evidence.items():
            for line, db in lines.items():
                self._evidence(Peak(plain(card), plain(line), db, at, plain(row.request)))

    def _evidence(self, peak: Peak) -> None:
        table = self._peaks if peak.db > 0 else self._against
        old = table.get((peak.card, peak.line))
        if (old is None and len(table) < MAX_NAMES) or (old is not None and abs(peak.db) > abs(old.db)):
            table[(peak.card, peak.line)] = peak

    def _settled(self, row: Settled) -> None:
        self._input += row.outcome.usage.input
        self._output += row.outcome.usage.output
        found = self._open.pop(row.request, None)
        if found is not None:
            day, ruled = found
            action = action_of(ruled.verdict, row.outcome.limits, row.reflection)
            _count(self._actions, action)
            if day in self._days:
                _count(self._days[day], action)

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
            peaks=_strongest(self._peaks.values()),
            against=_strongest(self._against.values()),
            starts=self._starts,
            gaps=self._gaps,
            erased=self._erased,
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


def _strongest(peaks: Iterable[Peak]) -> tuple[Peak, ...]:
    return tuple(sorted(peaks, key=lambda each: (-abs(each.db), each.card, each.line)))


def to_text(story: Story) -> str:
    """The story for people, at most 100 columns."""
    who = [f"plan {story.plan}"] * bool(story.plan) + [f"org {story.org}"] * bool(story.org)
    who += [f"labels {', '.join(story.labels)}"] * bool(story.labels)
    who += [f"{story.keys} keys", f"{story.networks} networks"]
    lines = fold(f"account  {story.account} ({', '.join(who)})", 9)
    lines += [f"first    {story.first}", f"last     {story.last}"]
    open_ = f", {story.unfinished:,} without an end" if story.unfinished else ""
    lines += [f"requests {story.requests:,}{open_}; {story.input:,} input and {story.output:,} output tokens"]
    lines += fold(f"models   {_counted(story.models)}", 9)
    lines += fold(f"actions  {_counted(story.actions)}", 9)
    lines += fold(f"policies {', '.join(story.policies)}", 9)
    for count, text in (
        (story.starts, "starts of the gateway in between: what it remembered began anew"),
        (story.gaps, "gaps, in which rows could not be written"),
        (story.erased, "rows of erased accounts were passed over"),
    ):
        lines += [f"- {count:,} {text}"] * bool(count)
    lines += _days(story)
    for card, (db, at) in story.highest.items():
        lines += ["", f"Scorecard {card}: {amount(story.scores[card], 'dB')} last, highest {amount(db, 'dB')} at {at}"]
        for title, peaks in (("raised most by", story.peaks), ("argued against by", story.against)):
            own = [each for each in peaks if each.card == card][:SHOWN]
            lines += [f"  {title}"] * bool(own)
            for each in own:
                lines += fold(f"    {each.db:+8.2f} dB  {each.line}, in {each.request}", 16)
    if story.rules:
        lines += ["", *fold(f"Rules at work: {_counted(story.rules)}", 4)]
    for shift in story.shifts[-SHOWN:]:
        change = [f"{', '.join(shift.begin)} began"] * bool(shift.begin)
        change += [f"{', '.join(shift.end)} ended"] * bool(shift.end)
        scores = ", ".join(f"{card} {amount(db, 'dB')}" for card, db in shift.scores.items())
        lines += fold(f"  {shift.at}  {'; '.join(change)}{f' at {scores}' if scores else ''} ({shift.request})", 6)
    left = len(story.shifts) - SHOWN + story.more_shifts
    if story.more_shifts:
        lines.append(f"  the first {len(story.shifts)} changes were kept, {story.more_shifts:,} came after")
    elif left > 0:
        lines.append(f"  and {left:,} earlier changes: --json has them")
    return "".join(f"{plain(line, 10_000)}\n" for line in lines)


def _counted(table: dict[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(table.items())[:SHOWN]]
    return ", ".join(shown + [f"{len(table) - SHOWN} more"] * (len(table) > SHOWN)) or "none"


def _days(story: Story) -> list[str]:
    used = [name for name in ACTIONS if name in story.actions]
    if not used or len(story.days) < 2:
        return []
    lines = ["", "day       " + "".join(f"{name:>10}" for name in used)]
    days = list(story.days.items())
    for day, counts in days[-SHOWN * 3 :]:
        lines.append(day + "".join(f"{counts.get(name, 0):>10,}" for name in used))
    lines += [f"and {len(days) - SHOWN * 3} earlier days: --json has them"] * (len(days) > SHOWN * 3)
    return lines + [f"days after the first {MAX_DAYS} are only counted above"] * (len(days) >= MAX_DAYS)
