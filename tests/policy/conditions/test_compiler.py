"""Compiled conditions: they say what the reference says, for every value, and never raise."""

import ast
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.conditions.compiler import Slots, condition, quantity, ruleset
from gateway.policy.conditions.expressions import Node, conjunction, names_in, parse
from gateway.policy.conditions.interpreter import LARGEST, evaluate
from gateway.policy.conditions.typecheck import check
from tests.policy.conditions.trees import LISTS, NAMES, conditions, numbers, values


def run(text: str, **given: Any) -> Any:
    """The compiled answer; names are given with `_` for their dot."""
    node, slots = parse(text), Slots(NAMES)
    check(node, NAMES, LISTS, phase="response")
    held = {name.replace(".", "_").replace("-", "_"): name for name in NAMES}
    found = condition(node, slots, NAMES, LISTS)
    read = {held[key]: value for key, value in given.items()}
    assert found([read.get(name) for name in slots.names]) is evaluate(node, read, LISTS)
    return evaluate(node, read, LISTS)


@pytest.mark.parametrize(
    "text, given, answer",
    [
        ("score.extraction >= 3 dB", {"score_extraction": 3.0}, True),
        ("score.extraction >= 3 dB", {"score_extraction": None}, None),
        ("score.extraction >= 3 dB and req.logprobs", {"score_extraction": None, "req_logprobs": False}, False),
        ("score.extraction >= 3 dB or req.logprobs", {"score_extraction": None, "req_logprobs": True}, True),
        ("score.extraction >= 3 dB or req.logprobs", {"score_extraction": None, "req_logprobs": False}, None),
        ("not score.extraction >= 3 dB", {"score_extraction": None}, None),
        ("not (req.seeded and req.logprobs)", {"req_seeded": None, "req_logprobs": False}, True),
        ("score.extraction is missing", {"score_extraction": None}, True),
        ("score.extraction is not missing", {"score_extraction": 0.0}, True),
        ("req.n is missing", {"req_n": 0}, False),
        ("day.output_tokens / day.input_tokens > 4", {"day_output_tokens": 9, "day_input_tokens": 2}, True),
        ("day.output_tokens / day.input_tokens > 4", {"day_output_tokens": 9, "day_input_tokens": 0}, None),
        ("day.output_tokens / day.input_tokens is missing", {"day_output_tokens": 9, "day_input_tokens": 0}, True),
        ("1 / 0 > 1", {}, None),
        ("req.n * 10 > 1", {"req_n": 1e308}, None),
        ("req.n * 10 > 1", {"req_n": 10**400}, None),
        ("req.n / 3 > 1", {"req_n": 10**400}, None),
        ("req.n > 1", {"req_n": 10**400}, True),
        ("-req.n < 1", {"req_n": 10**400}, True),
        ("account.age < 30d", {"account_age": 86_400.0}, True),
        ("req.model in lists.frontier", {"req_model": "gpt-4"}, True),
        ("req.model not in lists.frontier", {"req_model": "llama"}, True),
        ("req.model not in lists.frontier", {"req_model": None}, None),
        ("account.id in lists.red-team", {"account_id": "acct_1"}, True),
        ("account.id in lists.mixed", {"account_id": "y"}, True),
        ("req.n in [1, 2k]", {"req_n": 2000}, True),
        ("req.logprobs in [true]", {"req_logprobs": True}, True),
        ('"lab" in account.tags', {"account_tags": ("lab",)}, True),
        ('"lab" in org.tags', {"org_tags": None}, None),
        ("count(account.tags) == 2", {"account_tags": ("a", "b")}, True),
        ('any_in(account.tags, ["lab", "x"])', {"account_tags": ("a", "x")}, True),
        ("any_in(account.tags, lists.red-team)", {"account_tags": ("a",)}, False),
        ("any_in(account.tags, org.tags)", {"account_tags": (), "org_tags": None}, None),
        ('starts_with(req.model, "gpt-")', {"req_model": "gpt-4"}, True),
        ('ends_with(req.model, "4")', {"req_model": "gpt-4"}, True),
        ('matches_glob(req.model, "g*4")', {"req_model": "gpt-4"}, True),
        ("(score.extraction > 1 dB) == req.logprobs", {"score_extraction": None, "req_logprobs": True}, None),
        ("(score.extraction > 1 dB) != req.logprobs", {"score_extraction": 2.0, "req_logprobs": False}, True),
        ("(score.extraction > 1 dB) is missing", {"score_extraction": None}, True),
        ("(not req.seeded and req.n > 1) == true", {"req_seeded": False, "req_n": 2}, True),
    ],
)
def test_a_condition_means_this(text: str, given: dict[str, Any], answer: bool | None) -> None:
    assert run(text, **given) is answer


