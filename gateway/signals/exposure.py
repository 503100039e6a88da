"""Pure. R5, exposure: what a thief would have by now, were this account one.

measures     answers and tokens that were taken, each weighed by how much of what the account asks is new; and the share
             of answered generating requests that have the shape of a training row: a question that stands alone and is
             new, with an answer worth more than it. No guilt: it says how much is at stake, and scales what is done
formula      answers_taken = sum of choices * novel; useful_output = sum of output * novel; harvest_share = sum of novel
             over worthwhile answers to single questions / answered; recipe_units = choices * novel of worthwhile
             answers, in thousands, undecayed. novel is C2's share as it stands when the answer ends
unit         answers; tokens; share of requests; thousands of answers
state        24 bytes
half-life    4.9 days; none for recipe_units
evasion      what evades C2 and C3; the tokens stay what they are
look-alikes  every heavy customer
source       Muennighoff et al., s1: 1,000 traces make a reasoning model; Alpaca 52,000, OpenThoughts 114,000 rows
"""

from typing import ClassVar

from gateway.observe import Observation
from gateway.signals import GENERATES, Ended, Read, Signal, Slab, Span, share, worthwhile

__all__ = ["Exposure"]

RECIPE = 1000.0  # answers


class Exposure(Signal):
    """See the module's card."""

    code = "R5"
    family = "response"
    counters: ClassVar[tuple[tuple[str, Span], ...]] = (
        ("answers", "week"),
        ("output", "week"),
        ("answered", "week"),
        ("rows", "week"),
        ("thousands", "ever"),
        ("rest", "ever"),  # below a thousand: a 32-bit float counts singly to 16 million
    )

    def ended(self, slab: Slab, seen: Observation, end: Ended) -> None:
        if not end.ok or seen.op not in GENERATES:
            return
        counts, novel = slab.counts, slab.novel
        answers, output, answered, rows, thousands, rest = self.at
        taken = novel * (seen.n or 1)
        counts[answers] += taken
        counts[output] += novel * end.output
        counts[answered] += slab.weight
        if worthwhile(seen, end):
            counts[rows] += novel * min(seen.marks.get("one_shot", 0), slab.weight)
            whole, counts[rest] = divmod(counts[rest] + taken, RECIPE)
            counts[thousands] += whole

    def readings(self) -> tuple[Read, ...]:
        answers, output, answered, rows, thousands, rest = self.at
        return (
            Read(
                "answers_taken",
                "answers of the last week, weighed by how much of what is asked is new",
                lambda s: s.counts[answers],
                "",
                "answers taken to new questions",
            ),
            Read(
                "useful_output",
                "tokens written in the last week, weighed by how much of what is asked is new",
                lambda s: s.counts[output],
                "tokens",
                "tokens written to new questions",
            ),
            share(
                "harvest_share",
                "of the week's answered generating requests single new questions whose answer holds more than they do",
                "have the shape of a training row",
                rows,
                answered,
            ),
            Read(
                "recipe_units",
                "thousands of answers ever taken that are worth a training row: a small published recipe each",
                lambda s: s.counts[thousands] + s.counts[rest] / RECIPE,
                "",
                "recipes of a thousand answers taken",
            ),
        )
