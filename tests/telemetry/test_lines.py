"""The writer of request lines, against real pipes: slow, blocked, closed and broken ones."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry import events
from gateway.telemetry.lines import LineWriter


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What the writer said through events."""
    stream = io.StringIO()
    events.configure("info", "json", stream, capture=False)
    yield stream
    events.configure(capture=False)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            assert fd >= 0  # the test closed it


def lines(count: int, size: int = 40) -> list[bytes]:
    return [f"{number:08d}{'x' * size}\n".encode() for number in range(count)]


def drain(fd: int, into: list[bytes]) -> None:
    while chunk := os.read(fd, 65536):
        into.append(chunk)


def reader(fd: int) -> tuple[threading.Thread, list[bytes]]:
    got: list[bytes] = []
    thread = threading.Thread(target=drain, args=(fd, got))
    thread.start()
    return thread, got


def fill(fd: int) -> int:
    """Fills a pipe to the brim; the number of bytes it took."""
    os.set_blocking(fd, False)
    took = 0
    try:
        for size in (4096, 1):
            try:
                while True:
                    took += os.write(fd, b"\n" * size)
            except BlockingIOError:
                continue
    finally:
        os.set_blocking(fd, True)
    return took


def test_a_hundred_thousand_lines_arrive_in_order_and_whole(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(writing, capacity=200_000)
    thread, got = reader(reading)
    sent = lines(100_000)
    assert all(writer.write(line) for line in sent)
    writer.close(timeout=15)
    os.close(writing)
    thread.join()
    assert b"".join(got) == b"".join(sent)
    assert (writer.written, writer.dropped) == (100_000, 0)


def test_no_thread_runs_before_the_first_line_or_after_close(tmp_path: Path) -> None:
    before = threading.active_count()
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file)
        assert threading.active_count() == before
        assert writer.flush()
        writer.write(b"one\n")
        assert threading.active_count() == before + 1
        writer.close()
        writer.close()
    assert threading.active_count() == before
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_flush_returns_when_everything_is_written(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LineWriter(file)
        for round_ in range(3):
            for line in lines(50):
                writer.write(line)
            assert writer.flush()
            assert writer.written == 50 * (round_ + 1)
        writer.close()
    assert (tmp_path / "log").read_bytes() == b"".join(lines(50)) * 3


def test_a_stream_without_a_descriptor_is_written_too() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writer.write(b"one\n")
    writer.write(b"two\n")
    writer.close()
    assert stream.getvalue() == b"one\ntwo\n"


def test_a_blocked_reader_holds_up_nobody_and_plain_allows_go_first(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = fill(writing)
    writer = LineWriter(writing, capacity=100)
    writer.write(b"first\n")
    while writer.waiting:  # the thread has taken it, and is stuck on it
        writer.flush(0.01)
    taken = [writer.write(line, plain=True) for line in lines(100)]
    assert taken == [True] * 75 + [False] * 25
    important = [writer.write(b"block%03d\n" % number) for number in range(50)]
    assert important == [True] * 25 + [False] * 25
    assert writer.dropped == 50
    thread, got = reader(reading)
    writer.close()
    os.close(writing)
    thread.join()
    arrived = b"".join(got)[filled:]
    assert arrived == b"first\n" + b"".join(lines(75)) + b"".join(b"block%03d\n" % number for number in range(25))
    assert (writer.written, writer.dropped) == (101, 50)


def test_close_gives_a_blocked_reader_its_deadline_and_counts_the_rest(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = fill(writing)
    before = threading.active_count()
    writer = LineWriter(writing, capacity=10_000)
    for line in lines(7_500):
        writer.write(line)
    writer.close(timeout=0.05)
    assert threading.active_count() == before
    assert (writer.written, writer.dropped) == (0, 7_500)
    os.close(writing)
    got: list[bytes] = []
    drain(reading, got)
    assert len(b"".join(got)) == filled


def test_a_line_longer_than_a_pipe_arrives_whole(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(writing)
    long = b"y" * 300_000 + b"\n"
    thread, got = reader(reading)
    for line in (b"a\n", long, b"b\n"):
        writer.write(line)
    writer.close()
    os.close(writing)
    thread.join()
    assert b"".join(got) == b"a\n" + long + b"b\n"


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LineWriter(writing, capacity=20_000)
    sent = lines(20_000)
    for line in sent:
        writer.write(line)
    thread, got = reader(reading)
    writer.close()
    os.close(writing)
    thread.join()
    assert b"".join(got) == b"".join(sent)


def test_two_writers_that_share_a_pipe_never_mix_their_lines(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writers = [LineWriter(writing, capacity=10_000) for _ in range(2)]
    thread, got = reader(reading)
    for number in range(2000):
        for letter, writer in zip((b"a", b"b"), writers, strict=True):
            writer.write(letter * (10 + number % 3000) + b"\n")
    for writer in writers:
        writer.close()
    os.close(writing)
    thread.join()
    arrived = b"".join(got).split(b"\n")[:-1]
    assert len(arrived) == 4000
    assert all(len(set(line)) == 1 for line in arrived)


def test_a_broken_pipe_is_said_once_and_counted(pipe: tuple[int, int], said: io.StringIO) -> None:
    reading, writing = pipe
    os.close(reading)
    writer = LineWriter(writing)
    for line in lines(10):
        writer.write(line)
    assert writer.flush()
    assert not writer.write(b"more\n")
    writer.close()
    assert (writer.written, writer.dropped) == (0, 11)
    assert said.getvalue().count("request lines can not be written") == 1
    assert "BrokenPipeError" in said.getvalue()


@pytest.mark.parametrize("descriptor", [False, True])
def test_a_closed_stream_is_said_once_and_counted(descriptor: bool, said: io.StringIO, tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("wb") if descriptor else io.BytesIO()
    stream.close()
    writer = LineWriter(stream)
    for line in lines(10):
        writer.write(line)
        writer.flush()
    writer.close()
    assert (writer.written, writer.dropped) == (0, 10)
    assert said.getvalue().count("request lines can not be written") == 1


def test_a_full_disk_loses_nothing_before_the_deadline(said: io.StringIO) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("wb", buffering=0) as full:
        writer = LineWriter(full, capacity=50)
        for line in lines(40):
            assert writer.write(line)
        assert not writer.flush(0.05)
        assert writer.dropped == 0
        writer.close(timeout=0.05)
    assert (writer.written, writer.dropped) == (0, 40)
    assert said.getvalue().count("request lines can not be written") == 1


def test_the_owner_may_close_the_stream_while_lines_go_on(tmp_path: Path) -> None:
    file = (tmp_path / "log").open("wb")
    writer = LineWriter(file)
    writer.write(b"one\n")
    assert writer.flush()
    file.close()
    other = (tmp_path / "other").open("wb")  # may get the descriptor that was closed
    writer.write(b"two\n")
    writer.close()
    other.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert (tmp_path / "other").read_bytes() == b""


def test_a_line_after_close_is_counted() -> None:
    writer = LineWriter(io.BytesIO())
    writer.close()
    assert not writer.write(b"late\n")
    assert writer.dropped == 1


def test_a_writer_needs_room_for_one_line() -> None:
    with pytest.raises(ValueError, match="capacity"):
        LineWriter(io.BytesIO(), capacity=0)
