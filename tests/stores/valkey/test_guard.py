"""The breaker in front of a shared store: what is the store's, what is this process's, and what becomes of it after."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.errors import Down
from gateway.quotas import Draw
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey import guard as guarding
from gateway.stores.valkey.guard import GuardedLimits
from gateway.stores.valkey.slices import SlicedLimits
from tests.stores.valkey.fakes import DAY, SECOND, START, Client, Heard, Store, eventually
from tests.stores.valkey.guarded import DAILY, LIVE, RATE, TOKENS, Make, guards


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    async with guards() as build:
        yield build


async def test_while_the_store_answers_it_decides(make: Make) -> None:
    guard, client, log = make()
    drawn = await guard.draw("r", (RATE, TOKENS), START, "org")
    assert (drawn.ok, drawn.store, drawn.at) == (True, "valkey", START)
    assert await guard.settle("r", {"tokens": 5}, START) == {"tokens": -15}
    assert client.store.left(TOKENS) == 55
    assert client.owners == ["org"]
    assert (guard.degraded, guard.degraded_draws, guard.cells, log.events) == (False, 0, 0, [])


@pytest.mark.parametrize("kind", sorted(guarding.SAYS_NO))
async def test_a_store_that_says_no_is_asked_once(make: Make, kind: Down) -> None:
    guard, client, log = make(probe=(3600.0, 3600.0))
    client.trouble = kind
    for n in range(20):
        drawn = await guard.draw(str(n), (RATE,), START)
        assert drawn.ok and drawn.store == "degraded"
    assert client.calls["draw"] == 1
    assert (guard.degraded, guard.why, guard.errors, guard.degraded_draws) == (True, kind, {kind: 1}, 20)
    assert log.events == ["the store is away"]


@pytest.mark.parametrize("kind", ["timeout", "closed", "moved", "busy", "error"])
async def test_a_store_that_does_not_answer_is_asked_three_times(make: Make, kind: Down) -> None:
    guard, client, log = make(probe=(3600.0, 3600.0))
    await guard.draw("before", (RATE,), START)
    client.trouble = kind
    for n in range(20):
        assert (await guard.draw(str(n), (RATE,), START)).store == "degraded"
    assert client.calls["draw"] == 4
    assert log.events == ["the store is away"]


async def test_of_many_at_once_each_waits_once_and_those_after_them_do_not(make: Make) -> None:
    guard, client, log = make(probe=(3600.0, 3600.0))
    client.trouble, client.pause = "timeout", asyncio.Event()
    waiting = [asyncio.create_task(guard.draw(str(n), (LIVE,), START)) for n in range(50)]
    await eventually(lambda: client.calls["draw"] == 50)
    client.pause.set()
    drawn = await asyncio.gather(*waiting)
    assert {each.store for each in drawn} == {"degraded"}
    assert sum(each.ok for each in drawn) == 4
    for n in range(50):
        await guard.draw(f"after {n}", (LIVE,), START)
    assert (client.waits, guard.errors, log.events) == (50, {"timeout": 50}, ["the store is away"])


async def test_a_failure_now_and_then_changes_nothing(make: Make) -> None:
    guard, client, log = make()
    for n in range(400):
        client.trouble = "timeout" if n % 25 == 0 else None
        drawn = await guard.draw(str(n), (LIVE,), START)
        assert drawn.store == ("degraded" if n % 25 == 0 else "valkey")
        await guard.settle(str(n), {}, START)
    assert not guard.degraded and not log.events
    assert guard.leases == 0 and client.store.limits.leases == 0


async def test_a_store_of_which_a_part_is_dead_goes_down(make: Make) -> None:
    guard, client, _ = make(probe=(3600.0, 3600.0))
    for n in range(40):
        client.trouble = "timeout" if n % 3 == 0 else None
        await guard.draw(str(n), (RATE,), START)
    assert guard.degraded
    assert client.waits <= 4


async def test_a_failure_of_a_call_from_before_the_outage_does_not_count_after_it(make: Make) -> None:
    guard, client, log = make()
    client.pause = late = asyncio.Event()
    waiting = [asyncio.create_task(guard.draw(f"late {n}", (RATE,), START)) for n in range(3)]
    await eventually(lambda: client.calls["draw"] == 3)
    client.pause, client.trouble = None, "refused"
    await guard.draw("r", (RATE,), START)
    client.trouble = None
    await eventually(lambda: log.events == ["the store is away", "the store is back"])
    client.trouble = "timeout"
    late.set()
    await asyncio.gather(*waiting)
    assert client.waits == 3
    assert log.events == ["the store is away", "the store is back"]


async def test_a_request_settles_where_it_was_drawn(make: Make) -> None:
    guard, client, _ = make()
    await guard.draw("there", (TOKENS, LIVE), START)
    client.trouble = "refused"
    await guard.draw("here", (TOKENS, LIVE), START)
    assert guard.leases == 1
    await guard.settle("there", {"tokens": 1}, START)
    assert client.settled == [("there", {"tokens": 1})]
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    await guard.renew("here", START)
    assert await guard.settle("here", {"tokens": 1}, START) == {"tokens": -19}
    assert await guard.settle("here", {"tokens": 1}, START) == {}
    assert (guard.leases, client.store.limits.leases, client.renewed) == (0, 0, [])
    assert client.settled == [("there", {"tokens": 1})]


async def test_what_was_used_here_is_told_once_and_counts_there(make: Make) -> None:
    guard, client, log = make(replicas=2)
    client.trouble = "refused"
    await guard.draw("r", (TOKENS, DAILY), START, "org")
    await guard.settle("r", {"tokens": 8, "daily": 4}, START)
    client.trouble = None
    await eventually(lambda: guard.told == 2)
    assert sorted(client.owed) == [("daily|a", 4, "org"), ("tokens|a", 8, "org")]
    assert (client.store.left(TOKENS), client.store.left(DAILY)) == (52, 96)
    assert log.events == ["the store is away", "the store is back"]
    client.trouble = "refused"
    await guard.draw("s", (DAILY,), START, "org")
    client.trouble = None
    await eventually(lambda: guard.told == 3)
    assert client.store.left(DAILY) == 86


async def test_an_end_after_the_outage_tells_its_overrun(make: Make) -> None:
    guard, client, _ = make()
    client.trouble = "refused"
    await guard.draw("r", (DAILY,), START)
    client.trouble = None
    await eventually(lambda: guard.told == 1)
    await guard.settle("r", {"daily": 13}, START)
    await eventually(lambda: guard.told == 2)
    assert client.store.left(DAILY) == 87


async def test_what_could_not_be_told_is_told_after_the_next_outage(make: Make) -> None:
    guard, client, log = make()
    client.trouble = "refused"
    for n in range(150):
        await guard.draw(str(n), (Draw("daily", f"daily|{n}", "quota", "requests", 9, DAY, 9, 1, START),), START)
    client.trouble = None
    await eventually(lambda: guard.told >= 64)
    client.trouble = "refused"
    await eventually(lambda: guard.degraded)
    client.trouble = None
    await eventually(lambda: guard.told == 150)
    assert sorted(client.owed) == sorted((f"daily|{n}", 1, "") for n in range(150))
    assert log.events == ["the store is away", "the store is back"] * 2


async def test_a_session_is_charged_where_it_began(make: Make) -> None:
    guard, client, _ = make()
    await guard.draw("there", (DAILY,), START)
    client.trouble = "refused"
    assert await guard.charge("there", {"daily": 5}, START) == ()
    await guard.draw("here", (DAILY,), START)
    assert [r.left for r in await guard.charge("here", {"daily": 5}, START)] == [75]
    assert guard.degraded
    client.trouble = None
    await eventually(lambda: guard.told == 1)
    assert [r.left for r in await guard.charge("there", {"daily": 9}, START)] == [66]
    assert [r.left for r in await guard.charge("here", {"daily": 7}, START)] == [88]
    await eventually(lambda: guard.told == 2)
    assert client.owed == [("daily|a", 15, ""), ("daily|a", 2, "")]


async def test_a_closed_limit_refuses_while_the_store_is_away(make: Make) -> None:
    guard, client, _ = make(stances=lambda: {"rate": "closed", "daily": "open"})
    client.trouble = "refused"
    drawn = await guard.draw("r", (DAILY, RATE), START)
    assert (drawn.ok, drawn.closed, drawn.store) == (False, "rate", "degraded")
    assert (await guard.draw("s", (DAILY,), START)).ok
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    assert (await guard.draw("t", (DAILY, RATE), START)).store == "valkey"
    assert client.store.left(DAILY) == 90


async def test_the_heartbeat_counts_processes_and_sees_that_the_memory_is_gone(make: Make) -> None:
    store = Store()
    guard, _, log = make(store, beat=0.001, replicas=2)
    await guard.start()
    assert (guard.replicas, guard.epoch, guard.lost) == (2, "e1", 0)
    store.processes = 5
    await eventually(lambda: guard.replicas == 5)
    store.wipe()
    await eventually(lambda: guard.lost == 1)
    assert (guard.epoch, log.events) == ("e2", ["the store lost its state"])
    store.processes = 3
    await eventually(lambda: guard.replicas == 3)
    assert guard.detail()["replicas"] == 3


async def test_a_store_that_came_back_has_not_heard_of_everybody_yet(make: Make) -> None:
    store = Store()
    guard, client, _ = make(store, beat=0.001)
    store.processes = 4
    await guard.start()
    assert guard.replicas == 4
    client.trouble = "refused"
    await eventually(lambda: guard.degraded)
    store.processes, client.trouble = 1, None
    await eventually(lambda: not guard.degraded)
    beats = client.calls["hello"]
    await eventually(lambda: client.calls["hello"] > beats + 2)
    assert guard.replicas == 4
    store.now += 16 * SECOND
    await eventually(lambda: guard.replicas == 1)


async def test_a_store_that_is_away_at_the_start_comes_later(make: Make) -> None:
    guard, client, log = make()
    client.trouble = "refused"
    await guard.start()
    assert guard.degraded and guard.detail()["why"] == "refused"
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    assert log.events == ["the store is away", "the store is back"]
    assert guard.detail() | {"epoch": ""} == {
        "state": "up",
        "why": "",
        "down_s": 0.0,
        "replicas": 1,
        "epoch": "",
        "lost": 0,
        "untold_cells": 0,
    }


async def test_a_first_heartbeat_that_is_lost_is_soon_said_again(make: Make) -> None:
    store = Store()
    guard, client, log = make(store, beat=3600.0)
    client.trouble = "timeout"
    await guard.start()
    client.trouble = None
    assert not guard.degraded
    await eventually(lambda: guard.epoch)
    store.wipe()
    client.trouble = "refused"
    assert (await guard.draw("r", (DAILY,), START)).store == "degraded"
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    assert (guard.lost, log.events) == (1, ["the store is away", "the store lost its state", "the store is back"])


async def test_an_idle_gateway_sees_it_too(make: Make) -> None:
    guard, client, log = make(beat=0.001)
    await guard.start()
    client.trouble = "timeout"
    await eventually(lambda: guard.degraded)
    assert guard.why == "timeout" and log.events == ["the store is away"]


async def test_the_end_tells_what_is_owed_and_ends_every_task(make: Make) -> None:
    guard, client, _ = make(spread=3600.0)
    client.trouble = "refused"
    await guard.draw("r", (DAILY,), START)
    client.trouble = None
    await eventually(lambda: not guard.degraded)
    await guard.aclose()
    assert (guard.told, client.closed) == (1, True)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_the_end_in_an_outage_says_what_was_not_told(make: Make) -> None:
    guard, client, log = make(probe=(3600.0, 3600.0))
    client.trouble = "refused"
    await guard.draw("r", (DAILY,), START)
    await guard.aclose()
    assert log.events == ["the store is away", "the store was not told of all use"]


async def test_a_request_draws_once(make: Make) -> None:
    guard, client, _ = make()
    client.trouble = "refused"
    await guard.draw("r", (DAILY,), START)
    with pytest.raises(ValueError, match="draws once"):
        await guard.draw("r", (DAILY,), START)


async def test_a_defect_of_the_heartbeat_is_logged_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, client, log = make(beat=0.001)

    async def broken() -> Any:
        raise KeyError("epoch")

    monkeypatch.setattr(client, "hello", broken)
    await guard.start()
    await eventually(lambda: guard.degraded)
    assert log.events == ["a defect: the store's heartbeat failed", "the store is away"]


async def test_a_heartbeat_that_was_under_way_when_the_store_went_down_may_bring_it_back(
    make: Make,
) -> None:
    guard, client, log = make(beat=0.001)
    await guard.draw("r", (RATE,), START)
    client.pause = asyncio.Event()
    await eventually(lambda: client.calls["hello"] > 0)
    beat, client.pause, client.trouble = client.pause, None, "refused"
    await guard.draw("s", (RATE,), START)
    client.trouble = None
    beat.set()
    await eventually(lambda: log.events == ["the store is away", "the store is back"])
    beats = client.calls["hello"]
    await eventually(lambda: client.calls["hello"] > beats + 2)


async def test_a_cluster_that_is_rearranged_has_lost_nothing(make: Make) -> None:
    store = Store()
    store.epoch = "a,b,c"
    guard, _, log = make(store, beat=0.001)
    await guard.start()
    store.epoch = "a,b,c,d"
    await eventually(lambda: guard.epoch == "a,b,c,d")
    store.epoch = "a,b,c"
    await eventually(lambda: guard.epoch == "a,b,c")
    assert (guard.lost, log.events) == (0, [])
    store.epoch = "a,e,c"
    await eventually(lambda: guard.lost == 1)


async def test_a_refusal_that_speaks_of_some_limits_alone_is_an_answer_too(make: Make) -> None:
    store = Store()
    client, log = Client(store), Heard()
    sliced = SlicedLimits(client, crosses=lambda limit: limit == "daily", clock=lambda: store.now)
    guard = GuardedLimits(sliced, MemoryLimits(), log=log, clock=lambda: store.now)
    full = Draw("daily", "daily|m", "quota", "tokens.total", 100, DAY, 100, 101, START)
    refused = await guard.draw("r", (RATE, full), START)
    assert [(r.limit, r.ok) for r in refused.readings] == [("daily", False)]
    await guard.aclose()
