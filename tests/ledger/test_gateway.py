"""A real gateway's ledger agrees with itself, whatever happened while it was written."""

import asyncio
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.accounts import Directory
from gateway.edge import effects
from gateway.ledger.record import Adopted, Opened, Ruled, Settled
from gateway.stores.segments import read_rows
from tests.ledger.ledgers import replayed
from tests.rig import Running, gateway, policy_of

POLICY = """
gauger: 1
policy: {id: NAME, opaque: OPAQUE, mode: MODE}
plans:
  free: {requests: 600 requests/min, output: 60k tokens/min, daily: 5M tokens/day, live: 6 requests}
limits:
  - {id: few, by: [account], count: requests, rate: plan.requests, burst: 12 requests}
  - {id: out, by: [account, model], count: tokens.output, rate: plan.output, reserve: {first: 1k tokens}}
  - {id: daily, by: [account], count: tokens.total, rate: plan.daily, window: calendar}
  - {id: live, by: [account], count: concurrent, rate: plan.live, lease: 2 min}
  - {id: watched, by: [model], count: requests, rate: 60 requests/min, burst: 3 requests, mode: shadow}
  - {id: everybody, by: [model], count: tokens.total, rate: 200k tokens/min}
scorecards:
  - id: card
    of: [account]
    prior: {account: -10 dB}
    families: {content: 25 dB, params: 20 dB, account: 12 dB}
    evidence:
      - {id: logprobs, family: params, rate: logprobs_share, benign: {mean: 3%, rho: 0.09}}
      - {id: choices, family: content, rate: choices_share, benign: {mean: 3%, rho: 0.09}}
      - {id: volume, family: account, read: hour.requests, points: {0: 0 dB, 30: 6 dB}}
rules:
  - {id: many, when: req.n > 1, then: {tag: [many]}}
  - {id: cap, when: req.max_tokens > 500 or req.max_tokens is missing, then: {clamp: {max_tokens: 400, n: 2}}}
  - {id: slow, when: hour.requests > 8, then: {throttle: {limit: few, to: 50%, for: 3 s}}}
  - {id: wait, when: req.temperature > 1.5, then: {throttle: {delay: 50 ms, for: 1 s}}}
  - {id: hot, when: req.temperature > 1.9, then: {block: {status: 403, code: hot, for: 2 s}}}
  - {id: watch, when: score.card > 0 dB, then: {block: {status: 429, for: 1 s}}, mode: shadow}
  - {id: stop, when: score.card > 5 dB, then: {block: {status: 403, for: 1 s}}}
  - {id: near, when: limit.few.used > 50%, then: {tag: [near]}}
  - {id: lines, when: req.op == "batch" and req.lines > 2, then: {tag: [batch]}}
  - {id: long, phase: response, when: resp.output_tokens > req.output_est / 500, then: {tag: [long]}}
exceptions:
  - {id: new, silences: [hot, stop], when: hour.requests < 5, becomes: tag, expires: 2026-12-31, owner: me, reason: t}
"""


def policy(name: str = "p0", opaque: str = "allow", mode: str = "enforce") -> str:
    return POLICY.replace("NAME", name).replace("OPAQUE", opaque).replace("MODE", mode)


class Callers:
    """Whoever calls a gateway: some hang up, some upload batches, a few keys come again and many don't."""

    def __init__(self, seed: int, g: Running, client: httpx.AsyncClient) -> None:
        self.chance = random.Random(seed)
        self.g = g
        self.client = client

    def body(self) -> dict[str, Any]:
        chance = self.chance
        text = "x" * 40_000 if chance.random() < 0.2 else "hello"
        made: dict[str, Any] = {"model": chance.choice("ab"), "messages": [{"role": "user", "content": text}]}
        for name, values in (("n", (2, 3)), ("temperature", (1.0, 1.6, 2.0)), ("max_tokens", (20, 600, 100_000))):
            if chance.random() < 0.3:
                made[name] = chance.choice(values)
        if chance.random() < 0.3:
            made["logprobs"] = True
        return made

    async def call(self) -> None:
        chance, client, body = self.chance, self.client, self.body()
        headers = {"authorization": f"Bearer sk-{chance.choice([chance.randrange(5), chance.randrange(5, 600)])}"}
        url, kind = f"{self.g.url}/v1", chance.random()
        if kind < 0.1:
            await self.batch(headers, body)
        elif kind < 0.15:
            await client.get(f"{url}/unknown/thing", headers=headers)
        elif kind < 0.2:
            await client.post(f"{url}/embeddings", headers=headers, json={"model": "e", "input": "abc"})
        elif kind < 0.25:
            await client.post(f"{url}/chat/completions", headers=headers, json={"model": 1})
        elif kind < 0.3:
            with suppress(httpx.TimeoutException):
                held = body | {"temperature": 1.8, "n": 1}
                await client.post(f"{url}/chat/completions", headers=headers, json=held, timeout=0.04)
        elif kind < 0.4:
            async with client.stream(
                "POST", f"{url}/chat/completions", headers=headers, json=body | {"stream": True}
            ) as r:
                async for _ in r.aiter_bytes():
                    if chance.random() < 0.1:
                        break
        else:
            await client.post(f"{url}/chat/completions", headers=headers, json=body)

    async def batch(self, headers: dict[str, str], body: dict[str, Any]) -> None:
        line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
        text = b"\n".join([orjson.dumps(line)] * self.chance.choice([1, 5]))
        files, url = {"file": ("b.jsonl", text)}, f"{self.g.url}/v1"
        answer = await self.client.post(f"{url}/files", headers=headers, files=files, data={"purpose": "batch"})
        if answer.status_code == 200:
            work = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
            await self.client.post(
                f"{url}/batches", headers=headers, json={"input_file_id": answer.json()["id"], **work}
            )


