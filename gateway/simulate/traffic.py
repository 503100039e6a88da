"""Pure. One simulated request as a line of raw traffic, with the truth beside it, and what plays a part in a world."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from gateway.simulate.habits import Ask, Entry, Habit
from gateway.simulate.people import Account
from gateway.simulate.schedule import DAY, Chance

__all__ = ["Actor", "Dice", "Heard", "Line", "Resident", "Sent", "line_of", "new_account"]

FAILS = 0.012  # share of requests that the model server fails
FAILURES = (429, 500, 503)

Dice = Callable[[str], Chance]
"""Chance by name."""


class Line(msgspec.Struct):
    """A request as `gauger replay` reads it. From `label` on it is the truth, which no reader may use to judge."""

    id: str
    t: float
    account: str
    key: str
    client_ip: str
    user_agent: str
    method: str
    path: str
    body: msgspec.Raw
    status: int
    response_usage: dict[str, int]
    response_tokens: int
    latency_ms: int
    label: str
    family: str
    campaign: str | None
    owner: str
    useful: bool  # the attacker wanted this answer, and has it


class Sent(NamedTuple):
    """A line, who plays it, and which prompt of the pool it asks (-1 = none)."""

    line: Line
    actor: "Actor"
    item: int = -1
    repeats: bool = False  # somebody of the campaign asked it before


class Heard(NamedTuple):
    """What whoever asked sees of the answer."""

    answered: bool
    blocked: bool = False  # refused for who he is: waiting doesn't help
    limited: bool = False  # refused for now
    shortened: bool = False  # answered, but not with all that was asked


class Actor(Protocol):
    """Plays a part: says when it asks next, makes that request, and hears how it ended."""

    def when(self) -> float:
        """Seconds from the begin; infinite where it has nothing more to ask."""
        ...

    def make(self) -> Sent: ...

    def hear(self, sent: Sent, heard: Heard) -> None: ...


def line_of(chance: Chance, account: Account, t: float, ask: Ask) -> Line:
    """The line of an ask, and how the model server answers it. `useful` is still to be said, `id` too."""
    body = msgspec.json.encode(ask.body)
    roll = chance.random()
    status, out = 200, ask.out
    if roll < FAILS:
        status, out = FAILURES[int(roll / FAILS * len(FAILURES))], 0
    usage = {"prompt_tokens": max(1, len(body) // 4), "completion_tokens": out}
    latency = int(150 + 250 * chance.random() + out * (7 + 14 * chance.random()))
    account.requests += 1
    addresses = account.addresses
    return Line(
        id="",
        t=round(t, 3),
        account=account.name,
        key=account.key,
        client_ip=addresses[0] if len(addresses) == 1 else addresses[chance.randrange(len(addresses))],
        user_agent=account.client,
        method="POST",
        path=ask.path,
        body=msgspec.Raw(body),
        status=status,
        response_usage=usage,
        response_tokens=out,
        latency_ms=latency,
        label=account.label,
        family=account.family,
        campaign=account.campaign,
        owner=account.owner,
        useful=False,
    )


class Resident:
    """A benign account that follows its habit, day by day. `begins` in seconds; `days` are all that are played."""

    def __init__(self, account: Account, habit: Habit, chance: Chance, begins: float, days: float) -> None:
        self.account = account
        self._habit = habit
        self._chance = chance
        self._begins = begins
        self._ends = days * DAY
        self._day = max(0, int(begins // DAY))
        self._plan: list[Entry] = []  # the next one last
        self._late: list[Entry] = []  # of a day, but after its midnight

    def when(self) -> float:
        while not self._plan:
            start = self._day * DAY
            if start >= self._ends:
                return math.inf
            self._day += 1
            found = self._late + self._habit.day(self._chance, start)
            self._late = [entry for entry in found if entry[0] >= start + DAY]
            self._plan = sorted((e for e in found if self._begins <= e[0] < min(start + DAY, self._ends)), reverse=True)
        return self._plan[-1][0]

    def make(self) -> Sent:
        t, seed, step = self._plan.pop()
        return Sent(line_of(self._chance, self.account, t, self._habit.ask(self._chance, seed, step)), self)

    def hear(self, sent: Sent, heard: Heard) -> None:
        """Whoever asks for himself asks on."""


def new_account(chance: Chance, **known: Any) -> Account:
    """An account with a name and a key that say nothing."""
    number = chance.getrandbits(80)
    return Account(name=f"acct-{number % 16**10:010x}", key=f"key-{number >> 40:010x}{number % 16**6:06x}", **known)
