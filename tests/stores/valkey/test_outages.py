"""Real servers that die, hang, slow down, fill up and come back: what a gateway decides meanwhile, and what is left.

`Watched` counts the calls that requests make: one that the store doesn't answer is a wait of one time-out, and while
the guard is down there are none.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from gateway.errors import StoreDown
from gateway.quotas import Draw, Drawn
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey.client import connect
from gateway.stores.valkey.guard import FAILURES, GuardedLimits
from gateway.stores.valkey.remote import RemoteLimits
from gateway.stores.valkey.slices import SlicedLimits
from tests.stores.valkey.fakes import Heard, eventually
from tests.stores.valkey.servers import Between, Cluster, Sentinels, Server

DAY = 86_400_000_000
LIMIT = 1000
TIMEOUT = 0.4  # s


def now() -> int:
    return time.time_ns() // 1000


def quota(cost: int = 1, key: str = "a", capacity: int = LIMIT) -> Draw:
    return Draw(
        "daily",
        f"daily|{key}",
        "quota",
        "tokens.total",
        capacity,
        30 * DAY,
        capacity,
        cost,
        30 * DAY * (now() // (30 * DAY)),
    )


def slot(slots: int = 100) -> Draw:
    return Draw("live", "live|a", "lease", "concurrent", slots, 900_000_000, slots, 1)


class Watched(SlicedLimits):
    """Counts what requests ask, and what the store didn't answer."""

    asked = failed = 0

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str) -> Drawn:
        self.asked += 1
        try:
            return await super().draw(request, draws, now, owner)
        except StoreDown:
            self.failed += 1
            raise


class Gateway:
    """What one worker has between its gate and the store."""

    def __init__(self, uri: str, *, timeout: float = TIMEOUT, everything: bool = False, share: float = 0.05) -> None:
        self.log = Heard()
        self.remote = RemoteLimits(connect(uri, timeout), self.log)
        self.shared = Watched(self.remote, everything=everything, share=share)
        self.guard = GuardedLimits(self.shared, MemoryLimits(), log=self.log, beat=0.2, probe=(0.02, 0.1), spread=0.0)
        self.number = 0

    async def draw(self, cost: int = 1, *more: Draw) -> tuple[str, Drawn]:
        self.number += 1
        request = f"{id(self)}-{self.number}"
        return request, await self.guard.draw(request, (quota(cost), *more), now(), "org")

    async def settle(self, request: str, used: int) -> None:
        await self.guard.settle(request, {"daily": used}, now())

    async def used(self) -> int:
        """Units that the store counts, asked with a draw of nothing."""
        request, drawn = await self.draw(0)
        assert drawn.store == "valkey"
        await self.settle(request, 0)
        return LIMIT - drawn.readings[0].left

    def told(self) -> bool:
        """Whether the store knows all there is to know."""
        return not (self.guard.degraded or self.guard._shares.touched or self.remote.waiting)


@contextlib.asynccontextmanager
async def gateway(uri: str, **given: Any) -> AsyncIterator[Gateway]:
    made = Gateway(uri, **given)
    await made.guard.start()
    try:
        yield made
    finally:
        await made.guard.aclose()


Act = Callable[[], Awaitable[None]]


async def outage(gate: Gateway, away: Act, back: Act) -> int:
    """Everything that is to hold in any outage. Returns the units that were used, as callers know them."""
    before, drawn = await gate.draw(20, slot())
    assert drawn.ok and drawn.store == "valkey"
    await away()

    asked = gate.shared.asked
    burst = await asyncio.gather(*(gate.draw(2, slot()) for _ in range(20)))
    assert {each.store for _, each in burst} == {"degraded"}
    if not gate.guard.degraded:
        await gate.draw(0)
    assert gate.guard.degraded
    assert gate.shared.failed == gate.shared.asked - asked <= 20 + FAILURES

    asked = gate.shared.asked
    calm = [await gate.draw(2, slot()) for _ in range(20)]
    assert {each.store for _, each in calm} == {"degraded"}
    assert gate.shared.asked == asked
    used = 0
    for at, (request, each) in enumerate((*burst, *calm)):
        assert each.ok
        await gate.settle(request, at % 3)
        await gate.settle(request, 0)
        used += at % 3
    await gate.settle(before, 5)

    await back()
    await eventually(gate.told)
    request, drawn = await gate.draw(1, slot())
    assert drawn.ok and drawn.store == "valkey"
    assert drawn.readings[1].left == 99
    await gate.settle(request, 1)
    assert gate.guard.leases == 0
    return used + 5 + 1


AWAY_AND_BACK = ["the store is away", "the store is back"]


async def test_a_store_that_hangs(server: Server) -> None:
    """What was asked of it is done late, and taken back."""

    async def away() -> None:
        server.freeze()

    async def back() -> None:
        server.thaw()

    async with gateway(server.uri) as gate:
        used = await outage(gate, away, back)
        assert gate.guard.why is None and gate.guard.errors["timeout"] >= 20
        await eventually(gate.told)
        assert await gate.used() == used
        assert gate.log.events == AWAY_AND_BACK
        assert gate.guard.lost == 0


async def test_a_store_that_dies_and_comes_back_empty(server: Server) -> None:
    """What it had said, and what was used meanwhile, it is told."""

    async def away() -> None:
        server.kill()

    async def back() -> None:
        await asyncio.to_thread(server.start)

    async with gateway(server.uri) as gate:
        used = await outage(gate, away, back)
        assert await gate.used() == used + 15  # the request from before had reserved so much more, when it last said
        assert gate.log.events == ["the store is away", "the store lost its state", "the store is back"]
        assert gate.guard.lost == 1


