"""What the policy says of a session: refusals before it is open, limits that hold while it lasts, and its end."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from gateway.app import Gate, Relay
from gateway.cli import group
from gateway.edge.server import make_server
from gateway.ledger.record import Used
from gateway.settings import Settings
from tests.edge.sessions import KEY, SOON, Scene, answering, echo, end_of, kill, model, said, scene, silent
from tests.rig import gateway

GEMINI = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


def policy(*limits: str, rules: str = "", head: str = "") -> str:
    lines = "\n".join(f"  - {each}" for each in limits)
    text = f"gauger: 1\npolicy: {{id: p{head}}}\n"
    return text + (f"limits:\n{lines}\n" if limits else "") + (f"rules:\n  - {rules}\n" if rules else "")


ONE = policy("{id: live, by: [account], count: concurrent, rate: 1 requests, lease: 2 min}")
OUTPUT = policy("{id: out, by: [account], count: tokens.output, rate: 600 tokens/min, burst: 600 tokens}")


async def refused(s: Scene, path: str = "/v1/realtime?model=m", **options: Any) -> tuple[int, dict[str, Any], Any]:
    """Status, body and headers of the plain answer that a request for a session gets."""
    with pytest.raises(InvalidStatus) as found:
        await s.connect(path, **options)
    response = found.value.response
    return response.status_code, json.loads(response.body), response.headers


async def test_a_second_session_at_once_is_refused_until_the_first_has_closed(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, policy=ONE) as s:
        async with s.connect() as ws:
            status, body, headers = await refused(s)
            assert (status, body["error"]["code"]) == (429, "concurrency_limit")
            assert float(headers["retry-after"]) >= 1
            await ws.send("still there")
            assert await ws.recv() == "still there"
            async with s.connect(additional_headers={"authorization": "Bearer sk-two"}):
                pass  # another account's
        await s.nothing_left("refused", "done", "done")
        async with s.connect() as ws:
            await ws.send("x")
            kill(ws)
            await s.nothing_left("refused", "done", "done", "client_abort")
        async with s.connect():
            pass
        records = await s.nothing_left("refused", "done", "done", "client_abort", "done")
        assert [record["action"] for record in records] == ["limit", "allow", "allow", "allow", "allow"]
        assert len(s.model.seen) == 4


async def test_a_slot_outlasts_its_lease_while_the_session_lasts(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, policy=ONE) as s, s.connect() as ws:
        core = s.g.core
        (request,) = core.live
        now = core.clock.now()
        for minute in range(1, 200):
            await core.limits.renew(request, now + minute * 30_000_000)
        assert core.limits.leases == 1
        await ws.close()


async def test_a_request_limit_is_drawn_once_a_session(tmp_path: Path) -> None:
    text = policy("{id: few, by: [account], count: requests, rate: 2 requests/min, burst: 2 requests}")
    async with scene(echo, tmp_path, policy=text) as s:
        for _ in range(2):
            async with s.connect() as ws:
                for _ in range(5):
                    await ws.send("x")
                    await ws.recv()
        status, body, headers = await refused(s)
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert headers["x-ratelimit-remaining-requests"] == "0"
        await s.nothing_left("done", "done", "refused")


async def test_a_session_that_overdraws_a_limit_of_tokens_is_told_and_closed(tmp_path: Path) -> None:
    async with scene(answering, tmp_path, policy=OUTPUT) as s, s.connect() as ws:
        for tokens in ("100", "150"):  # 300 are held back for its next answer
            await ws.send(tokens)
            assert [(await said(ws))["type"] for _ in range(2)] == ["response.output_text.delta", "response.done"]
        await ws.send("400")
        assert [(await said(ws))["type"] for _ in range(2)] == ["response.output_text.delta", "response.done"]
        told = await said(ws)
        assert (told["type"], told["error"]["code"]) == ("error", "rate_limit_exceeded")
        assert "output tokens" in told["error"]["message"]
        code, reason = await end_of(ws)
        assert code == 1008
        assert (reason or "").startswith("rate_limit_exceeded: Rate limit reached for output tokens")
        (record,) = await s.nothing_left("done")
        assert s.model.ends[0][0] == 1000  # nothing is wrong with the model server
        assert (record["error"]["type"], record["session"]["by"], record["session"]["close"]) == (
            *("rate_limit_exceeded", "gateway"),
            1008,
        )
        assert record["usage"]["output"] == 650
        assert record["settle"] == {"out": 650 - 300}
        status, body, _ = await refused(s)  # the debt is the account's
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_gemini_is_told_in_the_close_alone(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        async for _ in ws:
            usage = {"promptTokenCount": 1, "responseTokenCount": 700}
            await ws.send(json.dumps({"serverContent": {"turnComplete": True}, "usageMetadata": usage}).encode())

    async with scene(handler, tmp_path, policy=OUTPUT) as s, s.connect(GEMINI) as ws:
        await ws.send("{}")
        assert b"turnComplete" in await ws.recv(decode=False)
        code, reason = await end_of(ws)
        assert (code, (reason or "").partition(":")[0]) == (1008, "rate_limit_exceeded")


async def test_a_limit_in_shadow_closes_nothing(tmp_path: Path) -> None:
    text = OUTPUT.replace("burst: 600 tokens}", "burst: 600 tokens, mode: shadow}")
    async with scene(answering, tmp_path, policy=text) as s, s.connect() as ws:
        for _ in range(3):
            await ws.send("900")
            await said(ws)
            await said(ws)
        await ws.close()
        (record,) = await s.nothing_left("done")
        assert record["session"]["by"] == "client"


async def test_input_counts_each_time_that_it_is_read(tmp_path: Path) -> None:
    text = policy("{id: all, by: [account], count: tokens.total, rate: 100k tokens/day, window: calendar}")
    async with scene(answering, tmp_path, policy=text) as s, s.connect() as ws:
        for _ in range(10):
            await ws.send("5")
            await said(ws)
            await said(ws)
        await ws.close()
        (record,) = await s.nothing_left("done")
        assert record["usage"]["input"] == 100
        assert record["settle"] == {"all": 150 - 1000}
        rows = [row for row in s.g.rows if isinstance(row, Used)]
        assert [row.usage.output for row in rows] == [5 * n for n in range(1, 11)]


async def test_a_rule_blocks_sessions_before_they_are_open(tmp_path: Path) -> None:
    held = 'req.op == "realtime" and req.route != "/realtime"'
    rule = f"{{id: no-realtime, when: {held}, then: {{block: {{status: 403, code: none}}}}}}"
    async with scene(echo, tmp_path, policy=policy(rules=rule)) as s:
        status, body, headers = await refused(s)
        assert (status, body["error"]["code"], headers["x-should-retry"]) == (403, "none", "false")
        status, body, _ = await refused(s, GEMINI)
        assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")
        async with s.connect("/realtime?model=m") as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
        assert len(s.model.seen) == 1
        first, *_ = await s.nothing_left("refused", "refused", "done")
        assert first["rules"]["matched"] == ["no-realtime"]
        assert "session" not in first


async def test_a_tag_goes_up_and_a_clamp_has_nothing_to_change(tmp_path: Path) -> None:
    rule = "{id: mark, when: req.stream, then: {tag: [seen], clamp: {max_tokens: 5, logprobs: false}}}"
    async with scene(echo, tmp_path, policy=policy(rules=rule), tag_key="a key for tests only") as s:
        async with s.connect():
            pass
        (record,) = await s.nothing_left("done")
        assert s.model.seen[0].headers["gauger-tag"].startswith("v1;")
        assert record["effects"] == {"tags": ["seen"]}
        assert record["action"] == "tag"


async def test_a_delay_holds_the_request_and_who_leaves_meanwhile_is_gone(tmp_path: Path) -> None:
    rule = "{id: slow, when: req.stream, then: {throttle: {delay: 300 ms}}}"
    async with scene(echo, tmp_path, policy=policy(rules=rule)) as s:
        async with s.connect() as ws:
            await ws.send("x")
            assert await ws.recv() == "x"
        with pytest.raises((InvalidHandshake, TimeoutError, ConnectionClosed, OSError)):
            await s.connect(open_timeout=0.1)
        first, _ = await s.nothing_left("done", "client_abort")
        assert first["t"]["delay_us"] >= 290_000
        assert len(s.model.seen) == 1


async def test_who_may_not_call_gets_no_session(tmp_path: Path) -> None:
    text = policy() + "identity: {unknown: refuse, anonymous: refuse}\n"
    async with scene(echo, tmp_path, policy=text) as s:
        status, body, headers = await refused(s, additional_headers={})
        assert (status, body["error"]["code"], headers["www-authenticate"]) == (401, "missing_api_key", "Bearer")
        status, body, _ = await refused(s)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        offered = ["realtime", "openai-insecure-api-key.sk-x"]
        status, body, _ = await refused(s, additional_headers={}, subprotocols=offered)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert s.model.seen == []


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/", "/v1/realtime/translations"])
async def test_there_is_no_socket_elsewhere(tmp_path: Path, path: str) -> None:
    async with scene(echo, tmp_path) as s:
        status, body, _ = await refused(s, path)
        assert (status, body["error"]["code"]) == (404, "no_such_socket")
        await s.nothing_left("refused")
        assert s.model.seen == []


async def test_the_model_s_refusal_is_the_caller_s(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path) as g:
        for key, path, status in (
            ("bad-key", "/v1/realtime?model=m", 401),
            ("sk-1", "/v1/realtime?model=missing-m", 404),
            ("sk-1", "/v1/realtime?model=standin-429", 429),
        ):
            with pytest.raises(InvalidStatus) as found:
                await connect(f"ws://127.0.0.1:{g.port}{path}", additional_headers={"authorization": f"Bearer {key}"})
            response = found.value.response
            assert response.status_code == status
            assert "message" in json.loads(response.body)["error"]
            assert "transfer-encoding" not in response.headers
        async with asyncio.timeout(SOON):
            while g.core.admission.inflight:
                await asyncio.sleep(0.005)
        records = g.records()
        assert [(each["http"]["upstream_status"], each["end"]) for each in records] == [
            (401, "done"),
            (404, "done"),
            (429, "done"),
        ]
        assert not any(g.core.accounts.get(each["account"]["id"]).proven for each in records)


async def test_a_model_that_is_not_there_is_502(tmp_path: Path) -> None:
    async with scene(echo, tmp_path) as s:
        pass
    async with gateway(upstream=s.model.url, state_dir=tmp_path) as g:
        with pytest.raises(InvalidStatus) as found:
            await connect(f"ws://127.0.0.1:{g.port}/v1/realtime", additional_headers=KEY)
        assert found.value.response.status_code == 502
        assert json.loads(found.value.response.body)["error"]["code"] == "upstream_unreachable"
        (record,) = g.records()
        assert (record["end"], record["error"]["type"]) == ("upstream_error", "connect")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(2_000_000),
    ],
)
async def test_a_model_that_answers_something_else_is_502_or_cut(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]  # noqa: UP031
    async with server, gateway(upstream=url, state_dir=tmp_path) as g:
        with pytest.raises(InvalidHandshake):
            await connect(f"ws://127.0.0.1:{g.port}/v1/realtime", additional_headers=KEY)
        async with asyncio.timeout(SOON):
            while not g.records():
                await asyncio.sleep(0.005)
        assert g.records()[0]["end"] in ("upstream_error", "client_abort")  # who is first to find it too long


async def test_who_leaves_before_the_answer_leaves_nothing(tmp_path: Path) -> None:
    came = asyncio.Event()
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        came.set()
        await reader.read()
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "http://127.0.0.1:%d" % server.sockets[0].getsockname()[1]  # noqa: UP031
    async with server, gateway(upstream=url, policy=ONE, state_dir=tmp_path) as g:
        attempt = asyncio.create_task(
            connect(f"ws://127.0.0.1:{g.port}/v1/realtime", additional_headers=KEY).__aenter__()
        )
        await asyncio.wait_for(came.wait(), SOON)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await asyncio.wait_for(gone.wait(), SOON)
        async with asyncio.timeout(SOON):
            while g.core.admission.inflight or g.core.limits.open:
                await asyncio.sleep(0.005)
        assert [record["end"] for record in g.records()] == ["client_abort"]
        assert g.core.limits.leases == 0


async def test_the_bound_of_requests_holds_for_sessions(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, max_inflight=2) as s, s.connect(), s.connect() as ws:
        status, body, _ = await refused(s)
        assert (status, body["error"]["code"]) == (503, "overloaded")
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{s.g.url}/v1/models")).status_code == 503
            metrics = (await client.get(f"{s.g.ops_url}/metrics")).text
        assert "gauger_in_flight 2.0" in metrics
        assert "gauger_leases 2.0" in metrics
        await ws.close()


async def test_sessions_end_with_the_gateway(tmp_path: Path) -> None:
    async with model(silent) as made:
        relay = Relay(made.url, Settings(state_dir=tmp_path))
        async with gateway(app=relay, policy=ONE, state_dir=tmp_path) as g:
            server = make_server(Gate(relay, core=g.core))
            server.drain_timeout = 0.2
            async with server.listening() as port:
                ws = await connect(f"ws://127.0.0.1:{port}/v1/realtime", additional_headers=KEY)
                await ws.send("x")
            assert await end_of(ws) == (1001, "the gateway is shutting down")
            (record,) = g.records()
            assert (record["end"], record["error"]["type"]) == ("timeout", "shutdown")
            assert (record["session"]["close"], record["session"]["by"]) == (1001, "gateway")
            assert (g.core.limits.leases, g.core.admission.inflight) == (0, 0)
        async with asyncio.timeout(SOON):
            while not made.ends:
                await asyncio.sleep(0.005)
        assert made.ends[0][0] == 1001
        await relay.aclose()


async def test_a_session_that_ends_in_time_ends_well(tmp_path: Path) -> None:
    async with model(echo) as made:
        relay = Relay(made.url, Settings(state_dir=tmp_path))
        async with gateway(app=relay, state_dir=tmp_path) as g:
            server = make_server(Gate(relay, core=g.core))
            async with server.listening() as port:
                ws = await connect(f"ws://127.0.0.1:{port}/v1/realtime", additional_headers=KEY)

                async def on() -> None:
                    await asyncio.sleep(0.1)
                    await ws.send("still there")
                    assert await ws.recv() == "still there"
                    await ws.close()

                going = asyncio.create_task(on())
            await going
            assert [record["end"] for record in g.records()] == ["done"]
        await relay.aclose()


async def test_its_ledger_replays(tmp_path: Path) -> None:
    """Sessions and requests of one account, interleaved, against limits that they fill together."""
    text = policy(
        "{id: out, by: [account], count: tokens.output, rate: 3k tokens/min, burst: 3k tokens}",
        "{id: all, by: [account], count: tokens.total, rate: 50k tokens/day, window: calendar}",
        "{id: live, by: [account], count: concurrent, rate: 2 requests}",
        rules='{id: mark, when: req.op == "realtime", then: {tag: [spoken]}}',
    )
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with gateway(policy=text, state_dir=tmp_path, ledger=tmp_path / "led") as g, httpx.AsyncClient() as client:
        address = f"ws://127.0.0.1:{g.port}/v1/realtime?model=standin-tokens-300"
        for _ in range(2):
            async with connect(address, additional_headers=KEY, max_size=None) as ws:
                for _ in range(4):
                    try:
                        await ws.send(json.dumps({"type": "response.create"}))
                        while (await said(ws))["type"] not in ("response.done", "error"):
                            pass
                    except ConnectionClosed:
                        break
                    await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)
        with pytest.raises(InvalidStatus):
            await connect(address, additional_headers=KEY)
        async with asyncio.timeout(SOON):
            while g.core.admission.inflight:
                await asyncio.sleep(0.005)
        records = g.records()
        assert {record["action"] for record in records} >= {"tag", "limit"}
        assert sum(isinstance(row, Used) for row in g.rows) >= 6
    result = await asyncio.to_thread(CliRunner().invoke, group, ["replay", str(tmp_path / "led")])
    assert result.exit_code == 0, result.output
    assert f"all {len(records)} requests agree with the policy that they were judged by" in result.output
    result = await asyncio.to_thread(CliRunner().invoke, group, ["verify", str(tmp_path / "led")])
    assert result.exit_code == 0, result.output
