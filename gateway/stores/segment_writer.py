"""Shell. The one writer of a ledger's folder: a sink of the journal that never holds up a request.

A row is encoded where it happens and put into a bounded queue; one thread chains, writes, rotates, compresses and
removes. While the disk takes nothing the thread tries again and the queue fills; when it is full, rows are dropped and
counted, and a `Gap` stands in their place before the next row that is written, or at the end.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gateway.errors import Mistake
from gateway.ledger.chain import SALT, Chain, Why, row_of
from gateway.ledger.record import Gap, Row
from gateway.stores.saying import SILENCE, Log
from gateway.stores.segments import compressed, name_of, segments, single_writer, sync_folder, take_up, upkeep

__all__ = ["SILENCE", "Log", "Place", "SegmentWriter", "wall"]

BATCH_ROWS = 32  # chained in one go: about 0.1 ms in which the event loop may wait for the interpreter
BATCH_BYTES = 1 << 20
FRAME = 128  # bytes of a line around its row
LINGER = 0.05  # s that the thread waits for more rows once it was woken
RETRY = 0.5  # s between attempts on a disk that takes nothing
TICK = 30.0  # s between looks at the clock while nothing comes
DAY = 86_400_000_000  # µs

Entry = tuple[int, int, bytes, bytes]  # seq, now, type, body


class Place(NamedTuple):
    """A place in a ledger, behind one of its rows."""

    segment: int  # its number
    offset: int  # bytes of the segment's text before it
    rows: int  # of the segment before it
    head: bytes  # the chain's h there


def wall() -> int:
    """µs since the epoch: for the age of segments only, never for a row."""
    return time.time_ns() // 1000


class SegmentWriter:
    """Appends rows to the segments of `folder`; a second writer of the same folder gets a Mistake.

    `max_bytes` and `max_age_s` say when a segment is closed, `keep_bytes` (all segments as they lie on disk) and
    `keep_days` when the oldest closed ones are removed; 0 = never. `sync` makes every batch outlast a power cut, not
    only a crash of the process. `max_waiting` bounds the queue, in bytes. Rows come from one thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: str = "",
        max_bytes: int = 67_108_864,
        max_age_s: float = 86_400,
        keep_bytes: int = 10_737_418_240,
        keep_days: float = 30,
        sync: bool = False,
        max_waiting: int = 33_554_432,
        compress: bool = True,
        log: Log = SILENCE,
        clock: Callable[[], int] = wall,
        put: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self._folder = folder
        self._version = version
        self._max_bytes = max_bytes
        self._max_age = int(max_age_s * 1_000_000)
        self._keep_bytes = keep_bytes
        self._keep_age = int(keep_days * DAY)
        self._sync = sync
        self._bound = max_waiting
        self._compress = compress
        self._log = log
        self._clock = clock
        self._put = put
        self._queue: deque[Entry] = deque()
        self._asked: deque[tuple[int, Future[Place]]] = deque()  # rows taken before it -> where it is
        self._gap: Gap | None = None  # of rows that were dropped and that no row in the queue stands for yet
        self._taken = self._done = 0  # bytes: counted by the caller, by the thread
        self._accepted = 0
        self._lost = 0
        self.rows = self.bytes = self.errors = 0  # written; gaps are rows too
        self.kept = self.disk_bytes = 0  # segments, and their size
        self._fd = -1
        self._path = folder
        self._size = 0
        self._torn = False  # the file ends in part of a write that failed
        self._began = 0
        self._looked = time.monotonic()
        self._failing = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._asleep = False
        self._busy = False
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._idle = threading.Condition()
        self._broken = False
        self._closed = False
        self._lock = ExitStack()
        self._chain, self._number = self._start()

    @property
    def dropped(self) -> int:
        """Rows that were not written and never will be."""
        return self._lost + (self._accepted - self.rows if self._closed else 0)

    @property
    def number(self) -> int:
        """Of the segment that is written."""
        return self._number

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return len(self._queue)

    @property
    def head(self) -> str:
        """The chain's end, of what is written; 64 hex digits."""
        return self._chain.value.hex()

    def __call__(self, row: Row) -> None:
        """Takes a row. Never waits and never raises: a row that can't be taken becomes part of a gap."""
        try:
            entry = row_of(row)
        except (ValueError, TypeError, OverflowError):  # a name that is no text, a row beyond all bounds
            self._lose(row, "unwritable")
            return
        waiting = self._taken - self._done
        bound = self._bound if self._gap is None else self._bound - self._bound // 4
        if self._broken or self._closing.is_set() or waiting + len(entry[3]) + FRAME > bound:
            self._lose(row, "closed" if self._closing.is_set() else "full")
            return
        if self._gap is not None:
            self._enqueue(row_of(self._gap))
            self._gap = None
        self._enqueue(entry)
        if self._asleep:
            self._wake.set()
        elif self._thread is None:
            self._thread = threading.Thread(target=self._run, name="gauger-ledger", daemon=True)
            self._thread.start()

    def place(self) -> "Future[Place]":
        """Where the row that comes next will stand, as soon as all before it are written.

        Cancelled where they never are, and where none was written at all.
        """
        asked: Future[Place] = Future()
        self._asked.append((self._accepted, asked))
        if self._broken or self._thread is None:
            asked.cancel()
        self._wake.set()
        return asked

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until all rows taken so far are written; False when `timeout` seconds did not suffice."""
        if self._thread is None:
            return not self._queue
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not self._queue and not self._busy, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Writes what waits, for at most `timeout` seconds, then the footer; what is left is counted as dropped."""
        if self._closed:
            return
        if self._gap is not None and self._thread is not None and not self._broken:
            self._enqueue(row_of(self._gap))
            self._gap = None
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._giving_up.set()
            self._thread.join(2 * RETRY)
        else:
            self._lock.close()
        self._closed = True
        if self.dropped:
            self._log.error("rows of the ledger were lost", rows=self.dropped)

    def _enqueue(self, entry: Entry) -> None:
        self._queue.append(entry)
        self._taken += len(entry[3]) + FRAME
        self._accepted += 1

    def _lose(self, row: Row, why: str) -> None:
        self._lost += 1
        gap = self._gap
        self._gap = Gap(row.seq, row.now, 1, why) if gap is None else Gap(gap.seq, gap.now, gap.lost + 1, gap.why)

    def _start(self) -> tuple[Chain, int]:
        """Takes the folder, and goes on where the last process stopped."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.enter_context(single_writer(self._folder))
            with upkeep(self._folder, wait=True):
                for draft in self._folder.glob(".segment-*.part"):
                    draft.unlink()
                found = take_up(self._folder, self._clock())
                self._count()
        except BlockingIOError:
            self._lock.close()
            hint = "every process needs a folder of its own"
            raise Mistake("another process writes this ledger", place=str(self._folder), hint=hint) from None
        except OSError as error:
            self._lock.close()
            raise Mistake(f"the ledger can't be written: {error.strerror}", place=str(self._folder)) from None
        if found.damage:
            self._log.error("the ledger is damaged", place=found.damage, kept="as it is; a new segment begins")
        elif found.recovered or found.cut:
            self._log.warning("the ledger was not closed", segment=found.number, half_line_bytes=found.cut)
        return found.chain, found.number

    def _run(self) -> None:
        try:
            self._upkeep()
            while not self._giving_up.is_set():
                batch = self._take()
                self._answer()
                if batch:
                    self._until_done(lambda batch=batch: self._write(batch))  # type: ignore[misc]
                elif self._closing.is_set():
                    self._until_done(lambda: self._end("stop"))
                    break
                else:
                    self._until_done(self._look)
                self._busy = False
                with self._idle:
                    self._idle.notify_all()
        except Exception:  # noqa: BLE001 - a defect here must not be one of the requests: rows are dropped and counted
            self._log.exception("the ledger is no longer written")
        finally:
            self._broken, self._busy = True, False
            while self._asked:
                self._asked.popleft()[1].cancel()
            with self._idle:
                self._idle.notify_all()
            if self._fd >= 0:
                os.close(self._fd)
            self._lock.close()

    def _take(self) -> list[Entry]:
        """The next rows; none after a while in which none came, or at the end."""
        if not self._queue:
            self._wake.clear()
            self._asleep = True
            if not (self._queue or self._asked or self._closing.is_set()):  # else it came between look and flag
                self._wake.wait(TICK)
            self._asleep = False
            if self._queue and not self._closing.is_set():
                self._closing.wait(LINGER)
        self._busy = True
        batch: list[Entry] = []
        size, most = 0, min(BATCH_ROWS, self._asked[0][0] - self.rows) if self._asked else BATCH_ROWS
        while self._queue and len(batch) < most and size < BATCH_BYTES:
            size += len(self._queue[0][3])
            batch.append(self._queue.popleft())
        return batch

    def _answer(self) -> None:
        """Tells those who asked for it where the rows end that came before."""
        while self._asked and self._asked[0][0] <= self.rows:
            asked = self._asked.popleft()[1]
            if asked.set_running_or_notify_cancel():
                asked.set_result(Place(self._number, self._size, self._chain.rows, self._chain.value))

    def _until_done(self, work: Callable[[], None]) -> None:
        """Tries until the disk takes it, or nobody waits any longer. `work` leaves all as it was where it fails."""
        while True:
            try:
                work()
            except OSError:
                self.errors += 1
                if not self._failing:
                    self._failing = True
                    self._log.exception("the ledger can't be written", folder=self._folder)
                if self._giving_up.wait(RETRY):
                    return
            else:
                if self._failing:
                    self._failing = False
                    self._log.warning("the ledger is written again", folder=self._folder, lost=self._lost)
                return

    def _write(self, batch: list[Entry]) -> None:
        size = sum(len(entry[3]) + FRAME for entry in batch)
        if self._fd >= 0 and self._chain.rows and self._size + size > self._max_bytes:
            self._end("full")
        if self._fd >= 0 and not os.fstat(self._fd).st_nlink:  # what went on there, nobody would ever read
            self._log.error("the open segment was removed", segment=self._path.name, rows=self._chain.rows)
            self._end("full")
        self._look()
        self._begin()
        chain, salts = self._chain.copy(), os.urandom(SALT * len(batch))
        text = [chain.add(entry, salts[at * SALT : (at + 1) * SALT]) for at, entry in enumerate(batch)]
        self._append(b"".join(text))
        self._chain = chain
        self.rows += len(batch)
        self._done += size

    def _begin(self) -> None:
        """A new segment, unless one is open."""
        if self._fd < 0:
            self._path = self._folder / name_of(self._number + 1)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._fd = os.open(self._path, flags, 0o600)
            self._number, self._size, self._torn, self._began = self._number + 1, 0, False, self._clock()
            self.kept += 1
            sync_folder(self._folder)
        if self._chain.fresh:
            chain = self._chain.copy()
            self._append(chain.begin(self._number, self._version, self._began))
            self._chain = chain

    def _end(self, why: Why) -> None:
        """Closes the open segment, if there is one."""
        if self._fd < 0:
            return
        if not self._chain.fresh:
            chain = self._chain.copy()
            self._append(chain.end(self._clock(), why))
            self._chain = chain
        os.fsync(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._log.info("segment closed", segment=self._path.name, rows=self._chain.rows, head=self.head)
        if why != "stop":
            self._upkeep()

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
        self.disk_bytes += len(data)

    def _look(self) -> None:
        """What time alone brings: the end of a segment, the end of what is kept."""
        if self._fd >= 0 and self._chain.rows and self._clock() - self._began >= self._max_age:
            self._end("age")
        elif time.monotonic() - self._looked > 2 * TICK:
            self._upkeep()

    def _upkeep(self) -> None:
        """Compresses closed segments and removes what is too old or too much. Left for later while erasing goes on."""
        self._looked = time.monotonic()
        try:
            with upkeep(self._folder, wait=False):
                found = segments(self._folder)
                closed = [segment for segment in found if self._fd < 0 or segment.number != self._number]
                if self._compress:
                    closed = [
                        segment._replace(path=compressed(segment.path)) if segment.path.suffix == ".jsonl" else segment
                        for segment in closed
                    ]
                self._count()
                for segment in closed:
                    age = self._clock() - segment.path.stat().st_mtime_ns // 1000  # that of its last row
                    old = bool(self._keep_age) and age > self._keep_age
                    if not old and not (self._keep_bytes and self.disk_bytes > self._keep_bytes):
                        break
                    segment.path.unlink()
                    self._log.info("segment removed", segment=segment.path.name, why="age" if old else "size")
                    self._count()
        except BlockingIOError:
            return
        except OSError:
            self.errors += 1
            self._log.exception("the ledger's upkeep failed", folder=self._folder)

    def _count(self) -> None:
        found = segments(self._folder)
        self.kept = len(found)
        self.disk_bytes = sum(segment.path.stat().st_size for segment in found)
