"""Pure. The shape of an explanation: what `explain.py` finds out. `--json` prints just this."""

from typing import Any, Literal

import msgspec

from gateway.usage import Usage

__all__ = [
    "SCHEMA",
    "Addend",
    "CardSaid",
    "Explanation",
    "FamilySaid",
    "LimitSaid",
    "Near",
    "RuleSaid",
    "State",
    "Term",
    "Turn",
    "Value",
]

SCHEMA = "gauger.explanation/1"

State = Literal["done", "watched", "lasts", "lasts, watched"]


class Value(msgspec.Struct, frozen=True):
    """One value that a condition read."""

    name: str
    value: Any
    text: str


class Term(msgspec.Struct, frozen=True):
    """One operand of a condition. `holds` None: something in it is missing."""

    text: str
    holds: bool | None
    values: tuple[Value, ...]


class Turn(msgspec.Struct, frozen=True):
    """A change that makes a rule hold, or not; `verdict` and `action` are what the request would have got then."""

    text: str
    names: tuple[str, ...]
    verdict: str
    action: str


class RuleSaid(msgspec.Struct, frozen=True):
    """A rule that was at work. `lasts`: it doesn't hold now, its throttle or block of an earlier request goes on."""

    id: str
    state: State
    phase: str = "request"
    mode: str = ""
    owner: str = ""
    then: str = ""
    when: str = ""
    terms: tuple[Term, ...] = ()
    softened: str = ""  # by which exception
    excepted: Turn | None = None  # an exception that lets through only a tag of it; None where that changes nothing
    exceptions: tuple[str, ...] = ()  # those that name it and didn't help
    turns: tuple[Turn, ...] = ()
    known: bool = True  # its text is there


class Near(msgspec.Struct, frozen=True):
    """A rule that nearly held."""

    id: str
    mode: str
    then: str
    turns: tuple[Turn, ...]


class Addend(msgspec.Struct, frozen=True):
    """One line of a scorecard that counted. `uncut` is what it would count without its own ceiling."""

    id: str
    db: float
    family: str = ""
    reads: str = ""
    uncut: float | None = None
    without: Turn | None = None  # where its absence alone would have lowered the verdict
    score: float | None = None  # the card's, without it


class FamilySaid(msgspec.Struct, frozen=True):
    """What a family counts: the plain sum of its lines, less what goes together, cut at its ceiling."""

    id: str
    db: float
    plain: float
    discounted: float
    ceiling: float

    @property
    def cut(self) -> bool:
        return self.db < self.discounted - 0.01


class CardSaid(msgspec.Struct, frozen=True):
    """A scorecard. The prior and the families' dB add up to the score."""

    id: str
    score: float
    prior: float | None = None
    needs: str = ""  # what it needs and doesn't have; the score is then its prior, and missing in conditions
    families: tuple[FamilySaid, ...] = ()
    addends: tuple[Addend, ...] = ()


class LimitSaid(msgspec.Struct, frozen=True):
    """What one limit answered. Units as the limit counts."""

    id: str
    ok: bool
    drawn: int
    left: int
    unit: str = ""
    capacity: int = 0
    shadow: bool = False
    reset: int = 0  # µs
    wait: int = 0  # µs; -1 = never
    rate: str = ""
    most: str = ""
    throttled: float | None = None  # share of its rate
    actual: int | None = None  # what it came to


class Explanation(msgspec.Struct, frozen=True):
    """All of it. Texts are for people, and already free of what a terminal could obey."""

    request: str
    at: str
    account: str
    verdict: str
    action: str
    ruled: tuple[str, str]  # verdict and action of the rules alone: a limit's refusal is not in them
    done: str  # the effects, in words
    why: tuple[str, ...]
    schema: str = SCHEMA
    org: str = ""
    plan: str = ""
    labels: tuple[str, ...] = ()
    route: str = ""
    op: str = ""
    model: str = ""
    asked: str = ""
    policy: str = ""
    digest: str = ""
    explained: bool = True  # the policy's text was there
    rules: tuple[RuleSaid, ...] = ()
    cards: tuple[CardSaid, ...] = ()
    near: tuple[Near, ...] = ()
    missing: dict[str, tuple[str, ...]] = {}
    readings: dict[str, float] = {}
    limits: tuple[LimitSaid, ...] = ()
    usage: Usage = Usage()
    end: str = ""
    status: int = 0
    settled_from: str = ""
    notes: tuple[str, ...] = ()