@settings(max_examples=600, deadline=None)
@given(conditions(2), st.lists(values, min_size=3, max_size=6))
def test_compiled_is_the_reference(node: Node, rows: list[dict[str, Any]]) -> None:
    check(node, NAMES, LISTS, phase="response")
    slots = Slots(NAMES)
    found = condition(node, slots, NAMES, LISTS)
    for row in rows:
        assert found([row[name] for name in slots.names]) is evaluate(node, row, LISTS)


@settings(max_examples=150, deadline=None)
@given(st.lists(conditions(1), min_size=1, max_size=12), st.lists(values, min_size=2, max_size=4))
def test_a_ruleset_is_its_conditions(nodes: list[Node], rows: list[dict[str, Any]]) -> None:
    slots = Slots(NAMES)
    found = ruleset(nodes, slots, NAMES, LISTS)
    for row in rows:
        answers = [evaluate(node, row, LISTS) for node in nodes]
        holds, missing = found([row[name] for name in slots.names])
        assert holds == [index for index, answer in enumerate(answers) if answer is True]
        assert missing == [index for index, answer in enumerate(answers) if answer is None]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["", "share", "tokens", "dB"]).flatmap(lambda unit: numbers(unit, 3)),
    st.lists(values, min_size=2, max_size=4),
)
def test_a_quantity_is_a_finite_float_or_missing(node: Node, rows: list[dict[str, Any]]) -> None:
    check(node, NAMES, LISTS, want="number", phase="response")
    slots = Slots(NAMES)
    found = quantity(node, slots, NAMES, LISTS)
    for row in rows:
        expected = evaluate(node, row, LISTS)
        if expected is not None:
            expected = float(expected) if abs(expected) <= LARGEST else None
        value = found([row[name] for name in slots.names])
        assert value == expected
        assert value is None or type(value) is float


def test_a_ruleset_of_nothing_finds_nothing() -> None:
    assert ruleset([], Slots(NAMES), NAMES, LISTS)([]) == ([], [])


def test_slots_are_given_out_on_first_use() -> None:
    slots = Slots(NAMES)
    assert [slots.of("req.n"), slots.of("req.model"), slots.of("req.n")] == [0, 1, 0]
    assert slots.names == ("req.n", "req.model")
    with pytest.raises(KeyError):
        slots.of("req.nothing")


def test_functions_share_the_slots() -> None:
    slots = Slots(NAMES)
    first = condition(parse("req.n > 1"), slots, NAMES, LISTS)
    second = condition(parse("req.logprobs and req.n > 2"), slots, NAMES, LISTS)
    assert slots.names == ("req.n", "req.logprobs")
    assert (first([2, True]), second([2, True])) == (True, False)


def test_a_compiled_function_sees_no_globals_and_no_text_of_a_policy_is_a_name() -> None:
    evil = """account.id == "__import__('os').abort()" or account.id in ["values", "v0", "k0"]"""
    found: Any = condition(parse(evil), Slots(NAMES), NAMES, LISTS)
    assert found.__globals__ == {"__builtins__": {}}
    assert found.__code__.co_names == ()
    assert set(found.__code__.co_varnames) <= {"values", "v0", "k0"}
    assert found(["v0"]) is True


def test_conditions_in_conditions_do_not_double() -> None:
    """Truth values compared inside each other, as deep as a condition may be, over names that may be missing."""
    text = "req.seeded"
    for _ in range(23):
        text = f"({text} and req.n > 1) == req.seeded"
    node = parse(text)
    code: Any = condition(node, Slots(NAMES), NAMES, LISTS)
    assert len(code.__code__.co_code) < 10_000
    assert code([None, 2]) is None


def test_a_hundred_long_conditions_compile() -> None:
    text = " and ".join(["day.output_tokens / day.input_tokens > 4"] * 40)
    nodes = [parse(text)] * 100
    slots = Slots(NAMES)
    found = ruleset(nodes, slots, NAMES, LISTS)
    assert found([9, 2]) == (list(range(100)), [])
    assert found([None, 2]) == ([], list(range(100)))


def test_a_conjunction_is_all_of_them() -> None:
    whole = conjunction([parse("req.n > 1 and req.logprobs"), parse("req.seeded or req.logprobs")])
    assert names_in(whole) == ("req.n", "req.logprobs", "req.seeded")
    assert evaluate(whole, {"req.n": 2, "req.logprobs": True, "req.seeded": None}, {}) is True
    assert conjunction([parse("req.logprobs")]) == parse("req.logprobs")


def test_the_syntax_tree_is_one_that_python_can_write_down() -> None:
    """`ast` nodes that are made by hand must be complete: unparse reads every field."""
    from gateway.policy.conditions.emit import Emitter

    emit = Emitter(Slots(NAMES), NAMES, LISTS)
    made = ast.unparse(ast.fix_missing_locations(ast.Expression(emit.may(parse("score.extraction > 3 dB")))))
    assert made == "not v0 is not None or v0 > 3.0"
