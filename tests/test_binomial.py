"""Bounds of a share, against exact rational arithmetic and against the published table."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.binomial import allowed, at_most, lower, needed, upper

FIVE = Fraction(1, 20)


def exactly(k: int, n: int, p: Fraction) -> Fraction:
    """P(at most k of n), without rounding."""
    return sum((comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)), Fraction(0))


@given(st.integers(1, 120), st.data())
def test_the_sum_is_that_of_rational_numbers(n: int, data: st.DataObject) -> None:
    k, part = data.draw(st.integers(0, n)), data.draw(st.integers(0, 64))
    assert at_most(k, n, part / 64) == pytest.approx(float(exactly(k, n, Fraction(part, 64))), rel=1e-9, abs=1e-12)


@given(st.integers(1, 80), st.data())
def test_a_bound_lies_where_the_probability_is_one_in_twenty(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    bound = Fraction(upper(k, n))
    step = Fraction(1, 10**9)
    assert exactly(k, n, bound - step) > FIVE > exactly(k, n, bound + step)


@given(st.integers(1, 80), st.data())
def test_a_lower_bound_is_the_mirror_of_an_upper_one(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    bound, step = Fraction(lower(k, n)), Fraction(1, 10**9)
    assert 1 - exactly(k - 1, n, bound - step) < FIVE < 1 - exactly(k - 1, n, bound + step)


@given(st.integers(1, 400), st.integers(1, 99))
def test_the_most_that_may_pass_is_the_largest_that_is_safe(n: int, percent: int) -> None:
    alpha = Fraction(percent, 100)
    safe = [k for k in range(n) if exactly(k, n, alpha) <= FIVE] if n <= 60 else None
    found = allowed(n, percent / 100)
    if safe is not None:
        assert found == (safe[-1] if safe else None)
    if found is not None:
        assert exactly(found, n, alpha) <= FIVE < exactly(found + 1, n, alpha)
    else:
        assert exactly(0, n, alpha) > FIVE


@pytest.mark.parametrize(
    ("alpha", "k", "n"),
    [(0.001, 0, 2995), (0.001, 1, 4742), (0.001, 2, 6294), (0.001, 5, 10_511), (0.0001, 0, 29_956), (0.01, 0, 299)],
)
def test_the_table_of_samples(alpha: float, k: int, n: int) -> None:
    assert needed(alpha, k) == n
    assert allowed(n, alpha) == k
    assert allowed(n - 1, alpha) == (k - 1 if k else None)


def test_what_a_few_owners_support() -> None:
    assert int(1 / upper(0, 200)) == 67
    assert upper(0, 423) == pytest.approx(1 - 0.05 ** (1 / 423), rel=1e-12)


def test_of_nobody_nothing_is_known() -> None:
    assert (upper(0, 0), lower(0, 0), allowed(0, 0.5)) == (1.0, 0.0, None)
    assert (upper(7, 7), lower(0, 7)) == (1.0, 0.0)
    assert (allowed(5, 1.0), allowed(1, 1.0), needed(1.0)) == (4, 0, 1)
    assert (at_most(-1, 5, 0.5), at_most(5, 5, 0.5), at_most(2, 5, 0.0), at_most(2, 5, 1.0)) == (0.0, 1.0, 1.0, 0.0)


def test_all_owners_of_a_large_deployment_are_counted() -> None:
    n = 1_000_000
    k = allowed(n, 0.001)
    assert k is not None
    assert 900 < k < 1000
    assert upper(k, n) <= 0.001 < upper(k + 1, n)
    assert lower(1100, n) > 0.001


@pytest.mark.parametrize("alpha", [0.0, 1.1, -1.0])
def test_what_is_no_share_is_none(alpha: float) -> None:
    assert allowed(100, alpha) is None
    with pytest.raises(ValueError, match="above 0"):
        needed(alpha)
