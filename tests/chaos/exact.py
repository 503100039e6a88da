"""The scene in which nothing breaks: what is admitted is the limit."""

import asyncio
import time
from collections.abc import Sequence
from statistics import median

from tests.chaos.callers import OUTPUT, Ask, admitted
from tests.chaos.stage import BURST, QUOTA, RATE, SLOTS, TOKENS, Stage, no_errors

__all__ = ["exact"]

IDLE = 1.6
"""s until slices of a cell that nobody draws from have been given back: a second, and a sweep."""


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
    await asyncio.sleep(IDLE)
    last = [
        await callers.hammer(requests, ports, clients=1),
        await callers.hammer(tokens, ports, clients=1, tokens=OUTPUT),
        await callers.hammer(burst, ports, clients=1),
        await callers.hammer(live, ports, clients=SLOTS, times=1, chunks=30, tokens=30),
        await callers.hammer(model, ports, clients=1, model=f"m-{model}"),
    ]
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
    stage.claim(admitted(last[3]) == SLOTS, f"live: {admitted(last[3])} of {SLOTS} slots are free when all is quiet")
    served = {record.worker for record in records}
    stage.claim(len(served) == host.workers, f"only the workers {sorted(served)} were asked")
    stage.claim(
        degraded == 0 or degraded < len(records) / 20, f"{degraded} of {len(records)} draws were not the store's"
    )
    if degraded:
        stage.figures["not the store's"] = degraded
    alone = await stage.of(await callers.hammer(host.key("closed"), ports, clients=1, times=50))
    for name, each in (("one at a time", alone), ("all at once", records)):
        draws = [record.draw for record in each if record.draw and record.store == "valkey"]
        stage.figures[f"µs a draw, median, {name}"] = round(median(draws))
    no_errors(stage, asks)


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
