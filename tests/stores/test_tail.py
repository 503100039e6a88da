"""Places in a ledger, and what comes behind them."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.ledger.chain import Broken
from gateway.ledger.record import Gap, decode, encode
from gateway.stores import segment_writer
from gateway.stores.segment_writer import Place, SegmentWriter
from gateway.stores.segments import segments
from gateway.stores.tail import Tail
from tests.stores.ledgers import Disk, rows, until, write

FIXTURES = [HealthCheck.function_scoped_fixture]


def seqs(tail: Tail) -> list[int]:
    return [link.seq for link in tail if link.kind in ("row", "erased")]


@settings(suppress_health_check=FIXTURES, deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.sampled_from([1500, 4000, 1 << 20]), st.booleans())
def test_behind_a_place_are_the_rows_that_came_after_it_was_asked_for(
    tmp_path: Path, counts: list[int], size: int, compress: bool
) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    writer, asked, last = SegmentWriter(tmp_path, max_bytes=size, compress=compress), [], 0
    for count in counts:
        for row in rows(count, first=last + 1):
            writer(row)
        last += count
        asked.append((last, writer.place()))
    places = [(seq, future.result(10)) for seq, future in asked]
    writer.close()
    write(tmp_path, rows(5))  # a process later
    for seq, place in places:
        tail = Tail(tmp_path, place)
        assert seqs(tail) == [*range(seq + 1, last + 1), *range(1, 6)]
        assert not tail.damage
    assert seqs(Tail(tmp_path)) == [*range(1, last + 1), *range(1, 6)]
    assert seqs(Tail(tmp_path, most=1)) == [*range(1, 6)]
    assert Tail(tmp_path, most=1).left_out == len(segments(tmp_path)) - 1


def test_a_place_of_another_chain_is_none(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, max_bytes=4000)
    for row in rows(60):
        writer(row)
    place = writer.place().result(10)
    writer.close()
    wrong: list[Place] = [
        place._replace(head=bytes(32)),
        place._replace(segment=place.segment + 1),
        place._replace(segment=place.segment - 1),
        place._replace(offset=place.offset - 1),
        place._replace(offset=1 << 40),
        place._replace(rows=place.rows + 1),
    ]
    for each in wrong:
        with pytest.raises(Broken):
            seqs(Tail(tmp_path, each))


def test_there_is_no_place_where_nothing_is_written(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path)
    assert writer.place().cancelled()
    disk = Disk()
    disk.room = 0
    stuck = SegmentWriter(tmp_path / "full", put=disk)
    stuck(rows(1)[0])
    asked = stuck.place()
    until(lambda: disk.refused > 0)
    assert not asked.done()
    stuck.close(timeout=0.1)
    assert asked.cancelled()
    writer.close()


def test_damage_is_named_and_the_segments_after_it_go_on(tmp_path: Path) -> None:
    for count in (20, 20, 20):
        write(tmp_path, rows(count), compress=False)
    text = bytearray((tmp_path / "segment-00000002.jsonl").read_bytes())
    text[len(text) // 2] ^= 1
    (tmp_path / "segment-00000002.jsonl").write_bytes(text)
    tail = Tail(tmp_path)
    found = seqs(tail)
    assert found[:20] == found[-20:] == list(range(1, 21))
    assert 40 < len(found) < 60
    assert tail.damage[0].startswith("segment-00000002.jsonl")
    (tmp_path / "segment-00000002.jsonl").unlink()
    tail = Tail(tmp_path)
    assert seqs(tail) == [*range(1, 21), *range(1, 21)]
    assert tail.damage == ["segment-00000003.jsonl: segments before it are missing"]


def test_a_row_is_on_its_place_when_the_call_returns(tmp_path: Path) -> None:
    """Whatever ends the process after that, kill -9 included."""
    writer = SegmentWriter(tmp_path)
    writer(rows(1)[0])
    assert writer.flush()
    (segment,) = segments(tmp_path)
    for row in rows(50, first=2):
        writer(row)
        assert segment.path.read_bytes().endswith(encode(row) + b"}\n")
    assert writer.waiting == 0
    writer.close()


def test_a_slow_disk_gets_its_rows_from_the_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "SLOW", -1)  # every append takes too long
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    writer, places = SegmentWriter(tmp_path, max_bytes=4000), []
    for row in rows(100):
        writer(row)
        places.append(writer.place())
    found = [asked.result(10) for asked in places]
    writer.close()
    for seq, place in enumerate(found[:-1], 1):
        assert seqs(Tail(tmp_path, place))[0] == seq + 1
    assert [decode(link.body) for link in Tail(tmp_path) if link.kind == "row"] == rows(100)
    assert not any(isinstance(decode(link.body), Gap) for link in Tail(tmp_path) if link.kind == "row")


def test_rows_that_outlast_a_power_cut_are_on_their_place_as_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "LINGER", 0.0)
    writer = SegmentWriter(tmp_path, sync=True)
    for row in rows(30):
        writer(row)
    assert writer.flush()
    assert writer.rows == 30
    writer.close()
    assert seqs(Tail(tmp_path)) == list(range(1, 31))
