"""Pure. From a policy's limits to the draws of one request, and from an answer's usage to what they really cost."""

from collections.abc import Iterable, Mapping
from math import ceil

import msgspec

from gateway.identity import Caller
from gateway.policy.calendar import calendar_window
from gateway.policy.model import Dimension, Limit, Policy, TokenWeights
from gateway.quotas import Draw
from gateway.usage import Usage

__all__ = ["PERIODS", "Cost", "cell_key", "draws_for", "used", "used_so_far"]

UNNAMED = "default"
"""The model of a call that names none: a server with a default model answers it, so limits by model hold for it."""

ACCOUNT: tuple[Dimension, ...] = ("account",)
PERIODS = {  # µs; a rolling month is 30 days, as everywhere in rate limiting
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
    "month": 2_592_000_000_000,
}


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a request is expected to use. `guess` and `declared` are output tokens over all its choices."""

    requests: int = 1
    input: int = 0
    guess: int | None = None  # the account's own p90; None = too few answers yet
    declared: int | None = None  # the ceiling that the caller named
    choices: int = 0  # 0 = nothing is generated

    @property
    def output(self) -> int:
        """The plain estimate, for the record."""
        return self.guess if self.guess is not None else min(self.declared or 1000 * self.choices, 1000 * self.choices)

    @property
    def most(self) -> int:
        """What is owed for an answer that nobody will see: what was declared, or the larger of the two guesses."""
        return self.declared if self.declared is not None else max(self.guess or 0, 1000 * self.choices)


def cell_key(limit: Limit, caller: Caller, model: str | None, campaign: str | None = None) -> str | None:
    """The cell that a request draws from, or None where the limit has a dimension that the request lacks.

    Every part is length-prefixed, so no two callers can be made to collide.
    """
    parts = [limit.id]
    for dimension in limit.by:
        if dimension == "key":
            value: str | None = caller.key
        elif dimension == "account":
            value = caller.account
        elif dimension == "org":
            value = caller.org
        elif dimension == "campaign":
            value = campaign
        else:
            value = model
        if not value:
            return None
        parts.append(f"{len(value)}:{value}")
    return "|".join(parts)


def draws_for(
    policy: Policy,
    caller: Caller,
    model: str | None,
    cost: Cost,
    now: int,
    *,
    shadow: bool = False,
    shares: Mapping[str, float] | None = None,
    campaign: str | None = None,
) -> tuple[Draw, ...]:
    """What one request asks of every limit of its plan that applies to it. `shadow` turns all of them to shadow.

    `shares` scales limits by id: rate, burst and slots, at least one unit of each. The cell stays the same one, so what
    was used before the throttle stays used.
    """
    draws = []
    written = cost.choices
    told = written or cost.input  # else no tokens are read or written: a token limit has nothing to say
    if told and not model:
        model = UNNAMED
    owner = f"|{len(caller.account)}:{caller.account}"
    for limit in policy.limits_of(caller.plan):
        if shares is not None and limit.id in shares:
            limit = _scaled(limit, shares[limit.id])
        count, kind, window, units = limit.count, "rate", 0, 1
        if count == "requests":
            units = cost.requests
        elif count == "concurrent":
            kind = "lease"
        elif not told or (not written and count == "tokens.output"):
            continue
        elif count == "tokens.input":
            units = cost.input
        else:
            units = _reserve(limit, cost) + (cost.input if count == "tokens.total" else 0)
        key = limit.id + owner if limit.by == ACCOUNT else cell_key(limit, caller, model, campaign)
        if key is None:
            continue
        rate = limit.rate
        if kind == "lease":
            period = limit.lease
        elif limit.window == "calendar":
            kind = "quota"
            window, end = calendar_window(now, rate.period or "day", policy.timezone)
            period = end - window
        else:
            period = PERIODS[rate.period or "min"]
        watched = shadow or limit.shadow
        draws.append(Draw(limit.id, key, kind, count, rate.amount, period, limit.burst, units, window, watched))  # type: ignore[arg-type]
    return tuple(draws)


def _scaled(limit: Limit, share: float) -> Limit:
    rate = msgspec.structs.replace(limit.rate, amount=max(1, int(limit.rate.amount * share)))
    return msgspec.structs.replace(limit, rate=rate, burst=max(1, int(limit.burst * share)))


def _reserve(limit: Limit, cost: Cost) -> int:
    """Output tokens to hold back until the answer is known: never more than a share of the limit itself."""
    if not cost.choices:
        return 0
    how = limit.reserve
    if how.guess == "declared" and cost.declared is not None:
        want = cost.declared
    else:
        want = cost.guess if cost.guess is not None else how.first * cost.choices
        if cost.declared is not None:
            want = min(want, cost.declared)
    return max(1, min(want, int(how.at_most * limit.burst)))


def used(unit: str, weights: TokenWeights, usage: Usage) -> int:
    """Units of `unit` that an answer used, with the policy's weights, rounded up."""
    read = usage.input - (1 - weights.cache_read) * usage.cache_read - (1 - weights.cache_write) * usage.cache_write
    written = usage.output - (1 - weights.reasoning) * usage.reasoning
    if unit == "tokens.input":
        return max(0, ceil(read))
    if unit == "tokens.output":
        return max(0, ceil(written))
    return max(0, ceil(read)) + max(0, ceil(written))


def used_so_far(draws: Iterable[Draw], weights: TokenWeights, usage: Usage) -> dict[str, int]:
    """What a request that is under way has cost by now, by limits of tokens: limit id -> units."""
    return {draw.limit: used(draw.unit, weights, usage) for draw in draws if draw.unit.startswith("tokens")}
