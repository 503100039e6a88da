"""Pure. What a scorecard can come to: the least and the most that its lines add up to, in dB.

Both are bounds: what lies outside can't be reached; what lies inside may still be out of reach, since lines that
exclude each other are not told apart.
"""

from collections.abc import Mapping
from math import inf, lgamma, log
from typing import NamedTuple

from gateway.policy.cards import STRONG, WITNESSES
from gateway.policy.evidence import Beta, family
from gateway.policy.model import Evidence, Scorecard
from gateway.policy.rounding import hundredths

__all__ = ["Reach", "ends", "reach"]

DECIBANS = 10.0 / log(10.0)


class Reach(NamedTuple):
    """Bounds of a score, and the families that can count as witnesses of their own."""

    least: float
    most: float
    strong: tuple[str, ...]

    @property
    def corroborated(self) -> bool:
        """Whether two families can be strong, one of them content, params or campaign."""
        return len(self.strong) >= 2 and not WITNESSES.isdisjoint(self.strong)


def reach(card: Scorecard, never: Mapping[str, bool] | None = None) -> Reach:
    """The bounds of a card's score, rounded as the score is. `never`: ids of lines whose condition can't hold."""
    low: dict[str, list[tuple[float, float]]] = {}
    high: dict[str, list[tuple[float, float]]] = {}
    for line in card.evidence:
        if never and never.get(line.id):
            continue
        least, most = ends(line)
        low.setdefault(line.family, []).append((max(least, line.floor), line.ceiling))
        high.setdefault(line.family, []).append((min(most, line.ceiling), line.ceiling))
    most_of = {name: _worth(card, name, lines) for name, lines in high.items()}
    least_of = {name: _worth(card, name, lines) for name, lines in low.items()}
    priors = [card.prior[entity] for entity in card.of if entity in card.prior]
    return Reach(
        hundredths(min(priors) + sum(least_of.values())),
        hundredths(max(priors) + sum(most_of.values())),
        tuple(name for name, worth in most_of.items() if worth >= STRONG),
    )


def _worth(card: Scorecard, name: str, lines: list[tuple[float, float]]) -> float:
    kind = card.families[name]
    return hundredths(family(lines, ceiling=kind.ceiling, correlation=kind.correlation))


def ends(line: Evidence) -> tuple[float, float]:
    """The least and the most that a line says, in dB, its floor and ceiling aside; nothing, 0, is always possible."""
    if line.kind == "rate":
        return -_peak(line.alternative, line.null), _peak(line.null, line.alternative)
    said = [line.db] if line.kind == "when" else [db for _, db in line.points]
    return min(0.0, *said), max(0.0, *said)


def _peak(null: Beta, alternative: Beta) -> float:
    """The most that any counts can say for `alternative` against `null`, in dB; inf where there is no most.

    A beta-binomial's ratio is an average of the ratio of the two densities, so that one's largest value bounds it:
    with da = a1 - a0 and db = b1 - b0 it lies at da / (da + db), where neither is negative; else an end has none.
    """
    (a0, b0), (a1, b1) = null, alternative
    da, db = a1 - a0, b1 - b0
    if da < 0 or db < 0:
        return inf
    total = da + db
    at_peak = sum(d * log(d / total) for d in (da, db) if d > 0)
    return max(0.0, DECIBANS * (_ln_beta(a0, b0) - _ln_beta(a1, b1) + at_peak))


def _ln_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
