"""Shell. The one clock: wall time in whole microseconds that never steps and never runs backwards.

It is anchored to the monotonic clock and slewed towards the wall clock by at most `SLEW` of the time that has passed,
so an NTP step or a wrong hand on the clock gives nobody a free refill: an hour's step is worked off over ten hours.
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
        self._checked = self._since
        self.skew = 0.0  # seconds that the wall clock is ahead of ours, at the last look

    def now(self) -> int:
        ticks = self._monotonic()
        if ticks - self._checked >= CHECK:
            self._slew(ticks)
        return (self._base + ticks - self._since) // 1000

    def _slew(self, ticks: int) -> None:
        elapsed = ticks - self._checked
        ours = self._base + ticks - self._since
        error = self._wall() - ours
        bound = int(elapsed * SLEW)
        self._base, self._since, self._checked = ours + max(-bound, min(bound, error)), ticks, ticks
        self.skew = error / 1e9
