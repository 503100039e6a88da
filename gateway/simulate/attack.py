"""Pure. The adaptive attacker: a search of the knobs for the cheapest way to so many useful answers.

He begins with the cheapest way there is without a defence, tries the usual disguises, and goes on from the best of
them: one knob at a time to its neighbours on a ladder, in an order that chance gives, then several at once, as long as
his budget of tries lasts, or until he pays no more than without a defence. He sees of the gateway what a caller sees:
answered, refused, shortened. What a campaign costs is arithmetic on what it did (`Costs`), so that two people with
different prices can use one table.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.simulate.campaign import Campaign
from gateway.simulate.knobs import PRESETS, Hydra, Wording
from gateway.simulate.schedule import Chance

__all__ = ["CHEAPEST", "Costs", "Found", "Report", "Spent", "Trial", "Try", "cost_of", "search", "spent_of"]


class Costs(msgspec.Struct, frozen=True):
    """US dollars."""

    request: float = 0.01  # answered or not
    account: float = 5.0
    network: float = 1.0  # beyond the first for each ten accounts
    rewording: float = 0.002  # one call of a cheap model a prompt in other words, or a frame beyond the first
    ageing: float = 2.0  # of an account for each 30 days of its age
    day: float = 0.0  # that the campaign lasts


class Spent(msgspec.Struct, frozen=True):
    """What a campaign did, and what it saw of the gateway."""

    useful: int = 0  # different prompts of the pool that were answered
    requests: int = 0
    filler: int = 0
    answered: int = 0
    refused: int = 0
    shortened: int = 0
    accounts: int = 0  # successors and all
    given_up: int = 0
    networks: int = 0
    reworded: int = 0
    days: float = 0.0
    first_refusal: int = 0  # useful answers before it; 0 with `refused` 0 = there was none


class Try(msgspec.Struct, frozen=True):
    """One evaluated point."""

    number: int
    why: str
    knobs: Hydra
    spent: Spent
    cost: float  # US dollars in all
    per_1000: float | None  # US dollars per 1,000 useful answers; None = no useful answer
    reached: bool  # the target
    ended: str  # how: target, refused, time, dearer


Trial = Callable[[Hydra, float], tuple[Spent, str]]
"""Plays a campaign until it has what it wants, and says what it did and how it ended. The number is what it may cost in
US dollars: dearer than that nobody asks about it."""


class Found(msgspec.Struct, frozen=True):
    """What the search found, point by point."""

    tries: list[Try]
    best: Try | None  # the cheapest that reached the target


class Report(msgspec.Struct, frozen=True):
    """The attacker's report. Costs are US dollars per 1,000 useful answers."""

    schema: str
    policy: str
    digest: str
    seed: int
    target: int
    goal: str
    costs: Costs
    undefended: Try
    naive: Try
    best: Try | None
    again: Try | None  # the best once more, in a world of another seed
    multiplier: float | None  # cheapest evasion ÷ undefended; None = none was found
    tries: list[Try]


CLOSE = 1.001  # a cost that is no more than this many times another is the same

CHEAPEST = Hydra(id="attack", accounts=1, pace=5_000, pool=100_000)
"""What nobody who is watched would do: one account, as fast as it goes."""

LADDERS: Mapping[str, Sequence[Any]] = {
    "accounts": (1, 2, 4, 8, 15, 30, 60, 120, 250),
    "pace": (5_000, 1_500, 500, 200, 100, 50, 26, 12),
    "frames": (1, 5, -1),
    "paraphrase": (1, 40, 2_000),
    "params": ("own", "rotating", "popular"),
    "client": ("own", "rotating", "popular"),
    "per_network": (50, 10, 3, 1),
    "cover": (0.0, 0.3, 0.6, 0.8),
    "cover_as": ("hobbyist", "chat_app", "batch_classify", "coding_agent"),
    "schedule": ("poisson", "human", "balanced"),
    "rotation": (0, 100, 30, 10, 5),
    "succession": (False, True),
    "age": (0.0, 30.0, 90.0),
}
"""What the search tries of each knob, from cheap to dear."""


def anchors(goal: Wording) -> Iterator[tuple[str, Hydra]]:
    """Where the search looks first."""
    change = msgspec.structs.replace
    cheap = change(CHEAPEST, wording=goal)
    alike = {"params": "popular", "client": "popular"}
    yield "the cheapest without a defence", cheap
    yield "in other words each time", change(cheap, pace=500, paraphrase=2_000, schedule="human", **alike)
    yield "new accounts for refused ones", change(cheap, accounts=4, pace=500, succession=True, delay=0.1)
    yield "throw-away accounts", change(cheap, accounts=5, pace=500, rotation=5, succession=True, delay=0.1)
    yield "covered by other traffic", change(cheap, accounts=4, pace=500, cover=0.6, **alike)
    yield "thirty accounts", change(cheap, accounts=30, pace=200)
    yield "many slow accounts", change(cheap, accounts=120, pace=26, **alike)
    yield (
        "all disguises",
        change(
            PRESETS["full-evasion"], id=cheap.id, pool=cheap.pool, wording=goal, pace=100, succession=True, delay=0.1
        ),
    )


