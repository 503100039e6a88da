"""Pure. A compiled policy: immutable, resolved per plan, ready for `decide`."""

from typing import Literal

import msgspec

from gateway.identity import IdentityRules, Jwt, Trusted

__all__ = [
    "Exposure",
    "IdentityRules",
    "Jwt",
    "Limit",
    "ListOf",
    "Plan",
    "Policy",
    "Rate",
    "Reserve",
    "TokenWeights",
    "Trusted",
]

Count = Literal["requests", "tokens.input", "tokens.output", "tokens.total", "concurrent"]
Dimension = Literal["key", "account", "org", "model"]
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

    def limits_of(self, plan: str | None) -> tuple[Limit, ...]:
        """The limits that hold for a plan. An unknown plan falls back to the policy's own default plan."""
        found = self.limits.get(plan or self.identity.plan)
        return found if found is not None else self.limits.get(self.identity.plan, ())
