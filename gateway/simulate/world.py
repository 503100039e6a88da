"""Pure. A world: a benign population, controls and campaigns, merged in the order of time, line by line.

Every account has dice of its own, named by the seed and its place, so that the same seed and options give the same
bytes, and one more account changes nothing for the others. What is kept is a plan of the current day of each account.
"""

import math
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heapreplace
from itertools import chain
from typing import Any

import msgspec

from gateway.simulate.benign import CONTROLS, population
from gateway.simulate.campaign import Campaign
from gateway.simulate.knobs import Hydra
from gateway.simulate.people import Account
from gateway.simulate.schedule import DAY
from gateway.simulate.traffic import Actor, Dice, Heard, Resident, Sent

__all__ = ["BEGIN", "Scenario", "World"]

BEGIN = 1_767_571_200
"""Monday, 2026-01-05 00:00 UTC, in Unix seconds."""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a world is made of."""

    seed: int = 1
    days: float = 2.0
    benign: int = 200  # owners
    hydras: tuple[Hydra, ...] = ()
    controls: tuple[str, ...] = ()


class World:
    """The actors of a scenario. `prompts` are those of campaigns; `opened` is told of each account when it begins."""

    def __init__(
        self,
        scenario: Scenario,
        dice: Dice,
        prompts: tuple[str, ...] = (),
        opened: Callable[[Account], object] = lambda account: None,
    ) -> None:
        self.scenario = scenario
        self.accounts: list[Account] = []
        self.requests = 0
        self._opened = opened
        days = scenario.days
        controls = (CONTROLS[name](dice, days) for name in scenario.controls)
        residents: list[Resident] = list(chain(population(dice, scenario.benign, days), *controls))
        for resident in residents:
            self._open(resident.account)
        self.campaigns = [
            Campaign(msgspec.structs.replace(knobs, id=knobs.id or f"hydra-{at + 1}"), dice, days, prompts, self._open)
            for at, knobs in enumerate(scenario.hydras)
        ]
        self._actors: list[Actor] = [*residents, *self.campaigns]

    def _open(self, account: Account) -> None:
        self.accounts.append(account)
        self._opened(account)

    def play(self, *, deaf: bool = True) -> Iterator[Sent]:
        """The requests in order. `deaf`: everybody takes the model server's status for the answer; else the reader
        calls `sent.actor.hear` himself, at the best before he asks for the next one."""
        actors = self._actors
        queue = [(when, at) for at, actor in enumerate(actors) if (when := actor.when()) < math.inf]
        heapify(queue)
        last = 0.0
        while queue:
            _, at = queue[0]
            actor = actors[at]
            sent = actor.make()
            line = sent.line
            self.requests += 1
            line.id = f"s{self.requests:07}"
            line.t = last = max(last, round(BEGIN + line.t, 3))
            if deaf:
                actor.hear(sent, Heard(line.status == 200))
            yield sent
            when = actor.when()
            if when < math.inf:
                heapreplace(queue, (when, at))
            else:
                heappop(queue)

    def labels(self) -> Iterator[dict[str, Any]]:
        """The truth about each account that asked something, in the order of their names."""
        for account in sorted(self.accounts, key=lambda each: each.name):
            if account.requests:
                yield {
                    "account": account.name,
                    "label": account.label,
                    "family": account.family,
                    "cluster": account.campaign,
                    "owner": account.owner,
                    "requests": account.requests,
                }

    def directory(self) -> Iterator[tuple[str, str | None, int]]:
        """Account, org (None = it claims none) and the Unix seconds of its first day, in the order of their names."""
        for account in sorted(self.accounts, key=lambda each: each.name):
            if account.requests:
                yield account.name, account.org, int((BEGIN + account.created) // DAY * DAY)
