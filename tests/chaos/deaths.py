"""Scenes in which the gateway dies: a worker, everybody at once, and in peace."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.chaos.callers import Ask, admitted
from tests.chaos.host import LEASE, account_of
from tests.chaos.stage import MANY, SLOTS, Stage

__all__ = ["DEATH_SCENES"]

READING = "hour.requests"
SLICE = 0.05  # share of a limit (`GAUGER_STORE_SLICE`)
REMEMBERED = 12  # requests of an account before its worker dies


async def worker(stage: Stage) -> None:
    """A worker is killed while it serves: its own requests break off, and no unit is lost beyond theirs."""
    host, callers = stage.host, stage.callers
    key, live, free = host.key("many"), host.key("live"), host.key("free")
    asking = stage.start(callers.hammer(key, [host.port], clients=stage.clients, chunks=6, tokens=6))
    held = stage.start(callers.hammer(live, host.own[:1], clients=SLOTS, times=1, chunks=200, tokens=200, gap=20))
    await asyncio.sleep(0.5)
    kill = await host.kill_worker(0)
    next_one = await callers.ask(free, host.own[0])
    asks, slots = await asking, await held
    await host.up()
    await host.settled()
    _broken_bound(stage, asks, 1)
    broken = [ask for ask in slots if ask.status == 200 and not ask.whole]
    stage.claim(len(broken) == SLOTS, f"{len(broken)} of {SLOTS} streams broke off with their worker")
    stage.claim(next_one.status == 200, f"the next worker answered {next_one.status}{next_one.error}")
    stage.ms("ms from the kill to the worker's next answer", next_one.ended - kill.at)
    refused = await callers.ask(live, host.own[1])
    stage.claim(refused.status == 429, f"a slot of a dead worker was free at once: {refused.status}")
    ends = _deadlines(stage, live)
    stage.claim(len(ends) == SLOTS, f"{len(ends)} leases are held for a dead worker's {SLOTS} streams")
    stage.claim(max(ends, default=0.0) <= kill.at + LEASE + 1, "a lease outlasts its deadline")
    if stage.patient:
        await asyncio.sleep(max(0.0, min(ends, default=0.0) - time.time()))
        got = await host.until(lambda: _granted(stage, live), "a slot is free again", LEASE)
        stage.figures["s from the kill to a free slot"] = round(got.began - kill.at, 1)
        stage.claim(got.began - kill.at <= LEASE + 2, "the slots came back after their deadline")
    ready = await host.ready()
    restarts = [each["restarts"] for each in ready["workers"]]
    stage.claim(restarts[0] >= 1, f"restarts are {restarts}")
    _odd(stage, asks)


async def crash(stage: Stage) -> None:
    """Everything of the gateway is killed under load, and started again: what is kept is kept."""
    host, callers = stage.host, stage.callers
    key, known = host.key("many"), [host.key("free") for _ in host.own]
    for account, port in zip(known, host.own, strict=True):
        for _ in range(REMEMBERED):
            await callers.ask(account, port)
    await asyncio.sleep(2.2 if stage.patient else 0.2)  # a snapshot is taken every two seconds
    flow = stage.start(callers.hammer(key, [host.port], clients=stage.clients, chunks=20, tokens=20))
    await asyncio.sleep(0.5)
    kill = await host.kill_all()
    flow.cancel()  # nobody listens any more: those that are left would all be refused
    await asyncio.wait([flow])
    before = [ask for ask in callers.asks.values() if ask.key == key]
    stage.claim(any(ask.head and not ask.whole for ask in before), "no answer was under way when all was killed")
    stage.claim(not await host.left(), "processes are left after the kill")
    took = await host.start()
    stage.figures["s from the restart to ready"] = round(took, 2)
    stage.figures["s from the kill to ready"] = round(time.time() - kill.at, 2)
    restored = await host.hear("restored", host.workers)
    stage.figures["rows folded"] = [each["rows"] for each in restored]
    stage.claim(len(restored) == host.workers, f"{len(restored)} workers said that they were restored")
    await _remembered(stage, known, REMEMBERED)
    await host.settled()
    after = await callers.hammer(key, [host.port], clients=stage.clients)
    _broken_bound(stage, [*before, *after], stage.host.workers)
    _odd(stage, after)


async def drain(stage: Stage) -> None:
    """SIGTERM under load: what was begun ends, and the next start goes on from a snapshot, without a row."""
    host, callers = stage.host, stage.callers
    key, known = host.key("free"), [host.key("free") for _ in host.own]
    for account, port in zip(known, host.own, strict=True):
        for _ in range(REMEMBERED):
            await callers.ask(account, port)
    over = asyncio.Event()
    flow = stage.start(callers.steadily([key], [host.port] * stage.clients, over.is_set, chunks=30, tokens=30))
    await asyncio.sleep(0.7)
    stop = stage.start(host.stop())
    began = time.time()
    await asyncio.sleep(0.05)
    over.set()
    asks = await flow
    code = await stop
    stage.claim(code == 0, f"it ended with {code}")
    broken = [ask for ask in asks if ask.head and not ask.whole]
    stage.claim(not broken, f"{len(broken)} answers broke off, as {broken[:1]}")
    late = [ask for ask in asks if ask.whole and ask.ended > began]
    stage.claim(late, "nothing was under way when it was to end")
    stage.figures["answered while it drained"] = len(late)
    stage.figures["turned away"] = sum(bool(ask.error) for ask in asks)
    await stage.of(asks)
    written = {ask.name for ask in asks if not ask.whole} & stage.records.by_name.keys()
    stage.claim(not written, f"{len(written)} requests have a record and no answer")
    stage.claim(not await host.left(), "processes are left after the end")
    took = await host.start()
    stage.figures["s from the restart to ready"] = round(took, 2)
    restored = await host.hear("restored", host.workers)
    rows = [each["rows"] for each in restored]
    stage.claim(rows == [0] * host.workers, f"{rows} rows were folded behind the snapshots")
    await _remembered(stage, known, REMEMBERED)


def _broken_bound(stage: Stage, asks: Sequence[Ask], dead: int) -> None:
    """No more than the limit was admitted; and no less, but for what its callers never heard the end of.

    With slices, what a dead worker held and had not spent stays charged too: two slices at most, one that is spent and
    one that has just come.
    """
    seen, broken = admitted(asks), sum(not ask.whole for ask in asks)
    held = 2 * dead * int(MANY * SLICE) if stage.host.mode == "sliced" else 0
    stage.figures["admitted"] = f"{seen} of {MANY}, {broken} broke off"
    stage.claim(seen <= MANY, f"{seen} were admitted, the limit is {MANY}")
    stage.claim(seen >= MANY - broken - held, f"{seen} were admitted, {broken} broke off, the limit is {MANY}")


async def _remembered(stage: Stage, known: Sequence[str], count: int) -> None:
    """An account's reading goes on where it was, in the worker that had it."""
    found = []
    for account, port in zip(known, stage.host.own, strict=True):
        ask = await stage.callers.ask(account, port)
        records = await stage.of([ask])
        found += [record.readings.get(READING, 0) for record in records]
    stage.figures[READING] = found
    stage.claim(
        len(found) == len(known) and all(value > 0.9 * count for value in found),
        f"{READING} is {found} after a restart, {count + 1} were asked",
    )


async def _granted(stage: Stage, key: str) -> Ask | None:
    ask = await stage.callers.ask(key, stage.host.own[1])
    return ask if ask.status == 200 else None


def _deadlines(stage: Stage, key: str) -> list[float]:
    """Of the leases that the store holds of an account, s of the wall."""
    ask = stage.host.server.ask
    cells = [cell.decode() for cell in ask("KEYS", f"gauger:*{account_of(key)}}}l|*")]
    return [float(score) / 1e6 for cell in cells for score in ask("ZRANGE", cell, 0, -1, "WITHSCORES")[1::2]]


def _odd(stage: Stage, asks: Sequence[Ask]) -> None:
    odd = [ask for ask in asks if not ask.error and ask.status not in (200, 429)]
    stage.claim(not odd, f"{len(odd)} requests were neither answered nor refused by a limit, as {odd[:1]}")


DEATH_SCENES: dict[str, Callable[[Stage], Awaitable[None]]] = {"worker": worker, "crash": crash, "drain": drain}
