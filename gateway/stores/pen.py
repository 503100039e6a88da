"""Shell. The open segment of a ledger: lines are appended to it, or nothing is; it ends when it is full or old."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.ledger.chain import SALT, Chain, Why
from gateway.stores.saying import Log
from gateway.stores.segments import name_of, sync_folder

__all__ = ["FRAME", "Entry", "Pen", "Place"]

FRAME = 128  # bytes of a line around its row
SEEN = 16  # rows between two looks at whether the file is still there

Entry = tuple[int, int, bytes, bytes]  # seq, now, type, body


class Place(NamedTuple):
    """A place in a ledger, behind one of its rows."""

    segment: int  # its number
    offset: int  # bytes of the segment's text before it
    rows: int  # of the segment before it
    head: bytes  # the chain's h there


class Pen:
    """Writes on from `chain`, in a segment after `number`. One at a time may use it."""

    def __init__(
        self,
        folder: Path,
        chain: Chain,
        number: int,
        *,
        version: str,
        max_bytes: int,
        max_age: int,
        sync: bool,
        log: Log,
        clock: Callable[[], int],
        put: Callable[[int, memoryview], int],
    ) -> None:
        self.number = number  # of the segment that is written, or was
        self.rows = self.bytes = 0  # written
        self.begun = 0  # segments
        self._folder = folder
        self._chain = chain
        self._version = version
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._sync = sync
        self._log = log
        self._clock = clock
        self._put = put
        self._fd = -1
        self._path = folder
        self._size = 0
        self._torn = False  # the file ends in part of a write that failed
        self._began = 0
        self._ended: list[int] = []  # handles of segments that are whole and may not outlast a power cut yet

    @property
    def open(self) -> bool:
        """Whether a segment is open."""
        return self._fd >= 0

    @property
    def head(self) -> str:
        """The chain's end; 64 hex digits."""
        return self._chain.value.hex()

    @property
    def place(self) -> Place:
        """The place behind all that is written."""
        return Place(self.number, self._size, self._chain.rows, self._chain.value)

    def write(self, batch: Sequence[Entry]) -> None:
        """Appends these rows, in a new segment if it is time. Raises OSError where nothing of it is written."""
        size = sum(len(entry[3]) + FRAME for entry in batch)
        if self._fd >= 0 and self._chain.rows and self._size + size > self._max_bytes:
            self.end("full")
        self._look()
        self.age()
        self._begin()
        chain, salts = self._chain.copy(), os.urandom(SALT * len(batch))
        text = [chain.add(entry, salts[at * SALT : (at + 1) * SALT]) for at, entry in enumerate(batch)]
        self._append(b"".join(text))
        self._chain = chain
        self.rows += len(batch)

    def jot(self, entry: Entry) -> bool:
        """Appends one row to the open segment where that is all there is to do: else, and where it fails, False."""
        chain = self._chain
        if self._fd < 0 or chain.fresh or self._torn or self._size + len(entry[3]) + FRAME > self._max_bytes:
            return False
        if not chain.rows % SEEN and not os.fstat(self._fd).st_nlink:
            return False
        before = chain.value
        line = chain.add(entry, os.urandom(SALT))
        self._torn = True
        try:
            whole = self._put(self._fd, memoryview(line)) == len(line)
        except Exception:  # noqa: BLE001 - who tries again says what it is
            whole = False
        if not whole:
            chain.value = before
            chain.rows -= 1
            return False
        self._torn = False
        self._size += len(line)
        self.bytes += len(line)
        self.rows += 1
        return True

    def age(self) -> None:
        """Ends the open segment where it is too old. Raises OSError where that can't be written."""
        if self._fd >= 0 and self._chain.rows and self._clock() - self._began >= self._max_age:
            self.end("age")

    def end(self, why: Why) -> None:
        """Ends the open segment, if there is one. Raises OSError where that can't be written."""
        if self._fd < 0:
            return
        if not self._chain.fresh:
            chain = self._chain.copy()
            self._append(chain.end(self._clock(), why))
            self._chain = chain
        self._ended.append(self._fd)
        self._fd = -1
        self._log.info("segment closed", segment=self._path.name, rows=self._chain.rows, head=self.head)

    def sync(self) -> None:
        """Has the open segment outlast a power cut, while others may write. Raises OSError where that fails."""
        if self._fd >= 0:
            os.fsync(self._fd)

    def sync_ended(self) -> bool:
        """Has segments that ended outlast a power cut, while others may write; whether there were any.

        Raises OSError where that fails.
        """
        ended, self._ended = self._ended, []
        while ended:
            handle = ended.pop()
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if not ended:
                return True
        return False

    def close(self) -> None:
        """Lets go of the files, whatever is in them."""
        for handle in (*self._ended, *([self._fd] if self._fd >= 0 else [])):
            os.close(handle)
        self._ended, self._fd = [], -1

    def _look(self) -> None:
        if self._fd >= 0 and not os.fstat(self._fd).st_nlink:  # what went on there, nobody would ever read
            self._log.error("the open segment was removed", segment=self._path.name, rows=self._chain.rows)
            self.end("full")

    def _begin(self) -> None:
        """A new segment, unless one is open."""
        if self._fd < 0:
            self._path = self._folder / name_of(self.number + 1)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._fd = os.open(self._path, flags, 0o600)
            self.number, self._size, self._torn, self._began = self.number + 1, 0, False, self._clock()
            self.begun += 1
            sync_folder(self._folder)
        if self._chain.fresh:
            chain = self._chain.copy()
            self._append(chain.begin(self.number, self._version, self._began))
            self._chain = chain

    def _append(self, data: bytes) -> None:
        """Appends all of it or, with an OSError, nothing."""
        if self._torn:
            os.ftruncate(self._fd, self._size)
            self._torn = False
        view, at = memoryview(data), 0
        while at < len(data):
            self._torn = True
            at += self._put(self._fd, view[at:])
        if self._sync:
            os.fsync(self._fd)
        self._torn = False
        self._size += len(data)
        self.bytes += len(data)
