"""Pure. C9, fed-back outputs: an answer that this deployment gave comes back as a fresh prompt.

measures     the share of single questions of which a sentence stood in an answer that was served here in the last day,
             to whomever: a prompt evolved by the model, or an answer that it shall judge. A sentence of under 40 bytes,
             one of seven and more answers and answered prompts, and one that an answer only repeated of its question
             say nothing
formula      hits / n, decayed; scored by the hierarchical Bayes factor. Of a batch, whose pieces are a sample over its
             lines, as large a share of the single questions as of the pieces
unit         share of requests
state        4 bytes; the table of what was served is the process' (`stores/served.py`)
half-life    4.9 days
evasion      make the prompts with another model: a second provider; translate, or rewrite each: a call more a row
look-alikes  agents that paste output, applications that summarise and then edit
source       the data flow of Evol-Instruct, UltraChat and every judge chain
"""

from typing import ClassVar

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, Read, Signal, Slab, Span, share

__all__ = ["FedBack"]


class FedBack(Signal):
    """See the module's card."""

    code = "C9"
    family = "content"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (("returned", "week"),)

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        if slab.returned and seen.op in GENERATES and "one_shot" in seen.marks:
            part = min(1.0, slab.returned / (len(seen.pieces) or 1)) if seen.lines else 1.0
            slab.counts[self.at[0]] += seen.marks["one_shot"] * part

    def readings(self) -> tuple[Read, ...]:
        doc = "of the week's generating requests those that ask, alone, about an answer that was served here"
        return (share("fed_back_share", doc, "ask about an answer that was served here", self.at[0]),)
