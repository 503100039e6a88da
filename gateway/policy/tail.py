"""Pure. The upper tail of a beta distribution: of all owners, how many have a share at least as high as this one's.

The regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8; DLMF 8.17.22):

    I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * 1/(1 + d1/(1 + d2/(1 + ...)))
    d_2m = m (b-m) x / ((a+2m-1)(a+2m)),  d_2m+1 = -(a+m)(a+b+m) x / ((a+2m)(a+2m+1))

It converges fast below x = (a+1)/(a+b+2), within some sqrt(max(a, b)) terms; above, I_x(a, b) = 1 - I_1-x(b, a).
"""

from math import exp, lgamma, log, log1p, sqrt

from gateway.policy.evidence import Beta

__all__ = ["above"]

MOST = 20_000  # terms
TINY = 1e-300


def above(share: float, beta: Beta) -> float:
    """P(X >= share) of a beta distribution, to ten digits for a, b up to a million. Any `share` will do."""
    a, b = beta
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    rest = 1.0 - share  # P(X >= share) = I_rest(b, a)
    if rest < (b + 1.0) / (a + b + 2.0):
        return _fraction(rest, share, b, a)
    return 1.0 - _fraction(share, rest, a, b)


def _fraction(x: float, rest: float, a: float, b: float) -> float:
    """I_x(a, b) where the fraction converges; `rest` = 1 - x. Worked out from its last term to its first."""
    below = 1.0
    for m in range(min(MOST, 32 + int(4.0 * sqrt(max(a, b)))), 0, -1):
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1.0 + even / ((1.0 + odd / below) or TINY)
    below = 1.0 - (a + b) * x / (a + 1.0) / (below or TINY)
    front = a * log(x) + b * (log1p(-x) if x < 0.5 else log(rest)) + lgamma(a + b) - lgamma(a) - lgamma(b)
    return min(1.0, max(0.0, exp(front) / a / (below or TINY)))
