"""Refusals: each vendor's words, and waits that his SDK really keeps."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import anthropic
import httpx2
import openai
import pytest
from anthropic._models import FinalRequestOptions as AnthropicOptions
from hypothesis import given
from hypothesis import strategies as st
from openai._models import FinalRequestOptions as OpenAIOptions

from gateway.errors import Kind, Refusal
from gateway.quotas import Reading
from gateway.refusals import ADDED_HEADERS, Spent, Vendor, limit_headers, refusal_of, render

VENDORS: tuple[Vendor, ...] = ("openai", "anthropic", "gemini")
NOW = 1_755_777_600_000_000  # 2025-08-21T12:00:00Z


class Terms(NamedTuple):
    id: str
    retry: str = "after"
    status: int = 429


def answer(vendor: Vendor, refusal: Refusal, jitter: float = 0.0) -> tuple[dict[str, str], Any]:
    headers, body = render(vendor, refusal, "req_1", jitter)
    names = [name.decode() for name, _ in headers]
    assert len(set(names)) == len(names)
    assert set(names) <= {*ADDED_HEADERS, "content-type", "content-length"}
    return {name.decode(): value.decode() for name, value in headers}, json.loads(body)


def spent(wait: int = 1_500_000, unit: str = "requests", limit: str = "key-requests", cost: int = 1) -> Reading:
    return Reading(limit, unit, False, cost, 0, 20, reset=60_000_000, wait=wait)


def left(unit: str, remaining: int, capacity: int = 100, reset: int = 0, *, shadow: bool = False) -> Reading:
    return Reading(f"{unit}-{capacity}", unit, True, 1, remaining, capacity, reset=reset, shadow=shadow)


def told(vendor: Vendor, readings: Iterable[Reading], **how: bool) -> dict[str, str]:
    headers = limit_headers(vendor, list(readings), NOW, **how)
    assert {name.decode() for name, _ in headers} <= set(ADDED_HEADERS)
    return {name.decode(): value.decode() for name, value in headers}


def test_openai_hears_of_a_rate_limit_as_its_sdk_knows_it() -> None:
    headers, body = answer("openai", refusal_of([spent()]))
    assert body["error"]["type"] == "requests"
    assert body["error"]["code"] == "rate_limit_exceeded"
    assert body["error"]["param"] is None
    assert "try again in 1.5s" in body["error"]["message"]
    assert body["request_id"] == headers["x-request-id"] == "req_1"
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1500")
    assert answer("openai", refusal_of([spent(unit="tokens.output")]))[1]["error"]["type"] == "tokens"


def test_anthropic_hears_of_a_rate_limit_as_its_sdk_knows_it() -> None:
    headers, body = answer("anthropic", refusal_of([spent()]))
    assert body["type"] == "error"
    assert body["error"]["type"] == "rate_limit_error"
    assert set(body["error"]) == {"type", "message"}
    assert body["request_id"] == headers["request-id"] == "req_1"


def test_gemini_hears_of_a_rate_limit_in_google_rpc() -> None:
    _, body = answer("gemini", refusal_of([spent(), spent(unit="tokens.input", limit="acct-in")]))
    error = body["error"]
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error["details"]}
    assert details["RetryInfo"]["retryDelay"] == "1.500s"
    assert [each["quotaId"] for each in details["QuotaFailure"]["violations"]] == ["key-requests", "acct-in"]
    assert details["RequestInfo"]["requestId"] == "req_1"
    assert details["ErrorInfo"]["reason"] == "RATE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("kind", "status", "openai_type", "anthropic_type", "gemini_status"),
    [
        ("bad_request", 400, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        ("unauthenticated", 401, "invalid_request_error", "authentication_error", "UNAUTHENTICATED"),
        ("forbidden", 402, "request_forbidden", "billing_error", "PERMISSION_DENIED"),
        ("forbidden", 403, "request_forbidden", "permission_error", "PERMISSION_DENIED"),
        ("forbidden", 451, "request_forbidden", "permission_error", "PERMISSION_DENIED"),
        ("not_found", 404, "invalid_request_error", "not_found_error", "NOT_FOUND"),
        ("timeout", 408, "request_timeout", "timeout_error", "DEADLINE_EXCEEDED"),
        ("too_large", 413, "invalid_request_error", "request_too_large", "INVALID_ARGUMENT"),
        ("unsupported", 415, "invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"),
        ("internal", 500, "server_error", "api_error", "INTERNAL"),
        ("upstream_unreachable", 502, "server_error", "api_error", "UNAVAILABLE"),
        ("overloaded", 503, "server_error", "overloaded_error", "UNAVAILABLE"),
        ("upstream_timeout", 504, "server_error", "timeout_error", "DEADLINE_EXCEEDED"),
    ],
)
def test_every_kind_has_each_vendors_word(
    kind: Kind, status: int, openai_type: str, anthropic_type: str, gemini_status: str
) -> None:
    refusal = Refusal(kind, status, "some_code", "A sentence.", param="model")
    bodies = {vendor: answer(vendor, refusal)[1]["error"] for vendor in VENDORS}
    assert bodies["openai"] == {"message": "A sentence.", "type": openai_type, "param": "model", "code": "some_code"}
    assert bodies["anthropic"] == {"type": anthropic_type, "message": "A sentence."}
    assert (bodies["gemini"]["status"], bodies["gemini"]["code"]) == (gemini_status, status)


def test_a_401_says_what_would_help() -> None:
    refusal = Refusal("unauthenticated", 401, "invalid_api_key", "No.")
    assert answer("openai", refusal)[0]["www-authenticate"] == "Bearer"


def test_a_request_that_can_never_pass_is_not_told_to_wait() -> None:
    refusal = refusal_of([spent(), spent(-1, "tokens.output", "acct-out", 12_000)])
    assert (refusal.kind, refusal.status, refusal.code) == ("oversized", 400, "request_exceeds_limit")
    headers, body = answer("openai", refusal)
    assert "retry-after" not in headers
    assert headers["x-should-retry"] == "false"
    assert "12000 output tokens" in body["error"]["message"]


def test_a_spent_quota_is_not_retried_and_says_when_it_renews() -> None:
    refusal = refusal_of([spent(7_200_000_000, "tokens.total", "acct-daily")], [Terms("acct-daily", "never")])
    assert (refusal.kind, refusal.status, refusal.code) == ("quota_exhausted", 429, "quota_exhausted")
    headers, body = answer("openai", refusal, 0.5)
    assert body["error"]["type"] == body["error"]["code"] == "insufficient_quota"
    assert headers["x-should-retry"] == "false"
    assert int(headers["retry-after"]) >= 7200
    assert "2h0m0s" in body["error"]["message"]
    gemini = answer("gemini", refusal)[1]["error"]["details"]
    assert not any(detail["@type"].endswith("RetryInfo") for detail in gemini)


def test_the_longest_wait_of_the_limits_that_refuse_counts() -> None:
    passing = Reading("other", "requests", True, 1, 5, 20, wait=0)
    shadow = Reading("shadow", "requests", False, 1, 0, 20, wait=90_000_000, shadow=True)
    refusal = refusal_of([passing, spent(1_000_000), spent(3_000_000, limit="slow"), shadow])
    assert refusal.retry_after == 3.0
    assert [reading.limit for reading in refusal.refusing] == ["slow", "key-requests"]
    with pytest.raises(ValueError, match="no limit refused"):
        refusal_of([passing, shadow])


def test_a_limit_may_refuse_with_a_status_of_its_own() -> None:
    assert refusal_of([spent()], [Terms("key-requests", status=403)]).status == 403


def test_too_many_at_once_has_a_word_of_its_own_and_a_short_wait() -> None:
    refusal = refusal_of([spent(900_000_000, "concurrent", "acct-live")])
    assert (refusal.status, refusal.code, refusal.retry_after) == (429, "concurrency_limit", 1.0)


@given(st.floats(0, 1e5), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_shortened_and_at_most_a_tenth_longer(seconds: float, jitter: float) -> None:
    headers, _ = answer("openai", Refusal("rate_limited", 429, "x", "x", retry_after=seconds), jitter)
    millis = int(headers["retry-after-ms"])
    assert max(1, seconds * 1000 - 1e-6) <= millis <= max(1, seconds * 1100 + 1)
    assert int(headers["retry-after"]) * 1000 >= millis > (int(headers["retry-after"]) - 1) * 1000
    assert ("x-should-retry" in headers) == (seconds > 60)


def openai_hears(headers: dict[str, str], status: int) -> float | None:
    """The wait that openai's SDK makes of an answer; None = it doesn't try again."""
    client = openai.OpenAI(api_key="k")
    options = OpenAIOptions.construct(method="post", url="/x", max_retries=2)
    try:
        if not client._should_retry(httpx2.Response(status, headers=headers)):
            return None
        return client._calculate_retry_timeout(2, options, httpx2.Headers(headers))
    finally:
        client.close()


def anthropic_hears(headers: dict[str, str], status: int) -> float | None:
    client = anthropic.Anthropic(api_key="k")
    options = AnthropicOptions.construct(method="post", url="/x", max_retries=2)
    try:
        if not client._should_retry(httpx2.Response(status, headers=headers)):
            return None
        return client._calculate_retry_timeout(2, options, httpx2.Headers(headers))
    finally:
        client.close()


HEARS = {"openai": openai_hears, "anthropic": anthropic_hears}


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("wait", [1, 12_000, 1_500_000, 59_000_000, 60_000_000])
@pytest.mark.parametrize("jitter", [0.0, 0.99])
def test_the_sdk_waits_as_long_as_we_say(vendor: Vendor, wait: int, jitter: float) -> None:
    headers, _ = answer(vendor, refusal_of([spent(wait)]), jitter)
    heard = HEARS[vendor](headers, 429)
    assert heard is not None
    assert heard == int(headers["retry-after-ms"]) / 1000
    assert wait / 1e6 <= heard <= 60


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize(
    "refusal",
    [
        refusal_of([spent(61_000_000)]),
        refusal_of([spent(3_600_000_000)]),
        refusal_of([spent(-1)]),
        refusal_of([spent(5_000_000)], [Terms("key-requests", "never")]),
        Refusal("forbidden", 403, "policy_block", "No."),
        Refusal("overloaded", 503, "overloaded", "No.", retry=False),
    ],
    ids=["61s", "1h", "oversized", "quota", "block", "told-not-to"],
)
def test_the_sdk_gives_up_where_waiting_is_no_use(vendor: Vendor, refusal: Refusal) -> None:
    headers, _ = answer(vendor, refusal)
    assert HEARS[vendor](headers, refusal.status) is None


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_the_sdk_tries_again_when_the_fault_is_ours(vendor: Vendor) -> None:
    headers, _ = answer(vendor, Refusal("overloaded", 503, "overloaded", "Full.", retry_after=1))
    assert HEARS[vendor](headers, 503) == 1.0


def test_openai_is_shown_the_tightest_limit_of_each_unit() -> None:
    shown = told(
        "openai",
        [
            left("requests", 19, 20, 100_000),
            left("requests", 500, 10_000, 3_600_000_000),
            left("tokens.input", 39_000, 40_000, 1_500_000),
            left("tokens.total", 1_000, 500_000, 43_200_000_000),
            left("concurrent", 3, 4),
        ],
    )
    assert shown == {
        "x-ratelimit-limit-requests": "20",
        "x-ratelimit-remaining-requests": "19",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "500000",
        "x-ratelimit-remaining-tokens": "1000",
        "x-ratelimit-reset-tokens": "12h0m0s",
    }


def test_anthropic_is_shown_input_and_output_apart_and_the_tightest_of_both() -> None:
    shown = told("anthropic", [left("tokens.input", 900, 1000, 1), left("tokens.output", 90, 100, 90_000_000)])
    assert shown == {
        "anthropic-ratelimit-tokens-limit": "100",
        "anthropic-ratelimit-tokens-remaining": "90",
        "anthropic-ratelimit-tokens-reset": "2025-08-21T12:01:30Z",
        "anthropic-ratelimit-input-tokens-limit": "1000",
        "anthropic-ratelimit-input-tokens-remaining": "900",
        "anthropic-ratelimit-input-tokens-reset": "2025-08-21T12:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "100",
        "anthropic-ratelimit-output-tokens-remaining": "90",
        "anthropic-ratelimit-output-tokens-reset": "2025-08-21T12:01:30Z",
    }


def test_gemini_has_no_limit_headers_and_shadow_limits_are_never_shown() -> None:
    assert told("gemini", [left("requests", 1)]) == {}
    assert told("openai", [left("requests", 1)], dialect=False) == {}
    for vendor in VENDORS:
        assert told(vendor, [left("requests", 1, shadow=True)], ietf=True) == {}


def test_the_ietf_headers_are_structured_fields() -> None:
    shown = told("gemini", [left("requests", 19, 20, 100_000), left("tokens.output", 5, 80, 61_000_000)], ietf=True)
    assert shown == {
        "ratelimit-policy": '"requests-20";q=20;qu="requests", "tokens.output-80";q=80;qu="gauger-output-tokens"',
        "ratelimit": '"requests-20";r=19;t=1, "tokens.output-80";r=5;t=61',
    }


def test_a_refusals_t_is_never_later_than_its_retry_after() -> None:
    readings = [
        left("tokens.total", 5, 80, 40_000_000_000),
        spent(1_500_000),
        spent(9_000_000_000, "concurrent", "live"),
    ]
    shown = told("openai", readings, ietf=True)
    assert shown["ratelimit"] == '"key-requests";r=0;t=2, "live";r=0;t=1'
    assert "tokens.total" in shown["ratelimit-policy"]
    headers, _ = answer("openai", refusal_of(readings))
    assert int(headers["retry-after"]) == 2


@given(st.text(max_size=20))
def test_a_limits_name_cannot_leave_its_string(name: str) -> None:
    shown = told("gemini", [Reading(name, "requests", True, 1, 1, 2)], ietf=True)
    assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\["\\])*";r=1;t=0', shown["ratelimit"])


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (12_000, "12ms"),
        (1_000_000, "1s"),
        (1_500_000, "1.5s"),
        (60_000_000, "1m0s"),
        (360_000_000, "6m0s"),
        (3_600_000_000, "1h0m0s"),
        (62_723_123_000, "17h25m23.123s"),
        (10_000_000, "10s"),
    ],
)
def test_resets_are_durations_as_go_prints_them(micros: int, text: str) -> None:
    assert told("openai", [left("requests", 1, reset=micros)])["x-ratelimit-reset-requests"] == text


@given(st.datetimes(datetime(1970, 1, 1), datetime(2399, 12, 31)))
def test_dates_are_those_of_the_calendar(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    micros = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    headers = dict(limit_headers("anthropic", [left("requests", 1)], micros))
    rounded = aware if not aware.microsecond else aware.replace(microsecond=0) + timedelta(seconds=1)
    assert headers[b"anthropic-ratelimit-requests-reset"].decode() == rounded.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_refusal_by_limits_is_a_refusal() -> None:
    with pytest.raises(Refusal):
        raise refusal_of([spent()])
    assert isinstance(refusal_of([spent()]), Spent)
