"""Pure. Volume: requests, refusals and tokens of an account, over an hour, a day and a week.

unit         requests, tokens
state        12 numbers and a time, about 130 bytes packed
evasion      spread the work over accounts, or over time: free. Volume alone decides nothing
look-alikes  every heavy customer: batch classification, agents, evaluations
source       exponentially weighted counts, as in `gateway.signals`
"""

from math import exp

import msgspec

from gateway.signals import DAY, HOUR, SPANS, WEEK, Counts

__all__ = ["COUNTED", "Volume"]

COUNTED = ("requests", "refused", "input_tokens", "output_tokens")
NONE: Counts = (0.0, 0.0, 0.0, 0.0)
ONE: Counts = (1.0, 0.0, 0.0, 0.0)


class Volume(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The counts of `COUNTED` as they were at `at`."""

    at: int = 0  # µs
    hour: Counts = NONE
    day: Counts = NONE
    week: Counts = NONE

    def asked(self, now: int) -> "Volume":
        """With one more request."""
        return self._add(ONE, now)

    def ended(self, now: int, *, refused: bool, input_tokens: int, output_tokens: int) -> "Volume":
        """With what a request turned out to be."""
        return self._add((0.0, 1.0 if refused else 0.0, float(input_tokens), float(output_tokens)), now)

    def reading(self, span: str, name: str) -> float:
        """A count as it was at the last step."""
        counts: Counts = getattr(self, span)
        return counts[COUNTED.index(name)]

    def _add(self, more: Counts, now: int) -> "Volume":
        at = self.at
        if now <= at or not at:  # no time has passed: the counts are as they were
            hour = day = week = 1.0
            now = max(now, at)
        else:
            elapsed = now - at
            hour, day, week = exp(-elapsed / HOUR), exp(-elapsed / DAY), exp(-elapsed / WEEK)
        a, b, c, d = more
        h, i, j, k = self.hour
        l, m, n, o = self.day  # noqa: E741
        p, q, r, s = self.week
        return Volume(
            now,
            (h * hour + a, i * hour + b, j * hour + c, k * hour + d),
            (l * day + a, m * day + b, n * day + c, o * day + d),
            (p * week + a, q * week + b, r * week + c, s * week + d),
        )


assert set(SPANS) == {"hour", "day", "week"}  # the names of the fields above
