"""The writer of a ledger: rotation, retention, crashes, full disks and full queues, on real files."""

import errno
import gzip
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.decide import Facts, Outcome, Verdict
from gateway.errors import Mistake
from gateway.identity import Caller
from gateway.ledger.record import Adopted, Gap, Opened, Row, Ruled, Settled
from gateway.observe import Observation
from gateway.stores import segment_writer, segments
from gateway.stores.proof import verify
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.segments import compressed, read_rows

NOW = 1_700_000_000_000_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "RETRY", 0.01)
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    monkeypatch.setattr(segment_writer, "BATCH_ROWS", 4)


def rows(count: int, first: int = 1) -> list[Row]:
    made: list[Row] = []
    for seq in range(first, first + count):
        if seq == 1:
            made.append(Opened(1, NOW, "0.1.0"))
        elif seq % 2:
            made.append(Settled(seq, NOW + seq, f"R{seq - 1}", f"a{seq % 3}", Outcome("done", 200, 200)))
        else:
            facts = Facts(Caller(f"a{(seq + 1) % 3}"), Observation(model="m"))
            made.append(Ruled(seq, NOW + seq, f"R{seq}", "0123456789ab", facts, Verdict()))
    return made


def write(folder: Path, wanted: list[Row], **given: Any) -> str:
    writer = SegmentWriter(folder, **given)
    for row in wanted:
        writer(row)
    writer.close()
    assert writer.dropped == 0
    return writer.head


def files(folder: Path) -> list[str]:
    return [segment.path.name for segment in segments.segments(folder)]


class Disk:
    """A disk that takes nothing while it is full, or only so many bytes."""

    def __init__(self) -> None:
        self.room: int | None = None
        self.refused = 0

    def __call__(self, fd: int, data: memoryview) -> int:
        if self.room is not None:
            if not self.room:
                self.refused += 1
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: self.room]
            self.room -= len(data)
        return os.write(fd, data)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_rows_come_back_as_they_were_and_are_proven(tmp_path: Path) -> None:
    wanted = rows(40)
    head = write(tmp_path / "l", wanted)
    assert list(read_rows(tmp_path / "l")) == wanted
    report = verify(tmp_path / "l")
    assert report.proven
    assert (report.head, report.closed, report.rows, report.segments) == (head, True, 40, 1)
    assert (report.first_seq, report.last_seq, report.last_time, report.runs) == (1, 40, NOW + 40, 1)


def test_only_its_owner_reads_a_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "l"
    write(folder, rows(40), max_bytes=4000)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len(files(folder)) > 1


def test_a_full_segment_is_closed_and_the_next_goes_on_from_it(tmp_path: Path) -> None:
    wanted = rows(100)
    write(tmp_path, wanted, max_bytes=4000)
    found = files(tmp_path)
    assert len(found) > 4
    assert found[0] == "segment-00000001.jsonl.zst"
    assert found[-1] == f"segment-{len(found):08d}.jsonl"
    assert list(read_rows(tmp_path)) == wanted
    report = verify(tmp_path)
    assert (report.proven, report.segments, report.rows) == (True, len(found), 100)


def test_an_old_segment_is_closed_whether_rows_come_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "TICK", 0.01)
    clock = [NOW]
    writer = SegmentWriter(tmp_path, max_age_s=60, clock=lambda: clock[0])
    writer(rows(1)[0])
    assert writer.flush()
    clock[0] += 60_000_000
    until(lambda: files(tmp_path) == ["segment-00000001.jsonl.zst"])
    for row in rows(3, first=2):
        writer(row)
    writer.close()
    assert len(files(tmp_path)) == 2
    assert verify(tmp_path).proven


def test_each_start_goes_on_with_the_chain_and_counts_its_rows_anew(tmp_path: Path) -> None:
    for _ in range(3):
        write(tmp_path, rows(5))
    report = verify(tmp_path)
    assert (report.proven, report.runs, report.rows, report.segments, report.unnumbered) == (True, 3, 15, 3, 0)
    assert list(read_rows(tmp_path)) == rows(5) * 3


def test_a_start_without_a_row_leaves_nothing(tmp_path: Path) -> None:
    SegmentWriter(tmp_path).close()
    assert files(tmp_path) == []
    SegmentWriter(tmp_path).close()


def test_what_is_too_much_is_removed_from_the_beginning(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, max_bytes=4000, keep_bytes=9000, compress=False)
    for row in rows(200):
        writer(row)
    assert writer.flush()
    kept = files(tmp_path)
    writer.close()
    report = verify(tmp_path)
    assert report.proven
    assert report.begins > 1
    assert report.after != "0" * 64
    assert report.last_seq == 200
    assert kept[-1] == f"segment-{report.begins + report.segments - 1:08d}.jsonl"
    assert sum((tmp_path / name).stat().st_size for name in kept) < 9000 + 2 * 4000
    assert writer.kept == len(kept)
    assert verify(tmp_path, report.after).proven


