"""Random requests under random rules, on sockets: the model server sees what the record says, and replay agrees."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.stores.segments import read_rows
from tests.ledger.ledgers import replayed
from tests.rig import Running, gateway

PLACES = {
    "n": ("n", "best_of", "candidateCount", "candidate_count"),
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"),
    "temperature": ("temperature",),
    "top_p": ("top_p", "topP"),
    "logprobs": ("logprobs", "top_logprobs", "responseLogprobs", "response_logprobs", "include"),
    "top_logprobs": ("top_logprobs", "logprobs"),
}
BOUNDS = {
    "n": ("1", "2"),
    "max_tokens": ("5", "100 tokens"),
    "temperature": ("0", "0.5", "1.5"),
    "top_p": ("0.1", "0.9"),
    "logprobs": ("false",),
    "top_logprobs": ("false", "1", "3"),
}
CONDITIONS = ("req.n > 1", "req.logprobs", "req.bytes > 150", "req.max_tokens > 50", "req.stream", "req.n >= 1")
ODD: tuple[Any, ...] = (None, 0, 1, 7, 129, -1, 2**31 + 1, 2**64, 2.5, "5", True, [], {}, -0.0)
TOKENS = (1, 10, 300)
FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "/v1/chat/completions": {
        "n": (1, 2, 3),
        "best_of": (1, 4),
        "max_tokens": TOKENS,
        "max_completion_tokens": TOKENS,
        "temperature": (0, 1.9),
        "top_p": (0.05, 1),
        "logprobs": (True, False, 3),
        "top_logprobs": (0, 5),
        "stream": (True, False),
        "N": (1,),
        "metadata": ({"n": 5, "max_tokens": 9},),
    },
    "/v1/completions": {
        "n": (1, 2),
        "best_of": (0, 1, 4),
        "max_tokens": TOKENS,
        "logprobs": (0, 5),
        "temperature": (0, 1.5),
        "top_p": (0.1, 1),
        "stream": (True, False),
    },
    "/v1/responses": {
        "max_output_tokens": TOKENS,
        "temperature": (0, 1.5),
        "top_p": (0.1, 1),
        "top_logprobs": (0, 3),
        "include": (["message.output_text.logprobs"], ["x", "message.output_text.logprobs"], []),
    },
    "/v1/messages": {"max_tokens": TOKENS, "temperature": (0, 1), "top_p": (0.1, 1), "stream": (True, False)},
    "/v1beta/models/gemini-2.0-flash:generateContent": {
        "candidateCount": (1, 2),
        "candidate_count": (1, 3),
        "maxOutputTokens": TOKENS,
        "topP": (0.1, 1),
        "temperature": (0, 1.7),
        "responseLogprobs": (True, False),
        "logprobs": (1, 5),
    },
}
TEXT = (' {"n":9}', 'x"\\', "é" * 30)


def policy(chance: random.Random) -> str:
    lines = ["gauger: 1", "policy: {id: random}", "rules:"]
    for at in range(6):
        fields = [name for name in BOUNDS if chance.random() < 0.4]
        then = [f"clamp: {{{', '.join(f'{name}: {chance.choice(BOUNDS[name])}' for name in fields)}}}"] * bool(fields)
        then += [f"tag: [t{at}]"] * (not then or chance.random() < 0.4)
        then += ["block: {status: 403}"] * (chance.random() < 0.1)
        when = " and ".join(chance.sample(CONDITIONS, 2))
        mode = chance.choice(("enforce", "enforce", "shadow"))
        lines.append(f"  - {{id: r{at}, when: {when}, then: {{{', '.join(then)}}}, mode: {mode}}}")
    return "\n".join(lines) + "\n"


def request(chance: random.Random) -> tuple[str, bytes]:
    path = chance.choice(list(FIELDS))
    said = {
        name: chance.choice(values if chance.random() < 0.9 else ODD)
        for name, values in FIELDS[path].items()
        if chance.random() < (0.03 if name in ("N", "candidate_count") else 0.35)
    }
    text = chance.choice(TEXT)
    body: dict[str, Any]
    if "gemini" in path:
        body = {"contents": [{"parts": [{"text": text}]}]}
        body |= {chance.choice(("generationConfig", "generation_config")): said}
    elif path == "/v1/completions":
        body = {"model": "m", "prompt": chance.choice((text, [text, text], [1, 2])), **said}
    elif path == "/v1/responses":
        body = {"model": "m", "input": text, **said}
    else:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **said}
    raw = json.dumps(body, indent=chance.choice((None, 1)), ensure_ascii=chance.random() < 0.5)
    if chance.random() < 0.1:
        raw = raw.replace('"n"', '"\\u006e"')
    if chance.random() < 0.03:
        raw = raw.rstrip()[:-1] + ',"n":1,"n":2}'
    return path, raw.encode()


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, (*path, name))
    else:
        yield path, json.dumps(value)


def check_done(raw: bytes, record: dict[str, Any], sent: bytes) -> None:
    """What reached the model server is the request with the record's clamps in it, and nothing else."""
    clamp = record.get("effects", {}).get("clamp", {})
    if not clamp:
        assert sent == raw
        return
    before, after = dict(leaves(json.loads(raw))), dict(leaves(json.loads(sent)))
    clampable = {place for name in clamp for place in PLACES[name]}
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert all(path[-1] in clampable and "metadata" not in path for path in changed)
    said = {path[-1]: json.loads(value) for path, value in after.items() if len(path) < 3 and path[0] != "metadata"}
    for name, change in clamp.items():
        most = change["to"] or 0
        for place in PLACES[name]:
            if place == "include":
                assert "message.output_text.logprobs" not in (said.get(place) or ())
            elif name != "top_logprobs" or type(said.get(place)) is int:
                assert (said.get(place) or 0) <= most
        if name == "max_tokens":
            assert any(place in said for place in PLACES[name])


async def drive(g: Running, client: httpx.AsyncClient, chance: random.Random) -> None:
    path, raw = request(chance)
    g.model.app.seen.clear()
    key = f"sk-{chance.randint(1, 5)}"
    headers = {"x-api-key": key} if path == "/v1/messages" else {"authorization": f"Bearer {key}"}
    answer = await client.post(g.url + path, content=raw, headers=headers | {"gauger-tag": "v1;forged"})
    async with asyncio.timeout(10):
        while g.core.admission.inflight:
            await asyncio.sleep(0.001)
    record = g.records()[-1]
    seen = list(g.model.app.seen)
    if record["end"] == "refused":
        assert not seen
        assert answer.status_code in (400, 403)
        return
    (sent,) = seen
    check_done(raw, record, sent.body)
    tags = [value.decode() for name, value in sent.headers if name.startswith(b"gauger")]
    said = record.get("effects", {}).get("tags", [])
    assert [f"tags={','.join(said)};" in tag for tag in tags] == [True] * bool(said)


@pytest.mark.parametrize("seed", range(6))
async def test_what_the_record_says_was_done_is_what_the_model_server_saw(tmp_path: Path, seed: int) -> None:
    chance, ledger = random.Random(seed), tmp_path / "ledger"
    settings: dict[str, Any] = {"tag_key": SecretStr("a key for tags in tests"), "ledger": ledger}
    async with (
        gateway(policy=policy(chance), state_dir=tmp_path, record=9, **settings) as g,
        httpx.AsyncClient(timeout=30) as client,
    ):
        for _ in range(60):
            await drive(g, client, chance)
    replay, _ = replayed(list(read_rows(ledger)))
    assert (replay.tally.requests, replay.tally.differences) == (60, 0)
