"""Shell. A ledger's folder at rest: its segments in order, their lines, its locks, and what a crash left.

`segment-00000001.jsonl`, `segment-00000002.jsonl.zst`, …: JSON lines (`ledger/chain.py`), plain or compressed with zstd
or gzip. Whoever reads needs memory for one line only, and may read while the gateway writes.
"""

import fcntl
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import msgspec
import zstandard

from gateway.errors import Mistake
from gateway.ledger.chain import MAX_LINE, Broken, Chain, body_of, chain_at
from gateway.ledger.record import Row, decode

__all__ = [
    "Segment",
    "TakenUp",
    "compressed",
    "ledgers",
    "lines",
    "name_of",
    "read_rows",
    "segments",
    "single_writer",
    "sync_folder",
    "take_up",
    "upkeep",
    "write_whole",
]

NAME = re.compile(r"segment-(\d{8,18})\.jsonl(\.zst|\.gz)?")
WORKER = re.compile(r"worker-(\d{1,4})")
SUFFIXES = ("", ".zst", ".gz")
LEVEL = 3  # of zstd: its default
CHUNK = 1 << 20


class Segment(NamedTuple):
    """One file of a ledger."""

    number: int
    path: Path


class TakenUp(NamedTuple):
    """Where a ledger goes on: the end of its chain, and what a crash left there."""

    chain: Chain
    number: int = 0  # of the last segment
    cut: int = 0  # bytes of a half line that were cut off
    recovered: bool = False  # the last segment had no footer and got one
    damage: str = ""  # the place from which the last segment is no chain; it is left as it is


def name_of(number: int) -> str:
    """The file name of a segment that is being written."""
    return f"segment-{number:08d}.jsonl"


def ledgers(folder: Path) -> list[Path]:
    """The folders of ledgers that a folder stands for: itself, or the one of each worker where several wrote.

    Raises OSError where it can't be read.
    """
    found = {int(match[1]): path for path in folder.iterdir() if (match := WORKER.fullmatch(path.name))}
    found = {number: path for number, path in found.items() if path.is_dir() and segments(path)}
    if not found or segments(folder):
        return [folder, *[found[number] for number in sorted(found)]]
    return [found[number] for number in sorted(found)]


