"""The official clients' realtime sessions: OpenAI's over plain sockets, directly and through the gateway; Google's,
which speaks TLS alone, through the gateway's own TLS; and a model server behind TLS.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from google import genai
from google.genai import errors, types
from openai import AsyncOpenAI, OpenAI
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from gateway import standin
from gateway.edge.server import Bounds
from tests.rig import Running, gateway, in_thread

MODEL = "gpt-realtime"
LIVE = "gemini-2.5-flash-live"
SOON = 10.0


def limited(line: str) -> str:
    return f"gauger: 1\npolicy: {{id: test}}\nlimits:\n  - {line}\n"


async def settled(g: Running, count: int) -> list[dict[str, Any]]:
    async with asyncio.timeout(SOON):
        while len(found := g.records()) < count or g.core.admission.inflight:
            await asyncio.sleep(0.01)
    assert (g.core.limits.leases, g.core.limits.open) == (0, 0)
    return found


async def conversation(url: str, key: str = "sk-me", model: str = MODEL) -> list[dict[str, Any]]:
    """Two answers, the second in sound, as the client reads them: every event."""
    events: list[dict[str, Any]] = []
    async with (
        asyncio.timeout(SOON),
        AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client,
        client.realtime.connect(model=model) as session,
    ):

        async def until(kind: str) -> None:
            while not events or events[-1]["type"] != kind:
                event = await session.recv()
                events.append(json.loads(event.to_json()))

        await until("session.created")
        await session.session.update(session={"type": "realtime", "instructions": "Be short. Ünïcödé \u2028"})
        await until("session.updated")
        await session.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is a gauger?"}]}
        )
        await session.response.create()
        await until("response.done")
        await session.response.create(response={"output_modalities": ["audio"]})
        events.append({"type": "second"})
        await until("response.done")
    return events


async def test_openai_s_client_hears_the_same_through_the_gateway(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path, record=8) as g:
        direct = await conversation(g.model.url)
        through = await conversation(g.url)
        assert through == direct
        assert {"response.output_text.delta", "response.output_audio.delta"} < {event["type"] for event in direct}
        first, second = (seen for seen in g.model.app.seen if seen.method == "WEBSOCKET")
        assert first.target == second.target == b"/v1/realtime?model=gpt-realtime"
        hops = {b"connection", b"upgrade", b"host", b"via", b"traceparent"}
        sides = [
            sorted(p for p in seen.headers if p[0] not in hops and not p[0].startswith(b"sec-websocket"))
            for seen in (first, second)
        ]
        assert sides[0] == sides[1]
        (record,) = await settled(g, 1)
        told = [event["response"]["usage"] for event in direct if event["type"] == "response.done"]
        assert record["usage"]["input"] == sum(usage["input_tokens"] for usage in told)
        assert record["usage"]["output"] == sum(usage["output_tokens"] for usage in told)
        assert (record["end"], record["session"]["answers"], record["session"]["by"]) == ("done", 2, "client")
        assert record["answer"] == {"model": MODEL, "finish": ["completed", "completed"]}


async def test_openai_s_client_sees_each_refusal_as_an_answer(tmp_path: Path) -> None:
    policy = limited("{id: live, by: [account], count: concurrent, rate: 1 requests}")
    async with gateway(policy=policy, state_dir=tmp_path) as g:
        client = AsyncOpenAI(base_url=f"{g.url}/v1", api_key="sk-me", max_retries=0)
        async with client, client.realtime.connect(model=MODEL):
            with pytest.raises(InvalidStatus) as found:
                async with client.realtime.connect(model=MODEL):
                    pass
            assert found.value.response.status_code == 429
        wrong = AsyncOpenAI(base_url=f"{g.url}/v1", api_key="bad-key", max_retries=0)
        async with wrong:
            with pytest.raises(InvalidStatus) as found:
                async with wrong.realtime.connect(model=MODEL):
                    pass
            assert found.value.response.status_code == 401
        await settled(g, 3)


async def test_openai_s_client_is_told_which_limit_ended_its_session(tmp_path: Path) -> None:
    policy = limited("{id: out, by: [account], count: tokens.output, rate: 50 tokens/min, burst: 50 tokens}")
    async with (
        asyncio.timeout(SOON),
        gateway(policy=policy, state_dir=tmp_path) as g,
        AsyncOpenAI(base_url=f"{g.url}/v1", api_key="sk-me", max_retries=0) as client,
    ):
        async with client.realtime.connect(model="standin-tokens-60") as session:
            await session.response.create()
            error = None
            with pytest.raises(ConnectionClosedError) as found:
                while True:
                    event = await session.recv()
                    error = event if event.type == "error" else error
        assert error is not None
        assert error.type == "error"
        assert error.error.code == "rate_limit_exceeded"
        assert found.value.rcvd is not None
        assert found.value.rcvd.code == 1008
        (record,) = await settled(g, 1)
        assert record["usage"]["output"] == 60


@pytest.mark.filterwarnings("ignore:connect:DeprecationWarning")  # the client's way of using `websockets`
def test_openai_s_blocking_client(tmp_path: Path) -> None:
    with in_thread(lambda: gateway(state_dir=tmp_path)) as (g, call):
        client = OpenAI(base_url=f"{g.url}/v1", api_key="sk-me", max_retries=0)
        with client, client.realtime.connect(model=MODEL) as session:
            assert session.recv().type == "session.created"
            session.response.create()
            while session.recv().type != "response.done":
                pass
        (record,) = call(settled(g, 1))
        assert record["usage"]["output"] > 0


async def test_openai_s_client_survives_a_model_that_dies(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path) as g:
        with pytest.raises(ConnectionClosed) as found:
            await conversation(g.url, model="standin-die")
        assert found.value.rcvd is None  # nobody closed: 1006
        (record,) = await settled(g, 1)
        assert (record["end"], record["error"]["type"]) == ("upstream_error", "closed")


class Trust:
    """An authority, and a certificate of it for `localhost`."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        made = authority.issue_cert("localhost")
        self.ca, self.cert, self.key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(str(self.ca))
        made.cert_chain_pems[0].write_to_path(str(self.cert))
        made.private_key_pem.write_to_path(str(self.key))
        self.client = ssl.create_default_context(cafile=self.ca)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.cert, self.key)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


