"""The request for a WebSocket as bytes, below and around the gate: what is handed over, and other servers' sockets."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.app import Gate, Relay
from gateway.edge.server import Bounds, make_server
from gateway.settings import Settings
from gateway.wire.websocket import accept_of
from tests.edge.sessions import KEY, SOON, answering, done, echo, end_of, kill, model, said, scene
from tests.edge.test_realtime_limits import OUTPUT
from tests.rig import gateway

FIELDS = {
    "Host": "gateway.test",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    "Authorization": "Bearer sk-one",
}
CHAT = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


def request(line: str = "GET /v1/realtime?model=m HTTP/1.1", *more: str, **changes: str | None) -> bytes:
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None), *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def talk(port: int, *pieces: bytes, quiet: float = 0.3) -> bytes:
    """What comes back until the gateway closes, or has said nothing for a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        while block := await asyncio.wait_for(reader.read(65_536), quiet):
            got += block
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()
    return got


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (request(Sec_WebSocket_Version="8"), b"426", b"websocket_version"),
        (request(Sec_WebSocket_Version=None), b"426", b"websocket_version"),
        (request(Sec_WebSocket_Key=None), b"400", b"invalid_upgrade"),
        (request(Sec_WebSocket_Key="short"), b"400", b"invalid_upgrade"),
        (request(Connection="keep-alive"), b"400", b"invalid_upgrade"),
        (request("POST /v1/realtime HTTP/1.1"), b"400", b"invalid_upgrade"),
        (request("GET /v1/realtime HTTP/1.0"), b"400", b"invalid_upgrade"),
        (request(Content_Length="2") + b"{}", b"400", b"invalid_upgrade"),
        (request(Transfer_Encoding="chunked") + b"0\r\n\r\n", b"400", b"invalid_upgrade"),
        (request(Upgrade="h2c"), b"501", b"unsupported_upgrade"),
        (request(Upgrade="websocket, h2c"), b"501", b"unsupported_upgrade"),
        (request(Host=None), b"400", b"missing_host"),
        (request("GET /v1/realtime HTTP/1.1", "Host: other.test"), b"400", b"invalid_host"),
        (request(Connection="Upgrade, Authorization"), b"400", b"invalid_connection"),
        (request("GET /v1/../realtime HTTP/1.1"), b"400", b"invalid_target"),
        (request("GET /v1/realtime?model=a&model=b HTTP/1.1"), b"400", b"ambiguous_field"),
        (request("GET /v1/realtime HTTP/1.1", "X-Api-Key: other"), b"400", b"duplicate_credentials"),
        (request("GET /v1/realtime?key=other HTTP/1.1"), b"400", b"duplicate_credentials"),
        (request("GET /v1/realtime HTTP/1.1", "Sec-WebSocket-Protocol: a, a"), b"400", b"invalid_upgrade"),
    ],
)
async def test_what_is_no_request_for_a_socket_is_refused_and_the_model_not_asked(
    tmp_path: Path, sent: bytes, status: bytes, code: bytes
) -> None:
    async with scene(echo, tmp_path, bounds=Bounds(linger=0.1)) as s:
        got = await talk(s.g.port, sent)
        assert got.startswith(b"HTTP/1.1 " + status)
        assert b'"' + code + b'"' in got
        assert b"\r\nHTTP/1.1" not in got
        assert b"connection: close" in got.lower()
        assert (b"sec-websocket-version: 13" in got) == (status == b"426")
        assert s.model.seen == []
        async with s.connect() as ws:  # the next caller is served
            await ws.send("x")
            assert await ws.recv() == "x"


async def test_the_request_is_read_however_it_is_cut(tmp_path: Path) -> None:
    async with scene(echo, tmp_path) as s:
        whole = request()
        for cut in (1, 20, 60, len(whole) - 3):
            got = await talk(s.g.port, whole[:cut], whole[cut:], quiet=0.1)
            assert got.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert b"\r\nsec-websocket-accept: " + accept_of(FIELDS["Sec-WebSocket-Key"].encode()) + b"\r\n" in got


@pytest.mark.parametrize("rest", [b"\x81\x80\x00\x00\x00\x00", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n"])
async def test_who_speaks_before_the_answer_gets_none(tmp_path: Path, rest: bytes) -> None:
    async with scene(echo, tmp_path, bounds=Bounds(linger=0.1)) as s:
        got = await talk(s.g.port, request() + rest)
        assert got.startswith(b"HTTP/1.1 400")
        assert s.model.seen == []


async def test_bytes_behind_a_request_that_is_being_answered_end_it(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        assert (await receive())["type"] == "websocket.disconnect"
        held.set()

    async with make_server(app, lifespan=False).listening() as port:
        assert await talk(port, request(), b"\x81\x80\x00\x00\x00\x00") == b""
        await asyncio.wait_for(held.wait(), SOON)


async def test_a_socket_comes_after_whole_answers_and_not_beside_one(tmp_path: Path) -> None:
    post = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-one\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CHAT) + CHAT
    )
    async with gateway(state_dir=tmp_path, bounds=Bounds(linger=0.1)) as g:
        reader, writer = await asyncio.open_connection("127.0.0.1", g.port)
        writer.write(post)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(request())
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON)).startswith(b"HTTP/1.1 101")
        writer.transport.abort()
        got = await talk(g.port, post + request())
        assert got.startswith(b"HTTP/1.1 200")
        assert got.count(b"HTTP/1.1 101") == 0
        assert b'"pipelined"' in got


