"""Campaigns outlast a gateway: from a snapshot they are the same, from rows alone they are found anew."""

from pathlib import Path

from gateway.campaigns.tables import Campaigns
from gateway.stores.snapshot import discard
from tests.campaigns.test_gate import HEADS, Town, town


def tables_of(t: Town) -> Campaigns:
    assert t.g.core.campaigns is not None
    return t.g.core.campaigns


async def test_a_campaign_drinks_from_its_cup_after_a_restart_too(tmp_path: Path) -> None:
    led = tmp_path / "led"
    async with town(tmp_path, ledger=led) as t:
        await t.customers()
        await t.heads(4)
        await t.settled()
        tables_of(t).settle()
        assert (await t.heads(1)).count(200) == 6
        await t.settled()
        assert t.g.core.snapshots is not None
        assert await t.g.core.snapshots.take() is not None
        before = tables_of(t).live, tables_of(t).members(tables_of(t).live[0].id)
        assert (await t.ask("old-3", "You are the desk of shop 3.")).status_code == 200  # a row behind it
        await t.settled()
    async with town(tmp_path, ledger=led) as t:
        tables = tables_of(t)
        assert (tables.live, tables.members(tables.live[0].id)) == before
        assert set(await t.heads(1)) == {429}  # the cup is empty still
        records = await t.settled()
        assert {each["campaign"]["id"] for each in records} == {before[0][0].id}
        tables.settle()
        assert (tables.live[0].id, tables.live[0].members) == (before[0][0].id, HEADS)
    discard(led)
    async with town(tmp_path, ledger=led) as t:
        tables = tables_of(t)
        tables.settle()
        (campaign,) = tables.live
        assert tables.members(campaign.id) == before[1]
        assert set(await t.heads(1)) == {429}
