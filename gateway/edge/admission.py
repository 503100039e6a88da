"""Shell. Rung 1: bounds on concurrency, size and time, checked before anything is remembered of a request."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.edge.exchange import ClientGone, Exchange, Receive
from gateway.errors import Refusal
from gateway.wire.http import check_head, check_target

__all__ = ["Admission"]

DRAIN = 1_048_576  # bytes of an unread body that are read and dropped, so that the refusal is seen and not a reset


class Admission:
    """How much may be in the house at once: requests, and bytes of request bodies."""

    def __init__(
        self, *, max_inflight: int, max_body: int, max_upload: int, body_budget: int, body_timeout: float
    ) -> None:
        self.max_inflight = max_inflight
        self.max_body = max_body
        self.max_upload = max_upload
        self.body_budget = body_budget
        self.body_timeout = body_timeout
        self.inflight = 0
        self.delayed = 0  # of them, held because a policy said so
        self.held = 0  # bytes of bodies
        self.draining = False

    def enter(self, x: Exchange) -> None:
        """Takes a place, and refuses what is malformed. Every `enter` needs its `leave`, also after a refusal."""
        self.inflight += 1
        x.admitted = True
        if self.inflight > self.max_inflight:
            raise Refusal(
                "overloaded", 503, "overloaded", "The gateway is at its bound of requests.", retry_after=1, close=True
            )
        check_target(x.raw_target)
        check_head(x.scope["method"], x.scope.get("http_version", "1.1"), x.headers, x.scope.get("query_string", b""))

    def leave(self, x: Exchange) -> None:
        if x.admitted:
            x.admitted = False
            self.inflight -= 1
            self.held -= x.held
            x.held = 0

    @contextmanager
    def delay(self, wait: float) -> Iterator[None]:
        """A place to wait in for `wait` seconds. At most half of all requests: whoever is slowed down and sends more
        takes no more, and nothing from those who are not."""
        if self.delayed * 2 >= self.max_inflight:
            detail = "Your requests are slowed down, and too many wait already."
            raise Refusal("rate_limited", 429, "slow_down", detail, retry_after=wait)
        self.delayed += 1
        try:
            yield
        finally:
            self.delayed -= 1

    async def body(self, x: Exchange, receive: Receive) -> bytes:
        """The whole request body. Raises Refusal (413, 408, 503) over a bound, ClientGone when the client left."""
        declared = x.content_length
        if declared is not None and declared > self.max_body:
            raise self._too_large(self.max_body)
        if self.held + (declared or 0) > self.body_budget:
            raise self._full()
        whole = self._here(x)
        if whole is None:
            whole = await self._arriving(x, receive)
        x.body_read = True
        if declared is not None and len(whole) != declared:
            raise Refusal(
                "bad_request", 400, "length_mismatch", "The body is not as long as Content-Length says.", close=True
            )
        return whole

    def _here(self, x: Exchange) -> bytes | None:
        """The body, where our own server has all of it already: nothing to wait for, and no clock to set."""
        ask: Callable[[], bytes | None] | None = x.scope.get("extensions", {}).get("gauger.body")
        whole = ask() if ask is not None else None
        if whole is not None:
            if len(whole) > self.max_body:
                raise self._too_large(self.max_body)
            self._hold(x, len(whole))
        return whole

    async def _arriving(self, x: Exchange, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.body_timeout):
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    more = message.get("more_body", False)
                    size += len(chunk)
                    if size > self.max_body:
                        raise self._too_large(self.max_body)
                    self._hold(x, len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            raise Refusal(
                "timeout", 408, "body_timeout", "The request body did not arrive in time.", close=True
            ) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self, x: Exchange) -> None:
        """The body has been handed on: its bytes are no longer ours to hold."""
        self.held -= x.held
        x.held = 0

    def upload(self, x: Exchange) -> None:
        """Checks the declared size of a body that will stream through; `Exchange.receive` counts what comes."""
        x.max_bytes = self.max_upload
        if x.content_length is not None and x.content_length > self.max_upload:
            raise self._too_large(self.max_upload)

    async def drain(self, x: Exchange, receive: Receive) -> bool:
        """Reads a small unread body away before a refusal. False = the connection should close instead."""
        if x.body_read or not x.has_body:
            return True
        if not x.bytes_in and x.header(b"expect"):  # reading would invite a body that is refused
            return False
        if x.content_length is None or x.content_length > DRAIN:
            return False
        try:
            async with asyncio.timeout(1.0):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return False
                    if not message.get("more_body", False):
                        x.body_read = True
                        return True
        except TimeoutError:
            return False

    def _hold(self, x: Exchange, size: int) -> None:
        """Counts what has come, not what was announced: else whoever announces much and sends nothing shuts all out."""
        if self.held + size > self.body_budget:
            raise self._full()
        self.held += size
        x.held += size

    @staticmethod
    def _full() -> Refusal:
        return Refusal(
            "overloaded", 503, "overloaded", "The gateway holds too many request bodies.", retry_after=1, close=True
        )

    @staticmethod
    def _too_large(bound: int) -> Refusal:
        return Refusal(
            "too_large", 413, "request_too_large", f"The request body is over {bound} bytes.", retry=False, close=True
        )

    def snapshot(self) -> dict[str, Any]:
        return {"inflight": self.inflight, "held_bytes": self.held, "draining": self.draining}
