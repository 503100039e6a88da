"""A soak from its start to its verdict. README.md of tests/benchmarks says how to read it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.soak.audit import audit
from tests.soak.crowd import Crowd
from tests.soak.host import Host, Sample, hosted, write_rules
from tests.soak.verdict import growth

__all__ = ["BOUND", "Plan", "soak"]

BOUND = 64.0
"""Bytes a request that memory may grow by in the later half: of a hundred million requests, 6.4 GB."""
SPARE = 8
"""Descriptors more than at the start that may be open when all is quiet: a segment, a connection of the probe's."""
STEADY = {
    "GAUGER_STATE_MEMORY": "16777216",
    "GAUGER_SERVED_MEMORY": "1048576",
    "GAUGER_CAMPAIGN_MEMORY": "4194304",
    "GAUGER_MAX_CELLS": "10000",
    "GAUGER_LEDGER_SEGMENT_BYTES": "8388608",
}
"""Small tables, which are full before the later half begins: what grows after that is a leak, and not a memory."""
MEASURED = 150.0
"""Requests a second while it is measured what it can do."""
LONG = 600.0
"""s from which a run's memory is judged: in less, tables still fill and the allocator still finds its size."""
OPEN, IDLE = (f'gauger_upstream_connections{{state="{state}"}}' for state in ("open", "idle"))
QUIET = ("gauger_in_flight", "gauger_leases", "gauger_log_waiting", "gauger_ledger_rows_waiting")


class Plan(msgspec.Struct, frozen=True):
    """What is done. Times in seconds."""

    seconds: float
    rate: float = 0.0
    """Requests a second; 0 = half of what it can do, which is measured first."""
    measure: float = 8.0
    keys: int = 5000
    sample: float = 0.5
    reload: float = 7.0
    bound: float = BOUND
    defaults: bool = False
    """The shipped settings in place of STEADY: then tables may still grow, and the verdict on memory is no verdict."""


