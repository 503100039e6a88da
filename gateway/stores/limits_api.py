"""Shell. Our limits behind the interfaces of the `limits` library: an item, a storage, a strategy.

What is written for `limits` (an extension of a web framework, an operator's own guard) uses our storage by its URI,
`async+gauger://`, and our strategy in place of a shipped one. The shape is the library's own: `GcraSupport` stands
beside its `MovingWindowSupport`, and the shipped `FixedWindowRateLimiter` works on `GaugerStorage` as it is.

The shipped storage and strategies are not on the data path, for reasons measured with version 5.8.0: limits are hit
one after another, so a request refused by the second has spent the first; a fixed window charges what it refuses, a
moving window keeps an entry a token, and neither can give back (a negative cost restarts the one, is ignored by the
other); any hit in memory may walk all keys (4.2 ms for six limits at 132,000 counters, against 20 µs here); no clock
can be given.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from time import time_ns
from typing import Any

from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.strategies import RateLimiter
from limits.limits import Granularity, safe_string
from limits.util import WindowStats

from gateway.quotas import Draw, Reading
from gateway.stores.memory import MemoryLimits

__all__ = ["GaugerItem", "GaugerStorage", "GcraRateLimiter", "GcraSupport", "draw_of", "rate_of"]

MICROSECONDS = 1_000_000
PER = {
    "second": Granularity(1, "second"),
    "minute": Granularity(60, "minute"),
    "hour": Granularity(3600, "hour"),
    "day": Granularity(86_400, "day"),
}

Clock = Callable[[], int]


class GaugerItem(RateLimitItem):
    """`amount` units in `multiples` of `per` (second, minute, hour, day), of which `burst` may come at once.

    Unlike the shipped items' its key holds no amount, so that a changed limit keeps its state, and every part has its
    length before it, so that no two callers share a cell: `("a/b", "c")` is not `("a", "b/c")`. A `burst` of None is
    the amount. Raises ValueError for a period that isn't known, and for an amount or burst below 1.
    """

    __slots__ = ["GRANULARITY", "burst"]

    def __init__(
        self,
        amount: int,
        per: str = "minute",
        multiples: int | None = 1,
        namespace: str = "gauger",
        burst: int | None = None,
    ) -> None:
        super().__init__(amount, multiples, namespace)
        if per not in PER:
            raise ValueError(f"a period is one of {', '.join(PER)}")
        self.GRANULARITY = PER[per]  # type: ignore[misc]  # of the instance: a class that has it enters the registry
        self.burst = self.amount if burst is None else int(burst)
        if self.amount < 1 or self.burst < 1:
            raise ValueError("an amount and a burst are at least 1")

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """The cell: namespace, period and identifiers, each with its length in characters before it."""
        period = f"{self.multiples}{self.GRANULARITY.name}"
        parts = [self.namespace, period, *map(safe_string, identifiers)]
        return "|".join(f"{len(part)}:{part}" for part in parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaugerItem) and self.burst == other.burst and super().__eq__(other)

    def __hash__(self) -> int:
        return hash((self.namespace, self.amount, self.multiples, self.GRANULARITY, self.burst))


def rate_of(text: str, *, namespace: str = "gauger", burst: int | None = None) -> GaugerItem:
    """`600/minute`, `10 per 5 seconds`: the library's notation, by its own parser, as a `GaugerItem`.

    Raises ValueError for what that parser doesn't read, and for months and years: those are calendar quotas.
    """
    item = parse(text)
    return GaugerItem(item.amount, item.GRANULARITY.name, item.multiples, namespace, burst)


class GcraSupport(ABC):
    """What a storage offers to `GcraRateLimiter`."""

    @abstractmethod
    async def acquire_gcra(self, key: str, limit: int, expiry: int, burst: int, amount: int = 1) -> bool:
        """Draws `amount` units of `limit` in `expiry` seconds; True where they fit, and else nothing is drawn."""

    @abstractmethod
    async def get_gcra(self, key: str, limit: int, expiry: int, burst: int) -> tuple[float, int]:
        """(Unix time in seconds at which the cell is full again, units that are left); draws nothing."""


class GaugerStorage(Storage, GcraSupport):
    """`MemoryLimits` as an asynchronous storage of the `limits` library, registered as `async+gauger://`.

    `clock` gives µs since the epoch. With a `ledger` the storage shares the cells of the gateway (its keys begin
    with a length, the gateway's with a limit's id), without one it has its own, bounded by `max_cells`.
    """

    STORAGE_SCHEME = ["async+gauger"]

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        ledger: MemoryLimits | None = None,
        clock: Clock | None = None,
        max_cells: int = 100_000,
        **options: float | str | bool,
    ) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self._shared = ledger is not None
        self.ledger = ledger if ledger is not None else MemoryLimits(max_cells)
        self._clock: Clock = clock if clock is not None else lambda: time_ns() // 1000

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return ValueError

    async def acquire_gcra(self, key: str, limit: int, expiry: int, burst: int, amount: int = 1) -> bool:
        return self.ledger.take((draw_of(key, limit, expiry, burst, amount),), self._clock()).ok

    async def get_gcra(self, key: str, limit: int, expiry: int, burst: int) -> tuple[float, int]:
        now = self._clock()
        reading = self._peek(draw_of(key, limit, expiry, burst, 0), now)
        return (now + reading.reset) / MICROSECONDS, reading.left

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Adds to a window that opens with its first hit; the shipped fixed window counts so."""
        return self.ledger.count(key, amount, expiry * MICROSECONDS, self._clock())[0]

    async def get(self, key: str) -> int:
        return self.ledger.counted(key, self._clock())[0]

    async def get_expiry(self, key: str) -> float:
        """Unix time in seconds at which the window of `incr` ends; the present where none is open."""
        now = self._clock()
        return (self.ledger.counted(key, now)[1] or now) / MICROSECONDS

    async def check(self) -> bool:
        return True

    async def reset(self) -> int | None:
        """Forgets everything. NotImplementedError for a shared ledger: the gateway's own limits would go with it."""
        if self._shared:
            raise NotImplementedError("a shared ledger is not reset from here")
        return self.ledger.reset()

    async def clear(self, key: str) -> None:
        self.ledger.clear(key)

    def _peek(self, draw: Draw, now: int) -> Reading:
        return self.ledger.peek((draw,), now)[0]


