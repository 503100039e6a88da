"""What a process begins with is what the one before it held, whichever way it is found again."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.decide import AccountState
from gateway.edge import effects
from gateway.edge.core import Core
from gateway.ledger.record import Opened, Resumed
from gateway.ledger.replay import Replay
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from gateway.stores.proof import verify
from gateway.stores.segments import read_rows
from gateway.stores.snapshot import discard, snapshots
from tests.ledger.ledgers import adopted, fresh, replayed
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
    assert states(core.accounts) == states(accounts)
    assert cells(core.limits) == cells(limits)


def replay_of(folder: Path) -> Replay:
    """The fold of all rows, which must agree with themselves."""
    replay = Replay(None, adopted, fresh)
    for row in read_rows(folder):
        replay.step(row)
    assert replay.tally.differences == replay.tally.after_gap == 0, replay.tally
    return replay


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "LARGE", 10_000)  # some bodies are read and rewritten in threads


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


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_crash_under_load_then_snapshot_and_rows_or_rows_alone(tmp_path: Path, seed: int) -> None:
    led = tmp_path / "0"
    async with gateway(policy=policy(), state_dir=tmp_path, ledger=led, **BOUNDS) as g:
        await load(g, seed)
        await crashed(g, seed, tmp_path / "1")
    for turn in (1, 2):
        led, bare = tmp_path / f"{turn}", tmp_path / f"{turn}-bare"
        shutil.copytree(led, bare)
        assert discard(bare) == turn
        expected = replay_of(led)
        async with gateway(policy=policy(), state_dir=tmp_path, ledger=bare, **BOUNDS) as g:
            again = g.core
        async with gateway(policy=policy(), state_dir=tmp_path, ledger=led, **BOUNDS) as g:
            assert g.core.ledger is not None
            g.core.ledger.flush()
            row = list(read_rows(led))[-2]
            assert isinstance(row, Resumed)
            assert row.snapshot and row.folded and not row.partial
            assert row.seq == expected.seq + 1
            expected.step(row)
            same(g.core, expected.steps.accounts, expected.steps.limits)
            same(g.core, again.accounts, again.limits)
            assert not g.core.limits.open and not g.core.limits.leases
            await load(g, seed + turn, 3)
            await crashed(g, seed + turn, tmp_path / f"{turn + 1}")
            await quiet(g)
        assert verify(led).proven
        rows = list(read_rows(led))
        assert sum(isinstance(row, Opened) for row in rows) == 1
        replay, _ = replayed(rows)
        assert replay.tally.differences == replay.tally.after_gap == replay.tally.gaps == 0, replay.tally
        assert replay.tally.resumed == turn
        same(g.core, replay.steps.accounts, replay.steps.limits)
    assert snapshots(tmp_path / "3")
