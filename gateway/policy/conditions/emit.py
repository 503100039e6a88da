"""Pure. Conditions -> expressions of Python's own syntax tree, three-valued without a None in their way.

A condition c becomes two plain ones:
    may(c)   missing read as "could be true":   (a is None or a > 3)
    must(c)  missing read as "not true":        (a is not None and a > 3)
c is false where may(c) is false (most rules of most requests, found out in one pass), true where must(c) holds, else
missing. Under an `and` whose may() holds, only what is there is still asked: `sure(c)`.

Constants are constant nodes, lists and helpers are bound as default arguments: no text of a policy is ever source.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.policy.conditions.expressions import (
    And,
    Arithmetic,
    Bool,
    Call,
    Compare,
    In,
    Items,
    Listed,
    Missing,
    Negate,
    Node,
    Not,
    Number,
    Or,
    Ref,
    Text,
    names_in,
    walk,
)
from gateway.policy.conditions.globs import contains, glob_matches
from gateway.policy.conditions.interpreter import LARGEST, evaluate, overlap
from gateway.policy.model import ListOf
from gateway.policy.names import Name

__all__ = ["Emitter", "Slots", "all_of", "append", "constant", "is_none", "load", "store", "within"]

Values = Sequence[Any]
OPERATORS: dict[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div}
COMPARISONS: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
}
FRACTIONS = ("share", "dB", "duration")
EXACT = 2**53  # whole numbers up to here are floats too


class Slots:
    """Where each name's value stands in the list that compiled functions take; given out on first use."""

    def __init__(self, names: Mapping[str, Name]) -> None:
        self._known = names
        self._index: dict[str, int] = {}

    def of(self, name: str) -> int:
        """The index of a known name. Raises KeyError for an unknown one."""
        if name not in self._index:
            if name not in self._known:
                raise KeyError(name)
            self._index[name] = len(self._index)
        return self._index[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that have a slot, by index."""
        return tuple(self._index)


class Emitter:
    """Expressions of Python for the nodes of one function."""

    def __init__(self, slots: Slots, names: Mapping[str, Name], lists: Mapping[str, ListOf]) -> None:
        self.slots = slots
        self.names = names
        self.lists = lists
        self.bound: dict[str, Any] = {}  # default arguments
        self.shared: dict[object, str] = {}  # what of them is bound already
        self.temporaries = 0

    def bind(self, value: Any, key: object) -> ast.expr:
        """The name of a default argument; one for each key."""
        if key not in self.shared:
            self.shared[key] = f"k{len(self.bound)}"
            self.bound[self.shared[key]] = value
        return load(self.shared[key])

    def local(self, name: str) -> str:
        return f"v{self.slots.of(name)}"

    def temporary(self) -> str:
        self.temporaries += 1
        return f"t{self.temporaries}"

    def decide(self, node: Node, yes: list[ast.stmt], unknown: list[ast.stmt], slow: list[ast.stmt]) -> list[ast.stmt]:
        """Statements that run `yes` where a condition is true, `unknown` where it is missing.

        Only arithmetic over whole numbers beyond 1e308 raises; what meets them is worked out again by `slow`.
        """
        if self.certain(node):
            found: list[ast.stmt] = [ast.If(self.must(node), yes, [])]
        else:
            found = [ast.If(self.may(node), [ast.If(self.sure(node), yes, unknown)], [])]
        return [self.attempt(found, slow)] if may_overflow(node) else found

    def slowly(self, node: Node) -> ast.expr:
        """A call of the reference interpreter."""
        where = {name: self.slots.of(name) for name in names_in(node)}

        def run(values: Values) -> Any:
            return evaluate(node, {name: values[index] for name, index in where.items()}, self.lists)

        return ast.Call(self.bind(run, run), [load("values")], [])

    def attempt(self, fast: list[ast.stmt], slow: list[ast.stmt]) -> ast.stmt:
        caught = self.bind(OverflowError, OverflowError)
        return ast.Try(fast, [ast.ExceptHandler(caught, None, slow)], [], [])

    # Values: what has to be true for one to be there, in this order, and then the value.

    def value(self, node: Node) -> tuple[list[ast.expr], ast.expr]:
        match node:
            case Number() | Text() | Bool():
                return [], constant(node.value)
            case Ref():
                guard = [is_there(load(self.local(node.name)))] if self.names[node.name].missing else []
                return guard, load(self.local(node.name))
            case Negate():
                there, value = self.value(node.of)
                return there, ast.UnaryOp(ast.USub(), value)
            case Arithmetic():
                return self.arithmetic(node)
            case Call(function="count"):
                there, value = self.value(node.args[0])
                return there, ast.Call(self.bind(len, len), [value], [])
            case _:
                if self.certain(node):
                    return [], ast.IfExp(self.must(node), constant(True), constant(False))
                name = self.temporary()
                return [is_there(ast.NamedExpr(store(name), self.tri(node)))], load(name)

    def arithmetic(self, node: Arithmetic) -> tuple[list[ast.expr], ast.expr]:
        if not names_in(node):
            folded = evaluate(node, {}, {})
            return ([constant(False)], constant(0)) if folded is None else ([], constant(folded))
        there, left = self.value(node.left)
        more, right = self.value(node.right)
        there = [*there, *more]
        if node.op == "/":
            there.append(ast.Compare(right, [ast.NotEq()], [constant(0)]))
        name = self.temporary()
        there.append(within(ast.NamedExpr(store(name), ast.BinOp(left, OPERATORS[node.op](), right))))
        return there, load(name)

    # Conditions.

    def certain(self, node: Node) -> bool:
        """Whether a condition is never missing."""
        match node:
            case And() | Or():
                return all(map(self.certain, node.terms))
            case Not():
                return self.certain(node.of)
            case Missing() | Bool():
                return True
            case Ref():
                return not self.names[node.name].missing
            case Compare() | In() | Call():
                return not any(
                    isinstance(each, Arithmetic) or (isinstance(each, Ref) and self.names[each.name].missing)
                    for each, _ in walk(node)
                )
            case _:
                return False

    def may(self, node: Node) -> ast.expr:
        match node:
            case And():
                return all_of([self.may(term) for term in node.terms])
            case Or():
                return any_of([self.may(term) for term in node.terms])
            case Not():
                return negation(self.must(node.of))
            case _:
                there, test = self.atom(node)
                return any_of([negation(all_of(there)), test]) if there else test

    def must(self, node: Node) -> ast.expr:
        match node:
            case And():
                return all_of([self.must(term) for term in node.terms])
            case Or():
                return any_of([self.must(term) for term in node.terms])
            case Not():
                return negation(self.may(node.of))
            case _:
                there, test = self.atom(node)
                return all_of([*there, test])

    def sure(self, node: Node) -> ast.expr:
        """must(node), where may(node) was just found true."""
        if isinstance(node, And):
            return all_of([self.sure(term) for term in node.terms if not self.certain(term)])
        if isinstance(node, Or | Not):
            return self.must(node)
        return all_of(self.atom(node)[0])

    def tri(self, node: Node) -> ast.expr:
        """True, False or None as one value; it grows with the node, not with how deep conditions nest in tests."""
        match node:
            case And() | Or():
                decisive = isinstance(node, Or)
                kept = [self.temporary() for _ in node.terms]
                steps = zip(kept, node.terms, strict=True)
                decided = [same(ast.NamedExpr(store(name), self.tri(term)), decisive) for name, term in steps]
                unknown = any_of([is_none(load(name)) for name in kept])
                rest = ast.IfExp(unknown, constant(None), constant(not decisive))
                return ast.IfExp(any_of(decided), constant(decisive), rest)
            case Not():
                name = self.temporary()
                test = is_none(ast.NamedExpr(store(name), self.tri(node.of)))
                return ast.IfExp(test, constant(None), negation(load(name)))
            case _:
                there, test = self.atom(node)
                return ast.IfExp(all_of(there), test, constant(None)) if there else test

    def atom(self, node: Node) -> tuple[list[ast.expr], ast.expr]:
        """A test that is no and, or, not: what must be there, and the test itself."""
        match node:
            case Compare():
                there, left = self.value(node.left)
                more, right = self.value(node.right)
                if isinstance(node.right, Number) and isinstance(node.left, Ref):
                    right = constant(self.alike(node.left, node.right))
                return [*there, *more], ast.Compare(left, [COMPARISONS[node.op]()], [right])
            case In():
                there, left = self.value(node.left)
                more, test = self.inside(left, node.right)
                return [*there, *more], negation(test) if node.negated else test
            case Missing():
                there, _ = self.value(node.of)
                known = all_of(there)
                return [], known if node.negated else negation(known)
            case Call():
                return self.call(node)
            case _:
                return self.value(node)

    def alike(self, left: Ref, right: Number) -> int | float:
        """A constant beside a fraction is made a float: comparing two of one type is faster."""
        fraction = self.names[left.name].unit in FRACTIONS and abs(right.value) <= EXACT
        return float(right.value) if fraction else right.value

    def inside(self, value: ast.expr, where: Node) -> tuple[list[ast.expr], ast.expr]:
        if isinstance(where, Items):
            items = frozenset(item.value for item in where.items)
            kind = type(where.items[0])  # 1 and true are one key, but never in one list
            return [], ast.Compare(value, [ast.In()], [self.bind(items, ("items", kind, items))])
        if isinstance(where, Listed):
            entries = self.lists[where.name]
            if entries.globs:
                return [], ast.Call(self.bind(contains(entries), ("glob", where.name)), [value], [])
            return [], ast.Compare(value, [ast.In()], [self.bind(entries.values, ("list", where.name))])
        there, texts = self.value(where)
        return there, ast.Compare(value, [ast.In()], [texts])

    def call(self, node: Call) -> tuple[list[ast.expr], ast.expr]:
        there, first = self.value(node.args[0])
        second = node.args[1]
        if isinstance(second, Items | Listed):
            matches = self.bind(self.matcher(second), ("any", second))
            return there, ast.Call(self.bind(_some, _some), [first, matches], [])
        more, other = self.value(second)
        there = [*there, *more]
        match node.function:
            case "any_in":
                return there, ast.Call(self.bind(overlap, overlap), [first, other], [])
            case "matches_glob":
                return there, ast.Call(self.bind(glob_matches, glob_matches), [other, first], [])
            case _:
                method = "startswith" if node.function == "starts_with" else "endswith"
                return there, ast.Call(ast.Attribute(first, method, ast.Load()), [other], [])

    def matcher(self, where: Items | Listed) -> Callable[[str], bool]:
        if isinstance(where, Listed):
            return contains(self.lists[where.name])
        return frozenset(str(item.value) for item in where.items).__contains__


def may_overflow(node: Node) -> bool:
    """Whether a node adds, multiplies or divides."""
    return any(isinstance(each, Arithmetic) for each, _ in walk(node))


def _some(texts: Sequence[str], matches: Callable[[str], bool]) -> bool:
    return any(map(matches, texts))


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def store(name: str) -> ast.Name:
    return ast.Name(name, ast.Store())


def constant(value: Any) -> ast.Constant:
    return ast.Constant(value)


def negation(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def same(value: ast.expr, word: bool | None) -> ast.expr:
    return ast.Compare(value, [ast.Is()], [constant(word)])


def is_none(value: ast.expr) -> ast.expr:
    return same(value, None)


def is_there(value: ast.expr) -> ast.expr:
    return ast.Compare(value, [ast.IsNot()], [constant(None)])


def within(value: ast.expr) -> ast.expr:
    """Whether a number is one that a float can hold; NaN is not."""
    return ast.Compare(constant(-LARGEST), [ast.LtE(), ast.LtE()], [value, constant(LARGEST)])


def append(name: str, index: int) -> ast.stmt:
    return ast.Expr(ast.Call(ast.Attribute(load(name), "append", ast.Load()), [constant(index)], []))


def all_of(tests: Sequence[ast.expr]) -> ast.expr:
    if len(tests) < 2:
        return tests[0] if tests else constant(True)
    return ast.BoolOp(ast.And(), list(tests))


def any_of(tests: Sequence[ast.expr]) -> ast.expr:
    if len(tests) < 2:
        return tests[0] if tests else constant(False)
    return ast.BoolOp(ast.Or(), list(tests))
