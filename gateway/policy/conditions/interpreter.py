"""Pure. What a condition means, said plainly: the reference that compiled conditions are held against.

Three-valued (S. C. Kleene, Introduction to Metamathematics, 1952, section 64): None stands for missing.
    false and missing = false      true or missing = true      not missing = missing
A comparison, a sum, a test or a function with something missing is missing; so is a division by zero, and a result
that no float can hold. Readings themselves are finite numbers, whole or not, of any size.
"""

from collections.abc import Collection, Mapping
from sys import float_info
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
)
from gateway.policy.conditions.globs import contains, glob_matches
from gateway.policy.model import ListOf

__all__ = ["LARGEST", "evaluate", "overlap"]

LARGEST = float_info.max
Value = int | float | str | bool | Collection[str] | None


def evaluate(node: Node, values: Mapping[str, Any], lists: Mapping[str, ListOf]) -> Any:
    """The value of a checked tree; None = missing. A name that `values` does not hold is missing. Never raises."""
    match node:
        case Number() | Text() | Bool():
            return node.value
        case Ref():
            return values.get(node.name)
        case Missing():
            return (evaluate(node.of, values, lists) is None) is not node.negated
        case Not():
            value = evaluate(node.of, values, lists)
            return None if value is None else not value
        case And() | Or():
            decisive = isinstance(node, Or)
            terms = [evaluate(term, values, lists) for term in node.terms]
            if decisive in terms:
                return decisive
            return None if None in terms else not decisive
        case Negate():
            value = evaluate(node.of, values, lists)
            return None if value is None else -value
        case Arithmetic() | Compare():
            left, right = evaluate(node.left, values, lists), evaluate(node.right, values, lists)
            if left is None or right is None:
                return None
            return _arithmetic(node.op, left, right) if isinstance(node, Arithmetic) else _compare(node.op, left, right)
        case In():
            left = evaluate(node.left, values, lists)
            if left is None:
                return None
            inside = _inside(left, node.right, values, lists)
            return None if inside is None else inside is not node.negated
        case Call():
            return _call(node, values, lists)
        case Listed() | Items():  # no value of their own: `in` and `any_in` look into them
            return None


def overlap(some: Collection[str], others: Collection[str]) -> bool:
    """Whether two collections have a text in common."""
    return any(text in others for text in some)


def _arithmetic(op: str, left: Any, right: Any) -> Any:
    try:
        if op == "+":
            result = left + right
        elif op == "-":
            result = left - right
        elif op == "*":
            result = left * right
        else:
            result = left / right if right else None
    except OverflowError:  # a whole number that no float can hold
        return None
    return result if result is not None and -LARGEST <= result <= LARGEST else None


def _compare(op: str, left: Any, right: Any) -> bool:
    if op == "==":
        return bool(left == right)
    if op == "!=":
        return bool(left != right)
    if op == "<":
        return bool(left < right)
    if op == "<=":
        return bool(left <= right)
    return bool(left > right if op == ">" else left >= right)


def _inside(value: Any, where: Node, values: Mapping[str, Any], lists: Mapping[str, ListOf]) -> bool | None:
    if isinstance(where, Items):
        return value in [item.value for item in where.items]
    if isinstance(where, Listed):
        return contains(lists[where.name])(value)
    texts = evaluate(where, values, lists)
    return None if texts is None else value in texts


def _call(node: Call, values: Mapping[str, Any], lists: Mapping[str, ListOf]) -> Any:
    first = evaluate(node.args[0], values, lists)
    if first is None:
        return None
    if node.function == "count":
        return len(first)
    second = node.args[1]
    if node.function == "any_in":
        found = [_inside(text, second, values, lists) for text in first]
        if not isinstance(second, Items | Listed) and evaluate(second, values, lists) is None:
            return None
        return True in found
    wanted = evaluate(second, values, lists)
    if node.function == "starts_with":
        return first.startswith(wanted)
    return first.endswith(wanted) if node.function == "ends_with" else glob_matches(wanted, first)
