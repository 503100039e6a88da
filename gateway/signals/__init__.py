"""Pure. Signals: what an account does over time. One file of this folder = one signal, found by its name.

A signal declares the numbers that it keeps (`counters`, `times`, `sketch`), is stepped when a request has been observed
(`asked`) and when it has ended (`ended`), and is read by conditions and scorecards (`readings`). All the numbers of an
account lie packed in one row of bytes (`gateway/panel.py`); a `Slab` is that row unpacked for one step. The same code
runs on a campaign's row.

Counts are exponentially decayed: a request counts 1 when it comes and 1/e one time constant later, so at a steady pace
the count over `hour` is the number of requests in an hour, and an account that stops heals by itself. Time never runs
backwards: a step before the last one happens at the last one's time. Decay comes in steps of a 44th of the half-life,
at the same moments for all counts, so that most requests have nothing to work off.

The docstring of a signal's module is its card: `gauger signals` prints it. See `Card`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import log
from typing import ClassVar, Literal, NamedTuple

from gateway.identity import Caller
from gateway.observe import Observation

__all__ = [
    "DAY",
    "GENERATES",
    "HOUR",
    "GRID",
    "HALF",
    "SPANS",
    "WEEK",
    "Ended",
    "Read",
    "Signal",
    "Slab",
    "Span",
    "Unit",
    "faded",
    "left",
    "share",
    "slight",
    "weighed",
    "worthwhile",
]

Span = Literal["hour", "day", "week", "ever"]
Unit = Literal["", "share", "requests", "tokens", "bytes", "duration", "dB"]
"""Of a number. "" = a plain count or ratio; share = 0 to 1, written as a percentage; duration = seconds."""

HOUR = 3_600_000_000  # µs
DAY = 24 * HOUR
WEEK = 7 * DAY
SPANS: dict[str, int] = {"hour": HOUR, "day": DAY, "week": WEEK}
"""Name of a reading's first part -> time constant in µs (half-life = 0.69 of it). Counters over `ever` don't decay."""

STEPS = 44  # in which a count decays to its half
GRID: dict[int, int] = {span: int(span * log(2.0) / STEPS) for span in SPANS.values()}
"""Time constant -> µs between two steps. Half-lives are whole numbers of steps, and so exact."""
HALF: float = 0.5 ** (1.0 / STEPS)  # what a step leaves

GENERATES = frozenset({"chat", "text_completion", "generate_content", "batch"})
"""Operations whose answer a model writes."""

ENOUGH = 64  # tokens; fewer make a label, a name, a yes or no
TELLING = frozenset({"elicits", "reasons", "generates", "invents", "prefers", "grades", "banked"})
"""Marks that say what a request is for."""


class Slab:
    """One row of state, unpacked. Signals write to `counts`, `times` and `bytes` at the places they were given.

    The rest describes the request that is being stepped, and what all signals share of the account.
    """

    __slots__ = (
        "again",
        "bytes",
        "continued",
        "counts",
        "fresh",
        "generating",
        "generating_day",
        "novel",
        "now",
        "returned",
        "since",
        "times",
        "weight",
        "weighty",
    )

    def __init__(self, times: list[int], counts: list[float], data: bytearray) -> None:
        self.times = times  # µs since the epoch; 0 = never
        self.counts = counts
        self.bytes = data
        self.now = 0  # µs
        self.since = 0  # µs since the last step; 0 for the first
        self.weight = 1  # requests that this one stands for: the lines of a batch, else 1
        self.generating = 0.0  # requests of the last week that generate, this one included
        self.generating_day = 0.0  # the same of the last day
        self.weighty = 0.0  # the same of the week without what took next to nothing; see `weighed`
        self.again = False  # one of the last eight asks within ten minutes: another draw of it, and no return to it
        self.fresh = 1.0  # share of this account's asks that it had not asked before, as estimated now
        self.novel = 1.0  # the same without asks that draw one of the last once more
        self.returned = 0  # pieces of what is asked that were in an answer which this deployment served
        self.continued = False  # whether the last answer in the history was one that this deployment served


class Ended(NamedTuple):
    """How a request ended, as far as signals look at it."""

    ok: bool  # the model server answered with success
    refused: bool  # by this gateway: a rule, a limit, a malformed request
    status: int  # as the client saw it; 0 = no answer began
    input: int = 0  # tokens
    output: int = 0  # tokens, reasoning included
    reasoning: int = 0  # tokens, of those
    full: float | None = None  # share of its fullest rate limit that was in use; None = no limit answered


class Count:
    """Reads one counter. A policy reads these, and shares of them, without a call (`policy/reading.py`)."""

    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, slab: Slab) -> float:
        return slab.counts[self.at]


class Share:
    """Reads one counter by another; without `of`, by the week's generating requests. None where there are none."""

    __slots__ = ("hits", "of")

    def __init__(self, hits: int, of: int | None) -> None:
        self.hits = hits
        self.of = of

    def __call__(self, slab: Slab) -> float | None:
        all_ = slab.generating if self.of is None else slab.counts[self.of]
        return slab.counts[self.hits] / all_ if all_ else None


