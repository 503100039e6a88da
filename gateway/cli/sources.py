"""Shell. Lines of files, of a ledger's folder, or of standard input; plain, gzip and zstd are told apart by content."""

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import zstandard

from gateway.errors import Mistake
from gateway.stores.segments import ledgers, segments

__all__ = ["MAX_LINE", "Source", "begins", "expand", "lines"]

MAX_LINE = 134_217_728  # bytes; a body of 32 MiB written as JSON has at most four times as many
CHUNK = 1 << 20
STEP = 1 << 20  # bytes between two reports of progress
GZIP = b"\x1f\x8b"
ZSTD = (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")  # a frame; a skippable frame, as pzstd writes one first


class Source(NamedTuple):
    """One file to read, or standard input."""

    name: str
    path: Path | None = None
    size: int = 0  # bytes as they lie on disk; 0 = nobody knows


class _Counted(io.RawIOBase):
    """Bytes that pass through, reported every now and then."""

    def __init__(self, inner: BinaryIO, report: Callable[[int], object]) -> None:
        self._inner = inner
        self._report = report
        self._unsaid = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        size = len(data)
        buffer[:size] = data
        self._unsaid += size
        if self._unsaid >= STEP or not size:
            self._report(self._unsaid)
            self._unsaid = 0
        return size


def expand(given: Sequence[str]) -> list[Source]:
    """The files that these arguments name: a folder stands for its segments in order, worker by worker where several
    wrote it; `-` for standard input.

    Raises Mistake for what isn't there, and for a folder without a segment.
    """
    found: list[Source] = []
    for argument in given:
        path = Path(argument)
        if argument == "-":
            found.append(Source("<stdin>"))
            continue
        try:
            if path.is_dir():
                parts = [segment.path for each in ledgers(path) for segment in segments(each)]
                if strange := next((part for part in parts if not part.is_file()), None):
                    raise Mistake("this is not a plain file", place=str(strange))
                if not parts:
                    raise Mistake("there is no ledger in this folder", place=argument, hint="segment-00000001.jsonl …")
                found += [Source(str(part), part, part.stat().st_size) for part in parts]
            else:
                found.append(Source(argument, path, path.stat().st_size))
        except OSError as error:
            raise Mistake(f"can't be read: {error.strerror}", place=argument, hint="is the path right?") from None
    return found


def lines(
    sources: Sequence[Source], report: Callable[[int], object] = lambda size: None
) -> Generator[tuple[Source, int, bytes]]:
    """(source, line number from 1, line with its newline), a line in memory at a time.

    `report` is told of the bytes that were read since it was last told. Raises Mistake with the place of what can't be
    read: a line beyond all bounds, damaged compression.
    """
    for source in sources:
        number = 0
        try:
            with ExitStack() as stack:
                stream = _opened(source, report, stack)
                while line := stream.readline(MAX_LINE + 1):
                    number += 1
                    if len(line) > MAX_LINE:
                        raise Mistake(f"a line is over {MAX_LINE} bytes", place=f"{source.name}:{number}")
                    yield source, number, line
        except OSError as error:
            if isinstance(error, gzip.BadGzipFile):
                raise _damaged(source, number) from None
            raise Mistake(f"can't be read: {error.strerror}", place=source.name) from None
        except (EOFError, zlib.error, zstandard.ZstdError):
            raise _damaged(source, number) from None


def begins(line: bytes) -> str:
    """What a file's first line says that it is: `ledger`, `rows` (of a ledger, without its chain), `raw` or nothing."""
    start = line.lstrip()[:16]
    if start.startswith(b'{"h":"'):
        return "ledger"
    if start.startswith(b'{"type":"'):
        return "rows"
    return "raw" if start.startswith(b"{") else ""


def _damaged(source: Source, number: int) -> Mistake:
    return Mistake("the compressed data is damaged from here on", place=f"{source.name}:{number + 1}")


def _opened(source: Source, report: Callable[[int], object], stack: ExitStack) -> BinaryIO:
    """The text of a source. `stack` closes what was opened here, and leaves standard input alone."""
    raw: BinaryIO = sys.stdin.buffer
    if source.path is not None:
        raw = cast(BinaryIO, stack.enter_context(source.path.open("rb", buffering=0)))
    stream = io.BufferedReader(_Counted(raw, report), CHUNK)
    magic = stream.peek(4)[:4]
    if magic.startswith(GZIP):
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream)), CHUNK))
    if magic.startswith(ZSTD):
        reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), CHUNK))
    return stream
