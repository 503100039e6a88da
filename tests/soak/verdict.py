"""Pure. What a soak's samples say: how memory grew, with what doubt, and whether that is too much."""

import math
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Growth", "growth"]

BLOCKS = 12
"""Means that the line is laid through: neighbours are no independent witnesses, means of blocks nearly are."""


class Growth(NamedTuple):
    """Bytes a request, by least squares over the later half of a run; `noise` is two standard errors of that."""

    slope: float
    noise: float
    samples: int

    def too_much(self, bound: float) -> bool:
        """Whether it is above the bound (bytes a request) beyond doubt."""
        return self.slope - self.noise > bound

    def certain(self, bound: float) -> bool:
        """Whether the noise is small enough for a growth of the bound to have been seen."""
        return self.noise <= bound


def growth(samples: Sequence[tuple[float, float]]) -> Growth | None:
    """Growth of memory over requests, from (requests so far, bytes) in order of time.

    The earlier half is warm-up: tables fill, caches fill, the allocator finds its size. None where the later half has
    fewer than two samples a block, or nothing was asked in it.
    """
    later = samples[len(samples) // 2 :]
    size = len(later) // BLOCKS
    if size < 2:
        return None
    blocks = [later[at * size : (at + 1) * size] for at in range(BLOCKS)]
    xs = [sum(x for x, _ in block) / size for block in blocks]
    ys = [sum(y for _, y in block) / size for block in blocks]
    middle_x, middle_y = sum(xs) / BLOCKS, sum(ys) / BLOCKS
    spread = sum((x - middle_x) ** 2 for x in xs)
    if not spread:
        return None
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - middle_y - slope * (x - middle_x)) ** 2 for x, y in zip(xs, ys, strict=True))
    return Growth(slope, 2 * math.sqrt(rest / (BLOCKS - 2) / spread), len(later))
