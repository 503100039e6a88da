"""Calls that are lost while the store is up, and what waits for a store that is away."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.stores.valkey.fakes import START, eventually
from tests.stores.valkey.guarded import DAILY, LIVE, RATE, Make, guards


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with guards() as build:
        yield build


async def test_renewals_do_not_queue_up_before_what_ends_in_an_outage(make: Make) -> None:
    guard, client, _ = make()
    for n in range(3):
        assert (await guard.draw(str(n), (LIVE,), START)).store == "valkey"
    client.trouble = "refused"
    await guard.draw("here", (LIVE,), START)
    for _ in range(100):
        for n in range(3):
            await guard.renew(str(n), START)
    assert client.renewed == []
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    for n in range(3):
        await guard.renew(str(n), START)
    assert client.renewed == ["0", "1", "2"]


async def test_one_call_that_is_lost_leaves_nothing_untold(make: Make) -> None:
    guard, client, log = make(beat=0.001)
    client.trouble = "timeout"
    drawn = await guard.draw("r", (DAILY, replace(RATE, cost=61)), START)
    client.trouble = None
    assert (drawn.ok, drawn.store) == (False, "degraded")
    assert (await guard.draw("s", (DAILY,), START)).ok
    await eventually(lambda: guard.detail()["untold_cells"] == 0)
    assert (guard.degraded, log.events) == (False, [])


async def test_what_a_request_has_reserved_here_is_not_told_before_its_end(make: Make) -> None:
    """Then it is known what was used: what is told is not given back."""
    guard, client, _ = make(beat=0.001)
    client.trouble = "timeout"
    assert (await guard.draw("r", (DAILY,), START)).store == "degraded"
    client.trouble = None
    beats = client.calls["hello"]
    await eventually(lambda: client.calls["hello"] > beats + 3)
    assert client.owed == []
    await guard.settle("r", {"daily": 2}, START)
    await eventually(lambda: guard.told == 1)
    assert [units for _, units, _ in client.owed] == [2]
