"""The tables over time: same events, same campaigns; links that fade; who enters, leaves, is forgotten; ids."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns import Campaign
from gateway.campaigns.tables import MEMORY, MOST, RECORD, Campaigns
from gateway.identity import Caller
from gateway.observe import Observation
from tests.campaigns.worlds import DAY, HOUR, MINUTE, SECOND, T0, WEEK, World, called, fill, names

Event = tuple[Caller, Observation, int]


def traffic(seed: int, requests: int = 1500) -> list[Event]:
    """A mixed world: owners with their own frames, some organisations, two hydras, noise; times rise."""
    chance, now, found = random.Random(seed), T0, []
    whos: list[tuple[Caller, list[object], Any, str]] = []
    for at in range(40):
        who = called(f"own-{at}", age=(None, 400, 1, 900)[at % 4], org=None if at % 10 else "acme")
        whos.append((who, [f"own {at}", "public"], f"p{at % 5}", f"c{at % 4}"))
    for hydra in ("one", "two"):
        whos += [(called(f"{hydra}-{at}", age=0), [hydra], f"of {hydra}", "rare") for at in range(12)]
    for number in range(requests):
        who, frames, params, client = chance.choice(whos)
        now += round(chance.expovariate(1 / 90) * SECOND)
        found.append((who, fill(chance.choice(frames), number, params=params, client=client), now))
    return found


def played(events: list[Event], memory: int = MEMORY) -> tuple[list[tuple[Campaign | None, float]], list[Campaign]]:
    """What was known of each caller after each event, and the campaigns in the end."""
    tables, seen = Campaigns(lambda account: b"", memory), []
    for who, asked, now in events:
        tables.saw(who, asked, now)
        seen.append(tables.look(who.account))
    tables.settle()
    return seen, tables.live


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**32))
def test_the_same_events_give_the_same_campaigns(seed: int) -> None:
    events = traffic(seed)
    seen, live = played(events)
    assert (seen, live) == played(events)
    assert len(live) >= 2
    assert [each for each, _ in seen if each is not None]  # found while the requests came, not only in the end


def test_looking_changes_nothing() -> None:
    events = traffic(7)
    one, other = (Campaigns(lambda account: b"") for _ in range(2))
    for who, asked, now in events:
        one.saw(who, asked, now)
        other.saw(who, asked, now)
        for account in ("one-0", "own-0", "nobody"):
            other.look(account)
        other.members("campaign-0")
        other.records()
        assert other.live == one.live


def test_snapshots_are_small_and_rounded() -> None:
    world = World(signals=True)
    world.crowd(40)
    marks = ("elicits", "generates", "prefers", "grades", "invents", "reasons", "one_shot", "wide", "logprobs")
    world.hydra(12, times=30, marks=marks, logprobs=20, temperature=0.0)
    for each in world.settle():
        assert len(each.readings) <= 64
        assert all(round(value, 3) == value for value in each.readings.values())
        assert msgspec.json.decode(msgspec.json.encode(each), type=Campaign) == each
        assert not any(name in repr(each) for name in names(12))  # no member's name


def test_nobody_is_in_a_campaign_that_is_not_there() -> None:
    world = World()
    assert world.tables.look("nobody") == (None, 0.0)
    world.crowd(5)
    world.settle()
    assert world.tables.look("old-0") == (None, 0.0)
    assert (world.tables.live, world.tables.linked, world.tables.members("campaign-0")) == ([], 0, [])


def test_a_membership_is_the_share_of_use() -> None:
    """dB of the share of its requests that fill the frame: all = 0, half = -3, 40 % = -4."""
    world = World()
    world.crowd(60)
    world.hydra(12, times=10)
    for other, share in ((10, 0.5), (15, 0.4)):
        world.join(f"mixed-{other}", age=0)
        world.ask(f"mixed-{other}", "hydra", 10, params="rare", client="rare")
        world.ask(f"mixed-{other}", "private", other, params="rare", client="rare")
        assert share == 10 / (10 + other)
    world.settle()
    assert world.tables.look("head-3")[1] == 0.0
    assert world.tables.look("mixed-10")[1] == pytest.approx(-3.01)
    assert world.tables.look("mixed-15")[1] == pytest.approx(-3.98)


def test_links_vanish_when_members_do_something_else() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12)
    assert world.settle()[0].members == 12
    for day in range(21):
        world.now += DAY
        for at in range(12):
            world.ask(f"head-{at}", f"own business {at}", 2, params=f"own {at}", client=f"own {at}")
        if day == 0:
            assert world.settle()
    assert world.settle() == []
    assert world.tables.look("head-0") == (None, 0.0)


def test_a_member_that_turns_away_leaves_alone() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12)
    (before,) = world.settle()
    for _ in range(15):
        world.now += DAY
        world.ask("head-5", "own business", 4)
        for at in (0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11):
            world.ask(f"head-{at}", "hydra", params="rare", client="rare")
    (after,) = world.settle()
    assert (after.id, after.members, after.since) == (before.id, 11, before.since)
    assert "head-5" not in world.tables.members(after.id)
    assert world.tables.look("head-5") == (None, 0.0)


def test_an_id_survives_growing_and_half_of_its_members() -> None:
    world = World()
    world.crowd(40)
    world.hydra(6)
    (first,) = world.settle()
    world.hydra(30, name="later")
    (second,) = world.settle()
    assert (second.id, second.members) == (first.id, 36)
    assert second.epoch > first.epoch
    assert second.since == first.since
    assert world.tables.look("later-3")[0] == second


def test_the_larger_part_keeps_the_name() -> None:
    """One campaign falls into two: the frame that two thirds go on with keeps the id."""
    world = World()
    world.crowd(40)
    for at in range(18):
        world.join(f"head-{at}", age=0)
        for frame in ("first", "second"):
            world.ask(f"head-{at}", frame, 4, params="rare", client="rare")
    (before,) = world.settle()
    for _ in range(21):
        world.now += DAY
        for at in range(18):
            world.ask(f"head-{at}", "first" if at < 12 else "second", 2, params="rare", client="rare")
    large, small = world.settle()
    assert (large.members, small.members) == (12, 6)
    assert large.id == before.id != small.id


def test_campaigns_that_meet_are_one_under_the_larger_one_s_name() -> None:
    world = World()
    world.crowd(40)
    world.hydra(9, name="a", frame="first")
    world.hydra(5, name="b", frame="second")
    large, small = world.settle()
    for at in range(5):
        world.ask(f"b-{at}", "first", 8, params="rare", client="rare")
    (found,) = world.settle()
    assert (found.id, found.members) == (large.id, 14)
    assert small.id != large.id


@pytest.mark.parametrize("params", ["rare", "own"])
def test_who_comes_between_two_times_enters_on_the_same_terms(params: str) -> None:
    """A newcomer with the frame, and parameters as the others', enters at its second request; another one doesn't."""
    world = World()
    world.crowd(40)
    world.hydra(8, client="usual")  # too few for a cohort
    (found,) = world.settle()
    world.join("late", age=0)
    world.ask("late", "hydra", params=params)
    assert world.tables.look("late") == (None, 0.0)
    world.ask("late", "hydra", params=params)
    campaign, membership = world.tables.look("late")
    assert (campaign, membership) == ((found, 0.0) if params == "rare" else (None, 0.0))
    (again,) = world.settle()  # and so they are linked, or not, when all is gone through again
    assert again.members == (9 if params == "rare" else 8)


@pytest.mark.parametrize("params", ["rare", "own"])
def test_who_fills_the_frame_of_a_campaign_is_met_at_the_first_request(params: str) -> None:
    """A key for each request is no way out: on the terms of the others, who has no habit yet is judged as one."""
    world = World()
    world.crowd(40)
    world.hydra(8, client="usual")
    (found,) = world.settle()
    who = called("late", age=0)
    asked = fill("hydra", 0, params=params, client="usual")
    assert world.tables.meet(who, asked) == ((found, 0.0) if params == "rare" else (None, 0.0))
    assert world.tables.meet(who, fill("own", 0, params=params, client="usual")) == (None, 0.0)
    assert world.tables.meet(called("old-1", age=400), asked) == (None, 0.0)  # most of its use is something else


def test_who_enters_with_less_of_its_use_needs_more() -> None:
    """Of a frame that fills a third, a third of the weight counts: 5.2 + 15.2 dB are below the need of 27."""
    world = World()
    world.crowd(40)
    world.hydra(12, client="usual")
    world.settle()
    world.join("late", age=0)
    world.ask("late", "other", 20, params="rare")
    world.ask("late", "hydra", 10, params="rare")
    assert world.tables.look("late") == (None, 0.0)
    world.ask("late", "hydra", 100, params="rare")
    assert world.tables.look("late")[0] is not None


def test_a_cohort_is_entered_by_those_who_came_with_it() -> None:
    world = World()
    world.crowd(40)
    world.hydra(14, params="usual", client="usual")
    (found,) = world.settle()
    assert not found.linked
    world.join("late", age=0)
    world.ask("late", "hydra", 2)
    assert world.tables.look("late")[0] == found
    world.ask("old-3", "own", 40)
    world.ask("old-3", "hydra", 50)
    assert world.tables.look("old-3") == (None, 0.0)


def test_the_least_recently_seen_are_forgotten_first() -> None:
    """Of those with a habit; those without one have a tenth of the room, and push out each other alone."""
    world = World(memory=10 * RECORD)
    for at in range(14):
        world.ask(f"a{at}", "frame", 2)
    world.ask("a5", "frame")
    world.ask("b", "frame", 2)
    for at in range(40):
        world.ask(f"c{at}", "frame")
    assert [each.account for each in world.tables.records()] == [*[f"a{at}" for at in range(7, 14)], "a5", "b", "c39"]
    assert (len(world.tables), world.tables.evicted) == (10, 6)


def test_a_forgotten_member_is_in_no_campaign_and_comes_back_as_a_stranger() -> None:
    world = World(memory=60 * RECORD)
    world.crowd(40)
    world.hydra(12)
    assert world.settle()[0].members == 12
    world.crowd(60, name="more")
    assert world.tables.look("head-0") == (None, 0.0)
    assert world.settle() == []
    world.hydra(12)
    (found,) = world.settle()
    assert found.members == 12
    assert found.since > T0


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_forgetting_leaves_no_count_behind(seed: int, room: int) -> None:
    """Frames are counted for those accounts that are remembered, and for no others."""
    tables = Campaigns(lambda account: b"", room * RECORD)
    for who, asked, now in traffic(seed, 300):
        tables.saw(who, asked, now)
        assert len(tables) <= room
    counts: dict[int, int] = {}
    for each in tables.records():
        for key in each.frames:
            counts[key] = counts.get(key, 0) + 1
    for key, count in counts.items():
        assert tables.is_shared(key) >= (count >= 3)
    for at in range(room):  # each with a habit of its own
        for turn in range(2):
            tables.saw(called(f"stranger-{at}"), fill(f"strange {at}", turn), 2 * T0)
    assert not any(tables.is_shared(key) for key in counts)


def test_without_memory_there_is_nothing() -> None:
    world = World(memory=0)
    world.hydra(12)
    assert not world.tables
    assert len(world.tables) == 0
    assert world.settle() == []


def test_there_are_at_most_so_many_campaigns_and_the_largest_stay() -> None:
    world = World()
    world.crowd(400, times=4)
    for at in range(MOST + 10):
        world.hydra(3 + (at >= 10), name=f"h{at}", frame=f"frame {at}", times=2, params=f"p{at}", client=f"c{at}")
    found = world.settle()
    assert len(found) == MOST
    assert {each.members for each in found} == {4}
    assert len({each.id for each in found}) == MOST
    assert world.tables.look("h3-0") == (None, 0.0)


def test_all_is_gone_through_while_requests_come() -> None:
    """Nobody has to ask for it: within the hour, and within as many requests as it takes."""
    world = World()
    world.crowd(40)
    world.hydra(12, times=6)
    for _ in range(400):
        world.ask("old-0", "own", every=10 * SECOND)
        if world.members() == [names(12)]:
            break
    assert world.members() == [names(12)]
    assert world.now < T0 + 2 * HOUR


def test_not_more_often_than_once_a_minute() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12)
    epochs = []
    for _ in range(3000):
        world.ask("head-0", "hydra", every=SECOND // 10, params="rare", client="rare")
        epochs.append(world.tables.epoch)
    assert 1 <= epochs[-1] - epochs[0] <= 300 * SECOND // MINUTE + 1


def test_silence_alone_changes_nothing_and_the_next_request_finds_out() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12)
    (found,) = world.settle()
    world.now += 30 * WEEK
    assert world.tables.look("head-0") == (found, 0.0)
    for at in range(12):
        world.ask(f"head-{at}", f"own {at}", 3, params=f"own {at}", client=f"own {at}")
    assert world.settle() == []
