"""What the client reads: answers that end where they say they end, and refusals of everything else."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.answer import CHUNKED, COUNTED, DONE, FAILED, TO_EOF, Answer
from gateway.edge.upstream import Upstream, UpstreamError
from tests.edge.evil import Client, Evil, Peer, answer, fetch, h1, replying

OK = b"HTTP/1.1 200 OK\r\n"
CHUNK = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CL2 = OK + b"Content-Length: 2\r\n"

INVALID = {
    "length and chunks": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nhi",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "two lengths": CL2 + b"Content-Length: 3\r\n\r\nhi!",
    "negative length": OK + b"Content-Length: -2\r\n\r\nhi",
    "signed length": OK + b"Content-Length: +2\r\n\r\nhi",
    "hex length": OK + b"Content-Length: 0x2\r\n\r\nhi",
    "empty length": OK + b"Content-Length:\r\n\r\nhi",
    "endless length": OK + b"Content-Length: 99999999999999999999\r\n\r\nhi",
    "unknown coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a version of 0.9": b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "empty line first": b"\r\n" + CL2 + b"\r\nhi",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status above 599": b"HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\nhi",
    "status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi",
    "NUL in a value": CL2 + b"a: b\x00c\r\n\r\nhi",
    "control in a value": CL2 + b"a: b\x01c\r\n\r\nhi",
    "bare CR in a value": CL2 + b"a: b\rc: d\r\n\r\nhi",
    "space before the colon": CL2 + b"a : b\r\n\r\nhi",
    "no name": CL2 + b": b\r\n\r\nhi",
    "no colon": CL2 + b"abc\r\n\r\nhi",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "head too long": OK + b"a: " + b"x" * 70_000 + b"\r\n\r\n",
    "too many fields": OK + b"a: b\r\n" * 201 + b"Content-Length: 0\r\n\r\n",
}
INVALID_TO_US = {  # others read them, each in one way, or wait for the rest until a time-out
    "one length twice": CL2 + b"Content-Length: 2\r\n\r\nhi",
    "list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nhi",
    "no status line": b"hello, this is not HTTP",
    "HTTP/0.9": b"<html>hi</html>",
    "bare LF between fields": CL2 + b"a: b\nc: d\r\n\r\nhi",
    "bare LF only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
    "folded field": CL2 + b"a: b\r\n c\r\n\r\nhi",
    "head without end": OK + b"a: " + b"x" * 70_000,
    "interim answers for ever": b"HTTP/1.1 103 Early\r\n\r\n" * 17 + CL2 + b"\r\nhi",
}
BAD_CHUNKS = {
    "sign": b"+2\r\nhi\r\n0\r\n\r\n",
    "bare LF": b"2\nhi\r\n0\r\n\r\n",
    "no line end": b"2\r\nhiX\r\n0\r\n\r\n",
    "no size": b"\r\nhi\r\n0\r\n\r\n",
    "LF in an extension": b"2;a\nb\r\nhi\r\n0\r\n\r\n",
    "trailer without end": b"2\r\nhi\r\n0\r\na: " + b"b" * 700_000,
}
BAD_CHUNKS_TO_US = {
    "0x": b"0x2\r\nhi\r\n0\r\n\r\n",
    "space": b"2 \r\nhi\r\n0\r\n\r\n",
    "overflow": b"fffffffffffffffff\r\nhi",
    "extension without end": b"2;" + b"a" * 70_000,
    "folded trailer": b"0\r\na: b\r\n c\r\n\r\n",
}


async def refused_at_its_head(upstream: Upstream, server: Evil) -> None:
    with pytest.raises(UpstreamError) as caught:
        await upstream.send(b"GET", b"/", [])
    assert (caught.value.kind, caught.value.sent) == ("invalid", True)
    assert str(server.port) not in str(caught.value)
    await server.until_open(0)
    assert upstream.stats.open == 0


async def refused_in_its_body(upstream: Upstream, server: Evil) -> None:
    with pytest.raises(UpstreamError) as caught:
        await fetch(upstream)
    assert caught.value.kind == "invalid"
    await server.until_open(0)
    assert upstream.stats.open == 0


@pytest.mark.parametrize("bytes_", INVALID.values(), ids=INVALID)
async def test_an_answer_that_is_not_plain_http_is_refused(client: Client, bytes_: bytes) -> None:
    async with Evil(replying(bytes_)) as server:
        await refused_at_its_head(client(server), server)


@pytest.mark.parametrize("bytes_", INVALID_TO_US.values(), ids=INVALID_TO_US)
async def test_our_own_client_refuses_what_others_let_pass(bytes_: bytes) -> None:
    async with Evil(replying(bytes_)) as server:
        await refused_at_its_head(h1(server), server)


@pytest.mark.parametrize("bytes_", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
async def test_a_bad_chunk_never_looks_like_an_end(client: Client, bytes_: bytes) -> None:
    async with Evil(replying(CHUNK + bytes_)) as server:
        await refused_in_its_body(client(server), server)


@pytest.mark.parametrize("bytes_", BAD_CHUNKS_TO_US.values(), ids=BAD_CHUNKS_TO_US)
async def test_our_own_client_refuses_chunks_that_others_let_pass(bytes_: bytes) -> None:
    async with Evil(replying(CHUNK + bytes_)) as server:
        await refused_in_its_body(h1(server), server)


@pytest.mark.parametrize(
    "bytes_, read",
    [
        (b"", b""),
        (OK[:9], b""),
        (OK + b"Content-Le", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b""),
        (OK + b"Content-Length: 3\r\n\r\nhi", b"hi"),
        (CHUNK, b""),
        (CHUNK + b"2\r\nhi\r\n", b"hi"),
        (CHUNK + b"5\r\nhi", b"hi"),
        (CHUNK + b"2\r\nhi\r\n0\r\n", b"hi"),
    ],
)
@pytest.mark.parametrize("rst", [False, True])
async def test_an_answer_that_breaks_off_is_an_error_and_never_a_clean_end(
    client: Client, bytes_: bytes, read: bytes, rst: bool
) -> None:
    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(bytes_)
        if rst:
            if read:
                await heard.wait()  # a reset discards what the client has not read
            peer.reset()

    got = b""
    async with Evil(script) as server:
        upstream = client(server)
        with pytest.raises(UpstreamError) as caught:
            async with await upstream.send(b"POST", b"/", [], b"x") as response:
                while (block := await response.read()) is not None:
                    got += block
                    heard.set()
        assert (caught.value.kind, caught.value.sent) == ("closed", True)
        assert got == read
        assert upstream.stats.open == 0


async def test_a_body_to_the_end_of_the_connection_ends_well_only_with_the_streams_end(client: Client) -> None:
    for head in (b"HTTP/1.0 200 OK\r\n\r\n", OK + b"Connection: close\r\n\r\n", OK + b"\r\n"):
        async with Evil(replying(head, b"hi", then_close=True)) as server:
            upstream = client(server)
            assert await fetch(upstream) == (200, b"hi")
            assert upstream.stats.open == 0

    heard = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.0 200 OK\r\n\r\nhi")
        await heard.wait()
        peer.reset()

    async with Evil(script) as server:
        response = await client(server).send(b"GET", b"/", [])
        assert await response.read() == b"hi"
        heard.set()
        with pytest.raises(UpstreamError, match="before its answer was complete"):
            await response.read()


@pytest.mark.parametrize(
    "method, bytes_",
    [
        (b"HEAD", OK + b"Content-Length: 100\r\n\r\n"),
        (b"HEAD", CHUNK),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n"),
        (b"GET", OK + b"Content-Length: 0\r\n\r\n"),
    ],
)
async def test_an_answer_without_a_body_leaves_the_connection_usable(
    client: Client, method: bytes, bytes_: bytes
) -> None:
    async with Evil(replying(bytes_)) as server:
        upstream = client(server)
        for _ in range(3):
            assert (await fetch(upstream, method=method))[1] == b""
        assert server.connections == 1
        await upstream.aclose()


async def test_interim_answers_are_skipped_and_leave_no_field_behind(client: Client) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for blocks in ((interim + answer(),), (interim[:40], interim[40:], answer())):
        async with Evil(replying(*blocks, pause=lambda: asyncio.sleep(0.01))) as server:
            upstream = client(server)
            for _ in range(2):
                async with await upstream.send(b"GET", b"/", []) as response:
                    assert (response.status, response.headers) == (200, [(b"content-length", b"2")])
                    assert await response.read() == b"ok"
                    assert await response.read() is None
            assert server.connections == 1
            await upstream.aclose()


async def test_fields_keep_their_order_and_their_duplicates(client: Client) -> None:
    fields = [b"Set-Cookie: a=1", b"X-B:  two words ", b"set-cookie: b=2", b"X-Empty:", b"X-Latin: \xe9"]
    async with Evil(replying(answer(b"", *fields))) as server:
        upstream = client(server)
        async with await upstream.send(b"GET", b"/", []) as response:
            assert [(name, value.strip()) for name, value in response.headers[1:]] == [
                (b"set-cookie", b"a=1"),
                (b"x-b", b"two words"),
                (b"set-cookie", b"b=2"),
                (b"x-empty", b""),
                (b"x-latin", b"\xe9"),
            ]
        await upstream.aclose()


SURPLUS = {
    "an answer": lambda n: answer(b"right-%d" % n) + answer(b"FORGED"),
    "line ends": lambda n: answer(b"right-%d" % n) + b"\r\n",
    "chunks, then an answer": lambda n: (
        CHUNK + b"%x\r\nright-%d\r\n0\r\n\r\n" % (6 + len(str(n)), n) + answer(b"FORGED")
    ),
    "chunks, then junk": lambda n: CHUNK + b"%x\r\nright-%d\r\n0\r\n\r\nFORGED" % (6 + len(str(n)), n),
    "chunks, then line ends": lambda n: CHUNK + b"%x\r\nright-%d\r\n0\r\n\r\n\r\n" % (6 + len(str(n)), n),
}


@pytest.mark.parametrize("surplus", SURPLUS.values(), ids=SURPLUS)
async def test_bytes_after_an_answer_reach_no_one(client: Client, surplus: Callable[[int], bytes]) -> None:
    count = 0

    async def script(peer: Peer) -> None:
        nonlocal count
        while True:
            await peer.request()
            count += 1
            await peer.write(surplus(count))

    async with Evil(script) as server:
        upstream = client(server)
        for number in range(1, 101):
            assert await fetch(upstream, method=b"POST", body=b"x") == (200, b"right-%d" % number)
        assert server.connections == 100
        await upstream.aclose()


async def test_a_body_where_none_may_be_reaches_no_one(client: Client) -> None:
    async with Evil(replying(OK + b"Content-Length: 6\r\n\r\nFORGED")) as server:
        upstream = client(server)
        for _ in range(20):
            assert await fetch(upstream, method=b"HEAD") == (200, b"")
        assert server.connections == 20
        await upstream.aclose()


async def test_bytes_on_an_idle_connection_reach_no_one(client: Client) -> None:
    go, forged = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b"right-%d" % peer.number))
        await go.wait()
        await peer.write(answer(b"FORGED"))
        forged.set()
        await peer.gone()

    async with Evil(script) as server:
        upstream = client(server)
        assert await fetch(upstream) == (200, b"right-1")
        assert upstream.stats.idle == 1
        go.set()
        await forged.wait()
        assert await fetch(upstream, method=b"POST") == (200, b"right-2")
        await upstream.aclose()
        await server.until_open(0)


async def test_our_own_client_closes_an_idle_connection_as_soon_as_it_hears_bytes() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b"first"))
        await go.wait()
        await peer.write(answer(b"FORGED"))
        await peer.gone()

    go = asyncio.Event()
    async with Evil(script) as server:
        upstream = h1(server)
        assert await fetch(upstream) == (200, b"first")
        assert upstream.stats.idle == 1
        go.set()
        await server.until_open(0)
        assert (upstream.stats.open, upstream.stats.idle) == (0, 0)


async def test_a_slow_reader_makes_the_server_wait(client: Client) -> None:
    size = 64 * 1024 * 1024
    written = 0

    async def script(peer: Peer) -> None:
        nonlocal written
        await peer.request()
        await peer.write(OK + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            await peer.write(bytes(65536))
            written += 65536
        await peer.gone()

    async with Evil(script) as server:
        upstream = client(server)
        async with await upstream.send(b"GET", b"/", []) as response:
            before = -1
            while before < written:  # until nothing moves any more
                before = written
                await asyncio.sleep(0.1)
            assert written < size // 2
            got = 0
            while (block := await response.read()) is not None:
                got += len(block)
                assert len(block) < 2 * 1024 * 1024
            assert got == size
        assert upstream.stats.idle == 1
        await upstream.aclose()


async def test_a_response_that_nobody_closed_gives_its_slot_back_and_says_so(client: Client) -> None:
    async with Evil(replying(answer())) as server:
        upstream = client(server)
        forgotten = [await upstream.send(b"GET", b"/", [])]
        with pytest.warns(ResourceWarning, match="not closed"):
            forgotten.clear()
        await server.until_open(0)
        async with asyncio.timeout(10):
            while upstream.stats.open:
                await asyncio.sleep(0.001)


STREAMS = [
    (answer(b"hello"), False, DONE),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNK + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nt: v\r\n\r\n", False, DONE),
    (OK + b"Content-Length: 9\r\n\r\nhello", False, COUNTED),
    (CHUNK + b"5\r\nhello\r\n", False, CHUNKED),
    (OK + b"\r\nhello", False, TO_EOF),
    (CL2 + b"a: b\x00\r\n\r\n", False, FAILED),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n", False, FAILED),
    (CHUNK + b"5\r\nhello\r\nX\r\n", False, FAILED),
    (CL2 + b"\r\nhello", True, DONE),
    (CHUNK + b"0\r\n\r\nHTTP/1.1 200 OK\r\n", True, DONE),
]


@pytest.mark.parametrize("stream, surplus, phase", STREAMS)
@given(data=st.data())
def test_an_answer_reads_the_same_however_its_bytes_are_split(
    stream: bytes, surplus: bool, phase: int, data: st.DataObject
) -> None:
    whole = Answer()
    whole.feed(stream)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1))))
    split = Answer()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        split.feed(stream[start:end])
    assert (whole.phase, whole.surplus) == (split.phase, split.surplus) == (phase, surplus)
    assert (whole.status, whole.take()) == (split.status, split.take())
    if phase != FAILED:
        assert whole.headers == split.headers
    assert split.keep <= whole.keep


@given(st.binary(max_size=300), st.sampled_from([b"", OK, CL2, CHUNK, OK + b"\r\n"]))
def test_no_bytes_at_all_upset_the_reader(junk: bytes, start: bytes) -> None:
    reader = Answer()
    for byte in range(0, len(start + junk), 7):
        reader.feed((start + junk)[byte : byte + 7])
    reader.end()
    assert reader.phase in (DONE, FAILED)
    assert not reader.keep
    assert (reader.fault is None) == (reader.phase == DONE)
