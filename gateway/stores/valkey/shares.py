"""Shell. What one process grants by itself while the shared store is away: its share of each limit, and what it owes.

With `replicas` processes each grants 1/replicas of a limit's rate, burst and slots. A rate's share is the same amount
in a period `replicas` times as long (nothing is rounded, however small the amount), a quota's and a lease's a part of
the amount, at least one unit. No share is smaller than a request that the whole limit would let pass, so nothing that
fits becomes "too large for ever"; over all processes at most `replicas` such requests then pass where one would have.

**Seeds.** What the store last answered of each cell is remembered (two generations of 50,000, the older is dropped),
so that an outage gives nobody a fresh quota. A rate's share begins with the same backlog in µs (capacity and refill are
both a part of the whole, so the backlog is the same part of it), a quota's with its part of the units that were used.
A surplus that was settled since that answer isn't in it: the seed errs on the side of less. Of a lease's share the
slots are taken off that this process's requests hold at the store.

**Owed.** Of each cell that was used here, what of that use is outstanding when the store is back: a rate's backlog
beyond its seed, a quota's units beyond its seed. It is said in whole units, so that the store can charge them. If the
store has lost its memory, the seeds are owed too: all shares together are then what it had said last.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from gateway.policy.sharing import Stance
from gateway.quotas import LEASE_RETRY, Draw, Drawn, Reading
from gateway.stores.memory import UNITS, USED, MemoryLimits

__all__ = ["Owed", "Shares", "share_of"]

GENERATION = 50_000  # cells
TOUCHED = 10_000  # cells, of which it is known what they owe; the least recently used ones are dropped
RETRY = 1_000_000  # µs: what a caller of a closed limit is told to wait


class _Touched(NamedTuple):
    """A cell that was used here: the last draw from it and from its share, whose it was, and what it held before."""

    draw: Draw
    share: Draw
    owner: str
    base: int


class Owed(NamedTuple):
    """Units that the store has not been told of. `value` is the cell's difference, for `Shares.keep`."""

    draw: Draw
    share: Draw
    owner: str
    units: int
    value: int
    base: int


def share_of(draw: Draw, replicas: int) -> Draw:
    """What the same draw asks of one process's share of its limit."""
    if replicas == 1:
        return draw
    capacity = draw.capacity // replicas or min(1, draw.capacity)
    if capacity < draw.cost <= draw.capacity:
        capacity = draw.cost
    kind = draw.kind
    period = draw.period * replicas if kind == "rate" else draw.period
    return Draw(
        draw.limit, draw.key, kind, draw.unit, draw.amount, period, capacity, draw.cost, draw.window, draw.shadow
    )


