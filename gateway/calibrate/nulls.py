"""Pure. What a scorecard's nulls would be, had they been fitted on these benign owners; and what goes together.

A share over owners is a beta distribution; its mean and correlation are found from each owner's hits and requests by
moments, with weights n / (1 + rho (n - 1)), which are the best ones (J. C. Kleinman, Proportions with Extraneous
Variance, JASA 68, 1973).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from statistics import fmean

import msgspec

from gateway.policy.evidence import Beta
from gateway.policy.model import Policy, Scorecard

__all__ = ["Count", "Fitted", "Null", "Together", "fit", "fitted", "overlay", "rates", "together"]

Count = tuple[float, float]
"""Hits, and the requests that they are among."""

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


class Together(msgspec.Struct, frozen=True):
    """How much of a family goes together in benign use: the mean correlation of what its lines count, in dB, over
    `pairs` of lines that both ever counted, beside what the card says. None where there is no such pair."""

    card: str
    family: str
    lines: int
    pairs: int
    measured: float | None
    assumed: float


def rates(policy: Policy) -> tuple[str, ...]:
    """The shares that the policy's scorecards read, each once."""
    return tuple(
        dict.fromkeys(line.text for card in policy.scorecards for line in card.evidence if line.kind == "rate")
    )


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


def together(card: Scorecard, addends: Sequence[Mapping[str, float]]) -> list[Together]:
    """Each family of two lines and more. `addends`: for each owner, line -> dB where its score was highest."""
    found = []
    for name, family in card.families.items():
        lines = [line.id for line in card.evidence if line.family == name]
        if len(lines) < 2:
            continue
        columns = [[each.get(line, 0.0) for each in addends] for line in lines]
        varied = [column for column in columns if len(set(column)) > 1]
        pairs = [_correlation(a, b) for a, b in combinations(varied, 2)]
        mean = round(fmean(pairs), 4) if pairs else None
        found.append(Together(card.id, name, len(lines), len(pairs), mean, family.correlation))
    return found


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's. Neither side is constant."""
    mean_a, mean_b = fmean(a), fmean(b)
    both = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    return both / sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))


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
