"""Pure. T3, quota riding: a client that knows its limits, fills them, and never runs into them.

measures     how often a request leaves its fullest limit nearly full while next to none is refused; and how evenly
             requests are spaced, since a client that has read `60 requests/min` from a header sends one a second
formula      edge = of the day's requests that met a limit those at 85 % to 100 % (exclusive) of it, counted while
             fewer than 1 % of the day's were refused (here, or with 429 by the model server);
             regular = of the gaps up to 10 min between starts those within 10 % of their mean, which moves by an
             eighth of each gap's difference, by at most 3 eighths of itself
unit         share of requests; share of gaps
state        32 bytes
half-life    17 hours
evasion      stay at 60 % of the limits: 1.6 times the accounts or the time; random gaps: free
look-alikes  paid batch work that is sized to its plan; timers and pollers are as regular. A customer who runs into his
             limits now and then isn't at the edge but over it, and is left alone. A limit's fullness is that of its
             bucket: who sends exactly at the rate and saves his burst reads as empty there, and as regular
source       the curator library reads `x-ratelimit-limit-*` and spaces its requests to the limit
             (measured there: 0.1013 s at 600 requests a minute)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Ended, Read, Signal, Slab, Span, share

__all__ = ["QuotaRiding"]

EDGE = 0.85
REFUSED = 0.01
PAUSE = 600_000_000  # µs: a longer gap says nothing of a pace
LEAST = 1000  # µs: less is one burst, not a spacing
SMOOTH = 8


class QuotaRiding(Signal):
    """See the module's card."""

    code = "T3"
    family = "timing"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("met", "day"),
        ("edge", "day"),
        ("refused", "day"),
        ("gaps", "day"),
        ("regular", "day"),
        ("gap", "ever"),
    )
    stamps = ("began",)

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES:
            return
        began = self.when[0]
        last = slab.times[began]
        slab.times[began] = slab.now
        gap = slab.now - last
        if gap > PAUSE:
            return
        counts = slab.counts
        _, _, _, gaps, regular, usual = self.at
        counts[gaps] += 1.0
        mean = counts[usual]
        if not mean:
            counts[usual] = gap
            return
        if gap >= LEAST and 0.9 * mean <= gap <= 1.1 * mean:
            counts[regular] += 1.0
        most = 4.0 * mean + LEAST
        counts[usual] = mean + ((gap if gap < most else most) - mean) / SMOOTH

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if seen.op not in GENERATES:
            return
        counts = slab.counts
        met, edge, refused = self.at[:3]
        limited = end.refused or end.status == 429
        if limited:
            counts[refused] += 1.0
        if end.full is not None:
            counts[met] += 1.0
            if EDGE <= end.full < 1.0 and not limited and counts[refused] < REFUSED * counts[met]:
                counts[edge] += 1.0

    def readings(self) -> tuple[Read, ...]:
        met, edge, _, gaps, regular, _ = self.at
        return (
            share(
                "edge_share",
                "of the day's generating requests that met a limit those that nearly filled it, next to none refused",
                "nearly filled a limit",
                edge,
                met,
            ),
            share(
                "regular_share",
                "of the day's gaps between generating requests those of the usual length",
                "came at the usual interval",
                regular,
                gaps,
            ),
        )
