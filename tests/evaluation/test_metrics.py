"""Ten accounts whose figures were worked out by hand."""

from math import inf

import pytest

from tests.evaluation.metrics import Case, auc, summary, threshold, wilson

ALLOW, TAG, CLAMP, THROTTLE, BLOCK = range(5)


def case(
    account: str, family: str, scores: list[float], ranks: list[int], tokens: list[int], label: str = "benign"
) -> Case:
    return Case(account, label, family, scores, ranks, tokens)


TEN = [
    case("a1", "alpha", [1, 5, 2], [ALLOW, THROTTLE, ALLOW], [10, 10, 80], "extraction"),  # caught at 20 %
    case("a2", "alpha", [7, 1], [BLOCK, ALLOW], [5, 95], "extraction"),  # caught at 5 %
    case("b1", "beta", [2, 3], [TAG, CLAMP], [50, 50], "extraction"),  # never
    case("c1", "gamma", [0], [ALLOW], [10]),
    case("c2", "gamma", [0, -9], [ALLOW, ALLOW], [10, 10]),
    case("c3", "gamma", [1], [TAG], [10]),
    case("c4", "gamma", [2], [ALLOW], [10]),
    case("d1", "delta", [1, 3], [ALLOW, ALLOW], [10, 10]),
    case("d2", "delta", [4], [CLAMP], [10]),
    case("d3", "delta", [6, 0], [THROTTLE, ALLOW], [30, 10]),  # a false alarm at 75 %
]


def test_what_is_caught_is_counted_by_account_and_with_its_interval() -> None:
    totals = summary(TEN).totals
    assert (totals.extraction, totals.caught, totals.benign, totals.false_alarms) == (3, 2, 7, 1)
    assert totals.tpr == pytest.approx(2 / 3)
    assert totals.tpr_interval == pytest.approx((0.2077, 0.9385), abs=1e-4)
    assert totals.fpr == pytest.approx(1 / 7)
    assert totals.fpr_interval == pytest.approx((0.0257, 0.5131), abs=1e-4)
    assert totals.benign_tagged == 3  # a throttle is more than a tag


def test_what_was_served_includes_the_request_that_met_the_action() -> None:
    totals = summary(TEN).totals
    assert totals.tokens_served == pytest.approx((20 + 5 + 100) / 300)
    assert totals.tokens_served_median == pytest.approx(0.2)
    assert totals.early == pytest.approx({"5%": 1 / 3, "10%": 1 / 3})
    assert totals.early_of_caught == pytest.approx({"5%": 1 / 2, "10%": 1 / 2})


def test_scores_are_compared_pair_by_pair() -> None:
    totals = summary(TEN).totals
    assert totals.auc == pytest.approx(
        (6 + 7 + 4.5) / 21
    )  # of 7 benign, 6 lie below 5, all below 7, 4 below 3 and one at it
    strict, loose = totals.at_fpr
    assert (strict.threshold, strict.false_alarms) == (6, 0)
    assert strict.tpr == pytest.approx(1 / 3)
    assert strict.interval == pytest.approx((0.0615, 0.7923), abs=1e-4)
    assert (loose.threshold, loose.false_alarms) == (6, 0)  # 1 % of seven is none


def test_families_have_medians_over_all_of_their_accounts() -> None:
    found = summary(TEN)
    alpha, beta = found.extraction
    assert (alpha.family, alpha.accounts, alpha.requests, alpha.acted, alpha.tagged) == ("alpha", 2, 5, 2, 2)
    assert (alpha.median_requests, alpha.median_share) == (1.5, 0.125)
    assert (alpha.median_score, alpha.top_score) == (6, 7)
    assert (beta.acted, beta.tagged, beta.median_requests, beta.median_share) == (0, 1, None, 1.0)
    delta, gamma = found.benign
    assert (delta.acted, delta.tagged, delta.median_requests, delta.median_share) == (1, 2, None, 1.0)
    assert (gamma.family, gamma.accounts, gamma.acted, gamma.tagged) == ("gamma", 4, 0, 1)


def test_a_share_of_no_tokens_is_whether_it_was_met() -> None:
    assert case("a", "alpha", [0], [BLOCK], [0]).share == 0
    assert case("a", "alpha", [0], [CLAMP], [0]).share == 1


def test_nothing_at_all_is_no_division_by_zero() -> None:
    totals = summary([]).totals
    assert [totals.tpr, totals.fpr, totals.auc, totals.tokens_served] == [0.0, 0.0, 0.5, 0.0]
    assert totals.tpr_interval == (0.0, 1.0)
    assert totals.early_of_caught == {"5%": None, "10%": None}


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (54, 60, 0.7985, 0.9534)],
)
def test_wilson(hits: int, of: int, low: float, high: float) -> None:
    assert wilson(hits, of) == pytest.approx((low, high), abs=1e-4)


def test_a_threshold_lets_no_more_than_its_share_lie_above_it() -> None:
    hundred = [float(at) for at in range(100)]
    assert threshold(hundred, 0.0) == 99
    assert threshold(hundred, 0.01) == 98
    assert threshold(hundred, 0.29) == 70  # 0.29 * 100 is a little less than 29 in floating point
    assert threshold([5.0, 5.0, 5.0], 0.5) == 5
    assert threshold([], 0.01) == -inf


def test_auc_of_ties_is_a_half() -> None:
    assert auc([1, 1], [1, 1, 1]) == 0.5
    assert auc([2], [1]) == 1
    assert auc([1], [2]) == 0
