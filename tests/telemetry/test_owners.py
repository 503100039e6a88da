"""Owners above a calibration's level: counted once, for 15 to 30 days, in bounded memory, and seen by no verdict."""

import msgspec
import pytest

from gateway.calibrate.fitting import Options, calibrated
from gateway.identity import Caller
from gateway.policy.calibration import Calibration, sealed
from gateway.telemetry.owners import GENERATION, OwnersAbove
from tests.calibrate.scored import month, owners

LEVEL = -16.0
NOW = 120 * GENERATION
MADE = calibrated(owners(month([-16.01] * 400)), Options()).calibration
ANYBODY = sealed(msgspec.structs.replace(MADE, cohort=msgspec.structs.replace(MADE.cohort, rule="all")))


def counting(made: Calibration = ANYBODY, room: int = 100) -> OwnersAbove:
    found = OwnersAbove(room)
    found.adopt({"theft": made})
    return found


def counts(found: OwnersAbove) -> tuple[float, float]:
    return found.scored()["theft"], found.above()["theft"]


def test_an_owner_counts_once_and_is_above_if_it_ever_was() -> None:
    found = counting()
    for score in (LEVEL - 0.01, LEVEL, -30.0):
        found.add(Caller("a", org="o"), {"theft": score}, NOW)
        found.add(Caller("b", org="o"), {"theft": -30.0}, NOW)
    found.add(Caller("o"), {"theft": LEVEL - 0.01}, NOW)
    assert counts(found) == (2, 1)


def test_what_is_older_than_two_generations_is_gone() -> None:
    found = counting()
    found.add(Caller("a"), {"theft": 5.0}, NOW)
    found.add(Caller("b"), {"theft": -30.0}, NOW + GENERATION)
    assert counts(found) == (2, 1)
    found.add(Caller("b"), {"theft": -30.0}, NOW + 2 * GENERATION)
    assert counts(found) == (1, 0)
    found.add(Caller("c"), {"theft": -30.0}, NOW + 9 * GENERATION)
    assert counts(found) == (1, 0)


def test_a_calibration_of_trusted_owners_counts_who_is_old_and_known_to_be() -> None:
    found = counting(MADE)
    day = 86_400
    for name, created in (("old", NOW // 1_000_000 - 91 * day), ("new", NOW // 1_000_000 - 9 * day), ("unknown", None)):
        found.add(Caller(name, created=created), {"theft": 5.0}, NOW)
    assert counts(found) == (1, 1)


def test_many_owners_are_counted_by_a_fair_sample_in_bounded_room() -> None:
    found = counting(room=400)
    for at in range(20_000):
        found.add(Caller(f"a{at}"), {"theft": 5.0 if at % 50 == 0 else -30.0}, NOW)
    scored, above = counts(found)
    assert scored == pytest.approx(20_000, rel=0.2)
    assert above == pytest.approx(400, rel=0.75)
    assert all(len(sample.found) <= 400 for card in found._cards.values() for sample in card.samples)


def test_counts_stay_where_the_calibration_does_and_begin_anew_with_another() -> None:
    found = counting()
    found.add(Caller("a"), {"theft": 5.0}, NOW)
    found.adopt({"theft": ANYBODY})
    assert counts(found) == (1, 1)
    found.adopt({"theft": sealed(msgspec.structs.replace(ANYBODY, version="2"))})
    assert counts(found) == (0, 0)
    found.adopt({})
    found.add(Caller("a"), {"theft": 5.0}, NOW)
    assert found.scored() == {}


@pytest.mark.parametrize("fields", [{"covered_days": 3}, {"window_days": 7.0}, {"window_days": 60.0}, {"cards": ()}])
def test_a_trial_is_not_counted_by(fields: dict[str, object]) -> None:
    assert counting(msgspec.structs.replace(ANYBODY, **fields)).scored() == {}


def test_a_card_that_was_not_scored_counts_nobody() -> None:
    found = counting()
    found.add(Caller("a"), {"other": 5.0}, NOW)
    found.add(Caller("a"), {}, NOW)
    assert counts(found) == (0, 0)
