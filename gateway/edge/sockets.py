"""Shell. One WebSocket of a client, below ASGI: what `protocol.py` hands over once a request for one was found sound.

To the app it is a scope `websocket` (ASGI 2.5): its messages, `websocket.http.response` for refusals, and our own
extension `gauger.abort`, which ends the connection without a close. Every buffer has a bound: what is not read by the
app stops the client, what is not read by the client stops the app, and what all sessions together hold of messages
that wait or are not whole is bounded by `Config.held`.
"""

import asyncio
import contextlib
import logging
import math
import socket
import struct
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from uvicorn.server import ServerState

from gateway.edge import faults
from gateway.edge.cycle import STATUS_LINES, answer_bytes
from gateway.edge.exchange import Aborted
from gateway.edge.frames import Frames
from gateway.wire.websocket import ABNORMAL, GOING_AWAY, HANDSHAKE, INTERNAL, NORMAL, accept_of, passable, subprotocols

if TYPE_CHECKING:
    from gateway.edge.server import Config

__all__ = ["SocketProtocol"]

log = logging.getLogger("gateway.edge.server")

CONNECTING, OPEN, ANSWERING, CLOSING, CLOSED = range(5)
"""What a socket waits for: the app's word, messages, the rest of a plain answer, the client's end, nothing."""

NOT_OURS = HANDSHAKE | {b"content-length", b"transfer-encoding"}


