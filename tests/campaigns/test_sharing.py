"""Several workers that tell each other their records find what one process finds, with and without routing by key."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns import Campaign
from gateway.campaigns.tables import RECORD, Campaigns
from tests.campaigns.shared import Fleet, Route, Worker, anywhere, by_key, found
from tests.campaigns.worlds import DAY, HOUR, SECOND, T0, WEEK, World, called, fill, names

APART = {"partition", "overlap", "balance", "lockstep"}


def population(fleet: Fleet, seed: int) -> None:
    """Customers, a popular frame of users who come and go, and three hydras; hours pass, and all tell in between."""
    chance = random.Random(seed)
    fleet.crowd(40)
    fleet.hydra(chance.randrange(5, 14), times=chance.randrange(5, 9))
    fleet.hydra(8, name="b", frame="second", params="of b", times=6, marks=("one_shot", "elicits"))
    fleet.exchange()
    for at in range(20):
        fleet.ask(f"user-{at}", "popular", chance.randrange(1, 9), params=f"p{at % 5}", client=f"c{at % 4}")
    fleet.exchange()
    fleet.now += 3 * HOUR
    fleet.hydra(12, name="c", frame="third", params="of c", times=4)
    for at in range(10):
        fleet.ask(f"old-{at}", "own business", 5)


def close(one: Campaign, other: Campaign) -> None:
    assert (one.id, one.members, one.owners, one.since, one.linked) == (
        other.id, other.members, other.owners, other.since, other.linked,
    )  # fmt: skip
    theirs, mine = ({k: v for k, v in each.readings.items() if k not in APART} for each in (one, other))
    assert mine == pytest.approx(theirs, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("route", [by_key, anywhere(3)], ids=["by-key", "anywhere"])
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32), workers=st.sampled_from([2, 4, 8]))
def test_workers_find_what_one_process_finds(route: Route, seed: int, workers: int) -> None:
    """The same campaigns, members, names and readings, on every worker; nothing is counted twice."""
    fleet = Fleet(workers, route)
    population(fleet, seed)
    alone = fleet.settle()
    assert len(alone) >= 3
    for worker, live in zip(fleet.workers, fleet.agree(), strict=True):
        assert found(worker.tables) == found(fleet.tables)
        for one, other in zip(live, alone, strict=True):
            close(one, other)


def test_without_telling_a_worker_finds_less() -> None:
    """What all of this is for: twelve heads on four workers are three each, and nobody's campaign."""
    fleet = Fleet(4)
    fleet.crowd(40)
    fleet.hydra(12)
    assert fleet.settle()[0].members == 12
    for worker in fleet.workers:
        worker.tables.settle()
        assert sum(each.members for each in worker.tables.live) < 12
    assert all(live[0].members == 12 for live in fleet.agree())


def test_requests_are_counted_once_however_often_they_are_told() -> None:
    fleet = Fleet(3, anywhere())
    for _ in range(20):
        fleet.ask("a", "frame", 7)
        for _ in range(3):
            fleet.exchange(anew=True)
    for worker in fleet.workers:
        (record,) = worker.tables.records()
        assert record.requests == 140
        assert record.count == pytest.approx(140, rel=0.01)
        assert record.shares() == {record.frames[0]: 1.0}


def test_an_account_that_moves_to_another_worker_takes_its_habits_along() -> None:
    fleet = Fleet(2, lambda account, workers: int(fleet.now >= T0 + DAY))
    fleet.crowd(40)
    fleet.ask("a", "frame", 30)
    fleet.now = T0 + DAY
    fleet.exchange()
    fleet.ask("a", "other", 10)
    fleet.exchange(anew=True)
    (alone,) = [each for each in fleet.tables.records() if each.account == "a"]
    for worker in fleet.workers:
        (record,) = [each for each in worker.tables.records() if each.account == "a"]
        assert (record.requests, record.since, record.born) == (40, alone.since, alone.born)
        assert record.shares() == pytest.approx(alone.shares(), rel=1e-3)


