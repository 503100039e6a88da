"""Shell. Limits in this process's memory: exact, bounded, and atomic because nothing in a step awaits."""

from collections import OrderedDict
from collections.abc import Sequence

from gateway.quotas import (
    Draw,
    Drawn,
    Reading,
    Store,
    charge_quota,
    charge_rate,
    draw_lease,
    draw_quota,
    draw_rate,
    first_mark,
    mark_draw,
    settle_quota,
    settle_rate,
)
from gateway.stores.cells import Cells
from gateway.stores.holdings import Holdings, Met, Reservation

__all__ = ["MemoryLimits"]

HOUR = 3_600_000_000  # µs
USED = 64  # bits of a quota's cell that hold the units; above them is the end of its window
UNITS = (1 << USED) - 1
NOTHING: frozenset[str] = frozenset()


class MemoryLimits:
    """`LimitLedger` in memory. `now` is guarded: a clock that goes back stands still instead.

    `max_cells` bounds the cells of rates and quotas (an open reservation's cell is never evicted, so the bound may be
    passed by what is in flight, and by no more); a lease's cell exists as long as a lease in it. `deadline` (µs) is the
    safety net under reservations that nobody settles or renews: they stay charged, their leases are released.
    Raises ValueError where a request draws twice before it is settled.
    """

    kind: Store = "memory"
    suspends = False

    def __init__(self, max_cells: int = 1_000_000, deadline: int = HOUR) -> None:
        self.max_cells = max_cells
        self.deadline = deadline
        self.evicted_live = 0  # cells that still meant something
        self.abandoned = 0  # reservations that the deadline closed
        self._rates = Cells()  # TAT
        self._quotas = Cells(USED)  # end of the window, units used in it
        self._leases: dict[str, dict[str, int]] = {}  # key -> request -> deadline
        self._open: OrderedDict[str, Reservation] = OrderedDict()  # least recently heard of first
        self._held: dict[str, Met] = {}
        self._now = 0
        self._number = 0

    @property
    def cells(self) -> int:
        return len(self._rates) + len(self._quotas) + len(self._leases)

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def leases(self) -> int:
        return sum(map(len, self._leases.values()))

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str = "") -> Drawn:
        """All or nothing: charges every draw and opens a reservation, or refuses and charges none."""
        if request in self._open:
            raise ValueError("a request draws once")
        return self.take(draws, now, request)

    async def settle(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]:
        """Replaces what was reserved by what was used; returns actual minus reserved by limit id.

        A limit that `actual` doesn't name stays as drawn. A second call, or one for a refused request, returns {}.
        """
        return self.give(request, actual, now)

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """Charges what a request that is under way has used by now: limit id -> units since its draw, all in all.

        What was charged before isn't charged again, nothing is refused, and the reservation stays: it is for what
        comes next. A reading for each limit that was charged; none for a request without a reservation.
        """
        return self.add(request, used, now)

    async def renew(self, request: str, now: int) -> None:
        """Moves the deadlines of a request's leases, and of its reservation. A lease that has expired stays gone."""
        self.keep(request, now)

    def give(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]:
        """`settle`, for who has no event loop."""
        reservation = self._open.pop(request, None)  # before the time moves: late is not abandoned
        now = self._tick(now)
        return self._close(request, reservation, actual, now) if reservation is not None else {}

    def add(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """`charge`, for who has no event loop."""
        now = self._tick(now)
        reservation = self._open.get(request)
        if reservation is None:
            return ()
        self._number += 1
        before = reservation.used
        reservation.used = before | {limit: max(units, before.get(limit, 0)) for limit, units in used.items()}
        readings = []
        for draw in reservation.charged:
            units = used.get(draw.limit, 0) - before.get(draw.limit, 0)
            if units <= 0 or draw.kind == "lease":
                continue
            key = draw.key
            if draw.kind == "rate":
                old = self._rates.values.get(key, 0)
                new, reading = charge_rate(old, draw, units, now)
                self._rates.put(key, new)
                held = self._held.get(key)
                if held is not None:
                    held.marks = mark_draw(held.marks, self._number, draw, old - now)
            else:
                packed = self._quotas.values.get(key, 0)
                end, sum_, reading = charge_quota(packed >> USED, packed & UNITS, draw, units, now)
                self._quotas.put(key, end << USED | sum_)
            readings.append(reading)
        return tuple(readings)

    def keep(self, request: str, now: int) -> None:
        """`renew`, for who has no event loop."""
        reservation = self._open.get(request)
        if reservation is None:
            return
        reservation.heard = now = max(now, self._now)
        self._open.move_to_end(request)
        self._tick(now)
        for draw in reservation.charged:
            if draw.kind == "lease":
                live = self._leases.get(draw.key)
                if live is not None and live.pop(request, None) is not None:
                    live[request] = now + draw.period

    def take(self, draws: Sequence[Draw], now: int, request: str | None = None) -> Drawn:
        """Like `draw`; without a request no reservation is opened, and leases can't be drawn."""
        now = self._tick(now)
        rates, quotas, leases = self._rates.values, self._quotas.values, self._leases
        fresh = 1
        readings: list[Reading] = []
        undo: list[tuple[Draw, int | None]] = []
        for draw in draws:
            kind = draw.kind
            if kind == "rate":
                key = draw.key
                old = rates.get(key)
                new, reading = draw_rate(old or 0, draw, now)
                if reading.ok:
                    if old is None:
                        fresh += 2
                        self._rates.put(key, new)
                    else:
                        rates[key] = new
                    undo.append((draw, old))
            elif kind == "quota":
                key = draw.key
                old = quotas.get(key)
                packed = old or 0
                end, used, reading = draw_quota(packed >> USED, packed & UNITS, draw, now)
                if reading.ok:
                    if old is None:
                        fresh += 2
                        self._quotas.put(key, end << USED | used)
                    else:
                        quotas[key] = end << USED | used
                    undo.append((draw, old))
            else:
                live = leases.get(draw.key)
                if live is not None:
                    _prune(live, now)
                reading = draw_lease(len(live) if live is not None else 0, draw)
                if reading.ok:
                    if request is None:
                        raise ValueError("a lease belongs to a request")
                    if live is None:
                        live = leases[draw.key] = {}
                    live[request] = now + draw.period
                    undo.append((draw, None))
                elif live is not None and not live:
                    del leases[draw.key]
            readings.append(reading)
            if not reading.ok and not draw.shadow:
                self._undo(undo, request)
                answers = [*self.peek(draws, now)]
                answers[len(readings) - 1] = reading
                return Drawn(False, now, tuple(answers))
        self._number += 1
        self._mark(undo, now, held=request is not None)
        if request is not None and undo:
            self._open[request] = Reservation(self._number, [draw for draw, _ in undo], now)
        self._trim(now, fresh)
        return Drawn(True, now, tuple(readings))

    def peek(self, draws: Sequence[Draw], now: int) -> tuple[Reading, ...]:
        """What each draw would be answered on its own; nothing is charged."""
        now = max(now, self._now)
        readings = []
        for draw in draws:
            if draw.kind == "rate":
                readings.append(draw_rate(self._rates.values.get(draw.key, 0), draw, now, charge=False)[1])
            elif draw.kind == "quota":
                packed = self._quotas.values.get(draw.key, 0)
                readings.append(draw_quota(packed >> USED, packed & UNITS, draw, now, charge=False)[2])
            else:
                live = self._leases.get(draw.key, {})
                alive = sum(1 for deadline in live.values() if deadline > now)
                readings.append(draw_lease(alive, draw, charge=False))
        return tuple(readings)

    def count(self, key: str, units: int, period: int, now: int) -> tuple[int, int]:
        """Adds units to a window of `period` µs that opens with its first unit: (units in it, its end in µs)."""
        now = self._tick(now)
        packed = self._quotas.values.get(key, 0)
        end, used = packed >> USED, packed & UNITS
        if end <= now:
            end, used = now + period, 0
        used = max(0, used + units)
        if self._quotas.put(key, end << USED | used):
            self._trim(now, 2)
        return used, end

    def counted(self, key: str, now: int) -> tuple[int, int]:
        """(units, end in µs) of such a window; (0, 0) where none is open."""
        packed = self._quotas.values.get(key, 0)
        end = packed >> USED
        return (packed & UNITS, end) if end > max(now, self._now) else (0, 0)

    def cell(self, draw: Draw) -> int:
        """What the cell of a rate (its TAT) or a quota (end of the window << 64 | units in it) holds; 0: nothing."""
        return (self._rates if draw.kind == "rate" else self._quotas).values.get(draw.key, 0)

    def load(self, draw: Draw, value: int) -> None:
        """Has the cell hold what `cell` said of it, here or in another process."""
        cells = self._rates if draw.kind == "rate" else self._quotas
        if cells.put(draw.key, value):
            self._trim(self._now, 2)

    def clear(self, key: str) -> None:
        """Makes a rate or a count full again. Reservations in flight have nothing left to give back."""
        for cells in (self._rates, self._quotas):
            if key in cells.values:
                cells.put(key, 0)

    def forget(self, account: str) -> None:
        """Makes full whatever is limited for an account, and forgets its id; what it holds at the moment stays."""
        part = f"|{len(account)}:{account}"
        self._rates, self._quotas = self._rates.without(part, self._held), self._quotas.without(part, NOTHING)

    def reset(self) -> int:
        """Forgets every cell and reservation; returns how many cells there were."""
        cells = self.cells
        self._rates, self._quotas = Cells(), Cells(USED)
        self._leases.clear()
        self._open.clear()
        self._held.clear()
        return cells

    def held(self) -> Holdings:
        """All of it at this moment."""
        leases = {key: live.copy() for key, live in self._leases.items()}
        open_ = {name: Reservation(r.number, r.charged, r.heard, r.used) for name, r in self._open.items()}
        met = {key: Met(each.marks, each.count) for key, each in self._held.items()}
        counts = (self._now, self._number, self.evicted_live, self.abandoned)
        return Holdings(*counts, self._rates.copy(), self._quotas.copy(), leases, open_, met)

    def hold(self, held: Holdings) -> None:
        """Goes on from what another process held."""
        self._now, self._number, self.evicted_live, self.abandoned = held[:4]
        self._rates, self._quotas, self._leases = held.rates, held.quotas, held.leases
        self._open, self._held = OrderedDict(held.open), held.met

    def resume(self, max_cells: int, now: int) -> None:
        """The process that held all this is gone: what it had reserved stays charged, what it had leased is free."""
        self.max_cells, self._now = max_cells, max(now, self._now)
        self._leases.clear()
        self._open.clear()
        self._held.clear()
        self._trim(self._now, max(0, self.cells - max_cells))

    def _tick(self, now: int) -> int:
        """Time doesn't go back; what nobody has settled or renewed for too long is closed."""
        if now <= self._now:
            return self._now
        self._now = now
        limit = now - self.deadline
        while self._open:
            request, reservation = next(iter(self._open.items()))
            if reservation.heard > limit:
                break
            del self._open[request]
            self._close(request, reservation, {}, now)
            self.abandoned += 1
        return now

    def _undo(self, undo: list[tuple[Draw, int | None]], request: str | None) -> None:
        for draw, old in reversed(undo):
            if draw.kind == "rate":
                self._rates.unput(draw.key, old)
            elif draw.kind == "quota":
                self._quotas.unput(draw.key, old)
            elif request is not None:
                self._release(draw.key, request)

    def _mark(self, charged: list[tuple[Draw, int | None]], now: int, *, held: bool) -> None:
        """Tells the open reservations of each rate's cell what backlog this draw met."""
        number = self._number
        for draw, old in charged:
            if draw.kind != "rate":
                continue
            cell = self._held.get(draw.key)
            if cell is not None:
                cell.marks = mark_draw(cell.marks, number, draw, (old or 0) - now)
                cell.count += held
            elif held:
                self._held[draw.key] = Met(first_mark(number))

    def _close(self, request: str, reservation: Reservation, actual: dict[str, int], now: int) -> dict[str, int]:
        changes = {}
        for draw in reservation.charged:
            kind, key = draw.kind, draw.key
            if kind == "lease":
                self._release(key, request)
                continue
            units = actual.get(draw.limit)
            if units is not None:
                changes[draw.limit] = units - draw.cost
                if reservation.used:  # the reservation was for the rest
                    units = max(0, units - reservation.used.get(draw.limit, 0))
            if kind == "rate":
                held = self._held.get(key)
                if held is None:
                    continue
                if units is not None and units != draw.cost:
                    tat = self._rates.values.get(key, 0)
                    new, held.marks = settle_rate(tat, held.marks, reservation.number, draw, units, now)
                    if new != tat:
                        self._rates.put(key, new)
                held.count -= 1
                if not held.count:
                    del self._held[key]
            elif units is not None and units != draw.cost:
                packed = self._quotas.values.get(key, 0)
                end = packed >> USED
                if packed & UNITS or (packed and end == draw.window + draw.period):  # a window without a unit is none
                    self._quotas.values[key] = end << USED | settle_quota(end, packed & UNITS, draw, units)
        return changes

    def _release(self, key: str, request: str) -> None:
        live = self._leases.get(key)
        if live is not None:
            live.pop(request, None)
            if not live:
                del self._leases[key]

    def _trim(self, now: int, steps: int) -> None:
        """Forgets a few cells that say nothing; evicts where there are too many."""
        rates, quotas, held = self._rates, self._quotas, self._held
        rates.sweep(steps, now, held)
        quotas.sweep(steps, now, NOTHING)
        for _ in range(steps):
            if len(rates) + len(quotas) <= self.max_cells:
                return
            bigger, other = (rates, quotas) if len(rates) >= len(quotas) else (quotas, rates)
            live = bigger.evict(now, held)
            if live is None:
                live = other.evict(now, held)
            if live is None:
                return
            self.evicted_live += live


def _prune(live: dict[str, int], now: int) -> None:
    """Drops the leases that have passed their deadline. A renewed lease moves to the end, so those come first."""
    while live:
        request, deadline = next(iter(live.items()))
        if deadline > now:
            return
        del live[request]
