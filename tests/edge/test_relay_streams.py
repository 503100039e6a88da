"""The relay alone, on real sockets: bytes pass as soon as they are there, and whoever leaves is noticed."""

import asyncio
import io
from pathlib import Path

import pytest

from gateway.accounts import Directory
from gateway.app import Gate, Relay, build_core
from gateway.edge.exchange import ASGIApp, Message, Receive, Scope, Send
from gateway.edge.server import Bounds, make_server
from gateway.edge.transports import make_upstream
from gateway.edge.upstream import UpstreamError
from gateway.settings import Settings
from tests.edge.evil import Evil, Peer, answer
from tests.edge.wire import SOON, chunked, relayed, values, wire
from tests.rig import OPEN_POLICY, policy_of

HOST = b"Host: a\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_the_first_event_arrives_while_the_model_still_thinks(tmp_path: Path) -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        for number in range(3):
            await peer.write(chunked(b"data: %d\n\n" % number, end=False))
            await read.wait()  # the next event exists only once this one has been read
            read.clear()
        await peer.write(b"0\r\n\r\n")

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"GET / HTTP/1.1\r\n", HOST, b"\r\n")
        await w.head()
        for number in range(3):
            assert await w.chunk() == b"data: %d\n\n" % number
            read.set()
        assert await w.chunk() == b""


async def test_the_head_arrives_before_the_first_byte_of_the_body(tmp_path: Path) -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        await read.wait()
        await peer.write(chunked(b"x"))

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"GET / HTTP/1.1\r\n", HOST, b"\r\n")
        assert (await w.head())[0] == 200
        read.set()
        assert await w.chunk() == b"x"


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_upload_reaches_the_model_before_it_is_whole(tmp_path: Path, framing: bytes) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    plain = framing.startswith(b"Content-Length")

    async def script(peer: Peer) -> None:
        head = await peer.head()
        assert bool(head.values(b"content-length")) == plain
        body = b""
        while not body.endswith(b"two" if plain else b"0\r\n\r\n"):
            block = await peer.reader.read(100)
            body += block
            arrived.put_nowait(block)
        await peer.write(answer(body))

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, framing, b"\r\n", b"one" if plain else chunked(b"one", end=False))
        assert b"one" in await asyncio.wait_for(arrived.get(), SOON)
        await w.send(b"two" if plain else chunked(b"two"))
        status, headers = await w.head()
        body = await w.exactly(int(values(headers, b"content-length")[0]))
        assert (status, body) == (200, b"onetwo" if plain else chunked(b"one", b"two"))


async def test_an_expected_100_comes_before_the_upload(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        seen = await peer.request()
        assert seen.values(b"expect") == []
        await peer.write(answer(seen.body))

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert await w.head() == (100, [])
        await w.send(chunked(b"a" * 5000, end=False))
        await w.send(chunked(b"b" * 5000))
        assert (await w.head())[0] == 200
        assert await w.exactly(10_000) == b"a" * 5000 + b"b" * 5000


async def test_an_early_answer_ends_an_upload(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.write(answer(b"no", status=b"413 Too Large"))
        await peer.gone()

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, b"Content-Length: 1000000\r\n\r\n", b"x" * 1000)
        status, headers = await w.head()
        assert status == 413
        assert await w.exactly(int(values(headers, b"content-length")[0])) == b"no"
        await asyncio.wait_for(model.until_open(0), SOON)


LEAVES = {
    "nothing": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a body that is there": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok",
    "half a body": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nok",
    "a chunked body": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"ok"),
}


@pytest.mark.parametrize("sent", LEAVES.values(), ids=LEAVES)
async def test_a_client_that_leaves_before_the_head_is_left_by_the_model_s_connection_too(
    tmp_path: Path, sent: bytes
) -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        asked.set()
        await peer.gone()

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(sent)
        await asyncio.wait_for(asked.wait(), SOON)
        w.leave()
        await asyncio.wait_for(model.until_open(0), SOON)


@pytest.mark.parametrize("late", [b"one", b"onetwo"])
async def test_a_client_that_leaves_after_a_streamed_upload_is_noticed(tmp_path: Path, late: bytes) -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.reader.readexactly(len(late))
        arrived.set()
        await peer.gone()

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, b"Content-Length: 6\r\n\r\n", late[:3])
        await asyncio.wait_for(model.until_open(1), SOON)
        await w.send(late[3:])
        await asyncio.wait_for(arrived.wait(), SOON)
        w.leave()
        await asyncio.wait_for(model.until_open(0), SOON)


async def test_a_client_that_leaves_after_a_chunked_upload_is_noticed(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        arrived.set()
        await peer.gone()

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, b"Transfer-Encoding: chunked\r\n\r\n", chunked(b"one", end=False))
        await asyncio.wait_for(model.until_open(1), SOON)
        await w.send(b"0\r\n\r\n")
        await asyncio.wait_for(arrived.wait(), SOON)
        w.leave()
        await asyncio.wait_for(model.until_open(0), SOON)


