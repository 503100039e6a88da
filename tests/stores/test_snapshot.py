"""A file of a snapshot that says more than is good, and the files that ask to forget."""

import tracemalloc
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
import zstandard

from gateway.ledger.chain import Broken
from gateway.stores.forgetting import ask, asked, done
from gateway.stores.snapshot import FORMAT, LENGTH, MAGIC, Header, opened, publish, snapshots, write

HEADER = Header(9, 1, "1", 1, "layout", "pepper", 1, 100, 3, "00" * 32)


def crafted(path: Path, text: bytes) -> None:
    """A snapshot with this in its frame, and its sum right."""
    head = msgspec.msgpack.encode(HEADER)
    data = MAGIC % FORMAT + LENGTH.pack(len(head)) + head + zstandard.ZstdCompressor().compress(text)
    path.write_bytes(data + sha256(data).digest())


@pytest.mark.parametrize("pieces", [[], [b""], [b"a", b"", b"b" * 3_000_000, b"c" * 4]])
def test_what_is_written_is_read(tmp_path: Path, pieces: list[bytes]) -> None:
    path = publish(write(tmp_path, HEADER, pieces), HEADER)
    with closing(opened(path)) as found:
        assert found.header == HEADER
        assert list(found.pieces()) == pieces
    assert snapshots(tmp_path) == [path]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text",
    [LENGTH.pack(0xFFFF_FFFF) + bytes(100_000_000), b"\1\0\0", LENGTH.pack(5) + b"four", b"\1"],
    ids=["long", "half a length", "half a piece", "a byte"],
)
def test_a_small_file_that_says_it_is_large_takes_no_memory(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "snapshot-00000001-000000000009.bin"
    crafted(path, text)
    del text
    tracemalloc.start()
    try:
        with closing(opened(path)) as found, pytest.raises(Broken):
            list(found.pieces())
        assert tracemalloc.get_traced_memory()[1] < 16_000_000
    finally:
        tracemalloc.stop()


def test_a_draft_is_no_way_to_another_file(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("untouched")
    (tmp_path / ".snapshot.part").symlink_to(other)
    with pytest.raises(OSError, match="symbolic"):
        write(tmp_path, HEADER, [])
    assert other.read_text() == "untouched"


@pytest.mark.parametrize("account", ["a", "ä" * 5_000, "x" + "ä" * 5_000, "\ud800", "a\nb\0"])
def test_whom_to_forget_has_any_name(tmp_path: Path, account: str) -> None:
    ask(tmp_path, account)
    found = asked(tmp_path)
    assert list(found.values()) == [account]
    done(found)
    assert asked(tmp_path) == {}


def test_a_file_that_names_nobody_is_no_end(tmp_path: Path) -> None:
    (tmp_path / ".forget-00").write_bytes(b"\xff\xfe")
    assert list(asked(tmp_path).values()) == ["\ufffd\ufffd"]
