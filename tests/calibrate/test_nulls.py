"""Nulls by moments: worked out by hand, and found again where they are known; and what goes together."""

from random import Random

import pytest

from gateway.calibrate.nulls import Null, fit, rates, together
from gateway.policy.evidence import beta_of
from tests.calibrate.scored import policy

SHIPPED = Null(0.03, 0.4)


def test_owners_of_as_many_requests_each() -> None:
    # mean 1/4; squares of the distances from it 0.05 = 3/16 * (0.03 + rho * (3 - 0.03)): four weights of one, each
    # less its quarter, make 3, and a hundredth of that is chance
    found = fit([(10, 100), (20, 100), (30, 100), (40, 100)], SHIPPED)
    assert found.mean == pytest.approx(0.25)
    assert found.rho == pytest.approx((0.05 / 0.1875 - 0.03) / 2.97)


def test_owners_that_are_alike_have_the_least_rho() -> None:
    assert fit([(8, 64), (8, 64), (8, 64)], SHIPPED) == Null(0.125, 0.01)


def test_owners_that_always_or_never_do_have_the_largest() -> None:
    assert fit([(0, 50), (50, 50), (0, 50), (0, 50)], SHIPPED) == Null(0.25, 0.95)


def test_what_nobody_does_says_nothing_of_rho() -> None:
    assert fit([(0, 50), (0, 3)], SHIPPED) == Null(0.001, 0.4)
    assert fit([(50, 50), (3, 3)], SHIPPED) == Null(0.95, 0.4)
    assert fit([], SHIPPED) == fit([(0, 0)], SHIPPED) == SHIPPED


def test_one_owner_with_most_requests_does_not_speak_for_all() -> None:
    found = fit([(9_000, 10_000), *[(at % 3, 50) for at in range(30)]], SHIPPED)
    assert found.mean < 0.2  # of all requests most are hits, of the owners few have any


@pytest.mark.parametrize(("mean", "rho"), [(0.05, 0.1), (0.1, 0.45), (0.4, 0.3)])
def test_a_known_null_is_found_again(mean: float, rho: float) -> None:
    draw = Random(7)
    counts = []
    for _ in range(1500):
        share, of = draw.betavariate(*beta_of(mean, rho)), draw.choice((5, 20, 80, 300))
        counts.append((float(sum(draw.random() < share for _ in range(of))), float(of)))
    found = fit(counts, SHIPPED)
    assert found.mean == pytest.approx(mean, rel=0.15)
    assert found.rho == pytest.approx(rho, rel=0.2)


def test_the_shares_of_a_policy_are_named_once() -> None:
    assert rates(policy()) == ("streamed_share",)


def test_what_goes_together_is_the_mean_correlation_of_lines_that_both_count() -> None:
    (card,) = policy().scorecards
    pairs = [{"streams": 1.0, "probs": 2.0}, {"streams": 2.0, "probs": 4.0}, {"streams": 3.0, "probs": 6.0}, {}]
    (found,) = together(card, pairs)
    assert (found.family, found.lines, found.pairs, found.assumed) == ("params", 2, 1, 0.3)
    assert found.measured == pytest.approx(1.0)
    (found,) = together(card, [{"streams": 1.0}, {"probs": 1.0}, {"streams": 1.0, "probs": 1.0}, {}])
    assert found.measured == pytest.approx(0.0)
    (found,) = together(card, [{"streams": 1.0}, {"streams": 2.0}])
    assert (found.pairs, found.measured) == (0, None)
