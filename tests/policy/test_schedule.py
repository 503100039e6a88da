"""When a rule is awake."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.policy.model import Schedule
from gateway.policy.schedule import awake

EVERY = frozenset(range(7))
WEEKEND = frozenset({5, 6})


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    "moment, expected",
    [
        ("2026-11-28T00:00", True),  # a Saturday
        ("2026-11-28T05:59:59.999999", True),
        ("2026-11-28T06:00", False),  # the end is excluded
        ("2026-11-27T23:59", False),
        ("2026-11-29T03:00", True),
        ("2026-11-30T03:00", False),
    ],
)
def test_hours_of_a_day_are_half_open(moment: str, expected: bool) -> None:
    schedule = Schedule(WEEKEND, 0, 360, "America/New_York")
    assert awake(schedule, at(moment, "America/New_York")) is expected


@pytest.mark.parametrize(
    "moment, expected",
    [
        ("2026-11-27T21:59", False),
        ("2026-11-27T22:00", True),  # a Friday
        ("2026-11-28T05:59", True),  # Friday's night
        ("2026-11-28T06:00", False),
        ("2026-11-28T23:00", False),
        ("2026-11-27T05:00", False),  # Thursday's night
    ],
)
def test_hours_past_midnight_belong_to_the_day_that_they_begin_on(moment: str, expected: bool) -> None:
    schedule = Schedule(frozenset({4}), 1320, 360, "Europe/Berlin")
    assert awake(schedule, at(moment, "Europe/Berlin")) is expected


def test_a_whole_day_is_one_of_the_local_zone() -> None:
    schedule = Schedule(frozenset({0}), 0, 1440, "Asia/Tokyo")
    assert awake(schedule, at("2026-11-29T15:00", "UTC"))  # Monday in Tokyo
    assert not awake(schedule, at("2026-11-30T15:00", "UTC"))


def test_an_hour_that_comes_twice_counts_twice_and_a_skipped_one_never() -> None:
    schedule = Schedule(EVERY, 120, 180, "Europe/Berlin")
    first, second = at("2026-10-25T00:30", "UTC"), at("2026-10-25T01:30", "UTC")  # 02:30 twice
    assert awake(schedule, first) and awake(schedule, second)
    day = [at("2026-03-29T00:00", "Europe/Berlin") + minute * 60_000_000 for minute in range(23 * 60)]
    assert not any(awake(schedule, moment) for moment in day)
