"""`Gate(app)` around an app that isn't ours: settings from the environment, its lifespan, its answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

import gateway
from gateway.edge.server import Bounds, make_server
from gateway.errors import Mistake

POLICY = """
gauger: 1
policy: {id: wrapped}
limits:
  - {id: few, by: [key], count: requests, rate: 3 requests/h, burst: 3 requests}
"""


async def chat(request: Request) -> JSONResponse:
    body = await request.json()
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return JSONResponse(
        {"echo": body, "gauger": [k for k in request.headers if k.startswith("gauger")], "usage": usage}
    )


async def parts(_: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"part %d;" % number

    return StreamingResponse(pieces(), media_type="text/plain")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    monkeypatch.setenv("GAUGER_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("GAUGER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("GAUGER_PEPPER", "a pepper for this test")


async def test_a_starlette_app_is_wrapped_as_middleware(
    environment: None, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"]), Route("/parts", parts)])
    app.add_middleware(gateway.Gate)
    async with make_server(app, bounds=Bounds()).listening() as port, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}"
        body = {"model": "m", "messages": []}
        heads = {"authorization": "Bearer sk-1", "gauger-tag": "forged"}
        answer = await client.post(f"{url}/v1/chat/completions", json=body, headers=heads)
        assert answer.json()["echo"] == body
        assert answer.json()["gauger"] == []
        assert (await client.get(f"{url}/parts", headers=heads)).text == "part 0;part 1;part 2;"
        statuses = [(await client.get(f"{url}/parts", headers=heads)).status_code for _ in range(3)]
        assert statuses == [200, 429, 429]
    written = b""
    for _ in range(500):  # the wrapped app has no lifespan, so nothing says when the last line is out
        written += capfdbinary.readouterr().out
        if written.count(b"\n") >= 5:
            break
        await asyncio.sleep(0.01)
    lines = [orjson.loads(line) for line in written.splitlines()]
    assert len(lines) == 5
    assert lines[0]["usage"] == {**lines[0]["usage"], "input": 7, "output": 5, "source": "upstream"}
    assert lines[1]["req"]["op"] == "opaque"


async def test_the_relay_alone_answers_in_the_caller_s_words(environment: None) -> None:
    relay = gateway.Relay("http://127.0.0.1:9")
    async with make_server(relay, bounds=Bounds()).listening() as port, httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/v1/messages", json={})
        assert answer.status_code == 502
        assert answer.json()["type"] == "error"
        bad = await client.get(f"http://127.0.0.1:{port}/v1/%2e%2e/x")
        assert bad.status_code == 400


async def test_without_an_upstream_the_relay_says_what_to_do(environment: None) -> None:
    with pytest.raises(Mistake, match="no upstream"):
        gateway.Relay()
