"""Shares of limits that are spent in a process: how often the store is asked, and what it gets back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.errors import StoreDown
from gateway.quotas import Draw
from gateway.stores.valkey import pool as pooling
from tests.stores.valkey.fakes import DAY, MINUTE, SECOND, START, eventually
from tests.stores.valkey.sliced import Make, idle, quota, rate, slicers, slot


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with slicers() as build:
        yield build


async def test_a_slice_serves_many_requests(make: Make) -> None:
    limits, client = make()
    for n in range(50):
        drawn = await limits.draw(str(n), (rate(), quota()), START, "org")
        assert drawn.ok and drawn.store == "valkey"
        assert [r.left for r in drawn.readings] == [999 - n, 999 - n]
    assert client.calls["draw"] == 2
    assert client.owners == ["org", "org"]
    for n in range(50):
        assert limits.settle(str(n), {"rate": 1}) == {"rate": 0}
    assert limits.settle("0", {"rate": 1}) == {}


async def test_what_is_not_spent_returns_when_nobody_draws_any_longer(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (rate(10), quota(10)), START, "")
    assert client.store.left(quota()) == 950
    limits.settle("r", {"daily": 4, "rate": 4})
    idle(client)
    await eventually(lambda: not limits.slices)
    assert sorted(units for _, actual in client.settled for units in actual.values()) == [4, 4]
    assert client.store.left(quota()) == 996


async def test_a_slice_stays_as_long_as_a_request_that_draws_from_it(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10),), START, "")
    idle(client)
    await asyncio.sleep(0.01)
    assert limits.slices == 1
    limits.settle("r", {"daily": 3})
    assert (limits.slices, client.settled[0][1], client.store.left(quota())) == (0, {"daily": 3}, 997)


async def test_an_overrun_is_taken_from_the_slice_and_what_is_beyond_it_is_told(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10),), START, "")
    limits.settle("r", {"daily": 30})
    assert (await limits.draw("s", (quota(20),), START, "")).readings[0].left == 950
    assert client.calls["draw"] == 1
    limits.settle("s", {"daily": 70})
    assert (client.settled[0][1], client.store.left(quota())) == ({"daily": 100}, 900)


async def test_what_returns_to_a_slice_is_spent_again_and_little_is_kept(make: Make) -> None:
    limits, client = make()
    for n in range(20):
        await limits.draw(str(n), (quota(50),), START, "")
    assert not (await limits.draw("more", (quota(50),), START, "")).ok
    assert client.store.left(quota()) == 0
    for n in range(20):
        limits.settle(str(n), {"daily": 20})
    assert client.store.left(quota()) >= 550
    for n in range(12):
        assert (await limits.draw(f"again {n}", (quota(50),), START, "")).ok
    assert not (await limits.draw("again", (quota(50),), START, "")).ok


async def test_where_less_than_a_slice_is_left_just_what_is_lacking_is_asked_for(make: Make) -> None:
    limits, client = make()
    client.store.limits.take((quota(970),), START)
    assert (await limits.draw("r", (quota(7),), START, "")).ok
    assert client.calls["draw"] == 2
    assert client.store.left(quota()) == 23
    assert (await limits.draw("s", (quota(3),), START, "")).readings[0].left == 20
    assert client.calls["draw"] == 3
    refused = await limits.draw("t", (quota(21),), START, "")
    assert not refused.ok
    assert (refused.readings[0].left, refused.readings[0].cost, refused.readings[0].wait) == (20, 21, DAY)
    assert client.calls["draw"] == 4


async def test_what_is_held_here_and_what_the_store_has_left_make_one_draw(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(20),), START, "")  # 30 are left of the slice
    client.store.limits.take((quota(930),), START)
    assert (await limits.draw("s", (quota(45),), START, "")).ok
    refused = await limits.draw("t", (quota(10),), START, "")
    assert (refused.ok, refused.readings[0].left) == (False, 5)
    assert (await limits.draw("u", (quota(5),), START, "")).ok


async def test_a_request_that_never_fits_is_not_asked_for(make: Make) -> None:
    limits, client = make(crosses=lambda limit: True)
    refused = await limits.draw("r", (quota(1001), rate()), START, "")
    assert [(r.ok, r.wait) for r in refused.readings] == [(False, -1), (True, 0)]
    assert not client.calls


async def test_many_who_need_a_slice_wait_for_one(make: Make) -> None:
    limits, client = make()
    drawn = await asyncio.gather(*(limits.draw(str(n), (quota(),), START, "") for n in range(40)))
    assert all(each.ok for each in drawn)
    assert client.calls["draw"] == 1


async def test_a_rate_is_spent_within_the_time_in_which_it_refills(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (rate(),), START, "")  # a slice of 50: three seconds
    limits.settle("r", {})
    await limits.draw("s", (rate(),), START + 3 * SECOND - 1, "")
    assert client.calls["draw"] == 1
    limits.settle("s", {})
    client.store.now += 3 * SECOND
    assert (await limits.draw("t", (rate(),), client.store.now, "")).ok
    assert client.calls["draw"] == 2


async def test_a_quota_of_today_is_not_spent_tomorrow(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(),), START, "")
    client.store.now += DAY
    drawn = await limits.draw("s", (quota(day=1),), START + DAY, "")
    assert drawn.ok and client.calls["draw"] == 2
    assert client.store.left(quota(day=1)) == 950
    limits.settle("r", {"daily": 1})
    assert client.store.left(quota(day=1)) == 950


async def test_a_store_that_is_away_is_everybodys_who_waits(make: Make) -> None:
    limits, client = make()
    client.trouble = "timeout"
    answers = await asyncio.gather(
        *(limits.draw(str(n), (quota(), rate(), slot()), START, "") for n in range(9)), return_exceptions=True
    )
    assert {(type(each), getattr(each, "kind", "")) for each in answers} == {(StoreDown, "timeout")}
    assert limits.slices == 0
    client.trouble = None
    assert (await limits.draw("r", (quota(), rate(), slot()), START, "")).ok


async def test_a_request_that_is_given_up_gives_its_part_back(make: Make) -> None:
    limits, client = make(everything=False, crosses=lambda limit: limit == "daily")
    await limits.draw("r", (quota(),), START, "")
    client.pause = asyncio.Event()
    task = asyncio.create_task(limits.draw("s", (quota(40), rate()), START, ""))
    await eventually(lambda: client.calls["draw"] == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    client.pause = None
    limits.settle("r", {})
    assert (await limits.draw("t", (quota(49),), START, "")).ok
    assert client.calls["draw"] == 2


async def test_a_request_draws_once(make: Make) -> None:
    limits, _ = make()
    await limits.draw("r", (quota(),), START, "")
    with pytest.raises(ValueError, match="draws once"):
        await limits.draw("r", (quota(),), START, "")


async def test_a_draw_of_nothing_takes_part_all_the_same(make: Make) -> None:
    limits, client = make()
    assert (await limits.draw("r", (quota(0),), START, "")).ok
    limits.settle("r", {"daily": 8})
    idle(client)
    await eventually(lambda: not limits.slices)
    assert client.store.left(quota()) == 992


async def test_limits_that_are_too_small_for_slices_are_drawn_in_one_call(make: Make) -> None:
    limits, client = make()
    for n in range(3):
        drawn = await limits.draw(str(n), (slot(4), quota(5, "small", 30), rate(900)), START, "org")
        assert [r.ok for r in drawn.readings] == [True, True, n == 0]
    assert (client.calls["draw"], limits.slices) == (3, 0)
    assert limits.settle("0", {"rate": 1, "daily": 2}) == {"rate": -899, "daily": -3}
    assert client.store.limits.leases == 0


async def test_of_too_many_cells_the_longest_unused_is_given_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "CELLS", 3)
    limits, client = make()
    for key in "abcde":
        await limits.draw(key, (quota(key=key),), START, "")
        limits.settle(key, {"daily": 1})
    assert (limits.slices, client.store.left(quota())) == (3, 999)


async def test_a_slice_that_aged_on_its_way_is_not_spent(make: Make) -> None:
    limits, client = make()
    client.pause = asyncio.Event()
    task = asyncio.create_task(limits.draw("s", (rate(),), START, ""))
    await eventually(lambda: client.calls["draw"] == 1)
    client.store.now += MINUTE
    client.pause.set()
    assert (await task).ok
    assert client.calls["draw"] == 2


async def test_a_slice_that_would_be_gone_at_once_is_not_taken(make: Make) -> None:
    limits, client = make()
    fast = Draw("fast", "fast|a", "rate", "requests", 100_000, SECOND, 1000, 1)
    for n in range(3):
        assert (await limits.draw(str(n), (fast,), START, "")).ok
    assert (client.calls["draw"], limits.slices) == (3, 0)
