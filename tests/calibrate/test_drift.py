"""Whether a calibration still holds: counted exactly, and an alarm only where chance can't explain it."""

import pytest

from gateway.binomial import lower, upper
from gateway.calibrate.drift import drift, window_of
from gateway.calibrate.fitting import Options, calibrated
from gateway.calibrate.labels import Labels
from gateway.calibrate.told import drift_text
from gateway.errors import Mistake
from gateway.policy.calibration import Calibration
from tests.calibrate.scored import CARD, judged, month, owners, policy

SCORES = [-20.0 + at / 100 for at in range(400)]


def calibration(count: int = 400) -> Calibration:
    return calibrated(owners(month(SCORES[:count])), Options()).calibration


@pytest.mark.parametrize(("above", "drifted"), [(0, False), (4, False), (8, False), (9, True), (40, True)])
def test_it_alarms_where_more_than_one_in_a_hundred_is_beyond_chance(above: int, drifted: bool) -> None:
    """Of 400 owners: P(at least 8 | 1 %) = 5.1 %, P(at least 9) = 2.1 %."""
    scores = [-16.0] * above + SCORES[: 400 - above]
    (found,) = drift(owners(month(scores)), calibration(), Options())
    assert (found.owners, found.above, found.share) == (400, above, above / 400)
    assert (found.lower95, found.upper95) == (lower(above, 400), upper(above, 400))
    assert found.drifted is drifted
    assert [each.score for each in found.highest] == [-16.0] * min(above, 20)
    assert ("DRIFT" in drift_text([found], calibration(), 30)) is drifted


def test_who_was_found_to_extract_is_no_drift() -> None:
    scores = [-16.0] * 40 + SCORES[:360]
    labels = Labels({f"a{at:04}": "extraction" for at in range(40)})
    (found,) = drift(owners(month(scores)), calibration(), Options(labels=labels))
    assert (found.owners, found.above) == (360, 0)


def test_another_version_of_the_card_is_not_compared() -> None:
    other = owners(month(SCORES), by=policy(text=CARD.replace("points: 9 dB", "points: 8 dB")))
    with pytest.raises(Mistake, match="another version of the card theft"):
        drift(other, calibration(), Options())


def test_a_level_of_too_few_owners_is_none() -> None:
    with pytest.raises(Mistake, match="100 owners support at most"):
        drift(owners(month(SCORES)), calibration(100), Options())


def test_without_owners_it_says_why() -> None:
    with pytest.raises(Mistake, match="known for more than 90 days"):
        drift(owners([judged("a", -9)]), calibration(), Options())
    with pytest.raises(Mistake, match="no request"):
        drift(owners([]), calibration(), Options())


def test_like_is_compared_with_like() -> None:
    assert window_of(calibration()) == 30
    short = calibrated(owners([judged(f"a{at}", -9, at % 3, created=200) for at in range(300)]), Options())
    assert window_of(short.calibration) == 3
