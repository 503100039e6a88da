"""Shell. Request lines to a stream: a bounded queue and one thread, so that a slow reader never holds up a request.

When the queue is three quarters full, lines of plain allows are dropped; when it is full, every line is. What is
dropped is counted. Lines are written in the order they came, whole: one that was begun is finished or is the last.
"""

import errno
import os
import select
import stat
import threading
from collections import deque
from typing import IO

from gateway.telemetry import events

__all__ = ["LineWriter"]

BATCH_LINES = 512
BATCH_BYTES = 1 << 20
LINGER = 0.02  # s that the thread waits for more lines once it was woken: fewer switches, fuller writes
POLL = 0.1  # s that one look at a stream that takes nothing lasts
RETRY = 0.5  # s between attempts on a stream that may recover (disk full)
GONE = frozenset({errno.EPIPE, errno.EBADF, errno.ESHUTDOWN, errno.ECONNRESET, errno.ENXIO})


class LineWriter:
    """Writes lines to `stream` from a thread of its own, which starts with the first line.

    `stream` is a binary stream or a file descriptor. A stream with a descriptor is written through a duplicate of
    it, so its buffer must be empty and it may be closed by its owner at any time. `capacity` counts lines.
    """

    def __init__(self, stream: IO[bytes] | int, capacity: int = 10_000) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._stream = stream
        self._capacity = capacity
        self._plain_capacity = capacity - capacity // 4
        self._queue: deque[bytes] = deque()
        self._fd = -1
        self._poll: select.poll | None = None  # None = a regular file, or no descriptor
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._asleep = False
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._done = threading.Condition()
        self._busy = False
        self._closed = False
        self._offered = 0  # counted by the caller of write
        self._refused = 0
        self._failed = 0  # counted by the thread
        self._broken = False
        self._said = False
        self.written = 0

    @property
    def dropped(self) -> int:
        """Lines that were taken or offered, and never written."""
        if self._closed:
            return self._offered - self.written
        return self._refused + self._failed

    @property
    def waiting(self) -> int:
        """Lines in the queue."""
        return len(self._queue)

    def write(self, line: bytes, *, plain: bool = False) -> bool:
        """Takes a line that ends in a newline; False = dropped. `plain` = an allow like any other, dropped first.

        Never waits. For one thread.
        """
        self._offered += 1
        queue = self._queue
        if len(queue) >= (self._plain_capacity if plain else self._capacity) or self._broken or self._closing.is_set():
            self._refused += 1
            return False
        queue.append(line)
        if self._asleep:
            self._wake.set()
        elif self._thread is None:
            self._start()
        return True

    def flush(self, timeout: float = 5.0) -> bool:
        """Waits until all lines taken so far are written or dropped; False when `timeout` seconds did not suffice."""
        if self._thread is None:
            return True
        self._wake.set()
        with self._done:
            return self._done.wait_for(lambda: not self._queue and not self._busy, timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Writes what waits, for at most `timeout` seconds, and ends the thread; what is left is counted as dropped."""
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            self._giving_up.set()
            thread.join(5 * POLL)
        self._closed = True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="gauger-lines", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._open()
            while not self._giving_up.is_set() and (self._queue or self._sleep()):
                self._busy = True
                batch = self._take()
                done = 0 if self._broken else self._write(batch)
                self.written += done
                self._failed += len(batch) - done
                self._busy = False
                self._notify()
        finally:
            self._broken = True  # whatever ended the thread: nobody reads the queue any more
            self._busy = False
            self._notify()
            if self._fd >= 0:
                os.close(self._fd)

    def _notify(self) -> None:
        with self._done:
            self._done.notify_all()

    def _open(self) -> None:
        try:
            self._fd = os.dup(self._stream if isinstance(self._stream, int) else self._stream.fileno())
            mode = os.fstat(self._fd).st_mode
        except (OSError, ValueError, AttributeError) as error:
            if isinstance(self._stream, int) or (isinstance(error, ValueError) and self._stream.closed):
                self._lost(error)
            return
        if not stat.S_ISREG(mode):
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLOUT)

    def _sleep(self) -> bool:
        """Waits for lines. False = closing, and nothing is left."""
        self._wake.clear()
        self._asleep = True
        try:
            if self._queue:  # came between the look and the flag
                return True
            if self._closing.is_set():
                return False
            self._wake.wait()
        finally:
            self._asleep = False
        if not self._closing.is_set():
            self._closing.wait(LINGER)
        return bool(self._queue) or not self._closing.is_set()

    def _take(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        while self._queue and len(batch) < BATCH_LINES and size < BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1])
        return batch

    def _write(self, batch: list[bytes]) -> int:
        """How many lines of the batch were written whole."""
        done = 0
        for lines in _packed(batch) if self._poll is not None else [batch]:
            data = b"".join(lines)
            delivered = self._deliver(data)
            if delivered < len(data):
                return done + data.count(b"\n", 0, delivered)
            done += len(lines)
        return done

    def _deliver(self, data: bytes) -> int:
        """Writes all of the data, however long the stream takes; less only if the stream is gone or we give up."""
        view = memoryview(data)
        at = 0
        while at < len(data):
            try:
                if self._fd < 0 and not isinstance(self._stream, int):
                    self._stream.write(data)
                    self._stream.flush()
                    return len(data)
                if self._poll is None:
                    at += os.write(self._fd, view[at:])
                elif self._poll.poll(POLL * 1000):
                    at += os.write(self._fd, view[at : at + select.PIPE_BUF])
            except BlockingIOError:  # another process took the room between the poll and the write
                self._giving_up.wait(LINGER)
            except (OSError, ValueError) as error:
                self._lost(error)
                if isinstance(error, ValueError) or error.errno in GONE:
                    self._broken = True
                    break
                self._giving_up.wait(RETRY)
            if self._giving_up.is_set():
                break
        return at

    def _lost(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            events.get("lines").error("request lines can not be written", exc_info=error)


def _packed(batch: list[bytes]) -> list[list[bytes]]:
    """Whole lines in pieces that a pipe takes in one step, so that several processes can share it (POSIX PIPE_BUF)."""
    packed: list[list[bytes]] = [[]]
    size = 0
    for line in batch:
        if size + len(line) > select.PIPE_BUF and packed[-1]:
            packed.append([])
            size = 0
        packed[-1].append(line)
        size += len(line)
    return packed
