"""Calibrations: cohort, thresholds, guard; and, by simulation, that what is promised is kept."""

from math import erfc, sqrt
from random import Random
from typing import Any

import pytest

from gateway.binomial import allowed, upper
from gateway.calibrate.fitting import Made, Options, calibrated, measured
from gateway.calibrate.labels import Labels
from gateway.errors import Mistake
from gateway.policy.calibration import read, write
from tests.calibrate.scored import judged, month, owners, policy

SCORES = [round(-20.0 + at / 100, 2) for at in range(400)]  # -20.00 to -16.01


def made(scores: list[float] = SCORES, **options: Any) -> Made:
    return calibrated(owners(month(scores)), Options(**options))


def test_a_threshold_lies_a_step_above_the_score_that_so_many_may_pass() -> None:
    (card,) = made().calibration.cards
    (promise,) = card.promises
    assert allowed(400, 0.01) == 0
    assert promise.threshold_db == -16.0  # the highest is -16.01
    assert (promise.owners, promise.allowed, promise.exceedances) == (400, 0, 0)
    assert promise.upper95 == upper(0, 400)
    assert promise.supported
    assert promise.why == ""


@pytest.mark.parametrize("alpha", [0.01, 0.02, 0.05, 0.2])
def test_exactly_as_many_pass_as_may(alpha: float) -> None:
    scores = sorted(SCORES, reverse=True)
    found = measured("tag", alpha, scores)
    k = allowed(400, alpha)
    assert k is not None
    assert found.threshold_db is not None
    assert found.threshold_db == pytest.approx(scores[k] + 0.01)
    assert found.exceedances == k == sum(score >= found.threshold_db - 1e-6 for score in scores)
    assert found.upper95 == upper(k, 400) <= alpha


def test_of_equal_scores_none_passes() -> None:
    found = measured("tag", 0.05, [-10.0] * 20 + [-20.0] * 380)
    assert (found.threshold_db, found.exceedances, found.allowed) == (-9.99, 0, 12)
    assert found.upper95 == upper(12, 400)  # of as many as might have passed


def test_too_few_owners_support_less_and_it_is_said_how_much() -> None:
    (promise,) = made(SCORES[:200]).calibration.cards[0].promises
    assert not promise.supported
    assert promise.allowed is None
    assert promise.why == "200 owners support at most 1.49% (1 in 67) at 95 %; 1% needs 299"


def test_what_is_promised_is_kept_in_as_many_samples_as_is_said() -> None:
    """400 samples of 500 owners each: in at most 5 % of them may more than 1 % of all owners pass the threshold.

    One more than may pass (k = 2) would break it in 12 % of samples, one less (k = 0) in 0.7 %.
    """
    draw = Random(20)
    broken = 0
    for _ in range(400):
        scores = sorted((round(draw.gauss(-25, 6), 2) for _ in range(500)), reverse=True)
        threshold = measured("throttle", 0.01, scores).threshold_db
        assert threshold is not None
        realised = erfc((threshold - 0.005 + 25) / 6 / sqrt(2)) / 2  # a score is rounded: it passes half a step below
        broken += realised > 0.01
    assert 0.015 < broken / 400 <= 0.05 + 3 * sqrt(0.05 * 0.95 / 400)


def test_three_days_say_nothing_of_a_month() -> None:
    traffic = [judged(f"a{at}", score, at % 3, created=200) for at, score in enumerate(SCORES)]
    found = calibrated(owners(traffic), Options()).calibration
    (promise,) = found.cards[0].promises
    assert (found.window_days, found.covered_days, found.experiment) == (30, 3, False)
    assert not promise.supported
    assert promise.threshold_db == -16.0
    assert promise.why == "3 days of traffic say too little of a month: 30 are needed"


def test_another_window_is_an_experiment_and_supports_nothing() -> None:
    traffic = [*month(SCORES), *(judged(f"a{at:04}", -25, 29, created=200) for at in range(400))]
    found = calibrated(owners(traffic, window=7), Options(experiment=True)).calibration
    (promise,) = found.cards[0].promises
    assert (found.window_days, found.experiment, promise.supported) == (7, True, False)
    assert promise.why == "a window of 7 days is an experiment"


