"""Pure. What the members of a campaign do together: their rows of signals, added up.

Counts of accounts add up like those of requests, and decay alike, so the signals of an account read the sum as they
read a row; what they keep in sketches does not add up, and is not read. A pooled share is one owner's: a frame that all
members fill says what it says once, however many they are.
"""

from collections.abc import Iterable

from gateway.gauges import PANEL
from gateway.signals import Slab

__all__ = ["NUMBERS", "POOLED", "SHARES", "Pool"]

SHARES = (
    *("elicitation_share", "steps_share", "generation_share", "invention_share", "preference_share", "grading_share"),
    *("fed_back_share", "empty_share", "bank_share", "conversation_share", "tool_share", "instructed_share"),
    *("novel_share", "novel_bias_share", "distribution_share", "soft_target_share", "wide_share", "greedy_share"),
    *("choices_share", "resample_share", "roomy_share", "harvest_share", "persistent_share"),
)
"""Shares whose hits and requests add up. At most 46 numbers of a snapshot."""
NUMBERS = ("output_per_input", "answers_taken", "recipe_units", "week.requests", "week.output_tokens")
POOLED = frozenset((*SHARES, *NUMBERS, "template_share"))
"""Readings of an account that a campaign has too. `template_share`: what its shared frames fill."""
PLACES = 3


class Pool:
    """Adds rows up, at one moment."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._slab = PANEL.fresh()

    def add(self, row: bytes, heard: Iterable[bytes] = ()) -> Slab | None:
        """The signals of one member, as they stand now; None where nothing is known. `heard`: its counts elsewhere."""
        slab = PANEL.read_at(row, self.now) if row else None
        for counted in heard:
            other = PANEL.heard(counted, self.now)
            slab = other if slab is None else _sum(slab, other)
        if slab is None:
            return None
        _sum(self._slab, slab)
        return PANEL.shared(slab) if heard else slab

    def read(self, template_share: float | None) -> dict[str, float]:
        """The readings by name. Of a share that nobody has, and that is of all requests, nothing is said."""
        slab = PANEL.shared(self._slab)
        made: dict[str, float] = {}
        for name in SHARES:
            count, of = PANEL.counts(name)
            hits = count(slab)
            if hits:
                made[f"{name}.hits"] = round(hits, PLACES)
                made[f"{name}.of"] = round(of(slab), PLACES)
        for name in NUMBERS:
            value = PANEL.readings[name].get(slab)
            if value:
                made[name] = round(value, PLACES)
        if template_share is not None:
            made["template_share"] = round(template_share, PLACES)
        return made


def _sum(into: Slab, slab: Slab) -> Slab:
    """The first, with the counts of the second added."""
    sums = into.counts
    for at, count in enumerate(slab.counts):
        if count:
            sums[at] += count
    return into
