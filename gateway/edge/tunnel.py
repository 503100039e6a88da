"""Shell. Rung 8 of a session: a WebSocket passed through, as an ASGI app with scope `websocket`.

A message goes on as it is, as soon as it is whole, in one frame. Each side is a WebSocket of its own: pings are
answered here, and no extension is offered to the model server, since a compressed message could not be metered. A side
that does not read stops the other. A close goes on with its code and reason; a side that ends without one makes the
other end without one. Closes of our own: 1001 for a session that is idle, has lasted too long or ends with the
gateway, 1009 for a message of the model server over the bound, 1011 where it breaks the protocol.
"""

import asyncio
import contextlib
import secrets
from base64 import b64encode
from collections.abc import Coroutine
from typing import Any

import msgspec

from gateway.dialects import vendor_of
from gateway.edge.exchange import ClientGone, Exchange, Message, Receive, Scope, Send
from gateway.edge.frames import Closed, Frames
from gateway.edge.relay import Relay, answer_plainly, downward, give_up, upward
from gateway.edge.upstream import UpstreamError, UpstreamResponse
from gateway.errors import Refusal
from gateway.telemetry.ids import ulid
from gateway.wire.http import check_head, check_target
from gateway.wire.websocket import (
    ABNORMAL,
    GOING_AWAY,
    HANDSHAKE,
    HIDDEN_KEY,
    INTERNAL,
    NO_CODE,
    NORMAL,
    TOO_BIG,
    opened,
    passable,
)

__all__ = ["TunnelBounds", "pass_through"]

ANSWER_CAP = 1_048_576  # bytes of an answer that refuses a session


class TunnelBounds(msgspec.Struct, frozen=True):
    """What one session may take; seconds and bytes."""

    message_bytes: int = 16_777_216  # of the model server's messages
    idle: float = 600.0  # without a message, both ways
    total: float = 7200.0
    ping: float = 20.0  # without a byte of the model server, then a ping; as long again, and it is dead
    close: float = 5.0  # for the model server's answer to a close, and its end of the connection


async def pass_through(relay: Relay, scope: Scope, receive: Receive, send: Send, bounds: TunnelBounds) -> None:
    """One session, from its request to its end. Refusals are plain answers, in the caller's words."""
    x: Exchange | None = scope.get("gauger")
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string") or b""
    target = path + b"?" + query if query else path
    headers = [pair for pair in scope["headers"] if pair[0] not in HANDSHAKE or pair[0] == b"connection"]
    vendor = x.vendor if x is not None else vendor_of(path.decode("latin-1"), [name for name, _ in headers])
    started = False

    async def note(message: Message) -> None:
        nonlocal started
        started = True
        try:
            await send(message)
        except OSError:  # what ASGI has a server raise where its client has gone; ours drops it
            raise ClientGone from None

    async def plain(message: Message) -> None:
        await _plain(scope, message, note)

    try:
        if x is None:  # alone: the gate's checks are ours to make
            check_target(target)
            check_head("GET", scope.get("http_version", "1.1"), headers, query)
        upstream = relay.upstreams[vendor]
        if not upstream.switches:
            detail = "WebSockets are not spoken here: the client of the model server has none."
            raise Refusal("unsupported", 501, "unsupported_websocket", detail)
        up, _, _, host = upward(headers, judged=x is not None)
        offered = list(scope.get("subprotocols") or ())
        if relay.credentials.mode == "replace":
            target = relay.credentials.apply(vendor, up, target)
            offered = [each for each in offered if not each.startswith(HIDDEN_KEY)]
        key = b64encode(secrets.token_bytes(16))
        up += [(b"sec-websocket-key", key), (b"sec-websocket-version", b"13")]
        if offered:
            up.append((b"sec-websocket-protocol", ", ".join(offered).encode("latin-1")))
        async with _Opening(receive) as opening:
            response = await opening.within(upstream.upgrade(target, up, host=host if relay.preserve_host else None))
            try:
                if response.status == 101:
                    await _open(response, key, offered, note)
                    tunnel = _Tunnel(response, opening.receive, note, bounds)
                    await tunnel.run(x)
                else:
                    await _refused(response, plain)
            finally:
                await response.aclose()
    except ClientGone:
        if x is not None:
            x.end = x.end or "client_abort"
    except UpstreamError as error:
        await give_up(error, scope, vendor, plain, started=started)
    except Refusal as refusal:
        if x is not None or started:
            raise
        await answer_plainly(vendor, refusal, ulid(), plain)