def live(g: Running, trust: Trust, key: str = "AIza-me", **options: Any) -> genai.Client:
    made = types.HttpOptions(base_url=f"https://localhost:{g.port}", async_client_args={"ssl": trust.client}, **options)
    return genai.Client(api_key=key, http_options=made)


@asynccontextmanager
async def tls(trust: Trust, state_dir: Path, **options: Any) -> AsyncIterator[Running]:
    bounds = Bounds(tls_cert=trust.cert, tls_key=trust.key)
    async with asyncio.timeout(3 * SOON), gateway(state_dir=state_dir, bounds=bounds, **options) as g:
        yield g


@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
async def test_google_s_client_talks_through_the_gateway(tmp_path: Path, trust: Trust, version: str) -> None:
    async with tls(trust, tmp_path, record=4) as g:
        client = live(g, trust, api_version=version)
        config = types.LiveConnectConfig(response_modalities=[types.Modality.TEXT])
        texts = []
        async with client.aio.live.connect(model=LIVE, config=config) as session:
            for ask in ("What is a gauger?", "And what is a cask? Ünïcödé 🥃"):
                turn = types.Content(role="user", parts=[types.Part(text=ask)])
                await session.send_client_content(turns=turn, turn_complete=True)
                pieces, used = [], None
                async for message in session.receive():
                    pieces.append(message.text or "")
                    used = message.usage_metadata or used
                assert used is not None
                texts.append(("".join(pieces), used.prompt_token_count or 0, used.response_token_count or 0))
        (record,) = await settled(g, 1)
        assert all(len(text) > 50 for text, _, _ in texts)
        assert record["usage"]["input"] == sum(read for _, read, _ in texts)
        assert record["usage"]["output"] == sum(written for _, _, written in texts)
        assert f".{version}.GenerativeService.BidiGenerateContent" in record["req"]["route"]
        assert (record["answer"]["model"], record["session"]["answers"]) == (LIVE, 2)
        assert record["account"]["key"]
        (seen,) = g.model.app.seen
        assert dict(seen.headers)[b"x-goog-api-key"] == b"AIza-me"


async def test_google_s_client_is_told_which_limit_ended_its_session(tmp_path: Path, trust: Trust) -> None:
    policy = limited("{id: out, by: [account], count: tokens.output, rate: 50 tokens/min, burst: 50 tokens}")
    async with tls(trust, tmp_path, policy=policy) as g:
        client = live(g, trust)
        async with client.aio.live.connect(model="standin-tokens-60") as session:
            await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text="hi")]))
            with pytest.raises(errors.APIError) as found:
                while True:
                    async for _ in session.receive():
                        pass
        assert found.value.code == 1008
        assert "rate_limit_exceeded" in str(found.value)
        with pytest.raises(InvalidStatus) as refused:
            async with client.aio.live.connect(model=LIVE):
                pass
        body = json.loads(refused.value.response.body)
        assert (refused.value.response.status_code, body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
        await settled(g, 2)


async def test_a_wrong_setup_is_the_model_s_to_refuse(tmp_path: Path, trust: Trust) -> None:
    async with tls(trust, tmp_path) as g:
        with pytest.raises(errors.APIError) as found:
            async with live(g, trust).aio.live.connect(model="missing-model"):
                pass
        assert found.value.code == 1007
        (record,) = await settled(g, 1)
        assert (record["session"]["close"], record["session"]["by"], record["end"]) == (1007, "server", "done")


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_model_behind_tls_is_verified_and_its_prefix_kept(tmp_path: Path, trust: Trust, trusted: bool) -> None:
    paths: list[str] = []

    async def handler(ws: Any) -> None:
        paths.append(ws.request.path)
        async for message in ws:
            await ws.send(message)

    async with serve(handler, "127.0.0.1", 0, ssl=trust.server) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"https://localhost:{port}/proxy/openai"
        ca: dict[str, Any] = {"upstream_ca": trust.ca} if trusted else {}
        async with gateway(upstream=url, state_dir=tmp_path, **ca) as g:
            address = f"ws://127.0.0.1:{g.port}/v1/realtime?model=m"
            if trusted:
                async with connect(address) as ws:
                    await ws.send("hello")
                    assert await ws.recv() == "hello"
                assert paths == ["/proxy/openai/v1/realtime?model=m"]
            else:
                with pytest.raises(InvalidStatus) as found:
                    await connect(address)
                assert found.value.response.status_code == 502
                assert paths == []
            (record,) = await settled(g, 1)
            assert record["end"] == ("done" if trusted else "upstream_error")


async def test_the_stand_in_alone_speaks_to_both_clients(trust: Trust) -> None:
    async with standin.serving() as model:
        events = await conversation(model.url)
        assert [event["type"] for event in events][:2] == ["session.created", "session.updated"]
        with pytest.raises(InvalidStatus):
            await conversation(model.url, model="missing-x")
