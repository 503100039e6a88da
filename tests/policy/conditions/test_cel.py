"""Conditions say what the same condition says in CEL, Google's expression language, on the part that both can say."""

import json
import re
from typing import Any

import pytest
from cel_expr_python import cel  # type: ignore[import-not-found, import-untyped, unused-ignore]
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.policy.conditions.compiler import Slots, condition
from gateway.policy.conditions.expressions import (
    And,
    Arithmetic,
    Bool,
    Call,
    Compare,
    In,
    Items,
    Listed,
    Negate,
    Node,
    Not,
    Number,
    Or,
    Ref,
    Text,
    names_in,
    parse,
)
from tests.policy.conditions.trees import LISTS, NAMES, conditions, words

TYPES = {
    "number": cel.Type.DOUBLE,
    "text": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "texts": cel.Type.List(cel.Type.STRING),
}


def variable(name: str) -> str:
    return re.sub("[^a-z_]", "_", name)


ENVIRONMENT = cel.NewEnv(variables={variable(name): TYPES[each.kind] for name, each in NAMES.items()})
METHODS = {"starts_with": "startsWith", "ends_with": "endsWith"}


def in_cel(node: Node) -> str:
    """The same condition in CEL: all numbers are doubles, every operation stands in parentheses."""
    match node:
        case Number():
            return f"({float(node.value)!r})"
        case Text():
            return json.dumps(node.value)
        case Bool():
            return "true" if node.value else "false"
        case Ref():
            return variable(node.name)
        case Items():
            return f"[{', '.join(map(in_cel, node.items))}]"
        case Negate():
            return f"(-{in_cel(node.of)})"
        case Not():
            return f"(!{in_cel(node.of)})"
        case Arithmetic() | Compare():
            return f"({in_cel(node.left)} {node.op} {in_cel(node.right)})"
        case In():
            return f"({'!' if node.negated else ''}{within(in_cel(node.left), node.right)})"
        case And() | Or():
            return f"({(' && ' if isinstance(node, And) else ' || ').join(map(in_cel, node.terms))})"
        case Call(function="count"):
            return f"double(size({in_cel(node.args[0])}))"
        case Call(function="any_in"):
            return f"{in_cel(node.args[0])}.exists(each, {within('each', node.args[1])})"
        case Call(function="matches_glob", args=(text, Text(value=glob))):
            return like(in_cel(text), glob)
        case Call():
            return f"{in_cel(node.args[0])}.{METHODS[node.function]}({in_cel(node.args[1])})"
        case _:
            raise AssertionError(node)


def within(value: str, where: Node) -> str:
    if not isinstance(where, Listed):
        return f"({value} in {in_cel(where)})"
    entries = LISTS[where.name]
    listed = f"{value} in {json.dumps(sorted(entries.values))}"
    return f"({' || '.join([listed, *(like(value, glob) for glob in entries.globs)])})"


def like(value: str, glob: str) -> str:
    pattern = ".*".join(map(re.escape, glob.split("*")))
    return f"{value}.matches({json.dumps(f'^(?s:{pattern})$')})"


def asked(text: str, row: dict[str, Any]) -> Any:
    data = {variable(name): list(value) if isinstance(value, tuple) else value for name, value in row.items()}
    return ENVIRONMENT.compile(text).eval(data=data).plain_value()


numbers = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0, 1000.0, -3.0]), st.floats(-1e9, 1e9))
kinds: dict[str, st.SearchStrategy[Any]] = {
    "number": numbers,
    "text": words,
    "bool": st.booleans(),
    "texts": st.lists(words, max_size=3).map(tuple),
}
rows = st.fixed_dictionaries({name: kinds[each.kind] for name, each in NAMES.items()})


@settings(max_examples=500, deadline=None)
@given(conditions(3, missing=False), st.lists(rows, min_size=3, max_size=3))
def test_a_condition_means_the_same_in_cel(node: Node, found: list[dict[str, Any]]) -> None:
    text, slots = in_cel(node), Slots(NAMES)
    compiled = condition(node, slots, NAMES, LISTS)
    answers = [(row, compiled([row[name] for name in slots.names])) for row in found]
    shared = [(row, answer) for row, answer in answers if answer is not None]
    assume(shared)  # a division by zero is missing here, infinite there
    for row, answer in shared:
        assert asked(text, row) is answer


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ("req.n > 1 and req.logprobs or not req.seeded", "req_n > 1.0 && req_logprobs || !req_seeded"),
        ("req.n - 2 - 3 * 2 / 4 < 0.5", "req_n - 2.0 - 3.0 * 2.0 / 4.0 < 0.5"),
        ("not req.logprobs == req.seeded", "!(req_logprobs == req_seeded)"),
        ("-req.n * 2 <= -4 and req.logprobs != false", "-req_n * 2.0 <= -4.0 && req_logprobs != false"),
        ('req.model not in ["x", "gpt-4"]', '!(req_model in ["x", "gpt-4"])'),
    ],
)
@settings(max_examples=30, deadline=None)
@given(rows)
def test_operators_bind_as_in_cel(ours: str, theirs: str, row: dict[str, Any]) -> None:
    node, slots = parse(ours), Slots(NAMES)
    compiled = condition(node, slots, NAMES, LISTS)
    assert names_in(node) == slots.names
    assert asked(theirs, row) is compiled([row[name] for name in slots.names])
