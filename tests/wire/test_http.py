"""Checks of the request's target and fields: what is refused, and that all else passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.wire.http import canonical, check_framing, check_head, check_target, credentials_of, internal

HOST = (b"host", b"gateway.test")
KEY = (b"authorization", b"Bearer sk-secret-0001")
Fields = list[tuple[bytes, bytes]]


def refusal_of(*fields: tuple[bytes, bytes], method: str = "POST", version: str = "1.1", query: bytes = b"") -> Refusal:
    with pytest.raises(Refusal) as caught:
        check_head(method, version, [HOST, *fields], query)
    return caught.value


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"a",
        b"http://other.test/",
        b"//other.test/",
        b"/..",
        b"/a/../b",
        b"/a/.",
        b"/a/%2E%2e/b",
        b"/a/.%2e",
        b"/a/..;p/b",
        b"/a%2fb",
        b"/a%5Cb",
        b"/a%00",
        b"/a%0A",
        b"/a%7f",
        b"/a\\b",
        b"/a#b",
        b"/a?b#c",
        b"/a%",
        b"/a%4",
        b"/a%zz",
        b"/a?b=%4",
        b"/a b",
        b"/a?b c",
        b"/a\x7f",
        b"/\xc3\xa4",
        b"/a?\xff",
    ],
)
def test_a_target_that_servers_read_differently_is_refused(target: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        check_target(target)
    assert (caught.value.status, caught.value.code) == (400, "invalid_target")


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/v1/chat/completions",
        b"/v1//chat/;a=b/",
        b"/v1beta/models/gemini-2.5-pro:generateContent?key=k&alt=sse",
        b"/a/...",
        b"/a..b/.well-known",
        b"/v1/models/m-4%2e1",
        b"/%252e%252e/",
        b"/a?b=../..//%2f%00&c=\\",
        b"/a?",
        b'/a"<>',
    ],
)
def test_every_other_target_passes(target: bytes) -> None:
    check_target(target)


@given(st.binary(max_size=40))
def test_an_accepted_path_has_one_reading(rest: bytes) -> None:
    target = b"/" + rest
    try:
        check_target(target)
    except Refusal:
        return
    path = target.partition(b"?")[0]
    read = canonical(path)
    assert all(33 <= byte < 127 for byte in target)
    assert not {".", ".."} & set(read.split("/"))
    assert "\\" not in read
    assert "\x00" not in read


@pytest.mark.parametrize(
    "path, read",
    [
        (b"/v1/chat/completions", "/v1/chat/completions"),
        (b"/v1//ch%61t;x=y/completions/", "/v1/chat/completions"),
        (b"/", "/"),
        (b"/%2561", "/%61"),
    ],
)
def test_routes_are_recognised_as_the_most_lenient_server_would(path: bytes, read: str) -> None:
    assert canonical(path) == read


@pytest.mark.parametrize(
    "fields, status, code",
    [
        ([(b"host", b"other.test")], 400, "invalid_host"),
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], 400, "invalid_coding"),
        ([(b"transfer-encoding", b"chunked"), (b"content-length", b"1")], 400, "invalid_length"),
        ([(b"content-length", b"1"), (b"content-length", b"1")], 400, "invalid_length"),
        ([(b"content-length", b"+1")], 400, "invalid_length"),
        ([(b"transfer-encoding", b"gzip, chunked")], 400, "invalid_coding"),
        ([(b"upgrade", b"h2c")], 501, "unsupported_upgrade"),
        ([KEY, KEY], 400, "duplicate_credentials"),
        ([KEY, (b"x-api-key", b"k")], 400, "duplicate_credentials"),
        ([(b"api-key", b"a"), (b"x-goog-api-key", b"k")], 400, "duplicate_credentials"),
        ([(b"authorization", b"bearer a, Bearer b")], 400, "duplicate_credentials"),
        ([(b"authorization", b"Bearer \xe9")], 400, "invalid_credential"),
        ([(b"x-api-key", b"a\tb")], 400, "invalid_credential"),
        ([(b"x-api-key", b"a" * 8193)], 431, "credential_too_long"),
        ([(b"connection", b"close, Authorization")], 400, "invalid_connection"),
        ([(b"connection", b"content-md5")], 400, "invalid_connection"),
        ([(b"connection", b"x-api-key")], 400, "invalid_connection"),
        ([(b"content-type", b"a/b"), (b"content-type", b"a/b")], 400, "duplicate_content_type"),
        ([(b"content-type", b"application/json; charset=utf-16")], 415, "unsupported_charset"),
        ([(b"content-type", b'application/json;a=b; Charset="UTF-7"')], 415, "unsupported_charset"),
        ([(b"x_api_key", b"k")], 400, "ambiguous_field"),
        ([(b"x_forwarded-for", b"192.0.2.1")], 400, "ambiguous_field"),
        ([(b"content_length", b"1")], 400, "ambiguous_field"),
        ([(b"expect", b"200-ok")], 417, "unsupported_expectation"),
        ([(b"content-encoding", b"gzip")], 415, "unsupported_encoding"),
        ([(b"content-encoding", b"identity"), (b"content-encoding", b"br")], 415, "unsupported_encoding"),
    ],
)
def test_a_head_with_two_readings_is_refused(fields: Fields, status: int, code: str) -> None:
    refusal = refusal_of(*fields)
    assert (refusal.status, refusal.code) == (status, code)


@pytest.mark.parametrize(
    "method, version, status",
    [("TRACE", "1.1", 501), ("CONNECT", "1.1", 501), ("GET", "2.0", 505), ("GET", "0.9", 505)],
)
def test_a_line_that_is_not_spoken_here_is_refused(method: str, version: str, status: int) -> None:
    assert refusal_of(method=method, version=version).status == status
    with pytest.raises(Refusal):
        check_framing(method, version, [HOST])


@pytest.mark.parametrize("host", [b"a@b", b"a b", b"", b"a:b", b"a:1:2", b"a/b", b"\xc3\xa4", b"[::1"])
def test_a_host_is_a_name_and_a_port(host: bytes) -> None:
    with pytest.raises(Refusal):
        check_framing("GET", "1.1", [(b"host", host)])


@pytest.mark.parametrize("host", [b"a", b"a.b:80", b"127.0.0.1:8080", b"[::1]:80", b"under_score"])
def test_usual_hosts_pass(host: bytes) -> None:
    check_framing(b"GET", "1.1", [(b"host", host)])


def test_http10_needs_no_host_and_has_no_chunks() -> None:
    check_head("GET", "1.0", [])
    with pytest.raises(Refusal):
        check_head("POST", "1.0", [(b"transfer-encoding", b"chunked")])
    with pytest.raises(Refusal):
        check_head("GET", "1.1", [])


@pytest.mark.parametrize("query", [b"key=a&key=b", b"%6bey=a&key=b", b"key=a&ke%79=b"])
def test_keys_in_the_query_count_as_credentials(query: bytes) -> None:
    assert refusal_of(query=query).code == "duplicate_credentials"
    assert refusal_of(KEY, query=query[:6]).code == "duplicate_credentials"
    check_head("GET", "1.1", [HOST], query[:6])
    assert [name for name, _ in credentials_of([HOST, KEY], query)] == [b"authorization", b"key", b"key"]


@given(st.text(alphabet="abcdefghij0123456789", min_size=8, max_size=30), st.integers(0, 3))
def test_no_refusal_quotes_a_credential(secret: str, kind: int) -> None:
    value = b"Bearer " + secret.encode()
    fields: list[Fields] = [
        [(b"authorization", value), (b"x-api-key", value)],
        [(b"authorization", value + b"\xff")],
        [(b"authorization", value * 1000)],
        [(b"x_api_key", value)],
    ]
    refusal = refusal_of(*fields[kind])
    assert secret not in f"{refusal} {refusal.detail} {refusal!r}"


def test_what_sdks_send_passes() -> None:
    check_head(
        "POST",
        "1.1",
        [
            HOST,
            KEY,
            (b"connection", b"keep-alive"),
            (b"content-type", b"application/json; charset=UTF-8"),
            (b"content-length", b"20"),
            (b"expect", b"100-Continue"),
            (b"content-encoding", b"identity"),
            (b"x-stainless-retry-count", b"0"),
            (b"x_custom", b"1"),
            (b"te", b"trailers"),
        ],
        b"api-version=2024-10-21",
    )


def test_our_own_fields_are_known_in_both_spellings() -> None:
    assert internal(b"gauger-tag")
    assert internal(b"gauger_tag")
    assert not internal(b"gauge-tag")
