"""An answer that was served comes back as a prompt: over real sockets, in every dialect, streamed or not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import pytest

from gateway.decide import AccountState, judge, settle
from gateway.ledger.record import Ruled, Settled
from gateway.ledger.unline import rows_of
from gateway.observe.answers import answer_pieces
from tests.rig import Running, gateway

READS = """
gauger: 1
policy: {id: reads}
rules:
  - {id: fed-back, when: fed_back_share >= 50%, then: {tag: [fed-back]}}
  - {id: own-history, when: served_history_share >= 50%, then: {tag: [own]}}
"""
FIRST = "Say something about rivers that nobody has said before."
Start = Callable[..., AbstractAsyncContextManager[Running]]
Ask = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda **given: gateway(state_dir=tmp_path, policy=READS, **given)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


async def chat(
    client: httpx.AsyncClient, g: Running, *turns: str, key: str = "sk-1", stream: bool = False, model: str = "m"
) -> str:
    """The answer to the last of these turns, user's and model's in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)]
    body = {"model": model, "messages": messages, "stream": stream}
    made = await client.post(f"{g.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
    assert made.status_code == 200
    if not stream:
        return str(made.json()["choices"][0]["message"]["content"])
    events = [orjson.loads(line[6:]) for line in made.text.splitlines() if line.startswith("data: {")]
    return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])


