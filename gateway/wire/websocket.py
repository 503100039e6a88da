"""Pure. The opening handshake of a WebSocket, on both sides, and the codes that close one (RFC 6455).

The key that browsers, who can't set a header, hide in a subprotocol is found here, and taken out.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from hashlib import sha1

from gateway.errors import Refusal
from gateway.wire.http import check_framing

__all__ = [
    "ABNORMAL",
    "GOING_AWAY",
    "HANDSHAKE",
    "HIDDEN_KEY",
    "INTERNAL",
    "INVALID_TEXT",
    "NO_CODE",
    "NORMAL",
    "POLICY",
    "PROTOCOL_ERROR",
    "TOO_BIG",
    "TRY_LATER",
    "accept_of",
    "asks_for_websocket",
    "check_opening",
    "check_upgrade",
    "hidden_keys",
    "opened",
    "passable",
    "reason_of",
    "subprotocols",
]

Headers = Sequence[tuple[bytes, bytes]]

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
HIDDEN_KEY = "openai-insecure-api-key."
"""OpenAI's own name for it; what follows is the key."""

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_CODE = 1005  # never on the wire: a close without a code
ABNORMAL = 1006  # never on the wire: the connection ended without a close
INVALID_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013
MAX_REASON = 123  # bytes

HANDSHAKE = frozenset(
    {
        b"connection",
        b"upgrade",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"sec-websocket-extensions",
        b"sec-websocket-protocol",
        b"sec-websocket-accept",
    }
)
"""Fields of the handshake, which is each connection's own."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def asks_for_websocket(headers: Headers) -> bool:
    """Whether the one protocol that a request would change to is WebSocket. Names lower-case."""
    wanted = [value for name, value in headers if name == b"upgrade"]
    return len(wanted) == 1 and wanted[0].strip(b" \t").lower() == b"websocket"


def check_opening(method: str, http_version: str, headers: Headers) -> bool:
    """Whether a request soundly asks for a WebSocket. Raises Refusal as `check_upgrade` and `check_framing` do."""
    try:
        check_framing(method, http_version, headers)
    except Refusal as refusal:
        if refusal.code != "unsupported_upgrade" or not asks_for_websocket(headers):
            raise
        check_upgrade(method, http_version, headers)
        check_framing(method, http_version, [pair for pair in headers if pair[0] != b"upgrade"])
        return True
    return False


def check_upgrade(method: str, http_version: str, headers: Headers) -> None:
    """Refuses (400; 426 for another version than 13) what is no opening handshake: RFC 6455 section 4.2.1.

    For a request that `asks_for_websocket`. Names lower-case. No value is ever in the message.
    """
    if method != "GET" or http_version != "1.1":
        raise _bad("A WebSocket is asked for by GET, in HTTP/1.1.")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value.strip(b" \t"))
    tokens = {token.strip(b" \t").lower() for value in fields.get(b"connection", ()) for token in value.split(b",")}
    if b"upgrade" not in tokens:
        raise _bad("Connection must name Upgrade.")
    if b"transfer-encoding" in fields or fields.get(b"content-length", [b"0"]) != [b"0"]:
        raise _bad("A request for a WebSocket has no body.")
    if fields.get(b"sec-websocket-version") != [b"13"]:
        detail = "The version of WebSocket that is spoken here is 13."
        raise Refusal("unsupported", 426, "websocket_version", detail, close=True)
    keys = fields.get(b"sec-websocket-key", [])
    if len(keys) != 1 or not _is_key(keys[0]):
        raise _bad("Sec-WebSocket-Key must be there once, and be 16 bytes in base64.")
    subprotocols(headers)


def subprotocols(headers: Headers) -> list[str]:
    """The subprotocols that are offered, in order. Raises Refusal (400) for what is no list of different tokens."""
    found: list[str] = []
    for name, value in headers:
        if name == b"sec-websocket-protocol":
            found += [token.strip(" \t") for token in value.decode("latin-1").split(",")]
    if len(set(found)) != len(found) or not all(map(_TOKEN.fullmatch, found)):
        raise _bad("Sec-WebSocket-Protocol must be a list of different tokens.")
    return found


def hidden_keys(offered: Sequence[str]) -> list[bytes]:
    """The keys that are hidden among the subprotocols."""
    return [each[len(HIDDEN_KEY) :].encode("latin-1") for each in offered if each.startswith(HIDDEN_KEY)]


def accept_of(key: bytes) -> bytes:
    """The answer to a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


def opened(headers: Headers, key: bytes, offered: Sequence[str]) -> str | None:
    """The subprotocol that a server's 101 chooses, None for none. Names lower-case.

    Raises ValueError where the answer is not the one to this key and offer: RFC 6455 section 4.1. No extension is ever
    offered, so none may be chosen.
    """
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value.strip(b" \t"))
    tokens = {token.strip(b" \t").lower() for value in fields.get(b"connection", ()) for token in value.split(b",")}
    if not asks_for_websocket(headers) or b"upgrade" not in tokens:
        raise ValueError("it changed to another protocol")
    if fields.get(b"sec-websocket-accept") != [accept_of(key)]:
        raise ValueError("it accepted another handshake")
    if b"sec-websocket-extensions" in fields:
        raise ValueError("it chose an extension that was not offered")
    chosen = fields.get(b"sec-websocket-protocol", [])
    if not chosen:
        return None
    word = chosen[0].decode("latin-1")
    if len(chosen) > 1 or word not in offered:
        raise ValueError("it chose a subprotocol that was not offered")
    return word


def passable(code: int) -> bool:
    """Whether a code may stand in a close that is sent on (RFC 6455 section 7.4, and what IANA has added)."""
    return code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014) or 3000 <= code < 5000


def reason_of(text: str) -> str:
    """As much of a reason as a close can hold: 123 bytes."""
    return text.encode("utf-8", "replace")[:MAX_REASON].decode("utf-8", "ignore")


def _is_key(value: bytes) -> bool:
    try:
        return len(b64decode(value, validate=True)) == 16
    except NotBase64:
        return False


def _bad(detail: str) -> Refusal:
    return Refusal("bad_request", 400, "invalid_upgrade", detail, close=True)