def segments(folder: Path) -> list[Segment]:
    """The segments of a ledger, oldest first. Raises OSError where the folder can't be read.

    Of a segment that is there twice, because a crash came between compressing and removing, the plain one counts.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir(), reverse=True):  # a plain name sorts before the same with a suffix
        match = NAME.fullmatch(path.name)
        if match is not None:
            found[int(match[1])] = path
    return [Segment(number, found[number]) for number in sorted(found)]


def lines(path: Path, offset: int = 0) -> Iterator[bytes]:
    """The lines of one file, newlines included; the last may be half. `offset`: bytes of its text that are left out.

    Raises Broken for damaged compression or a line beyond all bounds, OSError for a file that can't be read.
    """
    try:
        with _opened(path) as source:
            while offset and (left_out := source.read(min(offset, CHUNK))):
                offset -= len(left_out)
            while line := source.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    raise Broken("a line is too long")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise Broken("the compressed data is damaged") from error


def read_rows(source: Path | Iterable[Path]) -> Iterator[Row]:
    """The rows of a ledger's folder, or of these files, in order; it proves nothing. A half last line is left out.

    Raises Mistake with the place of a line that can't be read.
    """
    try:
        files = [source] if isinstance(source, Path) and source.is_file() else source
        paths = [found.path for found in segments(files)] if isinstance(files, Path) else list(files)
        for path in paths:
            at = 0
            try:
                for line in lines(path):
                    at += 1
                    if not line.endswith(b"\n"):
                        break
                    body = body_of(line)
                    if body is not None:
                        yield decode(body)
            except (Broken, msgspec.DecodeError) as error:
                said = str(error) if isinstance(error, Broken) else "this is no row"
                raise Mistake(said, place=f"{path}:{at}", hint="`gauger verify DIR` says more") from None
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=str(error.filename or source)) from None


@contextmanager
def single_writer(folder: Path) -> Iterator[int]:
    """The lock that the one writer of a folder holds. Raises BlockingIOError if another process does."""
    with _locked(folder / ".writer", wait=False) as held:
        yield held


@contextmanager
def upkeep(folder: Path, *, wait: bool) -> Iterator[int]:
    """The lock under which closed segments are replaced or removed. Raises BlockingIOError unless one waits for it."""
    with _locked(folder / ".upkeep", wait=wait) as held:
        yield held


def take_up(folder: Path, now: int) -> TakenUp:
    """Makes the last segment whole and gives the chain's end. For the writer: its lock must be held.

    A half last line is cut off, a missing footer is written. What is damaged before its end stays as it is, so that
    `verify` goes on naming it, and the chain goes on from the last good line.
    """
    cut = 0
    for number, path in reversed(segments(folder)):
        chain, good, rest, at = Chain(), 0, b"", 0
        try:
            for at, line in enumerate(lines(path), 1):
                if rest := line if not line.endswith(b"\n") else b"":
                    break
                if at == 1:
                    chain = chain_at(line)
                chain.read(line)
                good += len(line)
        except Broken:
            return TakenUp(Chain(chain.value), number, cut, damage=f"{path}:{at}")
        if (rest or not chain.fresh) and path.suffix != ".jsonl":  # only closed ones are compressed: its end is missing
            return TakenUp(Chain(chain.value), number, cut, damage=f"{path}:{at}")
        if rest:
            cut += len(rest)
            os.truncate(path, good)
        if good:
            recovered = not chain.fresh
            if recovered:
                with path.open("ab") as out:
                    out.write(chain.end(now, "recovered"))
                    out.flush()
                    os.fsync(out.fileno())
            return TakenUp(chain, number, cut, recovered)
        path.unlink()  # not even its header was written
    return TakenUp(Chain(), 0, cut)


def write_whole(path: Path, pieces: Iterable[bytes], *, form: str, like: Path) -> None:
    """Puts a file in place in one step: a crash leaves the old or the new one. `form` is its compression's suffix.

    `like` is the file that it stands for: the time of its last change stays, since retention goes by it.
    """
    times = like.stat()
    draft = path.with_name(f".{path.name}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            if form == ".gz":
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                    packed.writelines(pieces)
            elif form == ".zst":
                with zstandard.ZstdCompressor(LEVEL, write_checksum=True).stream_writer(raw, closefd=False) as packed:
                    for piece in pieces:
                        packed.write(piece)
            else:
                raw.writelines(pieces)
            raw.flush()
            os.fsync(raw.fileno())
        os.utime(draft, ns=(times.st_atime_ns, times.st_mtime_ns))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def compressed(path: Path) -> Path:
    """Replaces a plain closed segment by a compressed one, and names it."""
    made = path.with_name(path.name + ".zst")
    with _plain(path) as source:
        write_whole(made, iter(lambda: source.read(CHUNK), b""), form=".zst", like=path)
    path.unlink()
    return made


def sync_folder(folder: Path) -> None:
    """Makes names that were made or removed in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _opened(path: Path) -> BinaryIO:
    """A segment's text. One that was compressed since it was listed is found under its new name."""
    stem = path.with_name(path.name.removesuffix(".zst").removesuffix(".gz"))
    for candidate in (path, *(stem.with_name(stem.name + suffix) for suffix in SUFFIXES)):
        with suppress(FileNotFoundError):
            raw = _plain(candidate)
            if candidate.suffix == ".gz":
                raw.close()  # it would outlive a reader that was given it
                return cast(BinaryIO, gzip.open(candidate))
            if candidate.suffix == ".zst":
                reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True, closefd=True)
                return cast(BinaryIO, io.BufferedReader(reader, CHUNK))
            return raw
    return _plain(path)


def _plain(path: Path) -> BinaryIO:
    """A file to read. Raises OSError where it is none that ends: a pipe would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "not a plain file", str(path))
    return os.fdopen(handle, "rb")


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    finally:
        os.close(handle)
