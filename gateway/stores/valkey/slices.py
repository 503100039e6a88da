"""Shell. Shares of limits that are taken from the store in one go and spent in this process.

A **slice** is an ordinary reservation at the store, of a request that nobody made: `share` of a limit's capacity, at
least what is asked for. Requests draw from slices without a call; what they don't use returns to the slice, and when
nobody draws from a cell any longer (`IDLE`) its slices are settled at what was spent: the store gets the rest. A slice
has one cell and an id of its own, so that it is settled as soon as its own requests are; those that a request needs at
the same time leave in one write. While a slice is on its way, others who need it wait for that one. Where the store has
less than a slice left it is asked for just what is lacking, and for `SCANT` seconds for no more than that.

Which limits are sliced: those whose cells several owners draw from (`crosses`: a script has the cells of one owner
only), and with `everything` all of which a slice is good for two such requests and more, or of which something is held
here: what is small is drawn as it is, all in one call. Slices are taken before that, and stay here if it is refused.

What holds, for any number of processes, with slices of `s` units (the cost of a request where that is larger):

- **quotas** and **leases**: every unit that is spent was reserved at the store before: never over.
- **rates**: a slice is spent within the time in which the cell refills by as much, counted from before the store was
  asked. So whatever is admitted in a window of `w` µs was reserved in it or at most that time before it began:
  `capacity + amount * w / period + s + 1` units at most.
- what others hold and don't spend is lacking here: at most `s` units each, for `IDLE` seconds and a sweep, and what
  the requests that draw from a slice have reserved and will not use, until the last of them ends.

A request that turns out to have used more takes it from the slice that it drew from; what the slice doesn't hold is an
overrun, of which the store learns when the slice is settled. A charge of a request under way goes to the store at once.
A lease's slice is so many slots, `SLOTS` at most, each a reservation. A slot in use is renewed with its request.
"""

import asyncio
from asyncio import Task
from collections.abc import Callable, Sequence
from itertools import count
from secrets import token_hex

from msgspec.structs import replace

from gateway.errors import StoreDown
from gateway.quotas import Draw, Drawn, Reading
from gateway.stores.segment_writer import wall
from gateway.stores.valkey import Hello, SharedLimits
from gateway.stores.valkey.pool import Part, Pool, Slice

__all__ = ["SlicedLimits"]

IDLE = 1_000_000  # µs
SCANT = 1_000_000  # µs
SWEEP = 0.5  # s between looks for idle cells
WORTH = 2  # requests like this one that a slice is good for, at least
LEAST = 100_000  # µs in which a rate's slice refills, at least: one that is gone when it comes is worth nothing
SLOTS = 8  # of a lease, in one slice: each is a call
TURNS = 2  # slices that a request waits for before it asks for itself


class _Request:
    """What a request drew from slices, by draw; `rest`: it drew from the store as well."""

    __slots__ = ("charges", "draws", "owner", "parts", "rest", "used")

    def __init__(self, draws: Sequence[Draw], owner: str, *, rest: bool) -> None:
        self.draws = draws
        self.owner = owner
        self.parts: list[list[Part]] = []
        self.rest = rest
        self.charges: dict[str, str] = {}  # limit -> id of the reservation that its charges belong to
        self.used: dict[str, int] = {}  # limit -> units that were charged


