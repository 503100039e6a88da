"""A gateway of the demo's on a real socket, in front of its model, and the crowd that asks it."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from gateway.demo.clock import Rush
from gateway.demo.crowd import Crowd
from gateway.demo.host import LENGTH, Hosted, Tape, hosted, prepared
from gateway.demo.plan import HYDRA, Plan, group_of, scenario_of
from gateway.edge.transports import make_upstream
from gateway.errors import Mistake
from gateway.simulate.chance import dice_of
from gateway.simulate.world import World

PLAN = Plan(seconds=1, hours=2, owners=10, course=False, heads=4, pace=200, begins=0.5, late=60)
BEGIN = 1_772_323_200  # 2026-03-01


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Puts back where the standard library's logging goes."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    root.handlers[:] = before


class Stage(NamedTuple):
    world: World
    rush: Rush
    host: Hosted


@asynccontextmanager
async def stage(folder: Path, plan: Plan) -> AsyncIterator[Stage]:
    world = World(scenario_of(plan), dice_of(plan.seed))
    rush = Rush(BEGIN * 10**9, plan.rate)
    prepared(folder)
    async with hosted(folder, world.accounts, BEGIN, rush) as host:
        yield Stage(world, rush, host)


async def crowd_of(at: Stage, plan: Plan) -> Crowd:
    """A crowd that has asked all that it will."""
    client = make_upstream(at.host.url, at.host.settings)
    crowd = Crowd(at.world, plan, at.rush, client)
    at.rush.go()
    try:
        await crowd.run()
    finally:
        await client.aclose()
    return crowd


async def test_who_asks_is_known_by_key_age_and_network(tmp_path: Path) -> None:
    async with stage(tmp_path / "demo", PLAN) as at:
        crowd = await crowd_of(at, PLAN)
    records = list(at.host.tape.records())
    assert len(records) == crowd.sent == at.world.requests
    assert set(crowd.statuses) == {200}
    by_name = {account.name: account for account in at.world.accounts}
    assert all(record["account"]["known"] for record in records)
    assert {group_of(by_name[record["account"]["id"]]) for record in records} >= {HYDRA}
    for record in records:
        made = (BEGIN + by_name[record["account"]["id"]].created) // 86_400 * 86_400
        assert record["account"]["age_s"] == int(datetime.fromisoformat(record["ts"]).timestamp() - made)
    heads = [record for record in records if by_name[record["account"]["id"]].campaign]
    assert len({record["client"]["network"] for record in heads}) == 1  # ten heads share one
    assert len({record["client"]["network"] for record in records}) > 3
    assert min(record["ts"] for record in records) >= "2026-03-01"


async def test_whoever_is_late_leaves_customers_out_and_never_a_head(tmp_path: Path) -> None:
    plan = Plan(seconds=1, hours=2, owners=10, course=False, heads=4, pace=200, begins=0.5, late=-1.0)
    async with stage(tmp_path / "demo", plan) as at:
        crowd = await crowd_of(at, plan)
    names = {account.name: account.campaign for account in at.world.accounts}
    records = list(at.host.tape.records())
    assert crowd.left_out > 0
    assert records != []
    assert {names[record["account"]["id"]] for record in records} == {HYDRA}


async def test_it_asks_no_more_than_the_plan_says(tmp_path: Path) -> None:
    plan = Plan(seconds=1, hours=2, owners=10, course=False, heads=4, pace=200, begins=0.5, late=60, most=7)
    async with stage(tmp_path / "demo", plan) as at:
        crowd = await crowd_of(at, plan)
    assert crowd.sent == len(list(at.host.tape.records())) == 7


async def test_answers_are_as_long_as_is_told_and_streams_are_short(tmp_path: Path) -> None:
    async with stage(tmp_path / "demo", PLAN) as at:
        account = at.world.accounts[0]
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {account.key}"}
        async with httpx.AsyncClient(base_url=at.host.url, trust_env=False) as client:
            told = {**headers, LENGTH.decode(): "321"}
            long = await client.post("/v1/chat/completions", json=body, headers=told)
            plain = await client.post("/v1/chat/completions", json=body, headers=headers)
            streamed = await client.post("/v1/chat/completions", json={**body, "stream": True}, headers=told)
    assert long.json()["usage"]["completion_tokens"] == 321
    assert plain.json()["usage"]["completion_tokens"] < 100
    assert streamed.text.rstrip().endswith("[DONE]")
    assert len(streamed.text.split("\n\n")) < 60
    output = [record["usage"]["output"] for record in at.host.tape.records()]
    assert output[0] == 321


def test_lines_that_come_in_pieces_are_read_whole() -> None:
    tape = Tape()
    tape.write(b'{"a": 1}\n{"a"')
    assert list(tape.records()) == [{"a": 1}]
    tape.write(b": 2}\n")
    tape.write(b'{"a": 3}\n')
    assert list(tape.records()) == [{"a": 2}, {"a": 3}]
    assert list(tape.records()) == []


def test_a_folder_that_can_not_be_made_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match="can't be made ready"):
        prepared(tmp_path / "file" / "demo")


def test_the_world_has_every_group_and_a_pool_that_lasts() -> None:
    plan = Plan()
    world = World(scenario_of(plan), dice_of(plan.seed))
    groups = {group_of(account) for account in world.accounts}
    assert len(groups) == 11
    (hydra,) = world.campaigns
    assert (hydra.name, hydra.accounts, hydra.pool) == (HYDRA, 40, plan.pool)
    assert plan.rate == pytest.approx(3600.0)
