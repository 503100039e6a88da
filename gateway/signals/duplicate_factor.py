"""Pure. P4, duplicate factor: how many answers are drawn of one question.

measures     the shares of generating requests that ask for several choices, and that ask, not greedily, what was asked
             within the last ten minutes and did not fail; and the answers asked for per different question. Rejection
             sampling and preference pairs want 4 to 16 answers a prompt; a product wants one
formula      hits / n, decayed; again = the same fresh text after the same answer, among the last 8 that came, and the
             lines of a batch that ask what others of it do. answers_per_ask = sum of choices / (n * fresh share)
unit         share of requests; answers
state        85 bytes
half-life    4.9 days; 10 minutes for the same question again
evasion      a paraphrase each, or the whole set four times over: the first costs calls, the second shows in C2
look-alikes  self-consistency and pass@k, a person who has an answer made anew, health checks
source       open-r1's and OpenThoughts' published recipes (4 and 16 answers a prompt)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Ended, Read, Signal, Slab, Span, share
from gateway.sketches import Recent

__all__ = ["DuplicateFactor"]

LAST = Recent(8)
SECOND = 1_000_000  # µs
AGAIN = 600  # s
WENT, FAILED = 0, 1  # notes: how the last attempt ended, as far as it has
MOST = 128  # choices a request that count, as many as OpenAI takes
LEAST = 0.001  # of the fresh share: who asks one thing for ever has a thousand answers of it


class DuplicateFactor(Signal):
    """See the module's card."""

    code = "P4"
    family = "params"
    marks = ("choices",)
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("again", "week"), ("answers", "week"))
    sketch: ClassVar[int] = LAST.size

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES:
            return
        counts, weight, asked = slab.counts, slab.weight, seen.n
        _, again, answers = self.at
        if asked > 1:
            counts[answers] += min(asked / (seen.prompts or 1), MOST * weight)
        else:
            counts[answers] += asked
        if not seen.asks:
            return
        data, now = slab.bytes, slab.now // SECOND
        print_ = seen.asks[0] + seen.said
        place = LAST.find(data, self.start, print_)
        same = weight - seen.distinct
        if place:
            age, note = LAST.look(data, place, now)
            LAST.touch(data, place, now, WENT)
            if note == WENT and age <= AGAIN:
                same = weight
        else:
            LAST.add(data, self.start, print_, now, WENT)
        if same > 0:
            counts[again] += max(0, min(same, weight - seen.marks.get("greedy", 0)))

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if not end.ok and seen.asks and seen.op in GENERATES:
            place = LAST.find(slab.bytes, self.start, seen.asks[0] + seen.said)
            if place:
                LAST.touch(slab.bytes, place, slab.now // SECOND, FAILED)

    def readings(self) -> tuple[Read, ...]:
        choices, again, answers = self.at
        week = "of the week's generating requests those"
        return (
            share("choices_share", f"{week} that asked for several choices", "ask for several choices", choices),
            share(
                "resample_share",
                f"{week} that ask once more what was answered within ten minutes",
                "ask once more what was just answered",
                again,
            ),
            Read(
                "answers_per_ask",
                "answers asked for in the week, by different questions",
                lambda s: s.counts[answers] / (s.generating * max(s.fresh, LEAST)) if s.generating else None,
                "",
                "answers for each different question",
                missing=True,
            ),
        )