async def chatty(websocket: WebSocket) -> None:
    """An app of somebody's own: it says what it hears, as a model server would."""
    await websocket.accept(subprotocol="realtime" if "realtime" in websocket.scope["subprotocols"] else None)
    async for message in websocket.iter_text():
        if message == "leave":
            await websocket.close(4001, "as you say")
            return
        await websocket.send_text(done(1, int(message)))


APP = Starlette(routes=[WebSocketRoute("/v1/realtime", chatty)])


@asynccontextmanager
async def stock(app: Any) -> AsyncIterator[int]:
    """The app under uvicorn as anybody runs it."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@pytest.mark.parametrize("served", ["ours", "stock"])
async def test_the_gate_around_an_app_of_one_s_own(tmp_path: Path, served: str) -> None:
    async with gateway(app=APP, policy=OUTPUT, state_dir=tmp_path) as g:
        gate = Gate(APP, core=g.core)
        running = make_server(gate, lifespan=False).listening() if served == "ours" else stock(gate)
        async with running as port:
            address = f"ws://127.0.0.1:{port}/v1/realtime"
            offered = ["realtime", "openai-insecure-api-key.sk-one"]
            async with connect(address, subprotocols=offered) as ws:  # type: ignore[arg-type]
                assert ws.subprotocol == "realtime"
                await ws.send("5")
                assert (await said(ws))["type"] == "response.done"
                await ws.send("leave")
                assert await end_of(ws) == (4001, "as you say")
            async with connect(address, additional_headers=KEY) as ws:
                await ws.send("700")
                assert (await said(ws))["type"] == "response.done"
                assert (await said(ws))["type"] == "error"
                assert (await end_of(ws))[0] == 1008
            with pytest.raises(InvalidStatus) as found:
                await connect(address, additional_headers=KEY)
            assert found.value.response.status_code == 429
        records = g.records()
        assert [each["end"] for each in records] == ["done", "done", "refused"]
        assert len({each["account"]["id"] for each in records}) == 1
        assert [each["usage"]["output"] for each in records] == [5, 700, 0]
        assert (g.core.limits.leases, g.core.admission.inflight, g.core.live) == (0, 0, {})


async def test_the_whole_gateway_under_a_stock_server(tmp_path: Path) -> None:
    async with model(answering) as made:
        relay = Relay(made.url, Settings(state_dir=tmp_path))
        async with (
            gateway(app=relay, policy=OUTPUT, state_dir=tmp_path) as g,
            stock(Gate(relay, core=g.core)) as port,
            connect(f"ws://127.0.0.1:{port}/v1/realtime", additional_headers=KEY) as ws,
        ):
            await ws.send("900")
            kinds = [(await said(ws))["type"] for _ in range(3)]
            assert kinds == ["response.output_text.delta", "response.done", "error"]
            assert (await end_of(ws))[0] == 1008
        await relay.aclose()


async def test_a_client_of_a_stock_server_that_is_killed_is_gone(tmp_path: Path) -> None:
    async def chatters(ws: ServerConnection) -> None:
        while True:
            await ws.send(os.urandom(10_000))
            await asyncio.sleep(0)

    async with model(chatters) as made:
        relay = Relay(made.url, Settings(state_dir=tmp_path))
        async with gateway(app=relay, state_dir=tmp_path) as g, stock(Gate(relay, core=g.core)) as port:
            for _ in range(10):
                async with connect(f"ws://127.0.0.1:{port}/v1/realtime", additional_headers=KEY) as ws:
                    await ws.recv()
                    kill(ws)
            async with asyncio.timeout(SOON):
                while g.core.admission.inflight:
                    await asyncio.sleep(0.005)
            assert [each["end"] for each in g.records()] == ["client_abort"] * 10
        await relay.aclose()


async def test_a_relay_alone_passes_any_socket(tmp_path: Path) -> None:
    async with model(echo) as made:
        relay = Relay(made.url, Settings(state_dir=tmp_path))
        async with make_server(relay).listening() as port:
            async with connect(f"ws://127.0.0.1:{port}/any/path", additional_headers=KEY) as ws:
                blob = os.urandom(1000)
                await ws.send(blob)
                assert await ws.recv() == blob
            with pytest.raises(InvalidStatus) as found:
                await connect(f"ws://127.0.0.1:{port}/a", additional_headers={**KEY, "x-api-key": "b"})
            assert found.value.response.status_code == 400
    async with make_server(relay).listening() as port:
        with pytest.raises(InvalidStatus) as found:
            await connect(f"ws://127.0.0.1:{port}/any/path")
        assert found.value.response.status_code == 502


@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_app_that_fails_ends_its_socket(when: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if when == "after":
            await send({"type": "websocket.accept"})
        raise ValueError("a secret of the app")

    async with make_server(app, lifespan=False).listening() as port:
        if when == "before":
            with pytest.raises(InvalidStatus) as found:
                await connect(f"ws://127.0.0.1:{port}/")
            assert found.value.response.status_code == 500
        else:
            async with connect(f"ws://127.0.0.1:{port}/") as ws:
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(ws.recv(), SOON)
                assert ws.close_code == 1011
    assert "ValueError" in caplog.text
    assert "a secret" not in caplog.text


async def test_an_app_that_closes_in_place_of_accepting_is_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1000})

    async with make_server(app, lifespan=False).listening() as port:
        with pytest.raises(InvalidStatus) as found:
            await connect(f"ws://127.0.0.1:{port}/")
        assert found.value.response.status_code == 403
