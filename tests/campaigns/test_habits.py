"""What is remembered of one account: counts that are exact, what is a habit, what it came with, and what fades."""

from math import exp
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns.habits import CLIENT, NETWORK, PARAMS, Habits, fingerprints, generates, name_print, seconds
from gateway.campaigns.tables import Campaigns
from gateway.observe import Observation
from tests.campaigns.worlds import DAY, HOUR, SECOND, WEEK, World, called, fill
from tests.signals.traces import batch, print_of


def only(world: World) -> Habits:
    (made,) = world.tables.records()
    return made


def shares(world: World) -> dict[int, float]:
    return only(world).shares()


def system(frame: object) -> int:
    """The key of a frame that is what the system says."""
    return print_of("system", frame) << 3


def test_kinds_never_meet() -> None:
    """One fingerprint at every place of a request gives keys that all differ."""
    same = print_of("same")
    seen = Observation(
        op="chat", system=same, opening=same, closing=same, pieces=(same,), params=same, client="c", bank="b"
    )
    who = called("a", net="n")
    keys = [*fingerprints(seen), *seconds(seen, who)]
    assert len(set(keys)) == len(keys) == 8
    assert [key & 7 for key in seconds(seen, who)] == [PARAMS, CLIENT, NETWORK]
    assert all(0 < key < 2**56 for key in keys)


def test_a_request_without_any_of_it_has_none() -> None:
    seen = Observation(op="chat")
    assert fingerprints(seen) == seconds(seen, called("a")) == []


def test_a_text_without_a_sentence_is_no_frame() -> None:
    """Its only piece is itself; who asks one thing a hundred times hasn't a frame by that."""
    ask = print_of("hi")
    assert fingerprints(Observation(op="chat", asks=(ask,), pieces=(ask,))) == []
    assert len(fingerprints(Observation(op="chat", asks=(ask,), pieces=(ask, print_of("more"))))) == 2


@given(st.text(max_size=40))
def test_a_word_has_a_number_of_53_bits(word: str) -> None:
    assert 0 < name_print(word) < 2**53
    assert name_print(word) == name_print(word)


@pytest.mark.parametrize("op", ["embeddings", "count_tokens", "opaque", "upload"])
def test_what_no_model_writes_an_answer_to_is_no_habit(op: str) -> None:
    world = World()
    world.ask("a", "frame", 5, op=op)
    assert not generates(fill("frame", 1, op=op))
    assert len(world.tables) == 0


def test_once_is_a_coincidence_and_twice_a_habit() -> None:
    world = World()
    world.ask("a", "frame")
    assert only(world).frames == ()
    world.ask("a", "frame")
    assert only(world).frames == (system("frame"),)
    assert shares(world) == {system("frame"): 1.0}


def test_a_third_of_what_is_asked_is_a_habit_and_a_fifth_is_none_until_it_was_asked_often() -> None:
    for every, times, there in ((3, 21, True), (5, 21, False), (5, 400, True)):
        world = World()
        world.ask("a", "other", 10 if every == 5 and times == 21 else 2)
        for at in range(times):
            world.ask("a", "frame" if at % every == 0 else "other")
        assert shares(world)[system("other")] > 0.6
        assert (system("frame") in shares(world)) is there, (every, times)


def test_counts_are_exact_whatever_comes_between() -> None:
    """Twice in a row, and from then on each third of 300 requests, all others with another new one each."""
    world = World()
    world.ask("a", "frame", 2)
    for at in range(300):
        world.ask("a", "frame" if at % 3 == 0 else f"other {at}")
    assert shares(world) == {system("frame"): pytest.approx(102 / 302)}


def test_what_came_among_the_first_twenty_it_was_born_with() -> None:
    for others, born in ((15, True), (40, False)):
        world = World()
        for at in range(others):
            world.ask("a", f"other {at}")
        world.ask("a", "frame", 30)
        made = only(world)
        assert system("frame") in made.frames
        assert (system("frame") in made.born) is born


def test_a_batch_counts_by_its_lines() -> None:
    world = World()
    world.callers["a"] = called("a")
    world.tables.saw(world.callers["a"], batch(0, 500, system=print_of("system", "frame"), pieces=()), world.now)
    assert only(world).requests == 500
    assert only(world).frames == only(world).born == (system("frame"),)
    world.ask("a", "other", 100)
    assert shares(world) == {system("frame"): pytest.approx(500 / 600), system("other"): pytest.approx(100 / 600)}


