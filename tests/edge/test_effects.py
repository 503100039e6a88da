"""What a verdict says is what is done to the request, on real sockets: clamp, tag and delay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from time import time
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from gateway.actions.tag import verify
from gateway.edge import effects
from tests.edge.wire import values, wire
from tests.rig import Running, gateway

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say something short."}]}
KEY = {"authorization": "Bearer sk-caller-one"}
TAG_KEY = "a key for tags in tests"

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda **given: gateway(state_dir=tmp_path, record=50, tag_key=SecretStr(TAG_KEY), **given)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


def rules(*lines: str, limits: str = "", mode: str = "enforce") -> str:
    text = f"gauger: 1\npolicy: {{id: test, mode: {mode}}}\n"
    if limits:
        text += f"limits:\n  - {limits}\n"
    return text + "rules:\n" + "".join(f"  - {line}\n" for line in lines)


async def held(g: Running) -> None:
    """Waits until a request is drawn."""
    async with asyncio.timeout(10):
        while not g.core.limits.leases:
            await asyncio.sleep(0.005)


async def quiet(g: Running) -> None:
    async with asyncio.timeout(10):
        while g.core.admission.inflight or g.core.limits.open:
            await asyncio.sleep(0.01)


async def only_record(g: Running) -> dict[str, Any]:
    await quiet(g)
    (record,) = g.records()
    return record


FEW = rules(
    "{id: few, when: req.n > 1 or req.logprobs, then: {clamp: {n: 1, logprobs: false, max_tokens: 50 tokens}}}",
    limits="{id: out, by: [account], count: tokens.output, rate: 100k tokens/h}",
)


async def test_a_clamped_request_is_what_the_model_server_sees(start: Start, client: httpx.AsyncClient) -> None:
    body = (
        b'{"model": "gpt-4o-mini",  "n": 3, "messages": [{"role": "user", "content": "hi"}]'
        b', "logprobs": true, "top_logprobs": 2}'
    )
    async with start(policy=FEW) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", content=body, headers=KEY)
        assert answer.status_code == 200
        assert len(answer.json()["choices"]) == 1
        sent = g.model.app.seen[-1]
        assert sent.body == (
            b'{"model": "gpt-4o-mini",  "n": 1, "messages": [{"role": "user", "content": "hi"}]'
            b',"max_completion_tokens":50}'
        )
        assert values(sent.headers, b"content-length") == [str(len(sent.body)).encode()]
        record = await only_record(g)
        assert (record["verdict"], record["action"], record["end"]) == ("clamp", "clamp", "done")
        assert record["effects"]["clamp"] == {
            "n": {"from": 3, "to": 1},
            "logprobs": {"from": True, "to": False},
            "max_tokens": {"to": 50},
        }
        assert record["rules"] == {"matched": ["few"]}
        assert record["req"]["n"] == 3
        assert record["limits"][0]["cost"] == 50  # drawn on what is sent


async def test_a_request_that_keeps_to_the_clamp_passes_byte_for_byte(start: Start, client: httpx.AsyncClient) -> None:
    policy = rules("{id: few, when: req.n >= 1, then: {clamp: {n: 4, temperature: 2}}}")
    body = b'{ "model":"gpt-4o-mini","n":3 ,"messages":[{"role":"user","content":"hi"}]}\n'
    async with start(policy=policy) as g:
        await client.post(f"{g.url}/v1/chat/completions", content=body, headers=KEY)
        assert g.model.app.seen[-1].body == body
        assert (await only_record(g))["action"] == "allow"


async def test_a_large_body_is_clamped_like_a_small_one(start: Start, client: httpx.AsyncClient) -> None:
    body = {"n": 3, **CHAT, "messages": [{"role": "user", "content": "x" * effects.LARGE}]}
    async with start(policy=FEW) as g:
        assert (await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)).status_code == 200
        expected = {**body, "n": 1, "max_completion_tokens": 50}
        assert orjson.loads(g.model.app.seen[-1].body) == expected


async def test_asking_for_usage_and_clamping_go_together(start: Start, client: httpx.AsyncClient) -> None:
    body = {**CHAT, "n": 3, "stream": True}
    async with start(policy=FEW, usage_ask=True) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)
        sent = orjson.loads(g.model.app.seen[-1].body)
        assert sent == {**body, "n": 1, "max_completion_tokens": 50, "stream_options": {"include_usage": True}}
        assert '"usage":{' not in answer.text.replace(" ", "")
        assert '"index":1' not in answer.text.replace(" ", "")
        assert answer.text.endswith("data: [DONE]\n\n")
        usage = (await only_record(g))["usage"]
        assert usage["source"] == "upstream"
        assert usage["output"] > 0


@pytest.mark.parametrize(
    ("path", "body", "sent"),
    [
        ("/v1/messages", {"max_tokens": 90, "messages": []}, {"max_tokens": 50, "messages": []}),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidate_count": 2}},
            {
                "contents": [{"parts": [{"text": "hi"}]}],
                "generationConfig": {"candidate_count": 1, "maxOutputTokens": 50},
            },
        ),
        ("/v1/completions", {"prompt": "hi", "best_of": 3}, {"prompt": "hi", "best_of": 1, "max_tokens": 50}),
    ],
)
async def test_every_dialect_is_clamped(
    start: Start, client: httpx.AsyncClient, path: str, body: dict[str, Any], sent: dict[str, Any]
) -> None:
    policy = rules("{id: few, when: req.n > 0, then: {clamp: {n: 1, max_tokens: 50 tokens}}}")
    async with start(policy=policy) as g:
        await client.post(f"{g.url}{path}", json=body, headers=KEY)
        assert orjson.loads(g.model.app.seen[-1].body) == sent


TAGGED = rules(
    "{id: watch, when: req.n > 1, then: {tag: [several, watched]}}",
    "{id: more, when: req.n > 2, then: {tag: [a-lot]}}",
)
FORGED = [
    ("gauger-tag", "v1;t=1;id=x;tags=trusted;sig=x"),
    ("Gauger_Tag", "forged"),
    ("gauger-anything", "forged"),
    ("connection", "keep-alive, gauger-tag"),
]


@pytest.mark.parametrize("forged", [[], FORGED])
async def test_a_tag_reaches_the_model_server_signed_and_alone(
    start: Start, client: httpx.AsyncClient, forged: list[tuple[str, str]]
) -> None:
    async with start(policy=TAGGED) as g:
        heads = [*KEY.items(), *forged]
        answer = await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 3}, headers=heads)
        assert answer.status_code == 200
        ours = [pair for pair in g.model.app.seen[-1].headers if pair[0].lower().startswith((b"gauger-", b"gauger_"))]
        ((name, value),) = ours
        assert name == b"gauger-tag"
        found = verify(TAG_KEY.encode(), value.decode(), int(time()))
        assert found is not None
        assert found.tags == ("a-lot", "several", "watched")
        record = await only_record(g)
        assert record["request_id"] == found.id
        assert record["effects"]["tags"] == list(found.tags)
        assert (record["action"], record["rules"]) == ("tag", {"matched": ["more", "watch"]})


async def test_without_a_tag_no_header_of_that_family_reaches_the_model_server(
    start: Start, client: httpx.AsyncClient
) -> None:
    async with start(policy=TAGGED) as g:
        await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=[*KEY.items(), *FORGED])
        assert not [name for name, _ in g.model.app.seen[-1].headers if name.lower().startswith((b"gauger",))]


async def test_an_app_that_is_wrapped_hears_the_tag_too(start: Start, client: httpx.AsyncClient) -> None:
    heard: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            heard.append([pair for pair in scope["headers"] if pair[0].startswith(b"gauger")])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    async with start(policy=TAGGED, app=app) as g:
        await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 2}, headers=[*KEY.items(), *FORGED])
        (((name, value),),) = heard
        assert name == b"gauger-tag"
        assert verify(TAG_KEY.encode(), value.decode(), int(time())) is not None


async def test_without_a_key_the_tag_is_in_the_record_alone(start: Start, client: httpx.AsyncClient) -> None:
    async with start(policy=TAGGED) as g:
        g.core.tag_key = None
        await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 2}, headers=KEY)
        assert not values(g.model.app.seen[-1].headers, b"gauger-tag")
        assert (await only_record(g))["effects"]["tags"] == ["several", "watched"]


def paused(delay: str) -> str:
    return rules(
        f"{{id: slow, when: req.n > 0, then: {{throttle: {{delay: {delay}}}}}}}",
        limits="{id: live, by: [key], count: concurrent, rate: 3 requests}",
    )


async def test_a_delayed_request_holds_its_lease_and_then_goes_on(start: Start, client: httpx.AsyncClient) -> None:
    async with start(policy=paused("300 ms")) as g:
        asked = asyncio.create_task(client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY))
        await held(g)
        assert (g.core.admission.inflight, len(g.model.app.seen)) == (1, 0)
        assert (await asked).status_code == 200
        record = await only_record(g)
        assert record["t"]["delay_us"] >= 300_000
        assert record["effects"] == {"delay_us": 300_000}
        assert (record["action"], record["end"]) == ("throttle", "done")
        assert g.core.limits.leases == 0


async def test_requests_without_a_body_and_with_one_that_streams_are_delayed_as_well(
    start: Start, client: httpx.AsyncClient
) -> None:
    async with start(policy=paused("50 ms")) as g:
        models = await client.get(f"{g.url}/v1/models", headers=KEY)
        assert models.status_code == 200

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 1000
                await asyncio.sleep(0.03)

        await client.post(f"{g.url}/v1/unknown", content=pieces(), headers=KEY)
        assert g.model.app.seen[-1].size == 3000
        await quiet(g)
        assert all(record["t"]["delay_us"] >= 50_000 for record in g.records())


async def test_an_app_that_reads_its_empty_body_after_a_delay_is_given_it(
    start: Start, client: httpx.AsyncClient
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            message = await receive()
            assert (message["type"], message["body"], message["more_body"]) == ("http.request", b"", False)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"read"})

    async with start(policy=paused("20 ms"), app=app) as g:
        assert (await client.get(f"{g.url}/anything", headers=KEY)).text == "read"


async def test_a_client_that_leaves_ends_the_delay_at_once(start: Start) -> None:
    body = orjson.dumps(CHAT)
    async with start(policy=paused("29 s")) as g:
        async with wire(g.url) as connection:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
            await connection.send(head, b"content-length: %d\r\n\r\n" % len(body), body)
            await held(g)
            connection.leave()
            record = await only_record(g)
        assert (record["end"], record["http"]["status"]) == ("client_abort", 0)
        assert g.core.limits.leases == 0
        assert not g.model.app.seen


async def test_no_policy_holds_a_request_for_longer_than_the_bound(
    start: Start, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "LONGEST", 20_000)
    async with start(policy=paused("29 s")) as g:
        assert (await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)).status_code == 200


async def test_a_shutdown_ends_a_delay(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path, policy=paused("29 s")) as g:
        task = asyncio.create_task(httpx.AsyncClient().post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY))
        await held(g)
    with pytest.raises(httpx.HTTPError):
        await task
    assert g.core.limits.leases == 0


async def test_of_all_requests_at_most_half_are_held(start: Start, client: httpx.AsyncClient) -> None:
    policy = rules(
        "{id: slow, when: req.n > 1, then: {throttle: {delay: 2 s}}}",
        limits="{id: live, by: [key], count: concurrent, rate: 90 requests}",
    )
    async with start(policy=policy, max_inflight=6) as g:
        url = f"{g.url}/v1/chat/completions"
        asked = [asyncio.create_task(client.post(url, json=CHAT | {"n": 2}, headers=KEY)) for _ in range(6)]
        async with asyncio.timeout(10):
            while sum(task.done() for task in asked) < 3:
                await asyncio.sleep(0.01)
        assert (g.core.admission.delayed, g.core.admission.inflight, g.core.limits.leases) == (3, 3, 3)
        other = await client.post(url, json=CHAT, headers={"authorization": "Bearer sk-other"})
        assert other.status_code == 200
        statuses = sorted([(await task).status_code for task in asked])
        assert statuses == [200, 200, 200, 429, 429, 429]
        (refused, *_) = [task.result() for task in asked if task.result().status_code == 429]
        assert refused.json()["error"]["code"] == "slow_down"
        assert int(refused.headers["retry-after"]) >= 2
        await quiet(g)
        assert (g.core.admission.delayed, g.core.limits.leases, len(g.model.app.seen)) == (0, 0, 4)
        records = [record for record in g.records() if record["end"] == "refused"]
        assert {record["error"]["type"] for record in records} == {"slow_down"}


async def test_prompt_text_is_not_held_with_a_request(start: Start, client: httpx.AsyncClient) -> None:
    async with start(policy=paused("300 ms")) as g:
        asked = asyncio.create_task(client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY))
        await held(g)
        await asyncio.sleep(0)
        assert [x.calls for x in g.core.live.values()] == [()]
        assert (await asked).status_code == 200
