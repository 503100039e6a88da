"""The grammar of conditions: what is read, what it is written back as, and what is said where it can't be read."""

import random

import pytest
from hypothesis import given, settings

from gateway.policy.conditions.compiler import Slots, condition
from gateway.policy.conditions.expressions import (
    FUNCTIONS,
    And,
    Compare,
    ExpressionError,
    Items,
    Node,
    Not,
    Number,
    Or,
    Ref,
    Text,
    children,
    lists_in,
    names_in,
    parse,
    show,
    top_terms,
    walk,
)
from gateway.policy.conditions.lexer import UNITS
from gateway.policy.conditions.typecheck import check
from tests.policy.conditions.trees import LISTS, NAMES, bare, conditions, numbers


@pytest.mark.parametrize(
    "text, value, unit",
    [
        ("2", 2, ""),
        ("2.50", 2.5, ""),
        ("2M", 2_000_000, ""),
        ("2 M", 2_000_000, ""),
        ("1.5k", 1500, ""),
        ("3B", 3_000_000_000, ""),
        ("25%", 0.25, "share"),
        ("25 %", 0.25, "share"),
        ("100%", 1, "share"),
        ("500k tokens", 500_000, "tokens"),
        ("1 request", 1, "requests"),
        ("20 requests", 20, "requests"),
        ("2M bytes", 2_000_000, "bytes"),
        ("30d", 2_592_000, "duration"),
        ("30 d", 2_592_000, "duration"),
        ("250ms", 0.25, "duration"),
        ("1.5 h", 5400, "duration"),
        ("2m", 120, "duration"),
        ("2min", 120, "duration"),
        ("1w", 604_800, "duration"),
        ("7s", 7, "duration"),
        ("3 dB", 3, "dB"),
        ("-30dB", -30, "dB"),
        ("--3", 3, ""),
        ("-(2k)", -2000, ""),
    ],
)
def test_a_number_is_read_with_its_scale_and_unit(text: str, value: float, unit: str) -> None:
    node = parse(text)
    assert isinstance(node, Number)
    assert (node.value, node.unit) == (value, unit)
    assert type(node.value) is type(value)
    assert bare(parse(show(node))) == bare(node)


@pytest.mark.parametrize(
    "text, value",
    [
        ("'a'", "a"),
        ('"a"', "a"),
        ("'it''s'", "it's"),
        ('"say ""hi"""', 'say "hi"'),
        ('"it\'s"', "it's"),
        (r"'a\n'", r"a\n"),
        ("''", ""),
        ("''''", "'"),
        ("'ü €'", "ü €"),
    ],
)
def test_a_text_is_what_stands_between_its_quotes(text: str, value: str) -> None:
    assert bare(parse(text)) == Text(value)
    assert bare(parse(show(parse(text)))) == Text(value)


