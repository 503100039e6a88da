"""Two gateways that share a store: a campaign whose accounts come half to each is one on both."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from tests.campaigns.test_gate import CUSTOMERS, FRAME, HEADS, RARE, Town, town
from tests.stores.valkey.servers import Server


async def exchanged(*towns: Town) -> None:
    """Each has told what it knows, and heard what the others do."""
    for _ in range(2):
        for each in towns:
            gossip = each.g.core.gossip
            assert gossip is not None
            async with asyncio.timeout(10):
                while not await gossip.once():
                    await asyncio.sleep(0.01)


async def test_a_campaign_whose_accounts_come_to_two_gateways_is_one(tmp_path: Path) -> None:
    """Under one name, with all members on both, and with one limit that all of them drink from."""
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    with Server() as server:
        store = {"store": SecretStr(server.uri), "store_timeout": 5.0}
        async with town(folders[0], **store) as one, town(folders[1], **store) as other:
            both = (one, other)
            await one.customers()
            for at in range(HEADS):
                for _ in range(4):
                    await both[at % 2].ask(f"head-{at}", FRAME, agent="harvest/0.3", **RARE)
            for each in both:
                await each.settled()
            await exchanged(*both)
            for each in both:
                assert each.g.core.campaigns is not None
                each.g.core.campaigns.settle()
            await exchanged(*both)
            for each in both:
                assert await each.metric("gauger_campaign_members") == HEADS
                assert await each.metric("gauger_campaign_records") == HEADS + CUSTOMERS
            assert await other.metric("gauger_campaign_records_foreign") == CUSTOMERS + HEADS // 2
            assert await one.metric("gauger_campaign_records_unread_total") == 0
            statuses = [
                (await each.ask(f"head-{at}", FRAME, agent="harvest/0.3", **RARE)).status_code
                for at in range(4)
                for each in both  # also those that the other one has seen alone
            ]
            campaigns = {record["campaign"]["id"] for each in both for record in (await each.settled())[-4:]}
            assert len(campaigns) == 1
            assert statuses.count(200) == 6  # the cup, and no more, whichever worker they come to
