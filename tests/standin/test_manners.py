"""The stand-in behaves as its model's name says, always the same, and tells what it saw."""

import asyncio
import hashlib
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from openai import AsyncOpenAI

from gateway.standin import Died, Running, StandIn, serving

HI: list[Any] = [{"role": "user", "content": "What moves the river?"}]
CHAT = {"model": "m", "messages": HI}
CLAUDE = {**CHAT, "max_tokens": 60}
GEMINI = {"contents": [{"parts": [{"text": "Hello"}]}]}
REQUESTS = [
    ("/v1/chat/completions", CHAT),
    ("/v1/chat/completions", {**CHAT, "stream": True, "n": 2, "logprobs": True}),
    ("/v1/chat/completions", {**CHAT, "model": "missing-model"}),
    ("/v1/completions", {"model": "m", "prompt": "Hello", "stream": True}),
    ("/v1/responses", {"model": "m", "input": "Hello", "stream": True}),
    ("/v1/embeddings", {"model": "m", "input": "Hello"}),
    ("/v1/messages", CLAUDE),
    ("/v1/messages", {**CLAUDE, "stream": True}),
    ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": CLAUDE}]}),
    ("/v1beta/models/m:generateContent", GEMINI),
    ("/v1beta/models/m:streamGenerateContent?alt=sse", GEMINI),
    ("/v1beta/models/m:embedContent", {"content": {"parts": [{"text": "Hello"}]}}),
]


@pytest.mark.parametrize(("target", "body"), REQUESTS)
async def test_the_same_request_has_the_same_answer_byte_for_byte(model: Running, target: str, body: Any) -> None:
    async with serving() as other, httpx.AsyncClient() as client:
        first = await client.post(model.url + target, json=body)
        second = await client.post(other.url + target, json=body)
        changed = await client.post(model.url + target, json={**body, "user": "someone"})
    assert first.content == second.content
    assert first.headers == second.headers
    assert first.headers != changed.headers
    assert ("content-length" in first.headers) is not first.headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize("length", [1, 2, 5, 12, 13, 1000, 2500])