def test_what_is_too_old_is_removed_at_the_next_upkeep(tmp_path: Path) -> None:
    write(tmp_path, rows(50), max_bytes=4000)
    before = files(tmp_path)
    days = 86_400_000_000_000
    for name in before[:2]:
        os.utime(tmp_path / name, ns=(0, time.time_ns() - 31 * days))
    for name in before[2:]:
        os.utime(tmp_path / name, ns=(0, time.time_ns() - 29 * days))
    write(tmp_path, rows(3), keep_days=30)
    after = [name.removesuffix(".zst") for name in files(tmp_path)]
    assert after[:-1] == [name.removesuffix(".zst") for name in before[2:]]
    assert verify(tmp_path).proven


def test_compressing_and_erasing_make_no_segment_younger(tmp_path: Path) -> None:
    write(tmp_path, rows(5))
    path = tmp_path / files(tmp_path)[0]
    os.utime(path, ns=(0, 10**18))
    assert compressed(path).stat().st_mtime_ns == 10**18
    assert verify(tmp_path).proven


def test_keeping_without_a_bound(tmp_path: Path) -> None:
    write(tmp_path, rows(50), max_bytes=4000)
    for path in tmp_path.glob("segment-*"):
        os.utime(path, ns=(0, 0))
    write(tmp_path, rows(3), keep_days=0, keep_bytes=0)
    assert verify(tmp_path).begins == 1


def test_segments_may_be_compressed_by_hand(tmp_path: Path) -> None:
    write(tmp_path, rows(30), max_bytes=4000, compress=False)
    for path in sorted(tmp_path.glob("segment-*.jsonl"))[:2]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert list(read_rows(tmp_path)) == rows(30)
    assert verify(tmp_path).proven


def test_a_crash_between_compressing_and_removing_leaves_one_segment(tmp_path: Path) -> None:
    write(tmp_path, rows(30))
    plain = (tmp_path / "segment-00000001.jsonl").read_bytes()
    compressed(tmp_path / "segment-00000001.jsonl")
    (tmp_path / "segment-00000001.jsonl").write_bytes(plain)
    (tmp_path / ".segment-00000001.jsonl.zst.part").write_bytes(b"half")
    assert list(read_rows(tmp_path)) == rows(30)
    write(tmp_path, rows(2))
    assert files(tmp_path) == ["segment-00000001.jsonl.zst", "segment-00000002.jsonl"]
    assert not list(tmp_path.glob(".*.part"))
    assert verify(tmp_path).proven


def test_a_second_process_is_refused_with_a_clear_word(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    with pytest.raises(Mistake, match="another process writes this ledger") as caught:
        SegmentWriter(tmp_path)
    assert "folder of its own" in caught.value.hint
    writer.close()
    SegmentWriter(tmp_path).close()


def test_a_folder_that_can_not_be_written_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="can't be written"):
        SegmentWriter(tmp_path / "file" / "l")
    with pytest.raises(Mistake, match="can't be written"):
        SegmentWriter(tmp_path / "file")


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
    writer = SegmentWriter(tmp_path, put=disk)
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


def test_rows_are_read_in_little_memory_while_they_are_written(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, max_bytes=4000)
    stop = threading.Event()
    seen: list[int] = []

    def reader() -> None:
        while not stop.is_set():
            report = verify(tmp_path) if files(tmp_path) else None
            if report is not None:
                assert report.proven, report.broken
                seen.append(report.rows)

    thread = threading.Thread(target=reader)
    thread.start()
    for row in rows(400):
        writer(row)
        if row.seq % 20 == 0:
            writer.flush()
    writer.close()
    stop.set()
    thread.join()
    assert seen == sorted(seen)
    assert verify(tmp_path).rows == 400


@pytest.mark.parametrize("text", [b"not a row\n", b'{"h":"0123456789abcdef","row":{"type":"nothing"}}\n'])
def test_a_line_that_is_no_row_is_a_mistake_with_its_place(tmp_path: Path, text: bytes) -> None:
    write(tmp_path, rows(4))
    path = tmp_path / "segment-00000001.jsonl"
    path.write_bytes(path.read_bytes() + text)
    if text.startswith(b"{"):
        with pytest.raises(Mistake, match=r"segment-00000001\.jsonl:7: this is no row"):
            list(read_rows(tmp_path))
    else:
        assert not verify(tmp_path).proven
