"""Limits in a real store: whatever gets lost, nothing is charged twice, and what was given back is back."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.errors import StoreDown
from gateway.quotas import Draw, Reading
from gateway.stores.valkey.client import connect
from gateway.stores.valkey.outbox import Outbox
from gateway.stores.valkey.remote import RemoteLimits
from gateway.stores.valkey.script import Place
from tests.stores.valkey.ledger import arrived
from tests.stores.valkey.servers import Between, Server, until

HOUR = 3_600_000_000
DAY = 24 * HOUR


def rate(cost: int = 1, key: str = "a", capacity: int = 1_000) -> Draw:
    """Of which nothing comes back while a test lasts."""
    return Draw(f"rate-{key}", f"rate|{key}", "rate", "tokens.output", 1, 100 * HOUR, capacity, cost)


def quota(cost: int, now: int, capacity: int = 1_000) -> Draw:
    return Draw("quota", "quota|a", "quota", "tokens.total", capacity, DAY, capacity, cost, now - now % DAY)


def lease(slots: int = 2, deadline: int = HOUR) -> Draw:
    return Draw("live", "live|a", "lease", "concurrent", slots, deadline, slots, 1)


@asynccontextmanager
async def limits_of(uri: str, timeout: float = 5) -> AsyncIterator[RemoteLimits]:
    made = RemoteLimits(connect(uri, timeout))
    made._outbox._pause = (0.01, 0.05)
    try:
        yield made
    finally:
        await made.aclose()
        assert made.waiting == 0


async def left(limits: RemoteLimits, *draws: Draw) -> list[int]:
    """What is free, asked with a draw that never passes."""
    never = Draw("never", "never", "rate", "requests", 1, HOUR, 1, 2)
    drawn = await limits.draw("look", (*draws, never), 0, "o")
    assert not drawn.ok
    return [reading.left for reading in drawn.readings[:-1]]


def time_of(server: Server) -> int:
    return int(server.ask("TIME")[0]) * 1_000_000


async def test_time_is_the_stores(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        hello = await limits.hello()
        drawn = await limits.draw("r", (rate(),), 7, "o")
        assert 0 <= drawn.at - hello.now < HOUR
        assert drawn.store == "valkey"


async def test_gateways_whose_clocks_differ_have_one_quota_around_midnight(server: Server) -> None:
    midnight = 20_000 * DAY
    time = midnight - 500_000
    limits = RemoteLimits(connect(server.uri, 5), clock=lambda: time)
    readings: list[Reading] = []
    for n in range(40):
        ahead = Draw("quota", "quota|a", "quota", "requests", 10, DAY, 10, 1, midnight)
        behind = Draw("quota", "quota|a", "quota", "requests", 10, DAY, 10, 1, midnight - DAY)
        readings += (await limits.draw(str(n), (ahead if n % 2 else behind,), 0, "o")).readings
    assert [reading.ok for reading in readings] == [True] * 10 + [False] * 30
    assert {reading.reset for reading in readings} == {500_000}
    time = midnight + 500_000
    assert [(await limits.draw(f"b{n}", (behind, ahead), 0, "o")).ok for n in range(6)] == [True] * 5 + [False]
    await limits.aclose()


@pytest.mark.parametrize("drawn", [5, 10])
async def test_a_store_whose_clock_is_set_back_goes_on_from_there(server: Server, drawn: int) -> None:
    time = 20_000 * DAY
    limits = RemoteLimits(connect(server.uri, 5), clock=lambda: time)
    draw = Draw("rate", "rate|a", "rate", "requests", 60, 60_000_000, 10, 1)
    for n in range(drawn):
        await limits.draw(str(n), (draw,), 0, "o")
    time -= HOUR
    answers = [await limits.draw(f"b{n}", (draw,), 0, "o") for n in range(12)]
    assert [answer.ok for answer in answers] == [True] * (10 - drawn) + [False] * (2 + drawn)
    assert 999_900 <= answers[-1].readings[0].wait <= 1_000_000  # draws of one µs have numbers one µs apart
    time += 1_000_000
    assert (await limits.draw("c", (draw,), 0, "o")).ok
    assert not (await limits.draw("d", (draw,), 0, "o")).ok
    for n in range(drawn):
        limits.settle(str(n), {"rate": 0})
    await arrived(limits)
    await limits.aclose()


async def test_a_draw_whose_answer_is_lost_is_taken_back(server: Server) -> None:
    now = time_of(server)
    draws = (rate(10), quota(20, now), lease())
    async with Between(server) as way, limits_of(way.uri, 0.1) as limits, limits_of(server.uri) as other:
        await limits.draw("before", (rate(1),), 0, "o")
        way.eat = True
        with pytest.raises(StoreDown, match="time"):
            await limits.draw("lost", draws, 0, "o")
        assert await left(other, rate(), quota(1, now), lease()) == [989, 980, 1]
        assert limits.settle("lost", {"rate-a": 5}) == {}
        way.eat = False
        await arrived(limits)
        assert await left(other, rate(), quota(1, now), lease()) == [999, 1_000, 2]
        assert (limits.cancelled, limits.dropped, limits.open) == (1, 0, 1)


async def test_a_draw_that_arrives_after_it_was_given_up_draws_nothing(server: Server) -> None:
    """The server stops; the draws wait in one socket, what takes them back in another: either may be read first."""
    now = time_of(server)
    async with limits_of(server.uri, 0.1) as limits:
        await limits.draw("before", (rate(1),), 0, "o")
        server.freeze()
        draws = [limits.draw(f"late-{n}", (rate(10), quota(10, now), lease(100)), 0, "o") for n in range(20)]
        answers = await asyncio.gather(*draws, return_exceptions=True)
        assert all(isinstance(answer, StoreDown) for answer in answers)
        server.thaw()
        await arrived(limits)
        limits._client.timeout = 5
        assert await left(limits, quota(1, now), lease(100)) == [1_000, 100]
        assert limits.cancelled == 20
        kept = {key for key in server.ask("KEYS", "*}o|*") if server.ask("GET", key)}
        assert kept == {b"gauger:{=o}o|before"}


async def test_a_tombstone_refuses_the_draw_that_comes_after_it(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        limits._cancel(Place.of("r", (rate(10),), "o"))
        await arrived(limits)
        with pytest.raises(ValueError, match="once"):
            await limits.draw("r", (rate(10),), 0, "o")
        assert await left(limits, rate()) == [1_000]


async def test_a_caller_who_goes_while_his_draw_is_under_way_leaves_nothing(server: Server) -> None:
    async with Between(server) as way, limits_of(way.uri) as limits:
        await limits.draw("before", (rate(1),), 0, "o")
        way.eat = True
        task = asyncio.create_task(limits.draw("gone", (rate(10), lease()), 0, "o"))
        await asyncio.to_thread(until, lambda: server.ask("EXISTS", "gauger:{=o}o|gone"))
        limits._client.timeout = 0.1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        way.eat = False
        await arrived(limits)
        async with limits_of(server.uri) as other:
            assert await left(other, rate(), lease()) == [999, 2]


async def test_a_settle_is_done_once_however_often_it_is_sent(server: Server) -> None:
    async with Between(server) as way, limits_of(way.uri) as limits, limits_of(server.uri) as other:
        await limits.draw("known", (rate(1),), 0, "o")
        limits.settle("known", {"rate-a": 0})  # the server knows the script
        await arrived(limits)
        await limits.draw("r", (rate(100), lease()), 0, "o")
        await other.draw("s", (rate(100),), 0, "o")
        way.eat, limits._client.timeout = True, 0.02
        assert limits.settle("r", {"rate-a": 30}) == {"rate-a": -70}
        await asyncio.to_thread(until, lambda: not server.ask("EXISTS", "gauger:{=o}o|r"))
        end = asyncio.get_running_loop().time() + 0.3
        while asyncio.get_running_loop().time() < end:  # said again and again, it is one
            assert limits.waiting == 1
            await asyncio.sleep(0)
        way.eat, limits._client.timeout = False, 5
        await arrived(limits)
        assert await left(other, rate(), lease()) == [870, 2]


async def test_a_quota_of_which_nothing_was_used_is_no_key(server: Server) -> None:
    """Made-up keys would fill the store by the million, each until its day or month is over."""
    now = time_of(server)
    async with limits_of(server.uri) as limits:
        await limits.draw("r", (quota(20, now),), 0, "o")
        limits.settle("r", {"quota": 0})
        await limits.draw("nothing", (quota(0, now),), 0, "p")
        await arrived(limits)
        assert server.ask("KEYS", "*q|*") == []
        limits.settle("nothing", {"quota": 50})
        await arrived(limits)
        await limits.draw("s", (quota(20, now),), 0, "o")
        never = Draw("never", "never", "rate", "requests", 1, HOUR, 1, 2)
        answer = await limits.draw("look", (quota(0, now), never), 0, "p")
        assert answer.readings[0].left == 950


async def test_what_ends_makes_room_in_a_server_that_is_full(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        for n in range(20):
            await limits.draw(str(n), (rate(5, str(n)),), 0, "o")
        server.ask("CONFIG", "SET", "maxmemory", 1)
        with pytest.raises(StoreDown, match="memory"):
            await limits.draw("more", (rate(5),), 0, "o")
        for n in range(20):
            limits.settle(str(n), {f"rate-{n}": 0})
        await arrived(limits)
        assert server.ask("DBSIZE") == 0
        server.ask("CONFIG", "SET", "maxmemory", 0)


async def test_what_ends_while_the_store_is_away_is_told_when_it_is_back(server: Server) -> None:
    async with Between(server) as way, limits_of(way.uri, 0.1) as limits:
        now = time_of(server)
        for n in range(100):
            await limits.draw(str(n), (quota(5, now),), 0, "o")
        way.hang = True
        for n in range(100):
            assert limits.settle(str(n), {"quota": 1}) == {"quota": -4}
        limits._client.timeout = 0.05
        await asyncio.sleep(0.1)
        assert limits.waiting == 100
        way.hang = False
        limits._client.timeout = 5
        await arrived(limits)
        assert await left(limits, quota(1, now)) == [900]


async def test_more_than_there_is_room_for_is_counted(server: Server) -> None:
    limits = RemoteLimits(connect(server.uri, 0.05))
    limits._outbox = Outbox(limits._client, room=10, pause=(5, 5))
    for n in range(30):
        await limits.draw(str(n), (rate(5),), 0, "o")
    server.kill()
    for n in range(30):
        limits.settle(str(n), {"rate-a": 1})
    async with asyncio.timeout(10):
        while limits.dropped < 20:
            await asyncio.sleep(0.01)
    assert limits.waiting == 10
    await limits.aclose()
    assert (limits.waiting, limits.dropped) == (0, 30)


async def test_what_the_store_refuses_for_good_is_not_sent_for_ever(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        await limits.draw("r", (rate(5),), 0, "o")
        server.ask("SET", "gauger:{=o}r|rate|a", "not a cell")
        limits.settle("r", {"rate-a": 1})
        await arrived(limits)
        assert limits.dropped == 1


async def test_a_charge_whose_answer_is_lost_is_not_charged_again(server: Server) -> None:
    async with Between(server) as way, limits_of(way.uri, 0.1) as limits, limits_of(server.uri) as other:
        await limits.draw("r", (rate(10),), 0, "o")
        assert [each.cost for each in await limits.charge("r", {"rate-a": 50}, 0)] == [50]
        way.eat = True
        with pytest.raises(StoreDown):
            await limits.charge("r", {"rate-a": 80}, 0)
        way.eat = False
        limits._client.timeout = 5
        assert [each.cost for each in await limits.charge("r", {"rate-a": 100}, 0)] == [20]
        limits.settle("r", {"rate-a": 100})
        await arrived(limits)
        assert await left(other, rate()) == [900]


async def test_what_was_used_elsewhere_is_charged_once(server: Server) -> None:
    async with Between(server) as way, limits_of(way.uri, 0.1) as limits, limits_of(server.uri) as other:
        await limits.owe(rate(1), 40, 0, "o")
        way.eat = True
        await limits.owe(rate(1), 7, 0, "o")  # it may have been done, and the store is asked again
        way.eat = False
        await arrived(limits)
        assert await left(other, rate()) == [953]
    server.kill()
    async with limits_of(server.uri) as limits:
        with pytest.raises(StoreDown):
            await limits.owe(rate(1), 7, 0, "o")


async def test_leases_of_a_process_that_died_end_by_themselves(server: Server) -> None:
    async with limits_of(server.uri) as limits, limits_of(server.uri) as other:
        short = lease(1, 200_000)
        assert (await limits.draw("dead", (short,), 0, "o")).ok
        assert not (await other.draw("early", (short,), 0, "o")).ok
        async with asyncio.timeout(20):
            while not (await other.draw("next", (short,), 0, "o")).ok:
                await asyncio.sleep(0.02)


async def test_a_lease_that_is_renewed_lasts(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        await limits.draw("r", (lease(1, HOUR), rate()), 0, "o")
        before = server.ask("ZSCORE", "gauger:{=o}l|live|a", "r")
        server.ask("PEXPIRE", "gauger:{=o}o|r", 1_000)
        limits.renew("r")
        await arrived(limits)
        assert server.ask("ZSCORE", "gauger:{=o}l|live|a", "r") > before
        assert server.ask("PTTL", "gauger:{=o}o|r") > 1_000_000


async def test_a_store_that_comes_back_empty_is_another_epoch(server: Server) -> None:
    async with limits_of(server.uri) as limits, limits_of(server.uri) as other:
        first = await limits.hello()
        assert (first.fresh, first.replicas, len(first.epoch)) == (True, 1, 16)
        second = await other.hello()
        assert (second.fresh, second.replicas, second.epoch) == (False, 2, first.epoch)
        await limits.draw("r", (rate(100),), 0, "o")
        server.kill()
        with pytest.raises(StoreDown):
            await limits.hello()
        server.start()
        again = await limits.hello()
        assert again.fresh
        assert again.epoch != first.epoch
        assert limits.settle("r", {"rate-a": 0}) == {"rate-a": -100}  # of what is gone nothing can be given back
        await arrived(limits)
        assert await left(limits, rate()) == [1_000]


async def test_every_key_ends_by_itself(server: Server) -> None:
    async with limits_of(server.uri) as limits:
        now = (await limits.hello()).now
        for n in range(5):
            await limits.draw(str(n), (rate(5), quota(5, now), lease(100)), 0, "o")
        await limits.charge("0", {"rate-a": 5, "quota": 5}, 0)
        await limits.owe(rate(1), 1, 0, "o")
        limits.settle("1", {"rate-a": 1})
        limits._cancel(limits._open["2"].place)
        await arrived(limits)
        keys = server.ask("KEYS", "*")
        assert len(keys) == 9  # three cells, three reservations, one of what is owed, epoch and processes
        assert [key for key in keys if server.ask("PTTL", key) <= 0] == []


async def _worker(uri: str, number: int, tries: int) -> tuple[int, int]:
    limits = RemoteLimits(connect(uri, 10))

    async def one(turn: int) -> bool:
        return (await limits.draw(f"{number}-{turn}", (rate(1, "all", 300), rate(7, "tokens", 2_000)), 0, "o")).ok

    answers = await asyncio.gather(*(one(turn) for turn in range(tries)))
    await limits.aclose()
    return sum(answers), 7 * sum(answers)


def _process(uri: str, number: int, answers: Any) -> None:
    answers.put(asyncio.run(_worker(uri, number, 150)))


async def test_many_processes_admit_exactly_the_limit(server: Server) -> None:
    """600 requests of four processes at once; 285 of 7 tokens fit into 2,000, before the 300 requests are reached."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    processes = [context.Process(target=_process, args=(server.uri, number, answers)) for number in range(4)]
    for process in processes:
        process.start()
    passed = [await asyncio.to_thread(answers.get, True, 60) for _ in processes]
    for process in processes:
        await asyncio.to_thread(process.join, 30)
        assert process.exitcode == 0
    assert sum(requests for requests, _ in passed) == 2_000 // 7
    async with limits_of(server.uri) as limits:
        assert await left(limits, rate(1, "all", 300), rate(7, "tokens", 2_000)) == [300 - 285, 2_000 - 7 * 285]


async def test_a_process_that_is_killed_leaves_its_reservations_charged_and_no_more(server: Server) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=_dies, args=(server.uri, ready))
    process.start()
    assert await asyncio.to_thread(ready.get, True, 60) == "drawn"
    process.kill()
    await asyncio.to_thread(process.join, 30)
    async with limits_of(server.uri) as limits:
        assert await left(limits, rate(), lease()) == [900, 1]
        assert 0 < server.ask("PTTL", "gauger:{=o}o|r") <= 3_600_000
        assert 0 < server.ask("PTTL", "gauger:{=o}l|live|a") <= 3_600_000


async def _draws(uri: str, ready: Any) -> None:
    await RemoteLimits(connect(uri, 10)).draw("r", (rate(100), lease()), 0, "o")
    ready.put("drawn")
    await asyncio.sleep(60)


def _dies(uri: str, ready: Any) -> None:
    asyncio.run(_draws(uri, ready))
