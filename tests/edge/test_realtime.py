"""A session through the gateway: what passes, how each side's end is the other's, what is recorded and left over."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close

from gateway.edge.server import Bounds
from tests.edge.sessions import KEY, SOON, answering, done, echo, end_of, kill, scene, silent


async def test_messages_pass_as_they_are_both_ways(tmp_path: Path) -> None:
    texts = ["", "hello", "ä\u2028\U0001f600", json.dumps({"type": "x"}), "y" * 300_000]
    blobs = [b"", b"\x00\xff", os.urandom(70_000), os.urandom(2_000_000)]
    async with scene(echo, tmp_path) as s, s.connect() as ws:
        for message in [*texts, *blobs]:
            await ws.send(message)
            assert await asyncio.wait_for(ws.recv(), SOON) == message
        await ws.send(["a", "b", "", "c"])  # in four frames
        assert await ws.recv() == "abc"
        await ws.send([b"a", b"b"])
        assert await ws.recv() == b"ab"
        await ws.close()
        (record,) = await s.nothing_left("done")
        size = sum(len(m.encode() if isinstance(m, str) else m) for m in [*texts, *blobs]) + 5
        assert record["http"] == {"status": 101, "upstream_status": 101, "bytes_in": size, "bytes_out": size}
        assert record["session"] == {"close": 1000, "by": "client", "messages_in": 11, "messages_out": 11, "answers": 0}


async def test_the_request_goes_up_as_it_came_but_for_the_handshake(tmp_path: Path) -> None:
    headers = {**KEY, "openai-beta": "realtime=v1", "gauger-tag": "mine", "te": "trailers"}
    async with scene(echo, tmp_path) as s:
        async with s.connect("/v1/realtime?model=m&x=%20", additional_headers=headers, origin="https://a.example"):
            pass
        (request,) = s.model.seen
        assert request.path == "/v1/realtime?model=m&x=%20"
        assert request.headers["authorization"] == "Bearer sk-one"
        assert request.headers["openai-beta"] == "realtime=v1"
        assert request.headers["origin"] == "https://a.example"
        assert request.headers["host"] == f"127.0.0.1:{s.model.port}"
        assert "via" in request.headers
        assert "traceparent" in request.headers
        for name in ("gauger-tag", "te", "sec-websocket-extensions", "sec-websocket-protocol", "content-length"):
            assert name not in request.headers


async def test_no_extension_is_offered_to_the_model_or_chosen_for_the_client(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, options={"compression": "deflate"}) as s, s.connect(compression="deflate") as ws:
        await ws.send("x" * 1000)
        assert await ws.recv() == "x" * 1000
        assert ws.protocol.extensions == []
        assert "sec-websocket-extensions" not in s.model.seen[0].headers


async def test_what_the_client_gets_with_the_answer(tmp_path: Path) -> None:
    policy = """
