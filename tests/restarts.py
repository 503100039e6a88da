"""Gateways that begin on the ledgers of former ones, for tests."""

import asyncio
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.decide import AccountState
from gateway.edge.core import Core
from gateway.ledger.record import Opened, Resumed
from gateway.ledger.replay import Replay
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from gateway.stores.segments import read_rows, segments
from gateway.stores.snapshot import Header, opened
from tests.ledger.ledgers import adopted, fresh
from tests.ledger.test_gateway import Callers, policy, quiet
from tests.rig import gateway

BOUNDS: dict[str, Any] = {"max_accounts": 100, "state_memory": 16 << 20}


def states(accounts: MemoryAccounts) -> dict[str, tuple[int | None, AccountState]]:
    """Every account with its place, and what it holds; the order is that of the tables."""
    held = accounts.held()
    names = [name for found, _ in held.tables for name in found]
    return {name: (accounts.standing(name), accounts.get(name)) for name in names}


def cells(limits: MemoryLimits) -> dict[str, Any]:
    held = limits.held()
    return {
        "rates": list(held.rates.items()),
        "quotas": list(held.quotas.items()),
        "leases": held.leases,
        "open": held.open,
        "met": held.met,
    }


def same(core: Core, accounts: Any, limits: Any) -> None:
    assert isinstance(core.limits, MemoryLimits)
    assert states(core.accounts) == states(accounts)
    assert cells(core.limits) == cells(limits)


def replay_of(folder: Path) -> Replay:
    """The fold of all rows, which must agree with themselves."""
    replay = Replay(None, adopted, fresh)
    for row in read_rows(folder):
        replay.step(row)
    assert replay.tally.differences == replay.tally.after_gap == 0, replay.tally
    return replay


async def load(g: Any, seed: int, turns: int = 6) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        callers = Callers(seed, g, client)
        for _ in range(turns):
            await asyncio.gather(*(callers.call() for _ in range(10)))


async def crashed(g: Any, seed: int, copy: Path) -> None:
    """The folder as a crash leaves it, in the middle of requests, a while after a snapshot that was taken so too."""
    async with httpx.AsyncClient(timeout=60) as client:
        callers, calls = Callers(seed, g, client), list[asyncio.Task[None]]()

        async def under_way() -> None:
            while g.core.limits.open < 3:
                if all(call.done() for call in calls):
                    calls.extend(asyncio.create_task(callers.call()) for _ in range(20))
                await asyncio.sleep(0)

        await under_way()
        assert await g.core.snapshots.take() is not None
        await under_way()
        g.core.ledger.flush()
        shutil.copytree(g.core.snapshots.folder, copy)
        await asyncio.gather(*calls)


async def made(folder: Path) -> Path:
    async with gateway(policy=policy(), state_dir=folder, ledger=folder / "led", **BOUNDS) as g:
        for seed in (1, 2, 3):
            await load(g, seed, 1)
            await quiet(g)
            if seed < 3:
                assert await g.core.snapshots.take() is not None  # type: ignore[union-attr]
        assert g.core.ledger is not None
        g.core.ledger.flush()
        shutil.copytree(folder / "led", folder / "crashed")
    return folder / "crashed"


@dataclass
class Begun:
    """What a start on a ledger said and had. `expected`: the fold of its rows."""

    core: Core
    row: Opened | Resumed
    said: list[dict[str, Any]]
    expected: Replay

    def event(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == name]


class Restarts:
    """Starts on copies of a ledger."""

    def __init__(self, folder: Path, led: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.led, self.capsys = folder, led, capsys
        self.given: dict[str, Any] = dict(BOUNDS)

    async def __call__(self, *, whole: bool = True) -> Begun:
        expected = replay_of(self.led) if whole else Replay(None, adopted, fresh)
        self.capsys.readouterr()
        async with gateway(policy=policy(), state_dir=self.folder, ledger=self.led, **self.given) as g:
            core = g.core
        said = [orjson.loads(line) for line in self.capsys.readouterr().err.splitlines() if line.startswith("{")]
        row = next(iter(read_rows([segments(self.led)[-1].path])))
        assert isinstance(row, Opened | Resumed)
        if isinstance(row, Resumed) and whole:
            expected.step(row)
        return Begun(core, row, said, expected)


def header_of(path: Path) -> Header:
    with closing(opened(path)) as found:
        return found.header


def resumed(begun: Begun, snapshot: int) -> None:
    assert isinstance(begun.row, Resumed)
    assert (begun.row.snapshot, begun.row.partial) == (snapshot, False)
    assert "differences" not in begun.event("restored")[0]
    same(begun.core, begun.expected.steps.accounts, begun.expected.steps.limits)