@pytest.mark.parametrize(
    "text, canonical",
    [
        ("a or b and not c", "a or b and not c"),
        ("(a or b) and c", "(a or b) and c"),
        ("a and (b and c)", "a and b and c"),
        ("(a or b) or c", "a or b or c"),
        ("not (a and b)", "not (a and b)"),
        ("not a == b", "not a == b"),
        ("(not a) == b", "(not a) == b"),
        ("not not a", "not not a"),
        ("a - b - c", "a - b - c"),
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a + b * c", "a + b * c"),
        ("(a + b) * c", "(a + b) * c"),
        ("a / (b / c)", "a / (b / c)"),
        ("-a * b", "-a * b"),
        ("-(a * b)", "-(a * b)"),
        ("a - -3", "a - -3"),
        ("a - -b", "a - -b"),
        ("a>=2000000", "a >= 2M"),
        ("a<0.25", "a < 0.25"),
        ("a < 25.0%", "a < 25%"),
        ("a < 86400s", "a < 1d"),
        ("a < 90 m", "a < 90min"),
        ("a < 0.5s", "a < 500ms"),
        ("a < 0 s", "a < 0s"),
        ("a > 1 tokens", "a > 1 token"),
        ("a > 1500 tokens", "a > 1500 tokens"),
        ("a == 'x'", 'a == "x"'),
        ("a in ['x' , 'y']", 'a in ["x", "y"]'),
        ("a in [1, -2 dB, true,]", "a in [1, -2 dB, true]"),
        ("a   not\n in lists.red-team", "a not in lists.red-team"),
        ("a is missing or b is not missing", "a is missing or b is not missing"),
        ("a + b is missing", "a + b is missing"),
        ("(a > b) is missing", "(a > b) is missing"),
        ("count(a)>2", "count(a) > 2"),
        ("any_in(a,['x'])", 'any_in(a, ["x"])'),
        ("score.my-card >= 3 dB", "score.my-card >= 3 dB"),
        ("a.b - 5 > 1", "a.b - 5 > 1"),
        ("a.b -5 > 1", "a.b - 5 > 1"),
        ("a-b > 1", "a - b > 1"),
        ("lists.2024.x-1 == a", "lists.2024.x-1 == a"),
    ],
)
def test_the_canonical_text_keeps_the_meaning(text: str, canonical: str) -> None:
    assert show(parse(text)) == canonical
    assert bare(parse(canonical)) == bare(parse(text))


def test_a_minus_inside_a_name_belongs_to_it_from_the_second_part_on() -> None:
    assert names_in(parse("score.my-card > a-b")) == ("score.my-card", "a", "b")
    assert names_in(parse("a.b-5 > 1")) == ("a.b-5",)


@settings(max_examples=500, deadline=None)
@given(conditions(3))
def test_what_is_shown_parses_to_the_same_tree(node: Node) -> None:
    assert bare(parse(show(node))) == node


@settings(max_examples=300, deadline=None)
@given(numbers("", 4))
def test_what_is_shown_of_a_quantity_parses_to_the_same_tree(node: Node) -> None:
    assert bare(parse(show(node))) == node


def test_names_and_lists_come_in_order_of_first_use() -> None:
    node = parse("b.x > 1 and a.y in lists.two and (c.z or b.x > a.y) and any_in(d.t, lists.one)")
    assert names_in(node) == ("b.x", "a.y", "c.z", "d.t")
    assert lists_in(node) == ("two", "one")


def test_top_terms_are_what_must_all_hold() -> None:
    assert [show(term) for term in top_terms(parse("a and (b or c) and (d and e)"))] == ["a", "b or c", "d", "e"]
    assert [show(term) for term in top_terms(parse("a or b"))] == ["a or b"]


def test_nodes_know_where_they_begin() -> None:
    text = "not a > 2 and  (b - 1 in [3])"
    for node, _ in walk(parse(text)):
        begins = {Not: "not", Ref: getattr(node, "name", ""), And: "not", Items: "[3]", Compare: "a"}.get(type(node))
        assert begins is None or text[node.at :].startswith(begins)
    assert children(parse("a or b")) == (Ref("a", 0), Ref("b", 5))
    assert parse(" a or b") == Or((Ref("a", 1), Ref("b", 6)), 1)


