"""Pure. R4, depth of retries: what failed is asked again, and again.

measures     the share of generating requests that repeat what had failed within the last half hour: at a limit, by a
             refusal, an error of the model server, or without an answer; and of the questions that failed the share
             that was tried five times. A row that is missing is a hole in the data; a person gives up, and the
             vendors' clients retry twice
formula      hits / n, decayed; the same fresh text after the same answer, among the last 8 that failed. One attempt
             counts once, however many ran beside it
unit         share of requests; share of questions
state        85 bytes
half-life    4.9 days; 30 minutes for the next attempt
evasion      give up early: loses rows
look-alikes  queues of jobs, clients that retry two or three times
source       s1's and open-r1's published collectors (up to 1,000 and 10 attempts a prompt)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Ended, Read, Signal, Slab, Span, share
from gateway.sketches import Recent

__all__ = ["RetryDepth"]

FAILURES = Recent(8)
SECOND = 1_000_000  # µs
PATIENCE = 1800  # s
DEEP = 5  # attempts; the vendors' clients make three by themselves
MOST = 127  # attempts that are counted
OPEN = 128  # note: the last attempt has failed; the rest of it counts attempts


class RetryDepth(Signal):
    """See the module's card."""

    code = "R4"
    family = "response"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("retries", "week"), ("deep", "week"), ("failed", "week"))
    sketch: ClassVar[int] = FAILURES.size

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if not seen.asks or seen.op not in GENERATES:
            return
        place = FAILURES.find(slab.bytes, self.start, seen.asks[0] + seen.said)
        if not place:
            return
        now = slab.now // SECOND
        age, note = FAILURES.look(slab.bytes, place, now)
        if note > OPEN and age <= PATIENCE:
            tries = min(note - OPEN + 1, MOST)
            FAILURES.touch(slab.bytes, place, now, tries)
            slab.counts[self.at[0]] += slab.weight
            if tries == DEEP:
                slab.counts[self.at[1]] += 1.0

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if not seen.asks or seen.op not in GENERATES:
            return
        data, now, print_ = slab.bytes, slab.now // SECOND, seen.asks[0] + seen.said
        failed = not end.ok and (end.refused or end.status == 429 or end.status >= 500 or not end.status)
        place = FAILURES.find(data, self.start, print_)
        if place:
            age, note = FAILURES.look(data, place, now)
            tries = note & MOST
            if not failed:
                FAILURES.touch(data, place, now, 0)
            elif tries and age <= PATIENCE:
                FAILURES.touch(data, place, now, OPEN | tries)
            else:
                FAILURES.touch(data, place, now, OPEN | 1)
                slab.counts[self.at[2]] += 1.0
        elif failed:
            FAILURES.add(data, self.start, print_, now, OPEN | 1)
            slab.counts[self.at[2]] += 1.0

    def readings(self) -> tuple[Read, ...]:
        retries, deep, failed = self.at

        def persisted(slab: Slab) -> float:
            return min(slab.counts[deep], slab.counts[failed])  # that it was tried is younger than that it failed

        return (
            share(
                "retry_share",
                "of the week's generating requests those that repeat what had failed",
                "repeat what had failed",
                retries,
            ),
            Read(
                "persistent_share",
                "of the week's questions that failed those that were tried five times",
                lambda s: persisted(s) / s.counts[failed] if s.counts[failed] else None,
                "share",
                "were tried five times and more",
                persisted,
                lambda s: s.counts[failed],
                True,
            ),
        )
