"""Pure. Calendar windows in an IANA time zone, as half-open intervals of microseconds since the epoch."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from gateway.policy.model import Period

__all__ = ["calendar_window"]

SECONDS = {"s": 1, "min": 60, "h": 3600}
SECOND = 1_000_000  # µs
SEEN = 64  # windows remembered; one a (period, zone) is enough

_seen: dict[tuple[str, str], tuple[int, int]] = {}
"""The last window of each period and zone: it saves time and never changes a value."""


def calendar_window(now: int, period: Period, timezone: str) -> tuple[int, int]:
    """The window that `now` lies in: (start, end) in µs, start <= now < end.

    `day`, `week` (from Monday, ISO 8601) and `month` begin at local midnight, so that a day on which the clocks change
    has 23 or 25 hours. `h`, `min` and `s` count from local midnight, and the last one of a day ends with the day. A
    midnight that the clocks skip is the moment at which they skip it; one that comes twice is the first.
    Raises `zoneinfo.ZoneInfoNotFoundError` or ValueError for a zone that doesn't exist.
    """
    window = _seen.get((period, timezone))
    if window is None or not window[0] <= now < window[1]:
        if len(_seen) >= SEEN:
            _seen.clear()
        window = _seen[period, timezone] = _window(now, period, timezone)
    return window


def _window(now: int, period: Period, timezone: str) -> tuple[int, int]:
    zone = _zone(timezone)
    today = datetime.fromtimestamp(now // SECOND, zone).date()
    if period == "month":
        first = today.replace(day=1)
        return _midnight(first, zone), _midnight((first + timedelta(days=31)).replace(day=1), zone)
    if period == "week":
        monday = today - timedelta(days=today.weekday())
        return _midnight(monday, zone), _midnight(monday + timedelta(days=7), zone)
    start, end = _midnight(today, zone), _midnight(today + timedelta(days=1), zone)
    if period == "day":
        return start, end
    length = SECONDS[period] * SECOND
    begin = now - (now - start) % length
    return begin, min(begin + length, end)


def _midnight(day: date, zone: ZoneInfo) -> int:
    """PEP 495: `fold=0` is the earlier of two, and inside a gap it is the moment of the change."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND


@lru_cache(maxsize=SEEN)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
