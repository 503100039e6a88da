"""Shell. The files of a simulation: prompts in, traffic, accounts and labels out."""

import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from gateway.errors import Mistake
from gateway.simulate.world import World

__all__ = ["output", "read_prompts", "write_accounts", "write_labels", "write_traffic"]

FIELDS = ("prompt", "text", "question")
MOST = 2_000_000  # prompts
LONGEST = 1_048_576  # bytes of a line
GZIP = b"\x1f\x8b"


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of a file, each once, in its order: plain text a line, JSON strings, or JSON objects with a `prompt`,
    `text` or `question`. gzip is told by its content. Raises Mistake with the line at fault.
    """
    found: dict[str, None] = {}
    number = 0
    try:
        with path.open("rb") as raw:
            stream: BinaryIO = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, raw)))
            if stream.peek(2)[:2] == GZIP:  # type: ignore[attr-defined]
                stream = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
            with stream:
                kind = ""
                while line := stream.readline(LONGEST + 1):
                    number += 1
                    if len(line) > LONGEST:
                        raise Mistake(f"a line is over {LONGEST} bytes", place=f"{path}:{number}")
                    line = line.strip()
                    if not line:
                        continue
                    kind = kind or {b'"': "string", b"{": "object"}.get(line[:1], "plain")
                    found[_prompt(line, kind, f"{path}:{number}")] = None
                    if len(found) > MOST:
                        raise Mistake(f"more than {MOST:,} prompts", place=str(path))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Mistake("the compressed data is damaged from here on", place=f"{path}:{number + 1}") from None
    except OSError as error:
        raise Mistake(f"can't be read: {error.strerror}", place=str(path), hint="is the path right?") from None
    if not found:
        raise Mistake("there is no prompt in it", place=str(path), hint="a prompt a line")
    return tuple(found)


def _prompt(line: bytes, kind: str, place: str) -> str:
    try:
        text = line.decode()
        made = text if kind == "plain" else json.loads(text)
    except UnicodeDecodeError:
        raise Mistake("this is not UTF-8", place=place) from None
    except (ValueError, RecursionError):
        hint = "the first line is JSON, so all lines must be"
        raise Mistake("this line is no JSON", place=place, hint=hint) from None
    if isinstance(made, dict):
        made = next((made[name] for name in FIELDS if isinstance(made.get(name), str)), None)
    if not isinstance(made, str) or not made.strip():
        hint = f"a text, or an object with one of: {', '.join(FIELDS)}"
        raise Mistake("there is no prompt in this line", place=place, hint=hint)
    return made.encode("utf-8", "replace").decode()  # half a surrogate is no text that could be sent


@contextmanager
def output(name: str) -> Iterator[BinaryIO]:
    """A file to write; `-` is standard output, and a name that ends in .gz is compressed. Raises Mistake."""
    try:
        if name == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif name.endswith(".gz"):
            with Path(name).open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            with Path(name).open("wb", buffering=1 << 18) as out:
                yield out
    except BrokenPipeError:  # whoever read has gone; what is still in the buffer must not be missed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise Mistake("nobody reads on", place=name) from None
    except OSError as error:
        raise Mistake(f"can't be written: {error.strerror}", place=name) from None


def write_traffic(world: World, out: BinaryIO) -> Iterator[Any]:
    """Writes a line a request as the reader goes on, and gives each to him."""
    encode = msgspec.json.Encoder().encode
    for sent in world.play():
        out.write(encode(sent.line) + b"\n")
        yield sent


def write_labels(world: World, out: BinaryIO) -> None:
    """The truth about each account, as JSON lines."""
    _lines(world.labels(), out)


def write_accounts(world: World, out: BinaryIO) -> None:
    """An accounts file for the gateway: org and first day of each account; it holds no keys."""
    out.write(b"# Written by `gauger simulate`. A policy names it by `identity: {directory: FILE}`.\naccounts:\n")
    for name, org, created in world.directory():
        day = datetime.fromtimestamp(created, UTC).date().isoformat()
        claimed = f", org: {org}" if org else ""
        out.write(f"  - {{id: {name}{claimed}, created: {day}}}\n".encode())


def _lines(rows: Iterable[Any], out: BinaryIO) -> None:
    for row in rows:
        out.write(msgspec.json.encode(row) + b"\n")
