"""The tail of a beta distribution, against sums of fractions and closed forms."""

from collections.abc import Callable
from fractions import Fraction
from math import asin, comb, pi, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.evidence import beta_of
from gateway.policy.tail import above

sizes = st.floats(1e-6, 1e6)
shares = st.floats(0, 1)


def exact(share: float, a: int, b: int) -> float:
    """For whole a, b the tail is a binomial's: fewer than a of a+b-1 coins of that share."""
    n, x = a + b - 1, Fraction(share)
    return float(sum(comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a)))


@pytest.mark.parametrize("a", [1, 2, 5, 30, 200])
@pytest.mark.parametrize("b", [1, 3, 9, 150])
@pytest.mark.parametrize("share", [0.001, 0.03, 0.2, 0.5, 0.8, 0.97])
def test_whole_parameters_are_a_binomial_s_tail(share: float, a: int, b: int) -> None:
    assert above(share, (a, b)) == pytest.approx(exact(share, a, b), rel=1e-10)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.77, 0.999])
def test_the_arcsine_law_and_the_powers(share: float) -> None:
    assert above(share, (0.5, 0.5)) == pytest.approx(1 - 2 / pi * asin(sqrt(share)), rel=1e-10)
    assert above(share, (1.0, 7.5)) == pytest.approx((1 - share) ** 7.5, rel=1e-10)
    assert above(share, (2.5, 1.0)) == pytest.approx(1 - share**2.5, rel=1e-10)


def test_half_of_a_symmetric_one_is_above_its_middle_however_narrow() -> None:
    for size in (1e-6, 0.3, 1.0, 40.0, 1e6):
        assert above(0.5, (size, size)) == pytest.approx(0.5, abs=1e-9)


def test_three_percent_of_owners_on_average() -> None:
    """Beta(0.3033, 9.8078), by Simpson's rule over its density."""
    null = beta_of(0.03, 0.09)
    assert above(0.5, null) == pytest.approx(simpson(0.5, *null), rel=1e-6)
    assert above(0.1, null) == pytest.approx(simpson(0.1, *null), rel=1e-6)


def simpson(share: float, a: float, b: float, steps: int = 20_000) -> float:
    """The density's integral from `share` to 1, over the one from 0, whose pole at 0 is taken away by x = u^(1/a)."""

    def density(x: float) -> float:
        return float(x ** (a - 1) * max(0.0, 1 - x) ** (b - 1))

    def integral(f: Callable[[float], float], low: float, high: float) -> float:
        h = (high - low) / steps
        inner = sum((4 if at % 2 else 2) * f(low + at * h) for at in range(1, steps))
        return h / 3 * (f(low) + inner + f(high))

    whole = integral(lambda u: max(0.0, 1 - u ** (1 / a)) ** (b - 1) / a, 0.0, 1.0)
    return integral(density, share, 1.0) / whole


@given(sizes, sizes, shares, shares)
def test_it_is_a_probability_and_falls_as_the_share_rises(a: float, b: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= above(high, (a, b)) <= above(low, (a, b)) + 1e-7 <= 1.0 + 1e-7
    assert (above(0.0, (a, b)), above(1.0, (a, b))) == (1.0, 0.0)
