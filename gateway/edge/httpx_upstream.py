"""Shell. Another upstream client: any httpx transport behind the seam, called directly, without httpx's own client.

What it keeps of the seam's promises. The target goes out byte for byte where the transport is httpx's own; a transport
that would rewrite it is not asked. The framing is one field, written here. An answer is checked for what its library
lets pass: both framings, a length twice, chunks in HTTP/1.0, a status beyond 599, a stream to the end of TLS that TLS
did not end. A connection goes back only if nothing is left to read on it, in the library's buffer or in TLS's.

What it can't keep, because the library decides it. An iterated body is sent whole before the answer is read, so an
early refusal doesn't stop it. Field names and values that h11 won't write are refused, and so is a method in lower
case. Interim answers are skipped without a bound but the time-outs'; a line that ends in a bare LF is read. A reused
connection that dies after the first bytes of a head can't be told from one that dies before: what is repeatable is sent
once more. The total time-out ends an answer when it is next read. HTTP/2 writes names in lower case, and takes a
connection for each exchange. A transport of somebody else's pools as it likes: what is said of connections is then its.
"""

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator
from typing import Any

import httpx

from gateway.edge.h1 import OURS, request_head, truncated
from gateway.edge.httpx_reading import Fields, checked, fault_of, may_have_left, reusable
from gateway.edge.lanes import Lane, Lanes, Make
from gateway.edge.pool import BODY_EXPECTED, REPEATABLE, SLICE
from gateway.edge.upstream import (
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

__all__ = ["HttpxUpstream"]

NEVER = float("inf")

log = logging.getLogger(__name__)


class HttpxUpstream(Upstream):
    """One model server behind httpx transports: one for each connection, or one that all requests share."""

    def __init__(
        self,
        origin: Origin,
        make: Make,
        *,
        shared: bool = False,
        timeouts: UpstreamTimeouts | None = None,
        bounds: PoolBounds | None = None,
    ) -> None:
        self.origin = origin
        self._timeouts = timeouts or UpstreamTimeouts()
        bounds = bounds or PoolBounds()
        self._lanes = Lanes(make, bounds, shared=shared)
        self._url = httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port, path="/")
        self._limits = {
            "connect": self._timeouts.connect or None,
            "read": self._timeouts.read or None,
            "write": self._timeouts.read or None,
            "pool": bounds.wait or None,
        }

    @property
    def stats(self) -> UpstreamStats:
        return self._lanes.stats

    async def send(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        body: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        *,
        host: bytes | None = None,
    ) -> UpstreamResponse:
        target = self.origin.target(target)
        fields, stream = _framed(method, headers, body, length)
        fields.insert(0, (b"host", host or self.origin.authority))
        request_head(method, target, fields[0][1], headers, b"")  # refuses what could be read in two ways
        if method != method.upper():
            raise UpstreamError("invalid", sent=False)  # httpx would write it in capitals
        now = asyncio.get_running_loop().time()
        deadline = now + self._timeouts.total if self._timeouts.total else NEVER
        lane = await self._lanes.take()
        try:
            while True:
                try:
                    return await self._ask(lane, method, target, fields, stream, deadline)
                except _Again:
                    if not isinstance(body, bytes | None) or method not in REPEATABLE:
                        raise UpstreamError("closed", sent=True) from None
                    lane = self._lanes.renew(lane)
        except BaseException:
            await self._lanes.drop(lane)
            raise
        finally:
            await stream.done()

    async def aclose(self) -> None:
        await self._lanes.aclose()

    async def _ask(
        self, lane: Lane, method: bytes, target: bytes, fields: Fields, stream: "_Body", deadline: float
    ) -> "_Response":
        """One try. Raises _Again where a reused connection died before it answered."""
        transport = lane.transport
        ours = isinstance(transport, httpx.AsyncHTTPTransport)  # takes a target as it is, and tells how far it got
        url = _Url(self._url, target) if ours else self._plain(target)
        reused, lane.used = lane.used, True
        watch = _Watch(self._lanes, lane, deadline, self._timeouts.connect if ours else 0.0)
        extensions: dict[str, Any] = {"timeout": self._limits, "trace": watch}
        request = httpx.Request(method.decode("ascii"), url, headers=fields, stream=stream, extensions=extensions)
        request.url = url  # Request made a plain one of it
        try:
            async with watch.limit:
                response = await transport.handle_async_request(request)
        except Exception as error:
            if stream.error is not None:
                raise stream.error from None
            if isinstance(error, UpstreamError):
                raise
            began, written = (watch.began, watch.written) if ours else (True, True)  # as far as is known
            if watch.limit.expired():
                overdue = asyncio.get_running_loop().time() >= deadline
                raise UpstreamError("timeout_total" if overdue else "timeout_connect", sent=began) from error
            kind = fault_of(error)
            if kind == "closed" and ours and reused and not watch.fresh:
                raise _Again from error
            raise UpstreamError(kind, sent=may_have_left(error, began, written)) from error
        try:
            return _Response(self._lanes, lane, response, method == b"HEAD", deadline)
        except UpstreamError:
            await _closed(response)
            raise

    def _plain(self, target: bytes) -> httpx.URL:
        """The URL of a target that it does not change. Raises UpstreamError where it would."""
        try:
            url = self._url.copy_with(raw_path=target)
        except httpx.InvalidURL as error:
            raise UpstreamError("invalid", sent=False) from error
        if url.raw_path != target:
            raise UpstreamError("invalid", sent=False)
        return url


class _Url(httpx.URL):
    """A URL that is not rewritten: httpx's transport asks it for its parts, and passes them on to a proxy too."""

    def __init__(self, url: httpx.URL, target: bytes) -> None:
        super().__init__(url)
        self._target = target

    @property
    def raw_path(self) -> bytes:
        return self._target


