"""What the linking was attacked with, and stands: turns of frames, copied prompts, chance agreements, floods."""

from typing import Any

import pytest

from gateway.campaigns.habits import fingerprints
from gateway.campaigns.tables import RECORD
from gateway.observe import Observation
from tests.campaigns.worlds import DAY, HOUR, SECOND, World, called
from tests.signals.traces import batch, print_of


def test_no_closing_is_no_frame() -> None:
    """A batch whose lines begin alike and are too short to have a closing."""
    seen = Observation(op="batch", lines=100, opening=print_of("o"), closing=0)
    assert [key for key in fingerprints(seen) if key >> 3 == 0] == []


def test_no_closing_links_nobody() -> None:
    """Six owners whose batches share their parameters, and that their lines have no closing."""
    world = World()
    world.crowd(60)
    for at in range(6):
        batches: dict[str, Any] = {"op": "batch", "lines": 50, "pieces": ()}
        world.ask(f"b-{at}", None, 3, opening=print_of("o", at), closing=0, params="rare", **batches)
    assert world.settle() == []


@pytest.mark.parametrize("frames", [3, 4])
def test_frames_in_turns_with_covers(frames: int) -> None:
    """frame, cover, cover, frame, ...: each cover another system text: a third of the use was not counted once."""
    world = World()
    world.crowd(60)
    for at in range(12):
        world.join(f"head-{at}", age=0)
        for n in range(60):
            world.ask(f"head-{at}", "hydra" if n % frames == 0 else f"c{at}{n}", params="rare", client="rare")
    assert sum(c.members for c in world.settle()) == 12


def test_five_frames_in_turns() -> None:
    world = World()
    world.crowd(60)
    for at in range(12):
        world.join(f"head-{at}", age=0)
        for n in range(60):
            world.ask(f"head-{at}", f"hydra {n % 5}", every=HOUR // 12, params="rare", client="rare")
    assert sum(c.members for c in world.settle()) == 12


def test_partial_pairs_do_not_spare_the_cohort() -> None:
    """40 heads with the commonest client and params; ten of each /24: four groups of pairs instead of one cohort."""
    world = World()
    world.crowd(60)
    for at in range(40):
        world.join(f"head-{at}", age=0, net=f"net {at // 10}")
        world.ask(f"head-{at}", "hydra", 4)
    assert [c.members for c in world.settle()] == [40]


def test_a_few_that_agree_by_chance_do_not_spare_the_others() -> None:
    """Five of forty share parameters by chance: the other thirty-five are no less one."""
    world = World()
    world.crowd(60)
    for at in range(40):
        world.join(f"head-{at}", age=0)
        world.ask(f"head-{at}", "hydra", 4, params="rare" if at < 5 else f"p{at}", client=f"c{at}")
    assert [c.members for c in world.settle()] == [40]


@pytest.mark.parametrize("age", [400, None])
def test_a_victim_is_not_framed(age: float | None) -> None:
    world = World()
    world.crowd(60)
    world.join("victim", age=age)
    world.ask("victim", "bot", 200, params="own", client="own")
    world.now += 10 * DAY
    world.ask("victim", "bot", 100, params="own", client="own")
    world.hydra(40, frame="bot", params="own", client="own")
    world.settle()
    assert world.tables.look("victim") == (None, 0.0)


def test_twenty_voters_do_not_free_a_large_hydra() -> None:
    world = World()
    world.crowd(60)
    for at in range(20):
        world.join(f"voter-{at}", age=60)
        world.ask(f"voter-{at}", "notes", 25, params="usual")
    world.now += DAY
    for at in range(20):
        world.ask(f"voter-{at}", "hydra", 15, params="usual")
    world.hydra(500)
    assert sum(c.members for c in world.settle()) >= 400


def test_slices_carry_work() -> None:
    """600 accounts in 200 frames of three: at most a slice a record."""
    world = World()
    world.crowd(60)
    for at in range(600):
        world.ask(f"a-{at}", f"f{at // 3}", 2, params=f"p{at}", client=f"c{at}")
    world.settle()
    assert world.tables._slices <= len(world.tables)


def test_a_test_set_that_many_upload_is_no_frame() -> None:
    """Batches of the same public rows: the few sampled pieces of all their lines are no frames."""
    world = World()
    world.crowd(60)
    for at in range(8):
        world.callers[f"lab-{at}"] = called(f"lab-{at}", age=0)
        seen = batch(0, 500, params=print_of("params", "rare"), client="lm-eval", system=0)
        world.now += SECOND
        world.tables.saw(world.callers[f"lab-{at}"], seen, world.now)
    assert world.settle() == []


def test_members_that_are_forgotten_between_two_walks_are_let_go() -> None:
    """Newcomers that enter between two times and are forgotten don't stay in the list of members."""
    world = World(memory=100 * RECORD)
    world.crowd(60)
    world.hydra(12)
    world.settle()
    for at in range(1000):
        world.ask(f"late-{at}", "hydra", 2, every=1, params="rare", client="rare")
    held = max(len(r.members) for r in world.tables._live)
    assert held <= 200


def test_a_flood_of_strangers_makes_no_cohort_of_old_owners() -> None:
    """Six hundred accounts of one request flush a table of five hundred: sixty owners of old with a public frame
    are "new here" afterwards, and a campaign."""
    world = World(memory=500 * RECORD)
    for at in range(100):
        world.join(f"old-{at}", age=400)
        world.ask(f"old-{at}", f"own {at}", 25)
    world.now += 10 * DAY
    for at in range(60):
        world.ask(f"old-{at}", "public", 25, params=f"p{at % 6}", client=f"c{at % 3}")
    assert world.settle() == []
    for at in range(600):
        world.ask(f"flood-{at}", None, 1)
    world.now += DAY
    for at in range(60):
        world.ask(f"old-{at}", "public", 10, params=f"p{at % 6}", client=f"c{at % 3}")
    for at in range(60, 100):
        world.ask(f"old-{at}", f"own {at}", 10)
    assert world.settle() == []


def test_a_flood_of_strangers_does_not_blind() -> None:
    world = World(memory=500 * RECORD)
    world.crowd(200, age=None, times=25)
    for _ in range(10):
        world.now += DAY
        for at in range(200):
            world.ask(f"old-{at}", f"frame of old-{at}")
    for at in range(600):
        world.ask(f"flood-{at}", None, 1)
    for at in range(200):
        world.ask(f"old-{at}", f"frame of old-{at}", 2)
    world.hydra(9, age=None)
    assert sum(c.members for c in world.settle()) == 9


def test_one_cohort_does_not_hide_another() -> None:
    """Three frames of twenty new accounts each, with everybody's parameters and client: each makes the others' new
    users look usual."""
    world = World()
    world.crowd(60)
    for frame in range(3):
        world.hydra(20, name=f"h{frame}", frame=f"hydra {frame}", params="usual", client="usual")
    assert sum(c.members for c in world.settle()) == 60
