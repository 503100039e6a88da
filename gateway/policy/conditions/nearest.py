"""Pure. What would have to be different for a condition to hold, or not to: found by asking the condition.

    nearest(node, want, known, names, lists) -> ways, each of them one change or a few that belong together

Nothing is read off the condition's text. Its tree says which values matter and which of its parts must turn; a number's
turning point is found by bisection on the comparison itself, so sums and ratios work as a plain `a >= 3` does. Each way
is tried on the whole condition before it is told, which `interpreter.evaluate` answers with the other values.
"""

from collections.abc import Iterator, Mapping
from itertools import islice, product
from math import isfinite
from typing import Any, Literal, NamedTuple

from gateway.policy.conditions.expressions import (
    And,
    Compare,
    In,
    Missing,
    Node,
    Not,
    Or,
    Text,
    lists_in,
    names_in,
    walk,
)
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.model import ListOf
from gateway.policy.names import Name

__all__ = ["Change", "Side", "Way", "nearest"]

MAX_WAYS = 8  # that are tried for one part of a condition
MAX_TRIED = 64  # combinations of them
MAX_LISTED = 16  # entries of a list that are tried as another value
DOUBLINGS = 70  # of the distance at which a turning point is looked for
HALVINGS = 200  # of the interval that it lies in: until two floats are neighbours
ELSEWHERE = "any other text"
"""Stands for all texts that a condition does not name. One that names just this is not fooled: each way is tried."""

Side = Literal["below", "at most", "above", "at least", "is", "is not", "with", "without", "known", "missing"]


class Change(NamedTuple):
    """One value that would be another. `value` is one that does it, `bound` the last or first that does or doesn't."""

    name: str
    side: Side
    bound: Any
    value: Any


Way = tuple[Change, ...]
Known = Mapping[str, Any]


def nearest(
    node: Node, want: bool, known: Known, names: Mapping[str, Name], lists: Mapping[str, ListOf]
) -> tuple[Way, ...]:
    """Ways to make a checked condition hold (`want`) or not; the fewest changes first. () = it does, or none is found.

    `known` is what the condition reads, by name; what it doesn't hold is missing.
    """
    if (evaluate(node, known, lists) is True) is want:
        return ()
    turn = _Turn(known, names, lists)
    found: dict[tuple[tuple[str, Side], ...], Way] = {}
    for way in islice(turn.ways(node, want), MAX_TRIED):
        other = dict(known) | {change.name: change.value for change in way}
        if (evaluate(node, other, lists) is True) is want:
            found.setdefault(tuple((change.name, change.side) for change in way), way)
    return tuple(sorted(found.values(), key=len))[:MAX_WAYS]


