"""Pure. C1, template share: how much of what an account asks has one frame, with something changing in it.

measures     the share of generating requests whose fresh text begins with the same 12 bytes, or
             ends with the same 9
formula      max(c(head), c(tail)) / n, where c is the count of the commonest (Misra-Gries, 4 slots, decayed)
unit         share of requests
state        72 bytes
half-life    4.9 days
evasion      five frames in turn, or a paraphrase a prompt: authoring, a cheap call each, and less uniform data
look-alikes  nearly every product: retrieval, classification, translation, support; alone it says nothing
source       Misra and Gries, Finding repeated elements (1982)
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, WEEK, Read, Signal, Slab, faded, left
from gateway.sketches import Common

__all__ = ["TemplateShare"]

FRAMES = Common()


class TemplateShare(Signal):
    """See the module's card."""

    code = "C1"
    family = "content"
    stamps = ("stepped",)
    sketch: ClassVar[int] = 2 * FRAMES.size
    monotone = False

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op in GENERATES and seen.head:
            decay = faded(slab, self.when[0], WEEK)
            FRAMES.add(slab.bytes, self.start, seen.head, slab.weight, decay)
            FRAMES.add(slab.bytes, self.start + FRAMES.size, seen.tail, slab.weight, decay)

    def readings(self) -> tuple[Read, ...]:
        def most(slab: Slab) -> float:
            data, start = slab.bytes, self.start
            count = max(FRAMES.most(data, start), FRAMES.most(data, start + FRAMES.size))
            return min(slab.generating, count * left(slab, self.when[0], WEEK))

        return (
            Read(
                "template_share",
                "of the week's generating requests those that begin or end as most of them do",
                lambda s: most(s) / s.generating if s.generating else None,
                "share",
                "fill one frame",
                most,
                lambda s: s.generating,
                True,
            ),
        )
