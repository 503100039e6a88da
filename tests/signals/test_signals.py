"""Counts that decay."""

from math import e

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.signals import DAY, HOUR, SPANS, WEEK, decayed
from gateway.signals.habits import Habits
from gateway.signals.volume import COUNTED, Volume

T0 = 1_800_000_000_000_000


def test_a_request_counts_one_and_an_e_th_one_time_constant_later() -> None:
    state = Volume().asked(T0)
    assert state.reading("hour", "requests") == 1
    later = state.ended(T0 + HOUR, refused=False, input_tokens=0, output_tokens=0)
    assert later.reading("hour", "requests") == pytest.approx(1 / e)
    assert later.reading("day", "requests") == pytest.approx(e ** (-1 / 24))


def test_at_a_steady_pace_the_count_is_the_number_in_the_span() -> None:
    state = Volume()
    for minute in range(10 * 60):
        state = state.asked(T0 + minute * 60_000_000)
    assert state.reading("hour", "requests") == pytest.approx(60, rel=0.02)


def test_what_a_request_turned_out_to_be_is_counted() -> None:
    state = Volume().asked(T0).ended(T0 + 5, refused=True, input_tokens=7, output_tokens=11)
    found = {name: round(state.reading("week", name), 6) for name in COUNTED}
    assert found == {"requests": 1, "refused": 1, "input_tokens": 7, "output_tokens": 11}


def test_habits_count_hits_of_generating_requests() -> None:
    state = Habits().asked(T0, logprobs=True, choices=False).asked(T0 + 1, logprobs=False, choices=False)
    assert (round(state.of, 6), round(state.hits("logprobs"), 6), state.hits("choices")) == (2, 1, 0)
    old = state.asked(T0 + WEEK, logprobs=False, choices=True)
    assert old.of == pytest.approx(1 + 2 / e)
    assert old.hits("logprobs") == pytest.approx(1 / e)


def test_time_that_runs_backwards_changes_no_count() -> None:
    state = Volume().asked(T0)
    assert state.asked(T0 - DAY) == Volume(T0, *([(2.0, 0.0, 0.0, 0.0)] * 3))


@given(st.lists(st.integers(0, 10**15), max_size=30))
def test_counts_are_finite_never_negative_and_never_more_than_what_came(steps: list[int]) -> None:
    state, now = Volume(), T0
    for step in steps:
        now += step
        state = state.asked(now)
    for span in SPANS:
        assert 0 <= state.reading(span, "requests") <= len(steps) + 1e-9


def test_no_time_no_change() -> None:
    assert decayed((1.0, 2.0), 0, HOUR) == (1.0, 2.0)
    assert decayed((1.0,), 10**18, HOUR) == (0.0,)
