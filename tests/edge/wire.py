"""A client of raw bytes, for what HTTP libraries hide: when a byte comes, how a stream ends, what is on the wire."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.app import Relay
from gateway.edge.server import make_server
from gateway.settings import Settings
from tests.edge.evil import Evil

Headers = list[tuple[bytes, bytes]]
SOON = 2.0
"""Seconds within which what must follow from an event follows; waited for, never measured."""


class Wire:
    """The client's end of one connection to the gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *blocks: bytes) -> None:
        self.writer.write(b"".join(blocks))
        await self.writer.drain()

    async def head(self) -> tuple[int, Headers]:
        """The next answer's status and fields, names in lower case; 1xx answers count."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        line, *fields = raw[:-4].split(b"\r\n")
        pairs = [field.split(b": ", 1) for field in fields]
        return int(line.split(b" ")[1]), [(name.lower(), value) for name, value in pairs]

    async def chunk(self) -> bytes:
        """The next chunk; empty = the last one. Raises EOFError where the stream was cut."""
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10), 16)
        block = await self.reader.readexactly(size + 2)
        return block[:-2]

    async def exactly(self, count: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(count), 10)

    async def rest(self) -> bytes:
        """Everything until the gateway closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    def leave(self) -> None:
        """Hangs up as a killed process does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def wire(url: str, **options: Any) -> AsyncIterator[Wire]:
    """A connection to the gateway at `url`."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), **options)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def relayed(upstream: str | Evil | None, state_dir: Path, **settings: Any) -> AsyncIterator[str]:
    """The URL of a relay that runs alone, without a gate."""
    url = f"http://127.0.0.1:{upstream.port}" if isinstance(upstream, Evil) else upstream
    server = make_server(Relay(url, Settings(state_dir=state_dir, **settings)))
    async with server.listening():
        yield server.url


def values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for found, value in headers if found == name]


def chunked(*blocks: bytes, end: bool = True) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(b), b) for b in blocks) + (b"0\r\n\r\n" if end else b"")
