"""Pure. What a condition can come to at all: constant folding, and an interval for each number that it reads.

Abstract interpretation over a domain for each name (P. and R. Cousot, POPL 1977): `_Narrow` works out what must be so
where a condition is true (or false), and None where it can't be. It errs on one side only: what it calls impossible is
impossible; what it lets pass may still be. Numbers but dB are never negative, and a share is at most 1.
"""

from collections.abc import Mapping
from math import inf, isfinite
from typing import Literal, NamedTuple

from gateway.policy.conditions.expressions import (
    And,
    Arithmetic,
    Bool,
    Call,
    Compare,
    In,
    Items,
    Missing,
    Negate,
    Node,
    Not,
    Number,
    Or,
    Ref,
    Text,
    names_in,
)
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.names import Name

__all__ = ["Least", "least", "verdict_of"]

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


class Least(NamedTuple):
    """The smallest value that will do; not `inclusive`: every larger one, but not itself. -inf = no bound below."""

    value: float
    inclusive: bool


class Range(NamedTuple):
    """The numbers between two ends, each of which belongs to it or not."""

    low: float = -inf
    high: float = inf
    with_low: bool = False
    with_high: bool = False

    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and not (self.with_low and self.with_high))

    def meet(self, other: "Range") -> "Range":
        low, without_low = max((self.low, not self.with_low), (other.low, not other.with_low))
        high, with_high = min((self.high, self.with_high), (other.high, other.with_high))
        return Range(low, high, not without_low, with_high)

    def join(self, other: "Range") -> "Range":
        low, without_low = min((self.low, not self.with_low), (other.low, not other.with_low))
        high, with_high = max((self.high, self.with_high), (other.high, other.with_high))
        return Range(low, high, not without_low, with_high)


class Among(NamedTuple):
    """A text or bool that is one of these, or with `others` anything but these."""

    values: frozenset[str | bool]
    others: bool = False

    def empty(self) -> bool:
        return not self.values and not self.others

    def meet(self, other: "Among") -> "Among":
        if self.others and other.others:
            return Among(self.values | other.values, True)
        if self.others:
            return Among(other.values - self.values)
        return Among(self.values - other.values if other.others else self.values & other.values)

    def join(self, other: "Among") -> "Among":
        if self.others and other.others:
            return Among(self.values & other.values, True)
        if self.others:
            return Among(self.values - other.values, True)
        return Among(other.values - self.values, True) if other.others else Among(self.values | other.values)


ANYTHING = Among(frozenset(), True)
EITHER = Among(frozenset((True, False)))
Domain = Range | Among | Literal["missing"]
Known = Mapping[str, Domain]
"""What is known of names: a domain says that there is a value, "missing" that there is none."""


def verdict_of(node: Node, names: Mapping[str, Name]) -> Literal["always", "never", "depends"]:
    """Whether a checked condition is true for every request, for none, or for some as far as can be told."""
    narrow = _Narrow(names)
    if narrow.holds(node, True) is None:
        return "never"
    certain = narrow.holds(node, False) is None and not narrow.may_miss(node)
    return "always" if certain else "depends"


def least(node: Node, name: str, names: Mapping[str, Name] | None = None) -> Least:
    """The smallest value of a number with which a condition can be true; (inf, False) where nothing makes it true.

    Without `names` nothing is assumed of a number. Only comparisons of the name itself with constants bound it.
    """
    narrow = _Narrow(names or {})
    known = narrow.holds(node, True)
    if known is None:
        return Least(inf, False)
    found = known.get(name)
    if not isinstance(found, Range):
        found = narrow.number_of(name)
    return Least(found.low, found.with_low)