class SlicedLimits:
    """`SharedLimits` over another. `clock` is µs, the one that `now` comes from."""

    def __init__(
        self,
        remote: SharedLimits,
        *,
        share: float = 0.05,
        everything: bool = False,
        crosses: Callable[[str], bool] = lambda limit: False,
        clock: Callable[[], int] = wall,
    ) -> None:
        self._remote = remote
        self._share = share
        self._everything = everything
        self._crosses = crosses
        self._clock = clock
        self._pool = Pool(self._give_back, lambda slice_: remote.renew(slice_.id))
        self._requests: dict[str, _Request] = {}
        self._fetches: dict[str, Task[StoreDown | None]] = {}  # by cell
        self._sweeper: Task[None] | None = None
        self._name, self._number = token_hex(8), count()

    @property
    def slices(self) -> int:
        """Reservations at the store that this process spends."""
        return len(self._pool.slices)

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str) -> Drawn:
        """All or nothing. Where a sliced limit refuses there are readings of the sliced ones only. Raises StoreDown."""
        crosses, everything = self._crosses, self._everything
        cut: list[Draw] = []
        rest: list[Draw] = []
        for draw in draws:
            sliced = everything and (WORTH * draw.cost <= self._size(draw) or self._pool.holds(draw.key))
            (cut if sliced or crosses(draw.limit) else rest).append(draw)
        if not cut:
            return await self._remote.draw(request, draws, now, owner)
        if request in self._requests:
            raise ValueError("a request draws once")
        mine = _Request(cut, owner, rest=bool(rest))
        drawn = Drawn(True, now)
        ok = False
        try:
            readings = await self._take(mine, now)
            fits = all(reading.ok or reading.shadow for reading in readings)
            if fits and rest:
                drawn = await self._remote.draw(request, rest, now, owner)
            ok = fits and drawn.ok
        finally:
            if ok:
                self._requests[request] = mine
            else:
                for parts in mine.parts:
                    self._pool.use(parts, 0)
        if not ok:  # what each would be answered on its own
            at_rest = [self._pool.cell(draw, self._size(draw), now) for draw in cut]
            readings = [
                cell.reading(draw, now, ok=True) if reading.ok else reading
                for cell, draw, reading in zip(at_rest, cut, readings, strict=True)
            ]
        if drawn.readings:
            answers = {id(draw): reading for draw, reading in zip(rest, drawn.readings, strict=True)}
            answers |= {id(draw): reading for draw, reading in zip(cut, readings, strict=True)}
            readings = [answers[id(draw)] for draw in draws]
        return Drawn(ok, drawn.at, tuple(readings), "valkey")

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """What belongs to slices is charged to a reservation of nothing beside them. Raises StoreDown."""
        mine = self._requests.get(request)
        if mine is None:
            return await self._remote.charge(request, used, now)
        readings: tuple[Reading, ...] = ()
        for draw, parts in zip(mine.draws, mine.parts, strict=True):
            units = used.get(draw.limit, 0)
            if not parts or draw.kind == "lease" or units <= mine.used.get(draw.limit, 0):
                continue
            name = mine.charges.get(draw.limit)
            if name is None:
                name = self._new()
                nothing = replace(draw, cost=0, shadow=False)
                drawn = await self._remote.draw(name, (nothing,), now, self._tag(draw, mine.owner))
                if not drawn.ok:  # in debt already
                    readings += (replace(drawn.readings[0], cost=units, shadow=draw.shadow),)
                    continue
                mine.charges[draw.limit] = name
            mine.used[draw.limit] = units  # whether or not it is answered: the end says it again
            readings += await self._remote.charge(name, {draw.limit: units}, now)
        if mine.rest:
            readings += await self._remote.charge(request, used, now)
        return readings

    def settle(self, request: str, actual: dict[str, int]) -> dict[str, int]:
        """What wasn't used returns to the slices. Never waits."""
        mine = self._requests.pop(request, None)
        if mine is None:
            return self._remote.settle(request, actual)
        changes = self._remote.settle(request, actual) if mine.rest else {}
        for draw, parts in zip(mine.draws, mine.parts, strict=True):
            if not parts:
                continue
            units = draw.cost if draw.kind != "lease" else 0
            if draw.kind != "lease" and draw.limit in actual:
                units = actual[draw.limit]
                changes[draw.limit] = units - draw.cost
                units -= mine.used.get(draw.limit, 0)
            self._pool.use(parts, max(0, units))
        for limit, name in mine.charges.items():
            self._remote.settle(name, {limit: mine.used.get(limit, 0)})
        return changes

    def renew(self, request: str) -> None:
        """Renews the slices that the request draws from, where it is time."""
        mine = self._requests.get(request)
        if mine is None or mine.rest:
            self._remote.renew(request)
        if mine is not None:
            now = self._clock()
            for parts in mine.parts:
                for part in parts:
                    self._pool.keep(part.slice, now)
            for name in mine.charges.values():
                self._remote.renew(name)

    async def owe(self, draw: Draw, units: int, now: int, owner: str) -> None:
        """Charges the store's cell, not a slice. Raises StoreDown where nothing was charged."""
        await self._remote.owe(draw, units, now, self._tag(draw, owner))

    async def hello(self) -> Hello:
        """The store's."""
        return await self._remote.hello()

    async def aclose(self) -> None:
        """Settles every slice at what was spent of it, and closes the store."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait((self._sweeper,))
        if self._fetches:
            await asyncio.wait(self._fetches.values())
        self._pool.clear()
        await self._remote.aclose()

    async def _take(self, mine: _Request, now: int) -> list[Reading]:
        """A reading for each draw, and in `mine.parts` what was taken for it; raises StoreDown."""
        pool, never = self._pool, False
        short: list[tuple[int, int]] = []  # number of a draw, units that are lacking
        for at, draw in enumerate(mine.draws):
            parts: list[Part] = []
            mine.parts.append(parts)
            if draw.cost > draw.capacity or draw.amount <= 0:
                never = never or not draw.shadow
                continue
            lacking = pool.spend(pool.cell(draw, self._size(draw), now), draw, draw.cost, now, parts)
            if lacking or not parts:
                short.append((at, lacking))
        refused: dict[int, Reading] = {}
        if short and not never:
            short = await self._wait(mine, short, now)
            if len(short) == 1:
                await self._lack(mine, *short[0], now, refused)
            elif short:
                asked = [self._lack(mine, at, lacking, now, refused) for at, lacking in short]
                for answer in await asyncio.gather(*asked, return_exceptions=True):
                    if answer is not None:
                        raise answer
        readings = []
        for at, draw in enumerate(mine.draws):
            possible = draw.cost <= draw.capacity and draw.amount > 0
            reading = refused.get(at)
            readings.append(reading or pool.cell(draw, self._size(draw), now).reading(draw, now, ok=possible))
        return readings

    async def _wait(self, mine: _Request, short: list[tuple[int, int]], now: int) -> list[tuple[int, int]]:
        """Waits for slices, others' or its own; returns what is lacking then."""
        pool = self._pool
        for _ in range(TURNS):
            fetches = set()
            for at, lacking in short:
                draw = mine.draws[at]
                size, fetch = self._size(draw), self._fetches.get(draw.key)
                if fetch is None and lacking < size and pool.cell(draw, size, now).scant <= now:
                    fetch = self._begin(draw, size, now, mine.owner)
                if fetch is not None:
                    fetches.add(fetch)
            if not fetches:
                break
            await asyncio.wait(fetches)
            for fetch in fetches:
                down = fetch.result()
                if down is not None:
                    raise StoreDown(str(down), down.kind)
            now = max(now, self._clock())
            still = []
            for at, lacking in short:
                draw, parts = mine.draws[at], mine.parts[at]
                lacking = pool.spend(pool.cell(draw, self._size(draw), now), draw, lacking, now, parts)
                if lacking or not parts:
                    still.append((at, lacking))
            short = still
            if not short:
                break
        return short

    def _begin(self, draw: Draw, size: int, now: int, owner: str) -> Task[StoreDown | None]:
        task = asyncio.get_running_loop().create_task(self._fetch(draw, size, now, owner))
        self._fetches[draw.key] = task
        return task

    async def _fetch(self, draw: Draw, size: int, now: int, owner: str) -> StoreDown | None:
        """A slice, or its slots, for whoever is there first; a StoreDown is for all who wait."""
        try:
            if draw.kind == "lease":
                slots = [self._ask(draw, 1, now, owner) for _ in range(size)]
                answers = await asyncio.gather(*slots, return_exceptions=True)
                for answer in answers:
                    if isinstance(answer, StoreDown):
                        return answer
                    if isinstance(answer, BaseException):
                        raise answer
            else:
                await self._ask(draw, size, now, owner)
        except StoreDown as down:
            return down
        finally:
            del self._fetches[draw.key]
        return None

    async def _lack(self, mine: _Request, at: int, lacking: int, now: int, refused: dict[int, Reading]) -> None:
        """Takes just what one draw lacks; where that is refused, nothing is kept for it."""
        draw, parts = mine.draws[at], mine.parts[at]
        reading = await self._ask(draw, lacking, now, mine.owner, parts)
        if not reading.ok:
            left = min(draw.capacity, reading.left + draw.cost - lacking)
            refused[at] = replace(reading, cost=draw.cost, left=left, shadow=draw.shadow)
            self._pool.use(parts, 0)
            parts.clear()

    async def _ask(self, draw: Draw, units: int, now: int, owner: str, parts: list[Part] | None = None) -> Reading:
        """Reserves units at the store: for one draw (`parts`), or for all."""
        name, size = self._new(), self._size(draw)
        asked = replace(draw, cost=units, shadow=False)
        reading = (await self._remote.draw(name, (asked,), now, self._tag(draw, owner))).readings[0]
        cell = self._pool.cell(draw, size, now)
        cell.hear(reading, now)
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())
        if reading.ok:
            slice_ = Slice(name, asked, now)
            if parts is not None:
                parts.append(Part(slice_, units))
            self._pool.add(cell, slice_)
        elif parts is None:
            cell.scant = now + SCANT
        return reading

    async def _sweep(self) -> None:
        while self._pool:
            await asyncio.sleep(SWEEP)
            self._pool.sweep(self._clock() - IDLE)

    def _give_back(self, slice_: Slice) -> None:
        draw = slice_.draw
        self._remote.settle(slice_.id, {} if draw.kind == "lease" else {draw.limit: slice_.spent})

    def _size(self, draw: Draw) -> int:
        size = max(1, int(draw.capacity * self._share))
        if draw.kind == "rate":
            return size if size * draw.period >= LEAST * draw.amount else 1
        return min(size, SLOTS) if draw.kind == "lease" else size

    def _tag(self, draw: Draw, owner: str) -> str:
        """Whose script the cell is drawn in: a cell of several owners is its own."""
        return draw.key if self._crosses(draw.limit) else owner

    def _new(self) -> str:
        return f"{self._name}-{next(self._number)}"
