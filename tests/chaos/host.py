"""What is broken: a gateway of several workers, its store with a way to it, and its model server, each a process."""

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import Settings
from tests.benchmarks.proxy.processes import Process, free_port
from tests.chaos.way import Way
from tests.cli.process import ROOT, Served
from tests.stores.valkey.servers import Server

__all__ = ["LEASE", "Host", "Kill", "account_of", "hosted"]

PATIENCE = 40.0  # s for whatever has to come
LEASE = 90.0  # s: the least that a policy may say
METRIC = re.compile(r"^(gauger_\w+)(?:\{[^}]*\})? (\S+)$", re.MULTILINE)
PLANS = {
    "requests": "60 requests/month",
    "many": "400 requests/month",
    "tokens": "10k tokens/month",
    "burst": "20 requests/month",  # GCRA: what refills in a run is less than one
    "pace": "1200 requests/min",
    "live": "6 requests",
    "closed": "1M requests/month",
    "open": "1 requests/month",
    "model": "60 requests/month",
}
"""Plan -> the rate of its only limit, which has its name."""
LIMITS = {
    "requests": "by: [account], count: requests, window: calendar",
    "many": "by: [account], count: requests, window: calendar",
    "tokens": "by: [account], count: tokens.output, window: calendar, reserve: {guess: declared, at_most: 100%}",
    "burst": "by: [account], count: requests, burst: 20 requests",
    "pace": "by: [account], count: requests, burst: 20 requests",
    "live": f"by: [account], count: concurrent, lease: {LEASE:.0f} s",
    "closed": "by: [account], count: requests, window: calendar, on_store_error: closed",
    "open": "by: [account], count: requests, window: calendar, on_store_error: open",
    "model": "by: [model], count: requests, window: calendar",
}
POLICY = """
gauger: 1
policy: {{id: chaos, mode: enforce, abort: charge_reserved}}
identity: {{directory: accounts.yaml, plan: free}}
plans:
  free: {{{free}}}
{plans}
limits:
{limits}
rules:
  - {{id: shown, when: hour.requests > 1M, then: {{tag: [shown]}}}}
"""


@dataclass(frozen=True)
class Kill:
    """A moment at which a worker, or all of them, were killed; of the wall, s. `worker` -1 = everybody."""

    at: float
    life: int
    worker: int


