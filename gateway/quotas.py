"""Pure. The arithmetic of limits over plain integers: GCRA rates, calendar quotas, concurrency leases.

Time is an integer of microseconds everywhere in this file; amounts are whole units (requests, tokens).

A **rate** is a GCRA cell (ATM Forum TM 4.0, "virtual scheduling"): one number, the theoretical arrival time TAT. A draw
of `cost` moves it to `max(TAT, now) + ceil(cost * period / amount)`; it is refused when TAT would pass `now` by more
than the capacity in µs. At one instant never more than `capacity` units pass, in any window fewer than
`capacity + amount * window / period + 1`. `TAT - now`, if positive, is the cell's **backlog**.

A **reservation** draws an estimate; `settle_rate` replaces it by what was used. The surplus can't simply be subtracted:
where the cell has run empty since, the reservation has drained already, and giving it back would erase somebody else's
use. Had `a` been drawn in place of `r`, then TAT would now be lower by `min(r - a, least backlog since the draw)`
(`max(T, t) + c` keeps a difference, up to the backlog that it meets), so that much, and no more, is given back. The
least backlog is kept as **marks**, a short staircase for the cells that have open reservations: step (n, m) says that
since the draw number n no draw has met a backlog below m. Exact for a caller with one request at a time; for many at a
time TAT never lies before that of the exact timeline (a property test holds both).

An **overrun** is added in whole, and its debt is capped at one period beyond a full cell.

A **charge** is for what has been used already, while its request is under way (a session that lasts for an hour): it
is a draw that can't be refused, in debt where it doesn't fit, and its reading says so.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

__all__ = [
    "LEASE_RETRY",
    "Draw",
    "Drawn",
    "LimitLedger",
    "Marks",
    "Reading",
    "Store",
    "capacity_us",
    "charge_quota",
    "charge_rate",
    "cost_us",
    "draw_lease",
    "draw_quota",
    "draw_rate",
    "first_mark",
    "mark_draw",
    "settle_quota",
    "settle_rate",
]

LEASE_RETRY = 1_000_000
"""µs: what a caller without a free slot is told to wait. The deadlines of the live leases say when a crash is noticed,
not when an answer ends, so a constant is the more honest hint."""

UNMET = 1 << 62  # µs: the backlog that a draw meets which no other has followed
STEPS = 16  # steps of a capacity; two steps of the staircase that are nearer than this become the lower one

Marks = tuple[tuple[int, int], ...]
"""(number of a draw, least backlog in µs that later draws met), both rising."""


Store = Literal["memory", "valkey", "degraded"]
"""Who answered: this process alone; the shared store; this process, because the shared store didn't."""


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
    left: int  # units still free after this draw (before it, when the request was refused); never below 0
    capacity: int
    reset: int = 0  # µs until the cell is full again; 0 for a lease: nobody knows
    wait: int = 0  # µs until this cost passes if nothing else comes; 0 = now, -1 = never (cost > capacity)
    shadow: bool = False


class Drawn(msgspec.Struct, frozen=True):
    """The answer to all draws of a request. Nothing was charged unless `ok`."""

    ok: bool
    at: int  # µs: the `now` that the store used
    readings: tuple[Reading, ...] = ()
    store: Store = "memory"
    closed: str = ""  # id of a limit that lets nothing pass while the shared store is away (`on_store_error: closed`)


class LimitLedger(Protocol):
    """What a store of limits does: one atomic draw a request, then exactly one settle, idempotent by request id.

    `owner`: the caller's organisation, else its account: limits of one owner are drawn in one step wherever they live.
    """

    kind: Store  # where they live
    suspends: bool  # whether `settle` may give the event loop a turn, in which the caller can be cancelled

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str = "") -> Drawn: ...
    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]: ...
    async def settle(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]: ...
    async def renew(self, request: str, now: int) -> None: ...


