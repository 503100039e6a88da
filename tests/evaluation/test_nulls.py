"""The halves that nulls are fitted and tried on, and fitted nulls put into the shipped packs."""

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
