"""What conditions may mean: kinds, units, phases, and the sentence for each thing that makes no sense."""

from typing import Any

import pytest

from gateway.policy.conditions.expressions import ExpressionError, parse, show
from gateway.policy.conditions.typecheck import check, never_missing
from tests.policy.conditions.trees import LISTS, NAMES


@pytest.mark.parametrize(
    "text",
    [
        "req.logprobs",
        "true",
        "account.age < 30d",
        "account.age >= 2 * 30d",
        "account.age - account.gap > 1h",
        "account.age / account.gap > 2",
        "account.age / 2 > 1d",
        "score.extraction >= 3 dB and score.my-card < -3 dB",
        "score.extraction + 3 dB > 2 * score.my-card",
        "score.extraction - score.my-card > 0 dB",
        "score.extraction / 1 dB > 2",
        "day.output_tokens > 2M",
        "day.output_tokens > 2M tokens",
        "day.output_tokens > day.input_tokens * 4 + 1k tokens",
        "day.output_tokens / day.input_tokens > 4",
        "day.output_tokens / hour.requests > 500",
        "day.output_tokens / req.body > 25%",
        "2M / day.output_tokens > 1",
        "req.n / hour.requests > 1",
        "hour.requests * 50% > 10",
        "hour.requests >= 50 requests",
        "req.body > 1M bytes",
        "hour.template_share > 0.6",
        "hour.template_share > 60%",
        "hour.template_share * hour.logprob_share > req.n",
        "hour.template_share + req.temperature > 1",
        "1 + 1 == 2",
        "req.logprobs == true",
        "req.logprobs != req.seeded",
        '(req.n > 1) == (req.model == "x")',
        'req.model == "x" or req.model != account.id',
        'req.model in ["a", "b"]',
        "req.n in [1, 2k, 50%]",
        "account.age in [1d, 1w]",
        "req.logprobs in [true]",
        "req.model in lists.frontier",
        "account.id not in lists.red-team",
        '"evaluator" in account.tags',
        "account.id in org.tags",
        "count(account.tags) > 2",
        'any_in(account.tags, ["a"]) or any_in(account.tags, lists.mixed) or any_in(account.tags, org.tags)',
        'starts_with(req.model, "gpt") and ends_with(req.model, "x") and matches_glob(account.id, "a*")',
        "req.n is missing or (req.n > 1) is not missing or account.tags is missing or req.model is missing",
        "-req.n < -1 and -score.extraction > 1 dB",
    ],
)
def test_what_makes_sense_passes(text: str) -> None:
    check(parse(text), NAMES, LISTS)