async def _plain(scope: Scope, message: Message, send: Send) -> None:
    """A plain answer in place of a socket; where the server can't give one, a close, which it makes a 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({**message, "type": "websocket." + message["type"]})
    elif message["type"] == "http.response.start":
        await send({"type": "websocket.close", "code": INTERNAL})


async def _open(response: UpstreamResponse, key: bytes, offered: list[str], send: Send) -> None:
    """Raises UpstreamError where the answer is another handshake's."""
    try:
        chosen = opened(response.headers, key, offered)
    except ValueError:
        raise UpstreamError("invalid", sent=True) from None
    headers = [pair for pair in downward(response) if pair[0] not in HANDSHAKE]
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})


async def _refused(response: UpstreamResponse, send: Send) -> None:
    """The model server refuses: its answer is the caller's."""
    await send({"type": "http.response.start", "status": response.status, "headers": downward(response)})
    size = 0
    while (block := await response.read()) is not None:
        size += len(block)
        if size > ANSWER_CAP:
            raise UpstreamError("invalid", sent=True)
        await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Opening:
    """Waits for the model server while listening to the client: who leaves before the answer ends the attempt."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._first: asyncio.Task[Message] | None = None

    async def __aenter__(self) -> "_Opening":
        message = await self._receive()
        if message["type"] != "websocket.connect":
            raise ClientGone
        self._first = asyncio.create_task(_once(self._receive))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)

    async def within(self, work: Coroutine[Any, Any, UpstreamResponse]) -> UpstreamResponse:
        """What `work` returns. Raises ClientGone when the client leaves meanwhile."""
        assert self._first is not None
        task = asyncio.create_task(work)
        try:
            await asyncio.wait((task, self._first), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await _drop(task)
            raise
        if task.done():
            return task.result()
        await _drop(task)
        raise ClientGone

    async def receive(self) -> Message:
        """The channel from here on, beginning with what was heard meanwhile."""
        first, self._first = self._first, None
        return await (first if first is not None else self._receive())


async def _drop(task: "asyncio.Task[UpstreamResponse]") -> None:
    """Ends an attempt that nobody wants any more, and what it may have brought."""
    task.cancel()
    (found,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(found, UpstreamResponse):
        await found.aclose()


async def _once(receive: Receive) -> Message:
    return await receive()


class _Tunnel:
    """An open session. Three tasks: what the client says, what the model server says, and the time."""

    def __init__(self, response: UpstreamResponse, receive: Receive, send: Send, bounds: TunnelBounds) -> None:
        self._response = response
        self._receive = receive
        self._send = send
        self._bounds = bounds
        self._frames = Frames(client=True, max_bytes=bounds.message_bytes)
        self._writing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._spoken = self._heard = self._loop.time()
        self._listening = False  # to the model server
        self._left: Closed | None = None  # how the client did
        self._why = ""  # we end it

    async def run(self, x: Exchange | None) -> None:
        """Until the session's end. Raises UpstreamError where the model server's side broke."""
        up = asyncio.create_task(self._up())
        down = asyncio.create_task(self._down())
        clock = asyncio.create_task(self._clock())
        tasks = (up, down, clock)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if up.done() and up.exception() is not None:  # it could not be written to: its last words may be here
                await asyncio.wait((down,), timeout=self._bounds.close)
            if down.done():
                await self._told(down, x)
            elif up.done():
                await up
                left = self._left or Closed(ABNORMAL)
                if left.code != ABNORMAL:
                    await self._bye(left, down)
            else:
                await clock
                if x is not None:
                    x.error = self._why
                await self._say_close(GOING_AWAY, self._why, ours=True)
                await self._bye(Closed(GOING_AWAY, self._why), down)
        except asyncio.CancelledError:
            with contextlib.suppress(UpstreamError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._write(self._frames.close(GOING_AWAY))
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _up(self) -> None:
        """What the client says, until it leaves."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._left = Closed(message.get("code", ABNORMAL), message.get("reason") or "")
                return
            text = message.get("text")
            self._spoken = self._loop.time()
            await self._write(self._frames.message(text if text is not None else message["bytes"]))

    async def _down(self) -> None:
        """What the model server says, until its close, or what is none. Raises UpstreamError where it just ends."""
        frames, response = self._frames, self._response
        while True:
            while frames.messages:
                message = frames.take()
                self._spoken = self._loop.time()
                kind = "text" if isinstance(message, str) else "bytes"
                await self._send({"type": "websocket.send", kind: message})
            if frames.closed is not None or frames.fault:
                return
            self._listening = True
            try:
                data = await response.read()
            finally:
                self._listening = False
            if data is None:
                raise UpstreamError("closed", sent=True)
            self._heard = self._loop.time()
            frames.feed(data)
            if answer := frames.output():
                await self._write(answer)

    async def _clock(self) -> None:
        """Until the session was silent, or lasted, too long. Raises UpstreamError for a model server that is dead."""
        bounds, loop = self._bounds, self._loop
        end = loop.time() + bounds.total
        pinged = 0.0  # when; an answer comes later
        while True:
            due = min(end, self._spoken + bounds.idle, self._heard + bounds.ping * (1 + (pinged > self._heard)))
            await asyncio.sleep(max(0.01, due - loop.time()))
            now = loop.time()
            if now >= end or now >= self._spoken + bounds.idle:
                self._why = "session_timeout" if now >= end else "session_idle"
                return
            if not self._listening or self._writing.locked():  # held up elsewhere: the pool has a time-out for that
                self._heard = now
            elif now >= self._heard + bounds.ping and pinged <= self._heard:
                pinged = now
                await self._write(self._frames.ping())
            elif now >= self._heard + 2 * bounds.ping:
                raise UpstreamError("timeout_read", sent=True)

    async def _write(self, data: bytes) -> None:
        """One after the other: the connection takes one write at a time."""
        async with self._writing:
            if data:
                await self._response.write(data)

    async def _told(self, down: "asyncio.Task[None]", x: Exchange | None) -> None:
        """The model server has ended it."""
        await down
        fault = self._frames.fault
        if fault:
            if x is not None and x.end is None:
                x.end, x.error = "upstream_error", "invalid"
            why = "a message of the model server is too large" if fault == TOO_BIG else "the model server failed"
            await self._say_close(TOO_BIG if fault == TOO_BIG else INTERNAL, why, ours=True)
            return
        closed = self._frames.closed or Closed(NO_CODE)
        await self._say_close(closed.code if passable(closed.code) else NORMAL, closed.reason)
        with contextlib.suppress(UpstreamError, TimeoutError):  # it hangs up next
            async with asyncio.timeout(self._bounds.close):
                while await self._response.read() is not None:
                    pass

    async def _bye(self, closed: Closed, down: "asyncio.Task[None]") -> None:
        """Closes the model server's side, and waits for its answer; what it still says is dropped with the client."""
        code = closed.code if passable(closed.code) else NO_CODE
        with contextlib.suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(self._bounds.close):
                await self._write(self._frames.close(code, closed.reason))
                await asyncio.wait((down,))

    async def _say_close(self, code: int, reason: str, *, ours: bool = False) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason, "gauger.ours": ours})
