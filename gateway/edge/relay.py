"""Shell. Rung 8: a streaming reverse proxy as an ASGI app. Bytes pass unchanged, as soon as they arrive, both ways.

What is not passed on, and nothing else (RFC 9110 section 7.6.1): the hop-by-hop fields and whatever `Connection`
names, on the way up and on the way down; `Expect`, because the server has answered it; `gauger-*` fields, unless a gate
in front put them there; `Host`, which becomes the upstream's. `Via` is added on the way up (RFC 9110 section 7.6.3).
Framing is our own on both sides, so what one side understood is what the other is told.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from typing import Any, Literal, Self
from urllib.parse import unquote_to_bytes

from gateway.dialects import vendor_of
from gateway.edge.exchange import Aborted, ClientGone, Exchange, Receive, Scope, Send
from gateway.edge.upstream import Sink, Upstream, UpstreamError, UpstreamResponse
from gateway.errors import Refusal
from gateway.identity import QUERY_KEYS
from gateway.refusals import Vendor, render
from gateway.telemetry.ids import ulid
from gateway.wire.http import check_head, check_target, internal

__all__ = ["Credentials", "Relay", "answer_plainly", "downward", "give_up", "upward"]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
NOT_UP = HOP_BY_HOP | {b"host", b"expect", b"content-length"}
CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
VIA = (b"via", b"1.1 gauger")
Headers = list[tuple[bytes, bytes]]

TIMEOUTS = ("timeout_read", "timeout_total", "timeout_connect")
OURS = ("pool_full", "timeout_pool")


class Credentials:
    """What happens to the caller's key on the way up: it passes, or one of ours takes its place, a vendor each."""

    def __init__(self, mode: Literal["pass", "replace"] = "pass", keys: Mapping[Vendor, str] | None = None) -> None:
        self.mode = mode
        self._keys = {vendor: key.encode("ascii") for vendor, key in (keys or {}).items()}

    def apply(self, vendor: Vendor, headers: Headers, target: bytes) -> bytes:
        """Edits `headers` in place and returns the target; only called with mode `replace`."""
        headers[:] = [pair for pair in headers if pair[0] not in CREDENTIALS]
        key = self._keys.get(vendor)
        if key is not None:
            if vendor == "openai":
                headers.append((b"authorization", b"Bearer " + key))
            else:
                headers.append((b"x-api-key" if vendor == "anthropic" else b"x-goog-api-key", key))
        path, mark, query = target.partition(b"?")
        if mark:
            parts = [part for part in query.split(b"&") if not _is_key(part.partition(b"=")[0])]
            return path + b"?" + b"&".join(parts) if parts else path
        return target


class Relay:
    """`Relay(upstreams)` proxies each vendor's paths to its upstream; `upstreams` maps every vendor to one."""

    def __init__(
        self,
        upstreams: Mapping[Vendor, Upstream],
        *,
        credentials: Credentials | None = None,
        preserve_host: bool = False,
    ) -> None:
        self.upstreams = upstreams
        self.credentials = credentials or Credentials()
        self.preserve_host = preserve_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        x: Exchange | None = scope.get("gauger")
        path = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string") or b""
        target = path + b"?" + query if query else path
        headers: Headers = scope["headers"]
        vendor = x.vendor if x is not None else vendor_of(path.decode("latin-1"), [name for name, _ in headers])
        out = _Answering(send)
        try:
            if x is None:  # alone: the gate's checks are ours to make
                check_target(target)
                check_head(scope["method"], scope.get("http_version", "1.1"), headers, query)
            await self._relay(scope, receive, out, vendor, target, headers)
        except ClientGone:
            if x is not None:
                x.end = x.end or "client_abort"
        except UpstreamError as error:
            await give_up(error, scope, vendor, send, started=out.started)
        except Refusal as refusal:
            if x is not None or out.started:
                raise
            await answer_plainly(vendor, refusal, ulid(), send)

    async def _relay(
        self, scope: Scope, receive: Receive, out: "_Answering", vendor: Vendor, target: bytes, headers: Headers
    ) -> None:
        async with _Watch(scope, receive) as watch:
            response = await self._ask(scope, receive, watch, vendor, target, headers)
            send = out.send
            try:
                out.started = True
                await send({"type": "http.response.start", "status": response.status, "headers": downward(response)})
                sink = out.sink(scope)
                while (block := await response.read(sink)) is not None and not response.whole:
                    await send({"type": "http.response.body", "body": block, "more_body": True})
            finally:
                await response.aclose()
            await send({"type": "http.response.body", "body": block or b"", "more_body": False})

    async def _ask(
        self, scope: Scope, receive: Receive, watch: "_Watch", vendor: Vendor, target: bytes, headers: Headers
    ) -> UpstreamResponse:
        """Sends the request on. Its body is held until the answer begins, and not for as long as that takes."""
        upstream = self.upstreams[vendor]
        up, length, chunked, host = upward(headers, judged=scope.get("gauger") is not None)
        if self.credentials.mode == "replace":
            target = self.credentials.apply(vendor, up, target)
        body: bytes | AsyncIterator[bytes] | None = None
        if length or chunked:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            first = message.get("body", b"")
            if message.get("more_body", False):
                body = _stream(first, receive, watch.begin)
                length = None if chunked else length
            else:
                body, length = first, len(first)
        elif length == 0:
            body = b""
        if isinstance(body, bytes | None):
            watch.begin(read=True)
        method: str = scope["method"]
        return await upstream.send(
            method.encode("ascii"), target, up, body, length, host=host if self.preserve_host else None
        )

    async def aclose(self) -> None:
        """Closes every connection to the upstreams."""
        for upstream in set(self.upstreams.values()):
            await upstream.aclose()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.aclose()
            await send({"type": "lifespan.shutdown.complete"})
        else:  # a WebSocket: `gateway.app.Relay` has the tunnel for it
            await receive()
            await send({"type": "websocket.close", "code": 1002})


