"""Rows, ledgers and disks for tests of the ledger."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.decide import Facts, Outcome, Verdict
from gateway.identity import Caller
from gateway.ledger.record import Opened, Row, Ruled, Settled
from gateway.observe import Observation
from gateway.stores import segments
from gateway.stores.segment_writer import SegmentWriter

NOW = 1_700_000_000_000_000


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
