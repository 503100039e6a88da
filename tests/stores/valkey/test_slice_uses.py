"""Slices of slots, of limits that cross owners, of sessions that are charged; and what is left of them at the end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.errors import StoreDown
from gateway.quotas import Draw, Reading
from tests.stores.valkey.fakes import SECOND, START, Store, eventually
from tests.stores.valkey.sliced import Make, idle, quota, rate, slicers, slot


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with slicers() as build:
        yield build


async def test_many_more_than_a_slice_holds_ask_for_themselves_in_the_end(make: Make) -> None:
    limits, client = make()
    drawn = await asyncio.gather(*(limits.draw(str(n), (quota(),), START, "") for n in range(1100)))
    assert sum(each.ok for each in drawn) == 1000
    assert client.store.left(quota()) == 0


async def test_slots_come_and_go_in_slices(make: Make) -> None:
    limits, client = make()
    assert (await limits.draw("r", (slot(),), START, "")).readings[0].left == 39
    assert (client.calls["draw"], client.store.limits.leases) == (2, 2)
    await limits.draw("s", (slot(),), START, "")
    assert client.calls["draw"] == 2
    assert limits.settle("r", {}) == limits.settle("s", {}) == {}
    await limits.draw("t", (slot(),), START, "")
    assert client.calls["draw"] == 2
    limits.settle("t", {})
    idle(client)
    await eventually(lambda: not limits.slices)
    assert client.store.limits.leases == 0


@pytest.mark.parametrize("before", [rate(), quota()])
async def test_units_of_another_kind_are_no_slots(make: Make, before: Draw) -> None:
    """A limit was changed, and kept its id."""
    limits, client = make()
    await limits.draw("r", (replace(before, limit=slot().limit, key=slot().key),), START, "")
    await limits.draw("s", (slot(),), START, "")
    assert client.store.limits.leases == 2


async def test_never_more_slots_than_there_are(make: Make) -> None:
    store = Store()
    both = [make(store)[0] for _ in range(2)]
    passed = [n for n in range(60) if (await both[n % 2].draw(str(n), (slot(),), START, "")).ok]
    assert len(passed) == 40 and store.limits.leases == 40
    for n in passed:
        both[n % 2].settle(str(n), {})
    assert store.limits.leases <= 4


async def test_a_slot_in_use_is_renewed_with_its_request(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (slot(), quota()), START, "")
    for _ in range(20):
        client.store.now += 200 * SECOND
        limits.renew("r")
        client.store.limits.take((rate(),), client.store.now)
    await eventually(lambda: limits.slices == 2)  # the other slot was idle
    assert 10 <= len(client.renewed) <= 30
    limits.settle("r", {})
    assert client.store.limits.leases == 0


async def test_only_limits_that_cross_owners_are_sliced_by_default(make: Make) -> None:
    limits, client = make(everything=False, crosses=lambda limit: limit == "daily")
    for n in range(10):
        drawn = await limits.draw(str(n), (rate(), quota(key="model")), START, "org")
        assert [r.limit for r in drawn.readings] == ["rate", "daily"]
    assert client.calls["draw"] == 11
    assert client.owners == ["daily|model", *["org"] * 10]
    assert limits.settle("0", {"rate": 0, "daily": 0}) == {"rate": -1, "daily": -1}
    assert client.store.left(rate()) == 991
    await limits.draw("plain", (rate(),), START, "org")
    limits.renew("plain")
    assert client.renewed == ["plain"]
    assert limits.settle("plain", {}) == {}


async def test_a_refusal_of_the_rest_gives_back_what_was_taken_here(make: Make) -> None:
    limits, client = make(everything=False, crosses=lambda limit: limit == "daily")
    refused = await limits.draw("r", (quota(50), rate(1001)), START, "org")
    assert [(r.limit, r.ok) for r in refused.readings] == [("daily", True), ("rate", False)]
    assert (await limits.draw("s", (quota(50), rate()), START, "org")).ok
    refused = await limits.draw("t", (rate(), quota(951)), START, "org")
    assert [r.limit for r in refused.readings] == ["daily"]
    assert client.store.left(rate()) == 999


async def test_a_limit_in_shadow_refuses_nobody(make: Make) -> None:
    limits, client = make()
    client.store.limits.take((rate(1000),), START)
    for n in range(3):
        drawn = await limits.draw(str(n), (rate(shadow=True), quota()), START, "")
        assert drawn.ok and [r.ok for r in drawn.readings] == [False, True]
    assert limits.settle("0", {"rate": 5, "daily": 2}) == {"daily": 1}
    assert (await limits.draw("big", (rate(2000, shadow=True), quota()), START, "")).ok


async def test_a_charge_goes_to_the_store_at_once(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10), rate(10), slot()), START, "org")
    readings = await limits.charge("r", {"daily": 100}, START)
    assert [(r.limit, r.ok, r.cost, r.left) for r in readings] == [("daily", True, 100, 850)]
    assert await limits.charge("r", {"daily": 100}, START) == ()
    readings = await limits.charge("r", {"daily": 130}, START)
    assert [(r.cost, r.left) for r in readings] == [(30, 820)]
    assert limits.settle("r", {"daily": 135}) == {"daily": 125}
    idle(client)
    await eventually(lambda: not limits.slices)
    assert client.store.left(quota()) == 865
    assert await limits.charge("nobody", {"daily": 1}, START) == ()


@pytest.mark.parametrize("done", [True, False])
async def test_a_charge_whose_answer_is_lost_is_paid_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    limits, client = make()
    charge = client.charge

    async def lost(*given: Any) -> tuple[Reading, ...]:
        if done:
            await charge(*given)
        raise StoreDown("no answer in time", "timeout")

    await limits.draw("r", (quota(10),), START, "")
    monkeypatch.setattr(client, "charge", lost)
    with pytest.raises(StoreDown):
        await limits.charge("r", {"daily": 100}, START)
    assert limits.settle("r", {"daily": 130}) == {"daily": 120}
    idle(client)
    await eventually(lambda: not limits.slices)
    assert client.store.left(quota()) == 870


async def test_a_charge_of_a_cell_in_debt_says_so(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10),), START, "")
    client.store.limits.take((quota(950),), START, "other")
    client.store.limits.give("other", {"daily": 1500}, START)
    readings = await limits.charge("r", {"daily": 5}, START)
    assert [(r.ok, r.cost, r.left) for r in readings] == [(False, 5, 0)]


async def test_debts_of_an_outage_go_to_the_cells_own_owner(make: Make) -> None:
    limits, client = make(everything=False, crosses=lambda limit: limit == "daily")
    await limits.owe(quota(), 5, START, "org")
    await limits.owe(rate(), 6, START, "org")
    assert client.owed == [("daily|a", 5, "daily|a"), ("rate|a", 6, "org")]
    assert (await limits.hello()).epoch == "e1"


async def test_the_end_settles_every_slice(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10), slot()), START, "")
    await limits.draw("s", (quota(5),), START, "")
    limits.settle("s", {"daily": 1})
    await limits.aclose()
    assert (limits.slices, client.closed, client.store.left(quota())) == (0, True, 989)
    assert client.store.limits.leases == 0
    limits.settle("r", {"daily": 2})
    assert len(client.settled) == len({name for name, _ in client.settled})
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_mixed_request_is_charged_and_renewed_in_both_places(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (quota(10), rate(900)), START, "org")
    readings = await limits.charge("r", {"daily": 30, "rate": 40}, START)
    assert [(r.limit, r.cost) for r in readings] == [("daily", 30), ("rate", 40)]
    limits.renew("r")
    assert "r" in client.renewed
    assert limits.settle("r", {"daily": 35, "rate": 900}) == {"daily": 25, "rate": 0}
    idle(client)
    await eventually(lambda: not limits.slices)
    assert client.store.left(quota()) == 965


async def test_the_end_waits_for_a_slice_that_is_on_its_way(make: Make) -> None:
    limits, client = make()
    client.pause = asyncio.Event()
    task = asyncio.create_task(limits.draw("r", (quota(),), START, ""))
    await eventually(lambda: client.calls["draw"] == 1)
    task.cancel()
    end = asyncio.create_task(limits.aclose())
    await asyncio.sleep(0)
    client.pause.set()
    await end
    assert (limits.slices, client.store.left(quota())) == (0, 1000)


async def test_a_slot_that_has_lapsed_is_not_granted(make: Make) -> None:
    limits, client = make()
    await limits.draw("r", (slot(),), START, "")
    limits.settle("r", {})
    later = START + 900 * SECOND
    client.store.now = later
    drawn = await limits.draw("s", (slot(),), later, "")
    assert drawn.ok and client.calls["draw"] == 4
    assert limits.slices == 2 == client.store.limits.leases
