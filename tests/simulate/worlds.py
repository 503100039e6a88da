"""Small worlds, and what is measured on them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import pvariance
from typing import Any

import msgspec

from gateway.simulate.chance import dice_of
from gateway.simulate.knobs import Hydra, parsed
from gateway.simulate.traffic import Line
from gateway.simulate.world import Scenario, World

DAY = 86_400.0


def lines_of(scenario: Scenario, prompts: tuple[str, ...] = ()) -> list[Line]:
    """The lines of a world, in order."""
    return [sent.line for sent in World(scenario, dice_of(scenario.seed), prompts).play()]


def attack(knobs: str, *, days: float = 2.0, seed: int = 1, prompts: tuple[str, ...] = ()) -> list[Line]:
    """The lines of one campaign, alone in its world."""
    return lines_of(Scenario(seed=seed, days=days, benign=0, hydras=(parsed(knobs),)), prompts)


def world_of(*hydras: Hydra, **more: Any) -> World:
    scenario = Scenario(**{"benign": 0, "days": 1.0, **more}, hydras=hydras)
    return World(scenario, dice_of(scenario.seed))


def messages(line: Line) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(line.body)["messages"]
    return found


def asks(lines: Iterable[Line]) -> dict[str, list[str]]:
    """What each account asked: the text of its last message."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        found[line.account].append(messages(line)[-1]["content"])
    return found


def params(line: Line) -> str:
    body = msgspec.json.decode(line.body)
    return repr(sorted((name, value) for name, value in body.items() if name not in ("messages", "user")))


def networks(lines: Iterable[Line]) -> dict[str, set[str]]:
    """The accounts of each /24."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        found[line.client_ip.rpartition(".")[0]].add(line.account)
    return found


def variance_ratio(lines: Sequence[Line], bins: float = 900.0) -> float:
    """Var(sum of the accounts' counts) / sum of their variances, over windows of `bins` s: 1 where they don't care for
    each other, below it where a load is shared out, above it where they wake and sleep together."""
    first = int(lines[0].t // bins)
    width = int(lines[-1].t // bins) - first + 1
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        counts[line.account][int(line.t // bins) - first] += 1
    rows = [[counter[at] for at in range(width)] for counter in counts.values()]
    together = float(pvariance([sum(column) for column in zip(*rows, strict=True)]))
    return together / sum(float(pvariance(row)) for row in rows)
