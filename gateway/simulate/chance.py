"""Shell. Chance by name: the same seed and name give the same dice on every machine (Mersenne Twister, by `random`)."""

from collections.abc import Callable
from random import Random

__all__ = ["dice_of"]


def dice_of(seed: int) -> Callable[[str], Random]:
    """Dice for whoever is named; what one of them rolls changes nothing for the others."""
    return lambda name: Random(f"gauger {seed} {name}")  # noqa: S311 - it makes traffic, and no secrets
