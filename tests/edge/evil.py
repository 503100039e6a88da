"""Model servers that misbehave, on real sockets: a script plays each connection and sees and writes raw bytes."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import httpx

from gateway.edge.httpx_upstream import HttpxUpstream
from gateway.edge.pool import H1Upstream
from gateway.edge.transports import NO_LIMITS
from gateway.edge.upstream import Origin, PoolBounds, Upstream, UpstreamTimeouts

Headers = list[tuple[bytes, bytes]]


class Seen(NamedTuple):
    """One request as it stood on the wire."""

    line: bytes
    headers: Headers
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key.lower() == name]


class Peer:
    """The server's end of one connection. `number` counts connections from 1."""

    def __init__(self, server: "Evil", number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.number = number
        self.reader = reader
        self.writer = writer

    async def head(self) -> Seen:
        """The next request's head. Raises EOFError where the client hung up."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        line, *fields = raw[:-4].split(b"\r\n")
        pairs = [field.split(b": ", 1) for field in fields]
        return Seen(line, [(name, value) for name, value in pairs], b"")

    async def request(self) -> Seen:
        """The next whole request; it is also kept in the server's `seen`."""
        head = await self.head()
        body = b""
        chunks = []
        if head.values(b"transfer-encoding") == [b"chunked"]:
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                chunks.append((await self.reader.readexactly(size + 2))[:-2])
            assert await self.reader.readexactly(2) == b"\r\n"
            body = b"".join(chunks)
        elif length := head.values(b"content-length"):
            body = await self.reader.readexactly(int(length[0]))
        seen = head._replace(body=body)
        self.server.seen.append(seen)
        return seen

    async def write(self, *blocks: bytes) -> None:
        self.writer.write(b"".join(blocks))
        await self.writer.drain()

    async def gone(self) -> bytes:
        """Waits until the client hangs up; what it still sent."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""

    def reset(self) -> None:
        """Ends the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def cut(self) -> None:
        """Ends the TCP stream below TLS, without a word of TLS about it."""
        fd = self.writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=fd) as sock:
            sock.shutdown(socket.SHUT_WR)
            sock.detach()


Script = Callable[[Peer], Awaitable[None]]


class Evil:
    """`async with Evil(script) as server`: runs the script for each connection; a script's failure fails the test."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._script = script
        self._host = host
        self._port = port
        self._tls = tls
        self.tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self.seen: list[Seen] = []
        self.connections = 0  # ever accepted
        self.open = 0
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, self._port, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self._server.wait_closed()
        if self._errors and error is None:
            raise self._errors[0]

    async def until_open(self, count: int) -> None:
        """Waits until the clients hold `count` connections."""
        while self.open != count:
            self._changed.clear()
            await self._changed.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open += 1
        self._changed.set()
        try:
            await self._script(Peer(self, self.connections, reader, writer))
        except (EOFError, ConnectionError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        except BaseException as error:
            self._errors.append(error)
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()
            self.tasks.discard(task)
            self.open -= 1
            self._changed.set()


def answer(body: bytes = b"ok", *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer with a Content-Length."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def echoing() -> Script:
    """Answers each request with its own request line."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.write(answer((await peer.request()).line))

    return script


def replying(*blocks: bytes, then_close: bool = False, pause: Callable[[], Awaitable[None]] | None = None) -> Script:
    """Answers each request with these bytes, `pause` between them."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for index, block in enumerate(blocks):
                if index and pause is not None:
                    await pause()
                await peer.write(block)
            if then_close:
                return

    return script


class Client(Protocol):
    """What makes the client under test, for that server."""

    def __call__(
        self,
        server: Evil,
        *,
        timeouts: UpstreamTimeouts | None = None,
        bounds: PoolBounds | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        prefix: str = "",
    ) -> Upstream: ...


def h1(
    server: Evil,
    *,
    timeouts: UpstreamTimeouts | None = None,
    bounds: PoolBounds | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    prefix: str = "",
) -> Upstream:
    """The gateway's own client, which is the default."""
    origin = Origin("https" if tls else "http", host, server.port, prefix)
    return H1Upstream(origin, timeouts=timeouts, bounds=bounds, tls=tls)


def over_httpx(
    server: Evil,
    *,
    timeouts: UpstreamTimeouts | None = None,
    bounds: PoolBounds | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    prefix: str = "",
) -> Upstream:
    """httpx's own transports, one for each connection, as `transport: httpx` makes them."""
    origin = Origin("https" if tls else "http", host, server.port, prefix)
    verify = tls or NO_TLS
    return HttpxUpstream(
        origin,
        lambda: httpx.AsyncHTTPTransport(verify=verify, limits=NO_LIMITS, trust_env=False),
        timeouts=timeouts,
        bounds=bounds,
    )


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is made once
CLIENTS: dict[str, Client] = {"h1": h1, "httpx": over_httpx}


async def fetch(
    upstream: Upstream, target: bytes = b"/", *, method: bytes = b"GET", body: bytes | None = None
) -> tuple[int, bytes]:
    """Status and whole body of one exchange."""
    async with await upstream.send(method, target, [], body) as response:
        parts = []
        while (block := await response.read()) is not None:
            parts.append(block)
        return response.status, b"".join(parts)
