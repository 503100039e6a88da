"""Shell. Snapshots beside a ledger's segments: a file each, whole or not there, that says to which row it belongs.

`snapshot-<segment>-<row>.bin`: a line with the format, a header, the pieces (`kept.py`) compressed by zstd, and SHA-256
over all of it. The last two are kept. A snapshot is no part of the ledger and proves nothing; whoever deletes it loses
the time that folding the rows anew takes.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from gateway.ledger.chain import Broken
from gateway.stores.segments import sync_folder

__all__ = ["FORMAT", "KEPT", "Header", "Opened", "discard", "opened", "publish", "snapshots", "write"]

FORMAT = 1
KEPT = 2  # files
NAME = re.compile(r"snapshot-(\d{8,18})-(\d{12,20})\.bin")
DRAFT = ".snapshot.part"
MAGIC = b"gauger.snapshot/%d\n"
LEVEL = 1  # of zstd
LENGTH = struct.Struct("<I")
DIGEST = 32  # bytes
CHUNK = 1 << 20
LARGEST = 1 << 29  # bytes of a piece: what names a larger one is no snapshot of ours, whatever its sum says


class Header(msgspec.Struct, frozen=True):
    """What a snapshot is of. `segment` to `head`: the place in the ledger, as `segment_writer.Place`."""

    seq: int  # of the last row in it
    now: int  # µs
    version: str  # of Gauger
    engine: int
    layout: str  # digest of what is stored as it lies in memory
    pepper: str  # id
    segment: int
    offset: int
    rows: int
    head: str  # 64 hex digits
    policy: str = ""  # digest
    accounts: int = 0
    cells: int = 0
    open: int = 0  # requests


class _Part:
    """So many bytes of a file, read as the library reads a file."""

    def __init__(self, source: BinaryIO, left: int) -> None:
        self._source = source
        self._left = left

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data


class Opened:
    """A snapshot that is whole. To be closed."""

    def __init__(self, header: Header, source: BinaryIO, left: int) -> None:
        self.header = header
        self._source = source
        self._left = left  # bytes of its pieces

    def pieces(self) -> Iterator[bytes]:
        """All of its pieces, once. Raises Broken where they are no pieces."""
        part = _Part(self._source, self._left)
        try:
            with zstandard.ZstdDecompressor().stream_reader(part) as text:  # type: ignore[arg-type]
                while head := text.read(LENGTH.size):
                    size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else LARGEST + 1
                    if size > LARGEST:
                        raise Broken("its pieces are damaged")
                    piece = text.read(size)
                    if len(piece) < size:
                        raise Broken("its last piece is half")
                    yield piece
        except zstandard.ZstdError as error:
            raise Broken("its pieces are damaged") from error

    def close(self) -> None:
        self._source.close()


def snapshots(folder: Path) -> list[Path]:
    """The snapshots in a ledger's folder, the newest first. Raises OSError where it can't be read."""
    found = {}
    for path in folder.iterdir():
        match = NAME.fullmatch(path.name)
        if match is not None:
            found[int(match[1]), int(match[2])] = path
    return [found[place] for place in sorted(found, reverse=True)]


def write(folder: Path, header: Header, pieces: Iterable[bytes]) -> Path:
    """Writes a draft, all of it, in place of an earlier one; `publish` makes it a snapshot. Raises OSError."""
    draft = folder / DRAFT
    hashed = sha256()
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as out:
        packer = zstandard.ZstdCompressor(LEVEL).compressobj()

        def put(data: bytes) -> None:
            hashed.update(data)
            out.write(data)

        head = msgspec.msgpack.encode(header)
        put(MAGIC % FORMAT + LENGTH.pack(len(head)) + head)
        for piece in pieces:
            put(packer.compress(LENGTH.pack(len(piece)) + piece))
        put(packer.flush())
        out.write(hashed.digest())
        out.flush()
        os.fsync(out.fileno())
    return draft


def publish(draft: Path, header: Header) -> Path:
    """Puts a draft in its place, and removes all but the last two. Raises OSError."""
    folder = draft.parent
    path = folder / f"snapshot-{header.segment:08d}-{header.seq:012d}.bin"
    draft.replace(path)
    for old in snapshots(folder)[KEPT:]:
        old.unlink()
    sync_folder(folder)
    return path


def discard(folder: Path) -> int:
    """Removes all snapshots and drafts; how many snapshots there were. Raises OSError."""
    found = snapshots(folder)
    for path in (*found, folder / DRAFT):
        path.unlink(missing_ok=True)
    if found:
        sync_folder(folder)
    return len(found)


def opened(path: Path) -> Opened:
    """A snapshot that is whole. Raises Broken with what is wrong with it, OSError where it can't be read."""
    source = path.open("rb")
    try:
        end = os.fstat(source.fileno()).st_size - DIGEST
        magic = source.readline(64)
        if magic != MAGIC % FORMAT:
            raise Broken("its format is unknown" if magic.startswith(b"gauger.snapshot/") else "it is no snapshot")
        source.seek(0)
        hashed, left = sha256(), end
        while left > 0 and (data := source.read(min(CHUNK, left))):
            hashed.update(data)
            left -= len(data)
        if left or source.read(DIGEST + 1) != hashed.digest():
            raise Broken("it is damaged")
        source.seek(len(magic))
        (size,) = LENGTH.unpack(source.read(LENGTH.size))
        header = msgspec.msgpack.decode(source.read(size), type=Header)
        return Opened(header, source, end - source.tell())
    except (msgspec.DecodeError, struct.error):
        source.close()
        raise Broken("its header is of another version") from None
    except BaseException:
        source.close()
        raise
