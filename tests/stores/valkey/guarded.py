"""The guard over a store in memory, and a draw of each kind."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from gateway.quotas import Draw
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey.guard import GuardedLimits
from tests.stores.valkey.fakes import DAY, MINUTE, SECOND, START, Client, Heard, Store

__all__ = ["DAILY", "LIVE", "RATE", "TOKENS", "Made", "Make", "guards"]

RATE = Draw("rate", "rate|a", "rate", "requests", 60, MINUTE, 60, 1)
TOKENS = Draw("tokens", "tokens|a", "rate", "tokens.output", 60, MINUTE, 60, 20)
DAILY = Draw("daily", "daily|a", "quota", "tokens.total", 100, DAY, 100, 10, START)
LIVE = Draw("live", "live|a", "lease", "concurrent", 4, 900 * SECOND, 4, 1)

Made = tuple[GuardedLimits, Client, Heard]
Make = Callable[..., Made]


@contextlib.asynccontextmanager
async def guards() -> AsyncIterator[Make]:
    """Makes guards, each over a client of the given store, and closes them."""
    made: list[GuardedLimits] = []

    def build(store: Store | None = None, **given: Any) -> Made:
        client, log = Client(store or Store()), Heard()
        settings: dict[str, Any] = {"beat": 3600.0, "probe": (0.001, 0.002), "spread": 0.0} | given
        guard = GuardedLimits(client, MemoryLimits(), log=log, clock=lambda: client.store.now, **settings)
        made.append(guard)
        return guard, client, log

    yield build
    for guard in made:
        await guard.aclose()