class Host:
    """The gateway has one life after the other, on the same ports and the same state."""

    def __init__(
        self, folder: Path, server: Server, way: Way, model: int, ports: list[int], timeout: float, mode: str
    ) -> None:
        self.folder = folder
        self.server = server
        self.way = way
        self.workers = len(ports) - 2
        self.port, self.ops, *self.own = ports
        self.timeout = timeout
        self.mode = mode
        self.lives: list[Served] = []
        self.kills: list[Kill] = []
        self.started: set[int] = set()  # every process that a gateway was or has started
        self.client = httpx.AsyncClient(timeout=PATIENCE)
        self._model = model
        self._keys: dict[str, int] = {}
        self._last: dict[str, Any] = {}

    @property
    def served(self) -> Served:
        return self.lives[-1]

    @property
    def folders(self) -> list[Path]:
        """Of each life so far."""
        return [self.folder / f"life-{at}" for at in range(len(self.lives))]

    def key(self, plan: str) -> str:
        """A key of this plan that nobody has used."""
        number = self._keys[plan] = self._keys.get(plan, -1) + 1
        return _key(plan, number)

    async def start(self) -> float:
        """Begins a life; seconds until every worker is ready."""
        folder = self.folder / f"life-{len(self.lives)}"
        folder.mkdir()
        environment = {
            "GAUGER_STATE_DIR": str(self.folder),
            "GAUGER_POLICY": str(self.folder / "policy.yaml"),
            "GAUGER_UPSTREAM": f"http://127.0.0.1:{self._model}",
            "GAUGER_LEDGER": str(self.folder / "ledger"),
            "GAUGER_STORE": f"valkey://127.0.0.1:{self.way.port}",
            "GAUGER_STORE_TIMEOUT": str(self.timeout),
            "GAUGER_STORE_MODE": self.mode,
            "GAUGER_WORKERS": str(self.workers),
            "GAUGER_WORKER_PORTS": str(self.own[0]),
            "GAUGER_SNAPSHOT_INTERVAL": "2",
            "GAUGER_LOG_LEVEL": "info",
            "GAUGER_CAMPAIGN_MEMORY": "4194304",
            "PYTHONUNBUFFERED": "1",
        }
        began = time.monotonic()
        served = Served(folder, ["--port", str(self.port), "--ops-port", str(self.ops)], environment)
        self.lives.append(served)
        await self.until(self._all_up, "the workers are up")
        took = time.monotonic() - began
        self._note()
        return took

    async def ready(self) -> dict[str, Any]:
        """What `/readyz` says; {} while nobody listens there."""
        with contextlib.suppress(httpx.TransportError):
            self._last = (await self.client.get(f"http://127.0.0.1:{self.ops}/readyz")).json()
            return self._last
        return {}

    async def metrics(self) -> dict[str, float]:
        """Every metric, summed over its labels."""
        text = (await self.client.get(f"http://127.0.0.1:{self.ops}/metrics")).text
        sums: dict[str, float] = {}
        for name, value in METRIC.findall(text):
            sums[name] = sums.get(name, 0.0) + float(value)
        return sums

    async def until(self, true: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """Waits for a condition, which may be a coroutine's; its value. Raises AssertionError in words."""
        end = time.monotonic() + seconds
        while True:
            value = true()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            if self.lives and self.served.process.poll() is not None:
                raise AssertionError(f"the gateway has ended before {what}: " + " | ".join(self.served.said[-5:]))
            assert time.monotonic() < end, f"it never came true that {what}; {self._last}"
            await asyncio.sleep(0.02)

    async def _all_up(self) -> bool:
        """Every worker serves, and has heard of the store."""
        workers = (await self.ready()).get("workers", ())
        return len(workers) == self.workers and all(each["ready"] and each["store"]["epoch"] for each in workers)

    async def up(self) -> None:
        await self.until(self._all_up, "the workers are up")
        self._note()

    async def stores(self) -> list[dict[str, Any]]:
        """What each worker says of the store; of one that doesn't serve, nothing."""
        return [each["store"] for each in (await self.ready()).get("workers", ()) if each.get("store")]

    async def down(self) -> None:
        """Waits until every worker knows that the store is away."""

        async def away() -> bool:
            stores = await self.stores()
            return len(stores) == self.workers and all(each["state"] == "down" for each in stores)

        await self.until(away, "the store is away")

    async def settled(self) -> None:
        """Waits until every worker has the store, has told it everything, and nothing is under way."""

        async def told() -> bool:
            stores = await self.stores()
            if len(stores) < self.workers or any(each["state"] != "up" or each["untold_cells"] for each in stores):
                return False
            held = await self.metrics()
            return not held["gauger_store_waiting"] and not held["gauger_in_flight"]

        await self.until(told, "the store was told everything")

    def pid(self, worker: int) -> int:
        """Of a worker, as `/readyz` said last."""
        return int(self._last["workers"][worker]["pid"])

    async def kill_worker(self, worker: int) -> Kill:
        await self.ready()
        os.kill(self.pid(worker), signal.SIGKILL)
        self.kills.append(Kill(time.time(), len(self.lives) - 1, worker))
        return self.kills[-1]

    async def kill_all(self) -> Kill:
        """kill -9 for the supervisor and all workers; returns when they are gone."""
        await self.ready()
        self._note()
        pids = [self.served.process.pid, *(each["pid"] for each in self._last["workers"])]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kills.append(Kill(time.time(), len(self.lives) - 1, -1))
        await asyncio.to_thread(self.served.wait)
        await self._gone(set(pids))
        return self.kills[-1]

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        await self.ready()
        self._note()
        self.served.signal(signal.SIGTERM)
        return await asyncio.to_thread(self.served.wait)

    async def hear(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until the gateway's present life has said an event so often."""

        def said() -> list[dict[str, Any]]:
            lines = [orjson.loads(line) for line in self.served.said if line.startswith("{")]
            return [line for line in lines if line["event"] == event]

        end = time.monotonic() + PATIENCE
        while len(found := said()) < count:
            assert time.monotonic() < end, f"{event!r} was said {len(found)} times: " + "\n".join(self.served.said)
            await asyncio.sleep(0.02)
        return found

    async def lose_store(self) -> float:
        """kill -9 for the store; when it was gone, s of the wall. Connections to it are refused."""
        await asyncio.to_thread(self.server.kill)
        await self.way.refuse()
        return time.time()

    async def find_store(self) -> float:
        """Starts it, empty; when it listened."""
        await asyncio.to_thread(self.server.start)
        await self.way.accept()
        return time.time()

    async def left(self) -> list[int]:
        """Processes of the gateway's that are still there when all should be gone."""
        return await self._gone(self.started, 5.0)

    def _note(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            mine = psutil.Process(self.served.process.pid)
            self.started |= {mine.pid, *(each.pid for each in mine.children(recursive=True))}

    @staticmethod
    async def _gone(pids: set[int], seconds: float = PATIENCE) -> list[int]:
        end = time.monotonic() + seconds
        while left := [pid for pid in pids if psutil.pid_exists(pid) and not _ended(pid)]:
            if time.monotonic() > end:
                return left
            await asyncio.sleep(0.02)
        return []

    async def aclose(self) -> None:
        """Ends whatever is left of the gateway, however the run ended."""
        await self.client.aclose()
        for served in self.lives:
            if served.process.poll() is None:
                children = psutil.Process(served.process.pid).children(recursive=True)
                served.process.kill()
                for child in children:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
                await asyncio.to_thread(served.process.wait)
            assert served.process.stderr is not None
            await asyncio.to_thread(served._reader.join, PATIENCE)
            served.process.stderr.close()
            served.out.close()


def _ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _key(plan: str, number: int) -> str:
    return f"sk-chaos-{plan}-{number}"


def account_of(key: str) -> str:
    """Whose key it is."""
    return key.removeprefix("sk-chaos-")


def write_rules(folder: Path, accounts: int) -> None:
    """The policy, and so many accounts of each plan."""
    free = ", ".join(f"{name}: unlimited" for name in PLANS)
    plans = "\n".join(f"  {name}: {{extends: free, {name}: {rate}}}" for name, rate in PLANS.items())
    limits = "\n".join(f"  - {{id: {name}, rate: plan.{name}, {what}}}" for name, what in LIMITS.items())
    (folder / "policy.yaml").write_text(POLICY.format(free=free, plans=plans, limits=limits))
    pepper = load_pepper(Settings(state_dir=folder)).current
    lines = ["accounts:"]
    for plan in (*PLANS, "free"):
        for number in range(accounts):
            key = _key(plan, number)
            digest = key_digest(pepper, key.encode())
            lines.append(f"  - {{id: {account_of(key)}, plan: {plan}, created: 2026-01-01, keys: [{digest}]}}")
    (folder / "accounts.yaml").write_text("\n".join(lines) + "\n")


def _row_of_ports(count: int, taken: set[int]) -> list[int]:
    """Free loopback ports that follow on each other, below those that the kernel hands out."""
    for _ in range(200):
        first = random.randrange(20_000, 31_000)
        ports = list(range(first, first + count))
        if not taken.isdisjoint(ports):
            continue
        with contextlib.ExitStack() as stack:
            try:
                for port in ports:
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.update(ports)
        return ports
    raise OSError(f"no {count} free ports in a row")


@asynccontextmanager
async def hosted(folder: Path, *, workers: int, timeout: float, mode: str, accounts: int) -> AsyncIterator[Host]:
    """All of it, with the gateway not yet started. Whatever it started is ended."""
    write_rules(folder, accounts)
    taken: set[int] = set()
    port, ops, model = (free_port(taken) for _ in range(3))
    argv = [sys.executable, "-m", "tests.benchmarks.proxy.model", str(model)]
    served = Process(argv, (), folder / "model.log", cwd=ROOT)
    try:
        with Server() as server:
            way = Way(server.port)
            await way.accept()
            ports = [port, ops, *_row_of_ports(workers, taken)]
            host = Host(folder, server, way, model, ports, timeout, mode)
            try:
                yield host
            finally:
                await host.aclose()
                await way.refuse()
    finally:
        await asyncio.to_thread(served.stop)
