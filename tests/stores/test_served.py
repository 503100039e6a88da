"""The table of served pieces: it is as large as it was made, forgets after a day, and errs as rarely as it says."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gateway.observe import Observation
from gateway.stores.served import COMMON, HOUR, SIZE, Served

NOON = 500_000 * HOUR  # a full hour
ROW = 80  # bytes: 16 places


def prints(count: int, seed: int = 1) -> list[int]:
    """So many different fingerprints."""
    chance = Random(seed)
    return [chance.getrandbits(53) for _ in range(count)]


def test_a_piece_is_known_for_a_day_and_told_by_the_hour() -> None:
    served = Served()
    served.add([7], NOON + HOUR // 2)
    assert [served.answers(7, NOON + hours * HOUR) for hours in (1, 24, 25)] == [1, 1, 0]
    assert served.answers(8, NOON) == 0
    served.add([7], NOON + 26 * HOUR)
    assert (served.answers(7, NOON + 26 * HOUR), served.pieces) == (1, 1)


def test_serving_it_again_begins_its_day_anew() -> None:
    served = Served()
    served.add([7], NOON)
    served.add([7], NOON + 20 * HOUR)
    assert (served.answers(7, NOON + 44 * HOUR), served.pieces) == (2, 1)
    assert (served.answers(7, NOON + 45 * HOUR), served.pieces) == (0, 0)


def test_an_earlier_hour_is_the_latest_one() -> None:
    served = Served()
    served.add([7], NOON + 30 * HOUR)
    served.add([8], NOON)
    assert (served.answers(7, NOON), served.answers(8, NOON + 54 * HOUR)) == (1, 1)


def test_a_full_row_loses_what_was_served_longest_ago() -> None:
    served = Served(ROW)
    for each in range(16):
        served.add([each], NOON + each // 4 * HOUR)
    now = NOON + 5 * HOUR
    served.add([0], now)  # not the oldest any more
    served.add([16], now)
    assert [each for each in range(17) if not served.answers(each, now)] == [1]
    assert (served.pieces, served.evicted) == (16, 1)
    later = NOON + 26 * HOUR  # when six have had their day
    served.add(range(20, 26), later)
    assert served.evicted == 1
    served.add([26], later)
    assert served.evicted == 2


def test_its_memory_is_what_it_was_given_whatever_comes() -> None:
    served = Served(100_000)
    held = len(served._tags), served._marks.nbytes
    assert 100_000 - ROW < sum(held) <= 100_000
    for at in range(20_000):
        served.add([at * 977, at * 991], NOON + at * HOUR // 2000)
    assert (len(served._tags), served._marks.nbytes) == held
    assert served.pieces == sum(served._counts) <= 20_000
    assert SIZE // ROW * 16 // 4 == 838_860  # answers of four pieces: what the module says


@pytest.mark.parametrize(("load", "least", "most"), [(0.5, 0.0003, 0.0015), (1.0, 0.09, 0.11)])
def test_as_many_of_the_day_s_pieces_are_missing_as_it_says(load: float, least: float, most: float) -> None:
    served = Served(400_000)  # 5000 rows
    pieces = prints(int(80_000 * load))
    for at, piece in enumerate(pieces):
        served.add([piece], NOON + 20 * HOUR * at // len(pieces))
    missing = sum(not served.answers(piece, NOON + 20 * HOUR) for piece in pieces)
    assert least < missing / len(pieces) < most  # of a Poisson number in a row, what is over 16
    assert missing == served.evicted
    assert served.pieces == len(pieces) - missing


def test_a_piece_that_was_never_served_is_hardly_ever_known() -> None:
    served = Served(160_000)  # 2000 rows
    served.add(prints(100_000), NOON)
    assert served.pieces > 0.99 * 32_000
    strangers = prints(200_000, seed=2)
    assert sum(served.answers(each, NOON) > 0 for each in strangers) <= 5  # 0.2 are expected, at a millionth each


def test_what_many_answers_say_is_everybody_s() -> None:
    served = Served()
    asked = Observation(op="chat", pieces=(3, 7, 9))
    for times in range(1, COMMON + 3):
        served.add([7], NOON)
        assert served.answers(7, NOON) == min(times, COMMON)
        assert served.look(asked, NOON) == (int(times < COMMON), False)


def test_an_answer_that_repeats_its_question_brings_nothing_new() -> None:
    served = Served()
    served.add([7, 8], NOON, asked=(7,))
    assert served.look(Observation(op="chat", pieces=(7, 8)), NOON) == (1, False)
    served.add([8], NOON, asked=(8,))  # `repeat what you said` is one prompt more
    assert served.answers(8, NOON) == 2
    assert served.look(Observation(op="chat", said=7, answers=1), NOON) == (0, True)


def test_nobody_can_be_framed_by_an_answer_that_holds_his_template() -> None:
    served = Served()
    served.add([7], NOON)  # who frames has the model say a sentence of a public template
    template = Observation(op="chat", pieces=(7, 9))
    found = []
    for at in range(300):
        found.append(served.look(template, NOON)[0])
        served.add([1000 + at], NOON, template.pieces)
    assert found == [1] * 6 + [0] * 294
    assert served.look(Observation(op="chat", said=7, answers=1), NOON) == (0, True)


def test_prompts_without_an_answer_take_no_evidence_away() -> None:
    served = Served()
    served.add([7], NOON)
    for _ in range(20):  # with keys that the model server refuses
        assert served.look(Observation(op="chat", pieces=(7,)), NOON) == (1, False)


def test_what_is_asked_after_an_answer_is_not_looked_up_and_the_answer_is() -> None:
    served = Served()
    served.add([7, 8], NOON)
    turn = Observation(op="chat", pieces=(7, 8), said=7, answers=1)
    assert served.look(turn, NOON) == (0, True)
    assert served.look(Observation(op="chat", pieces=(7, 8, 9)), NOON) == (2, False)
    assert served.look(Observation(op="chat", pieces=(9,), said=9, answers=1), NOON) == (0, False)
    assert served.look(Observation(op="chat"), NOON) == (0, False)


@pytest.mark.parametrize("size", [0, ROW - 1])
def test_without_room_nothing_is_remembered(size: int) -> None:
    served = Served(size)
    served.add([7], NOON)
    assert not served
    assert (served.answers(7, NOON), served.look(Observation(pieces=(7,)), NOON), served.pieces) == (0, (0, False), 0)


STEPS = st.lists(
    st.tuples(
        st.integers(-3, 30),  # hours that go by
        st.lists(st.integers(0, 39), max_size=5, unique=True),  # served
        st.sets(st.integers(0, 39), max_size=3),  # of what was asked
    ),
    max_size=40,
)
FORTY = prints(40)


@hypothesis(max_examples=200, deadline=None)
@given(STEPS)
def test_it_knows_exactly_what_was_served_in_the_last_day(steps: list[tuple[int, list[int], set[int]]]) -> None:
    """Against a dict of piece -> hour and answers; 40 pieces on 100 rows fill none, and no two look alike."""
    served, known, now, latest = Served(100 * ROW), dict[int, tuple[int, int]](), NOON, 0
    for passed, pieces, asked in steps:
        now += passed * HOUR
        latest = max(latest, now // HOUR)
        known = {each: found for each, found in known.items() if latest - found[0] <= 24}
        served.add([FORTY[each] for each in pieces], now, {FORTY[each] for each in asked})
        for each in asked & known.keys():
            known[each] = known[each][0], min(known[each][1] + 1, COMMON)
        for each in pieces:
            before = known.get(each, (0, 0))[1]
            known[each] = latest, (before or COMMON) if each in asked else min(before + 1, COMMON)
        for each in range(40):
            assert served.answers(FORTY[each], now) == known.get(each, (0, 0))[1]
        assert served.pieces == len(known)
    assert served.evicted == 0


def whole(served: Served) -> tuple[bytes, bytes]:
    tags, marks = zip(*served.parts(), strict=True)
    return b"".join(tags), b"".join(marks)


@given(st.lists(st.tuples(st.integers(0, 2**53 - 1), st.integers(0, 30)), max_size=60))
def test_another_process_goes_on_with_what_one_held(served: list[tuple[int, int]]) -> None:
    one, now = Served(1280), 0
    for piece, hours in served:
        now += hours * HOUR // 4
        one.add((piece,), now)
    other = Served(1280)
    assert other.hold(*one.clock, *whole(one))
    assert (other.pieces, other.evicted) == (one.pieces, one.evicted)
    for piece, _ in served:
        assert other.answers(piece, now) == one.answers(piece, now)
    later = now + 20 * HOUR
    one.add((1,), later)
    other.add((1,), later)
    assert whole(other) == whole(one)
    assert other.pieces == one.pieces


def test_a_table_of_another_size_is_not_taken_over() -> None:
    one, other = Served(1280), Served(2560)
    one.add((5,), HOUR)
    assert not other.hold(*one.clock, *whole(one))
    assert not other.pieces
