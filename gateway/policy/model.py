"""Pure. A compiled policy: immutable, resolved per plan, ready for `decide`."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.identity import IdentityRules, Jwt, Trusted
from gateway.policy.calibration import Calibration

__all__ = [
    "Dimension",
    "Evidence",
    "Exemption",
    "Exposure",
    "Family",
    "IdentityRules",
    "Jwt",
    "Limit",
    "ListOf",
    "Plan",
    "Policy",
    "Rate",
    "Reserve",
    "Rule",
    "Sanction",
    "Schedule",
    "Scorecard",
    "Then",
    "TokenWeights",
    "Trusted",
]

Count = Literal["requests", "tokens.input", "tokens.output", "tokens.total", "concurrent"]
Dimension = Literal["key", "account", "org", "campaign", "model"]
Window = Literal["rolling", "calendar"]
Period = Literal["s", "min", "h", "day", "week", "month"]


class Rate(msgspec.Struct, frozen=True, gc=False):
    """`amount` units a period; for `concurrent` there is no period. `unlimited` is None in a plan."""

    amount: int
    unit: Literal["requests", "tokens"]
    period: Period | None = None


class Plan(msgspec.Struct, frozen=True):
    """A named set of rates; a limit refers to one as `plan.NAME`. None = unlimited."""

    id: str
    rates: dict[str, Rate | None]


class Reserve(msgspec.Struct, frozen=True, gc=False):
    """How many output tokens to reserve before the answer is known."""

    guess: Literal["p90", "declared"] = "p90"
    first: int = 1000  # tokens, for an account's first twenty answers
    at_most: float = 0.5  # share of the limit's own capacity


class Limit(msgspec.Struct, frozen=True):
    """One limit of the file, with its rate resolved for one plan (`Policy.limits_of`)."""

    id: str
    by: tuple[Dimension, ...]
    count: Count
    rate: Rate
    burst: int  # units; GCRA capacity (rolling), the amount (calendar), slots (concurrent)
    window: Window = "rolling"
    reserve: Reserve = Reserve()
    lease: int = 900_000_000  # µs; concurrent only
    shadow: bool = False
    retry: Literal["after", "never"] = "after"
    status: int = 429
    on_store_error: Literal["local", "open", "closed"] = "local"


class TokenWeights(msgspec.Struct, frozen=True, gc=False):
    """What one token of each sort counts towards token limits. `image` is a flat estimate in tokens."""

    cache_read: float = 1.0
    cache_write: float = 1.0
    reasoning: float = 1.0
    batch: float = 1.0
    image: int = 1000


class ListOf(msgspec.Struct, frozen=True):
    """A named list: exact values, or globs."""

    id: str
    values: frozenset[str] = frozenset()
    globs: tuple[str, ...] = ()


class Exposure(msgspec.Struct, frozen=True):
    """What the caller is told about limits."""

    dialect: bool = True  # x-ratelimit-*, anthropic-ratelimit-*
    ietf: bool = False  # RateLimit, RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers)


class Schedule(msgspec.Struct, frozen=True):
    """When a rule is awake: on `days` (0 = Monday), from `start` to `end` in minutes of the local day, end excluded.

    An `end` at or before the `start` lies on the next day; the hours belong to the day that they begin on.
    """

    days: frozenset[int]
    start: int
    end: int
    timezone: str


class Then(msgspec.Struct, frozen=True):
    """What a rule does where it holds."""

    tags: tuple[str, ...] = ()
    clamp: Mapping[str, float | bool] = {}  # plain field name -> the most that passes; False = off
    limit: str = ""  # whose rate is scaled
    to: float = 1.0  # share of that limit's rate
    delay: int = 0  # µs
    throttle_for: int = 0  # µs that the throttle lasts; 0 = while the rule holds
    block: int = 0  # HTTP status; 0 = no block
    code: str = ""
    block_for: int = 0  # µs

    @property
    def word(self) -> Literal["allow", "tag", "clamp", "throttle", "block"]:
        """The strongest of its effects."""
        if self.block:
            return "block"
        if self.limit or self.delay:
            return "throttle"
        return "clamp" if self.clamp else "tag" if self.tags else "allow"


class Rule(msgspec.Struct, frozen=True):
    """One rule of the file."""

    id: str
    when: str  # the condition, as written
    then: Then
    mode: Literal["draft", "shadow", "enforce"] = "enforce"
    phase: Literal["request", "response"] = "request"
    on_missing: Literal["skip", "match"] = "skip"
    severity: int = 0  # of equal blocks the higher one gives status and code
    active: Schedule | None = None
    owner: str = ""
    since: str = ""


class Exemption(msgspec.Struct, frozen=True):
    """An exception of the file: it only softens, has an owner and a reason, and ends."""

    id: str
    silences: frozenset[str]  # ids of rules
    when: str
    becomes: Literal["allow", "tag", "clamp", "throttle"]
    expires: int  # µs since the epoch: the local midnight at which it ends
    owner: str
    reason: str


class Sanction(msgspec.Struct, frozen=True, omit_defaults=True):
    """Until when (µs since the epoch) a rule's throttle and block last for an account, once the rule has held.

    `throttled` and `blocked` are the parts that were enforced when they began: what began in shadow stays there.
    """

    throttle: int = 0
    block: int = 0
    throttled: int = 0
    blocked: int = 0


class Evidence(msgspec.Struct, frozen=True):
    """One line of a scorecard: a count against its null, a quantity on a curve, or a condition."""

    id: str
    family: str
    kind: Literal["rate", "read", "when"]
    text: str  # the name, quantity or condition, as written
    ceiling: float  # dB
    floor: float = -10.0  # dB; 0 = who lacks this trace is not acquitted by it
    after: float = 0.0  # requests
    null: tuple[float, float] = (1.0, 1.0)
    alternative: tuple[float, float] = (1.5, 1.5)
    points: tuple[tuple[float, float], ...] = ()  # of `read`
    db: float = 0.0  # of `when`


class Family(msgspec.Struct, frozen=True):
    """A kind of evidence: its ceiling in dB, and how much of it goes together in benign use."""

    ceiling: float
    correlation: float


class Scorecard(msgspec.Struct, frozen=True):
    """A score in decibans: prior plus the evidence of each family."""

    id: str
    of: tuple[Literal["account", "campaign"], ...]
    prior: Mapping[str, float]  # account, campaign -> dB
    families: Mapping[str, Family]
    evidence: tuple[Evidence, ...]
    needs: str = ""  # condition; below it the score is its prior, and missing in conditions
    promise: Mapping[str, float] = {}  # action -> share of benign owners a month


class Policy(msgspec.Struct, frozen=True):
    """Everything that a file said, checked. `digest`: first 12 hex digits of SHA-256 over its canonical JSON."""

    id: str
    digest: str
    source: str = "<memory>"
    version: str = ""
    mode: Literal["enforce", "shadow"] = "enforce"
    timezone: str = "UTC"
    on_missing: Literal["skip", "match"] = "skip"
    on_error: Literal["allow", "block"] = "allow"
    opaque: Literal["allow", "refuse"] = "allow"  # paths that no dialect reads
    abort: Literal["charge_seen", "charge_reserved"] = "charge_seen"
    tokens: TokenWeights = TokenWeights()
    identity: IdentityRules = IdentityRules()
    exposure: Exposure = Exposure()
    plans: dict[str, Plan] = {}
    limits: dict[str, tuple[Limit, ...]] = {}  # plan id -> its limits; unlimited ones are left out
    lists: dict[str, ListOf] = {}
    scorecards: tuple[Scorecard, ...] = ()
    calibrations: dict[str, Calibration] = {}  # scorecard id -> what its promises rest on; no verdict reads it
    rules: tuple[Rule, ...] = ()  # sorted by id
    exceptions: tuple[Exemption, ...] = ()  # sorted by id
    engine: Any = None  # `policy.engine.Engine`: the above, compiled
    tests: tuple[Any, ...] = ()  # `policy.examples.Example`
    files: dict[str, str] = {}  # name -> text of every file that it was made of, its own first

    def limits_of(self, plan: str | None) -> tuple[Limit, ...]:
        """The limits that hold for a plan. An unknown plan falls back to the policy's own default plan."""
        found = self.limits.get(plan or self.identity.plan)
        return found if found is not None else self.limits.get(self.identity.plan, ())