def test_what_is_taken_up_late_elsewhere_is_nobody_s_birth() -> None:
    """Sixty requests on eight workers are eight each: a frame after them is no first one on any."""
    fleet = Fleet(8, anywhere())
    for number in range(60):
        fleet.ask("a", f"other {number}")
        fleet.exchange()
    fleet.ask("a", "late", 80)
    fleet.exchange(anew=True)
    for worker in fleet.workers:
        (record,) = worker.tables.records()
        assert len(record.frames) == 1
        assert record.born == ()


def test_members_that_are_only_heard_of_are_met() -> None:
    """Who was found elsewhere is in the campaign here, at its first request on this worker."""
    fleet = Fleet(2)
    fleet.crowd(40)
    fleet.hydra(12)
    fleet.agree()
    for worker in fleet.workers:
        for head in names(12):
            campaign, membership = worker.tables.meet(called(head, age=0), fill(None, "hello"))
            assert campaign is not None
            assert membership == 0.0


def test_who_found_it_first_gives_the_name_and_a_restart_keeps_it() -> None:
    """A campaign whose commonest frame is another one by now is called what the others call it."""
    fleet = Fleet(2)
    fleet.crowd(40)
    fleet.hydra(6, frame="first")
    before = fleet.agree()[0][0].id
    for at in range(6):
        fleet.ask(f"head-{at}", "second", 8, params="rare", client="rare")
    fleet.hydra(20, name="later", frame="second")
    late = Worker()
    fleet.workers.append(late)
    fleet._route = lambda account, workers: by_key(account, 2)
    lives = fleet.agree()
    assert [live[0].members for live in lives] == [26] * 3
    assert {live[0].id for live in lives} == {before}
    alone = Campaigns(lambda account: b"")
    for worker in fleet.workers[:2]:
        for record in worker.told(fleet.now, anew=True):
            alone.hear(record[:9] + bytes(5) + record[14:], "w", fleet.now)  # as if nobody had a name for it
    alone.settle()
    assert alone.live[0].id != before


def test_workers_that_name_it_differently_agree() -> None:
    """Found apart under two names, which most members' workers give: the others take it over."""
    fleet = Fleet(2, lambda account, workers: int(account.startswith("b")))
    for name in ("a", "b"):
        fleet.crowd(40, name=f"{name} old")
    fleet.hydra(9, name="a", frame="first")
    fleet.hydra(5, name="b", frame="second")
    for worker in fleet.workers:
        worker.tables.settle()
    apart = [worker.tables.live[0].id for worker in fleet.workers]
    assert apart[0] != apart[1]
    for at in range(5):
        fleet.ask(f"b-{at}", "first", 8, params="rare", client="rare")
    lives = fleet.agree()
    assert [[(each.id, each.members) for each in live] for live in lives] == [[(apart[0], 14)]] * 2


@pytest.mark.parametrize("route", [by_key, anywhere(5)], ids=["by-key", "anywhere"])
def test_one_pool_dealt_out_evenly_is_seen_on_every_worker(route: Route) -> None:
    """X2 and X3 need all members' requests: of one stream that twelve heads share, four workers see three heads each,
    and each of these alone asks like anybody."""
    apart, fleet = Fleet(4), Fleet(4, route)
    for each in (apart, fleet):
        each.crowd(40)
        each.hydra(12)
        each.agree()
        each.now += 2 * DAY  # so that all begin at one moment
        chance = random.Random(2)
        for at in range(4 * 60):
            head = f"head-{chance.randrange(12)}"
            each.ask(head, "hydra", params="rare", client="rare", words=(at % 7, at % 11), every=225 * SECOND)
            if each is fleet:
                each.exchange()
    (alone,) = fleet.settle()
    for live in fleet.agree():
        readings = live[0].readings
        assert readings["overlap"] == alone.readings["overlap"] == 0.0
        assert readings["partition"] == pytest.approx(alone.readings["partition"], rel=0.05)
        assert readings["partition"] > 20.0
        assert readings["balance"] == pytest.approx(alone.readings["balance"], abs=0.05)
        assert readings["balance"] < 0.1
    for worker in apart.workers:
        worker.tables.settle()
        readings = worker.tables.live[0].readings
        assert readings.get("partition", 0.0) < alone.readings["partition"] / 2
        assert readings.get("balance", 1.0) > 0.3