class _Narrow:
    def __init__(self, names: Mapping[str, Name]) -> None:
        self.names = names

    def holds(self, node: Node, want: bool) -> Known | None:
        """Twice over, so that what a later term says counts in an earlier one."""
        known = self.where(node, want, {})
        return None if known is None else self.where(node, want, known)

    def where(self, node: Node, want: bool, known: Known) -> Known | None:
        """What is known besides where a condition is `want`; None where it can't be."""
        match node:
            case And() | Or():
                if isinstance(node, And) is want:
                    return self.every(node.terms, want, known)
                return self.some(node.terms, want, known)
            case Not():
                return self.where(node.of, not want, known)
            case Bool():
                return known if node.value is want else None
            case Ref():
                return self.cut(node.name, Among(frozenset((want,))), known)
            case Missing():
                return self.missing(node, want is not node.negated, known)
            case Compare():
                return self.compare(node, want, known)
            case In():
                return self.inside(node, want is not node.negated, known)
            case Call():
                return self.present(node, known)
            case _:
                return known

    def every(self, terms: tuple[Node, ...], want: bool, known: Known) -> Known | None:
        for term in terms:
            found = self.where(term, want, known)
            if found is None:
                return None
            known = found
        return known

    def some(self, terms: tuple[Node, ...], want: bool, known: Known) -> Known | None:
        found = [each for each in (self.where(term, want, known) for term in terms) if each is not None]
        if not found:
            return None
        together = dict(found[0])
        for each in found[1:]:
            for name, domain in list(together.items()):
                joined = _join(domain, each[name]) if name in each else None
                if joined is None:
                    del together[name]
                else:
                    together[name] = joined
        return together

    def cut(self, name: str, domain: Range | Among, known: Known) -> Known | None:
        """A name that has a value, in this domain."""
        before = known.get(name)
        if before == "missing":
            return None
        if isinstance(domain, Range):
            range_ = domain.meet(before if isinstance(before, Range) else self.number_of(name))
            return None if range_.empty() else {**known, name: range_}
        among = domain.meet(before) if isinstance(before, Among) else domain
        return None if among.empty() else {**known, name: among}

    def present(self, node: Node, known: Known) -> Known | None:
        """A test that is not missing: what it reads is there."""
        if any(known.get(name) == "missing" for name in names_in(node)):
            return None
        return known

    def missing(self, node: Missing, want: bool, known: Known) -> Known | None:
        if not isinstance(node.of, Ref):
            return None if want and not self.may_miss(node.of) else known
        name, entry = node.of.name, self.names.get(node.of.name)
        if not want:
            if known.get(name) == "missing":
                return None
            return known if name in known else {**known, name: self.domain_of(name)}
        if known.get(name, "missing") != "missing" or (entry is not None and not entry.missing):
            return None
        return {**known, name: "missing"}

    def compare(self, node: Compare, want: bool, known: Known) -> Known | None:
        if self.present(node, known) is None:
            return None
        op = node.op if want else OPPOSITE[node.op]
        left, right = _folded(node.left), _folded(node.right)
        if not names_in(node):
            return known if evaluate(node, {}, {}) is want else None
        if any(isinstance(each, Arithmetic) and not names_in(each) for each in (left, right)):
            return None  # such as 1 / 0
        if isinstance(left, Text | Bool) or (isinstance(left, Number) and isinstance(right, Ref)):
            left, right, op = right, left, FLIPPED[op]
        if isinstance(left, Ref) and isinstance(right, Text | Bool):
            domain = Among(frozenset((right.value,)), op == "!=")
            return self.cut(left.name, domain if isinstance(right, Text) else EITHER.meet(domain), known)
        one, other = self.range_of(left, known), self.range_of(right, known)
        if one is None or other is None:
            return known
        if isinstance(left, Ref) and isinstance(right, Number) and op != "!=":
            return self.cut(left.name, _side(op, right.value), known)
        return known if _possible(op, one, other) else None

    def inside(self, node: In, want: bool, known: Known) -> Known | None:
        if self.present(node, known) is None:
            return None
        if not isinstance(node.left, Ref) or not isinstance(node.right, Items):
            return known
        numbers = [item.value for item in node.right.items if isinstance(item, Number)]
        if numbers:
            domain = Range(min(numbers), max(numbers), True, True)
            return self.cut(node.left.name, domain, known) if want else known
        values = frozenset(item.value for item in node.right.items if not isinstance(item, Number))
        among = Among(values, not want)
        return self.cut(node.left.name, EITHER.meet(among) if True in values or False in values else among, known)

    def domain_of(self, name: str) -> Range | Among:
        entry = self.names.get(name)
        if entry is None or entry.kind == "number":
            return self.number_of(name)
        return EITHER if entry.kind == "bool" else ANYTHING

    def number_of(self, name: str) -> Range:
        entry = self.names.get(name)
        if entry is None or entry.unit == "dB":
            return Range()
        return Range(0, 1, True, True) if entry.unit == "share" else Range(0, inf, True)

    def range_of(self, node: Node, known: Known) -> Range | None:
        """The values that a number can have; None for what is no number."""
        match node:
            case Number():
                return Range(node.value, node.value, True, True)
            case Ref():
                found = known.get(node.name)
                entry = self.names.get(node.name)
                if isinstance(found, Range):
                    return found
                return self.number_of(node.name) if entry is None or entry.kind == "number" else None
            case Negate():
                inner = self.range_of(node.of, known)
                return inner and Range(-inner.high, -inner.low, inner.with_high, inner.with_low)
            case Call():
                return Range(0, inf, True) if node.function == "count" else None
            case Arithmetic():
                left, right = self.range_of(node.left, known), self.range_of(node.right, known)
                return _reach(node.op, left, right) if left is not None and right is not None else None
            case _:
                return None

    def may_miss(self, node: Node) -> bool:
        """Whether there are requests for which a node is missing."""
        match node:
            case Ref():
                return node.name not in self.names or self.names[node.name].missing
            case Arithmetic():
                if not names_in(node):
                    return evaluate(node, {}, {}) is None
                reach = self.range_of(node, {})
                sure = reach is not None and isfinite(reach.low) and isfinite(reach.high)
                return not sure or self.may_miss(node.left) or self.may_miss(node.right)
            case Negate() | Not():
                return self.may_miss(node.of)
            case Compare() | In():
                return self.may_miss(node.left) or self.may_miss(node.right)
            case And() | Or():
                return any(map(self.may_miss, node.terms))
            case Call():
                return any(map(self.may_miss, node.args))
            case _:
                return False


