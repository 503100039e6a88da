"""Calendar windows: local midnights, days of 23 and 25 hours, and no gap or overlap anywhere."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.calendar import calendar_window
from gateway.policy.model import Period

SECOND = 1_000_000
HOUR = 3600 * SECOND
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",  # + 5:45
    "Australia/Lord_Howe",  # changes by half an hour
    "America/Santiago",  # skips midnight
    "America/Havana",  # has midnight twice
    "Pacific/Apia",  # skipped a whole day
)
PERIODS: tuple[Period, ...] = ("s", "min", "h", "day", "week", "month")


def at(text: str, zone: str, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp()) * SECOND


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-06-01", 24),
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("America/Santiago", "2026-09-06", 23),
        ("America/Havana", "2026-11-01", 25),
        ("UTC", "2026-03-29", 24),
    ],
)
def test_a_day_has_the_hours_that_the_zone_gives_it(zone: str, day: str, hours: int) -> None:
    start, end = calendar_window(at(f"{day}T12:00", zone), "day", zone)
    assert end - start == hours * HOUR
    assert start == at(f"{day}T00:00", zone)


@pytest.mark.parametrize("fold", [0, 1])
def test_both_halves_of_a_repeated_hour_lie_in_one_day_and_in_two_hours(fold: int) -> None:
    now = at("2026-10-25T02:30", "Europe/Berlin", fold)
    assert calendar_window(now, "day", "Europe/Berlin")[0] == at("2026-10-25T00:00", "Europe/Berlin")
    assert calendar_window(now, "h", "Europe/Berlin")[0] == at("2026-10-25T02:00", "Europe/Berlin", fold)


def test_a_week_begins_on_monday_and_a_month_on_its_first() -> None:
    zone = "America/New_York"
    now = at("2026-03-12T09:15", zone)
    assert calendar_window(now, "week", zone) == (at("2026-03-09T00:00", zone), at("2026-03-16T00:00", zone))
    assert calendar_window(now, "month", zone) == (at("2026-03-01T00:00", zone), at("2026-04-01T00:00", zone))
    december = at("2026-12-31T23:59:59", zone)
    assert calendar_window(december, "month", zone) == (at("2026-12-01T00:00", zone), at("2027-01-01T00:00", zone))


def test_an_hour_of_a_zone_between_the_hours_follows_its_clocks() -> None:
    zone = "Asia/Kathmandu"
    assert calendar_window(at("2026-05-01T10:59", zone), "h", zone)[0] == at("2026-05-01T10:00", zone)


@given(st.integers(1_300_000_000, 1_900_000_000), st.sampled_from(PERIODS), st.sampled_from(ZONES))
def test_windows_tile_time(second: int, period: Period, zone: str) -> None:
    now = second * SECOND + 7
    start, end = calendar_window(now, period, zone)
    assert start <= now < end
    assert calendar_window(start, period, zone) == (start, end)
    assert calendar_window(end - 1, period, zone) == (start, end)
    assert calendar_window(end, period, zone)[0] == end
    assert calendar_window(start - 1, period, zone)[1] == start


def test_a_zone_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        calendar_window(0, "day", "Europe/Atlantis")
