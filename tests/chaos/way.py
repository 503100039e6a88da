"""A way to the store that passes, delays, swallows or refuses what is on it: a TCP proxy on loopback."""

import asyncio
import contextlib
from collections import deque
from typing import Literal

__all__ = ["Mode", "Way"]

HOST = "127.0.0.1"
Mode = Literal["pass", "slow", "swallow"]


class Way:
    """In front of the server at port `to`. `mode` holds for what comes from now on, on all connections.

    `slow`: answers arrive `late` seconds after they were given, in order. `swallow`: what is asked is done, and its
    answer is lost; a connection on which one was lost has no more. `refuse` and `accept`: nobody listens, as on the
    port of a server that is gone, and again.
    """

    def __init__(self, to: int) -> None:
        self.mode: Mode = "pass"
        self.late = 0.0
        self.port = 0
        self._to = to
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def accept(self) -> None:
        """Listens, on the port that it had."""
        self.mode = "pass"
        if self._server is None:
            self._server = await asyncio.start_server(self._begin, HOST, self.port, reuse_address=True)
            self.port = int(self._server.sockets[0].getsockname()[1])

    async def refuse(self) -> None:
        """Breaks off every connection; a new one is refused."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        ours = [writer]
        try:
            there, back = await asyncio.open_connection(HOST, self._to)
            ours.append(back)
            self._writers.add(back)
            ways = [asyncio.create_task(self._ask(reader, back)), asyncio.create_task(self._answer(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
        except OSError:
            pass  # the server is gone: so is the caller's connection
        finally:
            for each in ours:
                self._writers.discard(each)
                each.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        due: deque[tuple[float, bytes]] = deque()
        come = asyncio.Event()
        loop = asyncio.get_running_loop()

        async def bring() -> None:
            while True:
                while due:
                    at, data = due.popleft()
                    await asyncio.sleep(max(0.0, at - loop.time()))
                    writer.write(data)
                    await writer.drain()
                come.clear()
                await come.wait()

        bringing = asyncio.create_task(bring())
        lost = False
        try:
            with contextlib.suppress(OSError):
                while data := await reader.read(65536):
                    lost = lost or self.mode == "swallow"
                    if not lost:  # else for good: no connection loses something in its middle
                        due.append((loop.time() + (self.late if self.mode == "slow" else 0.0), data))
                        come.set()
        finally:
            bringing.cancel()
            await asyncio.wait([bringing])
