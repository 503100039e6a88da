"""What it may cost: no answer waits for more than a few steps of the tables, and they hold no more than was given."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import pytest

from gateway.campaigns.tables import RECORD, Campaigns
from tests.campaigns.worlds import MINUTE, SECOND, T0, WEEK, World, called, fill

PART = "/gateway/campaigns/"


class Counted:
    """Counts lines of `gateway/campaigns` as they run: a loop of one line counts once a turn."""

    def __init__(self) -> None:
        self.lines = 0
        self._ours: dict[CodeType, bool] = {}

    def __enter__(self) -> "Counted":
        self.lines = 0
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        ours = self._ours.get(code)
        if ours is None:
            ours = self._ours[code] = PART in code.co_filename.replace("\\", "/")
        self.lines += ours
        return self._line if ours else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        self.lines += event == "line"
        return self._line


def most_lines(world: World) -> int:
    """The largest count of one answer, while everything is gone through once, and members come and go."""
    world.tables.settle()
    counted, most, at = Counted(), 0, 0
    epoch = world.tables.epoch
    who = called("old-0", age=400)
    while world.tables.epoch == epoch or world.tables.walking:
        world.now += SECOND
        at += 1
        with counted:
            world.tables.saw(who, fill("own", at), world.now)
        most = max(most, counted.lines)
        assert at < 100_000
    return most


def one_hydra(size: int) -> World:
    world = World()
    world.crowd(60)
    world.hydra(size, times=2)
    return world


def many_frames(size: int) -> World:
    """Every account fills two frames with others, in groups of five."""
    world = World()
    for at in range(size):
        world.join(f"a{at}", age=0)
        for frame in (f"first {at // 5}", f"second {(at + 2) // 5}"):
            world.ask(f"a{at}", frame, 2, params=f"p{at // 5}", client=f"c{at // 5}")
    world.crowd(60)
    return world


def strangers(size: int) -> World:
    """One popular frame, and nothing else in common: each account has parameters of its own."""
    world = World()
    world.crowd(60)
    for at in range(size):
        world.ask(f"a{at}", "popular", 2, params=f"p{at}", client=f"c{at}")
    return world


def many_campaigns(size: int) -> World:
    world = World()
    world.crowd(200, times=1)
    for at in range(size // 4):
        world.hydra(4, name=f"h{at}", frame=f"f{at}", times=2, params=f"p{at}", client=f"c{at}")
    return world


@pytest.mark.parametrize("made", [one_hydra, many_frames, strangers, many_campaigns])
def test_no_answer_waits_longer_because_there_are_more_accounts(made: Callable[[int], World]) -> None:
    """Ten times as many accounts make more slices, and not longer ones."""
    few, many = most_lines(made(40)), most_lines(made(400))
    assert many <= max(1200, 2 * few), (few, many)


@pytest.mark.parametrize("made", [many_frames, strangers, many_campaigns])
def test_what_is_small_shares_a_slice(made: Callable[[int], World]) -> None:
    """However the accounts fall into frames, going through them takes fewer answers than there are accounts."""
    world = made(400)
    world.tables.settle()
    epoch, answers = world.tables.epoch, 0
    while world.tables.epoch == epoch or world.tables.walking:
        answers += world.tables.walking
        world.ask("old-0", "own", every=MINUTE)
    assert 5 < answers < len(world.tables)


def test_at_most_every_fourth_answer_carries_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it takes many slices it is begun anew only when four times as many answers have come."""
    monkeypatch.setattr("gateway.campaigns.tables.FEW", 0)
    world = one_hydra(800)
    walked, answers = 0, 0
    who = called("old-0", age=400)
    while world.tables.walking:
        world.ask("old-0", "own")
    first = world.tables.epoch
    while world.tables.epoch < first + 3 or world.tables.walking:
        world.now += MINUTE
        before = world.tables.walking
        world.tables.saw(who, fill("own", answers), world.now)
        walked += before or world.tables.walking
        answers += 1
    assert walked > 50
    assert walked <= 0.34 * answers  # the last of three is not followed by its rest


@pytest.mark.parametrize("frames", [1, 3])
def test_a_record_takes_no_more_than_is_said(frames: int) -> None:
    """By tracemalloc: accounts with habits, parameters, a client and a network that nobody else has."""
    count = 900
    world = World(memory=1000 * RECORD)  # a tenth of it is for those without a habit
    for at in range(count):
        world.join(f"key-{at:016x}", age=3, net=f"net {at}")
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for at in range(count):
        more = {"opening": 2**53 - 1 - at, "closing": 2**52 - at} if frames == 3 else {}
        world.ask(f"key-{at:016x}", f"frame {at}", 4, params=f"p{at}", client="x" * 32, words=(1, 5, 9), **more)
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(world.tables) == count
    assert all(len(each.frames) == frames for each in world.tables.records())
    assert 0.4 * count * RECORD <= taken <= count * RECORD


def test_all_of_it_stays_within_the_memory_that_was_given() -> None:
    """Three times as many accounts as there is room for, all of three frames, walks and all: at rest it is within."""
    room = 1000
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tables = Campaigns(lambda account: b"", room * RECORD)
    filter_ = 1 << 20
    now = T0
    for at in range(3 * room):
        who = called(f"key-{at:016x}", age=1, net="n", at=now)
        for each in range(3):
            now += SECOND
            tables.saw(who, fill(f"frame {at % 3}", (at, each), params="rare"), now)
    tables.settle()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(tables) == 0.9 * room
    assert tables.evicted == 2.1 * room
    assert taken <= room * RECORD + filter_


def test_who_is_forgotten_while_a_member_is_let_go() -> None:
    """Members that were forgotten are kept by no campaign once all was gone through."""
    room = 300
    world = World(memory=room * RECORD)
    world.crowd(60)
    world.hydra(100)
    assert world.settle()[0].members == 100
    world.now += WEEK
    world.crowd(room, name="new")
    assert world.settle() == []
    assert world.tables.linked == 0
