"""Names, lists, and random well-typed conditions with random values for them."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st

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
from gateway.policy.model import ListOf
from gateway.policy.names import Name, Unit

NAMES: dict[str, Name] = {
    "account.age": Name("number", "how old", "duration"),
    "account.gap": Name("number", "since the last request", "duration", missing=True),
    "account.id": Name("text", "who"),
    "account.tags": Name("texts", "labels"),
    "org.tags": Name("texts", "labels of the organisation", missing=True),
    "req.logprobs": Name("bool", "asks for them"),
    "req.seeded": Name("bool", "has a seed", missing=True),
    "req.model": Name("text", "which", missing=True),
    "req.n": Name("number", "answers"),
    "req.temperature": Name("number", "heat", missing=True),
    "req.body": Name("number", "size", "bytes"),
    "hour.requests": Name("number", "how many", "requests", missing=True, level="reading"),
    "day.output_tokens": Name("number", "how many", "tokens", missing=True, level="reading"),
    "day.input_tokens": Name("number", "how many", "tokens", level="reading"),
    "hour.template_share": Name("number", "share", "share", missing=True, level="reading"),
    "hour.logprob_share": Name("number", "share", "share", level="reading"),
    "score.extraction": Name("number", "score", "dB", missing=True, level="score"),
    "score.my-card": Name("number", "score", "dB", level="score"),
    "resp.status": Name("number", "status", missing=True, phase="response"),
}
LISTS = {
    "frontier": ListOf("frontier", globs=("gpt-*", "claude-*-pro", "*mini")),
    "red-team": ListOf("red-team", values=frozenset({"acct_1", "gpt-4", "lab"})),
    "mixed": ListOf("mixed", values=frozenset({"x"}), globs=("*",)),
}
WORDS = ["gpt-4", "claude-x-pro", "acct_1", "lab", "o-mini", "x", "", "a\\b", 'say "hi"', "it's", "ä*"]
GLOBS = ["gpt-*", "*", "a*b*c", "*-*", "x", "**", "", "*i*"]
UNITS: tuple[Unit, ...] = ("", "share", "tokens", "duration", "dB", "requests", "bytes")
COUNTS = ("tokens", "requests", "bytes")


def bare(node: Any) -> Any:
    """The tree without its offsets."""
    changed: dict[str, Any] = {}
    for field in node.__struct_fields__:
        value = getattr(node, field)
        if field == "at":
            changed[field] = 0
        elif isinstance(value, tuple):
            changed[field] = tuple(map(bare, value))
        elif isinstance(value, msgspec.Struct):
            changed[field] = bare(value)
    return msgspec.structs.replace(node, **changed)


def tidy(value: float | Decimal) -> int | float:
    return int(value) if float(value).is_integer() else float(value)


amounts = st.one_of(
    st.sampled_from([0, 1, 2, 5, 1000, 2_000_000, 0.5, -1, -3, 3_000_000_000]),
    st.integers(-(10**9), 10**9),
    st.decimals(-1000, 1000, places=4).map(tidy),
    st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6).map(tidy),
)


def _names(kind: str, unit: Unit = "") -> st.SearchStrategy[Node]:
    return st.sampled_from([Ref(name) for name, each in NAMES.items() if (each.kind, each.unit) == (kind, unit)])


def constants(unit: Unit) -> st.SearchStrategy[Number]:
    units: list[Unit] = [unit] if unit in ("dB", "duration") else ["", unit] if unit else ["", "share"]
    return st.builds(Number, amounts, st.sampled_from(units))


@cache
def numbers(unit: Unit, depth: int) -> st.SearchStrategy[Node]:
    leaves: list[st.SearchStrategy[Node]] = [_names("number", unit), constants(unit)]
    if not unit:
        leaves.append(_names("texts").map(lambda texts: Call("count", (texts,))))
    if depth <= 0:
        return st.one_of(leaves)
    inner, plain = numbers(unit, depth - 1), numbers("", depth - 1)
    scaled = _names("number", unit) if unit in COUNTS else inner  # `2 * req.n` is no number of tokens
    some: list[st.SearchStrategy[Node]] = [
        *leaves,
        st.builds(Arithmetic, st.sampled_from(["+", "-"]), inner, inner),
        st.builds(Arithmetic, st.sampled_from(["*", "/"]), scaled, plain),
        inner.map(lambda of: Negate(of) if not isinstance(of, Number) else of),
    ]
    if not unit:
        # a name below the line: tokens by a plain constant are still tokens
        some += [st.builds(Arithmetic, st.just("/"), numbers(u, depth - 1), _names("number", u)) for u in UNITS[2:]]
    return st.one_of(some)


def flat(kind: type[And] | type[Or], terms: list[Node]) -> Node:
    found: list[Node] = []
    for term in terms:
        found += term.terms if isinstance(term, kind) else [term]
    return kind(tuple(found))


texts: st.SearchStrategy[Node] = st.one_of(
    _names("text"),
    st.builds(Text, st.sampled_from(WORDS)),
    st.builds(Text, st.text(st.characters(codec="utf-8", exclude_characters="\r\n", max_codepoint=0xFFFD), max_size=5)),
)
text_items = st.lists(st.builds(Text, st.sampled_from(WORDS)), min_size=1, max_size=3).map(lambda x: Items(tuple(x)))
lists = st.sampled_from([Listed(name) for name in LISTS])


ends = st.sampled_from(["starts_with", "ends_with"])


@cache
def conditions(depth: int, missing: bool = True) -> st.SearchStrategy[Node]:
    """Well-typed conditions; without `missing` they hold no `is missing`."""
    some: list[st.SearchStrategy[Node]] = [
        _names("bool"),
        st.builds(Bool, st.booleans()),
        st.builds(Compare, st.sampled_from(["==", "!="]), texts, texts),
        st.builds(In, texts, st.one_of(text_items, lists, _names("texts")), st.booleans()),
        st.builds(lambda f, a, b: Call(f, (a, Text(b))), ends, texts, st.text("agpt-x")),
        st.builds(lambda a, b: Call("matches_glob", (a, Text(b))), texts, st.sampled_from(GLOBS)),
        st.builds(lambda a, b: Call("any_in", (a, b)), _names("texts"), st.one_of(text_items, lists, _names("texts"))),
    ]
    ops = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    for unit in UNITS:
        number = numbers(unit, min(depth, 2))
        some.append(st.builds(Compare, ops, number, number))
        items = st.lists(constants(unit), min_size=1, max_size=3).map(lambda x: Items(tuple(x)))
        some.append(st.builds(In, number, items, st.booleans()))
        if missing:
            some.append(st.builds(Missing, number, st.booleans()))
    if missing:
        some += [st.builds(Missing, of, st.booleans()) for of in (texts, _names("texts"), _names("bool"))]
    if depth > 0:
        inner = conditions(depth - 1, missing)
        several = st.lists(inner, min_size=2, max_size=4)
        some += [several.map(lambda x: flat(And, x)), several.map(lambda x: flat(Or, x)), st.builds(Not, inner)]
        some.append(st.builds(Compare, st.sampled_from(["==", "!="]), inner, inner))
        if missing:
            some.append(st.builds(Missing, inner, st.booleans()))
    return st.one_of(some)


sizes = st.one_of(
    st.sampled_from([0, 1, 2, 5, 0.0, 0.5, 1e308, -1e308, 10**400, -(10**400), 2**1024, 5e-324]),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
)
words = st.sampled_from([*WORDS, "gpt-4o", "abc", "aXbYc"])


def _values_of(name: Name) -> st.SearchStrategy[Any]:
    kinds: Mapping[str, st.SearchStrategy[Any]] = {
        "number": sizes,
        "text": words,
        "bool": st.booleans(),
        "texts": st.lists(words, max_size=3).map(tuple),
    }
    return st.one_of(st.none(), kinds[name.kind]) if name.missing else kinds[name.kind]


values = st.fixed_dictionaries({name: _values_of(each) for name, each in NAMES.items()})
