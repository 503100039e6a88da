"""Pure. P1, constancy of parameters: one program speaks for this account, and its settings are the same every time.

measures     the share of generating requests that have the commonest names and values of parameters, and the share that
             spell out four defaults or more, as some pipelines' clients do. It is no guilt, every program has its
             settings; accounts that one program runs share them
formula      c(commonest) / n (Misra-Gries, 2 slots, decayed); hits / n. Of a batch its commonest parameters count for
             all lines, and the line that spells out most
unit         share of requests
state        28 bytes
half-life    4.9 days
evasion      a setting that changes at random; the settings of a popular client: free, once one knows
look-alikes  every program
source       Misra and Gries, Finding repeated elements (1982); distilabel and its like send every default
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, WEEK, Read, Signal, Slab, Span, faded, left, share
from gateway.sketches import Common

__all__ = ["ParameterConstancy"]

VECTORS = Common(2)
MANY = 4  # defaults; fewer stand in many a hand-written call


class ParameterConstancy(Signal):
    """See the module's card."""

    code = "P1"
    family = "params"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("spelled", "week"),)
    stamps = ("stepped",)
    sketch: ClassVar[int] = VECTORS.size
    monotone = False

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES:
            return
        if seen.params:
            VECTORS.add(slab.bytes, self.start, seen.params, slab.weight, faded(slab, self.when[0], WEEK))
        if seen.spelled >= MANY:
            slab.counts[self.at[0]] += slab.weight

    def readings(self) -> tuple[Read, ...]:
        def most(slab: Slab) -> float:
            count = VECTORS.most(slab.bytes, self.start) * left(slab, self.when[0], WEEK)
            return min(slab.generating, count)

        return (
            Read(
                "params_share",
                "of the week's generating requests those with the commonest parameters",
                lambda s: most(s) / s.generating if s.generating else None,
                "share",
                "have the same parameters",
                most,
                lambda s: s.generating,
                True,
            ),
            share(
                "defaults_share",
                "of the week's generating requests those that spell out four defaults or more",
                "spell out what is the default",
                self.at[0],
            ),
        )