def test_what_is_done_no_more_is_no_habit_any_more() -> None:
    """Counts have halved four times after twenty days, and what else is asked goes on."""
    world = World()
    world.ask("a", "frame", 40)
    for _ in range(20):
        world.ask("a", "other", 10)
        world.now += DAY
    assert shares(world) == {system("other"): pytest.approx(1.0, abs=0.15)}
    assert only(world).frames == (system("other"),)
    assert only(world).born == ()


def test_counts_decay_over_a_week() -> None:
    world = World()
    world.ask("a", "frame", 10)
    world.now += WEEK
    world.ask("a", "other", 10)
    left = 10 * exp(-1)
    assert shares(world)[system("frame")] == pytest.approx(left / (left + 10), rel=1e-3)


def test_silence_takes_a_habit_away_with_the_next_request() -> None:
    world = World()
    world.ask("a", "frame", 10)
    world.now += 12 * WEEK
    world.ask("a", "other", 3)
    assert list(shares(world)) == [system("other")]


def test_how_it_asks_is_what_most_of_its_requests_have() -> None:
    world = World()
    world.join("a", net="home")
    world.ask("a", None, 6, params="mine", client="c")
    world.join("a", net="away")
    world.ask("a", None, 4, params="other", client="d")
    made = only(world)
    net = int(called("a", net="home").network, 16)
    assert made.seconds[:2] == (print_of("params", "mine") << 3 | PARAMS, name_print("c") << 3 | CLIENT)
    assert made.seconds[2] == net >> 11 << 3 | NETWORK


def test_who_changes_with_every_request_has_none_of_it() -> None:
    world = World()
    for at in range(30):
        world.join("a", net=f"net {at}")
        world.ask("a", "frame", params=f"p{at}", client=f"c{at}")
    assert only(world).seconds == (0, 0, 0)


def test_an_owner_is_an_organisation_or_an_account() -> None:
    world = World()
    world.join("a", org="acme")
    world.join("acme")
    world.join("org acme")
    for account in ("a", "acme", "org acme"):
        world.ask(account, None)
    owners = [each.owner for each in world.tables.records()]
    assert owners == ["org acme", "acme", "org acme"]


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[Observation, int]]:
    """Requests with hostile numbers, and the time between them."""
    number = st.one_of(st.just(0), st.sampled_from([print_of(at) for at in range(6)]), st.just(2**53 - 1))
    found = []
    for _ in range(draw(st.integers(1, 60))):
        lines = draw(st.sampled_from([0, 0, 0, 1, 50_000, 2**40]))
        pieces = draw(st.lists(number.filter(bool), max_size=4, unique=True).map(tuple))
        fields: dict[str, Any] = {name: draw(number) for name in ("system", "opening", "closing", "params")}
        words = draw(st.lists(st.integers(0, 255), max_size=8).map(tuple))
        seen = Observation(
            op="batch" if lines else "chat", lines=lines, pieces=pieces, words=words, client=draw(WORDS), **fields
        )
        found.append((seen, draw(st.sampled_from([0, SECOND, 2 * HOUR, WEEK, 400 * DAY]))))
    return found


WORDS = st.sampled_from(["", "python", "curl", "other"])


@settings(deadline=None, max_examples=150)
@given(steps())
def test_a_record_is_bounded_and_a_function_of_what_came(asked: list[tuple[Observation, int]]) -> None:
    made = []
    for _ in range(2):
        tables, now = Campaigns(lambda account: b""), 10**15
        who = called("a", net="n", at=now)
        for seen, later in asked:
            tables.saw(who, seen, now)
            now += later
            (habits,) = tables.records()
            assert len(habits.frames) <= 12
            assert len(habits.born) <= 12
            assert len(habits.row) == 408 and len(habits.cells) == 32
            assert all(0.0 <= share <= 1.0 for share in habits.shares().values())
            assert len(habits.seconds) == 3
        made.append((habits.row, habits.frames, habits.born, habits.seconds, habits.cells, habits.count))
    assert made[0] == made[1]


def test_time_that_goes_back_stands_still() -> None:
    world = World()
    world.ask("a", "frame", 4)
    before = (only(world).row, only(world).last)
    world.tables.saw(world.callers["a"], fill("frame", "late"), world.now - 40 * DAY)
    assert only(world).last == before[1]
    assert shares(world) == {system("frame"): 1.0}
