"""Shell. One request on its way through the rungs: what is known of it so far, and its two ASGI channels."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter_ns
from typing import Any

from gateway.decide import End, Facts, Verdict
from gateway.errors import Refusal
from gateway.identity import Caller
from gateway.ledger.record import Ruled
from gateway.observe import Fold, Observation, safe_name
from gateway.policy.model import Policy
from gateway.protocols import Answer, Call, Dialect, Hider, Meter, Route
from gateway.quotas import Drawn, Reading
from gateway.refusals import Vendor
from gateway.telemetry.tracing import Trace

__all__ = ["ASGIApp", "Aborted", "ClientGone", "Exchange", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]
Headers = list[Header]


class ClientGone(Exception):
    """The client left before its request was whole."""


class Aborted(Exception):
    """The answer can't be ended well; the connection must break so that the client sees it."""


class Exchange:
    """The mutable state of one request in the shell. Nothing of it but Facts, Verdict and Outcome is kept."""

    # what most requests leave as it is
    admitted = False
    held = 0
    max_bytes = 0  # of a body that streams through; 0 = not counted
    body: bytes | None = None  # set = this is what the wrapped app receives
    bytes_in = 0
    caller: Caller | None = None
    vendor: Vendor = "openai"
    dialect: Dialect | None = None
    route: Route | None = None
    calls: tuple[Call, ...] = ()
    seen: Observation | None = None
    fold: Fold | None = None  # and what the calls in those lines look like
    lines: Any = None  # folds the lines of an upload as they stream through
    policy: Policy | None = None
    now = 0
    facts: Facts | None = None
    verdict: Verdict | None = None
    ruled: Ruled | None = None
    drawn: Drawn | None = None
    trace: Trace | None = None
    # the answer
    added: Sequence[Header] = ()  # headers that we add to the answer, replacing those of the same name
    meter: Meter | None = None
    hider: Hider | None = None
    answer = Answer()
    status = 0
    upstream_status = 0
    upstream_request_id: str | None = None
    relayed = False  # the wrapped app has been called
    finished = False
    on_head: "Callable[[Exchange], None] | None" = None  # called when the answer has begun
    bytes_out = 0
    asked = 0  # perf_counter_ns when the wrapped app was called
    head_at = 0  # perf_counter_ns of the answer's head
    first_byte = 0  # perf_counter_ns of the answer's first body byte
    refusal: Refusal | None = None
    end: End | None = None
    error = ""
    _push: Callable[[bytes], bool]

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.started = perf_counter_ns()
        self.id = request_id
        self.scope = scope
        self._receive = receive
        self._send = send
        self.headers: Headers = scope["headers"]
        self.fields = fields = dict(self.headers)  # the last of each name
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope.get("query_string") or b""
        root = scope.get("root_path", "")  # where the wrapped app is mounted (ASGI: part of the path)
        self.raw_path = path[len(root.encode()) :] if root and path.startswith(root.encode()) else path
        self.raw_target = path + b"?" + query if query else path
        self.peer: str | None = scope["client"][0] if scope.get("client") else None
        length = fields.get(b"content-length")
        self.content_length = int(length) if length is not None and length.isdigit() and len(length) < 16 else None
        self.has_body = bool(self.content_length) or b"transfer-encoding" in fields
        self.body_read = not self.has_body
        self.timings: dict[str, int] = {}

    @property
    def client_request_id(self) -> str | None:
        """The id that the caller gave his request, if it is fit for a record."""
        fields = self.fields
        found = fields.get(b"x-client-request-id") or fields.get(b"x-request-id")
        return _short(found) if found is not None else None

    @property
    def readings(self) -> tuple[Reading, ...]:
        return self.drawn.readings if self.drawn is not None else ()

    def talked(self) -> dict[str, Any] | None:
        """What the record says of a session beside what every record says; None of anything else."""
        return None

    def header(self, name: bytes) -> bytes:
        """The first value of a request field; empty where there is none."""
        if name not in self.fields:
            return b""
        return next(value for found, value in self.headers if found == name)

    async def gone(self) -> None:
        """Returns when the client has left. Only where nothing of the request's body is left to come."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def receive(self) -> Message:
        """The wrapped app's receive: the body that we read (or changed), else what streams through, counted."""
        body = self.body
        if body is not None:
            self.body = None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.request":
            chunk = message.get("body", b"")
            self.bytes_in += len(chunk)
            if self.max_bytes and self.bytes_in > self.max_bytes:
                raise Refusal(
                    "too_large", 413, "request_too_large", f"The upload is over {self.max_bytes} bytes.", close=True
                )
            if self.lines is not None:
                self.lines.feed(chunk)
            if not message.get("more_body", False):
                self.body_read = True
        elif message["type"] == "http.disconnect" and not self.finished and self.end is None:
            self.end = "client_abort"
        return message

    @property
    def sink(self) -> Callable[[bytes], bool] | None:
        """`push`, where our own server takes pieces of the answer, and nobody between it and us would see them."""
        send, push = self.scope.get("extensions", {}).get("gauger.push", (None, None))
        if push is None or self.hider is not None or send != self._send:
            return None
        self._push = push
        return self.push

    def push(self, chunk: bytes) -> bool:
        """`send` of a piece of the answer's body that is not the last, without waiting; False: wait before the next."""
        if not self.first_byte:
            self.first_byte = perf_counter_ns()
        self.bytes_out += len(chunk)
        if self.meter is not None:
            self.meter.feed(chunk)
        return self._push(chunk)

    async def send(self, message: Message) -> None:
        """The wrapped app's send: adds our headers and meters the bytes, which pass unchanged."""
        if message["type"] == "http.response.body":
            chunk = message.get("body", b"")
            if chunk:
                if not self.first_byte:
                    self.first_byte = perf_counter_ns()
                self.bytes_out += len(chunk)
                if self.meter is not None:
                    self.meter.feed(chunk)
                if self.hider is not None:
                    message = {**message, "body": self.hider.feed(chunk)}
            if not message.get("more_body", False):
                self.finished = True
                if self.hider is not None:
                    message = {**message, "body": message.get("body", b"") + self.hider.finish()}
        elif message["type"] == "http.response.start":
            message = self._begin(message)
        await self._send(message)

    def _begin(self, message: Message) -> Message:
        self.status = message["status"]
        self.head_at = perf_counter_ns()
        if not self.relayed:  # our own refusal: nothing to meter
            return message
        if self.on_head is not None:
            self.on_head(self)
        headers = message.get("headers", ())
        fields = {name.lower(): value for name, value in headers}
        content_type, coding = fields.get(b"content-type", b""), fields.get(b"content-encoding", b"")
        given = fields.get(b"x-request-id", fields.get(b"request-id"))
        if self.end is None:
            self.upstream_status = self.status
            if given is not None:
                self.upstream_request_id = _short(given)
        if self.meter is not None:
            self.meter.start(self.status, content_type, coding)
        if self.hider is not None and not (
            content_type.startswith(b"text/event-stream") and coding in (b"", b"identity")
        ):
            self.hider = None
        ours = {name for name, _ in self.added}
        if self.hider is not None:
            ours.add(b"content-length")
        kept = list(headers) if ours.isdisjoint(fields) else [pair for pair in headers if pair[0].lower() not in ours]
        if given is None:
            kept.append((b"request-id" if self.vendor == "anthropic" else b"x-request-id", self.id.encode()))
        kept += self.added
        return {**message, "headers": kept}


def _short(value: bytes) -> str | None:
    """An id from outside made fit for a record: at most 64 safe characters, else dropped."""
    text = value.decode("latin-1")
    return text if 0 < len(text) <= 64 and safe_name(text) == text else None
