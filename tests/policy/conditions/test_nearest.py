"""What would turn a condition, by hand; and for any condition, that it does."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.conditions.expressions import parse
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.nearest import Change, nearest
from gateway.policy.model import ListOf
from gateway.policy.names import Name

NAMES = {
    "score.x": Name("number", "", "dB"),
    "day.requests": Name("number", "", "requests"),
    "day.input": Name("number", "", "tokens"),
    "req.stream": Name("bool", ""),
    "account.id": Name("text", ""),
    "account.labels": Name("texts", ""),
}
LISTS = {"partners": ListOf("partners", frozenset({"acct_1", "acct_2"}))}
KNOWN: dict[str, Any] = {
    "score.x": 12.3,
    "day.requests": 300.0,
    "day.input": 100.0,
    "req.stream": True,
    "account.id": "acct_9",
    "account.labels": ("beta",),
}


def ways(text: str, want: bool = False, **other: Any) -> list[list[tuple[str, str, Any]]]:
    known = KNOWN | {name.replace("__", "."): value for name, value in other.items()}
    found = nearest(parse(text), want, known, NAMES, LISTS)
    return [[(change.name, change.side, change.bound) for change in way] for way in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score.x >= 10 dB", [[("score.x", "below", 10)]]),
        ("score.x > 10 dB", [[("score.x", "at most", 10)]]),
        ("score.x <= 20 dB", [[("score.x", "above", 20)]]),
        ("-20 dB < score.x", [[("score.x", "at most", -20)]]),
        ("day.requests == 300 requests", [[("day.requests", "is not", 300.0)]]),
        ("day.requests != 12 requests", [[("day.requests", "is", 12)]]),
        ("day.requests / day.input > 2", [[("day.requests", "at most", 200)], [("day.input", "at least", 150)]]),
        ("req.stream", [[("req.stream", "is", False)]]),
        ('account.id == "acct_9"', [[("account.id", "is not", "acct_9")]]),
        ("account.id not in lists.partners", [[("account.id", "is", "acct_1")]]),
        ('"beta" in account.labels', [[("account.labels", "without", "beta")]]),
        ('"gold" not in account.labels', [[("account.labels", "with", "gold")]]),
        ("not score.x < 10 dB", [[("score.x", "below", 10)]]),
        ("account.id is not missing", [[("account.id", "missing", None)]]),
        (
            "score.x >= 10 dB and day.requests > 20 requests",
            [[("score.x", "below", 10)], [("day.requests", "at most", 20)]],
        ),
        (
            "score.x >= 10 dB or day.requests > 20 requests",
            [[("score.x", "below", 10), ("day.requests", "at most", 20)]],
        ),
        ("score.x >= 10 dB or day.requests > 400 requests", [[("score.x", "below", 10)]]),
    ],
)
def test_what_would_end_it(text: str, expected: list[Any]) -> None:
    assert ways(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("score.x >= 15 dB", [[("score.x", "at least", 15)]]),
        ("score.x >= 15 dB and req.stream", [[("score.x", "at least", 15)]]),
        (
            'score.x >= 15 dB and account.id == "acct_2"',
            [[("score.x", "at least", 15), ("account.id", "is", "acct_2")]],
        ),
        ("account.id in lists.partners", [[("account.id", "is", "acct_1")]]),
    ],
)
def test_what_it_lacks(text: str, expected: list[Any]) -> None:
    assert ways(text, True) == expected


def test_nothing_is_told_where_the_condition_is_as_wanted_already() -> None:
    assert ways("score.x >= 15 dB") == []
    assert ways("score.x >= 10 dB", True) == []


def test_a_number_that_is_missing_has_no_nearest_value() -> None:
    assert ways("score.x >= 15 dB", True, score__x=None) == []


def test_a_count_is_never_told_to_be_below_0() -> None:
    assert ways("day.requests >= 0") == []


def test_a_number_beyond_what_a_float_can_tell_apart_ends() -> None:
    assert ways("day.requests < 1", True, day__requests=10**30) == [[("day.requests", "below", 1)]]


CONDITIONS = [
    "score.x >= {a} dB",
    "score.x + {b} dB < {a} dB",
    "day.requests > {b} requests and score.x >= {a} dB",
    "day.requests > {b} requests or not score.x >= {a} dB",
    "day.requests / day.input >= {b} and req.stream",
    'account.id != "acct_9" or day.requests <= {b} requests',
]


@given(
    st.sampled_from(CONDITIONS),
    st.integers(-40, 40),
    st.integers(1, 500),
    st.floats(-60, 60),
    st.integers(0, 1000),
    st.booleans(),
)
def test_every_way_that_is_told_turns_the_condition(
    text: str, a: int, b: int, score: float, requests: int, want: bool
) -> None:
    node = parse(text.format(a=a, b=b))
    known = KNOWN | {"score.x": score, "day.requests": requests}
    for way in nearest(node, want, known, NAMES, LISTS):
        other = known | {change.name: change.value for change in way}
        assert (evaluate(node, other, LISTS) is True) is want


@given(st.integers(-400, 400), st.floats(-60, 60))
def test_the_bound_of_a_plain_comparison_is_its_constant(tenths: int, score: float) -> None:
    node = parse(f"score.x >= {tenths / 10} dB")
    found = nearest(node, not score >= tenths / 10, {"score.x": score}, NAMES, {})
    side = "below" if score >= tenths / 10 else "at least"
    assert [[(each.side, each.bound) for each in way] for way in found] == [[(side, tenths / 10)]]
    assert isinstance(found[0][0], Change)
