"""Pure. How wrk is called, and what it prints."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from tests.benchmarks.proxy.client import Plan

__all__ = ["command", "parse"]

SCRIPT = PurePath(__file__).parent / "post.lua"
ERRORS = ("connect", "read", "write", "timeout")


def command(plan: Plan, keys: str) -> Sequence[str]:
    """The command line for a closed loop; `keys` is a file with one key a line."""
    more = [part for pair in plan.headers.items() for part in pair]
    return [
        "wrk",
        "--threads=1",
        f"--connections={plan.connections}",
        f"--duration={max(1, round(plan.seconds))}s",
        "--timeout=30s",
        f"--script={SCRIPT}",
        f"http://127.0.0.1:{plan.port}{plan.path}",
        "--",
        plan.bodies,
        keys,
        *more,
    ]


def parse(output: str) -> dict[str, Any]:
    """What came of it, in the words of `load`: requests, those not answered with 2xx, seconds, percentiles in µs.

    Raises ValueError with the output where the line that `post.lua` writes isn't there.
    """
    line = next((line for line in output.splitlines() if line.startswith("figures ")), None)
    if line is None:
        raise ValueError(f"wrk said no figures: {output.strip()[-300:] or 'nothing'}")
    said = json.loads(line.removeprefix("figures "))
    why = {name: said[name] for name in ERRORS if said[name]}
    if said["status"]:
        why["not 2xx"] = said["status"]
    seconds = said["micros"] / 1e6
    times = {name: said[name] if said["n"] else None for name in ("p50", "p90", "p99", "max")}
    return {
        "n": said["n"],
        "bad": sum(why.values()),
        "why": why,
        "seconds": seconds,
        "rps": round(said["n"] / seconds, 1),
        **times,
    }
