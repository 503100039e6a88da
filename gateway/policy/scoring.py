"""Pure. A scorecard as one function of the values: what `cards.py` works out line by line, to the last bit.

Most lines of most requests say nothing, and here each of these costs a comparison. As in `conditions/compiler.py`, what
is compiled is a syntax tree. Its shape comes from the templates below; from a policy come constants and conditions.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

from gateway.policy.cards import REQUESTS, STRONG, WITNESSES, Scores
from gateway.policy.conditions.compiler import function
from gateway.policy.conditions.emit import Emitter, Slots, all_of, constant, may_overflow, within
from gateway.policy.conditions.expressions import Arithmetic, Node
from gateway.policy.evidence import FEW, FLOOR, HALF, weigher
from gateway.policy.model import Evidence, ListOf, Scorecard
from gateway.policy.names import Name
from gateway.policy.rounding import TO_HUNDREDTHS, hundredths
from gateway.policy.templates import filled, filled_value

__all__ = ["Scorer", "gathered"]

Values = list[Any]
Found = tuple[dict[str, float], dict[str, float], int, bool]
"""dB of each line that counts something and of each family; how many of these are strong, and one a witness."""

NEEDED = """
needed = False
CONDITION
if not needed:
    return None
"""
RATE = """
if HITS and OF and OF > 0.0:
    db = OF / (OF + FEW) * weigh(HITS, OF)
    ADD
"""
UNQUIET = """
if OF and OF > 0.0:
    db = OF / (OF + FEW) * weigh(HITS or 0.0, OF)
    ADD
"""
READ = """
if THERE:
    x = VALUE * 1.0
    CURVE
    if db and requests > 0.0:
        db *= requests / (requests + (HALF if db > 0.0 else FEW))
        ADD
"""
ADD = """
if db < LEAST:
    db = LEAST
if db:
    if db > CEILING:
        db = CEILING
    counted[LINE] = ROUNDED
    FOUND.append(db)
    LIFT
"""
ADD_FOR = """
if db > 0.0:
    if db > CEILING:
        db = CEILING
    counted[LINE] = ROUNDED
    FOUND.append(db)
    LIFT
"""
LIFT = """
if db > ORDINARY and db > LIFTED:
    LIFTED = db
"""
SEGMENT = "db = Y + RISE * (x - X) / RUN"
GATHER = """
if FOUND:
    whole = gathered(FOUND, ORDINARY, CORRELATION, LIFTED)
    whole = sums[FAMILY] = ROUNDED
    if whole >= STRONG:
        strong += 1
        WITNESS
"""


class Scorer:
    """`Card`, compiled. The values have slots already, or are given some."""

    def __init__(
        self,
        card: Scorecard,
        slots: Slots,
        names: Mapping[str, Name],
        lists: Mapping[str, ListOf],
        parsed: Mapping[str, Node],
    ) -> None:
        self.card = card
        self._run = _Writer(card, Emitter(slots, names, lists), parsed).function()
        self._slot = slots.of(f"score.{card.id}")
        self._families = slots.of(f"score.{card.id}.families")
        self._corroborated = slots.of(f"score.{card.id}.corroborated")

    def score(self, values: Values, scores: Scores, entity: str) -> None:
        """Adds this card's score, and writes it into its slots. What a test has given is not worked out again."""
        card = self.card
        if values[self._slot] is not None:
            scores.scores[card.id] = values[self._slot]
            return
        if entity not in card.of:
            scores.scores[card.id] = hundredths(card.prior[card.of[0]])
            return
        prior = card.prior[entity]
        found = self._run(values)
        if found is None:
            scores.scores[card.id] = hundredths(prior)
            return
        counted, sums, strong, witness = found
        total = prior
        for whole in sums.values():
            total += whole
        values[self._slot] = scores.scores[card.id] = hundredths(total)
        values[self._families] = strong
        values[self._corroborated] = strong >= 2 and witness
        if counted:
            scores.evidence[card.id] = counted
            scores.families[card.id] = sums