async def quiet(g: Running) -> None:
    async with asyncio.timeout(20):
        while g.core.admission.inflight or g.core.limits.open:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 2])
async def test_rules_reloads_the_switch_batches_and_evictions_agree(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effects, "LARGE", 10_000)  # some bodies are read and rewritten in threads
    led, chance = tmp_path / "led", random.Random(seed)
    given = gateway(policy=policy(), state_dir=tmp_path, ledger=led, max_accounts=100, state_memory=16 << 20)
    async with given as g, httpx.AsyncClient(timeout=60) as client:
        callers = Callers(seed, g, client)
        for turn in range(36):
            await asyncio.gather(*(callers.call() for _ in range(10)))
            if turn % 5 == 2:
                g.core.switch(enforcing=bool(turn % 2), by="test")
            if turn % 4 == 1:
                words = (
                    f"p{turn % 3}",
                    chance.choice(["allow", "refuse"]),
                    chance.choice(["enforce", "enforce", "shadow"]),
                )
                g.core.adopt(policy_of(policy(*words)), Directory.empty())
        await quiet(g)
        evicted = g.core.accounts.evicted
        assert sum(evicted.values())
        shown = g.core.metrics.render().decode()
        assert f'gauger_accounts_evicted_total{{kind="live"}} {evicted["live"]:.1f}' in shown
        assert f"gauger_accounts_bytes {float(g.core.accounts.bytes)}" in shown
    rows = list(read_rows(led))
    assert isinstance(rows[0], Opened)
    assert (rows[0].accounts, rows[0].memory) == (100, 16 << 20)
    replay, _ = replayed(rows)
    assert replay.tally.first is None
    assert (replay.tally.unsettled, replay.tally.errors, replay.tally.gaps) == (0, 0, 0)
    ruled = [row for row in rows if isinstance(row, Ruled)]
    assert replay.tally.compared == len(ruled) > 360
    assert {row.verdict.action for row in ruled} >= {"allow", "clamp", "throttle", "block", "reject"}
    assert {row.facts.kill for row in ruled} == {True, False}
    assert sum(isinstance(row, Adopted) for row in rows) > 5
    ended = [row for row in rows if isinstance(row, Settled)]
    assert {row.outcome.end for row in ended} >= {"done", "refused", "client_abort"}


async def test_limits_are_drawn_in_the_order_of_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large body is rewritten in a thread, and others pass it meanwhile: its draw must not come after theirs."""
    monkeypatch.setattr(effects, "LARGE", 1000)
    text = (
        "gauger: 1\nlimits: [{id: all, by: [model], count: tokens.input, rate: 1B tokens/min}]\n"
        "rules: [{id: cap, when: req.n > 1, then: {clamp: {n: 1}}}]\n"
    )
    async with gateway(policy=text, state_dir=tmp_path, ledger=tmp_path / "led") as g, httpx.AsyncClient() as client:

        async def send(at: int) -> None:
            said = "x" * (400_000 if at % 2 else 10 * at)
            body = {"model": "m", "messages": [{"role": "user", "content": said}], "n": 1 + at % 2}
            headers = {"authorization": f"Bearer sk-{at}"}
            assert (await client.post(f"{g.url}/v1/chat/completions", json=body, headers=headers)).status_code == 200

        for _ in range(4):
            await asyncio.gather(*map(send, range(16)))
        await quiet(g)
    replay, _ = replayed(list(read_rows(tmp_path / "led")))
    assert (replay.tally.first, replay.tally.compared) == (None, 64)