def capacity_us(draw: Draw) -> int:
    """A rate's capacity in µs.

    Where a unit isn't a whole number of µs, every draw is rounded up, and `capacity` draws of one unit would not fit.
    So up to `capacity` µs are added, always less than one unit's worth: at one instant still at most `capacity` pass.
    """
    whole = max(1, draw.capacity * draw.period // draw.amount)
    if draw.period % draw.amount:
        whole += max(0, min(draw.capacity, draw.period // draw.amount - 1))
    return whole


def cost_us(draw: Draw, units: int) -> int:
    """What `units` of a rate cost in µs, rounded up."""
    return -(-units * draw.period // draw.amount)


def draw_rate(tat: int, draw: Draw, now: int, *, charge: bool = True) -> tuple[int, Reading]:
    """(new TAT, reading). A refusal, or `charge=False`, leaves TAT as it was. A cell that doesn't exist has TAT 0."""
    amount, capacity, period, cost = draw.amount, draw.capacity, draw.period, draw.cost
    backlog = tat - now if tat > now else 0
    if amount <= 0 or cost > capacity:
        left = _left(draw, capacity_us(draw), backlog) if amount > 0 else 0
        return tat, Reading(draw.limit, draw.unit, False, cost, left, capacity, backlog, -1, draw.shadow)
    full = capacity * period // amount
    step = -(-cost * period // amount)
    if period % amount:  # a whole capacity always fits an empty cell, though both were rounded
        full = capacity_us(draw)
        step = min(step, full)
    ok = backlog + step <= full
    if ok and charge:
        backlog += step
        tat = now + backlog
    wait = 0 if ok else backlog + step - full
    left = _left(draw, full, backlog)
    return tat, Reading(draw.limit, draw.unit, ok, cost, left, capacity, backlog, wait, draw.shadow)


def _left(draw: Draw, full: int, backlog: int) -> int:
    if not backlog:
        return draw.capacity
    return min(draw.capacity, (full - backlog) * draw.amount // draw.period) if backlog < full else 0


def first_mark(n: int) -> Marks:
    """The marks of a cell whose only open reservation is draw number `n`."""
    return ((n, UNMET),)


def mark_draw(marks: Marks, n: int, draw: Draw, backlog: int) -> Marks:
    """The marks after draw number `n`, which met `backlog` µs (0 or less: an empty cell). Numbers rise."""
    if backlog <= 0:
        return ((n, UNMET),)
    return (*_press(marks, backlog, capacity_us(draw) // STEPS), (n, UNMET))


def settle_rate(tat: int, marks: Marks, n: int, draw: Draw, actual: int, now: int) -> tuple[int, Marks]:
    """(new TAT, new marks) once draw number `n` is known to have cost `actual` units. See the module's text."""
    full = capacity_us(draw)
    reserved, spent = min(cost_us(draw, draw.cost), full), cost_us(draw, max(0, actual))
    backlog = tat - now if tat > now else 0
    if spent > reserved:
        capped = max(tat, min(tat + spent - reserved, now + full + draw.period))
        return capped, _press(marks, backlog, full // STEPS)
    at = len(marks) - 1
    while at >= 0 and marks[at][0] > n:
        at -= 1
    if at < 0:  # older than what the marks remember: the cell has run empty since
        return tat, marks
    back = min(reserved - spent, marks[at][1], backlog)
    if back <= 0:
        return tat, marks
    return tat - back, _lower(marks, at, back, full // STEPS)


def _press(marks: Marks, backlog: int, apart: int) -> Marks:
    """No step is higher than `backlog`, and none that changed is nearer than `apart` to the one before."""
    at = len(marks)
    while at and marks[at - 1][1] >= backlog:
        at -= 1
    if at == len(marks) or (at and backlog - marks[at - 1][1] < apart):
        return marks[:at]
    return (*marks[:at], (marks[at][0], backlog))


def _lower(marks: Marks, at: int, by: int, apart: int) -> Marks:
    """Steps from `at` on are lower by `by`, as if the draw that they follow had cost less; the stairs still rise."""
    steps = list(marks[:at])
    for start, least in marks[at:]:
        level = least if least == UNMET else least - by
        oldest = start
        while steps and steps[-1][1] >= level:
            oldest = steps.pop()[0]
        if not steps or level - steps[-1][1] >= apart:
            steps.append((oldest, level))
    return tuple(steps)


def charge_rate(tat: int, draw: Draw, units: int, now: int) -> tuple[int, Reading]:
    """(new TAT, reading) with `units` that were used: `ok` says whether they fitted, `wait` is until the debt is paid.

    The debt ends at one period beyond a full cell, as that of an overrun. `draw` says whose cell it is; not its cost.
    """
    full, backlog = capacity_us(draw), max(0, tat - now)
    step = cost_us(draw, units)
    if units <= draw.capacity:
        step = min(step, full)
    ok = backlog + step <= full
    backlog = max(backlog, min(backlog + step, full + draw.period))
    left = _left(draw, full, backlog)
    wait = 0 if ok else backlog - full
    return now + backlog, Reading(draw.limit, draw.unit, ok, units, left, draw.capacity, backlog, wait, draw.shadow)


def draw_quota(end: int, used: int, draw: Draw, now: int, *, charge: bool = True) -> tuple[int, int, Reading]:
    """(end of the window, units used in it, reading). A cell that doesn't exist is (0, 0).

    A draw whose window has ended by `now` (it was computed just before midnight and came just after, or the clock has
    gone back) counts in the window that is open, or in one that opens where its own ended. One whose window has not
    begun (who computed it has a clock that is ahead of the store's) counts in the window before: processes whose clocks
    differ must not begin a window anew by turns. Any other window than the cell's begins at 0.
    """
    closes = draw.window + draw.period
    if closes <= now:
        closes = end if end > now else closes + ((now - closes) // draw.period + 1) * draw.period
    elif draw.window > now:
        closes = draw.window
    if end != closes:
        end, used = closes, 0
    ok = used + draw.cost <= draw.capacity
    if ok and charge:
        used += draw.cost
    left, rest = max(0, draw.capacity - used), max(0, end - now)
    wait = 0 if ok else -1 if draw.cost > draw.capacity else rest
    return end, used, Reading(draw.limit, draw.unit, ok, draw.cost, left, draw.capacity, rest, wait, draw.shadow)


def charge_quota(end: int, used: int, draw: Draw, units: int, now: int) -> tuple[int, int, Reading]:
    """(end of the window, units used in it, reading) with `units` that were used, in debt of at most one amount."""
    nothing = msgspec.structs.replace(draw, cost=0)
    end, used, _ = draw_quota(end, used, nothing, now)
    used = max(used, min(used + units, 2 * draw.capacity))
    ok, rest = used <= draw.capacity, max(0, end - now)
    left = max(0, draw.capacity - used)
    wait = 0 if ok else rest
    return end, used, Reading(draw.limit, draw.unit, ok, units, left, draw.capacity, rest, wait, draw.shadow)


def settle_quota(end: int, used: int, draw: Draw, actual: int) -> int:
    """Units used once the draw is known to have cost `actual`. Debt: one amount more.

    What was reserved in a window that is over went with it; an overrun of it is paid in the window that is open.
    """
    if end != draw.window + draw.period:
        return min(used + max(0, actual - draw.cost), max(used, 2 * draw.capacity))
    after = max(0, used + max(0, actual) - draw.cost)
    return min(after, max(used, 2 * draw.capacity))


def draw_lease(live: int, draw: Draw, *, charge: bool = True) -> Reading:
    """The reading of a cell with `live` leases that have not passed their deadline."""
    ok = live < draw.capacity
    left = max(0, draw.capacity - live - (1 if ok and charge else 0))
    wait = 0 if ok else -1 if draw.capacity < 1 else LEASE_RETRY
    return Reading(draw.limit, draw.unit, ok, draw.cost, left, draw.capacity, 0, wait, draw.shadow)
