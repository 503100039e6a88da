"""Scenes in which the store breaks. Each: arrange, break, look, heal, look again."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tests.chaos.callers import OUTPUT, Ask, admitted
from tests.chaos.records import Record
from tests.chaos.stage import BURST, FEW, MANY, QUOTA, SLOTS, TOKENS, Stage, no_errors
from tests.chaos.way import Mode

__all__ = ["STORE_SCENES"]


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
    no_errors(stage, [*flow, *away, *after])


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
    no_errors(stage, [*flow, *away, *after])


async def slow(stage: Stage) -> None:
    """Answers come after four times the time-out."""
    stage.host.way.late = 4 * stage.host.timeout
    await _nothing_leaks(stage, "slow")


async def swallowed(stage: Stage) -> None:
    """Draws are done, and their answers are lost."""
    await _nothing_leaks(stage, "swallow")


async def _nothing_leaks(stage: Stage, mode: Mode) -> None:
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
    no_errors(stage, [*asks, *free])


async def storm(stage: Stage) -> None:
    """One trouble of the store after the other, by chance, none for longer than a few time-outs.

    Less is asked than the limits have; so whatever was given, by whom and in which trouble, is charged once, and in the
    end exactly the rest is there.
    """
    host, callers, dice, way = stage.host, stage.callers, stage.callers.dice, stage.host.way
    many, tokens, live = host.key("many"), host.key("tokens"), host.key("live")
    end = asyncio.get_running_loop().time() + (20.0 if stage.patient else 6.0)

    def until(turns: int) -> Callable[[], bool]:
        left = iter(range(turns))
        return lambda: asyncio.get_running_loop().time() > end or next(left, None) is None

    flow = [
        stage.start(callers.steadily([many], 3 * host.own, until(3 * MANY // 4), gap=0.05, chunks=3, tokens=3)),
        stage.start(callers.steadily([tokens], host.own, until(TOKENS // OUTPUT // 2), gap=0.3)),
        stage.start(callers.steadily([live], host.own, until(1000), gap=0.05, chunks=20, tokens=20)),
    ]
    met = Counter[str]()
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(dice.uniform(0.0, 2 * host.timeout))
        trouble = dice.choice(["slow", "swallow", "refuse", "freeze", "full"])
        met[trouble] += 1
        way.late = dice.uniform(0.2, 4.0) * host.timeout
        if trouble in ("slow", "swallow"):
            way.mode = "slow" if trouble == "slow" else "swallow"
        elif trouble == "refuse":
            await way.refuse()
        elif trouble == "freeze":
            host.server.freeze()
        else:
            await asyncio.to_thread(host.server.ask, "CONFIG", "SET", "maxmemory", 1)
        await asyncio.sleep(dice.uniform(0.05, 4 * host.timeout))
        if trouble == "freeze":
            host.server.thaw()
        elif trouble == "full":
            await asyncio.to_thread(host.server.ask, "CONFIG", "SET", "maxmemory", 0)
        await way.accept()
    asked = [await each for each in flow]
    await host.settled()
    rest = [
        await callers.hammer(many, host.own, clients=stage.clients),
        await callers.hammer(tokens, host.own, clients=1),
        await callers.hammer(live, host.own, clients=SLOTS, times=1, chunks=30, tokens=30),
    ]
    asks = [ask for each in (*asked, *rest) for ask in each]
    records = await stage.of(asks)
    stores = Counter(record.store for record in records)
    stage.figures["troubles"] = ", ".join(f"{name} {count}" for name, count in sorted(met.items()))
    stage.figures["draws"] = ", ".join(f"{name} {count}" for name, count in sorted(stores.items()))
    for name, limit, one, two in (("many", MANY, asked[0], rest[0]), ("tokens", TOKENS // OUTPUT, asked[1], rest[1])):
        count = admitted(one) + admitted(two)
        stage.figures[name] = f"{count} of {limit}"
        stage.claim(count == limit, f"{name}: {count} were admitted, the limit is {limit}")
    stage.figures["slots"] = f"{admitted(rest[2])} of {SLOTS} free"
    stage.claim(admitted(rest[2]) == SLOTS, f"{admitted(rest[2])} of {SLOTS} slots are free")
    no_errors(stage, asks)


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
        stage.ms("ms to the first degraded decision", min(each.decided for each in away) - gone)
        stage.ms("ms to the first exact decision", min(each.decided for each in late) - back)


STORE_SCENES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "lost": lost,
    "frozen": frozen,
    "slow": slow,
    "swallowed": swallowed,
    "full": full,
    "storm": storm,
}
