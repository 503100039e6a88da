"""Pure. Signals: what an account does over time. One file of this folder = one signal, with its state and its readings.

Counts are exponentially decayed: a request counts 1 when it comes and 1/e one time constant later, so at a steady pace
the count over `hour` is the number of requests in an hour. One number and one time are all the state there is, and an
account that stops heals by itself. The order of equal times doesn't matter, and time never runs backwards.
"""

from math import exp

__all__ = ["DAY", "HOUR", "SPANS", "WEEK", "Counts", "decayed"]

Counts = tuple[float, ...]

HOUR = 3_600_000_000  # µs
DAY = 24 * HOUR
WEEK = 7 * DAY
SPANS = {"hour": HOUR, "day": DAY, "week": WEEK}
"""Name of a reading's first part -> time constant in µs."""


def decayed(counts: Counts, elapsed: int, span: int) -> Counts:
    """The counts `elapsed` µs later. Nothing changes where no time has passed."""
    if elapsed <= 0:
        return counts
    factor = exp(-elapsed / span)
    return tuple([count * factor for count in counts])