async def test_a_name_says_how_many_tokens_come(openai: AsyncOpenAI, length: int) -> None:
    name = f"standin-tokens-{length}"
    messages: Any = HI
    answer = await openai.chat.completions.create(model=name, messages=messages)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == length
    assert answer.choices[0].finish_reason == "stop"
    stream = await openai.chat.completions.create(
        model=name, messages=messages, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == length
    assert len(chunks) <= 1003


@pytest.mark.parametrize(("target", "body"), [REQUESTS[0], REQUESTS[6], REQUESTS[9]])
async def test_a_model_may_tell_no_usage(model: Running, target: str, body: Any) -> None:
    name = "standin-nousage"
    async with httpx.AsyncClient(base_url=model.url) as client:
        told = await client.post(target, json=body)
        silent = await client.post(target.replace("/m:", f"/{name}:"), json={**body, "model": name})
    assert b"usage" in told.content
    assert silent.status_code == 200
    assert b"usage" not in silent.content.replace(name.encode(), b"")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_dies_breaks_the_connection(model: Running, stream: bool) -> None:
    got = b""
    body = {**CHAT, "model": "standin-die", "stream": stream}
    async with httpx.AsyncClient(base_url=model.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                assert answer.status_code == 200
                async for chunk in answer.aiter_bytes():
                    got += chunk
    assert got
    assert b"[DONE]" not in got
    if stream:
        assert got.count(b"data: ") == 5


async def test_a_dying_model_raises_where_it_is_called_in_process() -> None:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(StandIn()), base_url="http://standin")
    async with client:
        with pytest.raises(Died):
            await client.post("/v1/chat/completions", json={**CHAT, "model": "standin-die"})


async def test_a_slow_model_stops_when_its_client_leaves(model: Running) -> None:
    body = {**CHAT, "model": "standin-slow-60000", "stream": True}
    async with httpx.AsyncClient(base_url=model.url) as client:
        async with client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.status_code == 200
        async with asyncio.timeout(10):
            while model.app.gone == 0:
                await asyncio.sleep(0.01)
    assert model.app.gone == 1


async def test_a_slow_answer_still_comes_whole(openai: AsyncOpenAI) -> None:
    messages: Any = HI
    stream = await openai.chat.completions.create(model="standin-slow-1-tokens-5", messages=messages, stream=True)
    assert [chunk async for chunk in stream][-1].choices[0].finish_reason == "stop"
    whole = await openai.chat.completions.create(model="standin-slow-1-tokens-5", messages=messages)
    assert whole.choices[0].finish_reason == "stop"


async def test_what_was_seen_is_kept_as_it_came(model: Running) -> None:
    body = orjson.dumps(CHAT)
    async with httpx.AsyncClient(base_url=model.url) as client:
        await client.post("/v1/chat%2fx?a=1&a=%20", content=body, headers={"X-Odd": "1"})
    (seen,) = model.app.seen
    assert (seen.method, seen.target) == ("POST", b"/v1/chat%2fx?a=1&a=%20")
    assert (seen.body, seen.size) == (body, len(body))
    assert seen.sha256 == hashlib.sha256(body).hexdigest()
    assert (b"x-odd", b"1") in seen.headers


async def test_nothing_is_kept_unless_asked_and_never_more_than_asked() -> None:
    for record in (0, 2):
        app = StandIn(record)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://standin") as client:
            for _ in range(3):
                await client.get("/v1/models")
        assert len(app.seen) == record


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"{", 400),
        ("POST", "/v1/chat/completions", b"[]", 400),
        ("POST", "/v1/chat/completions", b'{"model": 7, "messages": [{}]}', 400),
        (
            "POST",
            "/v1/chat/completions",
            b'{"model": "m", "messages": [{"content": [7, {"text": 7}]}], "tools": 7}',
            200,
        ),
        ("POST", "/v1/messages", b'{"model": "m", "max_tokens": true, "messages": [{}]}', 400),
        ("POST", "/v1beta/models/m:generateContent", b'{"contents": [{"parts": 7}], "toolConfig": 7}', 200),
        ("POST", "/v1/responses", b'{"model": "m", "input": [{"role": "user"}], "text": []}', 200),
        ("POST", "/v1/chat/completions", b'{"model": "standin-tokens-100000", "messages": [{}], "n": 128}', 400),
        ("POST", "/v1/files", b"no form", 400),
        ("POST", "/v1/embeddings", b'{"model": "m", "input": [{}]}', 400),
        ("GET", "/v1/nothing", b"", 404),
        ("GET", "/v1/embeddings", b"", 405),
        ("GET", "/v1/models/ft:m:org", b"", 200),
    ],
)
async def test_odd_requests_are_answered(model: Running, method: str, target: str, body: bytes, status: int) -> None:
    async with httpx.AsyncClient(base_url=model.url) as client:
        answer = await client.request(method, target, content=body)
    assert answer.status_code == status
    assert bool(answer.json().get("error")) is (status != 200)


async def test_more_than_64_mib_is_refused() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield bytes(1024 * 1024)

    transport = httpx.ASGITransport(StandIn())
    async with httpx.AsyncClient(transport=transport, base_url="http://standin") as client:
        answer = await client.post("/v1/files", content=chunks())
    assert answer.status_code == 413


async def test_nothing_is_left_behind_when_it_stops() -> None:
    before = asyncio.all_tasks()
    client = httpx.AsyncClient()
    async with serving() as running:
        body = {**CHAT, "model": "standin-slow-60000"}
        asking = asyncio.create_task(client.post(f"{running.url}/v1/chat/completions", json=body))
        idle = await client.get(f"{running.url}/v1/models")
        assert idle.status_code == 200
    with pytest.raises(httpx.HTTPError):
        await asking
    with pytest.raises(httpx.ConnectError):
        await client.get(f"{running.url}/v1/models")
    await client.aclose()
    assert asyncio.all_tasks() == before


async def test_it_runs_alone_until_it_is_told_to_stop() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.standin", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().split()[-1]
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/v1/models")).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
