"""Who is linked and who isn't: owners, votes, classes, popular values, cohorts; worlds through the tables' own door."""

from typing import Any

import pytest

from gateway.campaigns.linking import needed, weight
from gateway.campaigns.walk import HUB
from tests.campaigns.worlds import DAY, MINUTE, WEEK, World, names


def test_new_accounts_with_one_frame_and_rare_parameters_are_one() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12)
    (found,) = world.settle()
    assert (found.members, found.owners, found.linked) == (12, 12, True)
    assert world.members() == [names(12)]
    assert found.since == min(world.tables.records(), key=lambda each: each.account != "head-0").since


def test_a_frame_alone_links_nobody() -> None:
    """Nine accounts (too few for a cohort) of one frame that nobody else has; nothing else that they agree on."""
    world = World()
    world.crowd(40)
    for at in range(9):
        world.join(f"head-{at}", age=0)
        world.ask(f"head-{at}", "hydra", 4, params=f"params {at}", client=f"client {at}")
    assert world.settle() == []
    world.hydra(9, name="other", frame="hydra")
    assert world.settle() != []


@pytest.mark.parametrize("shared", ["params", "client", "network"])
def test_one_rare_thing_beside_the_frame_suffices(shared: str) -> None:
    world = World()
    world.crowd(60)
    for at in range(6):
        world.join(f"head-{at}", age=0, net="flat" if shared == "network" else f"net {at}")
        given: dict[str, Any] = {name: "rare" if name == shared else f"{name} {at}" for name in ("params", "client")}
        world.ask(f"head-{at}", "hydra", 4, **given)
    (found,) = world.settle()
    assert (found.members, found.linked) == (6, True)


def test_what_most_have_links_nobody() -> None:
    """The commonest parameters and client say nothing: of 41 owners 40 have them. w = 10 lg(0.8 * 41 / 41) < 0."""
    world = World()
    world.crowd(40)
    world.hydra(9, params="usual", client="usual")
    assert world.settle() == []


def test_how_popular_it_may_be_is_arithmetic() -> None:
    """Of 40 owners `have` ask with the same parameters; linked as long as frame and parameters reach the need."""
    linked = []
    for have in range(0, 24, 2):
        world = World()
        world.crowd(40 - have, client="")
        world.crowd(have, name="same", params="rare", client="")
        world.hydra(9, client="")
        linked.append(bool(world.settle()))
        assert linked[-1] == (weight(0.9, 0, 40) + weight(0.8, have, 40) >= needed(49)), have
    assert linked[0] and not linked[-1]


def test_one_organisation_is_one_owner() -> None:
    world = World()
    world.crowd(40)
    for at in range(60):
        world.join(f"project-{at}", age=0, org="acme")
        world.ask(f"project-{at}", "assistant", 4, params="rare", client="rare")
    assert world.settle() == []
    for at in range(2):  # with two more it is three owners
        world.join(f"guest-{at}", age=0)
        world.ask(f"guest-{at}", "assistant", 4, params="rare", client="rare")
    (found,) = world.settle()
    assert (found.members, found.owners) == (62, 3)


def test_two_owners_are_no_campaign() -> None:
    world = World()
    world.crowd(40)
    world.hydra(2)
    assert world.settle() == []
    world.hydra(3)
    assert world.settle()[0].owners == 3


def test_owners_who_were_there_before_speak_for_a_frame() -> None:
    """Old owners take a frame up after other business: each vote makes it worth less, until it links nobody."""
    linked = {}
    for voters in (0, 1, 3):
        world = World()
        world.crowd(40, times=25)
        world.now += DAY
        world.hydra(9, client="usual")
        for at in range(voters):
            world.ask(f"old-{at}", "hydra", 20)
        linked[voters] = sum(each.members for each in world.settle())
        assert bool(linked[voters]) == (weight(0.9, voters, 40) + weight(0.8, 0, 40) >= needed(49)), voters
    assert linked == {0: 9, 1: 9, 3: 0}


def test_a_frame_of_many_older_owners_is_public() -> None:
    world = World()
    world.crowd(HUB + 40, times=25)
    world.now += DAY
    world.hydra(30)
    assert world.settle()[0].members == 30
    for at in range(HUB):
        world.ask(f"old-{at}", "hydra", 20)
    assert world.settle() == []


def test_who_came_with_a_frame_has_no_vote() -> None:
    """Old by the accounts file, but first seen here with this very frame, weeks after the gateway began."""
    world = World()
    world.crowd(40)
    world.now += 5 * WEEK
    world.hydra(9)
    world.hydra(HUB, name="aged", age=400)
    (found,) = world.settle()
    assert found.members == 9 + HUB


