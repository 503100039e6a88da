"""Limits in a shared store through the interfaces of the `limits` library."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from limits import RateLimitItemPerHour
from limits.aio.strategies import FixedWindowRateLimiter
from limits.storage import storage_from_string

from gateway.errors import Mistake, StoreDown
from gateway.stores.limits_api import GcraRateLimiter, rate_of
from gateway.stores.valkey.limits_api import GaugerValkeyStorage
from tests.stores.valkey.servers import Server


@asynccontextmanager
async def storage_of(server: Server) -> AsyncIterator[GaugerValkeyStorage]:
    made = storage_from_string(f"async+gauger+{server.uri}", timeout=5.0)
    assert isinstance(made, GaugerValkeyStorage)
    try:
        yield made
    finally:
        await made.aclose()


async def test_two_processes_share_a_limit(server: Server) -> None:
    async with storage_of(server) as here, storage_of(server) as there:
        item = rate_of("100/hour")
        one, other = GcraRateLimiter(here), GcraRateLimiter(there)
        assert await one.hit(item, "a", cost=60)
        assert not await other.hit(item, "a", cost=60)
        assert (await other.get_window_stats(item, "a")).remaining == 40
        assert await other.test(item, "a", cost=40)
        assert await other.hit(item, "b", cost=100)
        answers = await asyncio.gather(*(limiter.hit(item, "a") for limiter in (one, other) for _ in range(40)))
        assert sum(answers) == 40
        await one.clear(item, "a")
        assert await other.hit(item, "a", cost=100)
        assert all(server.ask("PTTL", key) > 0 for key in server.ask("KEYS", "*"))


async def test_the_shipped_fixed_window_counts_here(server: Server) -> None:
    async with storage_of(server) as here, storage_of(server) as there:
        item = RateLimitItemPerHour(3)
        limiters = FixedWindowRateLimiter(here), FixedWindowRateLimiter(there)
        assert [await limiters[turn % 2].hit(item, "a") for turn in range(5)] == [True] * 3 + [False] * 2
        stats = await limiters[0].get_window_stats(item, "a")
        assert stats.remaining == 0
        assert await here.get(item.key_for("a")) == 5
        assert 3_590 < stats.reset_time - await here.get_expiry("nothing") <= 3_600
        await limiters[0].clear(item, "a")
        assert await limiters[1].hit(item, "a")


async def test_a_store_that_is_away(server: Server) -> None:
    async with storage_of(server) as here:
        assert await here.check()
        server.kill()
        async with asyncio.timeout(10):
            while await here.check():
                await asyncio.sleep(0.01)
        with pytest.raises(StoreDown):
            await GcraRateLimiter(here).hit(rate_of("1/hour"), "a")
        with pytest.raises(NotImplementedError):
            await here.reset()
    with pytest.raises(Mistake):
        storage_from_string("async+gauger+valkey://")
