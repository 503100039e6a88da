"""Pure. The arithmetic of limits over plain integers: GCRA rates, calendar quotas, concurrency leases.

Time is an integer of microseconds everywhere in this file; amounts are whole units (requests, tokens).

A **rate** is a GCRA cell (ATM Forum TM 4.0, "virtual scheduling"): one number, the theoretical arrival time
TAT. A draw of `cost` adds `ceil(cost * period / amount)` µs; it is refused when TAT would pass `now` by more than
`burst * period / amount`. At most `burst + amount * window / period` units pass in any window.

A **reservation** draws an estimate; `settle` replaces it by what was used. A refund can't simply be subtracted:
part of the reservation has drained in the meantime, and giving that back would erase somebody else's use. With
the reservation `r` drawn at `t0` and the actual cost `a` (both as µs of the cell), the timeline in which `a` had been
drawn at `t0` lies behind ours at `t` by at least `min(r - a, r - (t - t0))`, so that much, and no more, is given back:
exact for a caller with one request at a time, never too generous for many (proved by a property test against
the exact timeline).
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

__all__ = ["Draw", "Drawn", "LimitLedger", "Reading"]


class Draw(msgspec.Struct, frozen=True, gc=False):
    """What one request asks of one cell."""

    limit: str  # the policy's id
    key: str  # the cell: limit id and length-prefixed dimensions, without the amount (a changed limit keeps its state)
    kind: Literal["rate", "quota", "lease"]
    unit: Literal["requests", "tokens.input", "tokens.output", "tokens.total", "concurrent"]
    amount: int  # units a period; slots of a lease
    period: int  # µs: of the rate; of the calendar window; the lease's deadline
    capacity: int  # units: burst (rate), amount (quota), slots (lease)
    cost: int  # units asked for now; 1 for a lease
    window: int = 0  # quota: start of the window, µs since the epoch (0 otherwise)
    shadow: bool = False  # counted, never refused


class Reading(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one cell answered."""

    limit: str
    unit: str
    ok: bool
    cost: int
    left: int  # units still free after this draw (before it, when refused); never below 0
    capacity: int
    reset: int = 0  # µs until the cell is full again
    wait: int = 0  # µs until this cost passes if nothing else comes; 0 = now, -1 = never (cost > capacity)
    shadow: bool = False


class Drawn(msgspec.Struct, frozen=True):
    """The answer to all draws of a request. Nothing was charged unless `ok`."""

    ok: bool
    at: int  # µs: the `now` that the store used
    readings: tuple[Reading, ...] = ()
    degraded: bool = False


class LimitLedger(Protocol):
    """What a store of limits does: one atomic draw a request, then exactly one settle, idempotent by request id."""

    async def draw(self, request: str, draws: Sequence[Draw], now: int) -> Drawn: ...
    async def settle(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]: ...
    async def renew(self, request: str, now: int) -> None: ...
