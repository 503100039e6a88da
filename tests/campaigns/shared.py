"""Several workers of one deployment, each with tables of its own, that tell each other what they have seen."""

import random
from collections.abc import Callable, Collection
from typing import Any

from gateway.campaigns import Campaign
from gateway.campaigns.tables import MEMORY, Campaigns
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from tests.campaigns.worlds import SECOND, World
from tests.signals.traces import ANSWERED

__all__ = ["Fleet", "Worker", "anywhere", "by_key"]

Route = Callable[[str, int], int]


def by_key(account: str, workers: int) -> int:
    """The worker that sees all of an account's requests."""
    return sum(account.encode()) % workers


def anywhere(seed: int = 1) -> Route:
    """Any worker, for each request anew."""
    chance = random.Random(seed)
    return lambda account, workers: chance.randrange(workers)


class Worker:
    """One process: tables, and the rows of signals of what it has seen."""

    def __init__(self, memory: int = MEMORY) -> None:
        self.rows: dict[str, bytes] = {}
        self.tables = Campaigns(lambda account: self.rows.get(account, b""), memory)
        self.tables.share()

    def saw(self, who: Caller, seen: Observation, now: int) -> None:
        row = PANEL.pack(PANEL.asked(self.rows.get(who.account, b""), seen, who, now))
        self.rows[who.account] = PANEL.pack(PANEL.ended(row, seen, ANSWERED, now))
        self.tables.saw(who, seen, now)

    def told(self, now: int, *, anew: bool = False) -> list[bytes]:
        """All that the others are to be told."""
        if anew:
            self.tables.share()
        found = []
        while more := self.tables.changed(now):
            found += [record for _, record in more]
        return found


class Fleet(World):
    """A world whose requests are dealt to several workers, and to one that sees them all: `tables`, `rows`."""

    def __init__(self, workers: int, route: Route = by_key, memory: int = MEMORY) -> None:
        super().__init__(memory, signals=True)
        self.workers = [Worker(memory) for _ in range(workers)]
        self._route = route
        self.bytes = self.records = 0  # told

    def ask(self, account: str, frame: object, times: int = 1, *, every: int = SECOND, **fields: Any) -> None:
        for _ in range(times):
            super().ask(account, frame, every=every, **fields)
            self.workers[self._route(account, len(self.workers))].saw(*self.last)

    def exchange(self, *, anew: bool = False) -> None:
        """Everybody tells everybody what has changed; `anew`: all that there is, as it is now."""
        for at, worker in enumerate(self.workers):
            for record in worker.told(self.now, anew=anew):
                self.bytes += len(record)
                self.records += 1
                for other, hears in enumerate(self.workers):
                    if other != at:
                        assert hears.tables.hear(record, f"w{at}", self.now)

    def agree(self) -> list[list[Campaign]]:
        """All is told and gone through until nobody has anything to say; the campaigns of each worker."""
        for _ in range(3):
            self.exchange(anew=True)
            for worker in self.workers:
                worker.tables.settle()
        return [worker.tables.live for worker in self.workers]


def found(tables: Campaigns) -> list[tuple[str, list[str]]]:
    """Each campaign with its members."""
    return [(each.id, tables.members(each.id)) for each in tables.live]


def accounts(tables: Campaigns) -> Collection[str]:
    return [record.account for record in tables.records()]
