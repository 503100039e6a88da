"""Campaigns that were put back from a snapshot go on as if nothing had been."""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns.keeping import KeptRecord, KeptTables, copies, copy, kept, put_back, take
from gateway.campaigns.tables import Campaigns
from tests.campaigns.shared import Fleet, anywhere
from tests.campaigns.worlds import HOUR, World


def again(world: World, tables: Campaigns, memory: int = 100_663_296) -> tuple[Campaigns, dict[str, int]]:
    """The same tables through a snapshot's bytes."""
    while tables.walking:
        tables.go_on()
    taken = take(tables)
    records = [kept(copy(each, 7, habitual=habitual)) for some in copies(taken, 3) for each, habitual in some]
    encoded = msgspec.msgpack.encode((taken.tables, records))
    found, told = msgspec.msgpack.decode(encoded, type=tuple[KeptTables, list[KeptRecord]])
    made = Campaigns(lambda account: world.rows.get(account, b""), memory)
    return made, put_back(made, found, told)


def town(world: World, seed: int) -> None:
    chance = random.Random(seed)
    world.crowd(chance.randrange(20, 40))
    world.hydra(chance.randrange(5, 14), times=chance.randrange(3, 9))
    world.now += 2 * HOUR
    world.hydra(8, name="b", frame="second", params="of b", times=6, marks=("one_shot", "elicits"))


def more(world: World, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randrange(4)):
        world.now += chance.randrange(HOUR)
        world.hydra(chance.randrange(2, 6), name=f"c{chance.randrange(3)}", frame=chance.choice(["hydra", "third"]))
        world.ask(f"old-{chance.randrange(20)}", "own business", chance.randrange(1, 4))


def shown(tables: Campaigns, world: World) -> object:
    accounts = sorted(each.account for each in tables.records())
    return (
        tables.live,
        [tables.members(each.id) for each in tables.live],
        {account: tables.look(account) for account in accounts},
        (len(tables), tables.linked, tables.epoch, tables.evicted),
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32))
def test_they_are_the_same_and_go_on_the_same(seed: int) -> None:
    world = World(signals=True)
    town(world, seed)
    world.settle()
    more(world, seed + 1)
    assert world.tables.live
    made, until = again(world, world.tables)
    assert shown(made, world) == shown(world.tables, world)
    assert until == {each.account: 7 for each in made.records()}
    assert [each.account for each in made.records()] == [each.account for each in world.tables.records()]
    former, seen = world.tables, []
    former_saw = former.saw
    former.saw = lambda *event: (seen.append(event), former_saw(*event))  # type: ignore[method-assign,func-returns-value,assignment]
    more(world, seed + 2)
    rows = dict(world.rows)
    for event in seen:
        made.saw(*event)
    assert rows == world.rows
    for tables in (former, made):
        tables.settle()
    assert shown(made, world) == shown(former, world)


def test_less_room_forgets_who_was_seen_longest_ago() -> None:
    world = World()
    world.crowd(60)
    made, _ = again(world, world.tables, memory=1750 * 30)
    kept_ = {each.account for each in made.records()}
    assert 0 < len(kept_) <= 30
    assert kept_ < {each.account for each in world.tables.records()}
    assert made.evicted > 0


def test_what_others_have_told_is_there_too() -> None:
    fleet = Fleet(3, anywhere(3))
    fleet.crowd(20)
    fleet.hydra(9, times=6)
    fleet.exchange()
    fleet.settle()
    worker = fleet.workers[0]
    world = World()
    world.rows = worker.rows
    made, _ = again(world, worker.tables)
    assert any(each.others for each in made.records())
    ours, theirs = ({each.account: each for each in tables.records()} for tables in (made, worker.tables))
    assert ours.keys() == theirs.keys()
    for name, one in ours.items():
        other = theirs[name]
        assert (one.others, one.frames, one.count, one.row) == (other.others, other.frames, other.count, other.row)
        assert (one.own is None) == (other.own is None)
    assert made.foreign == worker.tables.foreign
