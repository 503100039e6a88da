"""The gate on real sockets: limits under concurrency and abort, one record a request, nothing left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway.decide import AccountState, judge, settle
from gateway.ledger.record import Ruled, Settled
from tests.rig import Running, gateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say something short."}]}
SLOW = {**CHAT, "model": "standin-slow", "stream": True}
KEY = {"authorization": "Bearer sk-caller-one"}

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda **given: gateway(state_dir=tmp_path, **given)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


def limited(line: str) -> str:
    return f"gauger: 1\npolicy: {{id: test}}\nlimits:\n  - {line}\n"


async def quiet(g: Running) -> None:
    """Waits until nothing is under way any more."""
    async with asyncio.timeout(10):
        while g.core.admission.inflight or g.core.limits.open:
            await asyncio.sleep(0.01)


async def test_an_answer_is_the_model_s_own_and_leaves_one_record(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        direct = await client.post(f"{g.model.url}/v1/chat/completions", json=CHAT, headers=KEY)
        through = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        assert through.status_code == 200
        assert through.content == direct.content
        await quiet(g)
        (record,) = g.records()
        usage = through.json()["usage"]
        assert record["usage"]["input"] == usage["prompt_tokens"]
        assert record["usage"]["output"] == usage["completion_tokens"]
        assert record["usage"]["source"] == "upstream"
        assert (record["verdict"], record["action"], record["end"]) == ("allow", "allow", "done")
        assert record["http"] == {
            "status": 200,
            "upstream_status": 200,
            "bytes_in": len(through.request.content),
            "bytes_out": len(through.content),
        }
        assert record["req"]["model"] == "gpt-4o-mini"


async def test_a_spent_limit_is_refused_in_the_caller_s_words(start: Start, client: httpx.AsyncClient) -> None:
    policy = limited("{id: few, by: [key], count: requests, rate: 3 requests/h, burst: 3 requests}")
    async with start(policy=policy, record=100) as g:
        answers = [await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY) for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert answers[0].headers["x-ratelimit-remaining-requests"] == "2"
        refused = answers[3]
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        assert float(refused.headers["retry-after"]) > 1000
        assert refused.headers["x-should-retry"] == "false"
        assert len(g.model.app.seen) == 3
        other = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-2"})
        assert other.status_code == 200
        await quiet(g)
        assert [r["action"] for r in g.records()] == ["allow"] * 3 + ["limit"] * 2 + ["allow"]


@pytest.mark.parametrize("tries", [20])
async def test_exactly_as_many_run_at_once_as_the_limit_says(
    start: Start, client: httpx.AsyncClient, tries: int
) -> None:
    policy = limited("{id: live, by: [key], count: concurrent, rate: 7 requests}")
    async with start(policy=policy) as g:
        ask = [client.post(f"{g.url}/v1/chat/completions", json=SLOW, headers=KEY) for _ in range(tries)]
        answers = await asyncio.gather(*ask)
        assert sorted(a.status_code for a in answers) == [200] * 7 + [429] * (tries - 7)
        await quiet(g)
        assert g.core.limits.leases == 0
        assert len(g.records()) == tries


async def test_a_client_that_leaves_gives_everything_back(start: Start, client: httpx.AsyncClient) -> None:
    policy = limited("{id: out, by: [key], count: tokens.output, rate: 100k tokens/h}") + (
        "  - {id: live, by: [key], count: concurrent, rate: 50 requests}\n"
    )
    async with start(policy=policy) as g:
        for chunks in range(5):
            async with client.stream("POST", f"{g.url}/v1/chat/completions", json=SLOW, headers=KEY) as answer:
                seen = 0
                async for _ in answer.aiter_raw():
                    seen += 1
                    if seen > chunks:
                        break
        await quiet(g)
        assert g.core.limits.leases == 0
        assert g.core.limits.open == 0
        ends = {record["end"] for record in g.records()}
        assert ends == {"client_abort"}
        assert all(record["usage"]["source"] == "counted" for record in g.records())


async def test_an_answer_that_breaks_off_is_not_seen_as_whole(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        body = {**CHAT, "model": "standin-die", "stream": True}
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)
        await quiet(g)
        (record,) = g.records()
        assert record["end"] == "upstream_error"
        assert record["level"] == "warning"


async def test_a_dead_upstream_is_a_502_in_the_caller_s_dialect(start: Start, client: httpx.AsyncClient) -> None:
    async with start(upstream="http://127.0.0.1:9") as g:
        openai = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        body = {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
        anthropic = await client.post(f"{g.url}/v1/messages", json=body, headers={"x-api-key": "k"})
        gemini = await client.post(f"{g.url}/v1beta/models/gemini-2.5-flash:generateContent", json={"contents": []})
        assert [openai.status_code, anthropic.status_code, gemini.status_code] == [502] * 3
        assert openai.json()["error"]["code"] == "upstream_unreachable"
        assert anthropic.json()["type"] == "error"
        assert gemini.json()["error"]["code"] == 502
        assert "127.0.0.1" not in openai.text
        await quiet(g)
        assert [r["end"] for r in g.records()] == ["upstream_error"] * 3


@pytest.mark.parametrize(
    ("body", "code"),
    [(b'{"model": "a", "model": "b"}', "invalid_json"), (b"{", "invalid_json"), (b'{"n": -1}', None)],
)
async def test_what_can_be_read_two_ways_is_refused_and_recorded(
    start: Start, client: httpx.AsyncClient, body: bytes, code: str | None
) -> None:
    async with start(record=10) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", content=body, headers=KEY)
        assert answer.status_code == 400
        if code is not None:
            assert answer.json()["error"]["code"] == code
        await quiet(g)
        (record,) = g.records()
        assert (record["verdict"], record["end"]) == ("reject", "refused")
        assert not g.model.app.seen


async def test_any_spelling_of_a_known_path_meets_the_same_limits(start: Start, client: httpx.AsyncClient) -> None:
    async with start(record=10) as g:
        for path in (
            "/v1//chat/completions",
            "/v1/chat/%63ompletions",
            "/v1/chat/completions/",
            "/V1/Chat/Completions",
        ):
            request = client.build_request("POST", g.url, json=CHAT, headers=KEY)
            request.url = httpx.URL(g.url, raw_path=path.encode())
            await client.send(request)
            assert g.model.app.seen[-1].target == path.encode()
        await quiet(g)
        assert {record["req"]["route"] for record in g.records()} == {"/v1/chat/completions"}


async def test_state_is_a_fold_over_the_rows(start: Start, client: httpx.AsyncClient) -> None:
    policy = limited("{id: out, by: [account, model], count: tokens.output, rate: 3k tokens/min}")
    async with start(policy=policy) as g:
        ask = [
            client.post(f"{g.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer sk-{n % 3}"})
            for n, body in enumerate([CHAT, SLOW, {**CHAT, "model": "standin-500"}, {**CHAT, "n": -1}] * 6)
        ]
        await asyncio.gather(*ask)
        await quiet(g)
        states: dict[str, AccountState] = {}
        ruled: dict[str, Ruled] = {}
        assert [row.seq for row in g.rows] == list(range(3, len(g.rows) + 3))
        for row in g.rows:
            if isinstance(row, Ruled):
                account = row.facts.caller.account
                assert row.facts.limits == states.get(account, AccountState()).limits
                states[account], verdict = judge(g.core.policy, states.get(account, AccountState()), row.facts, row.now)
                assert msgspec.json.encode(verdict) == msgspec.json.encode(row.verdict)
                ruled[row.request] = row
            else:
                assert isinstance(row, Settled)
                begun = ruled.pop(row.request)
                facts = begun.facts
                if not facts.rejected:
                    states[row.account], _ = settle(
                        g.core.policy, states[row.account], facts, begun.verdict, row.outcome, row.now
                    )
        assert not ruled
        for account, state in states.items():
            assert g.core.accounts.get(account) == state


async def test_no_canary_sings(start: Start, client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str]) -> None:
    canaries = [f"CANARY{place}q7Zx" for place in ("prompt", "key", "header", "query", "system", "model", "answer")]
    prompt, key, header, query, system, model, _ = canaries
    body: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "user": prompt,
        "stop": prompt,
    }
    heads = {"authorization": f"Bearer {key}", "x-custom": header, "user-agent": header, "cookie": header}
    async with start() as g:
        url = f"{g.url}/v1/chat/completions?q={query}"
        await client.post(url, json=body, headers=heads)
        await client.post(url, json={**body, "stream": True}, headers=heads)
        await client.post(url, json={**body, "n": prompt}, headers=heads)
        await client.post(url, content=b'{"model": "' + prompt.encode(), headers=heads)
        await client.post(url, json={**body, "model": f"{model} \n"}, headers=heads)
        await client.post(f"{g.url}/v1/other/{query}", json=body, headers=heads)
        await client.get(f"{g.url}/v1/models?key={key}2", headers={"x-api-key": key})
        await client.post(url, json={**body, "model": "standin-500"}, headers=heads)
        await quiet(g)
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        said = g.log.getvalue().decode() + metrics + "".join(capfd.readouterr())
        said += msgspec.json.encode(g.rows).decode()
        assert len(g.records()) == 8
        for canary in canaries:
            assert canary not in said


async def test_a_made_up_key_leaves_nothing_that_lasts(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as g:
        for number in range(30):
            heads = {"authorization": f"Bearer bad-{number}"}
            answer = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=heads)
            assert answer.status_code == 401
        await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        await quiet(g)
        assert g.core.accounts.proven == 1


async def test_judging_that_fails_is_a_verdict_and_never_a_500(
    start: Start, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.edge.gate.judge", broken)
    async with start() as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        assert answer.status_code == 200
        await quiet(g)
        (record,) = g.records()
        assert record["error"]["judging"] == "ZeroDivisionError"
        assert "gauger_policy_errors_total" in (await client.get(f"{g.ops_url}/metrics")).text
    async with start(policy="gauger: 1\npolicy: {id: strict, on_error: block}\n") as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        assert answer.status_code == 503


async def test_an_app_that_crashes_is_answered_for_and_recorded(start: Start, client: httpx.AsyncClient) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise LookupError("a secret of the app")

    async with start(app=app) as g:
        answer = await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)
        assert answer.status_code == 500
        assert "secret" not in answer.text
        await quiet(g)
        (record,) = g.records()
        assert (record["end"], record["error"]["type"], record["level"]) == ("crash", "LookupError", "error")


async def test_usage_is_asked_for_and_hidden_where_the_operator_wants_it(
    start: Start, client: httpx.AsyncClient
) -> None:
    body = {**CHAT, "stream": True}
    async with start() as g:
        await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)
        await quiet(g)
        assert g.records()[0]["usage"]["source"] == "counted"
    async with start(usage_ask=True, record=1) as g:
        asked = await client.post(f"{g.url}/v1/chat/completions", json=body, headers=KEY)
        await quiet(g)
        assert g.records()[0]["usage"]["source"] == "upstream"
        assert '"usage":{' not in asked.text.replace(" ", "")
        direct = await client.post(f"{g.model.url}/v1/chat/completions", content=g.model.app.seen[-1].body, headers=KEY)
        events = [event for event in direct.text.split("\n\n") if '"choices":[]' not in event.replace(" ", "")]
        assert asked.text == "\n\n".join(events)
        assert len(events) == direct.text.count("\n\n")


async def test_a_batch_is_drawn_on_what_its_file_held(start: Start, client: httpx.AsyncClient) -> None:
    line = (
        '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", '
        '"body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}}\n'
    )
    policy = limited("{id: few, by: [key], count: requests, rate: 300 requests/h, burst: 300 requests}")
    async with start(policy=policy) as g:
        sent = await client.post(
            f"{g.url}/v1/files",
            files={"file": ("b.jsonl", line * 250, "application/jsonl")},
            data={"purpose": "batch"},
            headers=KEY,
        )
        assert sent.status_code == 200
        await quiet(g)
        batch = {"input_file_id": sent.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        first = await client.post(f"{g.url}/v1/batches", json=batch, headers=KEY)
        second = await client.post(f"{g.url}/v1/batches", json=batch, headers=KEY)
        assert (first.status_code, second.status_code) == (200, 429)
        await quiet(g)
        drawn = [record["limits"][0]["cost"] for record in g.records()]
        assert drawn == [1, 250, 250]


async def test_a_caller_who_hangs_up_at_the_closing_event_has_read_the_whole_answer(start: Start) -> None:
    """OpenAI's own client does so; a policy that charges aborted streams in full must not charge it."""
    done = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        heads = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": heads})
        usage = b'{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}'
        await send({"type": "http.response.body", "body": b"data: %s\n\ndata: [DONE]\n\n" % usage, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        done.set()

    policy = limited("{id: out, by: [account], count: tokens.output, rate: 100k tokens/h}").replace(
        "{id: test}", "{id: test, abort: charge_reserved}"
    )
    async with start(policy=policy, app=app) as g, httpx.AsyncClient() as client:
        async with client.stream("POST", f"{g.url}/v1/chat/completions", json={**CHAT, "stream": True}) as answer:
            async for piece in answer.aiter_raw():
                if b"[DONE]" in piece:
                    break
        await done.wait()
        await quiet(g)
        (record,) = g.records()
        assert (record["end"], record["usage"]["output"]) == ("done", 9)
        assert record["settle"]["out"] == 9 - 1000
