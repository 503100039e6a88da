"""Pure. Checked conditions -> Python functions over a list of values. `interpreter.py` says what they compute.

What is compiled is a syntax tree made in `emit.py`, and the functions see no globals and no builtins. `compile` turns
that tree into code; it reads no source and runs nothing.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any, cast

from gateway.policy.conditions.emit import (
    Emitter,
    Slots,
    all_of,
    append,
    constant,
    is_none,
    load,
    may_overflow,
    store,
    within,
)
from gateway.policy.conditions.expressions import Arithmetic, Node, names_in
from gateway.policy.model import ListOf
from gateway.policy.names import Name

__all__ = ["Slots", "condition", "function", "quantity", "ruleset"]

Values = Sequence[Any]


def condition(
    node: Node, slots: Slots, names: Mapping[str, Name], lists: Mapping[str, ListOf]
) -> Callable[[Values], bool | None]:
    """A checked condition as a function: True, False, or None for missing."""
    emit = Emitter(slots, names, lists)
    yes, no, unknown = (ast.Return(constant(value)) for value in (True, False, None))
    slow: list[ast.stmt] = [ast.Return(emit.slowly(node))] if may_overflow(node) else []
    body = [*emit.decide(node, [yes], [unknown], slow), no]
    return cast(Callable[[Values], bool | None], function(emit, "condition", body, [node]))


def quantity(
    node: Node, slots: Slots, names: Mapping[str, Name], lists: Mapping[str, ListOf]
) -> Callable[[Values], float | None]:
    """A checked number as a function: a finite float, or None for missing or beyond what a float can hold."""
    emit = Emitter(slots, names, lists)
    there, value = emit.value(node)
    there = there if isinstance(node, Arithmetic) else [*there, within(value)]
    result = ast.Return(ast.BinOp(value, ast.Mult(), constant(1.0)))
    body: list[ast.stmt] = [ast.If(all_of(there), [result], [])]
    if may_overflow(node):
        body = [emit.attempt(body, [ast.Return(constant(None))])]
    body.append(ast.Return(constant(None)))
    return cast(Callable[[Values], float | None], function(emit, "quantity", body, [node]))


def ruleset(
    nodes: Sequence[Node], slots: Slots, names: Mapping[str, Name], lists: Mapping[str, ListOf]
) -> Callable[[Values], tuple[list[int], list[int]]]:
    """Many checked conditions as one function: the indices of those that hold, and of those that are missing."""
    emit = Emitter(slots, names, lists)
    body: list[ast.stmt] = [ast.Assign([store(name)], ast.List([], ast.Load())) for name in ("holds", "unknown")]
    for index, node in enumerate(nodes):
        held, missed = ([append(name, index)] for name in ("holds", "unknown"))
        slow: list[ast.stmt] = []
        if may_overflow(node):
            again = ast.NamedExpr(store("again"), emit.slowly(node))
            slow = [ast.If(is_none(again), missed, [ast.If(load("again"), held, [])])]
        body += emit.decide(node, held, missed, slow)
    body.append(ast.Return(ast.Tuple([load("holds"), load("unknown")], ast.Load())))
    return cast(Callable[[Values], tuple[list[int], list[int]]], function(emit, "ruleset", body, nodes))


def function(emit: Emitter, name: str, body: list[ast.stmt], nodes: Sequence[Node]) -> Any:
    """The compiled function of `values`, with what these nodes read loaded once; what is bound are its defaults."""
    used = dict.fromkeys(each for node in nodes for each in names_in(node))
    loads: list[ast.stmt] = [
        ast.Assign(
            [store(emit.local(each))],
            ast.Subscript(load("values"), constant(emit.slots.of(each)), ast.Load()),
        )
        for each in used
    ]
    arguments = ast.arguments([], [ast.arg(each) for each in ("values", *emit.bound)], None, [], [], None, [])
    definition = ast.FunctionDef(name, arguments, [*loads, *body], [], None, None)
    module = ast.fix_missing_locations(ast.Module([definition], []))
    code = compile(module, f"<{name} of a policy>", "exec", dont_inherit=True)
    inner = next(each for each in code.co_consts if isinstance(each, CodeType))
    return FunctionType(inner, {"__builtins__": {}}, name, tuple(emit.bound.values()))
