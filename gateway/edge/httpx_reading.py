"""Shell. What httpx's objects say: of a failure, of an answer's head, and of a connection that is to be used again."""

import re
import socket
import ssl
from typing import Any

import httpx

from gateway.edge.answer import FIELDS_CAP, HEAD_CAP, KEPT_FOR
from gateway.edge.upstream import Fault, UpstreamError

__all__ = ["Fields", "checked", "fault_of", "may_have_left", "reusable"]

NEVER = float("inf")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
Fields = list[tuple[bytes, bytes]]
_ENDED = ("disconnected", "peer closed", "StreamReset", "ConnectionTerminated")  # h11 and h2, in httpcore's words


def checked(response: httpx.Response, headers: Fields) -> tuple[float, bool]:
    """Seconds that the server keeps the connection, a second less, and whether the answer says where it ends.

    Raises UpstreamError for a head that the library lets pass and others would read differently.
    """
    kept, lengths, codings = NEVER, 0, 0
    for name, value in headers:
        if name == b"content-length":
            lengths += 1
            if not value.isdigit() or len(value) > 18:
                raise UpstreamError("invalid", sent=True)
        elif name == b"transfer-encoding":
            codings += 1
            if value.strip(b" \t").lower() != b"chunked":
                raise UpstreamError("invalid", sent=True)
        elif name == b"keep-alive" and (found := KEPT_FOR.search(value.lower())):
            kept = int(found[1]) - 1
    version = response.extensions.get("http_version", b"HTTP/1.1")
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    if (
        not 200 <= response.status_code <= 599
        or lengths + codings > 1
        or version not in _VERSIONS
        or (codings and version == b"HTTP/1.0")
        or len(headers) > FIELDS_CAP
        or size > HEAD_CAP
        or _CONTROL.search(b"".join(value for _, value in headers))
    ):
        raise UpstreamError("invalid", sent=True)
    framed = lengths + codings > 0 or version == b"HTTP/2"
    return kept, framed


def reusable(transport: httpx.AsyncBaseTransport, tls: Any, *, shared: bool) -> bool:
    """Whether a transport's one connection is idle and nothing is left to read on it.

    httpcore has no public word for what its parser holds back, so its own objects are asked; where they are not what
    they are today, no connection is used twice (and a test fails).
    """
    if shared:
        return True
    connections: Any = getattr(getattr(transport, "_pool", None), "connections", ())
    if len(connections) != 1 or not connections[0].is_idle():
        return False
    inner = connections[0]
    while (below := getattr(inner, "_connection", None)) is not None:
        inner = below
    parser = getattr(inner, "_h11_state", None)
    if parser is None:
        return hasattr(inner, "_h2_state")  # each frame says whose it is
    if parser.trailing_data[0]:
        return False
    if tls is None:
        return True
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        return False
    return False


def may_have_left(error: Exception, began: bool, written: bool) -> bool:
    """Whether bytes of the request may have left. `began`, `written`: the writing of its head."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol):
        return False
    return written if isinstance(error, httpx.LocalProtocolError) else began


def fault_of(error: Exception) -> Fault:
    """What kind of failure it was. Raises what is none of a transport's."""
    if isinstance(error, httpx.ConnectTimeout):
        return "timeout_connect"
    if isinstance(error, httpx.PoolTimeout):
        return "timeout_pool"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "timeout_read"
    if isinstance(error, httpx.ConnectError):
        return _connecting(error)
    if isinstance(error, httpx.ProxyError):
        return "connect"
    if isinstance(error, httpx.RemoteProtocolError):
        return "closed" if any(word in str(error) for word in _ENDED) else "invalid"
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.InvalidURL):
        return "invalid"
    if isinstance(error, httpx.NetworkError | OSError):
        return "closed"
    raise error


def _connecting(error: BaseException) -> Fault:
    """Why there was no connection: it stands somewhere below, in causes or in what an error was made of."""
    below: object = error
    for _ in range(8):
        if isinstance(below, socket.gaierror):
            return "dns"
        if isinstance(below, ssl.SSLError):
            return "tls"
        if not isinstance(below, BaseException):
            break
        below = below.__cause__ or (below.args or (None,))[0] or below.__context__
    return "connect"
