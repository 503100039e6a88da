"""Nulls by moments: worked out by hand, found again where they are known, and put into the shipped packs."""

from random import Random

import pytest

from gateway.files import resolver
from gateway.policy.evidence import beta_of
from gateway.policy.loader import load
from gateway.policy.model import Policy
from tests.evaluation.__main__ import POLICY
from tests.evaluation.nulls import Fitted, Null, fit, fitted, overlay, to_fit

SHIPPED = Null(0.03, 0.4)


def policy_of(text: str) -> Policy:
    return load(text, str(POLICY), resolver(POLICY.parent))


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


def test_the_halves_are_stable_and_nearly_equal() -> None:
    names = [f"acct-{at}" for at in range(1000)]
    assert [to_fit(name) for name in ("a", "b", "acct-1", "acct-2")] == [False, True, False, True]
    assert 450 < sum(map(to_fit, names)) < 550


def test_fitted_nulls_take_the_place_of_the_shipped_ones_and_of_nothing_else() -> None:
    text = POLICY.read_text()
    shipped = policy_of(text)
    lines = {(card.id, line.id): line for card in shipped.scorecards for line in card.evidence if line.kind == "rate"}
    owners = [{line.text: (1.0, 10.0) for line in lines.values()}, {line.text: (4.0, 10.0) for line in lines.values()}]
    found = fitted(shipped, owners)
    assert [(each.card, each.line) for each in found] == list(lines)
    assert {(each.owners, each.hitting) for each in found} == {(2, 2)}
    assert all(
        beta_of(each.shipped.mean, each.shipped.rho) == pytest.approx(lines[each.card, each.line].null)
        for each in found
    )
    changed = policy_of(text + overlay(found))
    assert changed.digest != shipped.digest
    assert changed.rules == shipped.rules
    null = fit([(1.0, 10.0), (4.0, 10.0)], SHIPPED)
    for before, after in zip(shipped.scorecards, changed.scorecards, strict=True):
        for old, new in zip(before.evidence, after.evidence, strict=True):
            if old.kind == "rate":
                assert new.null == pytest.approx(beta_of(null.mean, null.rho), rel=1e-3)
                assert new.alternative == old.alternative
            else:
                assert new == old


def test_nothing_to_fit_is_no_overlay() -> None:
    assert overlay([]) == ""
    line = Fitted("card", "line", SHIPPED, Null(0.0012345, 0.5), 2, 1)
    at = "evidence.line.benign"
    assert overlay([line]) == (
        f'\nscorecards:\n  - {{id: card, set: {{"{at}.mean": 0.123450%, "{at}.rho": 0.500000}}}}\n'
    )