@pytest.mark.parametrize(
    "text, at, message, hint",
    [
        ("account.age < 30", "30", "cannot compare a duration with a number", "give it a unit, e.g. `30d`"),
        ("30 > account.age", "30", "cannot compare a number with a duration", "give it a unit, e.g. `30d`"),
        ("account.age < 86400", "86400", "cannot compare a duration with a number", "give it a unit, e.g. `30d`"),
        ("score.extraction > 5", "5", "cannot compare a number of dB with a number", "give it a unit, e.g. `5 dB`"),
        ("score.extraction in [5]", "5", "cannot compare a number of dB with a number", "give it a unit, e.g. `5 dB`"),
        ("score.extraction > 5%", "5%", "cannot compare a number of dB with a share", ""),
        ("account.age < req.n", "req.n", "cannot compare a duration with a number", ""),
        ("account.age + 1 > 1d", "1 >", "cannot add a duration and a number", "give it a unit, e.g. `1d`"),
        ("account.age - 1 > 1d", "1 >", "cannot subtract a duration and a number", "give it a unit, e.g. `1d`"),
        ("day.output_tokens > hour.requests", "hour", "cannot compare a number of tokens with a number of requests",
         ""),
        ("day.output_tokens > req.n", "req", "cannot compare a number of tokens with a number", ""),
        ("day.output_tokens > 5%", "5%", "cannot compare a number of tokens with a share", ""),
        ("day.output_tokens > 5 requests", "5", "cannot compare a number of tokens with a number of requests", ""),
        ("score.extraction * score.my-card > 1", "score.my", "cannot multiply a number of dB by a number of dB",
         "one of the two must be a plain number"),
        ("day.output_tokens * hour.requests > 1", "hour", "cannot multiply a number of tokens by a number of requests",
         "one of the two must be a plain number"),
        ("day.output_tokens / account.age > 1", "account", "cannot divide a number of tokens by a duration",
         "divide by a plain number, as in `account.age / 1d`"),
        ("req.n / score.extraction > 1", "score", "cannot divide a number by a number of dB", ""),
        ("hour.template_share / hour.requests > 1", "hour.r", "cannot divide a share by a number of requests", ""),
        ("req.n", "req.n", "this is a number, not a condition", "compare it, e.g. `req.n > 1`"),
        ("req.n + 1", "req.n", "this is a number, not a condition", "compare it, e.g. `req.n + 1 > 1`"),
        ("account.age and true", "acc", "this is a duration, not a condition", "compare it, e.g. `account.age > 30d`"),
        ("not hour.template_share", "hour", "this is a share, not a condition",
         "compare it, e.g. `hour.template_share > 10%`"),
        ("req.model", "req", "this is a text, not a condition", 'compare it, e.g. `req.model == "…"`'),
        ("account.tags or true", "acc", "this is several texts, not a condition", 'e.g. `"…" in account.tags`'),
        ("req.model < 'x'", "req", "a text has no order",
         "only numbers are smaller or larger: write `==` or `!=`"),
        ("req.logprobs > false", "req", "a condition has no order",
         "only numbers are smaller or larger: write `==` or `!=`"),
        ("req.model == 5", "5", "cannot compare a text with a number", ""),
        ("account.tags == 'x'", "acc", "several texts can't be compared", 'write `"…" in account.tags`'),
        ("req.model + 'x' == 'y'", "req", "this is a text, not a number", ""),
        ("account.tags + 1 > 1", "acc", "this is several texts, not a number", "count them: `count(…)`"),
        ("req.n in lists.frontier", "req", "a number can't be in a list of texts", ""),
        ("req.n in account.tags", "req", "a number can't be in a list of texts", ""),
        ("req.n in ['x']", "'x'", "a number can't be a text", ""),
        ("req.n in [1, true]", "true", "a number can't be a condition", ""),
        ("'x' in req.model", "req", "nothing can be in a text", "after `in` comes a list, or a name of several texts"),
        ("account.tags in lists.frontier", "acc", "several texts can't be in something", "write `any_in(…, …)`"),
        ("req.model in lists.frontir", "lists", "no list is called `frontir`", "did you mean `frontier`?"),
        ("req.model in lists.zzz", "lists", "no list is called `zzz`", "the lists are frontier, mixed, red-team"),
        ("lists.frontier == 'x'", "lists", "`lists.frontier` stands only after `in`, or as second argument of `any_in`",
         ""),
        ("['x'] == 'x'", "['", "a list stands only after `in`, or as second argument of `any_in`", ""),
        ("count(req.model) > 1", "req", "`count` wants several texts, not a text", ""),
        ("any_in(req.model, ['x'])", "req", "`any_in` wants several texts first, not a text",
         "for one text write `… in …`"),
        ("any_in(account.tags, 'x')", "'x'", "`any_in` wants a list second, not a text", 'as in `["a", "b"]`'),
        ("any_in(account.tags, [1])", "1", "a text can't be a number", ""),
        ("starts_with(req.n, 'x')", "req", "`starts_with` wants a text first, not a number", ""),
        ("starts_with(req.model, account.id)", "acc", "`starts_with` wants a text in quotes second", ""),
        (f"matches_glob(req.model, '{'a' * 257}')", "'a", "a pattern has at most 256 characters", ""),
        ("score.extractoin > 3 dB", "score", "unknown name `score.extractoin`", "did you mean `score.extraction`?"),
        ("req.n-5 > 1", "req", "unknown name `req.n-5`", "put spaces around `-`: `req.n - 5`"),
        ("score.my-card-5 > 1", "score", "unknown name `score.my-card-5`",
         "put spaces around `-`: `score.my-card - 5`"),
        ("req.n == null", "null", "unknown name `null`", "write `is missing`"),
        ("req.logprobs == True", "True", "unknown name `True`", "write `true`"),
        ("account.currency_of_bill > 1", "acc", "unknown name `account.currency_of_bill`",
         "known here: account.age, account.gap, account.id, account.tags"),
        ("req.model == gpt", "gpt", "unknown name `gpt`", "a text stands in quotes"),
        ("resp.status == 200", "resp", "`resp.status` is known only when the answer has ended",
         "add `phase: response`"),
    ],
)  # fmt: skip
def test_what_is_said_of_what_makes_none(text: str, at: str, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check(parse(text), NAMES, LISTS)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert text[caught.value.offset :].startswith(at)


def test_an_answers_names_are_known_in_its_phase() -> None:
    check(parse("resp.status == 200 and req.n > 1"), NAMES, LISTS, phase="response")


def test_what_scores_are_made_of_reads_no_scores() -> None:
    with pytest.raises(ExpressionError, match="not known yet when this is read"):
        check(parse("req.n > 1 and score.extraction > 3 dB"), NAMES, LISTS, scores=False)
    check(parse("hour.requests > 1"), NAMES, LISTS, scores=False)


@pytest.mark.parametrize(
    "text, unit, message, hint",
    [
        ("hour.template_share * hour.logprob_share", "share", "", ""),
        ("hour.template_share * hour.logprob_share", None, "", ""),
        ("0.5", "share", "", ""),
        ("req.n / 2", "share", "", ""),
        ("20", "requests", "", ""),
        ("day.output_tokens / day.input_tokens", "", "", ""),
        ("20", "dB", "this is a number, where a number of dB is wanted", "give it a unit, e.g. `20 dB`"),
        ("20", "duration", "this is a number, where a duration is wanted", "give it a unit, e.g. `20d`"),
        ("account.age", "share", "this is a duration, where a share is wanted", ""),
        ("req.n > 1", None, "this is a condition, not a number", "as in `hour.requests / 60`"),
        ("req.model", None, "this is a text, not a number", "as in `hour.requests / 60`"),
    ],
)
def test_a_quantity_is_a_number_of_the_wanted_unit(text: str, unit: Any, message: str, hint: str) -> None:
    if not message:
        check(parse(text), NAMES, LISTS, want="number", unit=unit)
        return
    with pytest.raises(ExpressionError) as caught:
        check(parse(text), NAMES, LISTS, want="number", unit=unit)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_tests_of_what_is_always_known_are_named() -> None:
    node = parse("req.n is missing or req.seeded is missing or account.id is not missing or req.n / 0 is missing")
    check(node, NAMES, LISTS)
    assert [show(test) for test in never_missing(node, NAMES)] == ["req.n is missing", "account.id is not missing"]
