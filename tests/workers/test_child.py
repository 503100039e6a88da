"""One worker as its supervisor sees it, and what it does when that one is gone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.edge.server import listen
from gateway.settings import Settings
from gateway.workers import child as child_module
from gateway.workers.channel import Answer, Brief, frame, told
from gateway.workers.child import Child, Gone
from gateway.workers.sharing import board_file
from tests.workers.conftest import WIDE

DEADLINE = 20.0


@asynccontextmanager
async def brief(folder: Path, policy: str = WIDE, **given: Any) -> AsyncIterator[Brief]:
    file = folder / "policy.yaml"
    file.write_text(policy)
    settings = Settings(state_dir=folder, policy=file, **given)
    board = board_file(1)
    (sock,) = listen("127.0.0.1", 0, 10)
    with sock:
        yield Brief(0, told(settings), "http://127.0.0.1:9", [sock.fileno()], [], board)
    os.close(board)


async def test_one_that_does_not_answer_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "HUNG", 0.3)
    monkeypatch.setattr(child_module, "SCRAPE", 0.05)
    up = asyncio.Event()
    child = Child(0, lambda _: up.set())
    async with brief(tmp_path) as given, asyncio.timeout(DEADLINE):
        living = asyncio.create_task(child.live(given))
        await up.wait()
        assert (await child.ask("GET", "/livez", timeout=DEADLINE)).body == b"ok\n"
        os.kill(child.pid, signal.SIGSTOP)
        assert await living == -signal.SIGKILL
        with pytest.raises(Gone):
            await child.ask("GET", "/livez", timeout=DEADLINE)


async def test_metrics_that_fail_are_no_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker that ends has counted is added up: words in it would end the supervisor, and all workers."""
    child = Child(0, lambda _: None)
    child.state = "up"
    answers = [Answer(1, 200, b"# nothing\n"), Answer(2, 500, b'{"error": "it failed, and its log says why"}')]

    async def ask(method: str, path: str, body: bytes = b"", *, timeout: float) -> Answer:
        return answers.pop(0)

    monkeypatch.setattr(child, "ask", ask)
    await child.look(1.0)
    await child.look(1.0)
    assert child.metrics == b"# nothing\n"
    assert answers == []


async def test_one_that_can_t_start_says_why(tmp_path: Path) -> None:
    child = Child(0, lambda _: None)
    async with brief(tmp_path, WIDE + "surprise: 1\n") as given, asyncio.timeout(DEADLINE):
        assert await child.live(given) == 2
    assert child.wrong is not None and "surprise" in child.wrong.message
    assert child.up is None


async def test_given_up_it_is_killed(tmp_path: Path) -> None:
    child = Child(0, lambda _: None)
    async with brief(tmp_path) as given, asyncio.timeout(DEADLINE):
        living = asyncio.create_task(child.live(given))
        while not child.pid:
            await asyncio.sleep(0.01)
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


async def test_one_whose_supervisor_is_gone_ends_as_if_it_had_been_told_to(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    async with brief(tmp_path, ledger=tmp_path / "led") as given, asyncio.timeout(DEADLINE):
        with theirs:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gateway.workers", "0"),
                stdin=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[*given.shared, given.board],
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            )
        with ours:
            ours.sendall(frame(given))
            await asyncio.to_thread(ours.recv, 1, socket.MSG_PEEK)  # it serves; that is never read: the end is abrupt
        _, said = await worker.communicate()
        assert (worker.returncode, b"Traceback" in said) == (0, False), said.decode()
        assert b"the supervisor is gone" in said


def test_one_whose_loop_does_not_turn_ends_when_its_supervisor_does() -> None:
    ours, theirs = socket.socketpair()
    script = (
        "import socket, time; from gateway.workers.__main__ import _outlive; channel = socket.socket(fileno=0); "
        "_outlive(channel, 0.1); print('blocked', flush=True); time.sleep(60)"
    )
    with theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", script], stdin=theirs.fileno(), stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
    with worker, ours:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"blocked\n"
        ours.sendall(b"a word")
        ours.close()
        assert worker.wait(DEADLINE) == 1
