"""Shell. The seam to the model server: what the relay may ask of any upstream client, and how it fails.

Nothing else in the gateway knows which client is behind it. A client keeps four promises: the target goes out
byte for byte, the request has exactly one framing and the client chose it, an answer that ended early never looks
like one that ended well, and no byte of one answer ever reaches another request.
"""

import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

import msgspec

from gateway.errors import Mistake

__all__ = [
    "Fault",
    "Headers",
    "Origin",
    "PoolBounds",
    "Sink",
    "Upstream",
    "UpstreamError",
    "UpstreamResponse",
    "UpstreamStats",
    "UpstreamTimeouts",
]

Headers = Sequence[tuple[bytes, bytes]]
Sink = Callable[[bytes], bool]
Fault = Literal[
    "dns",  # the host's name has no address
    "connect",  # no connection: refused, unreachable, reset
    "tls",  # the handshake failed, or the certificate is not one we trust for this host
    "timeout_connect",  # no connection, TLS included, in time
    "pool_full",  # all connections are in use and the queue for them is full
    "timeout_pool",  # no connection came free in time
    "timeout_read",  # the server was silent, or took no bytes of the request, for too long
    "timeout_total",  # the whole exchange took too long
    "closed",  # the connection ended before the answer did
    "invalid",  # the answer, or the request that was to be sent, is not HTTP that everyone reads alike
    "write",  # the request's body failed, or its length was not the one announced
]

_TEXT: dict[Fault, str] = {
    "dns": "the model server's name could not be resolved",
    "connect": "the model server could not be reached",
    "tls": "no trusted connection to the model server could be made",
    "timeout_connect": "the model server did not accept a connection in time",
    "pool_full": "too many requests are waiting for the model server",
    "timeout_pool": "no connection to the model server became free in time",
    "timeout_read": "the model server did not answer in time",
    "timeout_total": "the exchange with the model server took too long",
    "closed": "the model server closed the connection before its answer was complete",
    "invalid": "the exchange with the model server was not valid HTTP",
    "write": "the request's body could not be sent whole",
}

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]|\\")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_PREFIX = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)*")
_HIDDEN = re.compile(r"%(?:2e|2f|5c|00)", re.IGNORECASE)
_PORTS: dict[str, int] = {"http": 80, "https": 443}


class UpstreamError(Exception):
    """An exchange that failed. Its text is fixed by `kind`: no host, no address, no cause; the cause is chained.

    `sent` True: bytes of the request left, so the server may have acted on it. False: it cannot have.
    """

    def __init__(self, kind: Fault, *, sent: bool) -> None:
        super().__init__(_TEXT[kind])
        self.kind: Fault = kind
        self.sent = sent


class Origin(msgspec.Struct, frozen=True):
    """One model server: where to connect, what to call it, and the path that all its targets start with.

    `host` is lower case, without brackets; `prefix` is empty or `/x`, without a trailing slash.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    prefix: str = ""

    @classmethod
    def parse(cls, url: str, *, place: str = "") -> Self:
        """`https://host[:port][/prefix]` -> Origin. Raises Mistake; its message never repeats the URL."""
        hint = "write it as https://host:port/prefix"
        if not url or _UNPRINTABLE.search(url):
            raise Mistake("an upstream URL is one run of printable ASCII characters", place=place, hint=hint)
        try:
            parts = urlsplit(url)
            given = parts.port
        except ValueError:
            raise Mistake("not a URL", place=place, hint=hint) from None
        scheme: Literal["http", "https"]
        if parts.scheme == "http":
            scheme = "http"
        elif parts.scheme == "https":
            scheme = "https"
        else:
            raise Mistake("an upstream is reached by http or https only", place=place, hint=hint)
        if "@" in parts.netloc:
            secret = "set the upstream's credential in the settings, not in its URL"  # noqa: S105
            raise Mistake("an upstream URL carries no user name or password", place=place, hint=secret)
        if "?" in url or "#" in url:
            raise Mistake("an upstream URL has no query and no fragment", place=place, hint=hint)
        if given == 0 or parts.netloc.endswith(":"):
            raise Mistake("a port is a number from 1 to 65535", place=place, hint=hint)
        prefix = parts.path.rstrip("/")
        if not _PREFIX.fullmatch(prefix) or _HIDDEN.search(prefix) or {".", ".."} & set(prefix.split("/")):
            plain = "name plain segments, as in /openai/v1"
            raise Mistake("the path of an upstream URL would be read differently", place=place, hint=plain)
        return cls(scheme, _host(parts.hostname or "", place, hint), given or _PORTS[scheme], prefix)

    @property
    def authority(self) -> bytes:
        """The value of the Host field: the port only where it is not the scheme's own (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}").encode()

    def target(self, target: bytes) -> bytes:
        """The target on the wire: the given one, byte for byte, below this origin's prefix."""
        return self.prefix.encode() + target if self.prefix and target != b"*" else target


