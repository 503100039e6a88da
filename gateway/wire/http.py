"""Pure. What a request's head must be so that we, the policy and the model server all read it alike.

Refused is what two readers could understand differently; everything else passes byte for byte.
Sources: RFC 9112 (framing), RFC 9110 (fields), RFC 3986 (targets).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import product
from urllib.parse import unquote_to_bytes

from gateway.errors import Refusal

__all__ = ["canonical", "check_framing", "check_head", "check_target", "credentials_of", "internal"]

MAX_CREDENTIAL = 8192
"""Bytes of one credential; a signed token with a group list is about 4 KB."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
VERSIONS = frozenset({"1.0", "1.1", "2", "3"})
"""As ASGI spells them; a request line can only say 1.0 or 1.1."""

CREDENTIAL_NAMES = (b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key")

_PLAIN = re.compile(rb"(?:/[\w:@~-][\w.:@~,+=-]*)*/?(?:\?[\w.~:@!$'()*+,;=/?&-]*)?", re.ASCII)
_BAD_PATH = re.compile(
    rb"[^!-~]|[\\#]"  # spaces, controls, non-ASCII; characters that some servers read as / or as an end
    rb"|%(?![0-9A-Fa-f]{2})|%(?:[01][0-9A-Fa-f]|7[Ff]|2[Ff]|5[Cc])"  # bad escapes; controls, / and \ in disguise
    rb"|(?:^|/)(?:\.|%2[Ee]){1,2}(?=[/;]|$)"  # dot segments (RFC 3986 section 3.3), with or without parameters
)
_BAD_QUERY = re.compile(rb"[^!-~]|#|%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{1,5})?")
_CHARSET = re.compile(rb";[ \t]*charset[ \t]*=[ \t]*\"?([^\";, \t]*)", re.IGNORECASE)
_NOT_VISIBLE = re.compile(rb"[^ -~]")
_USUAL_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close", b""})

_KEPT_FROM_CONNECTION = frozenset(
    {
        *CREDENTIAL_NAMES,
        b"host",
        b"cookie",
        b"transfer-encoding",
        b"expect",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
"""What `Connection` may not name: a proxy that obeys it would send the request on as somebody else's."""

_CREDENTIAL, _HOSTNAME, _LENGTH, _CODING, _CONNECTION, _UPGRADE, _EXPECT, _TYPE, _ENCODING, _TWIN = range(10)


def _twins(names: Iterable[bytes]) -> set[bytes]:
    """Spellings with `_` for `-`, which CGI-like servers can't tell apart: x_api_key, x-api_key, x_api-key."""
    found = set()
    for name in names:
        parts = name.split(b"-")
        for marks in product((b"-", b"_"), repeat=len(parts) - 1):
            if b"_" in marks:
                found.add(b"".join(a + b for a, b in zip(parts, (*marks, b""), strict=True)))
    return found


_FRAMING = {
    b"host": _HOSTNAME,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"upgrade": _UPGRADE,
}
_SPECIAL = {
    **dict.fromkeys(_twins({*_KEPT_FROM_CONNECTION, b"content-length", b"content-type", b"content-encoding"}), _TWIN),
    **dict.fromkeys(CREDENTIAL_NAMES, _CREDENTIAL),
    **_FRAMING,
    b"connection": _CONNECTION,
    b"expect": _EXPECT,
    b"content-type": _TYPE,
    b"content-encoding": _ENCODING,
}


def check_target(raw_target: bytes) -> None:
    """Refuses (400 `invalid_target`) a target that servers resolve differently; all others pass byte for byte.

    `raw_target` is path and query as sent. RFC 3986 sections 3.3 and 6.2.2; RFC 9112 section 3.2.
    """
    if _PLAIN.fullmatch(raw_target) and raw_target[:1] == b"/":
        return
    path, _, query = raw_target.partition(b"?")
    if path[:1] != b"/" or path[:2] == b"//" or _BAD_PATH.search(path) or _BAD_QUERY.search(query):
        raise Refusal(
            "bad_request",
            400,
            "invalid_target",
            "The request target holds a character, an escape or a dot segment that servers read differently.",
        )


def canonical(raw_path: bytes) -> str:
    """The path that routes are recognised by: what the most lenient server would make of this checked path.

    Escapes are decoded once, path parameters and repeated or trailing slashes dropped. Never sent anywhere.
    """
    if b"%" in raw_path:
        raw_path = unquote_to_bytes(raw_path)
    if b";" in raw_path:
        raw_path = re.sub(rb";[^/]*", b"", raw_path)
    if b"//" in raw_path:
        raw_path = re.sub(rb"//+", b"/", raw_path)
    return (raw_path.rstrip(b"/") or b"/").decode("utf-8", "replace")


def internal(name: bytes) -> bool:
    """Whether a field (lower-case name) is one of ours, which nobody outside may send; CGI-like twins included."""
    return name[:7] in (b"gauger-", b"gauger_")


def credentials_of(headers: Iterable[tuple[bytes, bytes]], query: bytes = b"") -> list[tuple[bytes, bytes]]:
    """Every credential of a request as (field name or `key`, value), in order; names lower-case."""
    found = [(name, value) for name, value in headers if name in CREDENTIAL_NAMES]
    if query:
        found += [(b"key", value) for value in _query_keys(query)]
    return found


def check_framing(method: bytes | str, http_version: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuses (400, 501, 505) what leaves open where a message ends or whom it is for. Names lower-case.

    RFC 9112 sections 3.2 (one Host), 6.1 (chunked alone), 6.3 (one length), 9.3; RFC 9110 section 7.8 (Upgrade).
    """
    seen: list[int] = []
    for name, value in headers:
        kind = _FRAMING.get(name)
        if kind is not None:
            _check_framing_field(kind, value, http_version, seen)
    _check_line(method, http_version, seen)


def check_head(
    method: bytes | str, http_version: str, headers: Sequence[tuple[bytes, bytes]], query: bytes = b""
) -> None:
    """Refuses a head that two readers could take for two requests or two callers. Field names are lower-case.

    Framing as `check_framing`; one credential in visible ASCII (431 over 8 KiB); no `Connection` that strips what
    identifies or frames (RFC 9110 section 7.6.1); 417 other expectations; one Content-Type;
    415 coded bodies and charsets that are not UTF-8.
    No value of a field is ever in the message.
    """
    seen: list[int] = []
    for name, value in headers:
        kind = _SPECIAL.get(name)
        if kind is None:
            continue
        if name in _FRAMING:
            _check_framing_field(kind, value, http_version, seen)
        elif kind == _CREDENTIAL:
            _check_credential(value)
            seen.append(kind)
        elif kind == _CONNECTION:
            if value not in _USUAL_CONNECTION:
                _check_connection(value)
        elif kind == _TYPE:
            if kind in seen:
                raise _bad("duplicate_content_type", "A request has one Content-Type.")
            seen.append(kind)
            if b";" in value:
                _check_charset(value)
        elif kind == _ENCODING:
            if value.lower() != b"identity":
                raise Refusal("unsupported", 415, "unsupported_encoding", "Request bodies must not be compressed.")
        elif kind == _EXPECT:
            if value.lower() != b"100-continue":
                raise Refusal(
                    "unsupported", 417, "unsupported_expectation", "The only expectation met is 100-continue."
                )
        else:
            raise _bad("ambiguous_field", "A field name with an underscore reads like one that identifies the caller.")
    keys = 0
    if query:
        for value in _query_keys(query):
            _check_credential(value)
            keys += 1
    if seen.count(_CREDENTIAL) + keys > 1:
        raise _bad("duplicate_credentials", "A request carries one credential; this one carries several.")
    _check_line(method, http_version, seen)


def _bad(code: str, detail: str, *, close: bool = False) -> Refusal:
    return Refusal("bad_request", 400, code, detail, close=close)


def _check_line(method: bytes | str, http_version: str, seen: list[int]) -> None:
    if http_version not in VERSIONS:
        raise Refusal("unsupported", 505, "unsupported_version", "HTTP/1.1 and HTTP/1.0 are spoken here.", close=True)
    name = method.decode("latin-1") if isinstance(method, bytes) else method
    if name not in METHODS:
        raise Refusal("unsupported", 501, "unsupported_method", "This method is not spoken here.", close=True)
    if http_version == "1.1" and _HOSTNAME not in seen:
        raise _bad("missing_host", "An HTTP/1.1 request names its host.", close=True)


def _check_framing_field(kind: int, value: bytes, http_version: str, seen: list[int]) -> None:
    if kind == _HOSTNAME:
        if kind in seen or not _HOST.fullmatch(value):
            raise _bad("invalid_host", "A request has one Host field: a name or an address, and a port.", close=True)
    elif kind == _LENGTH:
        if kind in seen or _CODING in seen or not value.isdigit() or len(value) > 18:
            raise _bad("invalid_length", "A request has one length, and either that or a transfer coding.", close=True)
    elif kind == _CODING:
        if kind in seen or _LENGTH in seen or http_version == "1.0" or value.lower() != b"chunked":
            raise _bad(
                "invalid_coding", "The one transfer coding is chunked, in HTTP/1.1, without a length.", close=True
            )
    else:
        raise Refusal(
            "unsupported", 501, "unsupported_upgrade", "Upgrades are not spoken here: use plain HTTP/1.1.", close=True
        )
    seen.append(kind)


def _check_credential(value: bytes) -> None:
    if len(value) > MAX_CREDENTIAL:
        raise Refusal("too_large", 431, "credential_too_long", f"The credential is over {MAX_CREDENTIAL} bytes.")
    if _NOT_VISIBLE.search(value):
        raise _bad("invalid_credential", "The credential holds characters outside visible ASCII.")
    if b"," in value and value[:6].lower() == b"bearer":  # no token has one (RFC 6750 section 2.1): a proxy joined two
        raise _bad("duplicate_credentials", "A request carries one credential; this one carries several.")


def _check_charset(value: bytes) -> None:
    found = _CHARSET.search(value)
    if found is not None and found[1].lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise Refusal("unsupported", 415, "unsupported_charset", "Request bodies are read as UTF-8.")


def _check_connection(value: bytes) -> None:
    for token in value.lower().split(b","):
        name = token.strip(b" \t")
        if name in _KEPT_FROM_CONNECTION or name[:8] == b"content-":
            raise _bad("invalid_connection", "Connection names a field that identifies or frames the request.")


_KEYS = (b"key", b"$key", b"access_token", b"$access_token", b"oauth_token")


def _query_keys(query: bytes) -> list[bytes]:
    """Values of every credential in a query, however its name is escaped; values decoded once.

    Google's servers take `key`, `access_token` and `oauth_token`, the first two with a `$` as well.
    """
    if b"key" not in query and b"token" not in query and b"%" not in query:
        return []
    found = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name in _KEYS or (b"%" in name and unquote_to_bytes(name) in _KEYS):
            found.append(unquote_to_bytes(value) if b"%" in value else value)
    return found
