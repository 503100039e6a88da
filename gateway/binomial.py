"""Pure. How many of n may do something by chance: the binomial distribution, bounds of a share, and promises of one.

All bounds are exact and one-sided, at 95 % unless said otherwise (C. J. Clopper and E. S. Pearson, The use of
confidence or fiducial limits, Biometrika 26, 1934). What is promised is a tolerance limit and no average: of all
samples of n owners that one might have got, 95 % lead to a threshold that at most a share `alpha` of all owners pass
(S. S. Wilks, Determination of sample sizes for setting tolerance limits, Annals of Mathematical Statistics 12, 1941).
"""

from math import exp, expm1, fsum, lgamma, log, log1p

__all__ = ["CONFIDENCE", "allowed", "at_most", "lower", "needed", "upper"]

CONFIDENCE = 0.95
STEPS = 80  # of a bisection: more than a float has bits
NEGLIGIBLE = 1e-18  # of a sum of probabilities near 5 %: no term after it counts


def at_most(k: int, n: int, p: float) -> float:
    """P(at most k of n), where each does it with probability p. n at most some millions: a sum over the terms."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    if k > n * p:  # the shorter tail is summed; the largest terms come first
        return max(0.0, 1.0 - _tail(n - k - 1, n, 1.0 - p))
    return _tail(k, n, p)


def _tail(k: int, n: int, p: float) -> float:
    """The same for k at most n * p, or nearly: terms fall from k down to 0."""
    odds = (1.0 - p) / p
    term = exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log1p(-p))
    terms = [term]
    for at in range(k, 0, -1):
        term *= odds * at / (n - at + 1)
        if term < NEGLIGIBLE:
            break
        terms.append(term)
    return min(1.0, fsum(terms))


def upper(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The largest share that k of n are not too few for: P(at most k of n) = 1 - confidence. 1 where n is 0."""
    if k >= n:
        return 1.0
    if k == 0:
        return -expm1(log1p(-confidence) / n)
    low, high = k / n, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(k, n, middle) > 1.0 - confidence else (low, middle)
    return high


def lower(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The smallest share that k of n are not too many for: P(at least k of n) = 1 - confidence. 0 where k is 0."""
    return 1.0 - upper(n - k, n, confidence) if k else 0.0


def allowed(n: int, alpha: float, confidence: float = CONFIDENCE) -> int | None:
    """How many of n may pass a threshold that at most a share `alpha` of all shall pass: the largest k with
    P(at most k of n | alpha) <= 1 - confidence. None where n is too small for even k = 0."""
    if n < 1 or not 0.0 < alpha <= 1.0 or upper(0, n, confidence) > alpha:
        return None
    low, high = 0, max(1, int(n * alpha))  # at the mean it is about one half
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if at_most(middle, n, alpha) <= 1.0 - confidence else (low, middle - 1)
    return low


def needed(alpha: float, k: int = 0, confidence: float = CONFIDENCE) -> int:
    """The smallest n of which k may pass: n >= 2,995 for k = 0 at 0.1 %, 4,742 for k = 1."""
    if not 0.0 < alpha <= 1.0:
        raise ValueError("a share lies above 0, and is at most 1")
    low, high = k, k + 1
    while at_most(k, high, alpha) > 1.0 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(k, middle, alpha) > 1.0 - confidence else (low, middle)
    return high
