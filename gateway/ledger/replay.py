"""Pure. The ledger read again: each request is judged as it was judged, or as another policy would have judged it.

Under the policy of the rows everything must agree, verdict, limits and reflection: the first difference is named by its
field. The facts are the recorded ones, and the limits' recorded answers are checked against the arithmetic.

Under another policy it is a what-if, and open-loop: callers behave as they did. The limits' answers are then those of
the new arithmetic. A request that only the new policy refuses ends where it is refused, so that the end it once had
is left out; one that only the old one refused settles at its reservation, and is flagged as a guess. From the first
such row on the state is another than the recorded, so nothing is compared until a process opens its ledger anew.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from gateway.decide import Facts, Outcome, Reflection, Verdict
from gateway.errors import Mistake
from gateway.ledger.differ import difference
from gateway.ledger.record import ENGINE, Adopted, Erased, Gap, Opened, Resumed, Row, Ruled, Sealed, Settled, Used
from gateway.ledger.steps import Accounts, Limits, Steps, instead, refused
from gateway.policy.model import Policy
from gateway.quotas import Drawn, Reading
from gateway.usage import Usage

__all__ = ["Difference", "Judged", "Replay", "Tally"]

MAX_POLICIES = 64  # adopted ones that are remembered; the oldest goes first
MAX_PENDING = 262_144  # requests between their two rows; only rows that were lost make more
NONE = Reflection()
UNKNOWN = Drawn(False, 0)
"""What the limits answered a request before the place where the fold began."""
Cause = Literal["", "engine", "gap"]  # rows of another engine; rows before this one are missing or were erased


class Difference(msgspec.Struct, frozen=True):
    """Where the record and the arithmetic part."""

    seq: int
    now: int
    request: str
    account: str
    what: str  # the field, what was recorded, and what is now
    cause: Cause = ""


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A request, as it was recorded and as it is now."""

    ruled: Ruled
    settled: Settled | None  # None: its end is not in the ledger
    verdict: Verdict
    limits: tuple[Reading, ...]  # the answers of the limits now
    reflection: Reflection  # what the rules say of its answer now
    other: bool = False  # judged by another policy than its own
    guessed: bool = False  # it was refused, and now passes: its answer is a guess


class Tally(msgspec.Struct):
    """What a replay met."""

    rows: int = 0
    requests: int = 0
    compared: int = 0
    differences: int = 0  # of rows that must agree
    after_gap: int = 0  # differences where rows were missing before
    gaps: int = 0
    lost: int = 0  # rows, as far as the gaps say
    erased: int = 0  # rows, with their accounts
    opened: int = 0
    resumed: int = 0  # starts with the state that was there
    engines: tuple[int, ...] = ()  # other than this one
    stores: int = 0  # requests whose limits another store than memory answered: not compared
    guessed: int = 0
    unmatched: int = 0  # ends without a beginning
    unsettled: int = 0  # beginnings without an end
    errors: int = 0  # exceptions inside judging
    first: Difference | None = None
    first_after_gap: Difference | None = None


class _Open:
    """A request between its two rows."""

    __slots__ = ("drawn", "ended", "facts", "policy", "ruled", "verdict", "what_if")

    def __init__(
        self, ruled: Ruled | Sealed, policy: Policy, facts: Facts, verdict: Verdict, drawn: Drawn | None, what_if: bool
    ) -> None:
        self.ruled = ruled
        self.policy = policy
        self.facts = facts
        self.verdict = verdict
        self.drawn = drawn
        self.what_if = what_if
        self.ended = False  # a what-if that ended where it was refused


