"""Shell. Connections to a port that several processes accept from, spread evenly over them.

An event loop that wakes first takes all that wait, and keeps them for as long as they are kept alive: measured with
libuv's, of 4 workers two had all of 64 connections. Here each takes one at a time, and lets the others go first for a
moment where it has clearly more than the least of them; how many each has stands in memory that all share. A worker
that is down or hangs holds up nobody for long: after five moments a connection is taken all the same.
"""

import asyncio
import errno
import mmap
import os
import socket
import ssl
import tempfile
from collections.abc import Callable

from gateway.telemetry import events

__all__ = ["Acceptor", "Board", "board_file"]

MOMENT = 0.002  # s that the others get
PATIENCE = 5  # moments, before one is taken all the same
REST = 1.0  # s without accepting, where the process or the machine has no room for another connection
FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
AWAY = 0xFFFF_FFFF  # on the board: this worker accepts nothing

log = events.get("workers")


def board_file(workers: int) -> int:
    """The descriptor of a board for so many workers, on which nobody accepts yet."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("gauger-workers")
    else:
        with tempfile.TemporaryFile() as made:
            number = os.dup(made.fileno())
    os.truncate(number, mmap.PAGESIZE)
    board = Board(number, workers)
    for worker in range(workers):
        board.away(worker)
    board.close()
    return number


class Board:
    """How many connections each worker has. Each writes its own number; one of 32 bits is written whole."""

    def __init__(self, number: int, workers: int) -> None:
        """`number` is the descriptor of a `board_file`, which stays its owner's."""
        self._memory = mmap.mmap(number, mmap.PAGESIZE)
        self._counts = memoryview(self._memory).cast("I")[:workers]

    def away(self, worker: int) -> None:
        """This worker accepts nothing."""
        self._counts[worker] = AWAY

    def ahead(self, worker: int, connections: int) -> bool:
        """Writes how many this worker has, and says whether that is clearly more than another has."""
        self._counts[worker] = connections
        return connections > min(self._counts) + 1 + connections // 8

    def close(self) -> None:
        """Gives the memory back."""
        self._counts.release()
        self._memory.close()


class Acceptor:
    """Accepts from one socket until it is closed (an `edge.server.Acceptor`).

    `open_` says how many connections this process has, and `ahead` whether others should go first who has so many.
    `left` is called when it is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        open_: Callable[[], int],
        ahead: Callable[[int], bool],
        left: Callable[[], None] = lambda: None,
    ) -> None:
        self._sock = sock
        self._protocol = protocol
        self._tls = tls
        self._open = open_
        self._ahead = ahead
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._later: asyncio.TimerHandle | None = None
        self._waited = 0  # moments
        self._greeting: set[asyncio.Task[None]] = set()
        self._loop.add_reader(sock, self._ready)

    def close(self) -> None:
        """Accepts no more, and closes the socket. Handshakes under way go on."""
        if self._later is not None:
            self._later.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self._left()

    def _ready(self) -> None:
        if self._waited < PATIENCE and self._ahead(self._open() + len(self._greeting)):
            self._waited += 1
            self._pause(MOMENT)
        else:
            self._waited = 0
            self._accept()

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._later = self._loop.call_later(seconds, self._loop.add_reader, self._sock, self._ready)

    def _accept(self) -> None:
        try:
            accepted, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):  # another worker was faster, or it left
            return
        except OSError as error:
            if error.errno not in FULL:
                raise
            log.error("no connection is accepted", error=error.strerror)  # noqa: TRY400
            self._pause(REST)
            return
        accepted.setblocking(False)
        task = self._loop.create_task(self._greet(accepted))
        self._greeting.add(task)
        task.add_done_callback(self._greeting.discard)

    async def _greet(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, accepted, ssl=self._tls)
        except OSError:  # it left, or does not speak TLS: no event of ours, as under asyncio's own server
            accepted.close()
