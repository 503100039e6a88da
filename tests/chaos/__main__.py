"""`python -m tests.chaos`: what several workers, their store and their supervisor do when one of them breaks.

A real `gauger serve --workers 2` with a ledger, and a Valkey server behind a way that passes, delays, swallows and
refuses, in front of the benchmark's model server. Callers with known keys meet limits whose arithmetic is known. Each
scene breaks something, looks, heals it and looks again: workers, the store and everything at once are killed with
SIGKILL, stopped, slowed, filled. At the end each request must have one line and two rows, and the counts agree.

Exit code 0: all is well. 1: something is wrong, and is named. 2: wrong usage.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.chaos.run import SCENES, SLICED, Plan, chaos


def main(arguments: list[str] | None = None) -> int:
    """Runs it; the report goes to standard output."""
    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scene", action="append", choices=list(SCENES), help="one of them, again for more [all]")
    parser.add_argument("--rounds", type=int, default=1, help="how often; from the second on they are shuffled [1]")
    parser.add_argument("--workers", type=int, default=2, help="[2]")
    parser.add_argument("--clients", type=int, default=12, help="at once, a limit [12]")
    parser.add_argument("--seed", type=int, default=1, help="of what is chosen by chance [1]")
    parser.add_argument("--timeout", type=float, default=0.4, help="s that the store has for an answer [0.4]")
    parser.add_argument("--mode", choices=["exact", "sliced"], default="exact", help="of the store [exact]")
    parser.add_argument("--hasty", action="store_true", help="does not wait for a dead worker's leases to end (90 s)")
    parser.add_argument("--folder", type=Path, help="an empty folder for its state and ledgers [a temporary one]")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    given = parser.parse_args(arguments)
    if not (1 <= given.rounds <= 1000 and 2 <= given.workers <= 16 and 2 <= given.clients <= 64):
        parser.error("--rounds, --workers or --clients is out of range")
    if not 0.05 <= given.timeout <= 5:
        parser.error("--timeout is out of range")
    scenes = tuple(given.scene or (SCENES if given.mode == "exact" else SLICED))
    if given.mode == "sliced" and not set(scenes) <= set(SLICED):
        parser.error(f"with slices: {', '.join(SLICED)}")
    plan = Plan(
        scenes=scenes,
        mode=given.mode,
        rounds=given.rounds,
        workers=given.workers,
        clients=given.clients,
        seed=given.seed,
        timeout=given.timeout,
        patient=not given.hasty,
    )

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    if given.folder is not None:
        given.folder.mkdir(parents=True, exist_ok=True)
        if any(given.folder.iterdir()):
            parser.error(f"{given.folder} is not empty")
        report = asyncio.run(chaos(plan, given.folder, say))
    else:
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            report = asyncio.run(chaos(plan, Path(folder), say))
    print(json.dumps(report, indent=1) if given.json else told(report))
    return int(bool(report["wrong"]))


def told(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        f"requests   {report['asked']:,}, {report['answered']:,} answered, {report['lines']:,} lines",
        f"lives      {report['lives']}, {report['s from the start to ready']} s from the start to ready",
    ]
    if report["kills"]:
        lines.append(f"kills      {report['kills']}; they took {report['taken by kills'] or 'nothing'}")
    for scene in report["scenes"]:
        lines.append(f"\n{scene['scene']}" + (f", round {scene['round']}" if report["plan"]["rounds"] > 1 else ""))
        lines += [f"  {name:<48} {value}" for name, value in scene.items() if name not in ("scene", "round")]
    lines += ["", *(f"WRONG      {each}" for each in report["wrong"])]
    return "\n".join([*lines, "nothing is wrong" if not report["wrong"] else "it failed"])


if __name__ == "__main__":
    sys.exit(main())
