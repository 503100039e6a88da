"""What a condition can come to at all. The verdicts are sure; `depends` is what is said where nothing is."""

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.conditions.expressions import Node, names_in, parse
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.ranges import Least, least, verdict_of
from gateway.policy.conditions.typecheck import check
from gateway.policy.names import Name
from tests.policy.conditions.trees import LISTS, NAMES, conditions, words


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("true", "always"),
        ("false", "never"),
        ("1 < 2", "always"),
        ("1 / 0 > 2", "never"),
        ("not 1 / 0 > 2", "never"),
        ("req.n < 1 / 0", "never"),
        ("req.n < 0", "never"),
        ("0 > req.n", "never"),
        ("req.n >= 0", "always"),
        ("req.n > 0", "depends"),
        ("req.temperature >= 0", "depends"),
        ("req.temperature >= 0 or req.temperature is missing", "depends"),
        ("day.output_tokens < 0", "never"),
        ("account.age < 0s", "never"),
        ("score.my-card < 0 dB", "depends"),
        ("hour.logprob_share > 100%", "never"),
        ("hour.logprob_share <= 1", "always"),
        ("hour.logprob_share > 1.5", "never"),
        ("score.extraction > 5 dB and score.extraction < 2 dB", "never"),
        ("score.extraction > 5 dB and req.logprobs and score.extraction <= 5 dB", "never"),
        ("score.extraction >= 5 dB and score.extraction <= 5 dB", "depends"),
        ("score.extraction > 5 dB or score.extraction < 2 dB", "depends"),
        ("score.my-card > 2 dB or score.my-card < 5 dB", "always"),
        ("score.extraction > 2 dB or score.extraction < 5 dB", "depends"),
        ("not (score.extraction <= 5 dB) and score.extraction < 2 dB", "never"),
        ("(score.extraction > 9 dB or score.extraction > 5 dB) and score.extraction < 2 dB", "never"),
        ("score.extraction < 2 dB and (score.extraction > 9 dB or req.n < 0)", "never"),
        ("score.extraction < 2 dB and (score.extraction > 9 dB or req.n < 2)", "depends"),
        ("score.extraction == 2 dB and score.extraction != 2 dB", "never"),
        ("req.n in [1, 2] and req.n > 2", "never"),
        ("req.n not in [1, 2] and req.n > 2", "depends"),
        ("req.n * 2 + 1 < 1", "never"),
        ("req.n + 1 >= 1", "depends"),
        ("hour.logprob_share * 2 <= 2", "always"),
        ("hour.logprob_share - 1 > 0", "never"),
        ("hour.logprob_share > 90% and hour.logprob_share * 2 < 1", "never"),
        ("hour.logprob_share * 2 < 1 and hour.logprob_share > 90%", "never"),
        ("-req.n > 0", "never"),
        ("-req.n >= 0", "depends"),
        ("hour.logprob_share - 1 >= 0", "depends"),
        ("hour.logprob_share * 2 >= 2", "depends"),
        ("hour.logprob_share * 2 == 2", "depends"),
        ("req.n <= -req.n", "depends"),
        ("req.n < -req.n", "never"),
        ("count(account.tags) <= 0", "depends"),
        ("score.my-card > 2 dB and -score.my-card >= -2 dB", "never"),
        ("score.my-card < 2 dB and -score.my-card <= -2 dB", "never"),
        ("count(account.tags) < 0", "never"),
        ("count(account.tags) >= 0", "always"),
        ("day.output_tokens / day.input_tokens < 0", "depends"),
        ('account.id == "a" and account.id == "b"', "never"),
        ('account.id == "a" and account.id in ["b", "c"]', "never"),
        ('account.id == "a" and account.id != "b"', "depends"),
        ('account.id != "a" and account.id == "a"', "never"),
        ('account.id in ["a"] and account.id not in ["a", "b"]', "never"),
        ('account.id == "a" or account.id != "a"', "always"),
        ('req.model == "a" or req.model != "a"', "depends"),
        ("req.logprobs and not req.logprobs", "never"),
        ("req.logprobs or not req.logprobs", "always"),
        ("req.logprobs == true and req.logprobs == false", "never"),
        ("req.logprobs in [true, false]", "always"),
        ("req.seeded or not req.seeded", "depends"),
        ("req.seeded is missing and req.seeded", "never"),
        ("req.model is missing and starts_with(req.model, 'x')", "never"),
        ("req.seeded is missing or req.seeded is not missing", "always"),
        ("req.n is missing", "never"),
        ("req.n is not missing", "always"),
        ("(req.n > 1) is missing", "never"),
        ("score.extraction is missing and score.extraction > 1 dB", "never"),
        ("account.id in lists.red-team", "depends"),
    ],
)
def test_a_verdict(text: str, verdict: str) -> None:
    node = parse(text)
    check(node, NAMES, LISTS)
    assert verdict_of(node, NAMES) == verdict


