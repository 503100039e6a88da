"""Pure. C4, coverage growth: how fast new matter comes in, sentence by sentence.

measures     of the lines and sentences of what is asked (a sample of four a request that is the same wherever a
             sentence stands) the share that this account had not sent before: the present slope of Heaps' law. A pool
             that is swept stays new to its end; retrieval brings the same passages again under ever new questions.
             What stands in two of five requests is a frame, and left out; so is one of the last eight asks within
             ten minutes, up to eight times, which draws another answer and returns to nothing
formula      new / looked at, on an adaptive sample of 62 fingerprints a week, decayed
unit         share of sentences
state        556 bytes
half-life    4.9 days
evasion      decoy sentences that recur, one for each real one: input tokens, and a trace of its own in C1
look-alikes  translation and summaries of a large corpus, chats with many people
source       Kesarwani et al., Model extraction warning in MLaaS (2017): coverage of the feature space; Heaps 1978
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, WEEK, Read, Signal, Slab, Span, faded
from gateway.sketches import Common, Seen

__all__ = ["CoverageGrowth"]

PIECES = Seen(62)
FRAMES = Common()
FRAME = 0.4  # of the requests: a sentence in that many of them is a frame


class CoverageGrowth(Signal):
    """See the module's card."""

    code = "C4"
    family = "content"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("new", "week"), ("looked", "week"))
    stamps = ("period", "stepped")
    sketch: ClassVar[int] = PIECES.size + FRAMES.size
    monotone = False

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES or not seen.pieces or slab.again:
            return
        data, counts, start = slab.bytes, slab.counts, self.start
        period, stepped = self.when
        if slab.now // WEEK != slab.times[period]:
            PIECES.turn(data, start)
            slab.times[period] = slab.now // WEEK
        new, looked = self.at
        weight = slab.weight / len(seen.pieces)
        decay = 0.0  # of the frames, at the first piece that came before
        for piece in seen.pieces:
            stands = weight * PIECES.one_in(data, start)
            before = PIECES.add(data, start, piece)
            if before is None:
                continue
            if before:
                decay = 1.0 if decay else faded(slab, stepped, WEEK)
                count = FRAMES.add(data, start + PIECES.size, piece, slab.weight, decay)
                if count > FRAME * slab.generating:
                    continue
            else:
                counts[new] += stands
            counts[looked] += stands

    def readings(self) -> tuple[Read, ...]:
        new, looked = self.at
        return (
            Read(
                "coverage_growth",
                "of the sentences in the week's requests those that did not come before",
                lambda s: s.counts[new] / s.counts[looked] if s.counts[looked] else None,
                "share",
                "bring new matter",
                lambda s: s.counts[new],
                lambda s: s.counts[looked],
                True,
            ),
        )
