"""Which server to run the gateway under: the same gateway as an ASGI app, CPU a request, in one run.

    python -m tests.benchmarks.bench_server [--rounds 3] [--seconds 3] [--connections 1,16,64,256] [--only granian]
    python -m tests.benchmarks.bench_server setup         install granian and hypercorn, in an environment of their own

The gateway has limits, and neither packs nor a ledger, so that the server is a large part. `gauger serve` is uvicorn
with our own protocol class; the others run `tests.benchmarks.proxy.asgi:app` as it is. Read bench_upstream.py for how
rounds and ratios are meant.
"""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks.bench_upstream import arguments, install, options_of, run, summary
from tests.benchmarks.proxy.contestants import ONLY_LIMITS, ROOT, Contestant, Launch, Site, gauger, output_of

APP = "tests.benchmarks.proxy.asgi:app"
NEEDS = ["granian", "hypercorn", "uvloop"]
UVICORN = [sys.executable, "-m", "uvicorn", APP, "--no-access-log", "--log-level", "warning", "--ws", "none"]


def own(site: Site) -> Launch:
    return gauger(site, policy=ONLY_LIMITS)


def uvicorn(http: str, loop: str, site: Site) -> Launch:
    where = ["--host", "127.0.0.1", "--port", str(site.port), "--backlog", "4096"]
    return gauger(site, policy=ONLY_LIMITS, server=[*UVICORN, *where, "--http", http, "--loop", loop])


def elsewhere(program: str, more: Callable[[Site], Sequence[str]], site: Site) -> Launch:
    """A server of another environment: the gateway's own packages stay where they are."""
    launch = gauger(site, policy=ONLY_LIMITS, server=[str(site.tools / "servers" / "bin" / program), APP, *more(site)])
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    return Launch(launch.argv, {**launch.env, "PYTHONPATH": paths}, out=launch.out, logs=launch.logs, patience=60.0)


def granian(site: Site) -> Sequence[str]:
    once = ["--workers", "1", "--runtime-threads", "1", "--loop", "uvloop", "--http", "1", "--backlog", "4096"]
    where = ["--interface", "asgi", "--host", "127.0.0.1", "--port", str(site.port)]
    return [*where, *once, "--no-access-log", "--log-level", "warning"]


def hypercorn(site: Site) -> Sequence[str]:
    return [
        "--worker-class",
        "uvloop",
        "--bind",
        f"127.0.0.1:{site.port}",
        "--backlog",
        "4096",
        "--log-level",
        "warning",
    ]


def field() -> list[Contestant]:
    """Each server once."""

    def there(_: Path) -> str | None:
        return None

    def missing(program: str) -> Callable[[Path], str | None]:
        return lambda tools: None if (tools / "servers" / "bin" / program).exists() else f"{program} is not installed"

    def version(program: str) -> Callable[[Path], str]:
        ask = f"import importlib.metadata as m; print('{program}', m.version('{program}'))"
        return lambda tools: output_of(str(tools / "servers" / "bin" / "python"), "-c", ask)

    def plain(_: Path) -> str:
        return ""

    setup = "python -m tests.benchmarks.bench_server setup"
    return [
        Contestant("gauger-serve", "uvicorn, httptools, uvloop, our protocol", there, "make setup", plain, own),
        Contestant(
            "uvicorn", "stock, httptools, uvloop", there, "make setup", plain, partial(uvicorn, "httptools", "uvloop")
        ),
        Contestant("uvicorn-h11", "stock, h11, uvloop", there, "make setup", plain, partial(uvicorn, "h11", "uvloop")),
        Contestant(
            "granian",
            "in Rust, its ASGI interface, one worker with one thread",
            missing("granian"),
            setup,
            version("granian"),
            partial(elsewhere, "granian", granian),
        ),
        Contestant(
            "hypercorn",
            "h11, uvloop",
            missing("hypercorn"),
            setup,
            version("hypercorn"),
            partial(elsewhere, "hypercorn", hypercorn),
        ),
    ]


def main() -> int:
    given = arguments(__doc__ or "", "1,16,64,256").parse_args()
    if given.setup:
        return install("servers", NEEDS, given.tools)
    everybody = field()
    names = set(given.only.split(",")) if given.only else {each.name for each in everybody}
    chosen = [each for each in everybody if each.name in names | {"gauger-serve"}]
    work = Path(tempfile.mkdtemp(prefix="bench-server-"))
    try:
        report = run(chosen, options_of(given, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(summary(report, given.connections, "gauger-serve"))
    return int(any("failed" in about for about in report["contestants"].values()))


if __name__ == "__main__":
    sys.exit(main())
