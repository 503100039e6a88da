"""What the client writes: the target as given, one framing, our own Host, and nothing that could be read two ways."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.h1 import request_head
from gateway.edge.upstream import UpstreamError, UpstreamTimeouts
from tests.edge.evil import Client, Evil, Headers, Peer, answer, echoing, fetch, h1, replying

TARGETS = [
    b"/v1/chat/completions?a=1&b=%20%zz;c",
    b"/v1/../admin/./policy",
    b"//double//slash",
    b"/%2e%2e/\\back",
    b'/"quoted"?q={}|^`<>#frag',
]


@pytest.mark.parametrize("target", TARGETS)
async def test_the_target_on_the_wire_is_the_given_one_byte_for_byte(client: Client, target: bytes) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server)
        assert await fetch(upstream, target) == (200, b"GET " + target + b" HTTP/1.1")
        await upstream.aclose()


async def test_a_prefix_of_the_origin_comes_before_every_target(client: Client) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server, prefix="/openai")
        assert await fetch(upstream, b"/v1/models") == (200, b"GET /openai/v1/models HTTP/1.1")
        assert await fetch(upstream, b"*", method=b"OPTIONS") == (200, b"OPTIONS * HTTP/1.1")
        await upstream.aclose()


@pytest.mark.parametrize(
    "method, target, headers",
    [
        (b"GET", b"/a b", []),
        (b"GET", b"/a\r\nx: y", []),
        (b"GET", b"/\x00", []),
        (b"GET", b"/\xc3\xa9", []),
        (b"GET", b"", []),
        (b"GET", b"http://elsewhere/", []),
        (b"GET", b"*", []),
        (b"GET\r\n", b"/", []),
        (b"G T", b"/", []),
        (b"", b"/", []),
        (b"CONNECT", b"/", []),
        (b"GET", b"/", [(b"x", b"a\r\nb: c")]),
        (b"GET", b"/", [(b"x", b"a\nb")]),
        (b"GET", b"/", [(b"x", b"a\x00")]),
        (b"GET", b"/", [(b"x", b"\x7f")]),
        (b"GET", b"/", [(b"x y", b"a")]),
        (b"GET", b"/", [(b"x:", b"a")]),
        (b"GET", b"/", [(b"", b"a")]),
        (b"GET", b"/", [(b"x\t", b"a")]),
        (b"GET", b"/", [(b"x\xe9", b"a")]),
    ],
)
async def test_a_request_that_could_be_read_two_ways_is_refused_before_connecting(
    client: Client, method: bytes, target: bytes, headers: Headers
) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server)
        with pytest.raises(UpstreamError) as caught:
            await upstream.send(method, target, headers)
        assert (caught.value.kind, caught.value.sent) == ("invalid", False)
        assert (server.connections, upstream.stats.open) == (0, 0)


OURS = {  # what a client sets itself, or must not pass on (RFC 9110 section 7.6.1)
    *(b"connection", b"content-length", b"expect", b"host", b"http2-settings", b"keep-alive"),
    *(b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
}


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_a_head_that_is_written_has_exactly_the_lines_that_were_asked_for(
    method: bytes, target: bytes, name: bytes, value: bytes
) -> None:
    try:
        head = request_head(method, b"/" + target, b"host", [(name, value)], b"content-length: 0\r\n")
    except UpstreamError as error:
        assert error.kind == "invalid"  # noqa: PT017
        return
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    if name.lower() in OURS:
        assert len(lines) == 5
        return
    assert len(lines) == 6
    assert lines[0].split(b" ") == [method, b"/" + target, b"HTTP/1.1"]
    assert lines[2].partition(b": ") == (name, b": ", value)
    assert b"\r" not in b"".join(lines)


async def test_fields_that_are_ours_to_write_are_never_copied(client: Client) -> None:
    async with Evil(replying(answer())) as server:
        upstream = client(server)
        given = [
            (b"Content-Length", b"999"),
            (b"transfer-encoding", b"chunked"),
            (b"Connection", b"close, authorization"),
            (b"host", b"elsewhere"),
            (b"Expect", b"100-continue"),
            (b"TE", b"trailers"),
            (b"Upgrade", b"h2c"),
            (b"authorization", b"Bearer caf\xe9"),
        ]
        await (await upstream.send(b"POST", b"/", given, b"hello")).aclose()
        assert server.seen[0].headers == [
            (b"host", b"127.0.0.1:%d" % server.port),
            (b"authorization", b"Bearer caf\xe9"),
            (b"content-length", b"5"),
        ]
        await upstream.aclose()


async def test_the_clients_host_is_preserved_where_asked_for(client: Client) -> None:
    async with Evil(replying(answer())) as server:
        upstream = client(server)
        await (await upstream.send(b"GET", b"/", [], host=b"api.example.com")).aclose()
        assert server.seen[0].values(b"host") == [b"api.example.com"]
        with pytest.raises(UpstreamError, match="not valid HTTP"):
            await upstream.send(b"GET", b"/", [], host=b"a b")
        await upstream.aclose()


async def blocks(*given: bytes) -> AsyncIterator[bytes]:
    for block in given:
        await asyncio.sleep(0)
        yield block


@pytest.mark.parametrize(
    "method, body, length, framing, arrived",
    [
        (b"POST", b"hello", None, (b"content-length", b"5"), b"hello"),
        (b"POST", b"hello", 5, (b"content-length", b"5"), b"hello"),
        (b"POST", b"", None, (b"content-length", b"0"), b""),
        (b"POST", None, None, (b"content-length", b"0"), b""),
        (b"GET", None, None, None, b""),
        (b"POST", (b"hel", b"", b"lo"), None, (b"transfer-encoding", b"chunked"), b"hello"),
        (b"POST", (b"hel", b"lo"), 5, (b"content-length", b"5"), b"hello"),
        (b"POST", (), None, (b"transfer-encoding", b"chunked"), b""),
        (b"POST", b"x" * 4_000_000, None, (b"content-length", b"4000000"), b"x" * 4_000_000),
    ],
)
async def test_a_request_has_exactly_one_framing(
    client: Client,
    method: bytes,
    body: bytes | tuple[bytes, ...] | None,
    length: int | None,
    framing: tuple[bytes, bytes] | None,
    arrived: bytes,
) -> None:
    async with Evil(replying(answer(b""))) as server:
        upstream = client(server)
        for _ in range(2):  # and the connection is still in step for the second
            source = blocks(*body) if isinstance(body, tuple) else body
            await (await upstream.send(method, b"/", [], source, length)).aclose()
        for seen in server.seen:
            framings = [pair for pair in seen.headers if pair[0] in (b"content-length", b"transfer-encoding")]
            assert framings == ([framing] if framing else [])
            assert seen.body == arrived
        assert server.connections == 1
        await upstream.aclose()


@pytest.mark.parametrize("body, length", [(b"hello", 4), (None, 3), (b"", 1)])
async def test_a_length_that_is_not_the_bodys_is_refused(client: Client, body: bytes | None, length: int) -> None:
    async with Evil(echoing()) as server:
        with pytest.raises(UpstreamError) as caught:
            await client(server).send(b"POST", b"/", [], body, length)
        assert caught.value.kind == "invalid"


@pytest.mark.parametrize("given, length", [((b"too", b"long"), 5), ((b"abc",), 5)])
async def test_an_iterated_body_that_breaks_its_announced_length_never_arrives_whole(
    client: Client, given: tuple[bytes, ...], length: int
) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server)
        with pytest.raises(UpstreamError) as caught:
            await upstream.send(b"POST", b"/", [], blocks(*given), length)
        assert (caught.value.kind, caught.value.sent) == ("write", True)
        await server.until_open(0)
        assert server.seen == []
        assert upstream.stats.open == 0


class Hiccup(Exception):
    """What the source of a body may raise."""


async def test_what_the_source_of_a_body_raises_comes_out_of_send(client: Client) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first"
        raise Hiccup

    async with Evil(echoing()) as server:
        upstream = client(server)
        with pytest.raises(Hiccup):
            await upstream.send(b"POST", b"/", [], broken())
        await server.until_open(0)
        assert server.seen == []
        assert upstream.stats.open == 0


async def test_an_early_refusal_stops_the_body_and_the_connection_is_not_reused() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.write(answer(b"too large", status=b"413 Content Too Large"))
        await peer.gone()

    async with Evil(script) as server:
        upstream = h1(server)
        response = await upstream.send(b"POST", b"/", [], endless())
        assert response.status == 413
        await closed.wait()
        assert await response.read() == b"too large"
        assert await response.read() is None
        await response.aclose()
        await server.until_open(0)
        assert upstream.stats.open == 0


async def test_an_early_refusal_stops_a_large_buffered_body() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.write(answer(b"", status=b"413 Content Too Large"))
        await peer.gone()

    async with Evil(script) as server:
        upstream = h1(server)
        assert await fetch(upstream, method=b"POST", body=bytes(64 * 1024 * 1024)) == (413, b"")
        await server.until_open(0)


async def test_beside_an_early_success_the_body_goes_on() -> None:
    answered = asyncio.Event()

    async def two_way() -> AsyncIterator[bytes]:
        yield b"one"
        await answered.wait()
        yield b"two"

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            await peer.reader.readuntil(b"\r\n")
            await peer.write(b"3\r\n", await peer.reader.readexactly(3), b"\r\n")
            await peer.reader.readexactly(2)
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.write(b"0\r\n\r\n")
        await peer.gone()

    async with Evil(script) as server:
        upstream = h1(server)
        async with await upstream.send(b"POST", b"/", [], two_way()) as response:
            assert await response.read() == b"one"
            answered.set()
            assert await response.read() == b"two"
            assert await response.read() is None
        assert upstream.stats.idle == 1
        await upstream.aclose()


async def test_a_server_that_does_not_read_holds_the_source_of_the_body_back(client: Client) -> None:
    taken = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield bytes(100_000)

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await peer.gone()

    async with Evil(script) as server:
        upstream = client(server, timeouts=UpstreamTimeouts(read=0.2))
        with pytest.raises(UpstreamError) as caught:
            await upstream.send(b"POST", b"/", [], source())
        assert (caught.value.kind, caught.value.sent) == ("timeout_read", True)
        assert taken < 500  # the kernel's buffers, and no more
        assert upstream.stats.open == 0
