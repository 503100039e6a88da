"""The relay alone, on real sockets: what passes, byte for byte, and what does not."""

import gzip
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.edge.evil import Evil, Peer, answer, replying
from tests.edge.wire import relayed, values, wire

HOST = b"Host: gateway.test\r\n"


async def ask(url: str, request: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One exchange on a connection of its own; `request` says `Connection: close` itself where it matters."""
    async with wire(url) as w:
        await w.send(request)
        status, headers = await w.head()
        length = values(headers, b"content-length")
        return status, headers, await w.exactly(int(length[0])) if length else b""


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"/v1/chat/%63ompletions?a=1&a=2&b=%20+%2B",
        b"/v1//double/;p=1/?",
        b"/x?q=%2F%5c&&=&",
        b"/%E2%82%AC?x='()*!~",
    ],
)
async def test_path_and_query_pass_byte_for_byte(tmp_path: Path, target: bytes) -> None:
    async with Evil(replying(answer())) as model, relayed(model, tmp_path) as url:
        await ask(url, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        expected = target.removesuffix(b"?") if target.endswith(b"/?") else target
        assert model.seen[0].line == b"GET " + expected + b" HTTP/1.1"


async def test_fields_pass_in_order_with_duplicates_and_unusual_bytes(tmp_path: Path) -> None:
    raw = answer(b"ok", b"Set-Cookie: a=1", b"X-One: 1", b"Set-Cookie: b=2", b"X-Latin: \xe9", b"Date: now", b"Via: m")
    async with Evil(replying(raw)) as model, relayed(model, tmp_path) as url:
        sent = b"X-Dup: 1\r\nAccept: a\r\nX-Dup: 2\r\nX-Latin: \xe9\r\nX-Empty: \r\nCookie: c=1\r\n"
        _, headers, _ = await ask(url, b"GET / HTTP/1.1\r\n" + HOST + sent + b"\r\n")
        assert model.seen[0].headers == [
            (b"host", b"127.0.0.1:%d" % model.port),
            (b"x-dup", b"1"),
            (b"accept", b"a"),
            (b"x-dup", b"2"),
            (b"x-latin", b"\xe9"),
            (b"x-empty", b""),
            (b"cookie", b"c=1"),
            (b"via", b"1.1 gauger"),
        ]
        assert headers == [
            (b"content-length", b"2"),
            (b"set-cookie", b"a=1"),
            (b"x-one", b"1"),
            (b"set-cookie", b"b=2"),
            (b"x-latin", b"\xe9"),
            (b"date", b"now"),
            (b"via", b"m"),
        ]


async def test_hop_by_hop_fields_end_here_in_both_directions(tmp_path: Path) -> None:
    down = [b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic"]
    async with Evil(replying(answer(b"ok", *down, b"X-Kept: 1"))) as model, relayed(model, tmp_path) as url:
        up = b"Connection: x-mine , keep-alive\r\nX-Mine: 1\r\nTE: trailers\r\nProxy-Authorization: Basic eA==\r\n"
        ours = b"Gauger-Tag: forged\r\nKeep-Alive: 1\r\nX-Kept: 1\r\n"
        _, headers, _ = await ask(url, b"GET / HTTP/1.1\r\n" + HOST + up + ours + b"\r\n")
        assert {name for name, _ in model.seen[0].headers} == {b"host", b"x-kept", b"via"}
        assert {name for name, _ in headers} == {b"content-length", b"x-kept"}


async def test_a_coded_answer_is_not_touched(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"object": "chat.completion"}', mtime=0)
    async with Evil(replying(answer(packed, b"Content-Encoding: gzip"))) as model, relayed(model, tmp_path) as url:
        _, headers, body = await ask(url, b"GET / HTTP/1.1\r\n" + HOST + b"Accept-Encoding: gzip\r\n\r\n")
        assert body == packed
        assert values(headers, b"content-encoding") == [b"gzip"]
        assert model.seen[0].values(b"accept-encoding") == [b"gzip"]


@pytest.mark.parametrize(
    ("method", "raw", "status", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", 200, [b"1234"]),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 1234\r\n\r\n", 304, [b"1234"]),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, []),
    ],
)
async def test_an_answer_without_a_body_has_none(
    tmp_path: Path, method: bytes, raw: bytes, status: int, length: list[bytes]
) -> None:
    async with Evil(replying(raw)) as model, relayed(model, tmp_path) as url, wire(url) as w:
        for _ in range(2):  # the second would meet what the first had left behind
            await w.send(method + b" / HTTP/1.1\r\n", HOST, b"\r\n")
            found, headers = await w.head()
            assert (found, values(headers, b"content-length")) == (status, length)
            assert b"transfer-encoding" not in dict(headers)
        assert (len(model.seen), model.connections) == (2, 1)


async def test_large_bodies_pass_whole_in_both_directions(tmp_path: Path) -> None:
    block = bytes(range(256)) * 16_384  # 4 MiB, no two neighbours alike

    async def script(peer: Peer) -> None:
        while True:
            await peer.write(answer((await peer.request()).body[::-1]))

    async with (
        Evil(script) as model,
        relayed(model, tmp_path) as url,
        httpx.AsyncClient(timeout=30) as client,
    ):
        whole = await client.post(f"{url}/v1/files", content=block)
        assert whole.content == block[::-1]

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(block), 100_000):
                yield block[start : start + 100_000]

        streamed = await client.post(f"{url}/v1/files", content=pieces())
        assert streamed.content == block[::-1]
        assert model.seen[0].values(b"content-length") == [b"%d" % len(block)]
        assert model.seen[1].values(b"transfer-encoding") == [b"chunked"]


async def test_a_post_without_a_body_says_so(tmp_path: Path) -> None:
    async with Evil(replying(answer())) as model, relayed(model, tmp_path) as url:
        await ask(url, b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n")
        assert model.seen[0].values(b"content-length") == [b"0"]
        await ask(url, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert model.seen[1].values(b"content-length") == []


async def test_a_model_behind_tls_is_checked_against_the_given_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with Evil(replying(answer(b"private")), tls=context) as model:
        at = f"https://localhost:{model.port}"
        async with relayed(at, tmp_path, upstream_ca=bundle) as url:
            assert (await ask(url, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"))[2] == b"private"
        async with relayed(at, tmp_path, upstream_ca=other) as url:
            status, _, body = await ask(url, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert (status, b"upstream_unreachable" in body, b"localhost" in body) == (502, True, False)
        assert len(model.seen) == 1


@pytest.mark.parametrize(
    ("target", "fields", "sent"),
    [
        (b"/v1/chat/completions?x=1", b"Authorization: Bearer caller\r\n", (b"authorization", b"Bearer ko")),
        (b"/v1/messages", b"X-Api-Key: caller\r\n", (b"x-api-key", b"ka")),
        (b"/v1/messages?%6bey=caller&x=1", b"", (b"x-api-key", b"ka")),
        (b"/v1beta/models?$key=caller", b"", (b"x-goog-api-key", b"kg")),
        (b"/v1/models", b"Api-Key: caller\r\n", (b"authorization", b"Bearer ko")),
    ],
)
async def test_the_caller_s_key_is_replaced_wherever_it_stood(
    tmp_path: Path, target: bytes, fields: bytes, sent: tuple[bytes, bytes]
) -> None:
    keys = {"openai_key": "ko", "anthropic_key": "ka", "gemini_key": "kg"}
    async with Evil(replying(answer())) as model, relayed(model, tmp_path, credential="replace", **keys) as url:
        await ask(url, b"GET " + target + b" HTTP/1.1\r\n" + HOST + fields + b"\r\n")
        (seen,) = model.seen
        assert sent in seen.headers
        assert b"caller" not in seen.line + b"".join(name + value for name, value in seen.headers)
        assert (b"x=1" in seen.line) == (b"x=1" in target)


async def test_a_vendor_without_a_key_of_ours_gets_none(tmp_path: Path) -> None:
    async with (
        Evil(replying(answer())) as model,
        relayed(model, tmp_path, credential="replace", openai_key="ko") as url,
    ):
        await ask(url, b"GET /v1/messages HTTP/1.1\r\n" + HOST + b"X-Api-Key: caller\r\n\r\n")
        assert {name for name, _ in model.seen[0].headers} == {b"host", b"via"}


async def test_the_host_is_the_model_s_unless_the_operator_keeps_the_caller_s(tmp_path: Path) -> None:
    async with Evil(replying(answer())) as model:
        for keep, expected in ((False, b"127.0.0.1:%d" % model.port), (True, b"gateway.test")):
            async with relayed(model, tmp_path, preserve_host=keep) as url:
                await ask(url, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert model.seen[-1].values(b"host") == [expected]


async def test_each_vendor_has_its_model_server_below_its_prefix(tmp_path: Path) -> None:
    async with Evil(replying(answer(b"one"))) as one, Evil(replying(answer(b"two"))) as two:
        each = {"anthropic": f"http://127.0.0.1:{two.port}/claude/"}
        async with relayed(f"http://127.0.0.1:{one.port}/pre/fix", tmp_path, upstreams=each) as url:
            openai = await ask(url, b"GET /v1/models?a=1 HTTP/1.1\r\n" + HOST + b"\r\n")
            claude = await ask(url, b"GET /v1/models HTTP/1.1\r\n" + HOST + b"Anthropic-Version: 2023-06-01\r\n\r\n")
            assert (openai[2], claude[2]) == (b"one", b"two")
            assert one.seen[0].line == b"GET /pre/fix/v1/models?a=1 HTTP/1.1"
            assert two.seen[0].line == b"GET /claude/v1/models HTTP/1.1"


@pytest.mark.parametrize(
    "request_line", [b"GET /a/../b HTTP/1.1", b"GET //evil.test/ HTTP/1.1", b"GET /a%2fb HTTP/1.1", b"BREW / HTTP/1.1"]
)
async def test_what_two_servers_could_read_differently_reaches_none(tmp_path: Path, request_line: bytes) -> None:
    async with Evil(replying(answer())) as model, relayed(model, tmp_path) as url:
        status, _, _ = await ask(url, request_line + b"\r\n" + HOST + b"\r\n")
        assert status in (400, 405, 501)
        assert not model.connections