def _folded(node: Node) -> Node:
    """A number without names as one constant, unless it is missing."""
    if isinstance(node, Arithmetic | Negate) and not names_in(node):
        value = evaluate(node, {}, {})
        return node if value is None else Number(value, at=node.at)
    return node


def _side(op: str, value: float) -> Range:
    """The numbers that compare so with a constant."""
    if op == "==":
        return Range(value, value, True, True)
    return Range(high=value, with_high=op == "<=") if op[0] == "<" else Range(low=value, with_low=op == ">=")


def _possible(op: str, left: Range, right: Range) -> bool:
    if op == "!=":
        return not (left == right and left.low == left.high)
    if op == "==":
        return not left.meet(right).empty()
    if op[0] == ">":
        left, right = right, left
    if left.low == right.high:
        return len(op) == 2 and left.with_low and right.with_high
    return left.low < right.high


def _join(one: Domain, other: Domain) -> Domain | None:
    """What holds of a value of either; None where nothing does."""
    if isinstance(one, Range) and isinstance(other, Range):
        return one.join(other)
    if isinstance(one, Among) and isinstance(other, Among):
        return one.join(other)
    return "missing" if one == other == "missing" else None


def _reach(op: str, left: Range, right: Range) -> Range | None:
    """All results of an operation: its ends, taken as belonging to it. None where it may be missing."""
    if op == "/" and right.low <= 0 <= right.high:
        return None
    try:
        ends = [_at_ends(op, a, b) for a in left[:2] for b in right[:2]]
        if any(abs(end) > 1e300 and isfinite(end) for end in ends):
            return None
    except OverflowError:
        return None
    if any(end != end for end in ends):  # infinity less infinity
        return Range()
    low, high = min(ends), max(ends)
    return Range(low, high, isfinite(low), isfinite(high))


def _at_ends(op: str, a: float, b: float) -> float:
    if op == "+":
        return a + b
    if op == "-":
        return a - b
    if op == "*":
        return 0.0 if a == 0 or b == 0 else a * b  # zero times any finite number, however large
    return a / b
