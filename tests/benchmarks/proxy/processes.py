"""Shell. Starting and ending processes of our own: pinned, each in a session of its own, ended by number.

Whatever ends the benchmark, what it started is ended too: by `stop`, or by the kernel if the benchmark itself was
killed, where setpriv(1) is there to ask for that. Nothing of ours runs between fork and exec: Python would then run its
hooks for forks, and a Ctrl-C that arrives in one of them is lost.
"""

import http.client
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.proxy.bodies import KEYS
from tests.benchmarks.proxy.cpu import Tree

__all__ = ["Holder", "NotReadyError", "Process", "Target", "ask", "exposed", "free_port", "ready"]

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
HOST = "127.0.0.1"
PATIENCE = 6.0  # s between asking a process to end and ending it


class NotReadyError(Exception):
    """A contestant didn't come up; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a contestant listens, and what its requests must say besides."""

    port: int
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] | None = None


class Process:
    """A started process and everything that it starts. Its output goes to a file, or standard output to another one."""

    def __init__(
        self,
        argv: Sequence[str],
        cores: Collection[int],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        out: Path | None = None,
    ) -> None:
        """Raises OSError where the program can't be started."""
        self.log = log
        self.born = time.monotonic()

        with log.open("wb") as errors, (out or log).open("ab") as output, _on(cores):
            self.popen = subprocess.Popen(
                [*DIES_WITH_US, *argv],
                env=dict(env) if env is not None else None,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self.tree = Tree(self.popen.pid)

    @property
    def running(self) -> bool:
        """Whether the process itself is alive."""
        return self.popen.poll() is None

    def last_words(self) -> str:
        """The end of what it wrote, on one line."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return " | ".join(line.strip() for line in lines[-3:] if line.strip())[-300:]

    def stop(self) -> None:
        """Ends the whole tree: asked first, then made to. Returns when nobody is left, or after some seconds."""
        known: set[int] = set()
        for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, PATIENCE)):
            end = time.monotonic() + patience
            known.update(self.tree.pids())
            for pid in self.tree.pids():
                _signal(pid, number)
            while time.monotonic() < end and (self.running or self._left()):
                time.sleep(0.02)
            if not self.running and not self._left():
                return

    def _left(self) -> bool:
        return any(pid != self.popen.pid for pid in self.tree.pids())


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


class Holder:
    """The generator while it holds streams open: it says when they are, and is told when that is enough."""

    def __init__(self, argv: Sequence[str], cores: Collection[int], env: Mapping[str, str], cwd: Path) -> None:
        with _on(cores):
            self.popen = subprocess.Popen(
                [*DIES_WITH_US, *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.said = ""

    def opened(self, patience: float) -> bool:
        """Waits for its word that every stream is open."""
        self.said = self._line(patience)
        return self.said.strip() == "open"

    def figures(self, patience: float) -> dict[str, Any]:
        """Lets go of the streams; what came of them."""
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write("\n")
            self.popen.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended by itself and said why
        line = self.said if self.said.startswith("{") else self._line(patience)  # it may have given up and said so
        if line.startswith("{"):
            said: dict[str, Any] = json.loads(line)
            return said
        return {"n": 0, "bad": 1, "why": {"the load generator said nothing": 1}, "seconds": 0.0}

    def _line(self, patience: float) -> str:
        assert self.popen.stdout is not None
        readable, _, _ = select.select([self.popen.stdout], [], [], patience)
        return self.popen.stdout.readline() if readable else ""

    def close(self) -> None:
        """Ends it."""
        self.popen.kill()
        self.popen.communicate()


@contextmanager
def _on(cores: Collection[int]) -> Iterator[None]:
    """What is started within stays on these cores, for it inherits them; none = anywhere."""
    ours = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, ours)


def free_port(taken: set[int]) -> int:
    """A loopback port that nobody has, below those that the kernel hands out to clients. It is added to `taken`.

    Raises OSError where none was found.
    """
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise OSError("no free port between 20000 and 32000")


def exposed(port: int) -> bool:
    """Whether somebody listens on the port at an address that others could reach. See proc_net_tcp(5)."""
    for name, loopback in (("tcp", ("0100007F",)), ("tcp6", ("0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F"))):
        try:
            lines = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:  # no such family on this machine
            continue
        for line in lines:
            _, local, _, state = line.split()[:4]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port and address not in loopback:
                return True
    return False


def ask(target: Target, bodies: Sequence[bytes], *, timeout: float = 30.0) -> list[tuple[int, float]]:
    """Sends the bodies one after the other on one connection: status and seconds of each.

    Raises OSError or http.client.HTTPException where there is no answer.
    """
    answers = []
    connection = http.client.HTTPConnection(HOST, target.port, timeout=timeout)
    try:
        for at, body in enumerate(bodies):
            headers = {
                "content-type": "application/json",
                "authorization": f"Bearer {KEYS[at % len(KEYS)]}",
                **(target.headers or {}),
            }
            start = time.perf_counter()
            connection.request("POST", target.path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
            answers.append((answer.status, time.perf_counter() - start))
    finally:
        connection.close()
    return answers


def ready(process: Process, target: Target, body: bytes, patience: float) -> float:
    """Waits for the first 200 and returns the seconds since the start.

    Raises NotReadyError with the last answer or the last words of the process.
    """
    said = "it listens on no port"
    while time.monotonic() - process.born < patience:
        if not process.running:
            raise NotReadyError(f"it ended with {process.popen.returncode}: {process.last_words() or 'without a word'}")
        try:
            [(status, _)] = ask(target, [body])
        except (OSError, http.client.HTTPException) as error:
            if not isinstance(error, ConnectionRefusedError):
                said = f"{type(error).__name__}: {error}"
        else:
            if status == 200:
                return time.monotonic() - process.born
            said = f"it answers {status}"
        time.sleep(0.005)
    raise NotReadyError(f"not ready after {patience:.0f} s: {said}; {process.last_words()}")
