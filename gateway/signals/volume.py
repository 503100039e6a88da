"""Pure. V1, volume: requests, refusals and tokens of an account, over an hour, a day and a week.

measures     how much an account takes. It decides nothing by itself: the campaigns on record used some 26 requests a
             day an account
formula      decayed counts
unit         requests, tokens
state        48 bytes
half-life    42 minutes, 17 hours, 4.9 days
evasion      spread the work over accounts, or over time: free
look-alikes  every heavy customer: batch classification, agents, evaluations
source       exponentially weighted counts
"""

from collections.abc import Callable
from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import SPANS, Count, Ended, Read, Signal, Slab, Span, Unit

__all__ = ["Volume"]

COUNTED: dict[str, tuple[Unit, str]] = {
    "requests": ("requests", "requests, this one included"),
    "refused": ("requests", "requests that were refused"),
    "input_tokens": ("tokens", "tokens read, this request's not yet"),
    "output_tokens": ("tokens", "tokens written, this answer's not yet"),
}
EACH: tuple[Span, ...] = ("hour", "day", "week")
assert tuple(SPANS) == EACH


class Volume(Signal):
    """See the module's card."""

    code = "V1"
    family = "account"
    malformed = True
    counters: ClassVar[tuple[tuple[str, Span], ...]] = tuple((f"{s}.{name}", s) for s in EACH for name in COUNTED)

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        counts, at = slab.counts, self.at
        counts[at[0]] += 1.0
        counts[at[4]] += 1.0
        counts[at[8]] += 1.0

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        counts, at = slab.counts, self.at
        for first in (0, 4, 8):
            if end.refused:
                counts[at[first + 1]] += 1.0
            counts[at[first + 2]] += end.input
            counts[at[first + 3]] += end.output

    def readings(self) -> tuple[Read, ...]:
        found = []
        for at, (name, span) in zip(self.at, self.counters, strict=True):
            unit, doc = COUNTED[name.partition(".")[2]]
            found.append(Read(name, f"{doc}; of the last {span}", _count(at), unit, doc.partition(",")[0]))
        return tuple(found)


def _count(at: int) -> Callable[[Slab], float]:
    return Count(at)
