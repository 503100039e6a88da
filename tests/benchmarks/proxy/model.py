"""Shell. The model server of the benchmark: answers at once or streams at a pace that the prompt names. Loopback only.

    python -m tests.benchmarks.proxy.model PORT

It speaks just enough HTTP/1.1 for a proxy in front of it, so that it costs little of the core that it shares.
"""

import asyncio
import re
import sys
from typing import cast

import httptools
import uvloop

from tests.benchmarks.proxy.bodies import ANSWER, chunk, tail

PACE = re.compile(rb"Pace: (\d{1,6}) chunks, (\d{1,6}) ms")
STREAM = re.compile(rb'"stream":\s*true')
HEAD = b"HTTP/1.1 200 OK\r\nx-request-id: req_bench\r\n"
WHOLE = HEAD + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
OPENING = HEAD + b"content-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = chunk()
LARGEST = 1 << 20  # bytes of a request body


class Model(asyncio.Protocol):
    """One connection. A request is answered after its last byte; the next one is read after the answer's last byte."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.parser = httptools.HttpRequestParser(self)
        self.body = bytearray()
        self.left = 0
        self.chunks = 0
        self.gap = 0.0
        self.due = 0.0
        self.transport: asyncio.Transport | None = None
        self.paused = False
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        if self.waiting:
            self.waiting = False
            self.push()

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def on_body(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > LARGEST:
            self.close()

    def on_message_complete(self) -> None:
        if self.transport is None:
            return
        body = bytes(self.body)
        self.body.clear()
        if STREAM.search(body) is None:
            self.transport.write(WHOLE)
            return
        pace = PACE.search(body)
        self.chunks = self.left = max(1, int(pace[1])) if pace else 200
        self.gap = int(pace[2]) / 1000 if pace else 0.0
        self.transport.write(OPENING)
        self.due = self.loop.time()
        self.push()

    def push(self) -> None:
        """The next chunk: one a turn of the loop, or one at its due time, without drift. Waits for a slow reader."""
        if self.transport is None:
            return
        if self.paused:
            self.waiting = True
            return
        self.transport.write(CHUNK)
        self.left -= 1
        if self.left == 0:
            self.transport.write(tail(self.chunks))
        elif self.gap:
            self.due += self.gap
            self.loop.call_at(self.due, self.push)
        else:
            self.loop.call_soon(self.push)


async def serve(port: int) -> None:
    """Listens on loopback until it is ended."""
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