async def soak(plan: Plan, folder: Path, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Runs it in `folder`, which keeps the ledger. The report's `wrong` lists what failed; empty = all is well."""
    known = write_rules(folder, 0)
    wrong: list[str] = []
    report: dict[str, Any] = {"plan": msgspec.to_builtins(plan), "wrong": wrong}
    async with hosted(folder, {} if plan.defaults else STEADY) as host, httpx.AsyncClient() as client:
        crowd = Crowd(host.port, keys=plan.keys, known=known)
        await crowd.busy(1.0, 2)
        await crowd.leave()
        await _quiet(host, client, crowd, [])
        start = host.sample(crowd.asked)
        report["saturation"], rate = await _rate(plan, host, crowd)
        say(f"{rate:.0f} requests a second, of {report['saturation'] or rate:.0f} that it can do; {plan.seconds:.0f} s")
        samples = await _watched(plan, host, crowd, rate, say)
        await crowd.leave()
        held = await _quiet(host, client, crowd, wrong)
        end = host.sample(crowd.asked)
        code = await host.stop()
        if code != 0:
            wrong.append(f"the gateway ended with {code}")
    took = samples[-1].at - samples[0].at
    load = (samples[-1].cpu - samples[0].cpu) / took
    asked = samples[-1].asked - samples[0].asked
    report |= {
        "asked": crowd.asked,
        "rate": round(asked / took, 1),
        "load": round(load, 3),
        "left_out": crowd.left_out,
        "kinds": dict(crowd.kinds),
        "statuses": {str(status): count for status, count in sorted(crowd.statuses.items())},
        "failures": dict(crowd.failures),
        "ends": dict(host.lines.ends),
        "said": host.said[-20:],
        "at_rest": held,
        "rss": {"start": start.rss, "most": max(each.rss for each in samples), "end": end.rss},
        "descriptors": {
            "start": start.descriptors,
            "most": max(e.descriptors for e in samples),
            "end": end.descriptors,
        },
        "threads": {"start": start.threads, "most": max(each.threads for each in samples), "end": end.threads},
    }
    _judge(plan, report, samples, crowd, start, end)
    say("the records are looked through")
    began = time.monotonic()
    wrong += await asyncio.to_thread(audit, folder, host.lines, crowd.asked)
    report["audit_seconds"] = round(time.monotonic() - began, 1)
    return report


async def _rate(plan: Plan, host: Host, crowd: Crowd) -> tuple[float | None, float]:
    """What it can do of this mixture, and the rate to ask at: the core's time over what a request took of it."""
    if plan.rate:
        return None, plan.rate
    before = host.sample(crowd.asked)
    await crowd.at(MEASURED, plan.measure)
    after = host.sample(crowd.asked)
    can = (after.asked - before.asked) / (after.cpu - before.cpu)
    return round(can, 1), can / 2


async def _watched(plan: Plan, host: Host, crowd: Crowd, rate: float, say: Callable[[str], None]) -> list[Sample]:
    samples = [host.sample(crowd.asked)]
    asking = asyncio.create_task(crowd.at(rate, plan.seconds))
    reloads = said = 0
    while not asking.done():
        await asyncio.wait((asking,), timeout=plan.sample)
        now = host.sample(crowd.asked)
        samples.append(now)
        past = now.at - samples[0].at
        if past > (reloads + 1) * plan.reload:
            reloads += 1
            host.reload()
        if past > (said + 1) * 60:
            said += 1
            say(f"{past:.0f} s: {now.asked} requests, {now.rss / 2**20:.1f} MiB, {now.descriptors} descriptors")
    await asking
    return samples


async def _quiet(host: Host, client: httpx.AsyncClient, crowd: Crowd, wrong: list[str]) -> dict[str, float]:
    """Waits until nothing is under way, and no connection upstream is but idle; what still is goes to `wrong`."""
    left: dict[str, float] = {}
    held: dict[str, float] = {}
    for _ in range(200):
        held = await host.metrics(client)
        left = {name: held.get(name, 0.0) for name in QUIET}
        left["connections upstream"] = held.get(OPEN, 0.0) - held.get(IDLE, 0.0)
        if not any(left.values()):
            break
        await asyncio.sleep(0.1)
    wrong += [f"{count:.0f} left of {name} when all was quiet" for name, count in left.items() if count]
    wrong += [f"{name} is {held[name]:.0f}" for name in held if "_dropped_total" in name and held[name]]
    shown = (OPEN, IDLE)
    return {name: value for name, value in sorted(held.items()) if name in shown or "{" not in name}


def _judge(plan: Plan, report: dict[str, Any], samples: list[Sample], crowd: Crowd, start: Sample, end: Sample) -> None:
    wrong: list[str] = report["wrong"]
    found = growth([(float(each.asked), float(each.rss)) for each in samples])
    report["growth"] = (
        None if found is None else {**found._asdict(), "judged": plan.seconds >= LONG and not plan.defaults}
    )
    judged = plan.seconds >= LONG and not plan.defaults
    if judged and (found is None or not found.certain(plan.bound)):
        wrong.append("memory can't be judged: there is too much noise")
    elif judged and found is not None and found.too_much(plan.bound):
        wrong.append(
            f"memory grows by {found.slope:.0f} ± {found.noise:.0f} bytes a request; {plan.bound:.0f} are allowed"
        )
    idle = round(report["at_rest"].get(IDLE, 0.0))
    if end.descriptors - idle > start.descriptors + SPARE:
        wrong.append(f"{end.descriptors} descriptors are open when all is quiet; {start.descriptors} were at the start")
    if crowd.failures:
        wrong.append(f"callers met {dict(crowd.failures)}")
    odd = {status: count for status, count in crowd.statuses.items() if status not in (200, 403, 429)}
    if odd:
        wrong.append(f"callers were answered {odd}")