def test_the_cohort_is_of_owners_that_are_trusted() -> None:
    traffic = month(SCORES) + month([5.0] * 30, created=20, prefix="n") + month([3.0] * 10, created=None, prefix="u")
    found = calibrated(owners(traffic), Options())
    (card,) = found.calibration.cards
    assert found.calibration.cohort.owners == 400
    assert {each.name: (each.owners, each.highest_db, each.above["level"]) for each in card.strata} == {
        "tenured": (400, -16.01, 0),
        "new": (30, 5.0, 30),
        "unknown": (10, 3.0, 10),
    }
    everybody = calibrated(owners(traffic), Options(rule="all")).calibration
    assert (everybody.cohort.rule, everybody.cohort.owners) == ("all", 440)
    assert everybody.cards[0].level.threshold_db == 5.01


def test_with_labels_the_benign_are_the_cohort_and_the_others_are_what_is_found() -> None:
    traffic = month(SCORES, created=None) + month([5.0, 9.0, -25.0], created=None, prefix="x")
    labels = Labels({f"x{at:04}": "extraction" for at in range(3)})
    labels.accounts.update({f"a{at:04}": "benign" for at in range(390)})
    found = calibrated(owners(traffic), Options(rule="labelled", labels=labels)).calibration
    (card,) = found.cards
    assert found.cohort.owners == 390
    extraction = next(each for each in card.strata if each.name == "extraction")
    assert (extraction.owners, extraction.above) == (3, {"throttle": 2, "level": 2})


def test_the_highest_one_in_a_hundred_are_to_be_reviewed_with_their_reasons() -> None:
    scores = [*SCORES, 4.0]
    traffic = month(scores)
    traffic[400] = judged("a0400", 4.0, created=200, evidence={"many": 12.0, "probs": 9.0, "streams": -3.0})
    found = calibrated(owners(traffic), Options())
    assert [each.owner for each in found.review] == ["a0400", "a0399", "a0398", "a0397", "a0396"]
    assert found.review[0].addends == {"many": 12.0, "probs": 9.0, "streams": -3.0}
    guard = found.calibration.cards[0].guard
    assert (guard.top, guard.reviewed, guard.removed, guard.unreviewed) == (5, 0, 0, 5)


def test_whom_a_review_finds_to_extract_leaves_the_cohort_and_nobody_else() -> None:
    scores = [*SCORES, 4.0]
    before = made(scores).calibration.cards[0]
    reviewed = Labels({}, {"a0400": "extraction", "a0399": "benign"})
    found = made(scores, reviewed=reviewed).calibration
    card = found.cards[0]
    assert before.promises[0].threshold_db == 4.01
    assert card.promises[0].threshold_db == -16.0
    assert found.cohort.owners == 400
    assert (card.guard.top, card.guard.reviewed, card.guard.benign, card.guard.removed) == (5, 2, 1, 1)
    assert next(each.owners for each in card.strata if each.name == "extraction") == 1


def test_who_extracts_in_the_cohort_only_makes_thresholds_higher() -> None:
    clean, dirty = (made(scores).calibration.cards[0].promises[0].threshold_db for scores in (SCORES, [*SCORES, 9.0]))
    assert clean is not None and dirty is not None
    assert dirty > clean


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "known for more than 90 days"),
        ({"rule": "labelled", "labels": Labels()}, "has the label benign"),
        ({"rule": "all", "reviewed": Labels({}, {"a": "extraction"})}, "no owner is left"),
    ],
)
def test_without_owners_it_says_why(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistake, match=said):
        calibrated(owners([judged("a", -9)]), Options(**options))


def test_without_a_scored_request_it_says_so() -> None:
    with pytest.raises(Mistake, match="no request in this traffic was scored"):
        calibrated(owners([]), Options())


def test_a_card_that_promises_nothing_has_its_level() -> None:
    found = calibrated(owners(month(SCORES), by=policy("{}")), Options()).calibration
    assert found.cards[0].promises == ()
    assert found.cards[0].level.threshold_db == -16.0


def test_the_order_of_owners_and_their_names_change_nothing_in_the_file() -> None:
    traffic = month(SCORES)
    renamed = month(SCORES[::-1], prefix="z")
    one, two = (calibrated(owners(each), Options()).calibration for each in (traffic, [*traffic[:1], *traffic[:0:-1]]))
    assert write(one) == write(two)
    other = calibrated(owners(renamed), Options()).calibration
    assert other.cards[0].promises == one.cards[0].promises
    assert read(write(one)) == one
    assert b"a0001" not in write(one)