@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request"])
async def test_a_client_that_leaves_beside_an_early_answer_is_noticed(tmp_path: Path, status: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.write(STREAM.replace(b"200 OK", status), chunked(b"early", end=False))
        await peer.gone()

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        await w.send(b"POST / HTTP/1.1\r\n", HOST, b"Content-Length: 6\r\n\r\n", b"one")
        await w.head()
        assert await w.chunk() == b"early"
        w.leave()
        await asyncio.wait_for(model.until_open(0), SOON)


async def test_a_connection_carries_many_requests(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            seen = await peer.request()
            await peer.write(answer(seen.line + seen.body))

    async with Evil(script) as model, relayed(model, tmp_path) as url, wire(url) as w:
        for number in range(20):
            body = b"x" * number
            await w.send(b"POST /%d HTTP/1.1\r\n" % number, HOST, b"Content-Length: %d\r\n\r\n" % number, body)
            _, headers = await w.head()
            whole = await w.exactly(int(values(headers, b"content-length")[0]))
            assert whole == b"POST /%d HTTP/1.1" % number + body
        assert model.connections == 1


class Seen:
    """Middleware that notes the pieces of an answer and makes them upper case."""

    def __init__(self, app: ASGIApp, pieces: list[bytes]) -> None:
        self.app = app
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.body" and message["body"]:
                self.pieces.append(message["body"])
                message = {**message, "body": message["body"].upper()}
            await send(message)

        await self.app(scope, receive, noted)


@pytest.mark.parametrize("inside", [True, False])
async def test_middleware_around_the_relay_or_the_gate_sees_every_piece(tmp_path: Path, inside: bool) -> None:
    """Pieces pass beside `send` only where nobody stands between."""
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        for number in range(4):
            await peer.write(chunked(b"data: x%d\n\n" % number, end=False))
            await read.wait()
            read.clear()
        await peer.write(b"0\r\n\r\n")

    pieces: list[bytes] = []
    async with Evil(script) as model:
        settings = Settings(state_dir=tmp_path, upstream=f"http://127.0.0.1:{model.port}")
        relay = Relay(settings.upstream, settings)
        core = build_core(settings, stream=io.BytesIO(), rules=(policy_of(OPEN_POLICY), Directory.empty()))
        app = Gate(Seen(relay, pieces), core=core) if inside else Seen(Gate(relay, core=core), pieces)
        async with make_server(app, bounds=Bounds()).listening() as port, wire(f"http://127.0.0.1:{port}") as w:
            await w.send(b"GET /v1/models HTTP/1.1\r\n", HOST, b"\r\n")
            await w.head()
            for number in range(4):
                assert await w.chunk() == b"DATA: X%d\n\n" % number
                read.set()
            assert await w.chunk() == b""
        await relay.aclose()
        await core.aclose()
    assert pieces == [b"data: x%d\n\n" % number for number in range(4)]


async def test_a_sink_that_fails_breaks_the_answer_off_and_says_why(tmp_path: Path) -> None:
    """What takes the pieces is ours; a defect of it is neither the model server's nor swallowed."""
    going = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        await going.wait()
        await peer.write(chunked(b"one", end=False))

    def broken(piece: bytes) -> bool:
        raise ValueError("a defect")

    async with Evil(script) as model:
        upstream = make_upstream(f"http://127.0.0.1:{model.port}", Settings(state_dir=tmp_path))
        async with await upstream.send(b"GET", b"/", []) as response:
            asyncio.get_running_loop().call_soon(going.set)
            with pytest.raises(UpstreamError) as raised:
                await response.read(broken)
        assert isinstance(raised.value.__cause__, ValueError)
        await upstream.aclose()


async def test_a_sink_that_has_enough_is_asked_no_more_until_the_next_read(tmp_path: Path) -> None:
    taken: list[bytes] = []
    more = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        for number in range(3):
            await more.wait()
            more.clear()
            await peer.write(chunked(b"%d" % number, end=False))
        await peer.write(b"0\r\n\r\n")

    def sink(piece: bytes) -> bool:
        taken.append(piece)
        asyncio.get_running_loop().call_soon(more.set)
        return len(taken) < 2

    async with Evil(script) as model:
        upstream = make_upstream(f"http://127.0.0.1:{model.port}", Settings(state_dir=tmp_path))
        async with await upstream.send(b"GET", b"/", []) as response:
            more.set()
            assert await response.read(sink) == b""
            assert taken == [b"0", b"1"]
            rest = b""
            while (piece := await response.read()) is not None:
                rest += piece
            assert rest == b"2"
        await upstream.aclose()