@pytest.mark.parametrize(
    "text, expected",
    [
        ("score.extraction >= 80 dB and req.n > 1", Least(80, True)),
        ("score.extraction > 80 dB", Least(80, False)),
        ("80 dB <= score.extraction", Least(80, True)),
        ("not score.extraction < 80 dB", Least(80, True)),
        ("score.extraction >= 8 * 10 dB", Least(80, True)),
        ("score.extraction == 80 dB", Least(80, True)),
        ("score.extraction in [90 dB, 80 dB]", Least(80, True)),
        ("score.extraction > 80 dB or score.extraction >= 60 dB", Least(60, True)),
        ("score.extraction > 60 dB or score.extraction >= 60 dB", Least(60, True)),
        ("score.extraction > 60 dB and score.extraction >= 60 dB", Least(60, False)),
        ("score.extraction > 80 dB or req.n > 1", Least(-inf, False)),
        ("score.extraction < 80 dB", Least(-inf, False)),
        ("req.n > 1", Least(-inf, False)),
        ("score.extraction is missing", Least(-inf, False)),
        ("score.extraction > 80 dB and score.extraction < 2 dB", Least(inf, False)),
    ],
)
def test_the_least_score_that_will_do(text: str, expected: Least) -> None:
    assert least(parse(text), "score.extraction", NAMES) == expected
    assert least(parse(text), "score.extraction") == expected


def test_what_a_unit_says_bounds_a_name_where_the_names_are_given() -> None:
    assert least(parse("req.n < 5"), "req.n", NAMES) == Least(0, True)
    assert least(parse("req.n < 5"), "req.n") == Least(-inf, False)


def _within(name: Name) -> st.SearchStrategy[Any]:
    """Values that a name of this sort can really have."""
    some = st.one_of(st.sampled_from([0, 1, 2, 3, 1000, 0.5, 2_000_000, 1e300]), st.floats(0, 1e9))
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "number": some,
        "text": words,
        "bool": st.booleans(),
        "texts": st.lists(words, max_size=3).map(tuple),
    }
    found = kinds[name.kind]
    if name.unit == "dB":
        found = st.one_of(some, st.floats(-1e9, 0), st.sampled_from([-1, -3, 5]))
    elif name.unit == "share":
        found = st.one_of(st.sampled_from([0, 1, 0.5]), st.floats(0, 1))
    return st.one_of(st.none(), found) if name.missing else found


rows = st.fixed_dictionaries({name: _within(each) for name, each in NAMES.items()})


@settings(max_examples=600, deadline=None)
@given(conditions(3), st.lists(rows, min_size=4, max_size=8))
def test_a_verdict_is_never_contradicted(node: Node, found: list[dict[str, Any]]) -> None:
    verdict = verdict_of(node, NAMES)
    answers = [evaluate(node, row, LISTS) for row in found]
    assert verdict != "never" or True not in answers
    assert verdict != "always" or all(answer is True for answer in answers)


@settings(max_examples=300, deadline=None)
@given(conditions(3), st.lists(rows, min_size=4, max_size=8))
def test_no_smaller_value_than_the_least_makes_it_true(node: Node, found: list[dict[str, Any]]) -> None:
    for name in names_in(node):
        if NAMES[name].kind != "number":
            continue
        bound = least(node, name, NAMES)
        for row in found:
            if evaluate(node, row, LISTS) is True and row[name] is not None:
                assert row[name] > bound.value or (row[name] == bound.value and bound.inclusive)


def test_depth_costs_no_more_than_size() -> None:
    """Sixteen conditions inside each other, of which the second already contradicts itself."""
    text = "req.n > 1"
    for turn in range(16):
        text = f"(req.logprobs {'and' if turn % 2 else 'or'} not ({text}))"
    node = parse(text)
    answers = {evaluate(node, {"req.n": n, "req.logprobs": word}, {}) for n in (0, 1, 2) for word in (True, False)}
    assert (answers, verdict_of(node, NAMES)) == ({False}, "never")
