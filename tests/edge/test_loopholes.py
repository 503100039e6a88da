"""Ways around a limit that were found and closed; each test is one of them."""

import asyncio
import gzip
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gateway.app import Gate
from gateway.edge.server import make_server
from tests.rig import Running, gateway

KEY = {"authorization": "Bearer sk-caller-one"}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say something short."}]}
OUTPUT = """
gauger: 1
policy: {id: t}
limits:
  - {id: out, by: [account], count: tokens.output, rate: 100k tokens/h}
"""
LINE = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}'
LINE += b"\n"
Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda **given: gateway(state_dir=tmp_path, **given)


async def quiet(g: Running) -> None:
    async with asyncio.timeout(10):
        while g.core.admission.inflight or g.core.limits.open:
            await asyncio.sleep(0.01)


def answering(content_type: bytes, pieces: list[bytes], *, coding: bytes = b"", hold: bool = False) -> Any:
    """An app that sends these pieces, and with `hold` never ends its answer."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        heads = [(b"content-type", content_type), *([(b"content-encoding", coding)] if coding else [])]
        await send({"type": "http.response.start", "status": 200, "headers": heads})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        while hold and (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_a_document_that_is_cut_off_is_counted(start: Start) -> None:
    """Google streams a JSON array by default; who hangs up before its end has still read it."""
    chunk = b'[{"candidates": [{"content": {"parts": [{"text": "' + b"word " * 4000 + b'"}]}}]}'
    async with start(policy=OUTPUT, app=answering(b"application/json", [chunk], hold=True)) as g:
        url = f"{g.url}/v1beta/models/m:streamGenerateContent"
        async with httpx.AsyncClient() as client, client.stream("POST", url, json={"contents": []}) as answer:
            async for _ in answer.aiter_raw():
                break
        await quiet(g)
        (record,) = g.records()
        assert record["end"] == "client_abort"
        assert record["usage"]["source"] == "counted"
        assert record["usage"]["output"] >= 4000


async def test_an_upload_that_is_answered_in_gzip_is_remembered(start: Start) -> None:
    body = gzip.compress(b'{"id": "file-1", "object": "file"}')
    policy = "gauger: 1\npolicy: {id: t, opaque: refuse}\n"
    app = answering(b"application/json", [body], coding=b"gzip")
    async with start(policy=policy, app=app) as g, httpx.AsyncClient(headers=KEY) as client:
        files = {"file": ("b.jsonl", LINE * 3, "application/jsonl")}
        sent = await client.post(f"{g.url}/v1/files", files=files, data={"purpose": "batch"})
        assert sent.json()["id"] == "file-1"
        await quiet(g)
        batch = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions"}
        assert (await client.post(f"{g.url}/v1/batches", json=batch)).status_code == 200
        unknown = {**batch, "input_file_id": "file-2"}
        assert (await client.post(f"{g.url}/v1/batches", json=unknown)).status_code == 403


async def test_a_file_with_lines_that_nobody_can_read_is_unknown(start: Start) -> None:
    twice = b'{"custom_id": "a", "custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": {}}\n'
    policy = "gauger: 1\npolicy: {id: t, opaque: refuse}\n"
    async with start(policy=policy) as g, httpx.AsyncClient(headers=KEY) as client:
        files = {"file": ("b.jsonl", LINE + twice, "application/jsonl")}
        sent = await client.post(f"{g.url}/v1/files", files=files, data={"purpose": "batch"})
        await quiet(g)
        batch = {"input_file_id": sent.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert (await client.post(f"{g.url}/v1/batches", json=batch)).status_code == 403


async def test_a_body_of_a_million_nothings_is_refused_unread(start: Start) -> None:
    body = b'{"model": "m", "messages": [' + b"{}," * 1_000_000 + b"{}]}"
    async with start() as g, httpx.AsyncClient(headers=KEY) as client:
        answer = await client.post(f"{g.url}/v1/chat/completions", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_values")


async def test_body_bytes_are_given_back_when_the_answer_begins(start: Start) -> None:
    big = {**CHAT, "messages": [{"role": "user", "content": "x" * 900_000}]}
    app = answering(b"text/event-stream", [b"data: {}\n\n"], hold=True)
    async with start(app=app, body_budget=1_048_576) as g, httpx.AsyncClient(headers=KEY) as client:
        url = f"{g.url}/v1/chat/completions"
        async with client.stream("POST", url, json=big) as first, client.stream("POST", url, json=big) as second:
            assert (first.status_code, second.status_code) == (200, 200)
            assert g.core.admission.held == 0


async def test_where_the_app_is_mounted_is_no_part_of_the_route(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path, policy=OUTPUT, app=answering(b"application/json", [b"{}"])) as g:
        mounted = Starlette(routes=[Mount("/llm", app=Gate(answering(b"application/json", [b"{}"]), core=g.core))])
        async with make_server(mounted).listening() as port, httpx.AsyncClient(headers=KEY) as client:
            await client.post(f"http://127.0.0.1:{port}/llm/v1/chat/completions", json=CHAT)
            await quiet(g)
        assert g.records()[0]["req"]["op"] == "chat"


@pytest.mark.parametrize("query", ["access_token=t", "%61ccess_token=t", "oauth_token=t", "$key=t"])
async def test_a_token_in_the_query_is_a_credential(start: Start, query: str) -> None:
    async with start() as g, httpx.AsyncClient() as client:
        await client.get(f"{g.url}/v1beta/models?{query}")
        twice = await client.get(f"{g.url}/v1beta/models?{query}", headers=KEY)
        assert twice.status_code == 400
        await quiet(g)
        assert g.records()[0]["account"]["source"] == "key"


async def test_the_twin_of_an_identity_header_does_not_reach_the_app(start: Start) -> None:
    policy = "gauger: 1\npolicy: {id: t}\nidentity: {trusted: [{header: x-account-id, as: account}]}\n"
    async with start(policy=policy, record=1) as g, httpx.AsyncClient(headers=KEY) as client:
        heads = {"x_account_id": "root", "X-Account_Id": "root", "x-account-id": "root", "x-other": "stays"}
        await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=heads)
        names = {name.replace(b"_", b"-") for name, _ in g.model.app.seen[-1].headers}
        assert b"x-account-id" not in names
        assert b"x-other" in names
