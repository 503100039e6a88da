"""Shell. One HTTP/1.1 connection to a model server: sends a request, waits for its answer, says if it may be reused."""

import asyncio
import select
import ssl
from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.edge.answer import DONE, HEAD, Answer
from gateway.edge.upstream import Fault, Headers, Sink, UpstreamError

__all__ = ["OURS", "Connection", "Owner", "request_head", "truncated"]

UNREAD_CAP = 256 * 1024  # body bytes kept for a slow reader; above it the server has to wait

_CONTROLS = bytes(set(range(32)) - {9} | {127})
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VISIBLE = bytes(range(33, 127))
OURS = frozenset(  # what a client sets itself, or must not pass on (RFC 9110 section 7.6.1)
    {
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)


def request_head(method: bytes, target: bytes, host: bytes, headers: Headers, framing: bytes) -> bytes:
    """The head of a request, through its empty line. `framing` is whole field lines, or nothing.

    Raises UpstreamError `invalid` where a part could be read as something else: control characters anywhere, space
    or non-ASCII in method, target, host or a name. Bytes above 127 pass in values (obs-text, RFC 9110 section 5.5).
    """
    names: list[bytes] = []
    parts = [method, b" ", target, b" HTTP/1.1\r\nhost: ", host, b"\r\n"]
    for name, value in headers:
        if name.lower() not in OURS:
            names.append(name)
            parts += (name, b": ", value, b"\r\n")
    parts += (framing, b"\r\n")
    head = b"".join(parts)
    # CR and LF: of the request line, Host, each field, the empty line
    ours = 2 * (len(names) + 3 + framing.count(b"\n"))
    if (
        len(head) - len(head.translate(None, _CONTROLS)) != ours
        or b"".join(names).translate(None, _TOKEN)
        or b"" in names
        or not method
        or method.translate(None, _TOKEN)
        or method == b"CONNECT"
        or not (target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"))
        or target.translate(None, _VISIBLE)
        or not host
        or host.translate(None, _VISIBLE)
    ):
        raise UpstreamError("invalid", sent=False)
    return head


class Owner(Protocol):
    """The pool, as far as its connections know it."""

    def gone(self, connection: "Connection") -> None:
        """An idle connection heard something, or any connection is finally closed."""


class Connection(asyncio.Protocol):
    """Carries one exchange at a time: `begin`, `write`, then `wait` and look at `answer`; at last `end`."""

    __slots__ = (
        "_drain",
        "_full",
        "_loop",
        "_owner",
        "_poll",
        "_pump",
        "_since",
        "_sink",
        "_stalled",
        "_waiter",
        "answer",
        "born",
        "deadline",
        "expires",
        "fault",
        "lost",
        "pooled",
        "slot",
        "source_error",
        "transport",
        "used",
        "whole",
        "wrote",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self._loop = loop
        self._owner = owner
        self._poll: Any = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._sink: Sink | None = None  # what takes the body while somebody waits for it
        self._full = False  # it has had enough
        self._pump: asyncio.Task[bool] | None = None
        self._since = 0.0  # loop time at which the present silence began
        self._stalled = False  # bytes of the request have not left
        self.transport: asyncio.Transport
        self.answer: Answer | None = None  # the exchange under way, if any
        self.fault: Fault | None = None  # why the exchange, or the connection before one, failed
        self.source_error: BaseException | None = None  # what the iterated body raised
        self.deadline = float("inf")  # loop time by which the exchange must be over
        self.born = 0.0  # loop time at which it was connected
        self.expires = float("inf")  # loop time after which the connection must not be used again
        self.slot = False  # counts against the pool's bound
        self.pooled = False  # idle, the pool's
        self.used = False  # has carried an exchange
        self.lost = False
        self.wrote = False  # a byte of the request may have left
        self.whole = True  # the request has been written to its end

    def begin(self, *, bodiless: bool, deadline: float, switches: bool = False) -> Answer:
        """Makes ready for one request; `bodiless`: its method is HEAD, `switches`: it asks for another protocol."""
        self.answer = answer = Answer(bodiless=bodiless, switches=switches)
        self.deadline = deadline
        self.wrote = False
        self.whole = True
        return answer

    def write(self, head: bytes, body: bytes | None) -> bool:
        """Writes the request, or its head. False: the connection had gone, and nothing left this machine."""
        transport = self.transport
        if not transport.is_closing():
            if body:
                transport.writelines((head, body))
            else:
                transport.write(head)
        self.wrote = not transport.is_closing()
        if not self.wrote:
            self.fail("closed")
        return self.wrote

    def stream(self, body: AsyncIterator[bytes], length: int | None) -> None:
        """Begins to write an iterated body behind the head: `length` bytes, or chunks where that is None."""
        self.whole = False
        self._pump = self._loop.create_task(self._write_all(body, length))
        self._pump.add_done_callback(self._written)

    async def _write_all(self, body: AsyncIterator[bytes], left: int | None) -> bool:
        chunked = left is None
        transport = self.transport
        try:
            async for block in body:
                if not block:
                    continue
                if left is not None:
                    left -= len(block)
                if (left or 0) < 0 or transport.is_closing():
                    return False
                transport.writelines((b"%x\r\n" % len(block), block, b"\r\n") if chunked else (block,))
                while self._stalled and not transport.is_closing():
                    self._since = self._loop.time()
                    self._drain = self._loop.create_future()
                    await self._drain
        finally:
            self._drain = None
            closer = getattr(body, "aclose", None)
            if closer is not None:
                await closer()
        if left or transport.is_closing():
            return False
        if chunked:
            transport.write(b"0\r\n\r\n")
        return True

    async def push(self, data: bytes) -> None:
        """Writes bytes of the protocol that was changed to, and waits until they have left. One call at a time."""
        transport = self.transport
        if not transport.is_closing():
            transport.write(data)
        try:
            while self._stalled and not transport.is_closing():
                self._since = self._loop.time()
                self._drain = self._loop.create_future()
                await self._drain
        finally:
            self._drain = None
        if transport.is_closing():
            raise UpstreamError(self.fault or "closed", sent=True)

    def _written(self, pump: "asyncio.Task[bool]") -> None:
        if pump.cancelled():
            return
        self.source_error = pump.exception()
        self.whole = self.source_error is None and pump.result()
        self._since = self._loop.time()
        if not self.whole:
            self.fail("closed" if self.source_error is None and self.transport.is_closing() else "write")

    def stop_streaming(self) -> None:
        """Stops an iterated body that has not been written to its end; the connection won't be reused."""
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()

    async def wait(self, sink: Sink | None = None) -> bool:
        """Until the answer has got on: its final head, a part of its body, or its end, good or bad, is here.

        `sink` takes parts of the body meanwhile; True: it has had enough.
        """
        self._since = self._loop.time()
        self._waiter = waiter = self._loop.create_future()
        self._sink, self._full = sink, False
        try:
            await waiter
        finally:
            self._waiter = self._sink = None
        return self._full

    def take(self, answer: Answer) -> bytes:
        """All unread body bytes; a server that had to wait goes on."""
        if answer.unread > UNREAD_CAP and not self.transport.is_closing():
            self.transport.resume_reading()
        return answer.take()

    def fail(self, fault: Fault) -> None:
        """Breaks the exchange off and closes at once. Bytes of the body that have arrived stay readable."""
        if self.fault is None:
            self.fault = fault
        if self.answer is not None:
            self.answer.fail(fault)
        self.transport.abort()
        self._wake()

    @property
    def streams(self) -> bool:
        """Whether an iterated body is, or was, written for this exchange: then `end` is to be awaited."""
        return self._pump is not None

    async def end(self) -> None:
        """Waits until nothing of this exchange runs any more."""
        pump = self._pump
        if pump is not None:
            self._pump = None
            if not pump.done():
                pump.cancel()
                await asyncio.wait((pump,))

    def overdue(self, now: float, read: float) -> Fault | None:
        """The time-out that the exchange has met, if any; `read` in seconds."""
        if self.answer is None or self.answer.phase >= DONE:
            return None
        if now >= self.deadline:
            return "timeout_total"
        # Nobody waits for the server while the answer's reader, or the source of the body, is slow.
        waiting = self._drain is not None or (self._waiter is not None and self.whole)
        return "timeout_read" if waiting and now - self._since >= read else None

    @property
    def reusable(self) -> bool:
        """The answer ended well and is read, the request is written, and nothing came after."""
        answer = self.answer
        return (
            answer is not None
            and answer.phase == DONE
            and answer.keep
            and not answer.chunks
            and self.whole
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
        )

    def fresh(self, now: float) -> bool:
        """Between exchanges: open, within its time, and with nothing to read.

        The socket is asked, because a hang-up, or bytes that nobody asked for, may wait there for the loop.
        """
        if now >= self.expires or self.transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's transport; uvloop's is no subclass
        # Stalled as soon as bytes stay behind. A bound of 0 would stall uvloop's TLS for ever: it compares with >=.
        self.transport.set_write_buffer_limits(high=1, low=0)
        socket = transport.get_extra_info("socket")
        if socket is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        if answer is None:
            self._unasked()
            return
        self._since = self._loop.time()
        answer.feed(data)
        if answer.phase >= DONE:
            if answer.surplus:
                self.transport.abort()
            elif answer.fault is not None:
                self.fail(answer.fault)
        elif self._sink is not None and answer.chunks and self._taken(self._sink, answer):
            return
        if answer.unread > UNREAD_CAP and not self.transport.is_closing():
            self.transport.pause_reading()
        if answer.phase != HEAD:
            self._wake()

    def _taken(self, sink: Sink, answer: Answer) -> bool:
        """Whether what has come was taken, and whoever waits may wait on."""
        try:
            if sink(answer.take()):
                return True
            self._full = True
        except Exception as error:  # noqa: BLE001 - it is raised to whoever reads the answer
            self.source_error = error
            self.fail("write")
        return False

    def eof_received(self) -> None:
        answer = self.answer
        if answer is None:
            self._unasked()
            return
        answer.end(truncated=truncated(self.transport.get_extra_info("ssl_object")))
        if answer.fault is not None:
            self.fail(answer.fault)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.fail("closed")
        self._owner.gone(self)

    def pause_writing(self) -> None:
        self._stalled = True

    def resume_writing(self) -> None:
        self._stalled = False
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    def _unasked(self) -> None:
        """Bytes or a hang-up outside an exchange."""
        if self.pooled:
            self._owner.gone(self)
        self.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._drain is not None and self.transport.is_closing() and not self._drain.done():
            self._drain.set_result(None)


def truncated(tls: Any) -> bool:
    """A TLS stream ended without TLS saying so: anyone on the way can do that (RFC 9112 section 9.8).

    `tls` is the connection's `ssl.SSLObject`; None = there is no TLS, and its end is TCP's.
    """
    if tls is None:
        return False
    try:
        tls.read(1)
    except ssl.SSLZeroReturnError:
        return False
    except ssl.SSLError:
        return True
    return False
