"""Made-up prose: as many different sentences as a test needs, the same ones each time."""

from random import Random

__all__ = ["prose", "sentence"]

THINGS = ["river", "stone", "lamp", "window", "garden", "market", "winter", "letter", "silver", "forest"]
THINGS += ["bridge", "engine", "copper", "violin", "harbour", "candle", "meadow", "planet", "basket", "mirror"]
ACTS = ["carries", "follows", "builds", "paints", "opens", "crosses", "measures", "repairs", "collects", "recalls"]


def sentence(rng: Random) -> str:
    """One of some 10^9 sentences, about 90 characters long."""
    a, b, c, d, e = (rng.choice(THINGS) for _ in range(5))
    first, second = rng.choice(ACTS), rng.choice(ACTS)
    return f"{a.capitalize()} {first} a {b} near the {c} of the {d}, while another {e} {second} it"


def prose(rng: Random, count: int) -> str:
    """So many sentences."""
    return " ".join(f"{sentence(rng)}." for _ in range(count))
