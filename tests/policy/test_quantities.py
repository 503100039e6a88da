"""The grammar of quantities."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.model import Rate
from gateway.policy.quantities import QuantityError, amount_of, duration_of, rate_of, share_of


@pytest.mark.parametrize(
    "text, rate",
    [
        ("60 requests/min", Rate(60, "requests", "min")),
        ("1 request/s", Rate(1, "requests", "s")),
        ("60 requests / m", Rate(60, "requests", "min")),
        ("8k tokens/min", Rate(8_000, "tokens", "min")),
        ("8 k tokens/h", Rate(8_000, "tokens", "h")),
        ("1.5M tokens/day", Rate(1_500_000, "tokens", "day")),
        ("0.5k tokens/d", Rate(500, "tokens", "day")),
        ("2B tokens/month", Rate(2_000_000_000, "tokens", "month")),
        ("7 requests/w", Rate(7, "requests", "week")),
        ("  4 requests  ", Rate(4, "requests")),
        ("unlimited", None),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate | None) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize(
    "value, words, hint",
    [
        ("10m tokens", "`m` is no scale", "did you mean 10M?"),
        ("10K requests/min", "`K` is no scale", "did you mean 10k?"),
        ("10 tokens/M", "`M` is no period", "did you mean `m`?"),
        ("10Mtokens/min", "`Mtokens` is no unit", "did you mean `10M tokens`?"),
        ("2M output_tokens/day", "`output_tokens` is no unit", "did you mean `tokens`?"),
        ("60", "the unit is missing", "write `60 requests` or `60 tokens`"),
        (60, "a number alone says no unit", ""),
        ("0 requests/min", "a limit is at least 1", "for no limit say `unlimited`"),
        ("0.1 requests/s", "this is no whole number of units", ""),
        ("-5 requests/min", "`-5 requests/min` does not begin with a number", ""),
        ("1,000 requests/min", "this number can't be read", ""),
        ("1e3 requests/min", "`e` is no unit", ""),
        ("1_000 requests/min", "this number can't be read", ""),
        ("٣ requests/min", "`٣ requests/min` does not begin with a number", ""),
        ("99999999999M tokens/min", "this number is too large", ""),
        ("60 requests/min/s", "nothing may follow the period", ""),
        ("60 requests/", "a period is missing after `/`", ""),
        ("60 requests per min", "a `/` and a period should follow the unit", ""),
        ("Unlimited", "`Unlimited` is no quantity", "did you mean `unlimited`?"),
        ("", "an empty text is no quantity", ""),
        ("1" * 200, "this is too long for a quantity", ""),
        (None, "nothing is no quantity", ""),
        (True, "`true` is no quantity", ""),
        ([], "a list is no quantity", ""),
    ],
)
def test_what_is_no_rate_is_refused_with_a_hint(value: Any, words: str, hint: str) -> None:
    with pytest.raises(QuantityError) as caught:
        rate_of(value)
    assert caught.value.message == words
    assert caught.value.hint == hint if hint else True


@pytest.mark.parametrize(
    "text, offset", [("10m tokens", 2), ("60 calls/min", 3), ("60 requests/mn", 12), ("60 requests", None)]
)
def test_the_place_of_the_fault_is_known(text: str, offset: int | None) -> None:
    if offset is None:
        assert rate_of(text) == Rate(60, "requests")
        return
    with pytest.raises(QuantityError) as caught:
        rate_of(text)
    assert caught.value.offset == offset


def test_an_amount_has_no_period_and_its_own_unit() -> None:
    assert amount_of("20 requests") == Rate(20, "requests")
    assert amount_of("1k tokens", "tokens") == Rate(1000, "tokens")
    with pytest.raises(QuantityError, match="an amount has no period"):
        amount_of("20 requests/min")
    with pytest.raises(QuantityError, match="counts tokens, not requests"):
        amount_of("20 requests", "tokens")
    with pytest.raises(QuantityError) as caught:
        amount_of(20)
    assert caught.value.hint == "write `20 requests`"


@pytest.mark.parametrize("text, share", [("50%", 0.5), ("100 %", 1.0), ("0.5%", 0.005)])
def test_a_share_is_read(text: str, share: float) -> None:
    assert share_of(text) == share


@pytest.mark.parametrize("value", ["0%", "100.1%", "50", "half", "%", "5%%", 50, 0.5, None, True])
def test_what_is_no_share_is_refused(value: Any) -> None:
    with pytest.raises(QuantityError):
        share_of(value)


@pytest.mark.parametrize(
    "text, micros",
    [
        ("15 min", 900_000_000),
        ("15m", 900_000_000),
        ("1.5 s", 1_500_000),
        ("500ms", 500_000),
        ("2 h", 7_200_000_000),
        ("366 d", 31_622_400_000_000),
    ],
)
def test_a_duration_is_read(text: str, micros: int) -> None:
    assert duration_of(text) == micros


@pytest.mark.parametrize("value", ["0 s", "367 d", "1h30m", "5 M", "1 hour", "s", "", 60, None, "0.0000001 ms"])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(QuantityError):
        duration_of(value)


@settings(deadline=None)
@given(
    st.integers(1, 10**6),
    st.sampled_from(["", "k", "M", "B"]),
    st.sampled_from(["requests", "tokens"]),
    st.sampled_from(["s", "min", "h", "day", "week", "month"]),
)
def test_every_written_rate_is_read_as_it_was_meant(number: int, scale: str, unit: Any, period: Any) -> None:
    times = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9}[scale]
    assert rate_of(f"{number}{scale} {unit}/{period}") == Rate(number * times, unit, period)
    assert rate_of(f"{Decimal(number) / 1000}M {unit}/{period}") == Rate(number * 1000, unit, period)


@settings(deadline=None)
@given(st.one_of(st.text(max_size=120), st.integers(), st.floats(), st.none(), st.lists(st.none(), max_size=2)))
def test_anything_is_a_quantity_or_an_error_inside_the_text(value: Any) -> None:
    errors = []
    for read in (rate_of, amount_of, share_of, duration_of):
        try:
            read(value)
        except QuantityError as error:
            errors.append(error)
    length = len(value) if isinstance(value, str) else 0
    assert all(error.message and 0 <= error.offset <= length for error in errors)
    assert len(errors) >= 2  # `4 requests` is a rate and an amount, and nothing is more than that
