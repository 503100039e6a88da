"""Two thousand requests of many accounts through a running gateway: an answer and a record for each, and no prompt."""

import asyncio
import gzip
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import pytest

from gateway.decide import AccountState, judge, settle
from gateway.ledger.record import Ruled, Settled
from tests.conformance.sdk import settled
from tests.rig import Running, gateway

TRAFFIC = Path(__file__).parents[3] / "shared" / "data" / "smoke.jsonl.gz"
AT_ONCE = 8
# Low enough that the busiest accounts meet every limit.
POLICY = """
gauger: 1
policy: {id: smoke}
limits:
  - {id: requests, by: [account], count: requests, rate: 120 requests/min, burst: 60 requests}
  - {id: input, by: [account, model], count: tokens.input, rate: 20k tokens/min}
  - {id: output, by: [account], count: tokens.output, rate: 20k tokens/min}
  - {id: live, by: [key], count: concurrent, rate: 4 requests}
"""
PLAIN = re.compile(r"[A-Za-z0-9 ,.]{24}")

pytestmark = [
    pytest.mark.skipif(not TRAFFIC.is_file(), reason="the smoke traffic is not beside this checkout"),
    pytest.mark.xdist_group("smoke"),
]


def texts(value: Any) -> Iterator[str]:
    """Every string of a body, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def credential(request: dict[str, Any]) -> dict[str, str]:
    key = request["key"]
    return {"x-api-key": key} if request["path"].startswith("/v1/messages") else {"authorization": f"Bearer {key}"}


async def send(client: httpx.AsyncClient, url: str, request: dict[str, Any]) -> int:
    """The status of its answer, which was read to the end."""
    headers = {
        **credential(request),
        **(request.get("headers") or {}),
        "content-type": "application/json",
        "user-agent": request["user_agent"],
        "x-client-request-id": request["id"],
    }
    content = orjson.dumps(request["body"]) if request["body"] is not None else None
    answer = await client.request(request["method"], url + request["path"], content=content, headers=headers)
    assert answer.content
    return answer.status_code


async def play(g: Running, requests: list[dict[str, Any]]) -> dict[str, int]:
    """Plays the traffic, each account's in its order; returns the status of each request by its id."""
    waiting: dict[str, list[dict[str, Any]]] = {}
    for request in requests:
        waiting.setdefault(request["account"], []).append(request)
    lanes = iter(waiting.values())
    statuses: dict[str, int] = {}

    async def lane() -> None:
        for lane in lanes:
            for request in lane:
                statuses[request["id"]] = await send(client, g.url, request)

    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=AT_ONCE)) as client:
        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return statuses


async def test_smoke_traffic_is_answered_recorded_and_forgotten(tmp_path: Path) -> None:
    requests = [orjson.loads(line) for line in gzip.decompress(TRAFFIC.read_bytes()).splitlines()]
    async with gateway(policy=POLICY, state_dir=tmp_path, log_queue=100_000) as g:
        statuses = await play(g, requests)
        await settled(g)
        assert len(statuses) == len(requests)
        assert set(statuses.values()) == {200, 429}
        check_records(g, requests, statuses)
        check_rows(g, len(requests))
        check_nothing_told(g, requests)
        assert g.core.limits.open == g.core.limits.leases == 0


def check_records(g: Running, requests: list[dict[str, Any]], statuses: dict[str, int]) -> None:
    """One record a request, that says what its caller got; an account for each key."""
    records = {record["client_request_id"]: record for record in g.records()}
    assert len(g.records()) == len(records) == len(requests)
    accounts: dict[str, set[str]] = {}
    for request in requests:
        record = records[request["id"]]
        assert record["http"]["status"] == statuses[request["id"]]
        assert record["action"] == ("allow" if statuses[request["id"]] == 200 else "limit")
        assert record["end"] == ("done" if statuses[request["id"]] == 200 else "refused")
        assert record["req"]["route"] == request["path"]
        accounts.setdefault(request["key"], set()).add(record["account"]["id"])
    assert all(len(found) == 1 for found in accounts.values())
    assert len({account for found in accounts.values() for account in found}) == len(accounts)


def check_rows(g: Running, count: int) -> None:
    """Rows pair up, and what the accounts hold is a fold over them."""
    assert [row.seq for row in g.rows] == list(range(3, 2 * count + 3))
    states: dict[str, AccountState] = {}
    ruled: dict[str, Ruled] = {}
    for row in g.rows:
        if isinstance(row, Ruled):
            account = row.facts.caller.account
            states[account], verdict = judge(g.core.policy, states.get(account, AccountState()), row.facts, row.now)
            assert verdict == row.verdict
            assert ruled.setdefault(row.request, row) is row
        else:
            assert isinstance(row, Settled)
            begun = ruled.pop(row.request)
            facts = begun.facts
            assert row.account == facts.caller.account
            states[row.account], _ = settle(
                g.core.policy, states[row.account], facts, begun.verdict, row.outcome, row.now
            )
    assert not ruled
    assert all(g.core.accounts.get(account) == state for account, state in states.items())


def check_nothing_told(g: Running, requests: list[dict[str, Any]]) -> None:
    """Neither a key nor a piece of a prompt is in the log or in the rows."""
    said = g.log.getvalue().decode() + msgspec.json.encode(g.rows).decode()
    windows = set()
    for request in requests:
        longest = max(texts(request["body"]), key=len)
        found = PLAIN.search(longest, max(0, len(longest) // 2 - 24)) or PLAIN.search(longest)
        if found:
            windows.add(found.group())
    assert len(windows) > 500
    assert [window for window in windows if window in said] == []
    assert [key for key, _ in Counter(request["key"] for request in requests).items() if key in said] == []
