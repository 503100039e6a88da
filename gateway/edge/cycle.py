"""Shell. One request and its answer on a connection, and the plain answers that are given below ASGI."""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from gateway.edge import faults
from gateway.edge.exchange import Aborted
from gateway.errors import Refusal

if TYPE_CHECKING:
    from gateway.edge.protocol import GaugerHttpProtocol

__all__ = ["Cycle", "answer_bytes"]

log = logging.getLogger("gateway.edge.server")

STATUS_LINES = {
    status: b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode() if status in set(HTTPStatus) else b"")
    for status in range(200, 600)
}


def answer_bytes(refusal: Refusal) -> bytes:
    """A refusal as a whole HTTP/1.1 answer that closes the connection."""
    kind = "invalid_request_error" if refusal.status not in (500, 503) else "server_error"
    body = json.dumps({"error": {"message": refusal.detail, "type": kind, "code": refusal.code}}).encode()
    retry = "retry-after: 1\r\n" if refusal.status == 503 else ""
    if refusal.status == 426:  # RFC 9110 section 15.5.22, RFC 6455 section 4.4
        retry = "upgrade: websocket\r\nsec-websocket-version: 13\r\n"
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"date: {formatdate(usegmt=True)}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"{retry}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class Cycle:
    """One request and its answer: the ASGI channels `receive` and `send`, and the framing of the answer."""

    __slots__ = (
        "_chunked",
        "_gone",
        "_head",
        "_left",
        "body",
        "closing",
        "disconnected",
        "flow",
        "keep_alive",
        "message_event",
        "more_body",
        "protocol",
        "response_complete",
        "response_started",
        "scope",
        "transport",
        "until_close",
        "waiting_for_100_continue",
    )

    def __init__(self, protocol: "GaugerHttpProtocol", scope: Any, *, expects: bool, keep_alive: bool) -> None:
        self.protocol = protocol
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.scope = scope
        self.message_event = asyncio.Event()
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.closing = False  # the connection ends with this answer
        self.until_close = False  # HTTP/1.0 without a length: the end of the connection is the end of the answer
        self._chunked = False
        self._left = 0  # bytes of the body still owed; -1 = not counted
        self._head = b""  # of the answer, until the body's first piece or the loop's next turn, whichever comes first
        self._gone: Callable[[], None] | None = None  # told when nothing is sent any more

    @property
    def extensions(self) -> dict[str, Any]:
        """What an app may ask of this server beyond ASGI."""
        return {
            "gauger.abort": self.cut,
            "gauger.body": self.whole,
            "gauger.push": (self.send, self.push),
            "gauger.watch": self.watch,
        }

    async def run_asgi(self, app: Any) -> None:
        """Calls the app; a failure is logged by type and place only, because a message may quote the request."""
        try:
            await app(self.scope, self.receive, self.send)
        except Aborted:
            self.cut()
        except asyncio.CancelledError:
            self.cut()
            raise
        except Exception as error:  # noqa: BLE001 - an app may raise anything; it ends here, as in any ASGI server
            places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            log.error("the application failed: %s at %s", type(error).__name__, " > ".join(places[-8:]))  # noqa: TRY400
            self._unfinished()
        else:
            if not self.response_complete and not self.disconnected:
                log.error("the application returned without a whole answer")
                self._unfinished()
        finally:
            self.scope["extensions"].clear()  # they refer to this object: a cycle for the collector
            self._gone = None

    def _unfinished(self) -> None:
        if self.response_started:
            self.cut()
        elif not self.disconnected:
            self.protocol.fail(self, faults.FAILED)

    def cut(self) -> None:
        """Ends the connection so that the client can't take what it has for a whole answer; harmless when repeated.

        What was sent is still delivered: without its last chunk or bytes, its end is visibly missing. Where only the
        connection's end would mark it (HTTP/1.0), the connection is reset.
        """
        if self.response_complete or self.disconnected:
            return
        self._flush()
        self.leave()
        if self.until_close:
            self.protocol.reset()
        else:
            self.protocol.close()

    def leave(self) -> None:
        """From here on nothing is sent, and the app hears `http.disconnect`."""
        self.disconnected = True
        self.message_event.set()
        if self._gone is not None:
            self._gone()

    def watch(self, gone: Callable[[], None] | None) -> bool:
        """Has `gone` called, at most once, when the client leaves; None takes it back. False: it has left already.

        For who has read the whole body: a task that waits in `receive` costs as much as a tenth of a relayed request.
        """
        self._gone = gone
        return not self.disconnected

    def whole(self) -> bytes | None:
        """The request's body where all of it is here and none was received yet; then `receive` has nothing of it.

        None says nothing: `receive` tells.
        """
        if self.more_body or self.disconnected or self.response_complete or self.waiting_for_100_continue:
            return None
        if self.flow.read_paused:
            return None
        self.message_event.clear()
        body, self.body = bytes(self.body), bytearray()
        return body

    async def receive(self) -> dict[str, Any]:
        """The next piece of the request's body, or `http.disconnect`. Ends a client's wait for 100 Continue."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
            self.protocol.touch()
        if not self.disconnected and not self.response_complete:
            if self.flow.read_paused:
                self.flow.resume_reading()
                self.protocol.touch()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Writes the answer's head or a piece of its body; raises RuntimeError for what would break its framing."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError("an answer begins with http.response.start")
            self._start(message["status"], message.get("headers", ()))
        elif message["type"] != "http.response.body" or self.response_complete:
            raise RuntimeError("an answer has one head and one end")
        else:
            self._piece(message.get("body", b""), message.get("more_body", False))

    def push(self, body: bytes) -> bool:
        """`send` of a piece of the body that is not the last, at once; False: wait in `send` before the next one.

        For who has begun the answer, and whose messages nobody else sees: it stands beside the `send` that it is for.
        """
        if self.disconnected:
            return False
        if not self.response_started or self.response_complete:
            raise RuntimeError("an answer has one head and one end")
        self._piece(body, True)
        return not self.flow.write_paused

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False  # whether the body still comes is the client's choice: RFC 9110 section 10.1.1
        lines = [STATUS_LINES[status]]
        length = -1
        says_close = False
        for name, value in headers:
            name = name.lower()
            if name == b"transfer-encoding":
                continue  # framing is ours
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                says_close = True
            lines.append(name + b": " + value)
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self._left = -1
        elif length >= 0:
            self._left = length
        elif self.scope["http_version"] == "1.0":
            self.until_close, self._left, self.keep_alive = True, -1, False
        else:
            self._chunked, self._left = True, -1
            lines.append(b"transfer-encoding: chunked")
        self.closing = says_close or not self.keep_alive
        if self.closing and not says_close:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        if not head.count(b"\n") == head.count(b"\r") == len(lines) + 1 or b"\x00" in head:
            raise RuntimeError("a field of the answer holds a line break")
        self.response_started = True
        self.waiting_for_100_continue = False
        self._head = head
        self.protocol.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Sends the head if it waits for the body's first piece."""
        head, self._head = self._head, b""
        if head and not self.transport.is_closing():
            self.transport.write(head)

    def _piece(self, body: bytes, more: bool) -> None:
        if self._chunked:
            end = b"" if more else b"0\r\n\r\n"
            body = b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        elif self._left >= 0:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the answer's body is not as long as its Content-Length")
        elif not self.until_close:
            body = b""
        if self._head and (body or not more):  # with what comes first: one write, and one packet
            body, self._head = self._head + body, b""
        if body:
            self.transport.write(body)
        if not more:
            self.response_complete = True
            self.message_event.set()
            self.protocol.on_response_complete()
