"""Shell. The one clock: wall time in whole microseconds that never steps and never runs backwards.

It is anchored to the monotonic clock and slewed towards the wall clock by at most `SLEW` of the time that has passed,
so an NTP step or a wrong hand on the clock gives nobody a free refill: an hour's step is worked off over ten hours.
Time that is lacking is added at once for what has passed; time that is too much is taken off what is still to pass.
"""

import time
from collections.abc import Callable

__all__ = ["Clock"]

SLEW = 0.1  # of elapsed time; 1 s of error is gone after 10 s
CHECK = 1_000_000_000  # ns between looks at the wall clock


class Clock:
    """`now()` is microseconds since the Unix epoch, strictly not decreasing."""

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._base = wall()
        self._since = monotonic()
        self._ahead = 0  # ns that are to be taken off, at `SLEW` of the time since then
        self.skew = 0.0  # seconds that the wall clock is ahead of ours, at the last look

    def not_before(self, now: int) -> None:
        """Goes on from `now`, in µs, where that is later: what it is ahead of the wall is taken off as after a step."""
        ahead = now * 1000 - (self._base + self._monotonic() - self._since)
        if ahead > 0:
            self._base, self._ahead = self._base + ahead, self._ahead + ahead

    def now(self) -> int:
        ticks = self._monotonic()
        elapsed = ticks - self._since
        if elapsed >= CHECK:
            self._slew(ticks)
            elapsed = 0
        if self._ahead:
            elapsed -= min(int(elapsed * SLEW), self._ahead)
        return (self._base + elapsed) // 1000

    def _slew(self, ticks: int) -> None:
        elapsed = ticks - self._since
        bound = int(elapsed * SLEW)
        ours = self._base + elapsed - min(bound, self._ahead)
        error = self._wall() - ours
        self._base, self._since, self._ahead = ours + max(0, min(bound, error)), ticks, max(0, -error)
        self.skew = error / 1e9