def test_a_busy_account_is_told_a_few_times() -> None:
    """At its doublings, when it takes a frame up, and once an hour."""
    worker, times = Worker(), 0
    who = called("a", age=3)
    for at in range(2000):
        worker.saw(who, fill("frame", at), T0 + at * SECOND)
        times += len(worker.told(T0 + at * SECOND))
    assert 10 <= times <= 13
    assert worker.told(T0 + 2 * HOUR)  # what came since the last time
    assert not worker.told(T0 + 5 * HOUR)
    assert worker.told(T0 + 4 * DAY)  # it is still there
    assert not worker.told(T0 + 5 * DAY)


def test_what_did_not_arrive_is_told_again() -> None:
    worker = Worker()
    for at in range(20):
        worker.saw(called(f"a{at}"), fill("frame", at), T0 + at)
    first = worker.tables.changed(T0, 50)
    assert [account for account, _ in first] == [f"a{at}" for at in range(20)]
    assert worker.tables.changed(T0) == []
    worker.tables.missed([account for account, _ in first[5:]])
    assert worker.tables.untold == 15
    assert worker.tables.changed(T0, 50) == first[5:]
    worker.tables.share()
    assert worker.tables.untold == 20
    assert len(worker.told(T0)) == 20
    assert worker.tables.untold == 0


def test_who_has_nobody_to_tell_queues_nothing() -> None:
    world = World()
    world.ask("a", "frame", 9)
    assert (world.tables.untold, world.tables.changed(world.now)) == (0, [])


def test_records_of_workers_that_are_gone_leave_after_a_week() -> None:
    fleet = Fleet(2)
    fleet.ask("a", "frame", 5)
    fleet.ask("b", "frame", 5)
    fleet.exchange()
    one = next(worker for worker in fleet.workers if worker.rows.keys() == {"a"})
    other = next(worker for worker in fleet.workers if worker is not one)
    assert (len(one.tables), one.tables.foreign) == (2, 1)
    fleet.now += WEEK + DAY
    other.saw(called("c"), fill("frame", 1), fleet.now)
    (record,) = [told for account, told in other.tables.changed(fleet.now, 1) if account == "c"]
    assert one.tables.hear(record, "other", fleet.now)
    assert sorted(each.account for each in one.tables.records()) == ["a", "c"]


def heard(tables: Campaigns, accounts: int, *, times: int = 2, name: str = "far") -> None:
    """So many accounts of another worker."""
    other = World()
    other.tables.share()
    for at in range(accounts):
        other.ask(f"{name}-{at}", f"frame {at}", times)
    while more := other.tables.changed(other.now):
        for _, record in more:
            assert tables.hear(record, "other", other.now)


def test_who_was_seen_here_is_forgotten_last() -> None:
    world = World(memory=30 * RECORD)
    for at in range(20):
        world.ask(f"near-{at}", "frame", 2)
    heard(world.tables, 100)
    left = [each.account for each in world.tables.records()]
    assert [each for each in left if each.startswith("near")] == [f"near-{at}" for at in range(20)]
    assert 0 < len(left) - 20 <= 7
    assert world.tables.evicted == 0
    heard(world.tables, 100, times=1, name="once")  # made-up accounts push out each other
    assert len(world.tables) <= len(left) + 3
    for at in range(20, 27):
        world.ask(f"near-{at}", "frame", 2)
    assert sum(each.account.startswith("near") for each in world.tables.records()) == 27
    assert world.tables.foreign <= 3


