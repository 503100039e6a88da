"""`python -m tests.soak --minutes 30 --rate auto`: the gateway under load for long, and whether it loses anything.

A gateway as it is operated (`gauger serve`, the shipped policy with the pack that enforces, a ledger) in front of the
benchmark's model server, at half of what it can do. Callers come and go, thousands of keys, some of them new; JSON and
streams, 2 and 32 KB; some leave in every place there is, some read slowly; the policy and the accounts file change all
the time. At the end nothing may be left, memory may not have grown beyond a bound, and the records must be whole.

Exit code 0: all is well. 1: something is wrong, and is named. 2: wrong usage.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from tests.soak.run import BOUND, Plan, soak


def main(arguments: list[str] | None = None) -> int:
    """Runs it; the report goes to standard output."""
    parser = argparse.ArgumentParser(
        prog="soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="[30]")
    parser.add_argument("--rate", default="auto", help="requests a second; auto = half of what it can do [auto]")
    parser.add_argument("--keys", type=int, default=5000, help="keys that are there from the beginning [5000]")
    parser.add_argument(
        "--bound", type=float, default=BOUND, help=f"bytes a request that memory may grow by [{BOUND:.0f}]"
    )
    parser.add_argument("--defaults", action="store_true", help="the shipped sizes of tables: memory is not judged")
    parser.add_argument("--folder", type=Path, help="where its state and ledger stay [a temporary folder]")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    given = parser.parse_args(arguments)
    try:
        rate = 0.0 if given.rate == "auto" else float(given.rate)
    except ValueError:
        parser.error("--rate is a number or auto")
    if not 0.05 <= given.minutes <= 10_000 or not 0 <= rate <= 100_000 or not 0 <= given.keys <= 1_000_000:
        parser.error("--minutes, --rate or --keys is out of range")
    plan = Plan(given.minutes * 60, rate, keys=given.keys, bound=given.bound, defaults=given.defaults)

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
        report = uvloop.run(soak(plan, given.folder, say))
    else:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            report = uvloop.run(soak(plan, Path(folder), say))
    print(json.dumps(report, indent=1) if given.json else told(report))
    return int(bool(report["wrong"]))


def told(report: dict[str, Any]) -> str:
    """The report for people."""
    rss, descriptors, threads = report["rss"], report["descriptors"], report["threads"]
    growth = report["growth"]
    lines = [
        f"requests      {report['asked']:,}, {report['rate']} a second, {report['load']:.0%} of a core",
        f"kinds         {_counts(report['kinds'])}",
        f"answers       {_counts(report['statuses'])}",
        f"ends          {_counts(report['ends'])}",
        f"memory, MiB   {rss['start'] / 2**20:.1f} at the start, {rss['most'] / 2**20:.1f} at most, "
        f"{rss['end'] / 2**20:.1f} at the end",
        f"descriptors   {descriptors['start']} at the start, {descriptors['most']} at most, {descriptors['end']} quiet",
        f"threads       {threads['start']} at the start, {threads['most']} at most, {threads['end']} quiet",
    ]
    if growth is None:
        lines.append("growth        too short to tell")
    else:
        doubt = "" if growth["judged"] else "; too short a run, or tables that still grow: not judged"
        lines.append(f"growth        {growth['slope']:.1f} ± {growth['noise']:.1f} bytes a request, later half{doubt}")
    if report["left_out"]:
        lines.append(f"left out      {report['left_out']} requests: too many at once")
    lines += [f"it said       {each[:150]}" for each in report["said"][-3:]]
    lines += [f"WRONG         {each}" for each in report["wrong"]]
    return "\n".join([*lines, "nothing is wrong" if not report["wrong"] else "it failed"])


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(found.items(), key=lambda each: -each[1]))


if __name__ == "__main__":
    sys.exit(main())
