"""Our limits through the interfaces of the `limits` library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter
from limits.limits import GRANULARITIES
from limits.storage import storage_from_string

from gateway.quotas import Draw
from gateway.stores.limits_api import GaugerItem, GaugerStorage, GcraRateLimiter, rate_of
from gateway.stores.memory import MemoryLimits

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def test_the_library_finds_our_storage_by_its_uri() -> None:
    storage = storage_from_string("async+gauger://", max_cells=7)
    assert isinstance(storage, GaugerStorage)
    assert isinstance(storage, Storage)
    assert storage.ledger.max_cells == 7
    assert isinstance(GcraRateLimiter(storage), RateLimiter)


def test_our_item_does_not_enter_the_register_of_notations() -> None:
    assert GaugerItem not in GRANULARITIES.values()
    assert len(GRANULARITIES) == 6


async def test_a_limiter_refuses_what_does_not_fit_and_draws_nothing_for_it() -> None:
    clock = Clock()
    limiter, item = GcraRateLimiter(GaugerStorage(clock=clock)), rate_of("100/minute")
    assert await limiter.hit(item, "a", cost=60)
    assert not await limiter.hit(item, "a", cost=60)
    assert (await limiter.get_window_stats(item, "a")).remaining == 40
    assert await limiter.test(item, "a", cost=40)
    assert not await limiter.test(item, "a", cost=41)
    clock.now += 12 * SECOND
    assert await limiter.hit(item, "a", cost=60)
    assert await limiter.get_window_stats(item, "a") == (START / SECOND + 72, 0)
    assert await limiter.hit(item, "b", cost=100)
    await limiter.clear(item, "a")
    assert (await limiter.get_window_stats(item, "a")).remaining == 100


async def test_a_burst_bounds_what_comes_at_once() -> None:
    limiter, item = GcraRateLimiter(GaugerStorage(clock=Clock())), rate_of("600/minute", burst=20)
    assert [await limiter.hit(item, "a") for _ in range(21)] == [True] * 20 + [False]


async def test_a_shipped_item_works_with_our_strategy() -> None:
    limiter, item = GcraRateLimiter(GaugerStorage(clock=Clock())), RateLimitItemPerMinute(3)
    assert [await limiter.hit(item, "a") for _ in range(4)] == [True, True, True, False]


async def test_the_shipped_fixed_window_works_on_our_storage() -> None:
    clock = Clock()
    limiter, item = FixedWindowRateLimiter(GaugerStorage(clock=clock)), rate_of("3 per 2 minutes")
    assert [await limiter.hit(item, "a") for _ in range(4)] == [True, True, True, False]
    assert await limiter.get_window_stats(item, "a") == (START / SECOND + 120, 0)
    clock.now += 120 * SECOND
    assert await limiter.test(item, "a")
    assert await limiter.hit(item, "a")
    await limiter.clear(item, "a")
    assert (await limiter.get_window_stats(item, "a")).remaining == 3


def test_strategies_and_storages_that_do_not_fit_say_so() -> None:
    with pytest.raises(NotImplementedError):
        MovingWindowRateLimiter(GaugerStorage())
    with pytest.raises(NotImplementedError):
        GcraRateLimiter(MemoryStorage())  # type: ignore[arg-type]


async def test_a_changed_amount_keeps_the_state() -> None:
    limiter = GcraRateLimiter(GaugerStorage(clock=Clock()))
    assert await limiter.hit(rate_of("100/minute"), "a", cost=50)
    assert (await limiter.get_window_stats(rate_of("110/minute"), "a")).remaining == 55  # half of it, as before


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_two_lists_of_identifiers_never_share_a_cell(one: list[str], other: list[str]) -> None:
    item = rate_of("1/second")
    assert (item.key_for(*one) == item.key_for(*other)) == (one == other)


def test_items_are_equal_by_what_they_allow() -> None:
    assert rate_of("60/minute") == GaugerItem(60, "minute")
    assert hash(rate_of("60/minute")) == hash(GaugerItem(60, "minute"))
    assert rate_of("60/minute") != rate_of("60/minute", burst=5)
    assert rate_of("10 per 5 seconds").get_expiry() == 5


@pytest.mark.parametrize("text", ["fast", "0/minute", "5/month", "60 tokens/min"])
def test_a_rate_that_cannot_be_meant_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        rate_of(text)


async def test_a_negative_cost_is_refused_loudly() -> None:
    with pytest.raises(ValueError, match="negative"):
        await GcraRateLimiter(GaugerStorage(clock=Clock())).hit(rate_of("60/minute"), "a", cost=-1)


async def test_a_shared_ledger_counts_for_both_and_is_not_reset_from_here() -> None:
    ledger = MemoryLimits()
    storage = GaugerStorage(ledger=ledger, clock=Clock())
    await GcraRateLimiter(storage).hit(rate_of("60/minute"), "a")
    await ledger.draw("r", (Draw("x", "x|1:a", "rate", "requests", 60, 60 * SECOND, 60, 1),), START)
    assert ledger.cells == 2
    with pytest.raises(NotImplementedError):
        await storage.reset()
    own = GaugerStorage(clock=Clock())
    await GcraRateLimiter(own).hit(rate_of("60/minute"), "a")
    assert await own.reset() == 1
    assert await own.check()
    assert own.ledger.cells == 0
