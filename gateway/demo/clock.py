"""Shell. A clock that runs faster than the machine's, so that a gateway lives through days while somebody watches.

Linking accounts takes hours of traffic. No setting leads here: a gateway gets this clock from code alone.
"""

import time
from collections.abc import Callable

from gateway.edge.clock import Clock

__all__ = ["Rush"]


class Rush:
    """Stands at `begin` (ns since the epoch) until it is let go; then `rate` seconds pass in one of the machine's."""

    def __init__(self, begin: int, rate: float, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self.rate = rate
        self._begin = begin
        self._monotonic = monotonic
        self._since: int | None = None

    def go(self) -> None:
        self._since = self._monotonic()

    @property
    def passed(self) -> float:
        """Its own seconds since it was let go."""
        return (self._hands() - self._begin) / 1e9

    def clock(self) -> Clock:
        """The gateway's clock with these hands: both of its sources are this one, so it has nothing to slew."""
        return Clock(self._hands, self._hands)

    def _hands(self) -> int:
        if self._since is None:
            return self._begin
        return self._begin + int((self._monotonic() - self._since) * self.rate)
