"""Pure. Odds of counts in decibans: the beta-binomial, which knows that owners differ from each other.

A deciban (dB) is a tenth of a factor of ten of likelihood ratio.
"""

from collections.abc import Callable
from math import exp, lgamma, log

__all__ = ["DECIBANS", "Beta", "bayes_factor", "beta_of", "rare", "weigher"]

Beta = tuple[float, float]
"""The parameters (a, b) of a beta distribution."""

DECIBANS = 10.0 / log(10.0)


def beta_of(mean: float, rho: float) -> Beta:
    """The beta distribution of a share over owners: its mean, and `rho` = 1 / (a + b + 1), the correlation of two
    requests of one owner (0 = all owners alike, 1 = each owner always or never). Both lie strictly between 0 and 1."""
    size = 1.0 / rho - 1.0
    return mean * size, (1.0 - mean) * size


def bayes_factor(hits: float, of: float, null: Beta, alternative: Beta) -> float:
    """dB for `hits` of `of` requests, of the alternative against the null, both beta-binomial; real counts are fine.

        10/ln10 * [ln B(a1+k, b1+n-k) - ln B(a1, b1) - ln B(a0+k, b0+n-k) + ln B(a0, b0)]

    The null is hierarchical: owners differ in their share, so one heavy habit isn't n independent coincidences.
    Without decay this is a test martingale under the null (Ville: P(sup >= 1/p) <= p); with decay it is not.
    """
    return weigher(null, alternative)(hits, of)


def weigher(null: Beta, alternative: Beta) -> Callable[[float, float], float]:
    """`bayes_factor` for one null and alternative, with what doesn't depend on the counts worked out once."""
    (a0, b0), (a1, b1) = null, alternative
    s0, s1 = a0 + b0, a1 + b1
    constant = lgamma(s1) - lgamma(a1) - lgamma(b1) - lgamma(s0) + lgamma(a0) + lgamma(b0)

    def weigh(hits: float, of: float) -> float:
        if of <= 0.0:
            return 0.0
        hits = 0.0 if hits < 0.0 else of if hits > of else hits
        misses = of - hits
        return DECIBANS * (
            lgamma(a1 + hits)
            + lgamma(b1 + misses)
            - lgamma(s1 + of)
            - lgamma(a0 + hits)
            - lgamma(b0 + misses)
            + lgamma(s0 + of)
            + constant
        )

    return weigh


def rare(seen: int, expected: float) -> float:
    """dB by which it is surprising that no more than `seen` came where `expected` were: -10 log10 P(Poisson <= seen).

    At most 100, so that a sum that underflows is no infinity.
    """
    if expected <= 0.0:
        return 0.0
    if expected > 700.0 and seen * 2 < expected:
        return 100.0
    term = total = exp(-expected) if expected < 700.0 else 0.0
    for at in range(1, seen + 1):
        term *= expected / at
        total += term
    return 100.0 if total < 1e-10 else max(0.0, -DECIBANS * log(min(1.0, total)))