gauger: 1
policy: {id: p}
limits: [{id: few, by: [account], count: requests, rate: 10 requests/min, burst: 10 requests}]
"""
    async with scene(echo, tmp_path, policy=policy) as s, s.connect() as ws:
        headers = ws.response.headers
        assert headers["x-ratelimit-remaining-requests"] == "9"
        await ws.close()
        (record,) = await s.nothing_left("done")
        assert headers["x-request-id"] == record["request_id"]


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "bye"), (1001, "leaving"), (1011, "ä" * 61), (3000, ""), (4999, "own")]
)
async def test_a_client_s_close_is_the_model_s(tmp_path: Path, code: int, reason: str) -> None:
    async with scene(silent, tmp_path) as s:
        async with s.connect() as ws:
            await ws.close(code, reason)
        (record,) = await s.nothing_left("done")
        assert s.model.ends == [(code, reason)]
        assert (record["session"]["close"], record["session"]["by"]) == (code, "client")


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "maintenance"), (1008, "no"), (1011, "quota"), (1013, ""), (4000, "own")]
)
async def test_a_model_s_close_is_the_client_s(tmp_path: Path, code: int, reason: str) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.send("last words")
        await ws.close(code, reason)

    async with scene(handler, tmp_path) as s, s.connect() as ws:
        assert await ws.recv() == "last words"
        assert await end_of(ws) == (code, reason)
        (record,) = await s.nothing_left("done")
        assert (record["session"]["close"], record["session"]["by"]) == (code, "server")


async def test_a_close_without_a_code_goes_on_without_one(tmp_path: Path) -> None:
    async with scene(silent, tmp_path) as s:
        async with s.connect() as ws:
            ws.protocol.send_close()
            for block in ws.protocol.data_to_send():
                ws.transport.write(block)
            await end_of(ws)
        await s.nothing_left("done")
        assert s.model.ends == [(1005, "")]


async def test_a_client_that_is_killed_takes_the_model_s_side_with_it(tmp_path: Path) -> None:
    async with scene(silent, tmp_path) as s:
        async with s.connect() as ws:
            await ws.send("x")
            kill(ws)
            (record,) = await s.nothing_left("client_abort")
        async with asyncio.timeout(SOON):
            while not s.model.ends:
                await asyncio.sleep(0.005)
        assert s.model.ends == [(1006, "")]
        assert record["session"] == {"close": 1006, "by": "client", "messages_in": 1, "messages_out": 0, "answers": 0}


async def test_a_model_that_is_killed_takes_the_client_s_side_with_it(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.send("last words")
        await ws.recv()
        kill(ws)

    async with scene(handler, tmp_path) as s, s.connect() as ws:
        assert await ws.recv() == "last words"
        await ws.send("x")
        assert await end_of(ws) == (1006, "")
        (record,) = await s.nothing_left("upstream_error")
        assert record["error"]["type"] == "closed"


async def test_pings_are_answered_here_on_both_sides(tmp_path: Path) -> None:
    answered = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        await (await ws.ping(b"from the model"))
        answered.set()
        await silent(ws)

    async with scene(handler, tmp_path) as s, s.connect() as ws:
        await asyncio.wait_for(await ws.ping(b"from the client"), SOON)
        await asyncio.wait_for(answered.wait(), SOON)
        await ws.close()
        (record,) = await s.nothing_left("done")
        assert record["session"]["messages_in"] == record["session"]["messages_out"] == 0


async def test_a_client_that_is_silent_is_pinged_and_one_that_is_dead_is_given_up(tmp_path: Path) -> None:
    async with scene(silent, tmp_path, bounds=Bounds(ping=0.06)) as s:
        async with s.connect() as ws:
            await asyncio.sleep(0.3)  # five pings, answered by the library
            assert ws.state.name == "OPEN"
            ws.transport.pause_reading()
            await s.nothing_left("client_abort")
        assert s.model.open == 0


async def test_a_session_that_says_nothing_ends(tmp_path: Path) -> None:
    async with scene(silent, tmp_path, realtime_idle_timeout=0.2) as s, s.connect() as ws:
        assert await end_of(ws) == (1001, "session_idle")
        (record,) = await s.nothing_left("done")
        assert s.model.ends == [(1001, "session_idle")]
        assert record["error"]["type"] == "session_idle"
        assert record["session"]["by"] == "gateway"


async def test_a_session_that_lasts_too_long_ends(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, realtime_timeout=0.4, realtime_idle_timeout=30) as s, s.connect() as ws:
        with pytest.raises(ConnectionClosed) as found:
            while True:
                await ws.send("x")
                await asyncio.wait_for(ws.recv(), SOON)
                await asyncio.sleep(0.02)
        assert found.value.rcvd == Close(1001, "session_timeout")
        await s.nothing_left("done")


async def test_a_subprotocol_is_passed_and_the_model_s_choice_too(tmp_path: Path) -> None:
    offered = ["realtime", "openai-insecure-api-key.sk-hidden", "openai-beta.realtime-v1"]
    async with scene(echo, tmp_path, options={"subprotocols": ["realtime"]}) as s:
        async with s.connect(additional_headers={}, subprotocols=offered) as ws:
            assert ws.subprotocol == "realtime"
        async with s.connect(subprotocols=["realtime"], additional_headers={"authorization": "Bearer sk-hidden"}):
            pass
        hidden, plain = await s.nothing_left("done", "done")
        assert hidden["account"] == plain["account"]  # the hidden key is a key like any other
        request = s.model.seen[0]
        assert request.headers["sec-websocket-protocol"] == ", ".join(offered)
        assert "authorization" not in request.headers
        assert b"sk-hidden" not in s.g.log.getvalue()


async def test_our_key_takes_the_place_of_a_hidden_one(tmp_path: Path) -> None:
    settings = {"credential": "replace", "openai_key": "sk-ours"}
    offered = ["realtime", "openai-insecure-api-key.sk-hidden"]
    async with scene(echo, tmp_path, options={"subprotocols": ["realtime"]}, **settings) as s:
        async with s.connect(additional_headers={}, subprotocols=offered) as ws:
            assert ws.subprotocol == "realtime"
        await s.nothing_left("done")
        headers = s.model.seen[0].headers
        assert headers["authorization"] == "Bearer sk-ours"
        assert headers["sec-websocket-protocol"] == "realtime"


async def test_two_keys_are_one_too_many(tmp_path: Path) -> None:
    async with scene(echo, tmp_path) as s:
        with pytest.raises(InvalidStatus) as found:
            await s.connect(subprotocols=["realtime", "openai-insecure-api-key.sk-two"])
        assert found.value.response.status_code == 400
        assert "duplicate_credentials" in found.value.response.body.decode()
        await s.nothing_left("refused")
        assert s.model.seen == []


async def test_many_answers_add_up_in_one_record(tmp_path: Path) -> None:
    async with scene(answering, tmp_path) as s, s.connect() as ws:
        for tokens in (5, 7, 11):
            await ws.send(str(tokens))
            await ws.recv()
            await ws.recv()
        await ws.close()
        (record,) = await s.nothing_left("done")
        assert record["usage"] == {
            "input": 30,
            "output": 23,
            "cache_read": 0,
            "cache_write": 0,
            "reasoning": 0,
            "source": "upstream",
        }
        assert record["session"]["answers"] == 3
        assert record["settle"] == {"out": 23 - 1000}
        assert record["req"]["model"] == "gpt-realtime"


async def test_an_answer_that_is_cut_off_before_it_is_told_is_counted(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        for _ in range(50):
            await ws.send(json.dumps({"type": "response.output_text.delta", "response_id": "r", "delta": "x" * 40}))
        await silent(ws)
        await ws.send(done(10, 500))

    async with scene(handler, tmp_path) as s:
        async with s.connect() as ws:
            for _ in range(50):
                await ws.recv()
            kill(ws)
            (record,) = await s.nothing_left("client_abort")
        assert (record["usage"]["output"], record["usage"]["source"]) == (500, "counted")


async def test_what_is_said_is_kept_nowhere(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    canary = "CANARYq7Zx"

    async def handler(ws: ServerConnection) -> None:
        async for message in ws:
            delta = {"type": "response.output_text.delta", "response_id": canary, "delta": message}
            await ws.send(json.dumps(delta))
            await ws.send(json.dumps({"type": canary, "usage": {"text": canary}}))
        ws.transport.write(b"\x83\x00" + canary.encode())

    async with scene(handler, tmp_path, ledger=tmp_path / "led") as s:
        async with s.connect(f"/v1/realtime?model=m&secret={canary}") as ws:
            await ws.send(canary)
            await ws.recv()
            await ws.close(1000, canary)
        await s.nothing_left("done")
        log = s.g.log.getvalue()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "led").iterdir())
    assert canary.encode() not in log + kept
    assert len(kept) > 100
    printed = capfd.readouterr()
    assert canary not in printed.out + printed.err


async def test_gemini_s_session_is_metered_in_binary_frames(tmp_path: Path) -> None:
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"

    async def handler(ws: ServerConnection) -> None:
        async for _ in ws:
            usage = {"promptTokenCount": 12, "responseTokenCount": 30, "totalTokenCount": 42}
            turn = {"serverContent": {"turnComplete": True}, "usageMetadata": usage}
            await ws.send(json.dumps(turn).encode())

    async with scene(handler, tmp_path) as s:
        async with s.connect(f"{path}?key=AIzaKEY", additional_headers={}) as ws:
            await ws.send(json.dumps({"setup": {"model": "models/gemini-live"}}))
            assert isinstance(await ws.recv(), bytes)
            await ws.send("{}")
            await ws.recv()
        (record,) = await s.nothing_left("done")
        assert (record["usage"]["input"], record["usage"]["output"]) == (24, 60)
        assert record["req"]["route"] == path
        assert record["answer"]["model"] == "gemini-live"
        assert record["account"]["source"] == "key"
        assert s.model.seen[0].path == f"{path}?key=AIzaKEY"
        assert b"AIzaKEY" not in s.g.log.getvalue()


async def test_our_key_takes_the_place_of_gemini_s(tmp_path: Path) -> None:
    path = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
    async with scene(echo, tmp_path, credential="replace", gemini_key="AIzaOURS") as s:
        async with s.connect(f"{path}?key=AIzaKEY&x=1", additional_headers={}):
            pass
        await s.nothing_left("done")
        assert s.model.seen[0].path == f"{path}?x=1"
        assert s.model.seen[0].headers["x-goog-api-key"] == "AIzaOURS"