class _Turn:
    def __init__(self, known: Known, names: Mapping[str, Name], lists: Mapping[str, ListOf]) -> None:
        self.known, self.names, self.lists = known, names, lists

    def ways(self, node: Node, want: bool) -> Iterator[Way]:
        """Candidates for turning one part. A part that is missing counts as one that doesn't hold."""
        match node:
            case Not():
                yield from self.ways(node.of, not want)
            case And() | Or():
                together = isinstance(node, And) is want  # all of its parts must turn, or one is enough
                parts = [term for term in node.terms if evaluate(term, self.known, self.lists) is not want]
                found = [list(islice(self.ways(term, want), MAX_WAYS)) for term in parts]
                if not together:
                    for each in found:
                        yield from each
                elif all(found):
                    for ways in islice(product(*found), MAX_TRIED):
                        yield tuple({change.name: change for way in ways for change in way}.values())
            case Missing():
                yield from self._presence(node, want)
            case _:
                for name in names_in(node):
                    yield from ((change,) for change in self._changes(node, name, want))

    def _presence(self, node: Missing, want: bool) -> Iterator[Way]:
        absent = want is not node.negated
        for name in names_in(node):
            old = self.known.get(name)
            if absent:
                yield (Change(name, "missing", None, None),)
            elif old is None:
                value = {"number": 1, "bool": True, "texts": (), "text": ELSEWHERE}[self.names[name].kind]
                yield (Change(name, "known", None, value),)

    def _changes(self, node: Node, name: str, want: bool) -> Iterator[Change]:
        """Other values of one name with which a test says `want`."""
        old = self.known.get(name)
        kind = self.names[name].kind
        if kind == "number":
            if isinstance(node, Compare):
                yield from self._numbers(node, name, want)
            elif isinstance(node, In):
                yield from self._texts(node, name, want)
        elif kind == "bool":
            if self._says(node, name, not old) is want:
                yield Change(name, "is", not old, not old)
        elif kind == "text":
            yield from self._texts(node, name, want)
        elif old is not None:
            yield from self._members(node, name, want, tuple(old))

    def _says(self, node: Node, name: str, value: Any) -> bool | None:
        said = evaluate(node, dict(self.known) | {name: value}, self.lists)
        return said if isinstance(said, bool) else None

    def _constants(self, node: Node) -> list[Any]:
        """What the policy itself compares with."""
        found: list[Any] = [each.value for each, _ in walk(node) if isinstance(each, Text)]
        for name in lists_in(node):
            found += sorted(self.lists[name].values)[:MAX_LISTED]
        return found

    def _texts(self, node: Node, name: str, want: bool) -> Iterator[Change]:
        old = self.known.get(name)
        if old is not None and self._says(node, name, ELSEWHERE) is want:
            yield Change(name, "is not", old, ELSEWHERE)
            return
        for value in self._constants(node):
            if self._says(node, name, value) is want:
                yield Change(name, "is", value, value)
                return

    def _members(self, node: Node, name: str, want: bool, old: tuple[str, ...]) -> Iterator[Change]:
        for value in self._constants(node):
            if value not in old and self._says(node, name, (*old, value)) is want:
                yield Change(name, "with", value, (*old, value))
                return
        for value in old:
            left = tuple(each for each in old if each != value)
            if self._says(node, name, left) is want:
                yield Change(name, "without", value, left)
                return
        if old and self._says(node, name, ()) is want:
            yield Change(name, "without", ", ".join(old), ())

    def _numbers(self, node: Compare, name: str, want: bool) -> Iterator[Change]:
        """The nearest number on either side with which a comparison says `want`."""
        old = self.known.get(name)
        if old is None or any(self.known.get(each) is None for each in names_in(node)):
            return
        if node.op in ("==", "!="):
            yield from self._equal(node, name, want, old)
            return
        least = None if self.names[name].unit == "dB" else 0.0
        found = [self._turning(node, name, want, float(old), way, least) for way in (-1.0, 1.0)]
        for change in sorted((each for each in found if each is not None), key=lambda each: abs(each.bound - old)):
            yield change
            return

    def _equal(self, node: Compare, name: str, want: bool, old: float) -> Iterator[Change]:
        if want is (node.op == "!="):  # any other number will do
            if self._says(node, name, old + 1) is want:
                yield Change(name, "is not", old, old + 1)
            return
        for op in ("<=", ">="):
            tilted = Compare(op, node.left, node.right)
            now = evaluate(tilted, self.known, self.lists)
            least = None if self.names[name].unit == "dB" else 0.0
            for way in (-1.0, 1.0):
                change = self._turning(tilted, name, not now, float(old), way, least)
                if change is not None and self._says(node, name, change.bound) is want:
                    yield Change(name, "is", change.bound, change.bound)
                    return

    def _turning(
        self, node: Compare, name: str, want: bool, old: float, way: float, least: float | None
    ) -> Change | None:
        """Where the comparison turns to `want`, going from `old` upwards (`way` 1) or downwards (-1)."""
        step = max(abs(old), 1.0) * 1e-3
        near, far = old, old
        for _ in range(DOUBLINGS):
            far = old + way * step
            if least is not None and far <= least:
                far = least
            if not isfinite(far):
                return None
            if self._says(node, name, far) is want:
                break
            if far == least:
                return None
            near, step = far, step * 2
        else:
            return None
        for _ in range(HALVINGS):
            middle = (near + far) / 2
            if middle in (near, far):
                break
            if self._says(node, name, middle) is want:
                far = middle
            else:
                near = middle
        for digits in range(10):  # the shortest number that is one of the two sides
            bound = round(far, digits)
            if abs(bound - far) <= 1e-9 * max(1.0, abs(far)):
                break
        else:
            bound = far
        if bound.is_integer() and abs(bound) < 1e15:
            bound = int(bound)
        if self._says(node, name, bound) is want:
            return Change(name, "at least" if way > 0 else "at most", bound, bound)
        beyond = bound + way * max(abs(bound), 1.0) * 1e-6
        if self._says(node, name, beyond) is not want:
            return None
        return Change(name, "above" if way > 0 else "below", bound, beyond)
