"""A ledger after crashes at every byte, on full disks, behind full queues: nothing is lost that is not told."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.decide import Outcome
from gateway.ledger.record import Adopted, Gap, Opened, Settled
from gateway.stores import segment_writer
from gateway.stores.proof import verify
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.segments import read_rows
from gateway.telemetry import events
from tests.stores.ledgers import NOW, Disk, rows, until, write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "RETRY", 0.01)
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    monkeypatch.setattr(segment_writer, "BATCH_ROWS", 4)


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of two closed segments and one that a killed process left open."""
    folder = tmp_path_factory.mktemp("crashed")
    for _ in range(3):
        write(folder, rows(4))
    path = folder / "segment-00000003.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    return folder


def test_a_crash_at_any_byte_loses_that_line_only(crashed: Path, tmp_path: Path) -> None:
    text = (crashed / "segment-00000003.jsonl").read_bytes()
    whole = text.splitlines(keepends=True)
    places = {*range(len(text) - len(whole[-1]), len(text) + 1), *range(0, len(text), 7), *range(len(whole[0]) + 1)}
    for place in sorted(places):
        folder = tmp_path / str(place)
        shutil.copytree(crashed, folder)
        (folder / "segment-00000003.jsonl").write_bytes(text[:place])
        kept = [line for line in text[:place].splitlines(keepends=True) if line.endswith(b"\n")]
        survived = max(0, len(kept) - 1)
        before = verify(folder)
        assert before.proven
        assert before.half == (place > 0 and not text[:place].endswith(b"\n"))
        assert before.rows == 8 + survived
        assert list(read_rows(folder)) == rows(4) * 2 + rows(4)[:survived]
        writer = SegmentWriter(folder)
        for row in rows(4):
            writer(row)
        writer.close()
        report = verify(folder, before.head)
        assert report.proven, (place, report.broken)
        assert (report.rows, report.half, report.recovered) == (8 + survived + 4, False, int(bool(kept)))
        assert list(read_rows(folder)) == rows(4) * 2 + rows(4)[:survived] + rows(4)
        shutil.rmtree(folder)


def test_a_crash_while_the_footer_was_written(crashed: Path, tmp_path: Path) -> None:
    write(tmp_path, rows(4))
    path = tmp_path / "segment-00000001.jsonl"
    text = path.read_bytes()
    footer = len(text.splitlines(keepends=True)[-1])
    for place in range(len(text) - footer, len(text)):
        path.write_bytes(text[:place])
        SegmentWriter(tmp_path, compress=False).close()
        report = verify(tmp_path)
        assert (report.proven, report.closed, report.rows, report.recovered) == (True, True, 4, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.data())
def test_damage_in_the_last_segment_is_not_written_over(crashed: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "l"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(crashed, folder)
    path = folder / "segment-00000003.jsonl"
    text = path.read_bytes()
    at = data.draw(st.integers(0, len(text) - 2))
    changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
    path.write_bytes(changed)
    write(folder, rows(4), compress=False)
    assert path.read_bytes() == changed
    broken = verify(folder).broken
    assert broken is not None
    assert (Path(broken.file).name, broken.line) == (path.name, text[:at].count(b"\n") + 1)


@pytest.mark.parametrize("room", [0, 1, 500, 5000])
def test_a_full_disk_loses_nothing_that_the_queue_can_hold(tmp_path: Path, room: int) -> None:
    disk = Disk()
    disk.room = room
    writer = SegmentWriter(tmp_path, put=disk, max_bytes=4000)
    for row in rows(60):
        writer(row)
    until(lambda: disk.refused > 2)
    assert writer.errors > 0
    disk.room = None
    writer.close()
    assert (writer.dropped, writer.rows) == (0, 60)
    assert list(read_rows(tmp_path)) == rows(60)
    assert verify(tmp_path).proven


def test_a_full_queue_becomes_a_gap_in_its_place(tmp_path: Path) -> None:
    disk = Disk()
    writer = SegmentWriter(tmp_path, put=disk, max_waiting=4000)
    for row in rows(4):
        writer(row)
    assert writer.flush()
    disk.room = 0
    for row in rows(60, first=5):
        writer(row)
    lost = writer.dropped
    assert 0 < lost < 60
    until(lambda: disk.refused > 0)
    disk.room = None
    assert writer.flush()
    for row in rows(4, first=65):
        writer(row)
    writer.close()
    found = list(read_rows(tmp_path))
    gaps = [row for row in found if isinstance(row, Gap)]
    assert gaps == [Gap(65 - lost, NOW + 65 - lost, lost, "full")]
    assert found == [*rows(64 - lost), gaps[0], *rows(4, first=65)]
    assert (writer.dropped, writer.rows) == (lost, 68 - lost + 1)
    report = verify(tmp_path)
    assert (report.proven, report.gaps, report.lost, report.unnumbered) == (True, 1, lost, 0)


def test_a_gap_at_the_end_is_written_when_closing(tmp_path: Path) -> None:
    disk = Disk()
    disk.room = 0
    writer = SegmentWriter(tmp_path, put=disk, max_waiting=4000)
    for row in rows(60):
        writer(row)
    lost = writer.dropped
    disk.room = None
    writer.close()
    last = list(read_rows(tmp_path))[-1]
    assert isinstance(last, Gap)
    assert (last.seq, last.lost) == (61 - lost, lost)


def test_a_disk_that_stays_full_does_not_hold_up_the_end(tmp_path: Path) -> None:
    disk = Disk()
    writer = SegmentWriter(tmp_path, put=disk)
    for row in rows(10):
        writer(row)
    assert writer.flush()
    disk.room = 100
    for row in rows(10, first=11):
        writer(row)
    writer.close(timeout=0.1)
    assert writer.dropped == 10
    assert list(read_rows(tmp_path)) == rows(10)
    assert not verify(tmp_path).closed
    write(tmp_path, rows(2))
    assert verify(tmp_path).proven


def test_a_row_that_can_not_be_written_is_a_gap_too(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    writer(rows(1)[0])
    writer(Settled(2, NOW, "\ud800", "a", Outcome("done")))
    writer(rows(1, first=3)[0])
    writer.close()
    assert [type(row) for row in read_rows(tmp_path)] == [Opened, Gap, Settled]


def test_a_long_row_passes_whole(tmp_path: Path) -> None:
    adopted = Adopted(2, NOW, "0123456789ab", "p", files={"p.yaml": "ü\n" * 1_000_000})
    write(tmp_path, [rows(1)[0], adopted], max_bytes=4000)
    assert list(read_rows(tmp_path))[1] == adopted
    assert verify(tmp_path).proven


def test_errors_are_said_once_and_so_is_their_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk()
    disk.room = 0
    writer = SegmentWriter(tmp_path, put=disk, log=events.get("ledger"))
    writer(rows(1)[0])
    until(lambda: disk.refused > 3)
    disk.room = None
    assert writer.flush()
    writer.close()
    said = capsys.readouterr().err
    assert said.count("the ledger can't be written") == 1
    assert said.count("the ledger is written again") == 1
    assert "segment closed" in said
    assert verify(tmp_path).head in said  # so a head is kept where the log goes


def test_a_defect_of_the_writer_is_none_of_the_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def defect(fd: int, data: memoryview) -> int:
        raise ZeroDivisionError

    writer = SegmentWriter(tmp_path, put=defect, log=events.get("ledger"))
    writer(rows(1)[0])
    writer.flush()
    for row in rows(5, first=2):
        writer(row)
    writer.close()
    assert writer.dropped == 6
    assert "the ledger is no longer written" in capsys.readouterr().err
    SegmentWriter(tmp_path).close()
