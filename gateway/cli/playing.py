"""Shell. What the commands share that judge traffic again: a ledger's policies, fresh stores, progress, output."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import click
import msgspec

from gateway.cli.sources import Source
from gateway.errors import Mistake
from gateway.ledger.chain import body_of
from gateway.ledger.record import Opened
from gateway.ledger.steps import Accounts, Limits
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits

__all__ = ["Lines", "folded", "fresh", "output", "progress", "unwatched", "write"]

T = TypeVar("T")
Lines = Iterator[tuple[Source, int, bytes]]
"""Source, line number from 1, line with its newline."""


def folded(read: Lines, step: Callable[[bytes], T]) -> Iterator[T]:
    """What a step makes of each row of a ledger, in order. Raises Mistake for a line that is none.

    Half a line at an end is what a crash leaves, and is passed over.
    """
    for source, number, line in read:
        body: bytes | None = line
        if line.startswith(b'{"h":"'):
            body = body_of(line) if line.endswith(b"\n") else None
        if not body or body.isspace():
            continue
        try:
            made = step(body)
        except msgspec.DecodeError:
            if not line.endswith(b"\n"):
                continue
            hint = "`gauger verify DIR` says more"
            raise Mistake("this is no row of a ledger", place=f"{source.name}:{number}", hint=hint) from None
        yield made


def fresh(row: Opened) -> tuple[Limits, Accounts]:
    return MemoryLimits(row.cells), MemoryAccounts(row.accounts, row.probation, memory=row.memory)


@contextmanager
def progress(size: int) -> Iterator[Callable[[int], object]]:
    """A bar by bytes read, for whoever looks."""
    if not size or not sys.stderr.isatty():
        yield lambda count: None
        return
    with click.progressbar(length=size, label="replay", file=sys.stderr) as bar:
        yield bar.update


@contextmanager
def unwatched() -> Iterator[None]:
    """The collector leaves alone what is loaded: walking it again and again costs more than the rows."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def output(name: str) -> Iterator[BinaryIO]:
    try:
        if name == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with Path(name).open("wb", buffering=1 << 18) as out:
                yield out
    except OSError as error:
        raise Mistake(f"can't be written: {error.strerror}", place=name) from None


def write(name: str, data: bytes) -> None:
    with output(name) as out:
        out.write(data)
