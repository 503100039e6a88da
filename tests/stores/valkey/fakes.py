"""A shared store in memory with the methods of `SharedLimits`: it counts exactly, by a clock of its own.

store = Store()                         # .now in µs; .limits is what it holds; .wipe() empties it
client = Client(store)                  # of one process
client.trouble = "timeout"              # every call raises StoreDown of that kind; None = it answers
client.waits, client.calls              # calls that waited for a time-out; scripts that reached the store
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace

from gateway.errors import Down, StoreDown
from gateway.quotas import Draw, Drawn, Reading
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey import Hello
from gateway.stores.valkey.guard import GuardedLimits
from gateway.stores.valkey.slices import SlicedLimits

__all__ = ["DAY", "MINUTE", "SECOND", "START", "Client", "Heard", "Sliced", "Store", "away", "eventually"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 20_000 * DAY


class Store:
    def __init__(self) -> None:
        self.now = START
        self.limits = MemoryLimits()
        self.processes = 1
        self._epochs = count(1)
        self.epoch = ""

    def wipe(self) -> None:
        """It came back without its memory."""
        self.limits = MemoryLimits()
        self.epoch = ""

    def hello(self) -> Hello:
        fresh = not self.epoch
        self.epoch = self.epoch or f"e{next(self._epochs)}"
        return Hello(self.epoch, self.now, self.processes, fresh)

    def left(self, draw: Draw) -> int:
        return self.limits.peek((draw,), self.now)[0].left


class Client:
    """What `RemoteLimits` does, without a socket. `pause`: an event that calls wait for, if any."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.trouble: Down | None = None
        self.pause: asyncio.Event | None = None
        self.waits = 0
        self.calls: Counter[str] = Counter()
        self.settled: list[tuple[str, dict[str, int]]] = []
        self.renewed: list[str] = []
        self.owed: list[tuple[str, int, str]] = []
        self.owners: list[str] = []
        self.open: dict[str, tuple[Draw, ...]] = {}
        self.queue: list[tuple[str, dict[str, int]]] = []
        self.closed = False

    async def _ask(self, what: str) -> None:
        self.calls[what] += 1
        await asyncio.sleep(0)
        if self.pause is not None:
            await self.pause.wait()
        if self.trouble is not None:
            self.waits += self.trouble == "timeout"
            raise StoreDown("it is away", self.trouble)
        for request, actual in self.queue:
            self.store.limits.give(request, actual, self.store.now)
        self.queue.clear()

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str) -> Drawn:
        self.owners.append(owner)
        await self._ask("draw")
        drawn = await self.store.limits.draw(request, draws, self.store.now)
        if drawn.ok:
            self.open[request] = tuple(draws)
        return replace(drawn, store="valkey")

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        await self._ask("charge")
        return self.store.limits.add(request, used, self.store.now)

    def settle(self, request: str, actual: dict[str, int]) -> dict[str, int]:
        draws = self.open.pop(request, None)
        if draws is None:
            return {}
        self.settled.append((request, actual))
        self.queue.append((request, actual))
        if self.trouble is None:
            for name, units in self.queue:
                self.store.limits.give(name, units, self.store.now)
            self.queue.clear()
        return {d.limit: actual[d.limit] - d.cost for d in draws if d.kind != "lease" and d.limit in actual}

    def renew(self, request: str) -> None:
        self.renewed.append(request)
        self.store.limits.keep(request, self.store.now)

    async def owe(self, draw: Draw, units: int, now: int, owner: str) -> None:
        await self._ask("owe")
        name = f"owed-{len(self.owed)}"
        await self.store.limits.draw(name, (replace(draw, cost=0),), self.store.now)
        self.store.limits.add(name, {draw.limit: units}, self.store.now)
        self.store.limits.give(name, {}, self.store.now)
        self.owed.append((draw.key, units, owner))

    async def hello(self) -> Hello:
        await self._ask("hello")
        return self.store.hello()

    async def aclose(self) -> None:
        self.closed = True


def away() -> GuardedLimits:
    """What holds in one process while the store is away."""
    client = Client(Store())
    client.trouble = "refused"
    return GuardedLimits(client, MemoryLimits(), probe=(3600.0, 3600.0))


class Sliced(GuardedLimits):
    """Everything is sliced, and `now` is the store's time."""

    def __init__(self) -> None:
        self.store = Store()
        self.slices = SlicedLimits(Client(self.store), share=0.2, everything=True, clock=lambda: self.store.now)
        super().__init__(self.slices, MemoryLimits(), clock=lambda: self.store.now)

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str = "") -> Drawn:
        self.store.now = max(now, self.store.now)
        return await super().draw(request, draws, self.store.now, owner)

    async def renew(self, request: str, now: int) -> None:
        self.store.now = max(now, self.store.now)
        await super().renew(request, now)


class Heard:
    """A log that remembers."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def info(self, event: str, /, *args: object, **fields: object) -> None:
        self.events.append(event)

    warning = error = exception = info


async def eventually(true: object, turns: int = 10_000) -> None:
    """Gives the loop turns until a condition (a function) is true."""
    assert callable(true)
    for _ in range(turns):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("this never came true")