def test_tables_without_room_hear_nothing() -> None:
    tables = Campaigns(lambda account: b"", 0)
    other = Worker()
    other.saw(called("a"), fill("frame", 1), T0)
    (record,) = other.told(T0)
    assert not tables.hear(record, "other", T0)
    assert len(tables) == 0


@pytest.mark.parametrize("skew", [-7 * SECOND, 7 * SECOND, 400 * DAY, -400 * DAY])
def test_clocks_that_differ_take_nothing_away(skew: int) -> None:
    """What comes from the future counts as now; nobody's counts vanish, whatever the other's clock says."""
    here, there = Worker(), Worker()
    who = called("a")
    for at in range(10):
        here.saw(who, fill("frame", at), T0 + at)
        there.saw(who, fill("frame", at), T0 + skew + at)
    for record in there.told(T0 + skew):
        assert here.tables.hear(record, "there", T0)
    (record_,) = here.tables.records()
    assert record_.requests == 20
    assert record_.count == pytest.approx(20 if abs(skew) < DAY or skew > 0 else 10, rel=1e-3)
    assert record_.last <= T0 + 10


def test_an_idle_worker_goes_through_what_it_hears() -> None:
    fleet = Fleet(2, lambda account, workers: 0)
    fleet.crowd(40)
    fleet.hydra(12)
    fleet.exchange()
    tables = fleet.workers[1].tables
    for _ in range(10_000):
        tables.turn()
        if tables.live:
            break
    assert tables.live[0].members == 12


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_hostile_bytes_are_counted_and_change_nothing_else(data: st.DataObject) -> None:
    """Cut, flipped or made up: `hear` says no, or takes a record that keeps all promises."""
    other = Worker()
    for at in range(data.draw(st.integers(1, 4))):
        other.saw(called("a", org="acme", net="n"), fill("frame", at, words=(1, 2), opening=77), T0 + at)
    (record,) = other.told(T0)
    kind = data.draw(st.sampled_from(["cut", "flip", "noise", "longer"]))
    bad: Any = bytearray(record)
    if kind == "cut":
        bad = record[: data.draw(st.integers(0, len(record) - 1))]
    elif kind == "longer":
        bad = record + data.draw(st.binary(min_size=1, max_size=20))
    elif kind == "noise":
        bad = data.draw(st.binary(max_size=400))
    else:
        for _ in range(data.draw(st.integers(1, 6))):
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    world = World()
    world.ask("a", "frame", 5)
    read = world.tables.hear(bytes(bad), "other", world.now)
    counts = (world.tables.heard, world.tables.unreadable, world.tables.of_other_versions)
    assert sum(counts) == 1
    assert bool(counts[0]) is read
    if kind in ("cut", "longer"):
        assert not read
    world.ask("a", "frame", 5)
    world.tables.hear(bytes(bad), "third", world.now)
    world.settle()
    for made in world.tables.records():
        assert len(made.frames) <= 12
        assert all(0.0 <= share <= 1.0 for share in made.shares().values())
        assert len(made.row) == 408 and len(made.cells) == 32


def test_records_of_another_version_are_skipped_and_counted() -> None:
    other, world = Worker(), World()
    other.saw(called("a"), fill("frame", 1), T0)
    (record,) = other.told(T0)
    assert not world.tables.hear(b"\x02" + record[1:], "other", T0)
    assert (world.tables.of_other_versions, world.tables.unreadable, len(world.tables)) == (1, 0, 0)


def test_an_account_that_many_workers_saw_takes_bounded_room() -> None:
    """A number of a worker stands for one process: after a hundred restarts the last ones are kept."""
    world = World()
    other = Worker()
    other.saw(called("a"), fill("frame", 1), T0)
    (record,) = other.told(T0)
    for at in range(100):
        assert world.tables.hear(record, f"worker {at}", T0)
    (made,) = world.tables.records()
    assert made.requests == len(made.others) == 64