@pytest.mark.parametrize(
    "text, offset, message, hint",
    [
        ("", 0, "this condition is empty", "as in `account.age < 30d`"),
        ("   ", 0, "this condition is empty", "as in `account.age < 30d`"),
        ("a && b", 2, "`&&` is not expected here", "write `and`"),
        ("a & b", 2, "`&` is not expected here", "write `and`"),
        ("a || b", 2, "`||` is not expected here", "write `or`"),
        ("!a", 0, "`!` is not expected here", "write `not`"),
        ("a = 1", 2, "`=` is not expected here", "to compare, write `==`"),
        ("a === 1", 2, "`===` is not expected here", "write `==`"),
        ("a => 1", 2, "`=>` is not expected here", "write `>=`"),
        ("a <> 1", 2, "`<>` is not expected here", "write `!=`"),
        ("a =~ 'x'", 2, "`=~` is not expected here", "for a pattern write `matches_glob(name, 'a*')`"),
        ("a > “x”", 4, "`“` is not expected here", "use plain quotes: \" or '"),
        ("größe > 1", 2, "`ö` is not expected here", "names are made of ASCII letters, digits, `_` and dots"),
        ("a % 2", 2, "`%` is not expected here", "`%` stands right after a number, as in `25%`"),
        ("a > .5", 4, "`.5` is not expected here", "write `0.5`"),
        ("a. > 5", 1, "`.` is not expected here", "a name can't begin or end with a dot"),
        ("a > 1.", 4, "this number can't be read", "digits and one point: 1000, 2.5, or 2k"),
        ("a > 1.2.3", 4, "this number can't be read", "digits and one point: 1000, 2.5, or 2k"),
        ("a > 1,000", 5, "`,` is not expected here", "a number has no comma: 1000, or 1k"),
        ("a > 1_000", 5, "`_000` is no unit", "digits only: 1000, or 1k"),
        ("a > 1e3", 5, "`e3` is no unit", "write it out, or with k, M or B"),
        ("a > 2MB", 5, "`MB` is no unit", "did you mean `2M bytes`?"),
        ("a > 10m tokens", 6, "`10m` is a duration, not a number of tokens", "did you mean `10M tokens`?"),
        ("a > 10 s requests", 7, "`10s` is a duration, not a number of requests", "write `10 requests`"),
        ("a > 10K", 6, "`K` is no unit", "did you mean `10k`?"),
        ("a > 10Mtokens", 6, "`Mtokens` is no unit", "did you mean `10M tokens`?"),
        ("a < 30 days", 7, "`days` is no unit", "did you mean `30d`?"),
        ("a < 2 months", 6, "`months` is no unit", "write it in days, as in `30d`"),
        ("a > 3 db", 6, "`db` is no unit", "did you mean `3 dB`?"),
        ("a > 3 AND b", 6, "`AND` is no unit", "write `and`"),
        ("a > 2k%", 6, "a percentage has no scale", "write `2%`"),
        ("a > 2k dB", 7, "`dB` is no unit", f"the units are {UNITS}"),
        ("a > 9999999999B", 4, "this number is too large", "at most 10^18"),
        ("a > 'x", 4, "this text does not end", "close it with '"),
        ("a > 'x\ny'", 4, "this text does not end", "close it with '"),
        ("1 < x < 2", 6, "comparisons can't be chained", "write `1 < x and x < …`"),
        ("a in [1] == true", 9, "comparisons can't be chained", "write `a in [1] and [1] == …`"),
        ("a is missing == true", 13, "comparisons can't be chained", "join the two with `and`"),
        ("a AND b", 2, "`AND` is not expected here", "write `and`"),
        ("a b", 2, "`b` is not expected here", "join two conditions with `and` or `or`"),
        ("a 5", 2, "`5` is not expected here", "compare with <, <=, >, >=, == or !="),
        ("(a", 0, "a `)` is missing for this `(`", ""),
        ("a in [1", 5, "a `]` is missing for this `[`", ""),
        ("count(a", 5, "a `)` is missing for this `(`", ""),
        ("a)", 1, "`)` is not expected here", "no `(` is open"),
        ("a [1]", 2, "`[` is not expected here", "write `in` before a list"),
        ("a in []", 5, "this list is empty", "nothing can be in it"),
        ("a in [b]", 6, "a list holds only constants", "numbers, texts in quotes, true or false"),
        ("a and", 5, "a value is missing at the end", "a name, a number or a text"),
        ("and a", 0, "`and` is not expected here", "something is missing before `and`"),
        ("+a", 0, "`+` is not expected here", "a number has no `+`"),
        ("a == not b", 5, "`not` can't stand here", "put parentheses around `not …`"),
        ("a not b", 2, "`not` is not expected here", "`not in`, or `and not`"),
        ("a is null", 5, "after `is` comes `missing` or `not missing`", "to compare, write `==`"),
        ("a is", 4, "after `is` comes `missing` or `not missing`", "to compare, write `==`"),
        ("len(a) > 1", 0, "no function is called `len`", "did you mean `count`?"),
        ("start_with(a, 'b')", 0, "no function is called `start_with`", "did you mean `starts_with`?"),
        ("size(a) > 1", 0, "no function is called `size`", "did you mean `count`?"),
        ("f(a)", 0, "no function is called `f`", f"the functions are {', '.join(FUNCTIONS)}"),
        ("count(a, b) > 1", 0, "`count` takes one argument, not 2", "as in `count(account.tags)`"),
        ("any_in(a)", 0, "`any_in` takes two arguments, not 1", 'as in `any_in(account.tags, ["lab", "evaluator"])`'),
    ],
)  # fmt: skip
def test_what_is_said_where_it_cannot_be_read(text: str, offset: int, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.offset, caught.value.message, caught.value.hint) == (offset, message, hint)


