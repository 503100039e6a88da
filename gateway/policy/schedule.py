"""Pure. When a rule is awake: local days and hours in an IANA time zone, half-open."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.policy.model import Schedule

__all__ = ["awake"]

MINUTE = 60_000_000  # µs
DAY = 1440  # minutes


def awake(schedule: Schedule, now: int) -> bool:
    """Whether `now` (µs since the epoch) lies in the schedule.

    Hours that end at or before their start belong to the day that they begin on: `22:00-06:00` on Friday covers the
    small hours of Saturday. Local clocks decide: an hour that comes twice counts twice, one that is skipped not at all.
    """
    weekday, minute = _local(now // MINUTE, schedule.timezone)
    start, end = schedule.start, schedule.end
    if start < end:
        return weekday in schedule.days and start <= minute < end
    return (weekday in schedule.days and minute >= start) or ((weekday - 1) % 7 in schedule.days and minute < end)


@lru_cache(maxsize=256)
def _local(minute: int, timezone: str) -> tuple[int, int]:
    """Weekday (0 = Monday) and minute of the local day. Zones are whole minutes off since 1972."""
    local = datetime.fromtimestamp(minute * 60, ZoneInfo(timezone))
    return local.weekday(), local.hour * 60 + local.minute