def cost_of(spent: Spent, knobs: Hydra, costs: Costs) -> float:
    """US dollars that a campaign costs."""
    free = -(-spent.accounts // 10)
    return (
        spent.requests * costs.request
        + spent.accounts * costs.account
        + max(0, spent.networks - free) * costs.network
        + spent.reworded * costs.rewording
        + spent.accounts * knobs.age / 30 * costs.ageing
        + spent.days * costs.day
    )


def spent_of(campaign: Campaign, seen: Mapping[str, int], days: float) -> Spent:
    """What a campaign did; `seen` counts answered, refused and before_refusal."""
    knobs = campaign.knobs
    frames = campaign.accounts if knobs.frames < 0 else knobs.frames
    words = campaign.sent - campaign.filler if knobs.paraphrase > 1 else 0
    return Spent(
        useful=campaign.useful,
        requests=campaign.sent,
        filler=campaign.filler,
        answered=seen.get("answered", 0),
        refused=seen.get("refused", 0),
        shortened=campaign.shortened,
        accounts=campaign.accounts,
        given_up=campaign.given_up,
        networks=campaign.networks,
        reworded=words + max(0, frames - 1),
        days=round(days, 4),
        first_refusal=seen.get("before_refusal", 0),
    )


def judged(number: int, why: str, knobs: Hydra, played: tuple[Spent, str], costs: Costs) -> Try:
    """A point with its price."""
    spent, ended = played
    cost = cost_of(spent, knobs, costs)
    each = round(cost / spent.useful * 1000, 2) if spent.useful else None
    return Try(number, why, knobs, spent, round(cost, 4), each, ended == "target", ended)


def search(
    trial: Trial,
    budget: int,
    goal: Wording,
    costs: Costs,
    chance: Chance,
    floor: float = 0.0,
    told: Callable[[Try], object] = lambda each: None,
) -> Found:
    """Tries at most `budget` points, and none once one costs no more than `floor` US dollars. `told` hears of each."""
    return _Search(trial, budget, costs, chance, floor, told).run(goal)


class _Search:
    def __init__(
        self, trial: Trial, budget: int, costs: Costs, chance: Chance, floor: float, told: Callable[[Try], object]
    ) -> None:
        self.trial, self.costs, self.chance, self.told = trial, costs, chance, told
        self.budget, self.floor = budget, floor
        self.tries: list[Try] = []
        self.known: set[Hydra] = set()
        self.best: Try | None = None
        self.lead: Try | None = None  # the best, or what came nearest to the target

    def run(self, goal: Wording) -> Found:
        for why, knobs in anchors(goal):
            self.attempt(why, knobs)
        while not self.over and self.lead is not None:
            if not self.round(self.lead.knobs) and not self.leap(self.lead.knobs):
                break
        return Found(self.tries, self.best)

    @property
    def over(self) -> bool:
        cheap = self.best is not None and self.best.cost <= self.floor * CLOSE
        return cheap or len(self.tries) >= self.budget

    def round(self, start: Hydra) -> bool:
        """Each knob's neighbours, one at a time; whether one of them was better."""
        for name in self.shuffled(list(LADDERS)):
            for change in self.neighbours(start, name):
                if self.attempt(_said(change), msgspec.structs.replace(start, **change)):
                    return True
        return False

    def leap(self, start: Hydra) -> bool:
        """Two or three knobs at once, anywhere; whether anything new was tried."""
        for _ in range(200):
            if self.over:
                return False
            change = {}
            for _ in range(2 + self.chance.randrange(2)):
                name = self.shuffled(list(LADDERS))[0]
                change[name] = LADDERS[name][self.chance.randrange(len(LADDERS[name]))]
            if self.attempt(_said(change), msgspec.structs.replace(start, **change)) is not None:
                return True
        return False

    def neighbours(self, start: Hydra, name: str) -> list[dict[str, Any]]:
        """One step cheaper, then one step dearer."""
        ladder = LADDERS[name]
        value = getattr(start, name)
        at = ladder.index(value) if value in ladder else 0
        return [{name: ladder[to]} for to in (at - 1, at + 1) if 0 <= to < len(ladder) and ladder[to] != value]

    def attempt(self, why: str, knobs: Hydra) -> bool | None:
        """Plays a point; whether it is the new lead. None = it wasn't played: it is known, or can't be cheaper."""
        knobs = _plain(knobs)
        if knobs in self.known or self.over:
            return None
        self.known.add(knobs)
        most = self.best.cost if self.best is not None else math.inf
        least = Spent(accounts=knobs.accounts, networks=-(-knobs.accounts // knobs.per_network))
        if cost_of(least, knobs, self.costs) >= most:
            return None
        found = judged(len(self.tries) + 1, why, knobs, self.trial(knobs, most), self.costs)
        self.tries.append(found)
        self.told(found)
        if not _better(found, self.lead):
            return False
        self.lead = found
        if found.reached:
            self.best = found
        return True

    def shuffled(self, names: list[str]) -> list[str]:
        for at in range(len(names) - 1, 0, -1):
            to = self.chance.randrange(at + 1)
            names[at], names[to] = names[to], names[at]
        return names


def _plain(knobs: Hydra) -> Hydra:
    """The same campaign without the knobs that do nothing in it."""
    changes: dict[str, Any] = {}
    if not knobs.cover:
        changes["cover_as"] = Hydra().cover_as
    if not knobs.succession:
        if knobs.accounts <= Hydra().per_network <= knobs.per_network:
            changes["per_network"] = Hydra().per_network
        if knobs.accounts == 1:
            changes["frames"] = min(1, abs(knobs.frames))
    if knobs.rotation and not knobs.succession:
        changes["succession"] = True  # an account given up for nothing would only be lost
    return msgspec.structs.replace(knobs, **changes)


def _better(new: Try, old: Try | None) -> bool:
    """Whether it reached the target cheaper; or, as long as none did, came nearer to it."""
    if old is None or new.reached != old.reached:
        return old is None or new.reached
    return new.cost < old.cost if new.reached else new.spent.useful > old.spent.useful


def _said(change: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in change.items())
