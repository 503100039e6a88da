"""Pure. What a scorecard's nulls would be, had they been fitted on benign owners of this traffic.

Owners are split by a hash of their name, so that what is fitted on one half is tried on the other. A share over owners
is a beta distribution; its mean and correlation are found from each owner's hits and requests by moments, with weights
n / (1 + rho (n - 1)), which are the best ones (J. C. Kleinman, Proportions with Extraneous Variance, JASA 68, 1973).
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

import msgspec

from gateway.policy.evidence import Beta
from gateway.policy.model import Policy
from tests.evaluation.replaying import Count

__all__ = ["Fitted", "Null", "fit", "fitted", "overlay", "to_fit"]

MEANS = (0.001, 0.95)
RHOS = (0.01, 0.95)
ROUNDS = 30  # of weights and estimates; they settle within a few


class Null(msgspec.Struct, frozen=True):
    """A share over owners: its mean, and how alike the requests of one owner are."""

    mean: float
    rho: float


class Fitted(msgspec.Struct, frozen=True):
    """One line of a scorecard. `owners`: of whom anything is known, `hitting`: those of them that ever did it."""

    card: str
    line: str
    shipped: Null
    fitted: Null
    owners: int
    hitting: int


def to_fit(account: str) -> bool:
    """Whether an owner is of the half that nulls are fitted on."""
    return blake2b(account.encode()).digest()[0] % 2 == 0


def fit(counts: Iterable[Count], shipped: Null) -> Null:
    """The null of owners' (hits, requests), within bounds.

    Where nobody ever did it, or everybody always, nothing is known of how alike an owner's requests are: that stays.
    """
    owners = [(min(hits, of), of) for hits, of in counts if of > 0]
    if not owners:
        return shipped
    rho = 0.0
    mean, spread = _moments(owners, rho)
    if not 0 < mean < 1:
        return Null(_within(mean, MEANS), shipped.rho)
    for _ in range(ROUNDS):
        rho = min(max(spread, 0.0), RHOS[1])
        mean, spread = _moments(owners, rho)
    return Null(_within(mean, MEANS), _within(spread, RHOS))


def _moments(owners: Sequence[Count], rho: float) -> tuple[float, float]:
    """Mean, and correlation from how far owners' shares lie apart, beyond what chance does to few requests."""
    weights = [of / (1 + rho * (of - 1)) if of > 1 else of for _, of in owners]
    whole = sum(weights)
    mean = sum(weight * hits / of for weight, (hits, of) in zip(weights, owners, strict=True)) / whole
    apart = sum(weight * (hits / of - mean) ** 2 for weight, (hits, of) in zip(weights, owners, strict=True))
    free = sum(weight * (1 - weight / whole) for weight in weights)
    chance = sum(weight / max(of, 1.0) * (1 - weight / whole) for weight, (_, of) in zip(weights, owners, strict=True))
    scale = mean * (1 - mean)
    if scale <= 0 or free <= chance:
        return mean, 0.0
    return mean, (apart - scale * chance) / (scale * (free - chance))


def fitted(policy: Policy, owners: Iterable[Mapping[str, Count]]) -> list[Fitted]:
    """Every line that counts a share, with the null that these owners' counts give."""
    known = list(owners)
    found = []
    for card in policy.scorecards:
        for line in card.evidence:
            if line.kind != "rate":
                continue
            counts = [each[line.text] for each in known if line.text in each]
            shipped = _null(line.null)
            hitting = sum(hits > 0 for hits, _ in counts)
            found.append(Fitted(card.id, line.id, shipped, fit(counts, shipped), len(counts), hitting))
    return found


def overlay(lines: Sequence[Fitted]) -> str:
    """The end of a policy file that puts the fitted nulls in the place of those of its packs."""
    cards: dict[str, list[str]] = {}
    for each in lines:
        at = f"evidence.{each.line}.benign"
        values = f'"{at}.mean": {each.fitted.mean:.6%}, "{at}.rho": {each.fitted.rho:.6f}'
        cards.setdefault(each.card, []).append(values)
    items = [f"  - {{id: {card}, set: {{{', '.join(values)}}}}}\n" for card, values in cards.items()]
    return "\nscorecards:\n" + "".join(items) if items else ""


def _null(beta: Beta) -> Null:
    """`evidence.beta_of`, backwards."""
    a, b = beta
    return Null(a / (a + b), 1 / (a + b + 1))


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