def test_when_the_gateway_begins_the_age_that_is_known_suffices() -> None:
    """In its first week everybody is new here: a frame of owners who are old elsewhere is public."""
    world = World()
    world.hydra(HUB, name="customer", age=400)
    world.crowd(20)
    world.hydra(9)
    assert world.settle() == []


def test_when_nobody_is_known_and_all_is_new_popular_frames_link_nobody() -> None:
    """A gateway's first day, without an accounts file: three frameworks that thirty owners each use."""
    world = World()
    for frame in ("rag", "agent", "chat"):
        for at in range(30):
            world.ask(f"{frame}-{at}", frame, 4, params=f"p{at % 5}", client=f"c{at % 4}")
    assert world.settle() == []


def test_an_age_that_is_not_known_is_counted_from_the_first_request_here() -> None:
    """Owners without an age vote once they have been here for long enough, and had other business before."""
    found = {}
    for days in (0, 30):
        world = World()
        world.crowd(40, age=None, times=25)
        world.now += days * DAY
        world.hydra(9, age=None)
        for at in range(HUB):
            world.ask(f"old-{at}", "hydra", 20, params="rare", client="rare")
        found[days] = bool(world.settle())
    assert found == {0: False, 30: False}  # nobody is older than the frame; and then twenty are
    world = World()
    world.crowd(40, age=None, times=25)
    world.now += 30 * DAY
    world.hydra(9, age=None)
    assert world.settle()[0].members == 9


def test_two_frames_that_share_their_accounts_are_one_campaign() -> None:
    world = World()
    world.crowd(40)
    for at in range(20):
        world.join(f"head-{at}", age=0)
        for frame in ("first", "second") if 7 <= at < 13 else ("first",) if at < 7 else ("second",):
            world.ask(f"head-{at}", frame, 4, params="rare", client="rare")
    assert world.settle()[0].members == 20
    assert world.members() == [names(20)]


def test_two_frames_that_share_no_account_are_two_campaigns() -> None:
    world = World()
    world.crowd(40)
    world.hydra(12, name="a", frame="first")
    world.hydra(8, name="b", frame="second")
    assert [each.members for each in world.settle()] == [12, 8]
    assert world.members() == [names(12, "a"), names(8, "b")]
    assert len({each.id for each in world.tables.live}) == 2


def test_who_hangs_on_by_a_frame_that_hardly_anybody_fills_is_no_member() -> None:
    """A chain: forty heads of one frame, one of them fills a second one that only another account fills too."""
    world = World()
    world.crowd(40)
    world.hydra(40)
    for account in ("head-0", "stray-0"):
        world.join(account, age=0)
        world.ask(account, "side", 4, params="rare", client="rare")
    world.ask("stray-1", "side", 4, params="rare", client="rare")
    (found,) = world.settle()
    assert world.members() == [names(40)]
    assert found.members == 40


def test_what_is_asked_now_and_then_is_no_habit() -> None:
    """A frame that a tenth of an account's requests fill doesn't link it; a half does."""
    for frames, members in ((10, 0), (2, 12)):
        world = World()
        world.crowd(40)
        for at in range(12):
            world.join(f"head-{at}", age=0)
            for number in range(20):
                frame = "hydra" if number % frames == 0 else f"cover {at} {number}"
                world.ask(f"head-{at}", frame, params="rare", client="rare")
        assert sum(each.members for each in world.settle()) == members


def test_a_cohort_needs_no_rare_parameters() -> None:
    """Twelve new accounts that do nothing else than fill a frame that no older owner has: linked as a cohort."""
    world = World()
    world.crowd(40)
    for frame in range(12):  # other new frames, whose users had other business before
        for at in range(3):
            account = f"old-{3 * frame + at}"
            world.ask(account, f"new frame {frame}", 4)
    world.hydra(12, params="usual", client="usual")
    (found,) = world.settle()
    assert (found.members, found.linked) == (12, False)
    assert world.members() == [names(12)]


def test_users_of_all_ages_are_no_cohort() -> None:
    world = World()
    world.crowd(40, times=25)
    world.now += MINUTE
    world.hydra(6, params="usual", client="usual")
    for at in range(12):
        world.ask(f"old-{at}", "hydra", 20)
    assert world.settle() == []


def test_the_largest_campaign_comes_first() -> None:
    world = World()
    world.crowd(40)
    for size in (4, 12, 7):
        world.hydra(size, name=f"of {size}", frame=f"frame {size}")
    assert [each.members for each in world.settle()] == [12, 7, 4]
