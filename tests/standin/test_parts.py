"""What answers are made of: tokens, names of models, values for schemas, the bounded shelf."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.standin.answers import Manner, Wanted, compose, count, groups, manner_of
from gateway.standin.exchange import Shelf
from gateway.standin.schemas import fit

SEEDS = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("name", "manner"),
    [
        ("gpt-4o", Manner()),
        ("standin-1", Manner()),
        ("openai/standin-slow", Manner(delay=0.05)),
        ("standin-slow-500-tokens-429", Manner(delay=0.5, tokens=429)),
        ("standin-slow-die", Manner(delay=0.05, die=True)),
        ("standin-tokens-999999999999", Manner(tokens=100_000)),
        ("standin-tokens", Manner()),
        ("standin-429", Manner(status=429)),
        ("standin-nousage-tokens-7", Manner(usage=False, tokens=7)),
    ],
)
def test_a_name_says_the_manner(name: str, manner: Manner) -> None:
    assert manner_of(name) == manner


@given(SEEDS, st.integers(1, 3000), st.integers(1, 3000))
def test_an_answer_counts_what_it_is_told_to_and_never_more_than_its_limit(
    seed: bytes, length: int, limit: int
) -> None:
    answer = compose(seed, Wanted(limit=limit), Manner(tokens=length))
    assert len(answer.pieces) == min(length, limit)
    assert count(answer.text) == len(answer.pieces)
    assert answer.finish == ("length" if length > limit else "stop")
    assert "".join("".join(group) for group in groups(answer.pieces)) == answer.text
    assert len(groups(answer.pieces)) <= 1000


@given(st.text())
def test_every_character_belongs_to_a_token(text: str) -> None:
    assert (count(text) == 0) is (text == "")


LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-99, 99),
        st.integers(0, 99),
    ),
    st.builds(lambda low: {"type": "number", "exclusiveMinimum": low}, st.integers(-99, 99)),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more},
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    st.builds(lambda each: {"enum": each}, st.lists(st.integers() | st.text(), min_size=1, max_size=3)),
    st.just({"type": ["string", "null"]}),
    st.just({"$ref": "#/$defs/node"}),
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    return st.one_of(
        st.builds(
            lambda each: {
                "type": "object",
                "properties": each,
                "required": sorted(each),
                "additionalProperties": False,
            },
            names,
        ),
        st.builds(lambda each, least: {"type": "array", "items": each, "minItems": least}, inner, st.integers(0, 4)),
        st.builds(lambda each: {"anyOf": each}, st.lists(inner, min_size=1, max_size=2)),
    )


NODE = {
    "type": "object",
    "properties": {
        "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
        "all": {"type": "array", "items": {"$ref": "#/$defs/node"}},
    },
    "required": ["next", "all"],
}


@given(SEEDS, st.recursive(LEAVES, _wider, max_leaves=8))
def test_a_made_value_fits_its_schema(seed: bytes, schema: dict[str, Any]) -> None:
    whole = {**schema, "$defs": {"node": NODE}}
    jsonschema.validate(fit(whole, seed), whole)


def test_a_schema_without_end_still_gets_a_value() -> None:
    endless = {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}
    assert isinstance(fit(endless, b"0"), dict)


def test_a_short_schema_can_not_demand_a_long_answer() -> None:
    greedy: dict[str, Any] = {"type": "array", "minItems": 100, "items": {"$ref": "#"}}
    assert len(repr(fit(greedy, b"0"))) < 200_000


def test_parts_of_a_schema_are_joined() -> None:
    schema = {
        "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"const": 2}}}],
        "$defs": {"a": {"properties": {"a": {"const": 1}}}},
    }
    assert fit(schema, b"0") == {"a": 1, "b": 2}


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60))))
def test_a_shelf_never_keeps_more_than_it_may(puts: list[tuple[str, int]]) -> None:
    shelf: Shelf[int] = Shelf(most=3, kept=100)
    for name, size in puts:
        shelf.put(name, size, size)
        assert len(shelf.all()) <= 3
        assert sum(shelf.all()) <= 100
        assert shelf.all()[0] == size
        assert shelf.get(name) == size
