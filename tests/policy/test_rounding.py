"""Rounding without decimal text: what `round` gives, but in the very middle between two decimals."""

from fractions import Fraction
from math import inf, isnan, nan

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.rounding import TO_HUNDREDTHS, TO_THOUSANDTHS, hundredths, thousandths
from gateway.policy.templates import filled_value

near = st.builds(  # within a few units in the last place of the middle between two decimals
    lambda count, half, steps: (count + half) / 1000.0 * (1.0 + steps * 2.0**-52),
    st.integers(-(10**7), 10**7),
    st.sampled_from([0.0, 0.5]),
    st.integers(-3, 3),
)
MOST = 2.0**40


@given(st.one_of(st.floats(-MOST, MOST), near, st.floats(-100, 100)))
@example(2.675)
@example(0.0005)
@example(-0.004)
@example(-0.0)
def test_it_is_round_but_in_the_middle_of_two_decimals(x: float) -> None:
    for ours, places in ((hundredths, 2), (thousandths, 3)):
        found, expected = ours(x), round(x, places)
        last = abs(Fraction(x)) * 10**places * Fraction(2) ** -51  # what scaling may be off by
        middle = abs(abs(Fraction(x) * 10**places % 1) - Fraction(1, 2)) <= max(Fraction(2) ** -9, last)
        near = abs(Fraction(found) - Fraction(x)) * 10**places <= Fraction(1, 2) + max(Fraction(2) ** -9, last)
        assert found == expected or (middle and near)
        assert ours(found) == found  # what a record prints is read as it was


@given(st.floats(-3.4e38, 3.4e38))
@example(1e300)
def test_a_large_count_stays_what_it_is(x: float) -> None:
    assert abs(thousandths(x) - x) <= 0.0005 + abs(x) * 2.0**-50


def test_what_is_no_number_stays_one() -> None:
    assert thousandths(inf) == inf
    assert isnan(hundredths(nan))


@given(st.floats(-1e9, 1e9))
def test_the_text_that_is_compiled_says_the_same(x: float) -> None:
    for ours, text in ((hundredths, TO_HUNDREDTHS), (thousandths, TO_THOUSANDTHS)):
        assert eval(text.replace("X", repr(x))) == ours(x)
        assert filled_value(text, X="x") is not None


def test_by_hand() -> None:
    assert (hundredths(12.345678), hundredths(-3.006), thousandths(0.6666), thousandths(417.99951)) == (
        *(12.35, -3.01, 0.667, 418.0),
    )
