"""Shell. One client connection: deadlines, bounds and strict framing below ASGI, on uvicorn's httptools protocol.

What ASGI can't see is decided here: half a head, half a body, a client that does not read, an upgrade, a fragment,
trailers, the order of answers to pipelined requests. Refusals at this level are answered in plain JSON, because the
caller's dialect is not known yet, and end the connection.
"""

import asyncio
import contextlib
import logging
import math
import socket
import struct
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge import faults
from gateway.edge.cycle import Cycle, answer_bytes
from gateway.edge.server import Config
from gateway.edge.sockets import SocketProtocol
from gateway.errors import Refusal
from gateway.wire.websocket import check_opening

__all__ = ["GaugerHttpProtocol"]

PIPELINE = 16
"""Requests that may wait behind the one that is answered."""

IDLE, HEAD, BODY, ANSWER, DISCARD, LINGER, CLOSING = range(7)
"""What a connection waits for: a request, its head, its body, our answer, the rest of a body whose request has been
answered, the client to read a last answer, the transport to flush."""


class _Stopped(Exception):
    """Ends parsing; `_fault` says why."""


class GaugerHttpProtocol(HttpToolsProtocol):
    """One connection. Every wait on the client has a deadline, every buffer a bound (`gateway.edge.server.Bounds`)."""

    config: Config
    cycle: Cycle  # type: ignore[assignment]
    pipeline: deque[tuple[Cycle, Any]]  # type: ignore[assignment]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = logging.getLogger("gateway.edge.server")
        self.bounds = config.bounds
        self._phase = HEAD
        self._deadline = math.inf  # of the phase
        self._stall = math.inf  # of a client that does not read
        self._unsent = 0  # bytes, when the stall began
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when the timer fires
        self._in_head = False
        self._in_body = False
        self._read = 0  # bytes of this read
        self._raw_bytes = 0  # of a head, or of framing without content, in reads that did not end it
        self._moved = False  # this read began or ended something, or held content
        self._fault: Refusal | None = None  # why a callback stopped the parser
        self._deferred: Refusal | None = None  # waits for its turn behind earlier answers
        self._answering: Cycle | None = None
        self._socket = False  # the request asks for a WebSocket

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            self._say(faults.FULL)
            self.close()  # without lingering: the place is what is short
        else:
            self._arm(HEAD, self.bounds.head_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._phase, self._deadline, self._stall = CLOSING, math.inf, math.inf
        answering = self._answering
        if answering is not None and not answering.response_complete:
            answering.leave()  # uvicorn tells only the latest of pipelined requests
        self.pipeline.clear()
        super().connection_lost(exc)
        self._answering = self.cycle = None  # type: ignore[assignment]  # a cycle for the collector, with its request

    def data_received(self, data: bytes) -> None:
        if self._phase >= LINGER or self._deferred is not None:
            return
        self._moved = False
        self._read = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._switch(data[error.args[0] :])
            return
        except httptools.HttpParserError as error:
            fault, self._fault = self._fault, None
            if fault is None and isinstance(error, httptools.HttpParserCallbackError):
                self.logger.error("reading a request failed: %s", type(error.__context__).__name__)  # noqa: TRY400
            self._faulty(fault or faults.MALFORMED)
            return
        if not self._moved:
            self._raw_bytes += self._read
            if self._raw_bytes > self.bounds.head_bytes:
                self._faulty(faults.HEAD_TOO_LARGE)
                return
        self._wait()

    def _wait(self) -> None:
        """After a read: what is waited for now, and until when."""
        phase = self._phase
        if self._in_body:
            if phase != DISCARD:
                self._arm(BODY, self.bounds.body_idle_timeout)
        elif self._in_head:
            if phase != HEAD:  # from its first byte, and not renewed
                self._arm(HEAD, self.bounds.head_timeout)
        elif self.cycle is not None and not self.cycle.response_complete:
            self._phase, self._deadline = ANSWER, math.inf
        elif phase == DISCARD:
            self._arm(IDLE, self.bounds.keepalive_timeout)
        elif phase == IDLE:  # an empty line before a head counts as its first byte
            self._arm(HEAD, self.bounds.head_timeout)

    def touch(self) -> None:
        """The app begins to wait for the client's body: its idle time starts now."""
        if self._phase == BODY:
            self._arm(BODY, self.bounds.body_idle_timeout)

    # --- the parser's callbacks

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._moved = True
        self._raw_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        if len(self.url) > self.bounds.target_bytes:
            self._stop(faults.TARGET_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: ASGI has none, and uvicorn would add it to the head
        name = name.lower()
        value = value.rstrip(b" \t")
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers = self.headers
        if len(headers) > self.bounds.head_fields or (
            self._raw_bytes + self._read > self.bounds.head_bytes
            and sum(len(name) + len(value) + 4 for name, value in headers) > self.bounds.head_bytes
        ):
            self._stop(faults.HEAD_TOO_LARGE)
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        url = self.url
        try:
            self._socket = check_opening(method, version, headers)
        except Refusal as refusal:
            self._stop(refusal)
        if url[:1] != b"/" or b"#" in url:
            self._stop(faults.BAD_TARGET)
        scope: Any = self.scope
        path, _, query = url.partition(b"?")
        text = path.decode("ascii")
        scope["method"] = method
        scope["http_version"] = version
        scope["path"] = self.root_path + (unquote(text) if "%" in text else text)
        scope["raw_path"] = self.root_path.encode("ascii") + path
        scope["query_string"] = query
        before = self.cycle
        if self._socket:
            if before is not None and not before.response_complete:
                self._stop(faults.NOT_ALONE)
            return  # the parser ends here, and `_switch` goes on
        cycle = Cycle(
            self,
            scope,
            expects=self.expect_100_continue and version == "1.1",
            keep_alive=version == "1.1" and self.parser.should_keep_alive(),
        )
        self.cycle = cycle
        scope["extensions"] = cycle.extensions
        self._in_head, self._in_body, self._moved, self._raw_bytes = False, True, True, 0
        self._phase = ANSWER  # until `_wait` knows better: a next head has a deadline of its own
        if before is None or before.response_complete:
            self._run(cycle)
        else:
            if len(self.pipeline) >= PIPELINE:
                self.cycle = before
                self._in_head, self._in_body = True, False
                self._stop(faults.TOO_MANY_PIPELINED)
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _switch(self, rest: bytes) -> None:
        """Hands the connection over, with nothing of it left here. Nobody speaks before the answer: RFC 6455 4.1."""
        if rest or not self._socket:
            self._faulty(faults.MALFORMED)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._phase, self._deadline, self._stall = CLOSING, math.inf, math.inf
        self.connections.discard(self)
        SocketProtocol(self.config, self.server_state, self.scope, self.transport).start()

    def _run(self, cycle: Cycle) -> None:
        self._answering = cycle
        self._start_asgi_task(cycle, self.app)  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._moved = True
        self._raw_bytes = 0
        cycle = self.cycle
        if cycle.response_complete or cycle.disconnected:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._socket:
            return
        self._in_body, self._moved = False, True
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def _stop(self, refusal: Refusal) -> None:
        """Ends parsing from within a callback of the parser."""
        self._fault = refusal
        raise _Stopped

    # --- answers

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        cycle, self._answering = self._answering, None
        if self.transport.is_closing():
            self.close()
        elif cycle is not None and cycle.closing:
            self._finish()
        elif self.pipeline:
            self.flow.resume_reading()
            self._run(self.pipeline.pop()[0])
        elif self._deferred is not None:
            self._refuse(self._deferred)
        else:
            self.flow.resume_reading()
            if self._in_body:
                self._arm(DISCARD, self.bounds.linger)
            elif not self._in_head:
                self._arm(IDLE, self.bounds.keepalive_timeout)

    def fail(self, cycle: Cycle, refusal: Refusal) -> None:
        """Answers in place of the app, which has not begun to."""
        cycle.leave()
        self.pipeline.clear()
        self._refuse(refusal)

    def _faulty(self, refusal: Refusal) -> None:
        """The client's bytes make no request, or too late: refuse, after what is owed to earlier requests."""
        answering, latest = self._answering, self.cycle
        self._deferred = refusal
        if answering is None or answering.response_complete or answering.disconnected:
            self._refuse(refusal)
        elif self._in_head or answering is not latest:  # what is answered now is whole: it goes first
            if not self._in_head:
                self.pipeline.popleft()  # the latest request is the broken one
            self._phase, self._deadline = ANSWER, math.inf
        elif answering.response_started:
            answering.cut()
        else:
            self.fail(answering, refusal)

    def _refuse(self, refusal: Refusal) -> None:
        if not self.transport.is_closing():
            self._say(refusal)
            self._in_body = True  # more of what we refuse to read may be under way
            self._finish()

    def _say(self, refusal: Refusal) -> None:
        if self.config.on_refusal is not None:
            self.config.on_refusal(refusal)
        self.transport.write(answer_bytes(refusal))

    def _finish(self) -> None:
        """Closes after a last answer. Closing on unread bytes would reset, and lose that answer: so they are read."""
        self.pipeline.clear()
        if not self._in_body:
            self.close()
            return
        with contextlib.suppress(OSError, RuntimeError, NotImplementedError):
            if self.transport.can_write_eof():
                self.transport.write_eof()
        self.flow.resume_reading()
        self._arm(LINGER, self.bounds.linger)

    def close(self) -> None:
        """Closes once everything is sent; a client that does not read has `write_timeout` for it."""
        self.transport.close()
        self._arm(CLOSING, self.bounds.write_timeout)

    def reset(self) -> None:
        """Closes at once, with a reset where the socket allows it."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def shutdown(self) -> None:
        """Called by the server that drains: idle connections close now, others after their answer."""
        cycle = self._answering
        if cycle is None or cycle.response_complete:
            self.close()
        elif cycle.response_started:
            cycle.closing = True
        else:
            cycle.keep_alive = False

    # --- deadlines: one timer a connection, re-armed when it fires and not at every change

    def _arm(self, phase: int, seconds: float) -> None:
        self._phase = phase
        self._deadline = self.loop.time() + seconds
        if self._deadline < self._due:
            self._schedule(self._deadline)

    def _schedule(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = when
        self._timer = self.loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer, self._due = None, math.inf
        now = self.loop.time()
        if self._stall <= now:
            unsent = self.transport.get_write_buffer_size()
            if unsent >= self._unsent:
                self.reset()
                return
            self._unsent, self._stall = unsent, now + self.bounds.write_timeout
        if self._deadline <= now:
            self._expire()
        due = min(self._deadline, self._stall)
        if due < self._due:
            self._schedule(due)

    def _expire(self) -> None:
        phase, self._deadline = self._phase, math.inf
        if phase == CLOSING:
            self.reset()
        elif phase in (IDLE, DISCARD, LINGER):
            self.close()
        elif self.flow.read_paused:  # we are not listening: nothing to blame the client for
            self._arm(phase, self.bounds.head_timeout if phase == HEAD else self.bounds.body_idle_timeout)
        elif phase == HEAD:
            if self._in_head:
                self._faulty(faults.HEAD_TIMEOUT)
            else:
                self.close()  # it never began to speak
        elif phase == BODY:
            if self.cycle.waiting_for_100_continue:
                self._arm(BODY, self.bounds.body_idle_timeout)
            else:
                self._faulty(faults.BODY_TIMEOUT)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._stall = self.loop.time() + self.bounds.write_timeout
        if self._stall < self._due:
            self._schedule(self._stall)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stall = math.inf