async def settled(g: Running, requests: int) -> list[dict[str, Any]]:
    """The records, when so many requests have ended."""
    async with asyncio.timeout(10):
        while len(found := g.records()) < requests or g.core.admission.inflight:
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chain_of_prompts_made_by_the_model_is_seen(
    start: Start, client: httpx.AsyncClient, stream: bool
) -> None:
    async with start() as g:
        prompt = FIRST
        for _ in range(6):
            prompt = "Make this harder to understand:\n" + await chat(client, g, prompt, stream=stream)
        records = await settled(g, 6)
        assert "served" not in records[0]
        assert all(each["served"]["returned"] >= 1 and not each["served"]["continued"] for each in records[1:])
        assert [each["readings"]["fed_back_share"] for each in records] == [0.0, 0.5, 0.667, 0.75, 0.8, 0.833]
        assert records[-1]["rules"]["matched"] == ["fed-back"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_quotes_the_answer_is_none(
    start: Start, client: httpx.AsyncClient, stream: bool
) -> None:
    async with start() as g:
        turns = [FIRST]
        for _ in range(5):
            said = await chat(client, g, *turns, stream=stream)
            turns += [said, f"You said: {said} Is that so?"]
        records = await settled(g, 5)
        assert {each["readings"]["fed_back_share"] for each in records} == {0.0}
        assert all(each["served"] == {"returned": 0, "continued": True} for each in records[1:])
        assert records[-1]["readings"]["served_history_share"] == 1.0
        assert records[-1]["rules"]["matched"] == ["own-history"]


async def test_a_history_that_nobody_served_is_told_from_one_that_was(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        made_up = "Rivers are known to sleep in winter, under a blanket of ice and snow."
        served = await chat(client, g, FIRST)
        for said in (made_up, served, made_up, made_up):
            await chat(client, g, FIRST, said, "Go on.")
        records = await settled(g, 5)
        assert [each.get("served", {}).get("continued", False) for each in records] == [
            False,
            False,
            True,
            False,
            False,
        ]
        assert records[-1]["readings"]["served_history_share"] == 0.25


async def test_another_account_s_answer_is_known_as_well(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        said = await chat(client, g, FIRST)
        await chat(client, g, said, key="sk-2")
        first, second = await settled(g, 2)
        assert first["account"]["id"] != second["account"]["id"]
        assert second["served"]["returned"] == len(answer_pieces([said], g.core.prints))
        assert second["readings"]["fed_back_share"] == 1.0


ELSEWHERE: list[tuple[str, Callable[[str], Any], Callable[[Any], str]]] = [
    (
        "/v1/messages",
        lambda text: {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": text}]},
        lambda answer: str(answer["content"][0]["text"]),
    ),
    (
        "/v1/responses",
        lambda text: {"model": "m", "input": text},
        lambda answer: str(answer["output"][-1]["content"][0]["text"]),
    ),
    (
        "/v1beta/models/m:generateContent",
        lambda text: {"contents": [{"parts": [{"text": text}]}]},
        lambda answer: str(answer["candidates"][0]["content"]["parts"][0]["text"]),
    ),
    (
        "/v1/completions",
        lambda text: {"model": "m", "prompt": text, "max_tokens": 500},
        lambda answer: str(answer["choices"][0]["text"]),
    ),
]


@pytest.mark.parametrize(("path", "body", "text"), ELSEWHERE)
async def test_every_dialect_serves_and_asks(
    start: Start, client: httpx.AsyncClient, path: str, body: Callable[[str], Any], text: Callable[[Any], str]
) -> None:
    async with start() as g:
        heads = {"authorization": "Bearer sk-1"}
        answer = await client.post(g.url + path, json=body(FIRST), headers=heads)
        said = text(answer.json())
        assert len(said) > 100
        await client.post(g.url + path, json=body(said), headers=heads)
        await chat(client, g, said, key="sk-2")
        records = await settled(g, 3)
        assert [each.get("served", {}).get("returned", 0) > 0 for each in records] == [False, True, True]


async def test_what_was_passed_on_before_the_client_left_counts(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        heads = {"authorization": "Bearer sk-1"}
        body = {"model": "standin-slow-10-tokens-48", "stream": True, "messages": [{"role": "user", "content": FIRST}]}
        said = ""
        async with client.stream("POST", f"{g.url}/v1/chat/completions", json=body, headers=heads) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    said += orjson.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                if said.count(".") == 2:  # sentences, of four
                    break
        await settled(g, 1)
        await chat(client, g, said)
        left, asked = await settled(g, 2)
        assert left["end"] == "client_abort"
        assert asked["served"]["returned"] == len(answer_pieces([said], g.core.prints)) == 2


async def test_what_was_not_served_is_not_remembered(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        body = {"model": "standin-500", "messages": [{"role": "user", "content": FIRST}]}
        failed = await client.post(f"{g.url}/v1/chat/completions", json=body)
        assert failed.status_code == 500
        await client.post(f"{g.url}/v1/embeddings", json={"model": "m", "input": FIRST})
        await settled(g, 2)
        assert g.core.served.pieces == 0
        said = await chat(client, g, FIRST)
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        pieces = len(answer_pieces([said], g.core.prints))
        assert pieces > 0
        assert f"gauger_served_pieces {pieces}.0" in metrics
        assert "gauger_served_evicted_total 0.0" in metrics


async def test_without_memory_for_it_nothing_is_looked_up(start: Start, client: httpx.AsyncClient) -> None:
    async with start(served_memory=0) as g:
        said = await chat(client, g, FIRST)
        await chat(client, g, said)
        assert all("served" not in each for each in await settled(g, 2))


async def test_a_replay_needs_no_table(start: Start, client: httpx.AsyncClient) -> None:
    """What was looked up is in the facts, so the rows alone give the same verdicts."""
    async with start() as g:
        said = await chat(client, g, FIRST)
        await chat(client, g, said)
        await chat(client, g, FIRST, said, "Go on.")
        records = await settled(g, 3)
        state, found = AccountState(), list[tuple[int, bool]]()
        ruled: dict[str, Ruled] = {}
        for row in g.rows:
            if isinstance(row, Ruled):
                state, verdict = judge(g.core.policy, state, row.facts, row.now)
                assert msgspec.json.encode(verdict) == msgspec.json.encode(row.verdict)
                found.append((row.facts.returned, row.facts.continued))
                ruled[row.request] = row
            elif isinstance(row, Settled):
                begun = ruled[row.request]
                state, _ = settle(g.core.policy, state, begun.facts, begun.verdict, row.outcome, row.now)
        assert found == [(0, False), (len(answer_pieces([said], g.core.prints)), False), (0, True)]
        lines = [rows_of(each)[0].facts for each in records]
        assert [(each.returned, each.continued) for each in lines] == found


async def test_no_word_of_an_answer_is_kept(start: Start, client: httpx.AsyncClient, tmp_path: Path) -> None:
    canary = "CANARYanswerq7Zx"
    text = (
        f"The word that nobody may keep is {canary}, which stands in a long sentence. {canary} ends it as well, there."
    )
    done = orjson.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "message": {"content": text}}]})

    async def model(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(done))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": done})

    async with start(app=model, ledger=tmp_path / "led") as g:
        await chat(client, g, FIRST)
        await chat(client, g, "What does this mean to you?\n" + text)
        records = await settled(g, 2)
        assert records[1]["served"]["returned"] == 2
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        said = g.log.getvalue() + metrics.encode() + msgspec.json.encode(g.rows)
        table = bytes(g.core.served._tags) + g.core.served._marks.tobytes()
    said += b"".join(each.read_bytes() for each in (tmp_path / "led").iterdir())
    for kept in (said, table):
        assert canary.encode() not in kept
        assert canary.lower().encode() not in kept
