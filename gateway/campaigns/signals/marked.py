"""Pure. X7, weak evidence, pooled: how many of the members bear a mark now and then that few owners bear.

measures     the members of which a twentieth of the requests elicit reasoning, generate data, ask for
             preferences, feed answers back, or read the output layer: the mark that most of them bear. A
             mark that most of the campaign's requests bear belongs to the shared frame: it is one author's
             choice, counted once in the pooled shares, and not once more for each member
formula      max over marks of k of m: m members with five requests or more, k of them with the mark in at
             least 5 % of them and one request, marks with a pooled share below one half only
unit         share of members
state        9 counts a campaign, beside the members' own signals
half-life    4.9 days
evasion      no mark in nineteen of twenty requests: of ten calls nine are paid filler
look-alikes  customers of one sector who share a framework: teachers ask for steps, graders for grades
source       a sum of independent units' evidence; the unit is the member, not the request
"""

from typing import ClassVar

from gateway.campaigns.habits import Habits
from gateway.campaigns.signals import Bond, Gauge
from gateway.gauges import PANEL
from gateway.signals import Slab

__all__ = ["MARKS", "OF_THE_FRAME", "Marked"]

MARKS = (
    "elicitation_share",
    "generation_share",
    "preference_share",
    "fed_back_share",
    "distribution_share",
    "soft_target_share",
    "novel_bias_share",
)
ENOUGH = 5.0  # requests of a member
LEAST = 0.05  # share of them
OF_THE_FRAME = 0.5  # pooled share from which a mark is the frame's

_MARKS = [PANEL.counts(name) for name in MARKS]


class Marked(Bond):
    """See the module's card."""

    code = "X7"
    gauges: ClassVar[tuple[Gauge, ...]] = (
        Gauge("marked", "of the members those that bear a telling mark now and then", "share", "bear a mark", True),
    )

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.members = 0
        self.bear = [0] * len(_MARKS)
        self.hits = [0.0] * len(_MARKS)
        self.of = [0.0] * len(_MARKS)

    def member(self, habits: Habits, slab: Slab | None) -> None:
        if slab is None or slab.generating < ENOUGH:
            return
        self.members += 1
        for at, (hits, of) in enumerate(_MARKS):
            count, all_ = hits(slab), of(slab)
            self.hits[at] += count
            self.of[at] += all_
            if count >= 1.0 and count >= LEAST * all_:
                self.bear[at] += 1

    def read(self) -> dict[str, float]:
        if not self.members:
            return {}
        most = 0
        for bear, hits, of in zip(self.bear, self.hits, self.of, strict=True):
            if of and hits < OF_THE_FRAME * of:
                most = max(most, bear)
        return {"marked.hits": float(most), "marked.of": float(self.members)}
