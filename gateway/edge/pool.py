"""Shell. The default upstream client: HTTP/1.1 connections to one origin, reused, bounded and queued for.

What is sent again. Once only, on a fresh connection, only where a reused connection was closed before any byte of an
answer came, and only a body that is not iterated or not begun. Any method, where not a byte of the request had left
this machine. Else GET, HEAD, OPTIONS, PUT and DELETE, which may be repeated (RFC 9110 section 9.2.2). A POST that
left may have been processed, and is paid for: it fails with `closed`, `sent` True. A reused connection is asked for a
waiting hang-up just before it carries a request, which leaves only hang-ups that are still on the wire.
"""

import asyncio
import socket
import ssl
import warnings
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.edge.answer import DONE, HEAD, Answer
from gateway.edge.dial import dial, is_address
from gateway.edge.h1 import Connection, request_head
from gateway.edge.upstream import (
    Fault,
    Headers,
    Origin,
    PoolBounds,
    Sink,
    Upstream,
    UpstreamError,
    UpstreamResponse,
    UpstreamStats,
    UpstreamTimeouts,
)

__all__ = ["BODY_EXPECTED", "REPEATABLE", "H1Upstream", "tls_context"]

SLICE = 64 * 1024  # a body above four of these is written piece by piece, so that an early answer can stop it
REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
WEBSOCKET = b"connection: Upgrade\r\nupgrade: websocket\r\n"
BODY_EXPECTED = frozenset({b"POST", b"PUT", b"PATCH"})  # says Content-Length: 0 (RFC 9110 section 8.6)


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Verifies the certificate and the host's name, offers HTTP/1.1 only. `ca_file`: PEM, in place of the system's."""
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


class H1Upstream(Upstream):
    """One origin's connections. Last used, first reused, so that the rest can expire; waiters are served in order."""

    switches = True

    def __init__(
        self,
        origin: Origin,
        *,
        timeouts: UpstreamTimeouts | None = None,
        bounds: PoolBounds | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.origin = origin
        self._timeouts = timeouts or UpstreamTimeouts()
        self._bounds = bounds or PoolBounds()
        self._tls = (tls or tls_context()) if origin.scheme == "https" else None
        self._host = origin.authority
        self._is_address = is_address(origin.host)
        self._read = self._timeouts.read or float("inf")
        self._age = self._bounds.age or float("inf")
        times = (self._timeouts.read, self._timeouts.total, self._bounds.idle, self._bounds.wait)
        self._tick = min(0.5, max(0.01, min((seconds for seconds in times if seconds), default=0.5) / 4))
        self._connections: set[Connection] = set()  # all with a socket
        self._idle: list[Connection] = []
        self._waiters: deque[tuple[float, asyncio.Future[Connection | None]]] = deque()
        self._slots = 0  # connecting, in use or idle
        self._sweeper: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def stats(self) -> UpstreamStats:
        return UpstreamStats(open=self._slots, idle=len(self._idle), waiting=len(self._waiters))

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        *,
        host: bytes | None = None,
        switch: bytes = b"",
    ) -> UpstreamResponse:
        framing, whole, source = _framed(method, body, length)
        framing = switch or framing
        head = request_head(method, self.origin.target(target), host or self._host, headers, framing)
        now = asyncio.get_running_loop().time()
        deadline = now + self._timeouts.total if self._timeouts.total else float("inf")
        connection = self._pop(now) or await self._checkout()
        try:
            while True:
                answer = connection.begin(bodiless=method == b"HEAD", deadline=deadline, switches=bool(switch))
                reused, connection.used = connection.used, True
                if connection.write(head, whole):
                    if source is not None:
                        connection.stream(source, length)
                    elif isinstance(body, bytes) and whole is None:
                        connection.stream(_slices(body), len(body))
                    while answer.phase == HEAD:
                        await connection.wait()
                if answer.status:
                    break
                if connection.source_error is not None:
                    raise connection.source_error
                wrote, fault = connection.wrote, connection.fault or "closed"
                again = not wrote or (source is None and method in REPEATABLE)
                if not (again and reused and fault == "closed" and not answer.heard):
                    raise UpstreamError(fault, sent=wrote)
                self._detach(connection)
                await connection.end()
                connection = await self._connect()
        except BaseException:
            self.drop(connection)
            await connection.end()
            raise
        if not 200 <= answer.status < 300:
            connection.stop_streaming()
        return _Response(self, connection, answer)

    async def upgrade(self, target: bytes, headers: Headers, *, host: bytes | None = None) -> UpstreamResponse:
        return await self.send(b"GET", target, headers, host=host, switch=WEBSOCKET)

    async def aclose(self) -> None:
        self._closed = True
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(UpstreamError("closed", sent=False))
        for connection in list(self._connections):
            connection.fail("closed")
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._connections:
            self._emptied = self._emptied or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    # Connections and their slots: whoever holds a slot frees it once, or hands it on.

    def _pop(self, now: float) -> Connection | None:
        """The connection that was used last and may carry a request."""
        while self._idle:
            connection = self._idle.pop()
            connection.pooled = False
            if connection.fresh(now):
                return connection
            self.drop(connection)
        return None

    async def _checkout(self) -> Connection:
        """A connection with a slot: a new one, or another request's when it is done."""
        if self._closed:
            raise UpstreamError("closed", sent=False)
        if self._slots < self._bounds.connections:
            self._slots += 1
            return await self._connect()
        if len(self._waiters) >= self._bounds.waiting:
            raise UpstreamError("pool_full", sent=False)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        entry = (loop.time() + (self._bounds.wait or float("inf")), waiter)
        self._waiters.append(entry)
        try:
            connection = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            elif entry in self._waiters:
                self._waiters.remove(entry)
            raise
        if connection is not None:
            if connection.fresh(loop.time()):
                return connection
            self._detach(connection)
        return await self._connect()

    async def _connect(self) -> Connection:
        """A new connection for a slot that the caller holds; the slot is freed where it fails."""
        loop = asyncio.get_running_loop()
        connection = Connection(loop, self)
        if self._sweeper is None and not self._closed:
            self._sweeper = loop.call_later(self._tick, self._sweep)
        fault: Fault
        cause: Exception
        try:
            async with asyncio.timeout(self._timeouts.connect or None):
                await self._open(loop, connection)
            if self._closed or connection.transport.is_closing():
                connection.fail("closed")
                raise UpstreamError("closed", sent=False)
            connection.slot = True
            connection.born = loop.time()
            self._connections.add(connection)
            return connection
        except socket.gaierror as error:
            fault, cause = "dns", error
        except ssl.SSLError as error:
            fault, cause = "tls", error
        except TimeoutError as error:
            fault, cause = "timeout_connect", error
        except OSError as error:
            fault, cause = "connect", error
        finally:
            if not connection.slot:
                self._pass_on(None)
        raise UpstreamError(fault, sent=False) from cause

    async def _open(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        host, port = self.origin.host, self.origin.port
        name = host if self._tls else None
        if self._is_address:
            await loop.create_connection(lambda: connection, host, port, ssl=self._tls, server_hostname=name)
            return
        sock = await dial(host, port)
        try:
            await loop.create_connection(lambda: connection, sock=sock, ssl=self._tls, server_hostname=name)
        except BaseException:
            sock.close()  # the transport, if there was one, has its own way to it
            raise

    def _detach(self, connection: Connection) -> None:
        """Closes a connection; its slot stays with the caller."""
        connection.slot = False
        connection.fail("closed")

    def drop(self, connection: Connection) -> None:
        """Closes a connection at once and frees its slot. Idempotent."""
        if connection.slot:
            self._detach(connection)
            self._pass_on(None)

    def _pass_on(self, connection: Connection | None) -> None:
        """Gives a slot, with its connection if there is one, to the first who waits, else back."""
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._slots -= 1
        elif self._closed or connection.transport.is_closing():
            self.drop(connection)
        else:
            connection.pooled = True
            self._idle.append(connection)

    def release(self, connection: Connection, answer: Answer) -> None:
        """Takes a connection back after its exchange, for another one where that is safe."""
        if connection.answer is not answer:
            return
        now = asyncio.get_running_loop().time()
        # A second before the server would close it, and before its address may be one that the name has lost.
        kept = min(self._bounds.idle, answer.kept_for - 1, connection.born + self._age - now)
        if not connection.reusable or kept <= 0 or self._closed:
            self.drop(connection)
            return
        connection.answer = None
        connection.expires = now + kept
        self._pass_on(connection)

    def gone(self, connection: Connection) -> None:
        """What `Owner` says."""
        if connection.pooled:
            connection.pooled = False
            self._idle.remove(connection)
            self.drop(connection)
        if connection.lost:
            self._connections.discard(connection)
            if not self._connections and self._emptied is not None and not self._emptied.done():
                self._emptied.set_result(None)

    def _sweep(self) -> None:
        """Looks for time-outs, one timer for all connections, as long as there are any."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiters and self._waiters[0][0] <= now:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(UpstreamError("timeout_pool", sent=False))
        for connection in list(self._connections):
            if connection.pooled:
                if now >= connection.expires:
                    self.gone(connection)
            elif fault := connection.overdue(now, self._read):
                connection.fail(fault)
        self._sweeper = loop.call_later(self._tick, self._sweep) if self._slots else None


class _Response(UpstreamResponse):
    __slots__ = ("_answer", "_connection", "_pool", "headers", "status")

    def __init__(self, pool: H1Upstream, connection: Connection, answer: Answer) -> None:
        self._pool = pool
        self._connection: Connection | None = connection
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers

    async def read(self, sink: Sink | None = None) -> bytes | None:
        answer = self._answer
        connection = self._connection
        if connection is None:
            if answer.phase == DONE and not answer.chunks:
                return None
            raise UpstreamError("closed", sent=True)
        while not answer.chunks:
            if answer.phase == DONE:
                return None
            if answer.fault is not None:
                await self.aclose()
                raise UpstreamError(answer.fault, sent=True) from connection.source_error
            try:
                if await connection.wait(sink):
                    return b""
            except BaseException:
                await self.aclose()
                raise
        return connection.take(answer)

    @property
    def whole(self) -> bool:
        answer = self._answer
        return answer.phase == DONE and not answer.chunks

    async def write(self, data: bytes) -> None:
        if self._connection is None or self.status != 101:
            raise UpstreamError("closed", sent=True)
        await self._connection.push(data)

    async def aclose(self) -> None:
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._pool.release(connection, self._answer)
            if connection.streams:
                await connection.end()

    def __del__(self) -> None:
        if self._connection is not None:
            warnings.warn("an upstream response was not closed", ResourceWarning, source=self, stacklevel=2)
            self._connection.stop_streaming()
            self._pool.drop(self._connection)


def _framed(
    method: bytes, body: bytes | AsyncIterator[bytes] | None, length: int | None
) -> tuple[bytes, bytes | None, AsyncIterator[bytes] | None]:
    """The one framing field, what can be written with the head, and what must be iterated."""
    if body is None or isinstance(body, bytes):
        size = len(body or b"")
        if length is not None and length != size:
            raise UpstreamError("invalid", sent=False)
        if body is None and method not in BODY_EXPECTED:
            return b"", b"", None
        return b"content-length: %d\r\n" % size, (body or b"") if size <= 4 * SLICE else None, None
    if length is None:
        return b"transfer-encoding: chunked\r\n", None, body
    if length < 0:
        raise UpstreamError("invalid", sent=False)
    return b"content-length: %d\r\n" % length, None, body


async def _slices(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), SLICE):
        yield body[start : start + SLICE]
