"""Snapshots and ledgers that are damaged, foreign, cut, or of another version: a start is never wrong, and says why."""

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from gateway import app
from gateway.edge import effects
from gateway.edge.clock import Clock
from gateway.ledger.chain import body_of, chain_at
from gateway.ledger.record import ENGINE, Opened, Resumed
from gateway.stores.proof import verify
from gateway.stores.segments import read_rows, segments
from gateway.stores.snapshot import discard, opened, publish, snapshots, write
from tests import rig
from tests.restarts import Restarts, header_of, made, resumed


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "LARGE", 10_000)  # some bodies are read and rewritten in threads


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two snapshots and rows after them, whose process was killed."""
    return asyncio.run(made(tmp_path_factory.mktemp("restore")))


@pytest.fixture
def restarts(tmp_path: Path, ledger: Path, capsys: pytest.CaptureFixture[str]) -> Restarts:
    shutil.copytree(ledger, tmp_path / "led")
    return Restarts(tmp_path, tmp_path / "led", capsys)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def rewrite(path: Path, **changes: Any) -> None:
    """The same snapshot as if it said something else of itself, with its sums right."""
    with closing(opened(path)) as found:
        header, pieces = msgspec.structs.replace(found.header, **changes), list(found.pieces())
    path.unlink()
    publish(write(path.parent, header, pieces), header)


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a bit in its head": lambda path: flip(path, 30),
    "a bit in the middle": lambda path: flip(path, path.stat().st_size // 2),
    "a bit in its sum": lambda path: flip(path, -1),
    "no file at all": lambda path: folder_instead(path),
    "something else": lambda path: path.write_bytes(b"{}" * 1000),
    "a later format": lambda path: path.write_bytes(b"gauger.snapshot/2\n" + path.read_bytes()[18:]),
    "another engine": lambda path: rewrite(path, engine=ENGINE + 1, version="9.9"),
    "another layout": lambda path: rewrite(path, layout="0123456789abcdef"),
    "of another chain": lambda path: rewrite(path, head="11" * 32),
    "of a segment that isn't there": lambda path: rewrite(path, segment=7),
    "beyond the end": lambda path: rewrite(path, offset=1 << 40),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_snapshot_that_is_no_good_is_named_and_the_one_before_is_taken_then_the_rows(
    restarts: Restarts, what: str
) -> None:
    new, old = snapshots(restarts.led)
    before = header_of(old).seq
    BROKEN[what](new)
    copy = restarts.led.parent / "copy"
    shutil.copytree(restarts.led, copy)
    begun = await restarts()
    resumed(begun, before)
    assert len(begun.event("a snapshot is not used")) == 1
    restarts.led = copy
    BROKEN[what](copy / old.name)
    begun = await restarts()
    resumed(begun, 0)
    assert len(begun.event("a snapshot is not used")) == 2


async def test_rows_that_a_power_cut_took_take_the_snapshots_of_them_too(restarts: Restarts) -> None:
    """Else a later row of the same number would be taken for the one that is gone."""
    new, old = map(header_of, snapshots(restarts.led))
    (segment,) = segments(restarts.led)
    text = segment.path.read_bytes()[: new.offset].splitlines(keepends=True)
    segment.path.write_bytes(b"".join(text[:-2]))
    begun = await restarts()
    resumed(begun, old.seq)
    assert begun.row.seq == new.seq - 1
    again = await restarts()  # there is a row of that number by now
    resumed(again, old.seq)
    assert verify(restarts.led).proven


@pytest.mark.parametrize("bare", [False, True])
async def test_of_another_pepper_nothing_is_taken(
    restarts: Restarts, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    if bare:
        discard(restarts.led)
    monkeypatch.setattr(rig, "SecretStr", lambda text: SecretStr(f"{text} of another deployment"))
    begun = await restarts()
    assert isinstance(begun.row, Opened)
    assert "pepper" in begun.event("not restored")[0]["why"]
    assert not len(begun.core.accounts) and not begun.core.limits.cells
    again = await restarts()
    assert isinstance(again.row, Resumed)
    monkeypatch.undo()
    former = await restarts()
    assert isinstance(former.row, Opened)


async def test_rows_of_a_later_version_begin_nothing_wrong(restarts: Restarts) -> None:
    (segment,) = segments(restarts.led)
    lines = segment.path.read_bytes().splitlines(keepends=True)
    chain = chain_at(lines[0])
    for line in lines:
        chain.read(line)
    seq = json.loads(body_of(lines[-1]) or b"")["seq"] + 1
    body = b'{"type":"invented","seq":%d,"now":%d}' % (seq, 1)
    segment.path.write_bytes(b"".join(lines) + chain.add((seq, 1, b"invented", body), bytes(16)))
    begun = await restarts(whole=False)
    assert isinstance(begun.row, Opened)
    assert begun.event("not restored")
    assert not len(begun.core.accounts)


async def test_damage_in_a_segment_leaves_out_what_is_behind_it(restarts: Restarts) -> None:
    new = header_of(snapshots(restarts.led)[0])
    (segment,) = segments(restarts.led)
    flip(segment.path, new.offset + 3000)
    begun = await restarts(whole=False)
    assert isinstance(begun.row, Resumed)
    assert begun.row.snapshot == new.seq
    assert begun.event("restored")[0]["damage"]


@pytest.mark.parametrize("behind, kept", [(3600, True), (3 * 86_400, False)])
async def test_a_clock_that_is_behind_the_ledger(
    restarts: Restarts, monkeypatch: pytest.MonkeyPatch, behind: int, kept: bool
) -> None:
    """Time goes on from the last row, if it is not too far off to be believed."""
    last = list(read_rows(restarts.led))[-1].now
    monkeypatch.setattr(app, "Clock", lambda: Clock(lambda: time.time_ns() - behind * 1_000_000_000))
    begun = await restarts()
    assert isinstance(begun.row, Resumed if kept else Opened)
    assert (begun.row.now >= last, begun.core.clock.now() >= last) == (kept, kept)
    if not kept:
        assert "ahead of the clock" in begun.event("not restored")[0]["why"]
