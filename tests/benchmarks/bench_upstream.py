"""Which client to ask the model server with: the same raw ASGI relay over each, CPU a request, in one run.

    python -m tests.benchmarks.bench_upstream [--rounds 3] [--seconds 3] [--connections 1,16,64] [--only h1,aiohttp]
    python -m tests.benchmarks.bench_upstream setup       install the libraries, beside the repository's own environment

Rounds are interleaved, and a round's ratios are to our own client in that round (median, and the least and the most).
A library that isn't there is said to be missing. The machinery is that of tests/benchmarks/proxy.
"""

import argparse
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.proxy.contestants import ROOT, Contestant, Launch, Site, environment
from tests.benchmarks.proxy.figures import ratios, spread
from tests.benchmarks.proxy.rounds import Options, whole
from tests.benchmarks.proxy.table import by_round, cell, grid
from tests.benchmarks.relays import CLIENTS

NEEDS = {
    "aiohttp": "aiohttp",
    "aiohttp-low": "aiohttp",
    "pyreqwest": "pyreqwest",
    "pyqwest": "pyqwest",
    "aiosonic": "aiosonic",
    "httpx2": "httpx2",
    "httpx": "httpx",
    "httpx-shared": "httpx",
}
SIZE = 2048


def packages(tools: Path) -> list[str]:
    """The folder of the packages that `setup` installed, or nothing."""
    return [str(each) for each in sorted((tools / "clients" / "lib").glob("python*/site-packages"))]


def version(name: str, tools: Path) -> str | None:
    """The version of a client's library; None where it isn't installed."""
    library = NEEDS.get(name)
    if library is None:
        return ""
    places = [*sys.path, *packages(tools)]
    found = next(iter(importlib.metadata.distributions(name=library, path=places)), None)
    return f"{library} {found.version}" if found is not None else None


def launch(name: str, site: Site) -> Launch:
    argv = [sys.executable, str(ROOT / "tests" / "benchmarks" / "relays.py"), name, str(site.port), str(site.model)]
    return Launch([*argv, *packages(site.tools)], environment())


def field() -> list[Contestant]:
    """One contestant for each client."""

    def missing(name: str) -> Callable[[Path], str | None]:
        return lambda tools: None if version(name, tools) is not None else f"{NEEDS[name]} is not installed"

    return [
        Contestant(
            name,
            (make.__doc__ or "").strip(),
            missing(name),
            "python -m tests.benchmarks.bench_upstream setup",
            lambda tools, name=name: version(name, tools) or "",  # type: ignore[misc]
            partial(launch, name),
        )
        for name, make in CLIENTS.items()
    ]


def summary(report: dict[str, Any], connections: Sequence[int], reference: str) -> str:
    """µs of CPU a request and the ratio to the reference, by number of connections."""
    lines = []
    for name, about in report["contestants"].items():
        if why := about.get("missing") or about.get("failed"):
            lines.append([name, why, *[""] * (2 * len(connections) - 1)])
            continue
        line = [f"{name} ({about['version']})" if about.get("version") else name]
        for count in connections:
            own = by_round(report["rows"], name, "cpu_us", c=count)
            base = by_round(report["rows"], reference, "cpu_us", c=count)
            line += [cell(spread(own.values())), cell(ratios(own, base))]
        lines.append(line)
    head = ["", *[text for count in connections for text in (f"µs, {count} conn.", f"÷ {reference}")]]
    return grid("CPU of the process a request", head, lines)


def run(chosen: Sequence[Contestant], options: Options) -> dict[str, Any]:
    """All rounds. What was measured so far stays in the report where it is broken off."""
    report: dict[str, Any] = {}
    whole(chosen, options, lambda said: print(said, file=sys.stderr), report)
    return report


def arguments(description: str, connections: str) -> argparse.ArgumentParser:
    """What both contests are asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("setup", nargs="?", choices=["setup"], help="install what is missing instead of a run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", default=connections, type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--only", default="", help="comma-separated names")
    parser.add_argument("--tools", type=Path, default=ROOT / ".bench" / "tools", help="folder of what is installed")
    return parser


def install(name: str, libraries: Sequence[str], tools: Path) -> int:
    """Makes a virtual environment for them, from the registry that pip is configured for. Exit code of pip."""
    folder = tools / name
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=600)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "-qq"]
    return subprocess.run([*pip, *libraries], check=False, timeout=1800).returncode


def options_of(given: argparse.Namespace, work: Path) -> Options:
    """The rig's options: small bodies, no streams, no open loop."""
    (work / "tools").symlink_to(given.tools.resolve(), target_is_directory=True)
    return Options(
        work=work,
        rounds=given.rounds,
        seconds=given.seconds,
        connections=given.connections,
        sizes=(SIZE,),
        open_loop=False,
        streams=False,
    )


def main() -> int:
    given = arguments(__doc__ or "", "1,16,64").parse_args()
    if given.setup:
        return install("clients", sorted(set(NEEDS.values())), given.tools)
    names = set(given.only.split(",")) if given.only else set(CLIENTS)
    chosen = [each for each in field() if each.name in names | {"h1"}]
    work = Path(tempfile.mkdtemp(prefix="bench-upstream-"))
    try:
        report = run(chosen, options_of(given, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(summary(report, given.connections, "h1"))
    return int(any("failed" in about for about in report["contestants"].values()))


if __name__ == "__main__":
    sys.exit(main())