class Replay:
    """The fold. `step` takes the rows in order, `finish` gives what never ended.

    `policy` None: each row is judged by its own policy, which `load` makes of the files in its Adopted row (it may
    raise Mistake); `otherwise` stands in for one whose row isn't there. `fresh` gives empty stores with a header's
    capacities. `ended` is told of every request that settles. Memory is bounded by what is in flight.
    """

    def __init__(
        self,
        policy: Policy | None,
        load: Callable[[Adopted], Policy],
        fresh: Callable[[Opened], tuple[Limits, Accounts]],
        *,
        otherwise: Policy | None = None,
        ended: Callable[[Facts, Verdict, Settled], None] | None = None,
    ) -> None:
        self.policy = policy
        self.tally = Tally()
        self._otherwise = otherwise
        self._ended = ended
        self._load = load
        self._fresh = fresh
        self._steps = Steps(*fresh(Opened(0, 0, "")))
        self._adopted: dict[str, Adopted] = {}
        self._compiled: dict[str, Policy] = {}
        self._open: dict[str, _Open] = {}
        self._doubtful: set[str] = set()  # open at a gap: their ends may be among what was lost
        self._seq = 0
        self._engine = ENGINE
        self._whole = True  # nothing is missing since a process began
        self._drifting = False  # the state is another policy's

    def take_up(
        self, seq: int, limits: Limits, accounts: Accounts, open_: Iterable[Ruled], adopted: Iterable[Adopted]
    ) -> None:
        """Begins behind row `seq`, with the state there: the requests between their two rows, and their policies."""
        self._seq = seq
        self._steps = Steps(limits, accounts)
        for each in adopted:
            self._adopt(each)
        for row in open_:
            self._open[row.request] = _Open(row, self._policy_of(row), row.facts, row.verdict, UNKNOWN, False)
        self._steps.take_up(self._open)

    @property
    def steps(self) -> Steps:
        """The state, as it is now."""
        return self._steps

    @property
    def open(self) -> int:
        """Requests between their two rows."""
        return len(self._open)

    @property
    def seq(self) -> int:
        """The number of the last row, or of the last that a gap stands for."""
        return self._seq

    def step(self, row: Row | Sealed) -> Judged | None:
        """Folds one row in. A request is given back at its second row. Raises Mistake where its policy is unknown.

        Of a sealed row that agrees nothing is given back: there is nothing to tell.
        """
        tally = self.tally
        tally.rows += 1
        seq, kind = row.seq, type(row)
        if kind is Opened:
            self._begin(row)  # type: ignore[arg-type]
        elif seq != self._seq + 1 and kind is not Gap:
            self._gap(max(0, seq - self._seq - 1))
        self._seq = seq if kind is not Gap else seq + max(0, row.lost - 1)  # type: ignore[union-attr]
        self._steps.keep(row.now)
        if kind is Ruled or kind is Sealed:
            self._ruled(row)  # type: ignore[arg-type]
        elif kind is Settled:
            return self._settled(row)  # type: ignore[arg-type]
        elif kind is Used:
            self._used(row)  # type: ignore[arg-type]
        elif kind is Adopted:
            self._adopt(row)  # type: ignore[arg-type]
        elif kind is Resumed:
            self._resume(row)  # type: ignore[arg-type]
        elif kind is Gap:
            self._gap(row.lost)  # type: ignore[union-attr]
        elif kind is Erased:  # limits that several accounts share, and who was evicted, can't be known any more
            tally.erased += 1
            self._whole = False
        return None

    def finish(self) -> Iterator[Judged]:
        """The requests whose end never came."""
        for found in self._open.values():
            self.tally.unsettled += 1
            yield self._judged(found, None, NONE)
        self._open.clear()
        self.tally.errors += self._steps.errors
        self._steps.errors = 0

    def _begin(self, row: Opened) -> None:
        tally = self.tally
        tally.opened += 1
        tally.unsettled += len(self._open)
        tally.errors += self._steps.errors
        self._open.clear()
        self._doubtful.clear()
        self._adopted.clear()
        self._engine = row.engine
        if row.engine != ENGINE and row.engine not in tally.engines:
            tally.engines = (*tally.engines, row.engine)
        self._steps = Steps(*self._fresh(row))
        self._whole, self._drifting = True, False

    def _resume(self, row: Resumed) -> None:
        """The state stays; what was under way ended with its process."""
        tally = self.tally
        tally.resumed += 1
        tally.unsettled += len(self._open)
        self._open.clear()
        self._doubtful.clear()
        self._engine = row.engine
        if row.engine != ENGINE and row.engine not in tally.engines:
            tally.engines = (*tally.engines, row.engine)
        if not row.limits:
            self._steps.limits = self._fresh(Opened(row.seq, row.now, row.version, cells=row.cells))[0]
        if row.partial:
            self._whole = False
        self._steps.resume(row)

    def _adopt(self, row: Adopted) -> None:
        self._adopted.pop(row.digest, None)
        self._adopted[row.digest] = row
        if len(self._adopted) > MAX_POLICIES:
            del self._adopted[next(iter(self._adopted))]

    def _gap(self, lost: int) -> None:
        """State can't be folded across it. What was open then and at the gap before will not end any more."""
        self.tally.gaps += 1
        self.tally.lost += lost
        self._whole = False
        for request in self._doubtful:
            self._drop(request)
        self._doubtful = set(self._open)

    def _drop(self, request: str) -> None:
        if self._open.pop(request, None) is not None:
            self._steps.forget(request)
            self.tally.unsettled += 1

    def _policy_of(self, row: Ruled | Sealed) -> Policy:
        if self.policy is not None:
            return self.policy
        found = self._compiled.get(row.policy)
        if found is None:
            adopted = self._adopted.get(row.policy)
            if self._otherwise is not None and (adopted is None or self._otherwise.digest == row.policy):
                return self._otherwise
            if adopted is None:
                raise Mistake(
                    f"row {row.seq} was judged by policy {row.policy}, whose files are not in the ledger",
                    hint="`--policy FILE` names the one to judge by",
                )
            found = self._load(adopted)
            if len(self._compiled) >= MAX_POLICIES:
                del self._compiled[next(iter(self._compiled))]
            self._compiled[row.policy] = found
            if found.digest != row.policy:
                self._differs(row, f"policy: {row.policy} recorded, its files are {found.digest} now")
        return found

    def _ruled(self, row: Ruled | Sealed) -> None:
        policy = self._policy_of(row)
        if self.policy is not None and policy.digest != row.policy:
            self._drifting = True
        what_if, facts, steps = self._drifting, row.facts, self._steps
        if row.request in self._open:
            self._drop(row.request)
        known = steps.known(facts.caller.account)
        if what_if:
            facts = msgspec.structs.replace(facts, limits=known)
        verdict = steps.judge(policy, facts, row.now)
        drawn = steps.draw(row.request, verdict, row.now)
        if len(self._open) >= MAX_PENDING:
            self._drop(next(iter(self._open)))
        self._open[row.request] = found = _Open(row, policy, facts, verdict, drawn, what_if)
        self.tally.requests += 1
        if what_if:
            end = refused(policy, facts, verdict, drawn)
            if end is not None:
                found.ended = True
                steps.settle(policy, row.request, facts, verdict, end, row.now)
            return
        self.tally.compared += 1
        if type(row) is Sealed:
            if row.says(verdict) and known == facts.limits:
                return
            row = row.opened()
        if verdict != row.verdict:
            self._differs(row, difference("verdict", row.verdict, verdict))
        elif known != facts.limits:
            self._differs(row, difference("facts.limits", _named(facts.limits), _named(known)))

    def _used(self, row: Used) -> None:
        found = self._open.get(row.request)
        if found is not None and not found.ended:
            self._steps.charge(found.policy, row.request, found.verdict, row.usage, row.now)

    def _settled(self, row: Settled) -> Judged | None:
        found = self._open.pop(row.request, None)
        if found is None:
            self.tally.unmatched += 1
            return None
        self._doubtful.discard(row.request)
        if found.what_if:
            return self._imagine(found, row)
        outcome, drawn = row.outcome, found.drawn
        settled, reflection = self._steps.settle(
            found.policy, row.request, found.facts, found.verdict, outcome, row.now
        )
        ours = drawn.readings if drawn is not None else ()
        if self._ended is not None:
            self._ended(found.facts, found.verdict, row)
        if drawn is UNKNOWN:
            return None
        if outcome.store != "memory":
            self.tally.stores += 1
        elif outcome.limits != ours:
            self._differs(found.ruled, difference("limits", _named(outcome.limits), _named(ours)), row)
        elif outcome.settled != settled:
            self._differs(found.ruled, difference("settled", outcome.settled, settled), row)
        if row.reflection != reflection:
            self._differs(found.ruled, difference("reflection", row.reflection, reflection), row)
        return self._judged(found, row, reflection) if type(found.ruled) is Ruled else None

    def _imagine(self, found: _Open, row: Settled) -> Judged:
        """The end of a request under another policy than its own."""
        if found.ended:
            return self._judged(found, row, NONE)
        verdict, drawn, outcome = found.verdict, found.drawn, row.outcome
        costs: dict[str, int] | None = None
        ruled = found.ruled.opened() if isinstance(found.ruled, Sealed) else found.ruled
        guessed = was_refused(ruled, row)
        if guessed:
            costs = {}
            outcome = Outcome(end="done", status=200, usage=Usage(verdict.input, verdict.output))
            self.tally.guessed += 1
        readings = drawn.readings if drawn is not None else ()
        usage = outcome.usage if guessed else instead(outcome.usage, found.facts, ruled.verdict, verdict)
        outcome = msgspec.structs.replace(outcome, usage=usage, limits=readings, settled={})
        _, reflection = self._steps.settle(found.policy, row.request, found.facts, verdict, outcome, row.now, costs)
        return self._judged(found, row, reflection, guessed)

    def _judged(self, found: _Open, row: Settled | None, reflection: Reflection, guessed: bool = False) -> Judged:
        limits = found.drawn.readings if found.drawn is not None else ()
        ruled = found.ruled.opened() if isinstance(found.ruled, Sealed) else found.ruled
        return Judged(ruled, row, found.verdict, limits, reflection, found.what_if, guessed)

    def _differs(self, row: Ruled | Sealed, what: str, end: Settled | None = None) -> None:
        tally = self.tally
        cause: Cause = "gap" if not self._whole else "engine" if self._engine != ENGINE else ""
        if cause == "engine":
            what = f"differs by engine ({self._engine} recorded, this is {ENGINE}): {what}"
        at = end or row
        found = Difference(at.seq, at.now, row.request, row.facts.caller.account, what, cause)
        if cause == "gap":
            tally.after_gap += 1
            tally.first_after_gap = tally.first_after_gap or found
        else:
            tally.differences += 1
            tally.first = tally.first or found


def was_refused(ruled: Ruled, settled: Settled) -> bool:
    """Whether the policy in force then, or one of its limits, refused this request."""
    return bool(ruled.verdict.refuse) or any(not each.ok and not each.shadow for each in settled.outcome.limits)


def _named(limits: tuple[Reading, ...]) -> dict[str, Reading]:
    return {each.limit: each for each in limits}
