"""Gateways that share their limits: what a caller, the record, the probes and the metrics say of the store."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.stores.valkey.guard import GuardedLimits
from tests.rig import Running, gateway
from tests.stores.valkey.servers import Server

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say something short."}]}
KEY = {"authorization": "Bearer sk-caller-one"}
POLICY = """
gauger: 1
policy: {id: shared}
limits:
  - {id: day, by: [account], count: requests, rate: 10 requests/day, window: calendar, on_store_error: %s}
  - {id: live, by: [account], count: concurrent, rate: 4 requests}
  - {id: model, by: [model], count: tokens.total, rate: 1M tokens/min, on_store_error: open}
"""

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, server: Server) -> Start:
    def begin(stance: str = "local", **given: Any) -> AbstractAsyncContextManager[Running]:
        shared: dict[str, Any] = {"store": SecretStr(server.uri), "store_timeout": 0.3, "replicas": 2}
        return gateway(policy=POLICY % stance, state_dir=tmp_path, **shared, **given)

    return begin


async def ask(client: httpx.AsyncClient, g: Running) -> httpx.Response:
    return await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=KEY)


async def state(client: httpx.AsyncClient, g: Running) -> dict[str, Any]:
    found = (await client.get(f"{g.ops_url}/readyz")).json()["store"]
    assert isinstance(found, dict)
    return found


async def until_back(client: httpx.AsyncClient, g: Running) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (found := await state(client, g))["state"] != "up":
            await asyncio.sleep(0.02)
        return found


async def test_two_gateways_spend_one_quota(start: Start, client: httpx.AsyncClient) -> None:
    async with start() as one, start() as other:
        asked = [ask(client, one if number % 2 else other) for number in range(30)]
        statuses = sorted([answer.status_code for answer in await asyncio.gather(*asked)])
        assert statuses.count(200) + statuses.count(429) == 30
        while 200 in [(await ask(client, one)).status_code, (await ask(client, other)).status_code]:
            pass  # slots were short before the quota was spent
        records = one.records() + other.records()
        assert sum(record["http"]["status"] == 200 for record in records) == 10
        assert {record["store"] for record in records} == {"valkey"}
        assert all("store_ts" in record for record in records)


@pytest.mark.parametrize("mode", ["exact", "sliced"])
async def test_a_store_that_dies_and_comes_back_is_in_the_record(
    start: Start, client: httpx.AsyncClient, server: Server, mode: str
) -> None:
    async with start(store_mode=mode) as g:
        assert (await ask(client, g)).status_code == 200
        assert (await client.post(f"{g.url}/v1/chat/completions", content=b"{", headers=KEY)).status_code == 400
        assert g.records()[-1]["store"] == "valkey"  # where limits live, though this one met none
        server.kill()
        assert [(await ask(client, g)).status_code for _ in range(8)].count(200) in (4, 5)  # half of what was left
        found = await state(client, g)
        assert found["state"] == "down" and found["why"]
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        assert "\ngauger_store_degraded 1.0" in metrics
        assert (await client.get(f"{g.ops_url}/readyz")).status_code == 200
        server.start()
        await until_back(client, g)
        assert (await ask(client, g)).status_code in (200, 429)
        stores = [(record["store"], record["level"]) for record in g.records()]
        assert stores[0] == ("valkey", "info") and stores[-1][0] == "valkey"
        assert set(stores[3:-1]) == {("degraded", "warning")}
        metrics = (await client.get(f"{g.ops_url}/metrics")).text
        assert "\ngauger_store_degraded 0.0" in metrics and "\ngauger_store_outages_total 1.0" in metrics
        assert isinstance(g.core.limits, GuardedLimits)
        assert g.core.limits.leases == 0


async def test_a_closed_limit_lets_nothing_pass_while_the_store_is_away(
    start: Start, client: httpx.AsyncClient, server: Server
) -> None:
    async with start("closed") as g:
        server.kill()
        answer = await ask(client, g)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "limits_unavailable"
        assert int(answer.headers["retry-after"]) >= 1
        (record,) = g.records()
        assert (record["store"], record["end"], record["error"]["type"]) == (
            "degraded",
            "refused",
            "limits_unavailable",
        )
        assert [each["id"] for each in record["limits"] if not each["ok"]] == ["day"]
        server.start()
        await until_back(client, g)
        assert (await ask(client, g)).status_code == 200


async def test_a_gateway_starts_while_its_store_is_away(
    start: Start, client: httpx.AsyncClient, server: Server
) -> None:
    server.kill()
    async with start() as g:
        assert (await ask(client, g)).status_code == 200
        assert g.records()[0]["store"] == "degraded"
        server.start()
        found = await until_back(client, g)
        assert found["lost"] == 0  # nothing was known of it that could have been lost
        assert (await ask(client, g)).status_code == 200
        assert g.records()[-1]["store"] == "valkey"
