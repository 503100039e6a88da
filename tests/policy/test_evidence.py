"""The arithmetic of scorecards, against values worked out by other means."""

from math import inf, isfinite, log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.evidence import FLOOR, bayes_factor, beta_of, family, interpolate, support

FLAT = (1.0, 1.0)
DEFAULT = (1.5, 1.5)

counts = st.floats(0, 1e6)
shares = st.floats(0.001, 0.999)
dbs = st.floats(-60, 60)
pieces = st.lists(st.tuples(dbs, st.floats(1, 60)), max_size=8)


def test_a_beta_is_told_by_its_mean_and_the_likeness_within_an_owner() -> None:
    a, b = beta_of(0.03, 0.09)
    assert a / (a + b) == pytest.approx(0.03)
    assert 1 / (a + b + 1) == pytest.approx(0.09)
    assert beta_of(0.5, 0.25) == pytest.approx(DEFAULT)


def test_one_request_is_worth_the_ratio_of_the_means() -> None:
    """With n = 1 a beta-binomial is a coin of its mean: 0.5 against 0.03 for a hit, 0.5 against 0.97 for a miss."""
    null = beta_of(0.03, 0.09)
    assert bayes_factor(1, 1, null, DEFAULT) == pytest.approx(10 * log10(0.5 / 0.03))
    assert bayes_factor(0, 1, null, DEFAULT) == pytest.approx(10 * log10(0.5 / 0.97))


def test_flat_against_flat_says_nothing_and_two_requests_are_as_by_hand() -> None:
    assert bayes_factor(7, 20, FLAT, FLAT) == pytest.approx(0)
    # two hits of two: E[p²] is 1/3 under Beta(1, 1) and 0.3 under Beta(1, 1.5): a(a+1)/((a+b)(a+b+1)) = 2/8.75
    assert bayes_factor(2, 2, (1.0, 1.5), FLAT) == pytest.approx(10 * log10((1 / 3) / (2 / 8.75)))


@pytest.mark.parametrize("share, expected", [(0.2, 4.3), (0.3, 10.4), (0.5, 22.7), (0.8, 47.0)])
def test_the_published_mean_weights_of_thirty_requests(share: float, expected: float) -> None:
    """Design notes on extraction, 3.2: mean dB of an account of 30 requests, null Beta(0.3, 9.7)."""
    from math import comb

    mean = sum(
        comb(30, k) * share**k * (1 - share) ** (30 - k) * bayes_factor(k, 30, (0.3, 9.7), DEFAULT) for k in range(31)
    )
    assert mean == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize("level, bound", [(10, 0.1), (20, 0.01), (30, 0.001)])
def test_false_alarms_of_benign_owners_stay_below_villes_bound(level: int, bound: float) -> None:
    """P(BB >= x) under the hierarchical null itself, summed exactly over every count of 50 requests."""
    from math import comb, exp, lgamma

    a, b, n = 0.3, 9.7, 50

    def beta(x: float, y: float) -> float:
        return lgamma(x) + lgamma(y) - lgamma(x + y)

    over = sum(
        comb(n, k) * exp(beta(a + k, b + n - k) - beta(a, b))
        for k in range(n + 1)
        if bayes_factor(k, n, (a, b), DEFAULT) >= level
    )
    assert 0 < over < bound


@given(counts, counts, shares, shares, shares, shares)
def test_any_counts_give_a_finite_worth(hits: float, of: float, m0: float, r0: float, m1: float, r1: float) -> None:
    assert isfinite(bayes_factor(hits, of, beta_of(m0, r0), beta_of(m1, r1)))


@given(st.integers(1, 300), st.data())
def test_one_more_hit_of_as_many_never_lowers_the_worth(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of - 1))
    null = beta_of(0.03, 0.09)
    assert bayes_factor(hits + 1, of, null, DEFAULT) >= bayes_factor(hits, of, null, DEFAULT)


def test_a_curve_is_level_outside_and_straight_between() -> None:
    points = [(0.0, -3.0), (0.5, 0.0), (0.9, 3.0)]
    assert [interpolate(points, x) for x in (-inf, 0, 0.25, 0.5, 0.7, 0.9, 5)] == pytest.approx(
        [-3, -3, -1.5, 0, 1.5, 3, 3]
    )


def test_half_counts_at_twenty_requests() -> None:
    assert (support(0), support(20), support(60)) == (0, 0.5, 0.75)


def test_the_discount_of_a_family_is_as_by_hand() -> None:
    worth = family([(10, 25), (6, 25), (1, 25)], ceiling=25, correlation=0.3)
    assert worth == pytest.approx(max(10, 16 / 1.3, 17 / 1.6))
    assert family([(10, 25), (10, 25)], ceiling=25, correlation=0) == 20
    assert family([(10, 25), (10, 25)], ceiling=25, correlation=1) == 10


def test_a_family_has_a_ceiling_and_a_floor() -> None:
    assert family([(24, 25), (24, 25)], ceiling=25, correlation=0.3) == 25
    assert family([(-20, 25), (-20, 25)], ceiling=25, correlation=0.3) == FLOOR
    assert family([], ceiling=25, correlation=0.3) == 0


def test_a_ceiling_above_the_familys_lifts_it_for_that_line_alone() -> None:
    assert family([(50, 30)], ceiling=20, correlation=0.3) == 30
    assert family([(50, 20), (15, 30)], ceiling=20, correlation=0.3) == 20
    assert family([(50, 30), (-4, 20)], ceiling=20, correlation=0.3) == 26


@given(pieces, st.tuples(st.floats(0, 60), st.floats(1, 60)), st.floats(0, 1))
def test_one_more_trace_never_lowers_a_family(
    found: list[tuple[float, float]], more: tuple[float, float], correlation: float
) -> None:
    before = family(found, ceiling=25, correlation=correlation)
    assert family([*found, more], ceiling=25, correlation=correlation) >= before - 1e-9


@given(pieces, st.integers(0, 7), st.floats(0, 30), st.floats(0, 1))
def test_raising_one_trace_never_lowers_a_family(
    found: list[tuple[float, float]], at: int, by: float, correlation: float
) -> None:
    if at >= len(found):
        return
    raised = [(db + by, own) if n == at else (db, own) for n, (db, own) in enumerate(found)]
    before = family(found, ceiling=25, correlation=correlation)
    assert family(raised, ceiling=25, correlation=correlation) >= before - 1e-9


@given(pieces, st.floats(0, 1), st.floats(5, 40))
def test_a_family_stays_within_its_bounds(found: list[tuple[float, float]], correlation: float, ceiling: float) -> None:
    highest = max([ceiling, *(own for _, own in found)])
    assert FLOOR <= family(found, ceiling=ceiling, correlation=correlation) <= highest
