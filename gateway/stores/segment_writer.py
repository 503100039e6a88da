"""Shell. The one writer of a ledger's folder: a sink of the journal that never waits for more than a disk's cache.

A row is chained and appended where it happens, into the system's cache: about 5 µs, and no end of this process, however
sudden, takes it away any more. Waking a thread for it costs as much and leaves rows in memory for milliseconds: kill -9
under load then loses a hundred requests that had ended. What takes longer is a thread's: opening, closing, fsync,
compressing, removing; meanwhile rows go to a bounded queue, and so they do for a while after an append that took long,
and while the disk takes nothing. When the queue is full, rows are dropped and counted, and a `Gap` stands in their
place before the next row that is written, or at the end.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns

from gateway.errors import Mistake
from gateway.ledger.chain import row_of
from gateway.ledger.record import Gap, Row
from gateway.stores.pen import FRAME, Entry, Pen, Place
from gateway.stores.saying import SILENCE, Log
from gateway.stores.segments import TakenUp, single_writer, take_up, upkeep
from gateway.stores.shelf import Shelf

__all__ = ["SILENCE", "Log", "Place", "SegmentWriter", "wall"]

BATCH_ROWS = 32  # chained in one go, or a quarter of what waits
BATCH_BYTES = 1 << 20
LINGER = 0.05  # s that the thread waits for more, once it was woken for rows on a slow disk, or for an fsync
RETRY = 0.5  # s between attempts on a disk that takes nothing
TICK = 30.0  # s between looks at the clock while nothing comes
SLOW = 100_000_000  # ns of an append, after which the thread does it
PAUSE = 5_000_000_000  # for so many ns
DAY = 86_400_000_000  # µs


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
        self._sync = sync
        self._bound = max_waiting
        self._log = log
        self._queue: deque[Entry] = deque()
        self._asked: deque[tuple[int, Future[Place]]] = deque()  # rows taken before it -> where it is
        self._gap: Gap | None = None  # of rows that were dropped and that no row in the queue stands for yet
        self._taken = self._done = 0  # bytes: counted by the caller, by the thread
        self._accepted = 0
        self._lost = 0
        self.errors = 0
        self._looked = time.monotonic()
        self._slow_until = 0  # ns
        self._unsynced = False  # rows are on their place and may not outlast a power cut yet
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
        self._shelf = Shelf(
            folder, compress=compress, keep_bytes=keep_bytes, keep_age=int(keep_days * DAY), log=log, clock=clock
        )
        found = self._start(clock)
        self._pen = Pen(
            folder,
            found.chain,
            found.number,
            version=version,
            max_bytes=max_bytes,
            max_age=int(max_age_s * 1_000_000),
            sync=sync,
            log=log,
            clock=clock,
            put=put,
        )
        self._held = threading.Lock()  # of the pen
        self._counted = (0, 0)  # segments begun and bytes written when the shelf was last counted

    @property
    def dropped(self) -> int:
        """Rows that were not written and never will be."""
        return self._lost + (self._accepted - self.rows if self._closed else 0)

    @property
    def rows(self) -> int:
        """Rows written; gaps are rows too."""
        return self._pen.rows

    @property
    def bytes(self) -> int:
        """Bytes written."""
        return self._pen.bytes

    @property
    def kept(self) -> int:
        """Segments on disk."""
        return self._shelf.kept + self._pen.begun - self._counted[0]

    @property
    def disk_bytes(self) -> int:
        """Bytes of all segments on disk."""
        return self._shelf.bytes + self._pen.bytes - self._counted[1]

    @property
    def number(self) -> int:
        """Of the segment that is written."""
        return self._pen.number

    @property
    def waiting(self) -> int:
        """Rows in the queue."""
        return len(self._queue)

    @property
    def head(self) -> str:
        """The chain's end, of what is written; 64 hex digits."""
        return self._pen.head

    def __call__(self, row: Row) -> None:
        """Takes a row. Never raises: a row that can't be taken becomes part of a gap."""
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
        elif self._thread is not None and not (self._queue or self._busy or self._asked) and self._jotted(entry):
            if self._sync and not self._unsynced:
                self._unsynced = True
                self._wake.set()
            return
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
        if self._broken or self._thread is None:
            asked.cancel()
        else:
            self._asked.append((self._accepted, asked))
            self._wake.set()
        return asked

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until all rows taken so far are written; False when `timeout` seconds did not suffice."""
        if self._thread is None:
            return not self._queue
        self._wake.set()
        with self._idle:
            return self._idle.wait_for(lambda: not (self._queue or self._busy or self._unsynced), timeout)

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

    def _jotted(self, entry: Entry) -> bool:
        """Whether the row is on its place already. Nothing waits before it: who has a batch in hand is busy."""
        now = perf_counter_ns()
        if now < self._slow_until or not self._held.acquire(blocking=False):
            return False
        try:
            jotted = self._pen.jot(entry)
        finally:
            self._held.release()
        self._accepted += jotted
        if perf_counter_ns() - now > SLOW:
            self._slow_until = perf_counter_ns() + PAUSE
            self._log.warning("the ledger's disk is slow", ms=round((perf_counter_ns() - now) / 1e6))
        return jotted

    def _enqueue(self, entry: Entry) -> None:
        self._queue.append(entry)
        self._taken += len(entry[3]) + FRAME
        self._accepted += 1

    def _lose(self, row: Row, why: str) -> None:
        self._lost += 1
        gap = self._gap
        self._gap = Gap(row.seq, row.now, 1, why) if gap is None else Gap(gap.seq, gap.now, gap.lost + 1, gap.why)

    def _start(self, clock: Callable[[], int]) -> TakenUp:
        """Takes the folder, and goes on where the last process stopped."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.enter_context(single_writer(self._folder))
            with upkeep(self._folder, wait=True):
                for draft in self._folder.glob(".segment-*.part"):
                    draft.unlink()
                found = take_up(self._folder, clock())
                self._shelf.count()
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
        return found

    def _run(self) -> None:
        try:
            tidy = True
            while not self._giving_up.is_set():
                batch = self._take()
                self._answer()
                if batch:
                    self._until_done(lambda batch=batch: self._pen.write(batch))  # type: ignore[misc]
                    self._done += sum(len(entry[3]) + FRAME for entry in batch)
                elif self._closing.is_set():
                    self._until_done(lambda: self._pen.end("stop"))
                    self._until_done(self._pen.sync_ended)
                    break
                else:
                    self._until_done(self._pen.age)
                self._busy = bool(self._queue)
                tidy = self._upkeep(tidy=tidy or time.monotonic() - self._looked > 2 * TICK)
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
            with self._held:
                self._pen.close()
            self._lock.close()

    def _take(self) -> list[Entry]:
        """The next rows; none after a while in which none came, or at the end."""
        if not self._queue:
            self._wake.clear()
            self._asleep = True
            if not (self._queue or self._asked or self._unsynced or self._closing.is_set()):  # between look and flag
                self._wake.wait(TICK)
            self._asleep = False
            lingers = self._unsynced or (self._queue and perf_counter_ns() < self._slow_until)
            if lingers and not self._closing.is_set():
                self._closing.wait(LINGER)
        self._busy = True
        batch: list[Entry] = []
        size, most = 0, max(BATCH_ROWS, len(self._queue) // 4)  # each batch has to get the interpreter anew
        if self._asked:
            most = min(most, self._asked[0][0] - self._pen.rows)
        while self._queue and len(batch) < most and size < BATCH_BYTES:
            size += len(self._queue[0][3])
            batch.append(self._queue.popleft())
        return batch

    def _answer(self) -> None:
        """Tells those who asked for it where the rows end that came before."""
        while self._asked and self._asked[0][0] <= self._pen.rows:
            place = self._pen.place  # no row is written directly as long as somebody asks
            asked = self._asked.popleft()[1]
            if asked.set_running_or_notify_cancel():
                asked.set_result(place)

    def _until_done(self, work: Callable[[], object]) -> None:
        """Tries until the disk takes it, or nobody waits any longer. `work` leaves all as it was where it fails."""
        while True:
            try:
                with self._held:
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

    def _upkeep(self, *, tidy: bool) -> bool:
        """What the pen need not wait for. Whether some of it is left for later: rows wait."""
        try:
            if self._unsynced:
                self._unsynced = False
                self._pen.sync()
            tidy = self._pen.sync_ended() or tidy
            if not tidy or self._queue:
                return tidy
            self._looked = time.monotonic()
            self._shelf.tidy(self._pen.number if self._pen.open else None)
            self._counted = (self._pen.begun, self._pen.bytes)
        except OSError:
            self.errors += 1
            self._log.exception("the ledger's upkeep failed", folder=self._folder)
        return False
