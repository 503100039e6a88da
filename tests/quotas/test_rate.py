"""The GCRA cell: what fits, what is left, how long to wait."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.quotas import Draw, draw_rate

SECOND = 1_000_000
START = 1_700_000_000 * SECOND


def rate(amount: int, period: int, capacity: int, cost: int, *, shadow: bool = False) -> Draw:
    return Draw("limit", "limit|1:a", "rate", "requests", amount, period, capacity, cost, shadow=shadow)


terms = st.tuples(
    st.integers(1, 10**7),
    st.sampled_from([SECOND, 60 * SECOND, 3600 * SECOND, 86_400 * SECOND]),
    st.integers(1, 10**7),
)
small_terms = st.tuples(st.integers(1, 1000), st.sampled_from([SECOND, 60 * SECOND]), st.integers(1, 60))


def test_sixty_a_minute_with_a_burst_of_twenty_passes_twenty_at_once_and_then_one_a_second() -> None:
    draw = rate(60, 60 * SECOND, 20, 1)
    tat = 0
    for left in range(19, -1, -1):
        tat, reading = draw_rate(tat, draw, START)
        assert (reading.ok, reading.left, reading.wait) == (True, left, 0)
    same, refused = draw_rate(tat, draw, START)
    assert (refused.ok, refused.left, refused.wait, refused.reset) == (False, 0, SECOND, 20 * SECOND)
    assert same == tat
    assert draw_rate(tat, draw, START + SECOND - 1)[1].wait == 1
    assert draw_rate(tat, draw, START + SECOND)[1].ok


@given(small_terms)
def test_as_many_single_units_as_the_burst_pass_at_one_instant_and_no_more(t: tuple[int, int, int]) -> None:
    amount, period, capacity = t
    draw = rate(amount, period, capacity, 1)
    tat, passed = 0, 0
    while passed <= capacity:
        tat, reading = draw_rate(tat, draw, START)
        if not reading.ok:
            break
        passed += 1
    assert passed == capacity


@given(terms, st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_never_more_than_the_burst_passes_at_one_instant(t: tuple[int, int, int], costs: list[int]) -> None:
    tat, passed = 0, 0
    for cost in costs:
        tat, reading = draw_rate(tat, rate(*t, cost % (t[2] + 2)), START)
        passed += reading.cost if reading.ok else 0
    assert passed <= t[2]


@given(small_terms, st.lists(st.tuples(st.integers(0, 2 * SECOND), st.integers(1, 30)), max_size=60))
def test_every_window_holds_less_than_one_unit_above_burst_plus_rate(
    t: tuple[int, int, int], steps: list[tuple[int, int]]
) -> None:
    amount, period, capacity = t
    tat, now, passed = 0, START, list[tuple[int, int]]()
    for wait, cost in steps:
        now += wait
        tat, reading = draw_rate(tat, rate(amount, period, capacity, cost), now)
        if reading.ok:
            passed.append((now, cost))
    for first in range(len(passed)):
        total = 0
        for at, cost in passed[first:]:
            total += cost
            assert total < capacity + Fraction(amount * (at - passed[first][0]), period) + 1


@given(terms, st.integers(0, 10**14), st.integers(0, 10**7))
def test_a_request_that_waits_exactly_as_long_as_it_was_told_is_admitted(
    t: tuple[int, int, int], backlog: int, cost: int
) -> None:
    draw, tat = rate(*t, cost), START + backlog
    _, reading = draw_rate(tat, draw, START)
    if reading.wait < 0:
        assert cost > t[2]
    elif reading.wait:
        assert not draw_rate(tat, draw, START + reading.wait - 1)[1].ok
        assert draw_rate(tat, draw, START + reading.wait)[1].ok
    else:
        assert reading.ok


@given(terms, st.integers(0, 10**14))
def test_what_is_left_can_be_drawn_at_once_and_one_more_cannot(t: tuple[int, int, int], backlog: int) -> None:
    tat = START + backlog
    left = draw_rate(tat, rate(*t, 1), START, charge=False)[1].left
    if left:
        assert draw_rate(tat, rate(*t, left), START)[1].ok
    assert not draw_rate(tat, rate(*t, left + 1), START)[1].ok


@given(terms, st.integers(1, 10**14))
def test_after_the_reset_time_the_cell_is_full(t: tuple[int, int, int], backlog: int) -> None:
    tat = START + backlog
    reading = draw_rate(tat, rate(*t, 1), START, charge=False)[1]
    full = draw_rate(tat, rate(*t, t[2]), START + reading.reset)[1]
    assert full.ok


def test_a_cost_above_the_burst_never_passes_and_says_so() -> None:
    tat, reading = draw_rate(0, rate(60, 60 * SECOND, 20, 21), START)
    assert (tat, reading.ok, reading.wait, reading.left) == (0, False, -1, 20)


def test_a_rate_of_nothing_never_passes() -> None:
    assert draw_rate(0, rate(0, 60 * SECOND, 0, 1), START)[1].wait == -1
    assert draw_rate(0, rate(0, 60 * SECOND, 0, 0), START)[1].wait == -1


def test_looking_charges_nothing() -> None:
    tat, reading = draw_rate(0, rate(60, 60 * SECOND, 20, 5), START, charge=False)
    assert (tat, reading.ok, reading.left) == (0, True, 20)
