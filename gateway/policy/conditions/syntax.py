"""Pure. The syntax tree of a condition: its nodes, walks over it, and its canonical text.

Every node's `at` is the offset where its text begins. Durations are in seconds, shares fractions of one.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from gateway.policy.conditions.lexer import DURATIONS, SCALES
from gateway.policy.names import Unit

__all__ = [
    "AND",
    "NOT",
    "OR",
    "POWERS",
    "PRODUCT",
    "SUM",
    "TEST",
    "And",
    "Arithmetic",
    "Bool",
    "Call",
    "Compare",
    "Comparison",
    "In",
    "Items",
    "Listed",
    "Missing",
    "Negate",
    "Node",
    "Not",
    "Number",
    "Operation",
    "Or",
    "Ref",
    "Text",
    "children",
    "lists_in",
    "names_in",
    "number_text",
    "show",
    "top_terms",
    "walk",
]

Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
Operation = Literal["+", "-", "*", "/"]


class Number(msgspec.Struct, frozen=True, gc=False):
    """A constant. The unit "" fits plain numbers, shares and counts. Durations are seconds, shares fractions of 1."""

    value: int | float
    unit: Unit = ""
    at: int = 0


class Text(msgspec.Struct, frozen=True, gc=False):
    value: str
    at: int = 0


class Bool(msgspec.Struct, frozen=True, gc=False):
    value: bool
    at: int = 0


class Ref(msgspec.Struct, frozen=True, gc=False):
    """What a name stands for at the moment."""

    name: str
    at: int = 0


class Listed(msgspec.Struct, frozen=True, gc=False):
    """`lists.NAME`; `name` is the part after the dot."""

    name: str
    at: int = 0


class Items(msgspec.Struct, frozen=True):
    """A list of constants in brackets; never empty."""

    items: "tuple[Number | Text | Bool, ...]"
    at: int = 0


class Negate(msgspec.Struct, frozen=True):
    """Minus; of a constant the parser makes a negative Number."""

    of: "Node"
    at: int = 0


class Arithmetic(msgspec.Struct, frozen=True):
    op: Operation
    left: "Node"
    right: "Node"
    at: int = 0


class Compare(msgspec.Struct, frozen=True):
    op: Comparison
    left: "Node"
    right: "Node"
    at: int = 0


class In(msgspec.Struct, frozen=True):
    left: "Node"
    right: "Node"
    negated: bool = False
    at: int = 0


class Missing(msgspec.Struct, frozen=True):
    of: "Node"
    negated: bool = False
    at: int = 0


class Call(msgspec.Struct, frozen=True):
    function: str
    args: "tuple[Node, ...]"
    at: int = 0


class Not(msgspec.Struct, frozen=True):
    of: "Node"
    at: int = 0


class And(msgspec.Struct, frozen=True):
    """Two terms or more, none of them an And."""

    terms: "tuple[Node, ...]"
    at: int = 0


class Or(msgspec.Struct, frozen=True):
    """Two terms or more, none of them an Or."""

    terms: "tuple[Node, ...]"
    at: int = 0


Node = (
    Number | Text | Bool | Ref | Listed | Items | Negate | Arithmetic | Compare | In | Missing | Call | Not | And | Or
)

OR, AND, NOT, TEST, SUM, PRODUCT, UNARY, ATOM = range(1, 9)  # how tightly each holds together
POWERS = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in", "not", "is"), TEST),
    **dict.fromkeys("+-", SUM),
    **dict.fromkeys("*/", PRODUCT),
}


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below one, from left to right."""
    match node:
        case Arithmetic() | Compare() | In():
            return (node.left, node.right)
        case Negate() | Not() | Missing():
            return (node.of,)
        case And() | Or():
            return node.terms
        case Call():
            return node.args
        case Items():
            return node.items
        case _:
            return ()


def walk(node: Node) -> Iterator[tuple[Node, int]]:
    """Every node from left to right, parents first, with its depth counted from 1."""
    stack = [(node, 1)]
    while stack:
        each, depth = stack.pop()
        yield each, depth
        stack += [(child, depth + 1) for child in reversed(children(each))]


def names_in(node: Node) -> tuple[str, ...]:
    """The names that a condition reads, in order of first use; lists are not among them."""
    return tuple(dict.fromkeys(each.name for each, _ in walk(node) if isinstance(each, Ref)))


def lists_in(node: Node) -> tuple[str, ...]:
    """The ids of the lists that a condition looks into, in order of first use."""
    return tuple(dict.fromkeys(each.name for each, _ in walk(node) if isinstance(each, Listed)))


def top_terms(node: Node) -> tuple[Node, ...]:
    """What must all hold: the operands of an `and` at the top, else the condition itself."""
    return node.terms if isinstance(node, And) else (node,)


def show(node: Node) -> str:
    """The canonical text: it parses to the same tree (but for `at`)."""
    return _show(node)[0]


def _show(node: Node) -> tuple[str, int]:
    """The text of a node and how tightly it holds together."""
    match node:
        case Number():
            return number_text(node), UNARY if node.value < 0 else ATOM
        case Text():
            return '"' + node.value.replace('"', '""') + '"', ATOM
        case Bool():
            return ("true" if node.value else "false"), ATOM
        case Ref():
            return node.name, ATOM
        case Listed():
            return f"lists.{node.name}", ATOM
        case Items():
            return f"[{', '.join(map(show, node.items))}]", ATOM
        case Call():
            return f"{node.function}({', '.join(map(show, node.args))})", ATOM
        case Negate():
            return f"-{_at_least(UNARY, node.of)}", UNARY
        case Arithmetic():
            power = POWERS[node.op]
            return f"{_at_least(power, node.left)} {node.op} {_at_least(power + 1, node.right)}", power
        case Compare():
            return f"{_at_least(SUM, node.left)} {node.op} {_at_least(SUM, node.right)}", TEST
        case In():
            return (
                f"{_at_least(SUM, node.left)} {'not in' if node.negated else 'in'} {_at_least(SUM, node.right)}",
                TEST,
            )
        case Missing():
            return f"{_at_least(SUM, node.of)} is {'not ' if node.negated else ''}missing", TEST
        case Not():
            return f"not {_at_least(NOT, node.of)}", NOT
        case And():
            return " and ".join(_at_least(NOT, term) for term in node.terms), AND
        case Or():
            return " or ".join(_at_least(AND, term) for term in node.terms), OR


def _at_least(power: int, node: Node) -> str:
    text, holds = _show(node)
    return text if holds >= power else f"({text})"


def number_text(node: Number) -> str:
    """A constant as the language writes it: `2M tokens`, `25%`, `30d`, `-3 dB`."""
    amount = Decimal(repr(node.value))
    if node.unit == "share":
        return f"{_plain(amount * 100)}%"
    if node.unit == "dB":
        return f"{_plain(amount)} dB"
    if node.unit == "duration":
        for unit in ("w", "d", "h", "min", "s"):
            if amount and amount % DURATIONS[unit] == 0:
                return f"{_plain(amount / DURATIONS[unit])}{unit}"
        return f"{_plain(amount * 1000)}ms" if amount else "0s"
    text = _plain(amount)
    for letter in ("B", "M", "k"):
        if amount and amount % SCALES[letter] == 0:
            text = f"{_plain(amount / SCALES[letter])}{letter}"
            break
    word = node.unit.removesuffix("s") if abs(node.value) == 1 else node.unit
    return f"{text} {word}" if word else text


def _plain(amount: Decimal) -> str:
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
