"""Scenes in which the store breaks. Each: arrange, break, look, heal, look again."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from tests.chaos.callers import OUTPUT, Ask, Callers, admitted
from tests.chaos.host import Host
from tests.chaos.records import Record, Records

__all__ = ["QUOTA", "STORE_SCENES", "Stage"]

T = TypeVar("T")
QUOTA = 60  # of the plan `requests`, and of `model`
TOKENS = 10_000
BURST = 20
RATE = 20.0  # requests a second of the plan `pace`
SLOTS = 6
FEW = 10  # requests before the store breaks
TRIES = 3  # at having them all answered by the store


@dataclass
class Stage:
    """What a scene plays on, and what came of it: `figures` are for the report, `wrong` is what must not be."""

    host: Host
    callers: Callers
    records: Records
    clients: int
    patient: bool
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begins what goes on beside the scene, and ends with it."""
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def over(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def claim(self, true: object, what: str) -> None:
        if not true:
            self.wrong.append(what)

    async def of(self, asks: Sequence[Ask]) -> list[Record]:
        found = await self.records.of(asks, self.host.folders)
        answered = [ask for ask in asks if ask.whole]
        self.claim(len(found) == len(answered), f"{len(answered) - len(found)} answered requests have no line")
        return found

    def ms(self, name: str, seconds: float) -> None:
        self.figures[name] = round(1000 * seconds, 1)

    async def warm(self) -> tuple[str, list[int]]:
        """A key that has asked a few times, a worker in turn, and how many units each worker has heard of.

        Where the machine is so busy that the store did not answer in time, another key asks.
        """
        host = self.host
        for _ in range(TRIES):
            key, heard, asks = host.key("requests"), [0] * host.workers, list[Ask]()
            for at in range(FEW):
                worker = at % host.workers
                asks.append(await self.callers.ask(key, host.own[worker]))
                heard[worker] = at + 1
            records = await self.of(asks)
            if all(record.store == "valkey" for record in records):
                self.claim(admitted(asks) == FEW, f"first requests were answered {[ask.status for ask in asks]}")
                return key, heard
            late = [(record.worker, record.draw) for record in records if record.store != "valkey"]
            self.figures.setdefault("not the store's (worker, µs)", []).append(late)
            await host.settled()
        raise AssertionError("the store does not answer, and nothing is wrong with it")

    async def shares(self, heard: Sequence[int], quota: int = QUOTA) -> tuple[int, int]:
        """Of a quota, while the store is away: what all workers together grant by themselves, and what they take for
        given, if each has heard of so many units.

        A worker's share is that of the processes which the store has counted: one that died within 15 s is among them.
        """
        count = [int(store["replicas"]) for store in await self.host.stores()]
        known = [-(-units // replicas) for units, replicas in zip(heard, count, strict=True)]
        free = [max(0, quota // replicas - each) for each, replicas in zip(known, count, strict=True)]
        return sum(free), sum(known)


async def exact(stage: Stage) -> None:
    """Many clients over all workers: what is admitted is the limit, and not one more or less."""
    host, callers, clients = stage.host, stage.callers, stage.clients
    ports = [host.port]
    requests, tokens, burst, pace, live, model = (
        host.key(plan) for plan in ("requests", "tokens", "burst", "pace", "live", "model")
    )
    began = time.time()
    paced = stage.start(callers.hammer(pace, ports, clients=2, times=30))
    lists = await asyncio.gather(
        callers.hammer(requests, ports, clients=clients),
        callers.hammer(tokens, ports, clients=clients, tokens=2 * OUTPUT),
        callers.hammer(burst, ports, clients=clients),
        callers.hammer(live, ports, clients=clients, times=4, chunks=10, tokens=10),
        callers.hammer(model, ports, clients=clients, model=f"m-{model}"),
    )
    timed = await paced
    took = time.time() - began
    await host.settled()
    last = [
        await callers.hammer(requests, ports, clients=1),
        await callers.hammer(tokens, ports, clients=1, tokens=OUTPUT),
        await callers.hammer(burst, ports, clients=1),
    ]
    await asyncio.sleep(1.6)  # slices of a cell that nobody draws from are given back after a second and a sweep
    last += [[], await callers.hammer(model, ports, clients=1, model=f"m-{model}")]
    asks = [*timed, *(ask for each in (*lists, *last) for ask in each)]
    records = await stage.of(asks)
    degraded = sum(record.store != "valkey" for record in records)
    names = ("requests", "tokens", "burst", "live", "model")
    found = {name: admitted(one) + admitted(two) for name, one, two in zip(names, lists, last, strict=True)}
    limits = {"requests": QUOTA, "tokens": TOKENS // OUTPUT, "burst": BURST, "model": QUOTA}
    for name, limit in limits.items():
        stage.figures[name] = f"{found[name]} of {limit}"
        over = degraded if name != "model" else 0
        stage.claim(limit <= found[name] <= limit + over, f"{name}: {found[name]} were admitted, the limit is {limit}")
    most = BURST + RATE * took + 1
    stage.figures["pace"] = f"{admitted(timed)} of {most:.0f} at most"
    stage.claim(BURST <= admitted(timed) <= most, f"pace: {admitted(timed)} were admitted in {took:.2f} s")
    at_once = _at_once(lists[3])
    stage.figures["live"] = f"{at_once} at once of {SLOTS}, {found['live']} streams"
    stage.claim(0 < at_once <= SLOTS, f"live: {at_once} streams at once, {SLOTS} are allowed")
    served = {record.worker for record in records}
    stage.claim(len(served) == host.workers, f"only the workers {sorted(served)} were asked")
    stage.claim(
        degraded == 0 or degraded < len(records) / 20, f"{degraded} of {len(records)} draws were not the store's"
    )
    if degraded:
        stage.figures["not the store's"] = degraded
    draws = [record.draw for record in records if record.draw and record.store == "valkey"]
    stage.figures["µs a draw, median"] = round(median(draws))
    _no_errors(stage, asks)


async def lost(stage: Stage) -> None:
    """The store is killed, and comes back empty."""
    host, callers = stage.host, stage.callers
    closed, open_ = host.key("closed"), host.key("open")
    key, heard = await stage.warm()
    before = [await callers.ask(closed, port) for port in host.own]
    stop = asyncio.Event()
    steady = stage.start(callers.steadily([open_], host.own, stop.is_set))
    await asyncio.sleep(0.1)
    told = len(await host.hear("the store lost its state", 0))
    gone = await host.lose_store()
    await host.down()
    shares = await stage.shares(heard)
    away = await callers.hammer(key, host.own, clients=2 * host.workers)
    refused = [await callers.ask(closed, port) for port in host.own]
    back = await host.find_store()
    await host.settled()
    stop.set()
    flow = await steady
    after = await callers.hammer(key, host.own, clients=2 * host.workers)
    again = [await callers.ask(closed, port) for port in host.own]
    _shares_hold(stage, max(heard), shares, away, after, lost=True)
    records = await stage.of([*flow, *away, *refused, *after, *again])
    await _away_is_degraded(stage, records, gone, back)
    stage.claim(all(ask.status == 503 for ask in refused), f"the closed limit: {[ask.status for ask in refused]}")
    stage.claim(all(ask.status == 200 for ask in (*before, *again)), "the closed limit refused while the store was up")
    while_away = [ask for ask in flow if gone < ask.began and ask.ended < back]
    stage.claim(while_away, "nobody asked while the store was away")
    stage.claim(all(ask.status == 200 for ask in while_away), "the open limit refused while the store was away")
    events = await host.hear("the store lost its state", told + host.workers)
    stage.claim(len(events) == told + host.workers, f"the loss was said {len(events) - told} times")
    _no_errors(stage, [*flow, *away, *after])


async def frozen(stage: Stage) -> None:
    """The store is stopped, and goes on with what it knew.

    Bounds, with `n` units given before and `h` of them known to a worker when it heard last: while the store is away
    `sum over workers of (quota // workers - ceil(h / workers))`; whoever waits until the store was told gets the quota
    in all, or what was given till then if that is more. Whoever goes on asking in the seconds until it is told gets
    at most the quota and all shares.
    """
    host, callers = stage.host, stage.callers
    busy = host.key("requests")
    key, heard = await stage.warm()
    stop = asyncio.Event()
    steady = stage.start(callers.steadily([busy], host.own, stop.is_set))
    await asyncio.sleep(0.1)
    host.server.freeze()
    gone = time.time()
    await host.down()
    shares = await stage.shares(heard)
    away = await callers.hammer(key, host.own, clients=2 * host.workers)
    back = time.time()
    host.server.thaw()
    await host.settled()
    stop.set()
    flow = await steady
    after = await callers.hammer(key, host.own, clients=2 * host.workers)
    _shares_hold(stage, max(heard), shares, away, after, lost=False)
    records = await stage.of([*flow, *away, *after])
    await _away_is_degraded(stage, records, gone, back)
    most = QUOTA + sum(QUOTA // int(store["replicas"]) for store in await host.stores())
    stage.figures["never quiet"] = f"{admitted(flow)} of {most} at most"
    stage.claim(admitted(flow) <= most, f"who never stopped asking was admitted {admitted(flow)} times, {most} at most")
    _no_errors(stage, [*flow, *away, *after])


async def slow(stage: Stage) -> None:
    """Answers come after four times the time-out."""
    stage.host.way.late = 4 * stage.host.timeout
    await _nothing_leaks(stage, "slow")


async def swallowed(stage: Stage) -> None:
    """Draws are done, and their answers are lost."""
    await _nothing_leaks(stage, "swallow")


async def _nothing_leaks(stage: Stage, mode: Any) -> None:
    way = stage.host.way

    async def break_() -> None:
        way.mode = mode

    async def heal() -> None:
        way.mode = "pass"

    await _exactly_left(stage, break_, heal)


async def full(stage: Stage) -> None:
    """The store has no memory left, and has some again."""
    host = stage.host

    async def limit(size: int) -> None:
        await asyncio.to_thread(host.server.ask, "CONFIG", "SET", "maxmemory", size)

    await _exactly_left(stage, lambda: limit(1), lambda: limit(0))


async def _exactly_left(
    stage: Stage, break_: Callable[[], Awaitable[None]], heal: Callable[[], Awaitable[None]]
) -> None:
    """Requests before, during and after; then what is left of each limit is what nobody was given.

    A rate gives back less than it was charged where draws overlap (`gateway/quotas.py`: marks of a cell have steps), so
    a unit of `burst` may be missing for each draw whose answer did not come in time, until it has drained.
    """
    host, callers = stage.host, stage.callers
    tokens, burst, live, open_ = (host.key(plan) for plan in ("tokens", "burst", "live", "open"))
    requests, heard = await stage.warm()
    stop = asyncio.Event()
    steady = stage.start(callers.steadily([open_], host.own, stop.is_set))
    held = stage.start(callers.hammer(live, host.own, clients=SLOTS, times=1, chunks=30, tokens=30))
    first = await callers.hammer(tokens, host.own, clients=2, times=2)
    await asyncio.sleep(0.1)
    await break_()
    gone = time.time()
    lists = await asyncio.gather(
        callers.hammer(requests, host.own, clients=4 * host.workers, times=3),
        callers.hammer(tokens, host.own, clients=2 * host.workers, times=3),
        callers.hammer(burst, host.own, clients=2 * host.workers, times=2),
    )
    await host.down()
    shares, _ = await stage.shares(heard)
    late = await callers.hammer(requests, host.own, clients=host.workers, times=1)
    back = time.time()
    await heal()
    await host.settled()
    stop.set()
    rest = [
        await callers.hammer(requests, host.own, clients=2 * host.workers),
        await callers.hammer(tokens, host.own, clients=2 * host.workers),
        await callers.hammer(burst, host.own, clients=2 * host.workers),
    ]
    asks = [*first, *late, *(ask for each in (*lists, *rest) for ask in each), *await held, *await steady]
    await _away_is_degraded(stage, await stage.of(asks), gone, back)
    unsure = sum(record.draw > 5e5 * host.timeout for record in await stage.of(lists[2]))
    there = admitted(lists[0]) + admitted(late)
    stage.claim(there <= shares, f"{there} were admitted while the store was away, the shares are {shares}")
    found = {
        "requests": (FEW + admitted(lists[0]) + admitted(late) + admitted(rest[0]), QUOTA),
        "tokens": (admitted(first) + admitted(lists[1]) + admitted(rest[1]), TOKENS // OUTPUT),
        "burst": (admitted(lists[2]) + admitted(rest[2]), BURST),
    }
    for name, (count, limit) in found.items():
        stage.figures[name] = f"{count} of {limit}"
        least = limit - (unsure if name == "burst" else 0)
        stage.claim(least <= count <= limit, f"{name}: {count} were admitted, the limit is {limit}")
    free = await callers.hammer(live, host.own, clients=SLOTS, times=1, chunks=30, tokens=30)
    stage.figures["slots"] = f"{admitted(free)} of {SLOTS} free"
    stage.claim(admitted(free) == SLOTS, f"{admitted(free)} of {SLOTS} slots are free")
    await stage.of(free)
    _no_errors(stage, [*asks, *free])


def _shares_hold(
    stage: Stage, given: int, shares: tuple[int, int], away: Sequence[Ask], after: Sequence[Ask], *, lost: bool
) -> None:
    """While the store is away its shares are granted, to the last; when it is back, what is left of the whole.

    A store that has lost its memory is told what each worker granted, and its part of what it had heard of.
    """
    free, known = shares
    there = admitted(away)
    stage.figures["while away"] = f"{there} of {free}"
    stage.claim(there == free, f"{there} were admitted while the store was away, the shares are {free}")
    told = there + (known if lost else given)
    total, limit = given + there + admitted(after), given + there + max(0, QUOTA - told)
    stage.figures["in all"] = f"{total} of {QUOTA}"
    stage.claim(total == limit, f"{total} were admitted in all, {limit} should be")


async def _away_is_degraded(stage: Stage, records: Sequence[Record], gone: float, back: float) -> None:
    """Each record of the time says that the store was away; after it, the store is asked again."""
    away = [record for record in records if gone < record.at < back]
    stage.claim(away, "there is no record of the time without a store")
    odd = [record for record in away if record.store != "degraded"]
    stage.claim(not odd, f"{len(odd)} records of the time without a store do not say so, as {odd[:1]}")
    late = [record for record in records if record.at >= back and record.store == "valkey"]
    stage.claim(late, "no record says that the store is back")
    if away and late:
        stage.ms("ms to the first degraded decision", min(each.at for each in away) - gone)
        stage.ms("ms to the first exact decision", min(each.at for each in late) - back)


def _at_once(asks: Sequence[Ask]) -> int:
    """How many answers were under way at the same time, at most, as their callers saw it."""
    steps = sorted(
        step
        for ask in asks
        if ask.status == 200
        for step in ((ask.head, 1), (ask.ended if ask.whole else ask.head, -1))
    )
    most = now = 0
    for _, change in steps:
        now += change
        most = max(most, now)
    return most


def _no_errors(stage: Stage, asks: Sequence[Ask]) -> None:
    odd = [ask for ask in asks if ask.status not in (200, 429)]
    stage.claim(not odd, f"{len(odd)} requests were neither answered nor refused by a limit, as {odd[:1]}")


STORE_SCENES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "exact": exact,
    "lost": lost,
    "frozen": frozen,
    "slow": slow,
    "swallowed": swallowed,
    "full": full,
}