def test_length_depth_and_size_are_bounded() -> None:
    assert parse("a" * 2000) == Ref("a" * 2000)
    bounds = {
        "a" * 2001: "this is longer than 2000 characters",
        "(" * 60 + "a" + ")" * 60: "this is nested deeper than 50",
        "not " * 60 + "a": "this is nested deeper than 50",
        "-" * 60 + "a": "this is nested deeper than 50",
        "a or b and c == d + e * (" * 45 + "f" + ")" * 45: "this is nested deeper than 50",
        "+".join("a" * 60): "this is nested deeper than 50",
        "a in [" + ",".join("1" * 400) + "]": "this has more than 400 parts",
        " or ".join("a" * 400): "this has more than 400 parts",
    }
    for text, message in bounds.items():
        with pytest.raises(ExpressionError, match=message):
            parse(text)
    assert len(top_terms(parse(" and ".join("a" * 285)))) == 285
    deep = parse("not (a and " * 24 + "b or c" + ")" * 24)
    assert bare(parse(show(deep))) == bare(deep)


def test_errors_are_one_line_and_printable() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("a == '\u2028' b\x00")
    error = caught.value
    assert error.message.isprintable()
    assert error.hint.isprintable()


SOUP = """a req.n account.age account.tags req.model req.logprobs score.my-card lists.frontier and or not in is missing
true false < <= > >= == != + - * / ( ) [ ] , 1 2M 25% 30d 3 dB 5 tokens count ( starts_with ( any_in ( "x" 'gpt-*'
matches_glob ( && = ' " . % ** k d 0.5 req.seeded req.seeded req.temperature > and or not is missing 2"""
PIECES = SOUP.split()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_written_gives_a_tree_or_an_error_of_ours(seed: int) -> None:
    """100,000 strings in all, of three sorts; what parses and checks also compiles and runs."""
    dice = random.Random(seed)
    letters = "".join(PIECES) + " \t\n\x00\\ÄΩ😀\u2028;{}#@"
    names = [name for name, each in NAMES.items() if each.missing]
    wrong: list[tuple[str, ExpressionError]] = []
    ran = 0
    for turn in range(20_000):
        if turn % 4 == 0:
            text = "".join(dice.choices(letters, k=dice.randrange(24)))
        else:
            text = " ".join(dice.choices(PIECES, k=dice.randrange(1, 10)))
        try:
            node = parse(text)
            check(node, NAMES, LISTS)
        except ExpressionError as error:
            wrong.append((text, error))
            continue
        if set(names_in(node)) <= set(names):
            ran += 1
            assert condition(node, Slots(NAMES), NAMES, LISTS)([None] * 9) in (True, False, None)
    assert ran >= 50
    assert all(0 <= error.offset <= len(text) for text, error in wrong)
    assert all((error.message + error.hint).isprintable() for _, error in wrong)
