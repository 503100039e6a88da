"""A gateway and its model server as processes of their own, what they hold, and what the gateway writes."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import orjson

from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import Settings
from tests.benchmarks.proxy.cpu import Tree
from tests.benchmarks.proxy.machine import cores
from tests.benchmarks.proxy.processes import free_port

__all__ = ["Host", "Lines", "Sample", "hosted"]

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60.0  # s for a start and for an end
METRIC = re.compile(r"^(gauger_\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class Sample(NamedTuple):
    """What the gateway holds at one time."""

    at: float  # s of the loop's clock
    asked: int
    rss: int  # bytes
    descriptors: int
    threads: int
    cpu: float  # s so far


class Lines:
    """The gateway's request lines, read as they come: how they ended, whose rows they name, and that no id is twice."""

    def __init__(self) -> None:
        self.count = 0
        self.ends: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.ruled = array("Q")
        self.settled = array("Q")
        self.ids: set[bytes] = set()
        self.strange: list[str] = []

    def take(self, line: bytes) -> None:
        """One line of standard output."""
        try:
            record = orjson.loads(line)
            self.ids.add(record["request_id"].encode())
            self.ends[record["end"]] += 1
            self.statuses[record["http"]["status"]] += 1
            seq = record.get("seq") or {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.strange.append(f"{type(error).__name__}: {line[:120]!r}")
            return
        self.count += 1
        if "ruled" in seq:
            self.ruled.append(seq["ruled"])
        if "settled" in seq:
            self.settled.append(seq["settled"])


class Host:
    """The running pair. `said` is what the gateway wrote to standard error."""

    def __init__(self, folder: Path, gateway: "subprocess.Popen[bytes]", port: int, ops: int) -> None:
        self.folder = folder
        self.gateway = gateway
        self.port = port
        self.ops = ops
        self.lines = Lines()
        self.said: list[str] = []
        self.tree = Tree(gateway.pid)
        self._variant = 0
        self._readers = [threading.Thread(target=self._read_lines), threading.Thread(target=self._read_errors)]
        for reader in self._readers:
            reader.start()

    def sample(self, asked: int) -> Sample:
        """Reads /proc: it costs the gateway nothing."""
        proc = Path("/proc") / str(self.gateway.pid)
        status = (proc / "status").read_text()
        kib, threads = (int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) for name in ("VmRSS", "Threads"))  # type: ignore[index]
        count = len(list((proc / "fd").iterdir()))
        return Sample(asyncio.get_running_loop().time(), asked, kib * 1024, count, threads, self.tree.read().cpu / 1e9)

    async def metrics(self, client: httpx.AsyncClient) -> dict[str, float]:
        """Every sample of /metrics by its name and labels, as in `gauger_upstream_connections{state="open"}`."""
        text = (await client.get(f"http://127.0.0.1:{self.ops}/metrics")).text
        return {
            name + (f"{{{labels}}}" if labels else ""): float(value) for name, labels, value in METRIC.findall(text)
        }

    def reload(self) -> None:
        """Changes the policy and the accounts file, and asks for both to be read."""
        self._variant += 1
        write_rules(self.folder, self._variant)
        self.gateway.send_signal(signal.SIGHUP)

    async def stop(self) -> int:
        """Asks it to end; its exit code. What it wrote is then whole."""
        if self.gateway.poll() is None:
            self.gateway.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.gateway.wait, PATIENCE)
        for reader in self._readers:
            await asyncio.to_thread(reader.join, PATIENCE)
        return code

    def _read_lines(self) -> None:
        assert self.gateway.stdout is not None
        for line in self.gateway.stdout:
            self.lines.take(line)

    def _read_errors(self) -> None:
        assert self.gateway.stderr is not None
        for line in self.gateway.stderr:
            text = line.decode(errors="replace").rstrip()
            if text and not text.startswith("  ") and '"level":"info"' not in text:  # the banner is indented
                self.said.append(text[:500])


def write_rules(folder: Path, variant: int) -> list[str]:
    """The shipped policy, with the pack that enforces and an accounts file; a variant differs from the next one.

    Returns the keys of the accounts.
    """
    text = (ROOT / "policies" / "default.yaml").read_text()
    text = text.replace("packs/extraction.yaml", "packs/extraction-enforce.yaml")
    text = text.replace("identity:\n", "identity:\n  directory: accounts.yaml\n")
    text = text.replace("output: 200k tokens/min", f"output: {200 + variant % 2}k tokens/min")
    assert "directory: accounts.yaml" in text
    assert "extraction-enforce" in text
    pepper = load_pepper(Settings(state_dir=folder)).current
    keys = [f"sk-known-{number:04d}" for number in range(200)]
    accounts = ["accounts:"]
    for number, key in enumerate(keys):
        accounts.append(f"  - {{id: acct_{number}, org: org_{number % 20}, created: 2026-01-01,")
        accounts.append(f"     labels: [round-{variant % 2}], keys: [{key_digest(pepper, key.encode())}]}}")
    for name, content in (("policy.yaml", text), ("accounts.yaml", "\n".join(accounts) + "\n")):
        new = folder / f"{name}.new"
        new.write_text(content)
        new.replace(folder / name)
    return keys


@asynccontextmanager
async def hosted(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Host]:
    """Starts both, the gateway on the first core and the model server on another; ends both whatever happened."""
    taken: set[int] = set()
    model, port, ops = (free_port(taken) for _ in range(3))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")}
    given = {
        "GAUGER_PORT": str(port),
        "GAUGER_OPS_PORT": str(ops),
        "GAUGER_UPSTREAM": f"http://127.0.0.1:{model}",
        "GAUGER_POLICY": str(folder / "policy.yaml"),
        "GAUGER_STATE_DIR": str(folder),
        "GAUGER_LEDGER": str(folder / "ledger"),
        **settings,
    }
    started: list[subprocess.Popen[bytes]] = []
    where = cores()
    host: Host | None = None
    try:
        argv = [sys.executable, "-m", "tests.benchmarks.proxy.model", str(model)]
        server = subprocess.Popen(argv, cwd=ROOT, env=clean)
        started.append(server)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        argv = [sys.executable, "-m", "gateway", "serve"]
        gateway = subprocess.Popen(argv, cwd=ROOT, env=clean | given, start_new_session=True, **pipes)  # type: ignore[call-overload]
        started.append(gateway)
        if where.contestant:
            os.sched_setaffinity(gateway.pid, where.contestant)
            os.sched_setaffinity(server.pid, where.model)
        host = Host(folder, gateway, port, ops)
        await _ready(host)
        yield host
    finally:
        for process in reversed(started):
            if process.poll() is None:
                process.terminate()
        for process in reversed(started):
            try:
                await asyncio.to_thread(process.wait, PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if host is not None:
            await host.stop()
            for pipe in (host.gateway.stdout, host.gateway.stderr):
                assert pipe is not None
                pipe.close()


async def _ready(host: Host) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(PATIENCE):
        while True:
            if host.gateway.poll() is not None:
                raise RuntimeError("the gateway did not start: " + " | ".join(host.said[-5:]))
            try:
                if (await client.get(f"http://127.0.0.1:{host.ops}/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
