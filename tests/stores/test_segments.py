"""A ledger's segments on real files: rotation, retention, compression, one writer, readers beside it."""

import gzip
import os
import stat
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.sources import expand
from gateway.errors import Mistake
from gateway.stores import pen, saying, segment_writer, segments
from gateway.stores.proof import erase, verify
from gateway.stores.segment_writer import SegmentWriter
from gateway.stores.segments import compressed, read_rows
from tests.stores.ledgers import NOW, files, rows, until, write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "RETRY", 0.01)
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    monkeypatch.setattr(segment_writer, "BATCH_ROWS", 4)


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
    writer.close()
    kept = files(tmp_path)
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


def test_who_reads_beside_the_writer_sees_a_whole_ledger(tmp_path: Path) -> None:
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


def test_reading_takes_the_memory_of_a_line(tmp_path: Path) -> None:
    write(tmp_path, rows(4000))
    size = sum(segment.path.stat().st_size for segment in segments.segments(tmp_path))
    tracemalloc.start()
    assert sum(1 for _ in read_rows(tmp_path)) == 4000
    assert verify(tmp_path).proven
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 4


NO_FILE = r"not a plain file|s a directory"


@pytest.mark.parametrize("name", ["segment-00000002.jsonl", "segment-00000002.jsonl.gz", "segment-00000002.jsonl.zst"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_a_segment_that_is_no_plain_file_is_a_mistake_and_not_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    write(tmp_path, rows(10))
    strange = tmp_path / name
    if kind == "pipe":
        os.mkfifo(strange)
    elif kind == "device":
        strange.symlink_to("/dev/zero")
    else:
        strange.mkdir()
    with pytest.raises(Mistake, match=NO_FILE):
        list(read_rows(tmp_path))
    with pytest.raises(Mistake, match=NO_FILE):
        verify(tmp_path)
    with pytest.raises(Mistake, match=NO_FILE):
        erase(tmp_path, "a")
    with pytest.raises(Mistake, match=NO_FILE):
        SegmentWriter(tmp_path)
    with pytest.raises(Mistake, match="not a plain file"):
        expand([str(tmp_path)])


@pytest.mark.parametrize(
    "head", ['{"h":"%s","s":"%s","row":', '{"h":"%s","segment":', '{"h":"%s","end":', '{"h":"%s","row":']
)
def test_a_line_nested_without_end_breaks_the_chain_and_nothing_else(tmp_path: Path, head: str) -> None:
    write(tmp_path, rows(10))
    (segment,) = files(tmp_path)
    begin = (head % (("0" * 16, "0" * 32)[: head.count("%")])).encode()
    with (tmp_path / segment).open("ab") as out:
        out.write(begin + b'{"type":' + b"[" * 1_000_000 + b"}\n")
    report = verify(tmp_path)
    assert report.broken is not None
    SegmentWriter(tmp_path).close()


class Said(saying.Silence):
    """Errors that a writer has told."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, /, *args: Any, **fields: Any) -> None:
        self.errors.append((event, fields))


def test_a_segment_that_is_removed_while_it_is_written_is_seen_and_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pen, "SEEN", 1)
    writer = SegmentWriter(tmp_path, log=(log := Said()))
    for row in rows(10):
        writer(row)
    assert writer.flush()
    (tmp_path / "segment-00000001.jsonl").unlink()
    for row in rows(20)[10:]:
        writer(row)
    writer.close()
    assert ("the open segment was removed", {"segment": "segment-00000001.jsonl", "rows": 10}) in log.errors
    assert files(tmp_path) == ["segment-00000002.jsonl"]
    assert [row.seq for row in read_rows(tmp_path)] == list(range(11, 21))
    report = verify(tmp_path)
    assert (report.proven, report.begins) == (True, 2)