class GcraRateLimiter(RateLimiter):
    """The strategy of the gateway for one limit at a time. Takes any item; the burst of a shipped one is its amount."""

    storage: Any

    def __init__(self, storage: GcraSupport) -> None:
        if not isinstance(storage, GcraSupport):
            raise NotImplementedError(f"GCRA is not implemented for storage of type {type(storage).__name__}")
        super().__init__(storage)  # type: ignore[arg-type]  # a Storage as well; the base asserts it

    async def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Draws `cost` units; True where they fit. A refusal draws nothing."""
        fits: bool = await self.storage.acquire_gcra(item.key_for(*identifiers), *_terms(item), cost)
        return fits

    async def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        """Whether `hit` would be True now."""
        return (await self.get_window_stats(item, *identifiers)).remaining >= cost

    async def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """(Unix time in seconds at which nothing is owed any more, units left)."""
        return WindowStats(*await self.storage.get_gcra(item.key_for(*identifiers), *_terms(item)))


def _terms(item: RateLimitItem) -> tuple[int, int, int]:
    return item.amount, item.get_expiry(), item.burst if isinstance(item, GaugerItem) else item.amount


def draw_of(key: str, limit: int, expiry: int, burst: int, cost: int) -> Draw:
    """What the library asks for, in our terms. Raises ValueError for a cost below 0."""
    if cost < 0:
        raise ValueError("a cost is not negative: GCRA gives nothing back without knowing when it was drawn")
    return Draw("limits", key, "rate", "requests", limit, expiry * MICROSECONDS, burst, cost)
