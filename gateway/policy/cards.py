"""Pure. One scorecard, line by line: from the values of a request to decibans, with every addend that counted.

What a gateway runs is the same as one function (`scoring.py`); this is what that is tested against, and what judges a
card that is changed for once, to say what would lower a score.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gateway.policy.conditions.compiler import Slots, condition, quantity
from gateway.policy.conditions.expressions import Node
from gateway.policy.evidence import FEW, FLOOR, HALF, family, interpolate, support, weigher
from gateway.policy.model import Evidence, ListOf, Scorecard
from gateway.policy.names import Name
from gateway.policy.rounding import hundredths

__all__ = ["REQUESTS", "STRONG", "Card", "Scores"]

REQUESTS = "week.requests"
"""The reading that `after` counts, and that the support of a `read` comes from."""
STRONG = 5.0
"""dB at which a family counts as a witness of its own."""
WITNESSES = frozenset({"content", "params", "campaign"})
"""Families of which one must be strong before anybody is blocked: nobody is for an address, a clock or a volume."""

Values = list[Any]


class Scores(NamedTuple):
    """What the scorecards say, rounded as the record prints it."""

    scores: dict[str, float]  # card -> dB
    evidence: dict[str, dict[str, float]]  # card -> line -> dB that counted, those that count something
    families: dict[str, dict[str, float]]  # card -> family -> dB
    campaign: dict[str, float] = {}  # card -> dB of the account's campaign by itself
    together: dict[str, dict[str, float]] = {}  # card -> line -> dB that counted of the campaign


class Card:
    """One scorecard with its lines as functions of the values."""

    def __init__(
        self,
        card: Scorecard,
        slots: Slots,
        names: Mapping[str, Name],
        lists: Mapping[str, ListOf],
        parsed: Mapping[str, Node],
    ) -> None:
        self.card = card
        self._needs = condition(parsed[card.needs], slots, names, lists) if card.needs else None
        self._requests = slots.of(REQUESTS)
        self._lines = [
            (line.id, line.family, line.ceiling, line.floor, line.after, self._worth(line, slots, names, lists, parsed))
            for line in card.evidence
        ]
        kinds = {line.family: card.families[line.family] for line in card.evidence}  # in the order of their first lines
        self._kinds = {name: (kind.ceiling, kind.correlation) for name, kind in kinds.items()}
        self._slot = slots.of(f"score.{card.id}")
        self._families = slots.of(f"score.{card.id}.families")
        self._corroborated = slots.of(f"score.{card.id}.corroborated")

    def _worth(
        self,
        line: Evidence,
        slots: Slots,
        names: Mapping[str, Name],
        lists: Mapping[str, ListOf],
        parsed: Mapping[str, Node],
    ) -> Callable[[Values], float]:
        """What a line counts, in dB; where something is missing it says nothing."""
        if line.kind == "rate":
            return _rate(line, slots.of(f"{line.text}.hits"), slots.of(f"{line.text}.of"))
        if line.kind == "read":
            return _read(line, quantity(parsed[line.text], slots, names, lists), self._requests)
        return _when(line, condition(parsed[line.text], slots, names, lists))

    def score(self, values: Values, scores: Scores, entity: str) -> None:
        """Adds this card's score, and writes it into its slots. What a test has given is not worked out again."""
        card = self.card
        if values[self._slot] is not None:
            scores.scores[card.id] = values[self._slot]
            return
        if entity not in card.of:  # it scores something else: a number in the record, missing in conditions
            scores.scores[card.id] = hundredths(card.prior[card.of[0]])
            return
        prior = card.prior[entity]
        if self._needs is not None and self._needs(values) is not True:
            scores.scores[card.id] = hundredths(prior)
            return
        counted: dict[str, float] = {}
        pieces: dict[str, list[tuple[float, float]]] = {}
        requests = values[self._requests] or 0.0
        for name, kind, ceiling, floor, after, worth in self._lines:
            if after and requests < after:
                continue
            db = worth(values)
            if db < floor:
                db = floor
            if db:
                if db > ceiling:
                    db = ceiling
                counted[name] = hundredths(db)
                if kind in pieces:
                    pieces[kind].append((db, ceiling))
                else:
                    pieces[kind] = [(db, ceiling)]
        total = prior
        sums: dict[str, float] = {}
        for kind, (ceiling, correlation) in self._kinds.items():
            found = pieces.get(kind, [])
            if not found:
                continue
            if len(found) == 1:  # `family` of one piece
                db, own = found[0]
                whole = FLOOR if db < FLOOR else db if db < ceiling or own > ceiling else ceiling
            else:
                whole = family(found, ceiling=ceiling, correlation=correlation)
            sums[kind] = whole = hundredths(whole)
            total += whole
        strong = [name for name, db in sums.items() if db >= STRONG]
        values[self._slot] = scores.scores[card.id] = hundredths(total)
        values[self._families] = len(strong)
        values[self._corroborated] = len(strong) >= 2 and not WITNESSES.isdisjoint(strong)
        if counted:
            scores.evidence[card.id] = counted
            scores.families[card.id] = sums


def _rate(line: Evidence, hits: int, of: int) -> Callable[[Values], float]:
    weigh = weigher(line.null, line.alternative)
    (a0, b0), (a1, b1) = line.null, line.alternative
    quiet = line.floor >= 0.0 and a1 >= a0 and a1 * (a0 + b0) >= a0 * (a1 + b1)  # then no hits never count above 0

    def worth(values: Values) -> float:
        n, k = values[of], values[hits]
        if not n or (quiet and not k):
            return 0.0
        return support(n, FEW) * weigh(k or 0.0, n)

    return worth


def _read(line: Evidence, read: Callable[[Sequence[Any]], float | None], requests: int) -> Callable[[Values], float]:
    points = line.points
    first, level = points[0]

    def worth(values: Values) -> float:
        x = read(values)
        if x is None:
            return 0.0
        db = level if x <= first else interpolate(points, x)
        return db * support(values[requests] or 0.0, HALF if db > 0.0 else FEW) if db else 0.0

    return worth


def _when(line: Evidence, holds: Callable[[Sequence[Any]], bool | None]) -> Callable[[Values], float]:
    db = line.db

    def worth(values: Values) -> float:
        return db if holds(values) else 0.0

    return worth
