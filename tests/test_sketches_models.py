"""What came before, and what comes most: the sketches beside exact models that forget nothing."""

from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.sketches import HIGHEST, Common, Seen

START = 3  # where in the bytes a sketch begins
MARGIN = 5  # bytes after it
TURN = -1  # among the steps: the period is over


def print_of(number: int, seed: int = 0) -> int:
    """A fingerprint of 53 bits, as those of texts are."""
    return int.from_bytes(blake2b(b"%d %d" % (seed, number), digest_size=8).digest(), "big") >> 11


def room(size: int) -> bytearray:
    return bytearray(b"\xaa" * START + bytes(size) + b"\xaa" * MARGIN)


def untouched(data: bytearray) -> bool:
    return data[:START] == b"\xaa" * START and data[-MARGIN:] == b"\xaa" * MARGIN


@given(
    st.integers(1, 9),
    st.lists(st.one_of(st.integers(0, 60), st.just(TURN)), max_size=200),
    st.integers(0, 1 << 30),
)
def test_seen_answers_for_its_sample_what_two_sets_answer(entries: int, steps: list[int], seed: int) -> None:
    """And only for it: those whose lowest bits are zero, as many bits as the higher level of both tables has.

    A false "before" has a probability of some 2 * 9 / 2^(32 - 6) = 3e-7 a step here.
    """
    seen = Seen(entries)
    data = room(seen.size)
    now: set[int] = set()
    former: set[int] = set()
    for step in steps:
        if step == TURN:
            seen.turn(data, START)
            now, former = set(), now
            continue
        print_ = print_of(step, seed)
        one_in = seen.one_in(data, START)
        before = seen.add(data, START, print_)
        if print_ % one_in:
            assert before is None
        else:
            assert before is (print_ in now or print_ in former)
        now.add(print_)
        assert data[START] <= HIGHEST and data[START + 1] <= entries
    assert untouched(data)


@given(st.integers(1, 5), st.lists(st.integers(0, 63), max_size=100))
def test_fingerprints_that_all_end_in_zeros_leave_the_level_bounded(entries: int, high: list[int]) -> None:
    seen = Seen(entries)
    data = room(seen.size)
    for number in high:
        seen.add(data, START, number << HIGHEST)
        assert data[START] <= HIGHEST and data[START + 1] <= entries
    assert untouched(data)


@given(st.binary(min_size=8, max_size=8), st.integers(0, (1 << 53) - 1))
def test_bytes_of_two_entries_are_never_taken_for_one(raw: bytes, print_: int) -> None:
    seen = Seen(4)
    data = bytearray(seen.size)
    first, second = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:], "little")
    seen.add(data, 0, first)
    seen.add(data, 0, second)
    straddling = int.from_bytes(raw[1:5], "little")
    assert seen.add(bytearray(data), 0, straddling) is (straddling in (first, second))
    assert seen.add(data, 0, print_) is (print_ & 0xFFFFFFFF in (first, second))


@pytest.mark.parametrize(
    ("count", "error"), [(1, 0), (62, 0), (63, 0.61), (1000, 0.61), (20_000, 0.61), (100_000, 0.61)]
)
def test_how_many_different_ones_came(count: int, error: float) -> None:
    """Four standard errors of 1.2 / sqrt(62) = 15 %; to the table's size it is exact."""
    seen = Seen(62)
    data = bytearray(seen.size)
    for number in range(count):
        seen.add(data, 0, print_of(number))
    assert seen.different(data, 0) == pytest.approx(count, rel=error)


def test_the_estimate_has_the_standard_error_that_is_documented() -> None:
    """Of 1,000 over forty keys: no bias beyond three standard errors of the mean, and the spread within a half."""
    found = []
    for seed in range(40):
        seen = Seen(62)
        data = bytearray(seen.size)
        for number in range(1000):
            seen.add(data, 0, print_of(number, seed))
        found.append(seen.different(data, 0) / 1000)
    mean = sum(found) / 40
    spread = (sum((each - mean) ** 2 for each in found) / 39) ** 0.5
    assert mean == pytest.approx(1, abs=3 * 0.152 / 40**0.5)
    assert spread == pytest.approx(0.152, rel=0.5)


