"""What a verdict says is what the caller, the operator and the record are told, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.decide import judge
from tests.rig import Running, gateway

CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say something short."}]}
KEY = {"authorization": "Bearer sk-caller-one"}

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda **given: gateway(state_dir=tmp_path, record=50, **given)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


def rules(*lines: str, limits: str = "", mode: str = "enforce") -> str:
    text = f"gauger: 1\npolicy: {{id: test, mode: {mode}}}\n"
    if limits:
        text += f"limits:\n  - {limits}\n"
    return text + "rules:\n" + "".join(f"  - {line}\n" for line in lines)


async def quiet(g: Running) -> None:
    async with asyncio.timeout(10):
        while g.core.admission.inflight or g.core.limits.open:
            await asyncio.sleep(0.01)


async def only_record(g: Running) -> dict[str, Any]:
    await quiet(g)
    (record,) = g.records()
    return record


BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/messages", {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}),
    ("/v1beta/models/gemini-2.5-flash:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}),
]
SPOKEN = {  # status -> type, type and status in the three dialects
    400: ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
    402: ("request_forbidden", "billing_error", "PERMISSION_DENIED"),
    403: ("request_forbidden", "permission_error", "PERMISSION_DENIED"),
    404: ("invalid_request_error", "not_found_error", "NOT_FOUND"),
    429: ("requests", "rate_limit_error", "RESOURCE_EXHAUSTED"),
    451: ("request_forbidden", "permission_error", "PERMISSION_DENIED"),
    503: ("server_error", "overloaded_error", "UNAVAILABLE"),
}


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("status", SPOKEN)
async def test_a_block_is_refused_in_the_caller_s_words(
    start: Start, client: httpx.AsyncClient, status: int, lasting: bool
) -> None:
    forever = ", for: 1h" if lasting else ""
    policy = rules(
        f"{{id: secret-rule, when: req.n > 0, then: {{block: {{status: {status}{forever}}}}}}}",
        limits="{id: few, by: [key], count: requests, rate: 100 requests/h}",
    )
    async with start(policy=policy) as g:
        for (path, body), word in zip(BODIES, SPOKEN[status], strict=True):
            answer = await client.post(f"{g.url}{path}", json=body, headers=KEY)
            said = answer.json()
            error = said["error"]
            id_ = answer.headers.get("x-request-id") or answer.headers["request-id"]
            assert answer.status_code == status
            assert error["message"] == f"This request is not allowed by policy; appeal with id {id_}."
            assert word == (error["status"] if "gemini" in path else error["type"])
            assert answer.headers["x-should-retry"] == "false"
            assert id_ in answer.text
            assert "secret-rule" not in answer.text + str(answer.headers)
            waits = "retry-after" in answer.headers
            assert waits == (lasting and status in (429, 503))
            assert not waits or 3500 < int(answer.headers["retry-after"]) < 4000
        await quiet(g)
        assert not g.model.app.seen
        for record in g.records():
            assert (record["verdict"], record["action"], record["end"]) == ("block", "block", "refused")
            assert "limits" not in record
            effect = record["effects"]
            assert (effect["status"], effect["code"], "until" in effect) == (status, "policy_block", lasting)
            assert record["error"]["type"] == "policy_block"


async def test_in_shadow_nothing_is_done_and_the_record_says_what_would_be(
    start: Start, client: httpx.AsyncClient
) -> None:
    policy = rules(
        "{id: stop, when: req.n > 1, mode: shadow, then: {block: {status: 403}}}",
        "{id: watch, when: req.n > 1, then: {tag: [several]}}",
    )
    async with start(policy=policy) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 2}, headers=KEY)
        assert answer.status_code == 200
        record = await only_record(g)
        assert (record["verdict"], record["action"]) == ("block", "tag")
        assert record["effects"] == {"tags": ["several"]}
        assert record["would"] == {"tags": ["several"], "status": 403, "code": "policy_block"}
        assert record["rules"] == {"matched": ["watch"], "shadow": ["stop"]}
        text = (await client.get(f"{g.ops_url}/metrics")).text
        assert 'gauger_rule_matches_total{excepted="false",mode="enforce",rule="watch"} 1.0' in text
        assert 'gauger_rule_matches_total{excepted="false",mode="shadow",rule="stop"} 1.0' in text


async def test_rules_of_the_answer_tag_its_record(start: Start, client: httpx.AsyncClient) -> None:
    policy = rules("{id: said, phase: response, when: resp.output_tokens > 0, then: {tag: [answered]}}")
    async with start(policy=policy) as g:
        await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        record = await only_record(g)
        assert (record["verdict"], record["action"]) == ("tag", "tag")
        assert record["effects"] == {"tags": ["answered"]}
        assert record["rules"] == {"matched": ["said"]}


async def test_an_exception_is_recorded_counted_and_its_end_is_shown(start: Start, client: httpx.AsyncClient) -> None:
    policy = rules("{id: stop, when: req.n > 1, then: {block: {status: 403}}}") + (
        "exceptions:\n  - {id: partner, silences: [stop], when: req.n > 0, expires: 2099-12-31, owner: o, reason: r}\n"
    )
    async with start(policy=policy) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 2}, headers=KEY)
        assert answer.status_code == 200
        record = await only_record(g)
        assert record["rules"]["excepted"] == {"stop": "partner"}
        assert record["action"] == "tag"
        text = (await client.get(f"{g.ops_url}/metrics")).text
        assert 'gauger_rule_matches_total{excepted="true",mode="enforce",rule="stop"} 1.0' in text
        assert 'gauger_exception_expires_timestamp_seconds{exception="partner"} 4.1' in text


async def test_a_verdict_and_a_spent_limit_are_both_told(
    start: Start, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*given: Any) -> Any:
        state, verdict = judge(*given)
        scores = {"extraction": -12.5}
        evidence = {"extraction": {"sweep": 3.0}}
        return state, msgspec.structs.replace(verdict, scores=scores, evidence=evidence, readings={"1h.requests": 2.0})

    monkeypatch.setattr("gateway.edge.gate.judge", scored)
    policy = rules(
        "{id: few, when: req.n > 1, then: {clamp: {n: 1}}}",
        limits="{id: one, by: [key], count: requests, rate: 1 requests/h, burst: 1 requests}",
    )
    async with start(policy=policy) as g:
        statuses = [
            (await client.post(f"{g.url}/v1/chat/completions", json={**CHAT, "n": 2}, headers=KEY)).status_code
            for _ in range(2)
        ]
        assert statuses == [200, 429]
        await quiet(g)
        first, second = g.records()
        assert (first["action"], second["action"], second["verdict"]) == ("clamp", "limit", "limit")
        assert second["rules"] == {"matched": ["few"]}
        assert second["score"] == {"extraction": -12.5}
        assert second["evidence"] == {"extraction": {"sweep": 3.0}}
        assert second["readings"] == {"1h.requests": 2.0}
        text = (await client.get(f"{g.ops_url}/metrics")).text
        assert 'gauger_score_decibans_bucket{card="extraction",le="-8.0"} 2.0' in text
        assert 'gauger_score_decibans_bucket{card="extraction",le="-20.0"} 0.0' in text
