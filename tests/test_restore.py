"""What a process begins with is what the one before it held, whichever way it is found again."""

import asyncio
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway import restore
from gateway.decide import AccountState
from gateway.edge import effects
from gateway.edge import snapshots as edge_snapshots
from gateway.ledger.record import ENGINE, Opened, Resumed
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.proof import erase, verify
from gateway.stores.segments import read_rows, segments
from gateway.stores.snapshot import discard, opened, snapshots, write
from tests.ledger.ledgers import replayed
from tests.ledger.test_gateway import policy, quiet
from tests.restarts import BOUNDS, Restarts, crashed, header_of, load, made, replay_of, resumed, same, states
from tests.rig import gateway, policy_of


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "LARGE", 10_000)  # some bodies are read and rewritten in threads


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
            assert not g.core.live and not g.core.limits.leases
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


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two snapshots and rows after them, whose process was killed."""
    return asyncio.run(made(tmp_path_factory.mktemp("restore")))


@pytest.fixture
def restarts(tmp_path: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> Restarts:
    shutil.copytree(ledger, tmp_path / "led")
    return Restarts(tmp_path, tmp_path / "led", capsys)


async def test_an_upgrade_folds_the_rows_anew_and_says_so(restarts: Restarts, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another engine and layout and back: each version has its own, and takes none of the other's."""
    for module in (restore, edge_snapshots):
        monkeypatch.setattr(module, "ENGINE", ENGINE + 1)
        monkeypatch.setattr(module, "LAYOUT", "of the next version")
    async with gateway(policy=policy(), state_dir=restarts.folder, ledger=restarts.led, **BOUNDS) as g:
        await load(g, 7, 1)
        await quiet(g)
        assert await g.core.snapshots.take() is not None  # type: ignore[union-attr]
    row = next(row for row in reversed(list(read_rows(restarts.led))) if isinstance(row, Resumed))
    assert row.snapshot == 0
    monkeypatch.undo()
    old = snapshots(restarts.led)[1]
    begun = await restarts()
    resumed(begun, header_of(old).seq)
    assert [each["why"] for each in begun.event("a snapshot is not used")] == [
        f"it is of engine {ENGINE + 1} (version 0.1.0), this is {ENGINE}"
    ]


async def test_other_bounds_are_kept_from_the_first_moment(restarts: Restarts) -> None:
    restarts.given["max_accounts"] = 100
    first = await restarts()
    assert first.core.accounts.proven > 12
    restarts.given |= {"max_accounts": 100, "max_cells": 1000, "served_memory": 1280, "campaign_memory": 0}
    begun = await restarts()
    resumed(begun, begun.row.snapshot)  # type: ignore[union-attr]
    assert begun.core.campaigns is None


async def test_a_ledger_without_its_beginning_is_folded_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    led = tmp_path / "led"
    async with gateway(policy=policy(), state_dir=tmp_path, ledger=led, ledger_segment_bytes=40_000, **BOUNDS) as g:
        await load(g, 1, 4)
        await quiet(g)
    found = segments(led)
    assert len(found) > 3
    found[0].path.unlink()
    restarts = Restarts(tmp_path, led, capsys)
    begun = await restarts(whole=False)
    assert isinstance(begun.row, Resumed)
    assert begun.row.partial
    assert begun.event("restored")[0]["gaps"] == 1
    replay, _ = replayed(list(read_rows(led)), policy_of(policy()))
    assert replay.tally.differences == 0


async def test_an_erased_account_is_in_no_snapshot_and_in_no_memory(
    restarts: Restarts, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = replay_of(restarts.led).steps.accounts
    assert isinstance(state, MemoryAccounts)
    one, other = [name for name, (_, found) in states(state).items() if found.requests][:2]

    def holds(account: str) -> int:
        count = sum(account.encode() in path.read_bytes() for path in restarts.led.glob(".*"))
        for path in snapshots(restarts.led):
            with closing(opened(path)) as found:
                count += sum(account.encode() in piece for piece in found.pieces())
        return count

    assert holds(one) and holds(other)
    erase(restarts.led, one)
    assert not snapshots(restarts.led)
    async with gateway(policy=policy(), state_dir=restarts.folder, ledger=restarts.led, **BOUNDS) as g:
        core, taker = g.core, g.core.snapshots
        assert taker is not None
        assert core.accounts.get(one) == AccountState()
        assert await taker.take() is not None
        assert not holds(one) and holds(other)
        asked, whole = list[str](), write

        def meanwhile(*given: Any) -> Path:
            made = whole(*given)
            if not asked:
                asked.append(other)
                erase(restarts.led, other)
            return made

        monkeypatch.setattr(edge_snapshots, "write", meanwhile)
        assert core.accounts.get(other).requests
        await load(g, 9, 1)
        await quiet(g)
        assert core.accounts.get(other).requests
        assert await taker.take() is not None
        assert asked
        assert core.accounts.get(other) == AccountState()
        assert not holds(other)
        assert verify(restarts.led).proven