class _Writer:
    """The statements of one card's function."""

    def __init__(self, card: Scorecard, emit: Emitter, parsed: Mapping[str, Node]) -> None:
        self.card = card
        self.emit = emit
        self.parsed = parsed
        self.families = tuple(dict.fromkeys(line.family for line in card.evidence))

    def function(self) -> Callable[[Values], Found | None]:
        """The function of the values; None where the card's `needs` is not true."""
        needs = self.needs() if self.card.needs else []
        requests = filled("requests = OF or 0.0", OF=self.emit.local(REQUESTS))
        lines = [each for line in self.card.evidence for each in self.line(line)]
        ends = [each for at in range(len(self.families)) for each in self.gather(at)]
        made = ["counted = {}", "sums = {}", "strong = 0", "witness = False"]
        made += [f"found{at} = []" for at in range(len(self.families))]
        made += [f"lifted{at} = 0.0" for at in range(len(self.families)) if self.lifts(at)]
        body: list[ast.stmt] = [
            *needs,
            *requests,
            *filled("\n".join(made)),
            *lines,
            *ends,
            *filled("return counted, sums, strong, witness"),
        ]
        size = len(self.emit.slots.names)
        places = ast.Tuple([ast.Name(f"v{at}", ast.Store()) for at in range(size)], ast.Store())
        body.insert(0, ast.Assign([places], filled_value("values[:SIZE]", SIZE=constant(size))))
        return cast(Callable[[Values], Found | None], function(self.emit, "scorecard", body, ()))

    def needs(self) -> list[ast.stmt]:
        node = self.parsed[self.card.needs]
        return filled(NEEDED, CONDITION=self.where(node, filled("needed = True")))

    def where(self, node: Node, then: list[ast.stmt]) -> list[ast.stmt]:
        """Statements that are done where a condition is true."""
        slow: list[ast.stmt] = [ast.If(self.emit.slowly(node), then, [])] if may_overflow(node) else []
        return self.emit.decide(node, then, [], slow)

    def line(self, line: Evidence) -> list[ast.stmt]:
        found = getattr(self, line.kind)(line)
        if line.after:
            return filled("if OF >= AFTER:\n    THEN", OF="requests", AFTER=constant(line.after), THEN=found)
        return cast(list[ast.stmt], found)

    def rate(self, line: Evidence) -> list[ast.stmt]:
        hits, of = self.emit.local(f"{line.text}.hits"), self.emit.local(f"{line.text}.of")
        (a0, b0), (a1, b1) = line.null, line.alternative
        quiet = line.floor >= 0.0 and a1 >= a0 and a1 * (a0 + b0) >= a0 * (a1 + b1)  # then no hits never count above 0
        return filled(
            RATE if quiet else UNQUIET,
            HITS=hits,
            OF=of,
            FEW=constant(FEW),
            weigh=self.emit.bind(weigher(line.null, line.alternative), ("weigh", line.null, line.alternative)),
            ADD=self.add(line),
        )

    def read(self, line: Evidence) -> list[ast.stmt]:
        node = self.parsed[line.text]
        there, value = self.emit.value(node)
        if not isinstance(node, Arithmetic):
            first, level = line.points[0]
            if not level:  # found out before anything else of it is
                there.append(ast.Compare(value, [ast.Gt()], [constant(first)]))
            there.append(within(value))
        found = filled(
            READ,
            THERE=all_of(there),
            VALUE=value,
            CURVE=curve(line.points),
            HALF=constant(HALF),
            FEW=constant(FEW),
            ADD=self.add(line),
        )
        return [self.emit.attempt(found, [ast.Pass()])] if may_overflow(node) else found

    def when(self, line: Evidence) -> list[ast.stmt]:
        found = [*filled("db = DB", DB=constant(line.db)), *self.add(line)]
        return self.where(self.parsed[line.text], found)

    def add(self, line: Evidence) -> list[ast.stmt]:
        """What `db` says is held to the line's bounds and counted."""
        at, ordinary = self.families.index(line.family), self.card.families[line.family].ceiling
        lifted = f"lifted{at}"
        return filled(
            ADD if line.floor else ADD_FOR,
            LEAST=constant(line.floor),
            CEILING=constant(line.ceiling),
            LINE=constant(line.id),
            FOUND=f"found{at}",
            ROUNDED=filled_value(TO_HUNDREDTHS, X="db"),
            LIFT=filled(LIFT, ORDINARY=constant(ordinary), LIFTED=lifted) if line.ceiling > ordinary else [],
        )

    def lifts(self, at: int) -> bool:
        """Whether a line of this family may pass its ceiling."""
        name = self.families[at]
        return any(
            each.family == name and each.ceiling > self.card.families[name].ceiling for each in self.card.evidence
        )

    def gather(self, at: int) -> list[ast.stmt]:
        name = self.families[at]
        kind = self.card.families[name]
        return filled(
            GATHER,
            FOUND=f"found{at}",
            FAMILY=constant(name),
            ROUNDED=filled_value(TO_HUNDREDTHS, X="whole"),
            gathered=self.emit.bind(gathered, gathered),
            ORDINARY=constant(kind.ceiling),
            CORRELATION=constant(kind.correlation),
            LIFTED=f"lifted{at}" if self.lifts(at) else constant(0.0),
            STRONG=constant(STRONG),
            WITNESS=filled("witness = True") if name in WITNESSES else [],
        )


def curve(points: Sequence[tuple[float, float]]) -> list[ast.stmt]:
    """`db` at `x` on the polygon through some points: `evidence.interpolate`."""
    rest = filled("db = LEVEL", LEVEL=constant(points[-1][1]))
    for (x0, y0), (x1, y1) in reversed(list(pairwise(points))):
        segment = filled(SEGMENT, Y=constant(y0), RISE=constant(y1 - y0), X=constant(x0), RUN=constant(x1 - x0))
        rest = filled("if x < END:\n    SEGMENT\nelse:\n    REST", END=constant(x1), SEGMENT=segment, REST=rest)
    first, level = points[0]
    start = filled("db = LEVEL", LEVEL=constant(level))
    return filled("if x <= FIRST:\n    START\nelse:\n    REST", FIRST=constant(first), START=start, REST=rest)


def gathered(found: list[float], ceiling: float, correlation: float, lifted: float) -> float:
    """`evidence.family` of pieces that keep to their own ceilings; sorts them in place.

    `lifted`: the largest of those whose own ceiling is above the family's, as far as it is so itself; else 0.
    """
    whole, against = found[0], 0.0
    if len(found) > 1:
        found.sort(reverse=True)
        raised = total = share = 0.0
        count = 0
        for db in found:
            if db < 0.0:
                break
            total += db
            share = total / (1.0 + count * correlation)
            if share > raised:
                raised = share
            count += 1
        if count < len(found):
            total = 0.0
            for at in range(len(found) - count):
                total -= found[-1 - at]
                share = total / (1.0 + at * correlation)
                if share > against:
                    against = share
        whole = raised - against
    whole = FLOOR if whole < FLOOR else ceiling if whole > ceiling else whole
    return lifted - against if lifted and lifted - against > whole else whole
