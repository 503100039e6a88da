"""A chaos run from its start to its verdict. README.md of tests/benchmarks says what is broken and how to read it."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tests.chaos.audit import LINE, audit, cut
from tests.chaos.callers import Callers
from tests.chaos.deaths import DEATH_SCENES
from tests.chaos.exact import exact
from tests.chaos.host import Host, hosted
from tests.chaos.records import Records
from tests.chaos.scenes import STORE_SCENES
from tests.chaos.stage import Stage

__all__ = ["SCENES", "SLICED", "Plan", "chaos"]

SCENES = {"exact": exact, **STORE_SCENES, **DEATH_SCENES}
SLICED = ("exact", *DEATH_SCENES)
ACCOUNTS = 6  # of each plan, a scene
SCRAPE = 3.0  # s: what a worker counted in the last two before it was killed is not in the metrics


class Plan(msgspec.Struct, frozen=True):
    """What is done. Times in seconds."""

    scenes: tuple[str, ...] = tuple(SCENES)
    rounds: int = 1
    workers: int = 2
    clients: int = 12
    seed: int = 1
    timeout: float = 0.4
    """Of the store (`GAUGER_STORE_TIMEOUT`): long, so that a busy machine is no store that is away."""
    mode: str = "exact"
    """`GAUGER_STORE_MODE`. What an outage grants of slices can't be told to the unit: those scenes are for `exact`."""
    patient: bool = True
    """Waits until the leases of a dead worker are over (a minute and a half)."""


async def chaos(plan: Plan, folder: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Runs it in `folder`, which keeps the ledgers. The report's `wrong` lists what failed; empty = all is well."""
    wrong: list[str] = []
    report: dict[str, Any] = {"plan": msgspec.to_builtins(plan), "scenes": [], "wrong": wrong}
    callers, records, dice = Callers(plan.seed), Records(), random.Random(plan.seed)
    accounts = ACCOUNTS * plan.rounds * len(plan.scenes)
    async with hosted(folder, workers=plan.workers, timeout=plan.timeout, mode=plan.mode, accounts=accounts) as host:
        report["s from the start to ready"] = round(await host.start(), 2)
        played = [(name, number) for number in range(plan.rounds) for name in _order(plan, dice, number)]
        for name, number in played:
            say(f"{name}, round {number + 1}" if plan.rounds > 1 else name)
            stage = Stage(host, callers, records, plan.clients, plan.patient)
            whole = await _play(stage, name)
            report["scenes"].append({"scene": name, "round": number + 1, **stage.figures})
            wrong += [f"{name}: {each}" for each in stage.wrong]
            if not whole:  # what it left behind is no place for the next one
                break
        else:
            await _end(host, wrong)
        records.finish(host.folders)
        wrong += _complaints(host)
        asks = list(callers.asks.values())
        say("the records are looked through")
        found, taken = await asyncio.to_thread(audit, folder, asks, records, host.kills)
        wrong += found
        report |= {
            "asked": len(asks),
            "answered": sum(ask.whole for ask in asks),
            "lines": records.lines,
            "lives": len(host.lives),
            "kills": len(host.kills),
            "taken by kills": taken,
        }
    return report


def _order(plan: Plan, dice: random.Random, number: int) -> list[str]:
    """The first round as they stand, later ones shuffled."""
    names = list(plan.scenes)
    if number:
        dice.shuffle(names)
    return names


async def _play(stage: Stage, name: str) -> bool:
    """Whether the scene came to its end."""
    began = time.monotonic()
    try:
        await SCENES[name](stage)
        await stage.host.settled()
        await _counted(stage)
    except AssertionError as error:
        stage.wrong.append(f"it broke off: {error}")
        return False
    finally:
        await stage.over()
        stage.figures["s in all"] = round(time.monotonic() - began, 1)
    return True


async def _counted(stage: Stage) -> None:
    """All is quiet: /metrics counts as many requests as there are lines, but for what a kill took of either."""
    host, records = stage.host, stage.records
    asks = stage.callers.asks
    life = len(host.lives) - 1
    await records.of(
        [ask for ask in asks.values() if not any(cut(ask, kill, LINE) for kill in host.kills)], host.folders
    )
    held = await host.metrics()
    said, lines = int(held["gauger_requests_total"]), [each for each in records.by_name.values() if each.life == life]
    kills = [kill for kill in host.kills if kill.life == life]
    fewer = sum(any(k.worker == each.worker and asks[each.name].ended > k.at - SCRAPE for k in kills) for each in lines)
    more = sum(ask.name not in records.by_name and any(cut(ask, k, SCRAPE) for k in kills) for ask in asks.values())
    stage.claim(
        len(lines) - fewer <= said <= len(lines) + more,
        f"/metrics counts {said} requests, {len(lines)} lines are there (kills may take {fewer} and {more})",
    )
    for name, value in held.items():
        stage.claim("dropped" not in name or not value, f"{name} is {value:.0f}")
    stage.claim(not held["gauger_leases"], f"{held['gauger_leases']:.0f} leases are left")


async def _end(host: Host, wrong: list[str]) -> None:
    if code := await host.stop():
        wrong.append(f"the gateway ended with {code}")
    if left := await host.left():
        wrong.append(f"processes are left: {left}")


def _complaints(host: Host) -> list[str]:
    """What a gateway calls an error, or prints beside its log."""
    found = []
    for served in host.lives:
        for line in served.said:
            if line.startswith("{"):
                if orjson.loads(line)["level"] in ("error", "critical"):
                    found.append(f"it said {line[:1000]}")
            elif line.strip() and not line.startswith("  "):
                found.append(f"it said {line[:1000]}")
    return found[:5]
