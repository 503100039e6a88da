"""Pure. Percentiles, medians and spreads: the few sums that the tables are made of."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "percentile", "ratios", "spread"]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds: its median, and the least and the greatest of them. Same unit as what was measured."""

    median: float
    least: float
    most: float
    rounds: int


def percentile(ordered: Sequence[float], share: float) -> float:
    """The exact value, by nearest rank, that `share` (0 to 1) of an ordered sample does not exceed.

    Nothing is interpolated or put in classes: what is returned was measured. Raises ValueError for an empty sample.
    """
    if not ordered:
        raise ValueError("an empty sample has no percentile")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median and range of what was measured; None where nothing was."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    half = len(known) // 2
    median = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
    return Spread(median, known[0], known[-1], len(known))


def ratios(own: dict[int, float], reference: dict[int, float]) -> Spread | None:
    """How many times the reference it is, by round, so that what slows a whole round down cancels.

    Both map the number of a round to a figure of the same unit; rounds that only one of them has are left out.
    """
    return spread(own[at] / reference[at] for at in own.keys() & reference.keys() if reference[at] > 0)
