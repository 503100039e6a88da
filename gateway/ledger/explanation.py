"""Pure. The shape of an explanation: what `explain.py` finds out. `--json` prints just this."""

from typing import Any, Literal

import msgspec

from gateway.ledger.campaign_words import Spoken
from gateway.usage import Usage

__all__ = [
    "SCHEMA",
    "Addend",
    "Alike",
    "CampaignSaid",
    "CardSaid",
    "Explanation",
    "FamilySaid",
    "LimitSaid",
    "Lower",
    "Near",
    "RuleSaid",
    "Shared",
    "Silent",
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
    """One line of a scorecard that counted. `uncut` is what it would count without its own ceiling, where that cut it;
    `unlifted` what it would without its own floor, where that lifted it. `words` is `reads` for people."""

    id: str
    db: float
    family: str = ""
    reads: str = ""
    uncut: float | None = None
    without: Turn | None = None  # where its absence alone would have lowered the verdict
    score: float | None = None  # the card's, without it
    words: str = ""
    unlifted: float | None = None


class Lower(msgspec.Struct, frozen=True):
    """What would make one of the strongest addends count less, and how fast.

    Where it counts hits that may cease, `then` tells how much later the verdict would be milder if they did and as many
    other requests went on (else what one half-life does), and `later` the card's score at that time.
    """

    id: str
    score: float  # the card's, without it
    without: Turn
    behaviour: str
    fades: str = ""
    later: float | None = None
    then: Turn | None = None


class Alike(msgspec.Struct, frozen=True):
    """A signal that the strongest addends read, and who looks alike without guilt."""

    code: str
    signal: str
    name: str
    look_alikes: str
    lines: tuple[str, ...]  # addends that read it
    speaks: tuple[str, ...] = ()  # addends that read it too, and lower the score


class Silent(msgspec.Struct, frozen=True):
    """A line of a scorecard that could have lowered the score, and says nothing."""

    id: str
    family: str
    least: float  # dB that it can come to
    words: str


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


class Shared(msgspec.Struct, frozen=True):
    """What the account's campaign came to by one card. The prior and the families' dB add up to its score, that and
    `membership` and `speaks` to `total`. `decides`: the total is the account's score; None: unknown without the policy.
    """

    score: float | None  # dB; None = it has none: too few owners, or below what the card needs
    membership: float  # dB, 0 or less
    sum: str  # in words
    prior: float | None = None
    speaks: dict[str, float] = {}  # family -> dB, below 0: what speaks for the account itself
    speaking: tuple[Addend, ...] = ()  # their lines
    total: float | None = None
    decides: bool | None = False
    families: tuple[FamilySaid, ...] = ()
    addends: tuple[Addend, ...] = ()
    alike: tuple[Alike, ...] = ()
    silent: tuple[Silent, ...] = ()


class CardSaid(msgspec.Struct, frozen=True):
    """A scorecard. The prior and the families' dB add up to `own`, which is the score unless the campaign decides.

    `lower` is what would lower the score, so of what decides; `alike` and `silent` are of the account by itself.
    """

    id: str
    score: float
    prior: float | None = None
    needs: str = ""  # what it needs and doesn't have; the score is then its prior, and missing in conditions
    families: tuple[FamilySaid, ...] = ()
    addends: tuple[Addend, ...] = ()
    lower: tuple[Lower, ...] = ()
    alike: tuple[Alike, ...] = ()
    silent: tuple[Silent, ...] = ()
    own: float | None = None  # dB, of the account by itself; None = missing, or unknown without the policy
    shared: Shared | None = None  # where the account is in a campaign and the card scores those


class CampaignSaid(msgspec.Struct, frozen=True):
    """The campaign that the account was a member of when it was judged, as it was last looked at. No members' names."""

    id: str
    members: int  # accounts
    owners: int
    since: str  # when its recipe was first seen
    age: float  # s, at the request
    epoch: int
    linked: bool
    how: str
    membership: float  # dB, 0 or less
    member: str
    taken: tuple[str, ...]
    notes: tuple[str, ...]
    spoken: tuple[Spoken, ...]
    readings: dict[str, float] = {}


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
    closed: bool = False  # it refused because the shared store was away, as its `on_store_error` says


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
    campaign: CampaignSaid | None = None