class Read(NamedTuple):
    """A number that conditions and scorecards may read. Where it is a share, `hits` and `of` are names of their own."""

    name: str
    doc: str
    get: Callable[[Slab], float | None]
    unit: Unit = ""
    words: str = ""  # how an explanation says it: "412 of 430 requests WORDS", or "WORDS: 3.2"
    hits: Callable[[Slab], float] | None = None
    of: Callable[[Slab], float] | None = None
    missing: bool = False  # whether there may be nothing to read yet


class Signal(ABC):
    """One signal. Instances hold places and no state: the state is the slab's."""

    code: ClassVar[str]  # of the catalogue, as "C6"
    family: ClassVar[str]  # content, params, response, timing, account, network, campaign
    counters: ClassVar[tuple[tuple[str, Span], ...]] = ()  # name and time constant of each decayed count (32-bit float)
    marks: ClassVar[tuple[str, ...]] = ()  # counters of a week that count the requests with the mark of their name
    stamps: ClassVar[tuple[str, ...]] = ()  # names of points in time (64-bit, µs)
    sketch: ClassVar[int] = 0  # bytes of anything else
    monotone: ClassVar[bool] = True  # more of what it counts never lowers its first reading
    malformed: ClassVar[bool] = False  # whether it is stepped for requests that were refused unread

    def __init__(self) -> None:
        self.at: tuple[int, ...] = ()  # places in `Slab.counts`: of the marks, then of the counters, in their order
        self.when: tuple[int, ...] = ()  # places of the stamps in `Slab.times`
        self.start = 0  # place of the sketch in `Slab.bytes`

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:  # noqa: B027 - where marks are all
        """A request has been observed. `seen` of a batch counts for `slab.weight` requests."""

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:  # noqa: B027 - most signals don't need it
        """A request has ended, however."""

    @abstractmethod
    def readings(self) -> tuple[Read, ...]:
        """What may be read of it. Called once, after the places are set."""


def generating(slab: Slab) -> float:
    """The week's generating requests: what most shares are of."""
    return slab.generating


def share(
    name: str,
    doc: str,
    words: str,
    hits: int,
    of: int | None = None,
) -> Read:
    """A share of requests, from the places of two counters; without `of`, of the week's generating requests."""
    return Read(
        name,
        doc,
        Share(hits, of),
        "share",
        words,
        Count(hits),
        generating if of is None else Count(of),
        True,
    )


class Weighed:
    """Reads a counter of requests with a telling mark by all that weigh something. None where there are none."""

    __slots__ = ("hits",)

    def __init__(self, hits: int) -> None:
        self.hits = hits

    def __call__(self, slab: Slab) -> float | None:
        all_ = self.of(slab)
        return slab.counts[self.hits] / all_ if all_ else None

    def of(self, slab: Slab) -> float:
        """The requests that it is a share of, never fewer than its hits."""
        hits = slab.counts[self.hits]
        return slab.weighty if slab.weighty > hits else hits


def weighed(name: str, doc: str, words: str, hits: int) -> Read:
    """A share of the week's generating requests, of which those without a telling mark count by what they took.

    An answer of `ENOUGH` tokens or more counts 1, a shorter one in proportion, none at all 0: otherwise ten greetings,
    answered in a word each, would make any harvest a tenth of an account's use. See `slight`.
    """
    read = Weighed(hits)
    doc = f"of the week's generating requests, short answers to others counting less, {doc}"
    return Read(name, doc, read, "share", words, Count(hits), read.of, True)


def slight(seen: Observation, end: Ended) -> float:
    """How much less than a request this one weighs, 0 to 1, once it is known what it took.

    What bears a telling mark weighs 1, and so do a batch, whose answers are elsewhere, and an answer of unknown length.
    """
    if seen.op not in GENERATES or seen.lines or not TELLING.isdisjoint(seen.marks):
        return 0.0
    if not end.ok:
        return 1.0
    return 1.0 - end.output / ENOUGH if 0 < end.output < ENOUGH else 0.0


def faded(slab: Slab, stamp: int, span: int) -> float:
    """What is left of a count that a sketch last touched at a stamp; the stamp is set to now."""
    rest = left(slab, stamp, span)
    slab.times[stamp] = slab.now
    return rest


def left(slab: Slab, stamp: int, span: int) -> float:
    """What is left of a count that a sketch last touched at a stamp."""
    last, now = slab.times[stamp], slab.now
    return decayed(last, now, span) if 0 < last < now else 1.0


def decayed(before: int, now: int, span: int) -> float:
    """What is left at `now` of a count of `before` (µs), of this time constant: a step at each moment of a grid."""
    step = GRID[span]
    return HALF ** (now // step - before // step)


def worthwhile(seen: Observation, end: Ended) -> bool:
    """Whether an answer holds more than its question did: a choice has `ENOUGH` tokens, and half the prompt's length.

    Of a batch, or of several prompts in one request, the mean decides.
    """
    written = end.output / (seen.n or 1)
    return end.ok and written >= ENOUGH and 2.0 * written * (seen.lines or seen.prompts or 1) >= end.input
