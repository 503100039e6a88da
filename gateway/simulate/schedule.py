"""Pure. When requests come: times of a day by the clock of those who ask, bursts, ticks, campaigns' rhythms.

Times are seconds from the traffic's begin, which is a Monday's midnight UTC; chance is handed in, seeded.
"""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from gateway.simulate.matter import mix

__all__ = ["DAY", "Chance", "bursts", "count", "diurnal", "lockstep", "people", "ticks", "zipf"]

DAY = 86_400.0
BIN = 900.0  # s: windows in which accounts in lock-step are awake
AWAKE = 6  # one window in so many


class Chance(Protocol):
    """What is used of a seeded `random.Random`."""

    def random(self) -> float: ...
    def uniform(self, a: float, b: float, /) -> float: ...
    def expovariate(self, rate: float, /) -> float: ...
    def lognormvariate(self, mu: float, sigma: float, /) -> float: ...
    def randrange(self, stop: int, /) -> int: ...
    def getrandbits(self, bits: int, /) -> int: ...


def _shape(*weights: float) -> tuple[list[float], float]:
    sums = list(accumulate(weights))
    return sums, sums[-1]


SHAPES = {
    "people": _shape(
        *[0.25, 0.12, 0.06, 0.04, 0.04, 0.08],
        *[0.3, 0.6, 0.9, 1.1, 1.2, 1.2],
        *[1.0, 1.1, 1.2, 1.2, 1.2, 1.1],
        *[1.0, 1.1, 1.2, 1.1, 0.8, 0.5],
    ),
    "office": _shape(
        *[0.01] * 7, 0.2, 0.8, 1.4, 1.5, 1.3, 0.7, 1.2, 1.5, 1.4, 1.2, 0.6, 0.2, 0.1, 0.08, 0.05, 0.02, 0.01
    ),
    "evening": _shape(
        0.3,
        0.1,
        0.04,
        0.02,
        0.02,
        0.02,
        0.05,
        0.1,
        0.15,
        0.2,
        0.2,
        0.2,
        0.3,
        0.3,
        0.3,
        0.4,
        0.6,
        0.8,
        1.1,
        1.4,
        1.6,
        1.5,
        1.1,
        0.7,
    ),
    "flat": _shape(*[1.0] * 24),
}
"""Sums of the weights of the local hours, and their total."""
WEEKEND = {"people": 0.8, "office": 0.12, "evening": 1.2, "flat": 1.0}


def zipf(chance: Chance, size: int, slope: float = 1.0) -> int:
    """A rank from 0, its frequency falling with 1 / (rank + 1)**slope."""
    return bisect(_ranks(size, slope), chance.random())


def _ranks(size: int, slope: float) -> Sequence[float]:
    found = RANKS.get((size, slope))
    if found is None:
        weights = [1 / (rank + 1) ** slope for rank in range(size)]
        total = sum(weights)
        found = RANKS[size, slope] = [value / total for value in accumulate(weights)][:-1]
    return found


RANKS: dict[tuple[int, float], Sequence[float]] = {}


def count(chance: Chance, mean: float, spread: float = 0.4) -> int:
    """How many on a day, around a mean: log-normal, rounded by chance."""
    value = mean * chance.lognormvariate(-spread * spread / 2, spread)
    return int(value + chance.random())


def people(start: float, shape: str, zone: float) -> float:
    """How busy the day that begins at `start` is, by the weekday where people are."""
    return WEEKEND[shape] if int((start + zone * 3600 + DAY / 2) // DAY) % 7 >= 5 else 1.0


def diurnal(chance: Chance, n: int, start: float, zone: float, shape: str = "people") -> list[float]:
    """n times of the day from `start` on, dense when people of this time zone (hours from UTC) are awake."""
    sums, total = SHAPES[shape]
    found = []
    for _ in range(n):
        hour = bisect(sums, chance.random() * total)
        found.append(start + (hour + chance.random() - zone) % 24 * 3600)
    return sorted(found)


def bursts(chance: Chance, n: int, start: float, runs: int, rate: float, zone: float = 0.0) -> list[float]:
    """n times in some runs that begin when people start them; `rate` in requests a second within a run."""
    found = []
    begins = diurnal(chance, max(1, runs), start, zone, "office")
    for at in range(len(begins)):
        t = begins[at]
        for _ in range(n * at // len(begins), n * (at + 1) // len(begins)):
            t += chance.expovariate(rate)
            found.append(t)
    return sorted(found)


def ticks(chance: Chance, n: int, start: float, period: float, offset: float) -> list[float]:
    """n times of a job that a clock starts every `period` s; the requests of one start follow each other."""
    starts = max(1, int(DAY / period))
    found = []
    for at in range(starts):
        t = start + offset % period + at * period
        for _ in range(n * at // starts, n * (at + 1) // starts):
            t += 0.4 + chance.random() * 1.6
            found.append(t)
    return sorted(found)


def lockstep(t: float, awake: float, salt: int) -> float:
    """The time at which `awake` more seconds have passed since `t` in the windows that a campaign is awake in."""
    window = int(t // BIN)
    while True:
        end = (window + 1) * BIN
        if mix(window, salt) % AWAKE == 0:
            left = end - max(t, window * BIN)
            if awake < left:
                return max(t, window * BIN) + awake
            awake -= left
        window += 1