@pytest.mark.parametrize(
    ("name", "bad", "good", "why"), [("maxmemory", 1, 0, "oom"), ("min-replicas-to-write", 1, 0, "noreplicas")]
)
async def test_a_store_that_takes_no_writes(server: Server, name: str, bad: int, good: int, why: str) -> None:
    async def away() -> None:
        server.ask("CONFIG", "SET", name, bad)

    async def back() -> None:
        assert gate.guard.why == why
        server.ask("CONFIG", "SET", name, good)

    async with gateway(server.uri) as gate:
        used = await outage(gate, away, back)
        assert await gate.used() == used
        assert gate.log.events == AWAY_AND_BACK


class Slow(Between):
    """A way that takes longer than anybody waits."""

    delay = 0.0

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if answers and self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()


async def test_a_store_that_is_too_slow(server: Server) -> None:
    async with Slow(server) as way, gateway(way.uri) as gate:

        async def away() -> None:
            way.delay = 2 * TIMEOUT

        async def back() -> None:
            way.delay = 0.0

        used = await outage(gate, away, back)
        await eventually(gate.told)
        assert await gate.used() == used
        assert gate.log.events == AWAY_AND_BACK


async def test_a_primary_that_fails_over() -> None:
    with Sentinels() as sentinels:

        async def away() -> None:
            assert sentinels.primary.ask("WAIT", 1, 2000) == 1
            sentinels.primary.kill()

        async def back() -> None:
            await asyncio.to_thread(sentinels.fail_over)

        async with gateway(sentinels.uri) as gate:
            used = await outage(gate, away, back)
            assert await gate.used() == used
            assert gate.log.events == AWAY_AND_BACK * gate.guard.outages  # the new one may be slow at first
            assert gate.guard.lost == 0


async def test_a_slot_that_moves_loses_nothing() -> None:
    """While the keys of a request are partly here and partly there, no server can run its script."""

    with Cluster() as cluster:
        async with gateway(cluster.uri) as gate:
            key = "{=org}"
            request, drawn = await gate.draw(20)
            assert drawn.store == "valkey"
            home = cluster.owner(key)
            other = next(node for node in cluster.nodes if node is not home)
            moving = asyncio.create_task(asyncio.to_thread(cluster.move, key, other))
            while not moving.done():
                looked, drawn = await gate.draw(0)
                assert drawn.ok
                await gate.settle(looked, 0)
                await asyncio.sleep(0)
            await moving
            await gate.settle(request, 5)
            await eventually(gate.told)
            assert await gate.used() == 5
            assert gate.log.events == AWAY_AND_BACK * gate.guard.outages
            assert gate.guard.errors.keys() <= {"moved"}


async def test_the_shares_of_all_processes_are_the_limit(server: Server) -> None:
    async with gateway(server.uri) as one, gateway(server.uri) as two:
        await eventually(lambda: one.guard.replicas == two.guard.replicas == 2)
        server.kill()
        passed = 0
        for gate in (one, two):
            for _ in range(LIMIT):
                passed += (await gate.draw(10))[1].ok
        assert passed == LIMIT // 10
        assert one.log.events == two.log.events == ["the store is away"]


@pytest.mark.parametrize("everything", [False, True], ids=["exact", "sliced"])
async def test_two_processes_admit_the_limit_and_no_more(server: Server, everything: bool) -> None:
    async with (
        gateway(server.uri, everything=everything, timeout=5) as one,
        gateway(server.uri, everything=everything, timeout=5) as two,
    ):
        ok = 0
        for _ in range(12):
            answers = await asyncio.gather(*(gate.draw(1) for gate in (one, two) for _ in range(50)))
            assert {drawn.store for _, drawn in answers} == {"valkey"}
            ok += sum(drawn.ok for _, drawn in answers)
        assert ok == LIMIT
        if not everything:
            assert one.shared.slices == two.shared.slices == 0


async def test_what_two_processes_hold_in_slices_returns(server: Server) -> None:
    async with (
        gateway(server.uri, everything=True, timeout=5) as one,
        gateway(server.uri, everything=True, timeout=5) as two,
    ):
        for gate in (one, two):
            for _ in range(3):
                request, drawn = await gate.draw(7, slot())
                assert drawn.ok
                await gate.settle(request, 4)
        assert one.shared.slices and two.shared.slices
        await one.guard.aclose()
        await two.guard.aclose()
        async with gateway(server.uri, timeout=5) as three:
            assert await three.used() == 24
            assert (await three.draw(0, slot()))[1].readings[1].left == 99


async def test_slices_go_on_while_they_last_and_are_settled_once(server: Server) -> None:
    async with gateway(server.uri, everything=True) as gate:
        under_way, drawn = await gate.draw(20)  # of a slice of fifty
        assert drawn.store == "valkey"
        server.freeze()
        used = 0
        here = 0
        while not gate.guard.degraded:
            answers = await asyncio.gather(*(gate.draw(10) for _ in range(6)))
            for request, each in answers:
                assert each.ok
                here += each.store == "degraded"
                await gate.settle(request, 4)
                used += 4
        await gate.settle(under_way, 1)
        server.thaw()
        await eventually(gate.told)
        await eventually(lambda: not gate.shared.slices and not gate.remote.waiting)
        assert here and gate.guard.degraded_draws == here
        async with gateway(server.uri) as other:
            assert await other.used() == used + 1
        assert gate.log.events == AWAY_AND_BACK


async def test_what_a_process_held_that_is_killed_stays_taken(server: Server) -> None:
    dead = Gateway(server.uri, everything=True, timeout=5)
    request, drawn = await dead.draw(20)
    assert drawn.ok
    await dead.settle(request, 5)
    await dead.remote.aclose()  # without a word to the store
    async with gateway(server.uri, timeout=5) as other:
        assert await other.used() == 50
    await dead.guard.aclose()
