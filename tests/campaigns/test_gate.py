"""Campaigns through a running gateway, over real sockets: linked, shown, scored and limited as one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from gateway.accounts import Directory, load_accounts
from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import Settings
from tests.rig import Running, gateway

PEPPER = load_pepper(Settings(pepper=SecretStr("a pepper for tests only"))).current
CUSTOMERS, HEADS = 30, 12
FRAME = "You are the archive of a lighthouse. Answer as its keeper would, in full sentences and without asking back."
RARE = {"temperature": 0.83, "top_p": 0.91, "max_tokens": 40}
POLICY = """
gauger: 1
policy: {id: linked}
limits:
  - {id: each, by: [account], count: requests, rate: 1000 requests/min, burst: 1000 requests}
  - {id: cup, by: [campaign], count: requests, rate: 6 requests/h, burst: 6 requests}
scorecards:
  - id: x
    of: [account, campaign]
    prior: {account: -30 dB, campaign: -20 dB}
    families: {campaign: 30 dB}
    evidence:
      - {id: shared, family: campaign, read: campaign.exclusive_share, points: {0%: 0 dB, 100%: 30 dB}}
rules:
  - {id: watch, when: score.x >= -10 dB, then: {tag: [watched]}}
  - {id: large, when: campaign.members >= 12, then: {tag: [large]}}
"""


def accounts() -> Directory:
    """Customers of long standing, and accounts that were made today. The key of `a` is `sk-a`."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [f"  - {{id: old-{at}, created: 2020-01-01, keys: [KEYold-{at}]}}" for at in range(CUSTOMERS)]
    lines += [f"  - {{id: head-{at}, created: {today}, keys: [KEYhead-{at}]}}" for at in range(HEADS)]
    text = "accounts:\n" + "\n".join(lines)
    for name in [f"head-{at}" for at in range(HEADS)] + [f"old-{at}" for at in range(CUSTOMERS)]:
        text = text.replace(f"KEY{name}]", f"{key_digest(PEPPER, f'sk-{name}')}]")
    return load_accounts(text, "accounts.yaml")


class Town:
    """A gateway, a client, and those who ask."""

    def __init__(self, g: Running, client: httpx.AsyncClient) -> None:
        self.g, self.client, self.number = g, client, 0

    async def ask(self, account: str, system: str, *, agent: str = "usual/1.0", **body: Any) -> httpx.Response:
        self.number += 1
        said = f"What does the log of the {self.number}th night say about the weather in the strait?"
        messages = [{"role": "system", "content": system}, {"role": "user", "content": said}]
        return await self.client.post(
            f"{self.g.url}/v1/chat/completions",
            content=orjson.dumps({"model": "m", "messages": messages, **body}),
            headers={
                "authorization": f"Bearer sk-{account}",
                "content-type": "application/json",
                "user-agent": agent,
            },
        )

    async def customers(self) -> None:
        for at in range(CUSTOMERS):
            for _ in range(3):
                assert (await self.ask(f"old-{at}", f"You are the desk of shop {at}.")).status_code == 200

    async def heads(self, times: int) -> list[int]:
        return [
            (await self.ask(f"head-{at}", FRAME, agent="harvest/0.3", **RARE)).status_code
            for _ in range(times)
            for at in range(HEADS)
        ]

    async def settled(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while len(found := self.g.records()) < self.number or self.g.core.admission.inflight:
                await asyncio.sleep(0.01)
        return found

    async def metric(self, name: str) -> float:
        text = (await self.client.get(f"{self.g.ops_url}/metrics")).text
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.split()[1])


@asynccontextmanager
async def town(folder: Path, **given: Any) -> AsyncIterator[Town]:
    async with (
        httpx.AsyncClient(timeout=30) as client,
        gateway(policy=POLICY, directory=accounts(), state_dir=folder, **given) as g,
    ):
        yield Town(g, client)


