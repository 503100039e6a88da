"""What a scene plays on, and what comes of it."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.chaos.callers import Ask, Callers, admitted
from tests.chaos.host import Host
from tests.chaos.records import Record, Records

__all__ = ["BURST", "FEW", "MANY", "QUOTA", "RATE", "SLOTS", "TOKENS", "Stage", "no_errors"]

T = TypeVar("T")
QUOTA = 60  # of the plan `requests`, and of `model`
MANY = 400  # of the plan `many`
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


def no_errors(stage: Stage, asks: Sequence[Ask]) -> None:
    odd = [ask for ask in asks if ask.status not in (200, 429)]
    stage.claim(not odd, f"{len(odd)} requests were neither answered nor refused by a limit, as {odd[:1]}")
