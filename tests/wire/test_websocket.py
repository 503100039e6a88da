"""The opening handshake: RFC 6455's own example, and every way in which it can be wrong."""

from typing import Any

import pytest

from gateway.errors import Refusal
from gateway.wire.websocket import (
    accept_of,
    asks_for_websocket,
    check_upgrade,
    hidden_keys,
    opened,
    passable,
    reason_of,
    subprotocols,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.2
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = [
    (b"host", b"a"),
    (b"upgrade", b"WebSocket"),
    (b"connection", b"keep-alive, Upgrade"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", KEY),
]
Fields = list[tuple[bytes, bytes]]


def without(name: bytes, *more: tuple[bytes, bytes]) -> Fields:
    return [*(pair for pair in GOOD if pair[0] != name), *more]


def test_a_handshake_as_the_rfc_has_it_passes() -> None:
    assert asks_for_websocket(GOOD)
    check_upgrade("GET", "1.1", GOOD)
    assert accept_of(KEY) == ACCEPT


@pytest.mark.parametrize(
    ("method", "version", "headers", "status"),
    [
        ("POST", "1.1", GOOD, 400),
        ("GET", "1.0", GOOD, 400),
        ("GET", "1.1", without(b"connection"), 400),
        ("GET", "1.1", without(b"connection", (b"connection", b"close")), 400),
        ("GET", "1.1", [*GOOD, (b"content-length", b"1")], 400),
        ("GET", "1.1", [*GOOD, (b"content-length", b"0"), (b"content-length", b"0")], 400),
        ("GET", "1.1", [*GOOD, (b"transfer-encoding", b"chunked")], 400),
        ("GET", "1.1", without(b"sec-websocket-version"), 426),
        ("GET", "1.1", without(b"sec-websocket-version", (b"sec-websocket-version", b"8")), 426),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-version", b"13")], 426),
        ("GET", "1.1", without(b"sec-websocket-key"), 400),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-key", KEY)], 400),
        ("GET", "1.1", without(b"sec-websocket-key", (b"sec-websocket-key", b"c2hvcnQ=")), 400),
        ("GET", "1.1", without(b"sec-websocket-key", (b"sec-websocket-key", b"not base64 at all!!!")), 400),
        ("GET", "1.1", without(b"sec-websocket-key", (b"sec-websocket-key", b"\xff" * 24)), 400),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-protocol", b"a b")], 400),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-protocol", b"a, a")], 400),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-protocol", b"a,,b")], 400),
        ("GET", "1.1", [*GOOD, (b"sec-websocket-protocol", b"")], 400),
    ],
)
def test_anything_else_is_refused(method: str, version: str, headers: Fields, status: int) -> None:
    with pytest.raises(Refusal) as found:
        check_upgrade(method, version, headers)
    assert (found.value.status, found.value.close) == (status, True)


@pytest.mark.parametrize(
    "values", [[], [b"h2c"], [b"websocket", b"websocket"], [b"websocket, h2c"], [b"websocket/13"], [b""]]
)
def test_another_protocol_is_not_taken_for_it(values: list[bytes]) -> None:
    assert not asks_for_websocket(without(b"upgrade", *((b"upgrade", value) for value in values)))


def test_a_key_among_the_subprotocols_is_found() -> None:
    offered = subprotocols(
        [(b"sec-websocket-protocol", b"realtime, openai-insecure-api-key.sk-me"), (b"sec-websocket-protocol", b"x")]
    )
    assert offered == ["realtime", "openai-insecure-api-key.sk-me", "x"]
    assert hidden_keys(offered) == [b"sk-me"]


def answer(*more: tuple[bytes, bytes], **changes: Any) -> Fields:
    fields = {b"upgrade": b"websocket", b"connection": b"Upgrade", b"sec-websocket-accept": ACCEPT}
    fields |= {name.replace("_", "-").encode(): value for name, value in changes.items()}
    return [*((name, value) for name, value in fields.items() if value), *more]


def test_an_answer_to_this_handshake_opens_it() -> None:
    assert opened(answer(), KEY, []) is None
    assert opened(answer((b"sec-websocket-protocol", b"realtime")), KEY, ["realtime"]) == "realtime"


@pytest.mark.parametrize(
    "headers",
    [
        answer(upgrade=b""),
        answer(upgrade=b"h2c"),
        answer(connection=b"close"),
        answer(sec_websocket_accept=b""),
        answer(sec_websocket_accept=b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        answer((b"sec-websocket-accept", ACCEPT)),
        answer((b"sec-websocket-extensions", b"permessage-deflate")),
        answer((b"sec-websocket-protocol", b"other")),
        answer((b"sec-websocket-protocol", b"realtime"), (b"sec-websocket-protocol", b"realtime")),
    ],
)
def test_an_answer_to_another_does_not(headers: Fields) -> None:
    with pytest.raises(ValueError, match="it "):
        opened(headers, KEY, ["realtime"])


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        *((code, True) for code in (1000, 1001, 1008, 1014, 3000, 4999)),
        *((code, False) for code in (999, 1004, 1005, 1006, 1015, 2999, 5000)),
    ],
)
def test_which_codes_are_sent_on(code: int, passes: bool) -> None:
    assert passable(code) is passes


def test_a_reason_is_cut_between_characters() -> None:
    assert reason_of("short") == "short"
    cut = reason_of("ä" * 100)
    assert cut == "ä" * 61