async def test_twelve_accounts_that_fill_one_frame_are_a_campaign(tmp_path: Path) -> None:
    """In the metrics, in the log lines, and at a limit that all of them drink from; and nobody else is touched."""
    async with town(tmp_path) as t:
        await t.customers()
        assert set(await t.heads(4)) == {200}
        records = await t.settled()
        assert all("campaign" not in each for each in records)
        tables = t.g.core.campaigns
        assert tables is not None
        tables.settle()
        assert await t.metric("gauger_campaigns") == 1
        assert await t.metric("gauger_campaign_members") == HEADS
        assert await t.metric("gauger_campaign_records") == HEADS + CUSTOMERS
        statuses = await t.heads(2)
        assert statuses.count(200) == 6  # the cup, and no more: of all heads together
        assert statuses.count(429) == 2 * HEADS - 6
        assert (await t.ask("old-3", "You are the desk of shop 3.")).status_code == 200
        records = await t.settled()
        heads = [each for each in records[-2 * HEADS - 1 :] if each["account"]["id"].startswith("head-")]
        assert len(heads) == 2 * HEADS
        (campaign,) = {each["campaign"]["id"] for each in heads}
        first = heads[0]["campaign"]
        assert campaign == tables.live[0].id
        assert (first["members"], first["owners"], first["linked"], first["membership_db"]) == (HEADS, HEADS, True, 0.0)
        assert first["readings"]["week.requests"] == pytest.approx(4 * HEADS, rel=0.01)
        assert first["score"]["x"] == pytest.approx(-20 + 30 * 48 / 68, abs=0.05)  # of 48 requests so much counts
        assert heads[0]["rules"]["matched"] == ["large", "watch"]
        assert "campaign" not in records[-1]
        assert not [name for name in ("head-", "lighthouse", "strait") if name in orjson.dumps(first).decode()]


async def test_refused_requests_and_keys_that_the_model_server_refuses_leave_nothing(tmp_path: Path) -> None:
    """Made-up keys fill no table; neither do requests that a policy blocks."""

    async def picky(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        known = dict(scope["headers"]).get(b"authorization", b"").startswith(b"Bearer sk-old")
        await send(
            {
                "type": "http.response.start",
                "status": 200 if known else 401,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": b"{}"})

    async with town(tmp_path, app=picky) as t:
        for at in range(20):
            assert (await t.ask(f"made-up-{at}", FRAME)).status_code == 401
        assert (await t.ask("old-1", FRAME)).status_code == 200
        await t.settled()
        tables = t.g.core.campaigns
        assert tables is not None
        assert [each.account for each in tables.records()] == ["old-1"]


async def test_a_limit_s_refusals_leave_nothing(tmp_path: Path) -> None:
    async with town(tmp_path) as t:
        await t.customers()
        await t.heads(4)
        tables = t.g.core.campaigns
        assert tables is not None
        await t.settled()
        tables.settle()
        await t.heads(2)
        await t.settled()
        counts = [each.requests for each in tables.records() if each.account.startswith("head-")]
        assert sum(counts) == 4 * HEADS + 6


async def test_without_memory_for_it_nobody_is_linked(tmp_path: Path) -> None:
    async with town(tmp_path, campaign_memory=0) as t:
        await t.customers()
        assert set(await t.heads(4)) == {200}
        assert t.g.core.campaigns is None
        assert all("campaign" not in each for each in await t.settled())
        assert "gauger_campaigns " not in (await t.client.get(f"{t.g.ops_url}/metrics")).text


@pytest.mark.parametrize("step", ["meet", "saw"])
async def test_linking_that_fails_is_counted_and_never_a_500(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(f"gateway.campaigns.tables.Campaigns.{step}", broken)
    async with town(tmp_path) as t:
        assert (await t.ask("old-1", FRAME)).status_code == 200
        (record,) = await t.settled()
        assert "campaign" not in record
        assert record["action"] == "allow"
        kind = "link" if step == "meet" else "settle"
        assert f'gauger_policy_errors_total{{kind="{kind}"}} 1.0' in (await t.client.get(f"{t.g.ops_url}/metrics")).text
