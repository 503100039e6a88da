"""Traffic to a real gateway over real sockets, in front of the stand-in model."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import Mistake
from gateway.simulate.chance import dice_of
from gateway.simulate.knobs import parsed
from gateway.simulate.live import drive
from gateway.simulate.world import Scenario, World
from tests.rig import gateway

ONE_EACH = """
gauger: 1
policy: {id: one, mode: enforce}
limits: [{id: two, by: [key], count: requests, rate: 2 requests/h, burst: 2 requests}]
"""
FEW = Scenario(days=1, benign=6, hydras=(parsed("hydra-20,accounts=4,pace=40"),))


def world_of(scenario: Scenario = FEW) -> World:
    return World(scenario, dice_of(scenario.seed))


async def test_all_of_it_arrives_each_account_with_its_own_key(tmp_path: Path) -> None:
    world = world_of()
    async with gateway(state_dir=tmp_path) as g:
        summary = await drive(world, g.url, asyncio.Event(), speed=1e7, concurrency=8, most=120)
        records = g.records()
    assert len(records) == 120
    assert summary.statuses.total() == 120
    assert sum(summary.served(name) for name in summary.names()) == 120
    assert summary.useful["hydra-1"] == world.campaigns[0].useful > 0
    callers = {record["account"]["id"] for record in records}
    assert len(callers) == len({account.key for account in world.accounts if account.requests})
    assert not summary.stopped


async def test_refusals_are_counted_and_campaigns_hear_of_them(tmp_path: Path) -> None:
    world = world_of(Scenario(days=1, benign=2, hydras=(parsed("accounts=2,pace=60,succession=yes,delay=0.1"),)))
    async with gateway(policy=ONE_EACH, state_dir=tmp_path) as g:
        summary = await drive(world, g.url, asyncio.Event(), speed=1e7, concurrency=1, most=40)
    (campaign,) = world.campaigns
    asked = sum(count for (name, _), count in summary.statuses.items() if name == "hydra-1")
    assert summary.served("hydra-1") + summary.refused("hydra-1") == asked
    assert summary.refused("hydra-1") > 0
    assert campaign.given_up > 0
    assert campaign.accounts == 2 + campaign.given_up
    assert summary.served("hydra-1") <= 2 * campaign.accounts


async def test_it_ends_when_told_to(tmp_path: Path) -> None:
    world, stop = world_of(), asyncio.Event()
    async with gateway(state_dir=tmp_path) as g:
        task = asyncio.create_task(drive(world, g.url, stop, speed=60))
        await asyncio.sleep(0)
        stop.set()
        summary = await task
    assert summary.stopped
    assert summary.statuses.total() < 50


async def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(Mistake, match="nothing answers"):
        await drive(world_of(), "http://127.0.0.1:9", asyncio.Event(), speed=1e9)