class Shares:
    """Over a MemoryLimits of this process. Nothing here awaits."""

    def __init__(self, limits: MemoryLimits) -> None:
        self.limits = limits
        self.untold = 0  # cells that were dropped from the table of what is owed
        self._young: dict[str, int] = {}  # key -> what `MemoryLimits.cell` would say, as the store said it
        self._old: dict[str, int] = {}
        self._held: dict[str, int] = {}  # a lease's cell -> slots at the store that requests of this process have
        self._slots: dict[str, list[str]] = {}  # request -> those cells
        self._touched: OrderedDict[str, _Touched] = OrderedDict()
        self._requests: dict[str, tuple[str, list[tuple[Draw, Draw]]]] = {}  # under way: owner, draws and their shares

    @property
    def touched(self) -> int:
        """Cells that may owe something."""
        return len(self._touched)

    @property
    def seeds(self) -> int:
        return len(self._young) + len(self._old)

    @property
    def requests(self) -> int:
        """Requests under way that were drawn here."""
        return len(self._requests)

    def holds(self, request: str) -> bool:
        """Whether a request that is under way was drawn here."""
        return request in self._requests

    def remember(self, request: str, draws: Sequence[Draw], drawn: Drawn, now: int) -> None:
        """What the store said. Its clock counts for windows, ours (`now`) for backlogs."""
        young, slots = self._young, []
        if len(draws) != len(drawn.readings):  # a refusal that doesn't speak of all
            return
        for draw, reading in zip(draws, drawn.readings, strict=True):
            if draw.kind == "rate":
                young[draw.key] = now + reading.reset
            elif draw.kind == "quota":
                end = draw.window + draw.period
                if not draw.window <= drawn.at < end:
                    end = drawn.at + reading.reset
                young[draw.key] = end << USED | draw.capacity - reading.left
            elif reading.ok:
                slots.append(draw.key)
        if slots and drawn.ok:
            self._slots[request] = slots
            for key in slots:
                self._held[key] = self._held.get(key, 0) + 1
        if len(young) >= GENERATION:
            self._old, self._young = young, {}

    def ended(self, request: str) -> None:
        """A request that was drawn at the store is over: the slots that it had there are free."""
        for key in self._slots.pop(request, ()):
            held = self._held[key] - 1
            if held:
                self._held[key] = held
            else:
                del self._held[key]

    def draw(
        self, request: str, draws: Sequence[Draw], now: int, owner: str, replicas: int, stances: Mapping[str, Stance]
    ) -> Drawn:
        """Draws from the shares of limits that are `local`; `open` ones pass uncounted, a `closed` one refuses."""
        if request in self._requests:
            raise ValueError("a request draws once")
        closed, full = "", False
        mine: list[Draw] = []
        pairs: list[tuple[Draw, Draw]] = []
        fixed: list[Reading | None] = []
        for draw in draws:
            stance, reading = stances.get(draw.limit, "local"), None
            if stance != "local":
                reading = _reading(draw, stance)
                if (
                    draw.kind != "lease"
                ):  # nothing is used of it here; a store that lost its memory is told what it said
                    self._touch(draw, share_of(draw, replicas), owner, replicas)
                if stance == "closed" and not draw.shadow:
                    closed = closed or draw.limit
            else:
                share = share_of(draw, replicas)
                if draw.kind != "lease":
                    pairs.append((draw, share))
                    self._touch(draw, share, owner, replicas)
                elif held := self._held.get(draw.key, 0):
                    if held < share.capacity:
                        share = replace(share, capacity=share.capacity - held)
                    else:
                        reading = Reading(
                            draw.limit, draw.unit, False, 1, 0, share.capacity, 0, LEASE_RETRY, draw.shadow
                        )
                        full = full or not draw.shadow
                if reading is None:
                    mine.append(share)
            fixed.append(reading)
        refused = closed or full
        drawn = Drawn(False, now, self.limits.peek(mine, now)) if refused else self.limits.take(mine, now, request)
        if drawn.ok and mine:
            self._requests[request] = owner, pairs
        answers = iter(drawn.readings)
        readings = [next(answers) if reading is None else reading for reading in fixed]
        return Drawn(drawn.ok, drawn.at, tuple(readings), "degraded", closed)

    def charge(self, request: str, used: dict[str, int], now: int, replicas: int) -> tuple[Reading, ...]:
        """`LimitLedger.charge` of a request that was drawn here."""
        self._adds(request, used, replicas, reserved=False)
        return self.limits.add(request, used, now)

    def settle(self, request: str, actual: dict[str, int], now: int, replicas: int) -> dict[str, int]:
        """`LimitLedger.settle` of a request that was drawn here, whether or not the store is back."""
        self._adds(request, actual, replicas, reserved=True)
        del self._requests[request]
        return self.limits.give(request, actual, now)

    def renew(self, request: str, now: int) -> None:
        """`LimitLedger.renew` of a request that was drawn here."""
        self.limits.keep(request, now)

    def owed(self, now: int, *, lost: bool) -> Iterator[Owed]:
        """What the store has to be told, most recently used cells first; what is yielded is no longer held here.

        `lost`: the store came back without its memory. What can't be told is to be handed to `keep`.
        """
        while self._touched:
            draw, share, owner, base = self._touched.popitem()[1]
            value = self.limits.cell(draw)
            if draw.kind == "rate":
                start = max(now, 0 if lost else base)
                extra = max(0, value - start)
                units = -(-extra * share.amount // share.period)
            else:
                end = value >> USED
                start = end << USED | (base & UNITS if end == base >> USED and not lost else 0)
                units = extra = max(0, value - start) if end > now else 0
            if units:
                self.limits.load(draw, start)
                yield Owed(draw, share, owner, units, extra, 0 if lost else base)

    def forget(self, account: str) -> None:
        """Forgets an account's id, what the store said of it and what it owes; what it holds at the moment stays."""
        part = f"|{len(account)}:{account}"
        self.limits.forget(account)
        self._young = {key: value for key, value in self._young.items() if part not in key}
        self._old = {key: value for key, value in self._old.items() if part not in key}
        for key in [key for key in self._touched if part in key]:
            del self._touched[key]

    def keep(self, owed: Owed) -> None:
        """Takes back what could not be told."""
        draw = owed.draw
        self.limits.load(draw, self.limits.cell(draw) + owed.value)
        self._touched[draw.key] = _Touched(draw, owed.share, owed.owner, owed.base)

    def _adds(self, request: str, units: dict[str, int], replicas: int, *, reserved: bool) -> None:
        """Cells of which a request uses more than it has reserved owe that much, even after the store has come back."""
        owner, pairs = self._requests[request]
        for draw, share in pairs:
            if units.get(draw.limit, 0) > (draw.cost if reserved else 0):
                self._touch(draw, share, owner, replicas)

    def _touch(self, draw: Draw, share: Draw, owner: str, replicas: int) -> None:
        key, touched = draw.key, self._touched
        known, rate = touched.get(key), draw.kind == "rate"
        if known is not None and known.draw.kind == draw.kind:
            touched[key] = _Touched(draw, share, owner, known.base)
            touched.move_to_end(key)
            return
        base, seed = self.limits.cell(draw), self._young.get(key) or self._old.get(key, 0)
        if (seed >> USED == 0) != rate:  # of before the limit was changed from a rate to a quota, or the other way
            seed = 0
        if not rate:
            seed = seed >> USED << USED | -(-(seed & UNITS) // replicas)
        if seed > base:
            self.limits.load(draw, seed)
            base = seed
        touched[key] = _Touched(draw, share, owner, base)
        if len(touched) > TOUCHED:
            touched.popitem(last=False)
            self.untold += 1


def _reading(draw: Draw, stance: Stance) -> Reading:
    if stance == "open":
        return Reading(draw.limit, draw.unit, True, draw.cost, draw.capacity, draw.capacity, shadow=draw.shadow)
    return Reading(draw.limit, draw.unit, False, draw.cost, 0, draw.capacity, 0, RETRY, draw.shadow)
