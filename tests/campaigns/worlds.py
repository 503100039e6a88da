"""Small worlds: accounts that ask in frames, and the tables that look at them. Times in µs."""

from typing import Any

from gateway.campaigns import Campaign
from gateway.campaigns.habits import Habits
from gateway.campaigns.tables import MEMORY, Campaigns
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import DAY, HOUR, WEEK
from tests.signals.traces import ANSWERED, SECOND, T0, ask, print_of

__all__ = ["DAY", "HOUR", "MINUTE", "SECOND", "T0", "WEEK", "World", "called", "fill", "names", "network", "record"]

MINUTE = 60 * SECOND


def network(name: object) -> str:
    """The keyed hash of a network, as callers have it."""
    return f"{print_of('network', name):016x}"


def called(
    account: str, *, age: float | None = None, at: int = T0, net: object = None, org: str | None = None
) -> Caller:
    """A caller, `age` days old at that time as the accounts file knows it; None = it doesn't."""
    created = None if age is None else (at - round(age * DAY)) // SECOND
    return Caller(account, org=org, created=created, known=age is not None, network=network(net) if net else "")


def fill(frame: object, what: object, *, params: object = "usual", client: str = "usual", **fields: Any) -> Observation:
    """A question in a frame, which is what the system says; None = in none. No `params` or `client`: none are told."""
    system = print_of("system", frame) if frame is not None else 0
    return ask(what, system=system, params=print_of("params", params) if params else 0, client=client, **fields)


class World:
    """Tables on a clock of their own. `signals`: with those of each account, as the gateway keeps them."""

    def __init__(self, memory: int = MEMORY, *, signals: bool = False) -> None:
        self.now = T0
        self.rows: dict[str, bytes] = {}
        self.tables = Campaigns(lambda account: self.rows.get(account, b""), memory)
        self.callers: dict[str, Caller] = {}
        self.asked = 0
        self.last: tuple[Caller, Observation, int]  # who asked what, and when
        self._signals = signals

    def join(self, account: str, **fields: Any) -> None:
        """Makes an account known; `fields` as `called` takes them."""
        self.callers[account] = called(account, at=self.now, **fields)

    def ask(self, account: str, frame: object, times: int = 1, *, every: int = SECOND, **fields: Any) -> None:
        """So many questions of one account; each is a new one unless `what` is given."""
        who = self.callers.setdefault(account, called(account))
        what = fields.pop("what", None)
        for _ in range(times):
            self.asked += 1
            self.now += every
            seen = fill(frame, what if what is not None else (account, self.asked), **fields)
            if self._signals:
                row = PANEL.pack(PANEL.asked(self.rows.get(account, b""), seen, who, self.now))
                self.rows[account] = PANEL.pack(PANEL.ended(row, seen, ANSWERED, self.now))
            self.last = (who, seen, self.now)
            self.tables.saw(who, seen, self.now)

    def crowd(self, count: int, *, name: str = "old", age: float | None = 400, times: int = 3, **fields: Any) -> None:
        """Independent owners: each with a frame of its own, and what most have else."""
        for at in range(count):
            self.join(f"{name}-{at}", age=age)
            self.ask(f"{name}-{at}", f"frame of {name}-{at}", times, **fields)

    def hydra(
        self,
        count: int,
        *,
        frame: object = "hydra",
        name: str = "head",
        times: int = 4,
        age: float | None = 0,
        **by: Any,
    ) -> None:
        """New accounts that fill one frame, with parameters and a client that nobody else has."""
        for at in range(count):
            self.join(f"{name}-{at}", age=age)
            self.ask(f"{name}-{at}", frame, times, **{"params": "rare", "client": "rare", **by})

    def settle(self) -> list[Campaign]:
        """Goes through everything; the campaigns that there are."""
        self.tables.settle()
        return self.tables.live

    def members(self) -> list[list[str]]:
        """The members of each campaign, the largest first."""
        return [self.tables.members(each.id) for each in self.tables.live]


def record(account: str, frame: object = "frame", *, times: int = 3, who: Caller | None = None, **asked: Any) -> Habits:
    """What is remembered of an account that has asked so often, in a gateway that has just begun."""
    world = World()
    world.callers[account] = who or called(account)
    world.ask(account, frame, times, **asked)
    (made,) = world.tables.records()
    return made


def names(count: int, name: str = "head") -> list[str]:
    """The accounts of a hydra, in order."""
    return sorted(f"{name}-{at}" for at in range(count))
