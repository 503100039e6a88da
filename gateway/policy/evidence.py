"""Pure. The arithmetic of scorecards: from counts and readings to decibans (dB) of evidence.

A deciban is a tenth of a factor of ten of likelihood ratio: +10 dB = ten times likelier extraction than benign use.
Evidence adds up within a family with a discount for what goes together, and each family has a ceiling, so that one kind
of trace alone never decides. A score is a function of decayed counts and not a running sum: an account heals.
"""

from collections.abc import Sequence

from gateway.odds import Beta, bayes_factor, beta_of, weigher

__all__ = ["FEW", "FLOOR", "HALF", "Beta", "beta_of", "bayes_factor", "family", "interpolate", "support", "weigher"]

FLOOR = -10.0
"""dB: the least that a family counts, so that nobody can bank credit with good behaviour."""
HALF = 20.0
"""Requests at which half of what a reading says counts."""
FEW = 2.0
"""Requests at which half of a rate's evidence counts: it weighs small numbers itself, but for owners' first steps."""


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """dB at `x` on the polygon through `points` (x rising); level outside of them."""
    before = points[0]
    if x <= before[0]:
        return before[1]
    for point in points:
        if x < point[0]:
            (x0, y0), (x1, y1) = before, point
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        before = point
    return before[1]


def support(of: float, half: float = HALF) -> float:
    """How much of the evidence of `of` requests counts: n / (n + half)."""
    return of / (of + half) if of > 0.0 else 0.0


def family(
    evidence: Sequence[tuple[float, float]], *, ceiling: float, correlation: float, floor: float = FLOOR
) -> float:
    """dB of a family, from the (dB, ceiling) of each of its pieces of evidence.

    What speaks for it is the largest, over k, of the sum of the k strongest divided by 1 + (k - 1) * correlation: two
    traces of one habit are not two habits, and yet one more trace never lowers it. What speaks against it is summed in
    the same way. A piece whose own ceiling is above the family's lifts the family's for that piece alone.
    """
    if len(evidence) == 1:
        db, own = evidence[0]
        most = own if own > ceiling else ceiling
        return max(floor, min(db, own, most))
    raised = sorted((min(db, own) for db, own in evidence if db > 0.0), reverse=True)
    lowered = sorted((-db for db, _ in evidence if db < 0.0), reverse=True)
    against = _discounted(lowered, correlation)
    total = max(floor, min(ceiling, _discounted(raised, correlation) - against))
    for db, own in evidence:
        if own > ceiling and db > ceiling:
            total = max(total, min(db, own) - against)
    return total


def _discounted(strongest: Sequence[float], correlation: float) -> float:
    best = total = 0.0
    for at, db in enumerate(strongest):
        total += db
        best = max(best, total / (1.0 + at * correlation))
    return best
