"""Shell. One worker as its supervisor sees it: a process that is started, asked, watched and waited for."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Literal

from gateway.telemetry import events
from gateway.workers.channel import Answer, Ask, Brief, Last, Up, Wrong, frame, read

__all__ = ["Child", "Gone"]

SCRAPE = 2.0  # s between looks at its metrics
HUNG = 30.0  # s without an answer, after which it is killed: its loop does not turn
START = 600.0  # s that a start may take: rows of a ledger may have to be folded (`restore.py`)
LINGER = 10.0  # s between the end of its channel and of its process

log = events.get("workers")


class Gone(Exception):
    """A worker that was asked has ended, or does not serve yet."""


class Child:
    """The worker of one number. `live` is one life of it, from start to end; it may have many."""

    def __init__(self, index: int, on_up: Callable[["Child"], None]) -> None:
        self.index = index
        self.state: Literal["starting", "up", "down"] = "down"
        self.pid = 0
        self.lives = 0
        self.order = 0  # of the supervisor's last one that it was started with
        self.up: Up | None = None  # of this life
        self.wrong: Wrong | None = None  # why this life, or the last, could not start
        self.metrics = b""  # what it showed last, in this life
        self._on_up = on_up
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._ids = count()
        self._serves = asyncio.Event()

    async def live(self, brief: Brief) -> int:
        """Runs it until it ends, and returns its exit code (negative = a signal's). Cancelled, it is killed.

        Raises OSError where the machine has no room for another process.
        """
        self.up, self.wrong, self.metrics = None, None, b""
        self.lives += 1
        self._serves.clear()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "gateway.workers", str(self.index)),
                    stdin=theirs.fileno(),
                    pass_fds=[*brief.shared, *brief.own, brief.board],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                    process_group=0,  # a terminal's Ctrl-C is the supervisor's: it tells them
                )
            except BaseException:
                ours.close()
                raise
        self._process, self.pid, self.state = process, process.pid, "starting"
        watch = asyncio.create_task(self._watch())
        try:
            reader, self._writer = await asyncio.open_unix_connection(sock=ours)
            self._writer.write(frame(brief))
            await self._hear(reader)
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await process.wait()
        finally:
            self.state = "down"
            watch.cancel()
            if self._writer is None:
                ours.close()
            else:
                self._writer.transport.abort()
            self._writer = None
            self._forsake()
            if process.returncode is None:
                self.kill()
            code = await process.wait()
            self._process = None
        return code

    async def ask(self, method: str, path: str, body: bytes = b"", *, timeout: float) -> Answer:
        """What its operator's side says. Raises Gone where it doesn't serve, TimeoutError after `timeout` seconds."""
        if self.state != "up" or self._writer is None:
            raise Gone
        id_ = next(self._ids)
        asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[id_] = asked
        try:
            async with asyncio.timeout(timeout):
                self._writer.write(frame(Ask(id_, method, path, body)))
                return await asked
        finally:
            self._asked.pop(id_, None)

    async def look(self, timeout: float) -> None:
        """Brings `metrics` up to date, as far as it answers in time."""
        with suppress(Gone, TimeoutError):
            await self._scrape(timeout)

    def terminate(self) -> None:
        """Has it drain and end."""
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.terminate()

    def kill(self, why: str = "") -> None:
        """Ends it now, and says why where there is a reason."""
        if why:
            log.error("worker killed", worker=self.index, pid=self.pid, why=why)
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while (message := await read(reader)) is not None:
            match message:
                case Answer():
                    asked = self._asked.get(message.id)
                    if asked is not None and not asked.done():
                        asked.set_result(message)
                case Up():
                    self.up, self.state = message, "up"
                    self._serves.set()
                    self._on_up(self)
                case Wrong():
                    self.wrong = message
                case Last():  # it closes what it has, a last snapshot among it, and hears no more
                    self.metrics, self.state = message.metrics, "down"
                    self._forsake()

    def _forsake(self) -> None:
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(Gone())
        self._asked.clear()

    async def _scrape(self, timeout: float) -> None:
        shown = await self.ask("GET", "/metrics", timeout=timeout)
        if (
            self.state == "up" and shown.status == 200
        ):  # of one that has ended, what it counted is kept elsewhere by now
            self.metrics = shown.body

    async def _watch(self) -> None:
        """Keeps `metrics` fresh, so that little is lost where it is killed; and kills it where it answers no more."""
        why = "it does not start"
        try:
            async with asyncio.timeout(START):
                await self._serves.wait()
            why = "it does not answer"
            while True:
                await self._scrape(HUNG)
                await asyncio.sleep(SCRAPE)
        except TimeoutError:
            self.kill(why)
        except Gone:
            return