class SocketProtocol(asyncio.Protocol):
    """One connection, from the request on. `scope` is the request's, as `protocol.py` has made it for HTTP."""

    def __init__(self, config: "Config", state: ServerState, scope: Any, transport: asyncio.Transport) -> None:
        self.config = config
        self.bounds = config.bounds
        self.held = config.held
        self.transport = transport
        self.connections = state.connections
        self.tasks = state.tasks
        self._loop = asyncio.get_running_loop()
        self._phase = CONNECTING
        self._frames = Frames(client=False, max_bytes=self.bounds.message_bytes)
        self._mine = 0  # bytes counted in `held`
        self._news = asyncio.Event()  # a message, or the end
        self._writable = asyncio.Event()
        self._writable.set()
        self._told = False  # the app has had its `websocket.connect`
        self._end: dict[str, Any] | None = None  # the `websocket.disconnect` that the app will get
        self._reading = True
        self._heard = self._loop.time()
        self._pinged = False
        self._stall = math.inf  # until when a client may refuse to read
        self._unsent = 0
        self._deadline = math.inf  # of a close
        self._timer: asyncio.TimerHandle | None = None
        headers = scope["headers"]
        self._key = next(value.strip() for name, value in headers if name == b"sec-websocket-key")
        self.scope: dict[str, Any] = {
            **scope,
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "scheme": "wss" if scope.get("scheme") == "https" else "ws",
            "subprotocols": subprotocols(headers),
            "extensions": {"websocket.http.response": {}, "gauger.abort": self.cut},
        }
        del self.scope["method"]

    def start(self) -> None:
        """Calls the app."""
        self.transport.set_protocol(self)
        self.connections.add(self)  # type: ignore[arg-type]  # uvicorn's are of its own two classes
        self._schedule()
        task = self._loop.create_task(self._run())
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _run(self) -> None:
        """A failure is logged by type and place only: a message of an exception may quote the client."""
        try:
            await self.config.loaded_app(self.scope, self.receive, self.send)
        except Aborted:
            self.cut()
        except asyncio.CancelledError:  # the server is shutting down, and has waited long enough
            self._leave(GOING_AWAY, "the gateway is shutting down")
            raise
        except Exception as error:  # noqa: BLE001 - an app may raise anything; it ends here, as in any ASGI server
            places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            log.error("the application failed: %s at %s", type(error).__name__, " > ".join(places[-8:]))  # noqa: TRY400
            self._leave(INTERNAL, "the gateway failed")
        else:
            if self._phase in (CONNECTING, OPEN, ANSWERING):
                log.error("the application returned without closing its socket")
            self._leave(INTERNAL, "the gateway failed")
        finally:
            self.scope["extensions"].pop("gauger.abort", None)  # it refers to this object: a cycle for the collector

    # --- what the app calls

    async def receive(self) -> dict[str, Any]:
        """The next message, `websocket.connect` first, `websocket.disconnect` last and for ever."""
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        frames = self._frames
        while not frames.messages:
            if self._end is not None:
                return self._end
            self._news.clear()
            await self._news.wait()
        message = frames.take()
        self._account()
        if not frames.messages and not self._reading and self._end is None:
            self._reading = True
            self.transport.resume_reading()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, message: Any) -> None:
        """Takes the app's messages; what comes after the end is dropped. Raises RuntimeError for what is out of order.

        A message, and a part of an answer, return when the client has room for more.
        """
        kind = message["type"]
        if self._phase == CONNECTING:
            if kind == "websocket.accept":
                self._accept(message.get("subprotocol"), message.get("headers", ()))
            elif kind == "websocket.close":
                self._write(answer_bytes(faults.FORBIDDEN))
                self._close()
            elif kind == "websocket.http.response.start":
                self._answer(message["status"], message.get("headers", ()))
            else:
                raise RuntimeError("a socket is accepted, or refused, before anything is sent")
        elif self._phase == OPEN:
            if kind == "websocket.send":
                text = message.get("text")
                self._write(self._frames.message(text if text is not None else message["bytes"]))
            elif kind == "websocket.close":
                code = message.get("code", NORMAL)
                self._leave(code if passable(code) else NORMAL, message.get("reason") or "")
            else:
                raise RuntimeError("an open socket sends messages, and a close")
        elif self._phase == ANSWERING:
            if kind != "websocket.http.response.body":
                raise RuntimeError("an answer has one head and one end")
            self._write(message.get("body", b""))
            if not message.get("more_body", False):
                self._close()
        await self._writable.wait()

    def cut(self) -> None:
        """Ends the connection without a close, after what was sent before; harmless when repeated."""
        if self._phase in (CONNECTING, OPEN, ANSWERING):
            self._over({"type": "websocket.disconnect", "code": ABNORMAL})
            self._close()

    def shutdown(self) -> None:
        """Called by the server that drains: a session goes on until the server's patience ends."""

    # --- what the transport calls

    def data_received(self, data: bytes) -> None:
        self._heard, self._pinged = self._loop.time(), False
        frames = self._frames
        if self._phase in (CONNECTING, ANSWERING):  # it must wait for the answer: RFC 6455 section 4.1
            self._over({"type": "websocket.disconnect", "code": ABNORMAL})
            self._abort()
            return
        if self._phase == CLOSED:
            return
        frames.feed(data)
        self._write(frames.output())
        if self._phase == CLOSING:
            frames.messages.clear()
            if frames.closed is not None:
                self._close()
            return
        self._account()
        if self.held.now > self.held.most and not frames.fault:
            self._write(frames.overflow())
            self._account()
        if frames.closed is not None:
            closed = frames.closed
            self._over({"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason})
            self._close()
        elif frames.fault:
            self._over({"type": "websocket.disconnect", "code": ABNORMAL, "gauger.fault": frames.fault})
            self._linger()
        elif frames.messages:
            self._news.set()
            if self._reading:
                self._reading = False
                self.transport.pause_reading()
        elif not self._writable.is_set() and self._reading:  # it sends pings and reads no pongs
            self._reading = False
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """The transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = CLOSED
        self._over({"type": "websocket.disconnect", "code": ABNORMAL})
        self._writable.set()  # nobody waits for a client that has gone
        self._stall = self._deadline = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.held.now -= self._mine
        self._mine = 0
        self.connections.discard(self)

    def pause_writing(self) -> None:
        self._writable.clear()
        self._unsent = self.transport.get_write_buffer_size()
        self._stall = self._loop.time() + self.bounds.write_timeout
        self._schedule()

    def resume_writing(self) -> None:
        self._writable.set()
        self._stall = math.inf
        if not self._reading and not self._frames.messages and self._end is None:
            self._reading = True
            self.transport.resume_reading()

    # --- beginnings and ends

    def _accept(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [
            b"HTTP/1.1 101 Switching Protocols",
            b"upgrade: websocket",
            b"connection: Upgrade",
            b"sec-websocket-accept: " + accept_of(self._key),
        ]
        if subprotocol is not None:
            lines.append(b"sec-websocket-protocol: " + subprotocol.encode("latin-1"))
        lines += [name + b": " + value for name, value in headers if name.lower() not in NOT_OURS]
        self._head(lines)
        self._phase = OPEN

    def _answer(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The head of a plain answer: its end is the connection's, whether it has a length or not."""
        lines = [STATUS_LINES[status]]
        for name, value in headers:
            if name.lower() not in (b"transfer-encoding", b"connection", b"keep-alive"):
                lines.append(name + b": " + value)
        lines.append(b"connection: close")
        self._head(lines)
        self._phase = ANSWERING

    def _head(self, lines: list[bytes]) -> None:
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        if not head.count(b"\n") == head.count(b"\r") == len(lines) + 1 or b"\x00" in head:
            raise RuntimeError("a field of the answer holds a line break")
        self._write(head)

    def _leave(self, code: int, reason: str) -> None:
        """Closes from this side; the client has `linger` seconds to answer. Harmless when repeated."""
        if self._phase == CONNECTING:
            self._write(answer_bytes(faults.FAILED))
            self._over({"type": "websocket.disconnect", "code": ABNORMAL})
            self._close()
        elif self._phase == OPEN:
            self._phase = CLOSING
            self._over({"type": "websocket.disconnect", "code": code, "reason": reason})
            self._frames.messages.clear()
            self._write(self._frames.close(code, reason))
            self._await_answer()
        elif self._phase == ANSWERING:
            self._close()

    def _linger(self) -> None:
        """The client was told what it did wrong. Closing on unread bytes would reset, and lose that: they are read."""
        self._phase = CLOSING
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            if self.transport.can_write_eof():
                self.transport.write_eof()
        self._await_answer()

    def _await_answer(self) -> None:
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        self._deadline = self._loop.time() + self.bounds.linger
        self._schedule()

    def _over(self, end: dict[str, Any]) -> None:
        if self._end is None:
            self._end = end
        self._news.set()

    def _close(self) -> None:
        """Closes once everything is sent; a client that does not read has `write_timeout` for it."""
        self._phase = CLOSED
        if not self.transport.is_closing():
            self.transport.close()
        self._deadline = self._loop.time() + self.bounds.write_timeout
        self._schedule()

    def _abort(self) -> None:
        """Closes at once, with a reset where the socket allows it."""
        self._phase = CLOSED
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _write(self, data: bytes) -> None:
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def _account(self) -> None:
        mine = self._frames.held
        self.held.now += mine - self._mine
        self._mine = mine

    # --- time: one timer a connection

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = min(self._deadline, self._stall, self._heard + self.bounds.ping * (2 if self._pinged else 1))
        self._timer = self._loop.call_at(max(due, self._loop.time() + 0.01), self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._deadline <= now:
            self._abort()
            return
        if self._stall <= now:
            unsent = self.transport.get_write_buffer_size()
            if unsent >= self._unsent:
                self._abort()
                return
            self._unsent, self._stall = unsent, now + self.bounds.write_timeout
        if not self._reading or self._phase != OPEN:
            self._heard, self._pinged = now, False  # we are not listening: nothing to blame the client for
        elif self._pinged and now >= self._heard + 2 * self.bounds.ping:
            self._over({"type": "websocket.disconnect", "code": ABNORMAL})
            self._abort()
            return
        elif not self._pinged and now >= self._heard + self.bounds.ping:
            self._pinged = True
            self._write(self._frames.ping())
        self._schedule()