def _host(host: str, place: str, hint: str) -> str:
    """The host, checked: a name of ASCII labels or an address that is not link-local (cloud metadata lives there)."""
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None:
        if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split(".")):
            ascii_only = "write an international name in its xn-- form" if host else hint
            raise Mistake("an upstream URL names a host", place=place, hint=ascii_only)
    elif address.is_link_local or "%" in host:
        raise Mistake("an upstream is never a link-local address", place=place, hint="name the model server's host")
    return host


class UpstreamTimeouts(msgspec.Struct, frozen=True):
    """Seconds; 0 = none. They are kept to within a quarter of the shortest, half a second at most, never early."""

    connect: float = 5.0  # one attempt: name, TCP and TLS
    read: float = 600.0  # silence of the server while we wait for it; a slow reader of the answer does not count
    total: float = 0.0  # from the call of send to the answer's last byte

    def __post_init__(self) -> None:
        if not all(0 <= seconds < float("inf") for seconds in (self.connect, self.read, self.total)):
            raise Mistake("a time-out is zero or more seconds", hint="0 means none")


class PoolBounds(msgspec.Struct, frozen=True):
    """How many connections one origin gets, and how long requests queue for them. Seconds; 0 for `wait` = no limit.

    `idle` is below the five seconds after which uvicorn-based servers hang up: a POST that meets a closing
    connection must not be sent again, so the better order is that we close first. `age`: how long one connection may
    be used at all, 0 = for ever; the name is looked up for each new one, so an address that it has lost ages out.
    """

    connections: int = 512
    waiting: int = 1024
    wait: float = 5.0
    idle: float = 4.0
    age: float = 300.0

    def __post_init__(self) -> None:
        if self.connections < 1 or self.waiting < 0:
            raise Mistake("a pool has at least one connection and no negative queue")
        if not all(0 <= seconds < float("inf") for seconds in (self.wait, self.idle, self.age)):
            raise Mistake("a pool's times are zero or more seconds")


class UpstreamStats(msgspec.Struct, frozen=True):
    """Connections of one origin now: `open` (connecting, in use, idle), `idle` of them; requests `waiting` for one."""

    open: int
    idle: int
    waiting: int


class UpstreamResponse(ABC):
    """An answer whose head has arrived. Whoever got it must close it; `async with` does.

    `headers`: names in lower case, order and duplicates kept, hop-by-hop fields included. Trailers are dropped.
    """

    status: int
    headers: list[tuple[bytes, bytes]]

    @abstractmethod
    async def read(self, sink: Sink | None = None) -> bytes | None:
        """All body bytes that have arrived since the last call, at least one; None = the answer ended well.

        Waits only while there are none. Raises UpstreamError where the answer broke off, after the bytes before
        the break were read. Cancelled while waiting, it ends the exchange.

        While it waits, `sink` may be given bytes of the body as they arrive, never the last ones: a stream then costs
        no task's turn for each of its pieces. Once the sink says False, which is that it has had enough for now, b"" is
        returned. A client may leave the sink alone.
        """

    @property
    def whole(self) -> bool:
        """Whether all of the answer has been read and it ended well: `read` would give None at once. False may be said
        of one that is."""
        return False

    async def write(self, data: bytes) -> None:
        """Of an answer 101: bytes to the server; returns when they have left. One call at a time, beside a `read`.

        Raises UpstreamError where the connection has ended.
        """
        raise UpstreamError("closed", sent=True)

    @abstractmethod
    async def aclose(self) -> None:
        """Gives the connection back if the answer ended well and was read to its end, else closes it. Idempotent."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class Upstream(ABC):
    """A client of one model server. Used from one event loop."""

    origin: Origin
    switches: ClassVar[bool] = False  # whether `upgrade` is there

    @abstractmethod
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
        """Sends one request and returns when the head of its final answer is here; 1xx answers are skipped.

        `target` goes out as given, below the origin's prefix. `headers` lose Host, Connection, the framing
        fields and Expect: these are the client's own. `host` replaces the origin's name in the Host field.
        An iterated `body` is sent with `length`, or in chunks where that is None. It is not sent on once a final
        answer other than 2xx is here; beside a 2xx it goes on, until the response is closed. Once begun, it gets
        closed too.

        Raises UpstreamError, or whatever the iterated body raised.
        """

    async def upgrade(self, target: bytes, headers: Headers, *, host: bytes | None = None) -> UpstreamResponse:
        """Asks by GET for a change to WebSocket; the fields of its handshake (RFC 6455 section 4.1) are in `headers`.

        An answer 101 is a stream of bytes, both ways, that never goes back to the pool; any other is as of `send`.
        """
        raise UpstreamError("invalid", sent=False)

    @abstractmethod
    async def aclose(self) -> None:
        """Closes idle and active connections and fails those who wait. Idempotent; no request is taken after it."""

    @property
    @abstractmethod
    def stats(self) -> UpstreamStats:
        """Counts for metrics."""