def test_what_came_once_is_not_taken_for_what_came_before() -> None:
    """100,000 different ones: 2 * 62 / 2^(32 - 11) = 6e-5 for each of the some 46 * 11 that are looked at."""
    seen = Seen(62)
    data = bytearray(seen.size)
    assert not any(seen.add(data, 0, print_of(number)) for number in range(100_000))


def test_each_answer_stands_for_as_many_as_it_says() -> None:
    """Before and after a turn, what was looked at adds up to what came."""
    seen = Seen(62)
    data = bytearray(seen.size)
    for _ in range(2):
        looked = fresh = 0
        for number in range(5000):
            one_in = seen.one_in(data, 0)
            before = seen.add(data, 0, print_of(number))
            if before is not None:
                looked += one_in
                fresh += one_in * (not before)
        assert looked == pytest.approx(5000, rel=0.4)
        assert fresh in (0, looked)
        seen.turn(data, 0)
    assert fresh == 0  # the second time all of them had come before


def test_after_two_turns_it_is_forgotten() -> None:
    seen = Seen(4)
    data = bytearray(seen.size)
    assert seen.add(data, 0, 8) is False
    assert seen.different(data, 0) == 1
    seen.turn(data, 0)
    assert seen.different(data, 0) == 0
    assert seen.add(data, 0, 8) is True
    assert seen.different(data, 0) == 1
    seen.turn(data, 0)
    seen.turn(data, 0)
    assert seen.add(data, 0, 8) is False


@pytest.mark.parametrize("entries", [-1, 0, 256])
def test_a_table_has_1_to_255_entries(entries: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        Seen(entries)
    assert (Seen(1).size, Seen(255).size) == (12, 2044)


STEPS = st.lists(
    st.tuples(st.integers(1, 9), st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from([1.0, 0.9, 0.5])), max_size=120
)


@settings(max_examples=300)
@given(STEPS)
def test_common_is_short_by_at_most_its_part_of_all(steps: list[tuple[int, float, float]]) -> None:
    """And never long. A slot of less than 0.001 is given away, which may cost as much a step."""
    common = Common()
    data = room(common.size)
    exact: dict[int, float] = {}
    for at, (print_, weight, decay) in enumerate(steps, 1):
        for each in exact:
            exact[each] *= decay
        exact[print_] = exact.get(print_, 0.0) + weight
        counted = common.add(data, START, print_, weight, decay)
        short = sum(exact.values()) / 5 + at * 1e-3
        slack = 1e-5 * sum(exact.values())
        assert exact[print_] - short - slack <= counted <= exact[print_] + slack
        most = common.most(data, START)
        assert max(exact.values()) - short - slack <= most <= max(exact.values()) + slack
    assert untouched(data)


def test_common_by_hand() -> None:
    common = Common()
    data = bytearray(common.size)
    for print_, counted in ((7, 1), (7, 2), (8, 1), (9, 1), (10, 1), (11, 0), (8, 1), (7, 2)):
        # 11 takes one of each, so that 8, 9 and 10 have none; 8 comes again before anybody takes its place
        assert common.add(data, 0, print_, 1.0, 1.0) == counted
    assert common.most(data, 0) == 2
    assert common.add(data, 0, 12, 5.0, 1.0) == 5  # in the place that 10 had
    assert common.add(data, 0, 13, 3.0, 1.0) == 3  # in that of 9
    assert common.add(data, 0, 14, 3.0, 1.0) == 2  # takes one of each and gives one, so 8 has none and it has a place
    assert common.most(data, 0) == 4
    assert common.add(data, 0, 7, 1.0, 1.0) == 2  # it has lost one


def test_common_decays_before_it_counts() -> None:
    common = Common()
    data = bytearray(common.size)
    common.add(data, 0, 7, 8.0, 1.0)
    assert common.add(data, 0, 8, 1.0, 0.5) == 1
    assert common.most(data, 0) == 4
    assert common.add(data, 0, 7, 1.0, 0.5) == 3
