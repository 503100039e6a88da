"""A gateway of several workers as processes of its own, and what can be told of them from outside."""

import json
import random
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.cli.process import DEADLINE, Served, serving

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer sk-one"}
WIDE = (
    "gauger: 1\npolicy: {id: wide}\nlimits:\n"
    "  - {id: many, by: [account], count: requests, rate: 1000 requests/min, burst: 1000 requests}\n"
)
BLOCK = "gauger: 1\npolicy: {id: block}\nrules:\n  - {id: stop, when: req.n > 0, then: {block: {}}}\n"


def free_ports(number: int) -> int:
    """The first of so many ports in a row that nobody has, below those that the kernel hands out to clients."""
    for base in random.sample(range(20_000, 32_000), 100):
        with ExitStack() as stack, suppress(OSError):
            for port in range(base, base + number):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return base
    raise AssertionError("no free ports between 20000 and 32000")


class Flock:
    """Several workers that serve."""

    def __init__(self, served: Served, policy: Path) -> None:
        self.served = served
        self.policy = policy
        self.url, self.ops = served.url, served.ops
        self.supervisor = psutil.Process(served.process.pid)

    def ask(self, **changes: Any) -> httpx.Response:
        """One request on a connection of its own."""
        return httpx.post(f"{self.url}/v1/chat/completions", json={**CHAT, **changes}, headers=KEY, timeout=DEADLINE)

    def ready(self) -> dict[str, Any]:
        whole: dict[str, Any] = httpx.get(f"{self.ops}/readyz", timeout=DEADLINE).json()
        return whole

    def worker(self, number: int) -> psutil.Process:
        return psutil.Process(self.ready()["workers"][number]["pid"])

    def everybody(self) -> list[psutil.Process]:
        """Every process that it has started."""
        return self.supervisor.children(recursive=True)

    def valkey(self) -> psutil.Process:
        return next(each for each in self.everybody() if "valkey-server" in each.name())

    def counted(self, line: str) -> float:
        text = httpx.get(f"{self.ops}/metrics", timeout=DEADLINE).text
        return sum(float(value) for value in re.findall(rf"^{line}(?:{{.*}})? (\S+)$", text, re.MULTILINE))

    def events(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.served.said if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def hear(self, event: str, **fields: Any) -> dict[str, Any]:
        """Waits for an event of these fields."""
        pattern = f'"event":"{event}".*' + ".*".join(f'"{name}":{json.dumps(value)}' for name, value in fields.items())
        return json.loads(self.served.hear(pattern).string)  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ends it, and finds that nothing is left."""
        left = self.everybody()
        self.served.signal(signal.SIGTERM)
        assert self.served.wait() == 0, "\n".join(self.served.said)
        assert [each for each in left if each.is_running()] == []


@contextmanager
def flock(folder: Path, workers: int, *arguments: str, policy: str = WIDE, **environment: str) -> Iterator[Flock]:
    """So many workers in front of a stand-in model, with an embedded Valkey. Nothing of it is left at the end."""
    file = folder / "policy.yaml"
    file.write_text(policy)
    given = ["--workers", str(workers), "--embedded-valkey", "--policy", str(file), *arguments]
    with serving(folder, *given, **{"GAUGER_STORE_TIMEOUT": "5", **environment}) as served:
        made = Flock(served, file)
        left = made.everybody()
        try:
            yield made
        finally:
            left += made.everybody() if made.supervisor.is_running() and served.process.poll() is None else []
            if served.process.poll() is None:
                served.process.kill()
            _, alive = psutil.wait_procs(left, timeout=DEADLINE)
            for each in alive:
                each.kill()
            assert alive == []
