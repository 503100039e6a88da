"""Shell. `make bench`: what the gateway costs beside others, measured in one run on one machine.

    python -m tests.benchmarks.proxy [--only NAMES] [--quick] [--rounds N] [--seconds S] [--connections 1,16,64,256]
                                     [--json FILE] [--svg FILE] [--save] [--work DIR]
    python -m tests.benchmarks.proxy --list              who takes part, and who can't here
    python -m tests.benchmarks.proxy --plot FILE.json    table and plot again, without a run
    python -m tests.benchmarks.proxy setup [NAMES]       install the contestants that come as packages

README.md in this folder's parent says what is measured, and how to read it.
"""

import argparse
import compileall
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.proxy.contestants import ROOT, Contestant, output_of
from tests.benchmarks.proxy.field import everybody
from tests.benchmarks.proxy.installs import PACKAGES, setup
from tests.benchmarks.proxy.machine import cores, machine
from tests.benchmarks.proxy.plot import plot
from tests.benchmarks.proxy.rounds import Options, whole
from tests.benchmarks.proxy.table import tables

SCHEMA = "gauger.proxybench/1"
SAVED = ROOT / "tests" / "benchmarks"


def main(arguments: list[str] | None = None) -> int:
    """Runs it. Exit code 0, also where contestants were missing; 1 if one that was there failed; 2 for wrong usage."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.plot is not None:
        return _again(given)
    if given.setup:
        if unknown := set(given.names) - PACKAGES.keys():
            parser.error(f"{', '.join(sorted(unknown))}: no such package; there are {', '.join(PACKAGES)}")
        return setup(given.names or list(PACKAGES), given.work / "tools")
    field = everybody()
    chosen = _chosen(parser, field, given.only)
    if given.list:
        for contestant in field:
            print(f"{contestant.name:16s} {contestant.what}")
            missing = contestant.missing(given.work / "tools")
            if missing is not None:
                print(f"{'':16s} missing: {missing}; {contestant.install}")
        return 0
    report = _run(chosen, _options(given))
    return _write(report, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("setup", nargs="?", choices=["setup"], help="install contestants instead of a run")
    parser.add_argument("names", nargs="*", help="with setup: which")
    parser.add_argument("--only", default="", metavar="NAMES", help="comma-separated; `direct` and `nginx` are added")
    parser.add_argument(
        "--quick", action="store_true", help="one round of a second, 16 connections, small bodies, no streams"
    )
    parser.add_argument("--rounds", type=_count, help="[3]")
    parser.add_argument("--seconds", type=float, help="of one measurement, at least [3]")
    parser.add_argument("--connections", type=_counts, help="[1,16,64,256]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every row of every round")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the plot")
    parser.add_argument(
        "--save", action="store_true", help="as tests/benchmarks/proxy.json and proxy.svg, which README shows"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / ".bench", metavar="DIR", help="folder for everything [.bench]"
    )
    parser.add_argument("--list", action="store_true", help="who takes part")
    parser.add_argument("--plot", type=Path, metavar="FILE.json", help="from an earlier run")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 10000")
    return value


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _chosen(parser: argparse.ArgumentParser, field: Sequence[Contestant], only: str) -> list[Contestant]:
    names = {name.strip() for name in only.split(",") if name.strip()}
    known = {contestant.name for contestant in field}
    if names - known:
        parser.error(f"there is no {', '.join(sorted(names - known))}; there are {', '.join(sorted(known))}")
    wanted = names | {"direct", "nginx"} if names else known
    return [contestant for contestant in field if contestant.name in wanted]


def _options(given: argparse.Namespace) -> Options:
    options: dict[str, Any] = {"work": given.work.resolve()}
    if given.quick:
        options |= {"rounds": 1, "seconds": 1.0, "connections": [16], "sizes": [2048], "streams": False}
    for name in ("rounds", "seconds", "connections"):
        if getattr(given, name) is not None:
            options[name] = getattr(given, name)
    return Options(**options)


def _run(chosen: Sequence[Contestant], options: Options) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGHUP, _ended)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536) if most > 0 else 65_536, most))
    for folder in ("gateway", "tests/benchmarks/proxy"):  # so that no start has to compile
        compileall.compile_dir(ROOT / folder, quiet=1)
    about = machine()
    print(f"{about['cpu']}, {about['cores']} cores, {about['kernel']}, Python {about['python']}; {cores().words()}")
    if about["load_average"] > 0.5:
        print(f"load average {about['load_average']}: the machine isn't idle, so read the ratios and not the times")
    if cores().load:
        os.sched_setaffinity(0, cores().load)  # nobody but the contestant is on its core
    how = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "connections": list(options.connections),
        "load": (output_of("wrk", "-v").split("[")[0].strip() or "wrk") if shutil.which("wrk") else "our own generator",
        "model": "nginx" if shutil.which("nginx") else "our own",
    }
    report: dict[str, Any] = {"schema": SCHEMA, "machine": about, "options": how}
    try:
        whole(chosen, options, lambda line: print(f"  {line}", file=sys.stderr, flush=True), report)
    except KeyboardInterrupt:
        print("bench: broken off; this is what there was until then", file=sys.stderr)
        report["broken_off"] = True
    return report


def _ended(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _again(given: argparse.Namespace) -> int:
    try:
        report = json.loads(given.plot.read_text())
    except (OSError, ValueError) as error:
        print(f"bench: {given.plot}: {error}", file=sys.stderr)
        return 2
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        print(f"bench: {given.plot} is no result of this benchmark ({SCHEMA})", file=sys.stderr)
        return 2
    given.json = None
    return _write(report, given)


def _json(report: dict[str, Any]) -> str:
    """The result with one measurement a line, so that a difference of two results can be read."""
    about = json.dumps({**report, "rows": []}, indent=1, ensure_ascii=False)
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in report["rows"])
    return about.replace('"rows": []', f'"rows": [\n{rows}\n ]') + "\n"


def _write(report: dict[str, Any], given: argparse.Namespace) -> int:
    print(tables(report))
    if given.save:
        given.json, given.svg = given.json or SAVED / "proxy.json", given.svg or SAVED / "proxy.svg"
    if given.json is not None:
        given.json.write_text(_json(report))
    if given.svg is not None:
        try:
            given.svg.write_text(plot(report))
        except ValueError as error:
            print(f"bench: no plot: {error}", file=sys.stderr)
            return 1
    failed = any("failed" in about for about in report["contestants"].values())
    return int(failed or "broken_off" in report)


if __name__ == "__main__":
    sys.exit(main())
