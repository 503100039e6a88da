"""Pure. P1, constancy of parameters: one program speaks for this account, and its settings are the same every time.

measures     the share of generating requests that have the commonest names and values of parameters, and the share that
             spell out four defaults or more, as some pipelines' clients do. It is no guilt, every program has its
             settings; accounts that one program runs share them
formula      c(commonest) / n (Misra-Gries, 2 slots, decayed); hits / n. Of a batch its commonest parameters count for
             all lines, and the line that spells out most
unit         share of requests
state        20 bytes
half-life    4.9 days
evasion      a setting that changes at random; the settings of a popular client: free, once one knows
look-alikes  every program
source       Misra and Gries, Finding repeated elements (1982); distilabel and its like send every default
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Read, Signal, Slab, Span, share

__all__ = ["ParameterConstancy"]

ENTRY = 4  # bytes of a fingerprint that are kept: its lowest
MASK = 0xFFFFFFFF
MANY = 4  # defaults; fewer stand in many a hand-written call


class ParameterConstancy(Signal):
    """See the module's card. The two counts are counters, so that time passes for them as for all others."""

    code = "P1"
    family = "params"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("one", "week"), ("other", "week"), ("spelled", "week"))
    sketch: ClassVar[int] = 2 * ENTRY
    monotone = False

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if seen.op not in GENERATES:
            return
        counts, (one, other, spelled) = slab.counts, self.at
        if seen.params:
            data, first = slab.bytes, self.start
            second = first + ENTRY
            entry = (seen.params & MASK).to_bytes(ENTRY, "little")
            if data[first:second] == entry:
                counts[one] += slab.weight
            elif data[second : second + ENTRY] == entry:
                counts[other] += slab.weight
            else:  # each loses what the newcomer brings, as far as it has it
                loss = min(slab.weight, counts[one], counts[other])
                counts[one] -= loss
                counts[other] -= loss
                if loss < slab.weight:
                    at, place = (one, first) if counts[one] <= counts[other] else (other, second)
                    counts[at] = slab.weight - loss
                    data[place : place + ENTRY] = entry
        if seen.spelled >= MANY:
            counts[spelled] += slab.weight

    def readings(self) -> tuple[Read, ...]:
        one, other, spelled = self.at

        def most(slab: Slab) -> float:
            return max(slab.counts[one], slab.counts[other])

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
                spelled,
            ),
        )