class _Again(Exception):
    """A reused connection died; a fresh one may do."""


class _Watch:
    """Hears from httpcore how far an exchange has got, and holds the time for connecting to it: name, TCP and TLS."""

    __slots__ = ("_deadline", "_lane", "_lanes", "began", "fresh", "limit", "written")

    def __init__(self, lanes: Lanes, lane: Lane, deadline: float, connect: float) -> None:
        self._lanes = lanes
        self._lane = lane
        self._deadline = deadline if deadline < NEVER else None
        self.fresh = False  # a connection was made for it
        self.began = False  # the head is being written
        self.written = False  # it has been
        end = min(deadline, asyncio.get_running_loop().time() + connect if connect else NEVER)
        self.limit = asyncio.timeout_at(end if end < NEVER else None)

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.started"):
            self.fresh = True
        elif event.endswith("connect_tcp.complete"):
            self._lane.wire = info["return_value"]
        elif event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":  # to a proxy
            if self._lanes.closed:
                raise UpstreamError("closed", sent=False)
            self.began = True
            if not self.limit.expired():
                self.limit.reschedule(self._deadline)
        elif self.began and event.endswith("send_request_headers.complete"):
            self.written = True


class _Body(httpx.AsyncByteStream):
    """A request's body for httpx: at most `length` bytes of an iterated one, and `error` is why it failed."""

    def __init__(self, source: bytes | AsyncIterator[bytes], length: int | None) -> None:
        self._source = source
        self._left = length
        self._begun = False
        self.error: BaseException | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source = self._source
        if isinstance(source, bytes):
            for start in range(0, len(source), SLICE):
                yield source[start : start + SLICE]
            return
        self._begun = True
        try:
            async for block in source:
                if self._left is not None:
                    self._left -= len(block)
                    if self._left < 0:
                        break
                if block:
                    yield block
        except Exception as error:
            self.error = error
            raise
        if self._left:
            self.error = UpstreamError("write", sent=True)
            raise self.error

    async def done(self) -> None:
        """Closes an iterated body that was begun."""
        closer = getattr(self._source, "aclose", None)
        if self._begun and closer is not None:
            await closer()


class _Response(UpstreamResponse):
    __slots__ = (
        "_deadline",
        "_empty",
        "_ended",
        "_kept",
        "_lane",
        "_lanes",
        "_parts",
        "_response",
        "_tls",
        "_to_eof",
        "headers",
    )

    def __init__(self, lanes: Lanes, lane: Lane, response: httpx.Response, bodiless: bool, deadline: float) -> None:
        self._lanes = lanes
        self._lane: Lane | None = None
        self.status = response.status_code
        self.headers = [(name.lower(), value) for name, value in response.headers.raw]
        self._kept, framed = checked(response, self.headers)
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise UpstreamError("invalid", sent=True)
        self._empty = bodiless or self.status in (204, 304) or (b"content-length", b"0") in self.headers
        self._to_eof = not (framed or self._empty)
        wire = response.extensions.get("network_stream")
        self._tls = wire.get_extra_info("ssl_object") if wire is not None else None
        self._response = response
        self._parts = aiter(response.stream)
        self._deadline = deadline if deadline < NEVER else None
        self._ended = False
        self._lane = lane

    async def read(self, sink: Sink | None = None) -> bytes | None:
        if self._ended:
            return None
        if self._lane is None:
            raise UpstreamError("closed", sent=True)
        limit = asyncio.timeout_at(self._deadline)
        try:
            async with limit:
                async for block in self._parts:
                    if block:
                        return block
            if self._to_eof and truncated(self._tls):
                raise UpstreamError("closed", sent=True)
        except Exception as error:
            await self.aclose()
            if isinstance(error, UpstreamError):
                raise
            raise UpstreamError("timeout_total" if limit.expired() else fault_of(error), sent=True) from error
        except BaseException:
            await self.aclose()
            raise
        self._ended = True
        return None

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        if lane is None:
            return
        try:
            if self._empty and not self._ended:
                self._ended = [part async for part in self._parts] == []  # has nothing to wait for
            well = await _closed(self._response) and self._ended
            if well and reusable(lane.transport, self._tls, shared=self._lanes.shared):
                self._lanes.give(lane, self._kept)
        finally:
            await self._lanes.drop(lane)

    def __del__(self) -> None:
        if self._lane is not None:
            warnings.warn("an upstream response was not closed", ResourceWarning, source=self, stacklevel=2)
            self._lanes.forget(self._lane)


def _framed(
    method: bytes, headers: Headers, body: bytes | AsyncIterator[bytes] | None, length: int | None
) -> tuple[Fields, _Body]:
    """The fields, the one that says the framing last, and the body."""
    fields = [(name, value) for name, value in headers if name.lower() not in OURS]
    if body is None or isinstance(body, bytes):
        size = len(body or b"")
        if length is not None and length != size:
            raise UpstreamError("invalid", sent=False)
        if body is not None or method in BODY_EXPECTED:
            fields.append((b"content-length", b"%d" % size))
        return fields, _Body(body or b"", None)
    if length is None:
        fields.append((b"transfer-encoding", b"chunked"))
    elif length < 0:
        raise UpstreamError("invalid", sent=False)
    else:
        fields.append((b"content-length", b"%d" % length))
    return fields, _Body(body, length)


async def _closed(response: httpx.Response) -> bool:
    """Closes an answer's stream, and what iterates it. False: it did not close well, so nothing of it is used again."""
    stream: Any = response.stream
    try:
        await stream.aclose()
    except Exception as error:  # noqa: BLE001 - a library's many; its connection is closed by its lane
        log.debug("an answer did not close well: %s", type(error).__name__)
        return False
    return True