class _Answering:
    """The answer's channel, and whether anything was said on it."""

    __slots__ = ("send", "started")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False

    def sink(self, scope: Scope) -> Sink | None:
        """What takes the body's pieces without waiting, where `send` goes straight to a gate of ours, or a server."""
        x: Exchange | None = scope.get("gauger")
        if x is not None:
            return x.sink if self.send == x.send else None
        send, push = scope.get("extensions", {}).get("gauger.push", (None, None))
        return push if send == self.send else None


class _Watch:
    """Cancels the block when the client leaves, and turns that into ClientGone.

    While a request body is streaming, its reader sees the client leave, and two readers of one channel would steal
    each other's messages: so the watch begins when the reader is done, or has been stopped by an early answer.
    Our own server calls back (`gauger.watch`); of any other a task asks.
    """

    __slots__ = ("_ask", "_gone", "_main", "_receive", "_task")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._ask: Callable[[Callable[[], None] | None], bool] | None = scope.get("extensions", {}).get("gauger.watch")
        self._receive = receive
        self._gone = False
        self._main: asyncio.Task[Any] | None = None  # whoever is in the block
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._main = asyncio.current_task()
        return self

    def begin(self, *, read: bool) -> None:
        """From here on the channel is ours. Nothing happens outside the block, or the second time.

        `read`: there is nothing of a body left in it.
        """
        if self._main is None or self._task is not None:
            return
        if not read or self._ask is None:
            self._task = asyncio.create_task(self._watch())
        elif not self._ask(self._left):
            self._left()

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass  # the rest of an upload that the model server did not want
        except Refusal:
            return  # it is over our bound as well, and answered already: it is not read to its end
        self._left()

    def _left(self) -> None:
        if self._main is not None:
            self._gone = True
            self._main.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, value: object, trace: object) -> None:
        main, self._main = self._main, None
        if self._task is not None:
            self._task.cancel()
        elif self._ask is not None:
            self._ask(None)
        if self._gone and kind is asyncio.CancelledError and main is not None and main.uncancel() <= 0:
            raise ClientGone


def _is_key(name: bytes) -> bool:
    """Whether a query parameter is Google's API key, however its name is spelled."""
    return unquote_to_bytes(name.replace(b"+", b" ")) in QUERY_KEYS


async def _stream(first: bytes, receive: Receive, done: Callable[..., None]) -> AsyncIterator[bytes]:
    """The request's body as it comes; `done` is called when it is read, or no longer wanted, but not if it failed."""
    try:
        if first:
            yield first
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            more = message.get("more_body", False)
            if not more:
                done(read=True)
            if chunk := message.get("body", b""):
                yield chunk
    except (ClientGone, Refusal):
        raise
    except BaseException:
        done(read=False)
        raise


def _connection_names(headers: Headers) -> frozenset[bytes]:
    named = [value for name, value in headers if name == b"connection"]
    if not named:
        return frozenset()
    return frozenset(token.strip().lower() for value in named for token in value.split(b","))


def upward(headers: Headers, *, judged: bool) -> tuple[Headers, int | None, bool, bytes | None]:
    """Request fields for the upstream, the declared length, whether the body was chunked, and the client's host.

    `judged`: a gate has taken the client's `gauger-*` fields out, so one that is there is ours, whatever the client's
    `Connection` names.
    """
    named = _connection_names(headers)
    out: Headers = []
    length: int | None = None
    chunked = False
    host: bytes | None = None
    for pair in headers:
        name = pair[0]
        if name in NOT_UP:
            if name == b"content-length":
                length = int(pair[1])
            elif name == b"transfer-encoding":
                chunked = True
            elif name == b"host":
                host = pair[1]
        elif judged if internal(name) else name not in named:
            out.append(pair)
    out.append(VIA)
    return out, length, chunked, host


def downward(response: UpstreamResponse) -> Headers:
    named = _connection_names(response.headers)
    return [pair for pair in response.headers if pair[0] not in HOP_BY_HOP and pair[0] not in named]


def failure(error: UpstreamError) -> Refusal:
    kind = error.kind
    if kind in OURS:
        return Refusal(
            "overloaded", 503, "upstream_busy", "All connections to the model server are in use.", retry_after=1
        )
    if kind in TIMEOUTS:
        return Refusal("upstream_timeout", 504, "upstream_timeout", "The model server did not answer in time.")
    if kind == "invalid" and not error.sent:
        return Refusal("bad_request", 400, "invalid_request", "The request can't be sent on as it is.")
    if kind == "invalid":
        return Refusal("upstream_invalid", 502, "upstream_invalid", "The model server sent an answer that is not HTTP.")
    return Refusal("upstream_unreachable", 502, "upstream_unreachable", "The model server could not be reached.")


async def give_up(error: UpstreamError, scope: Scope, vendor: Vendor, send: Send, *, started: bool) -> None:
    """What a caller is told of an exchange that failed. Raises Aborted where his answer has begun: it breaks off."""
    x: Exchange | None = scope.get("gauger")
    if x is not None and x.end is None:
        x.end = "timeout" if error.kind in TIMEOUTS else "upstream_error"
        x.error = error.kind
    if started:
        abort = scope.get("extensions", {}).get("gauger.abort")
        if abort is not None:
            abort()
        raise Aborted(error.kind) from None
    await answer_plainly(vendor, failure(error), x.id if x is not None else ulid(), send)


async def answer_plainly(vendor: Vendor, refusal: Refusal, request_id: str, send: Send) -> None:
    headers, body = render(vendor, refusal, request_id)
    headers.append((b"date", formatdate(usegmt=True).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
