"""What the official clients do when the gateway refuses: they wait where a wait helps, and give up where it doesn't."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import errors, types
from openai import OpenAI

from tests.conformance.sdk import Pair, limited, serving, without_ours

MODEL = "standin-1"
MESSAGES: Any = [{"role": "user", "content": "Say something short."}]
SOON = limited("{id: few, by: [key], count: requests, rate: 2 requests/s, burst: 1 requests}")
SPENT = limited("{id: monthly, by: [key], count: requests, rate: 1 requests/month, window: calendar, retry: never}")
SMALL = limited("{id: input, by: [key], count: tokens.input, rate: 50 tokens/min}")
ONE = limited("{id: live, by: [key], count: concurrent, rate: 1 requests}")
RARE = limited("{id: few, by: [key], count: requests, rate: 1 requests/h, burst: 1 requests}")
CLOSED = "gauger: 1\npolicy: {id: closed, opaque: refuse}\n"
STRANGERS = "gauger: 1\npolicy: {id: closed}\nidentity: {unknown: refuse, anonymous: refuse}\n"
NOBODY = "http://127.0.0.1:9"

Serve = Callable[..., AbstractContextManager[Pair]]
Ask = Callable[[str, int], Any]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    return lambda policy, **settings: serving(tmp_path, policy, **settings)


@contextmanager
def openai_at(pair: Pair, retries: int = 0) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{pair.through.url}/v1", api_key="sk-me", max_retries=retries) as client:
        yield client


@contextmanager
def anthropic_at(pair: Pair, retries: int = 0) -> Iterator[Anthropic]:
    with Anthropic(base_url=pair.through.url, api_key="sk-me", max_retries=retries) as client:
        yield client


@contextmanager
def gemini_at(pair: Pair, attempts: int = 1) -> Iterator[genai.Client]:
    again = types.HttpRetryOptions(attempts=attempts, initial_delay=0.6, jitter=0.0)
    options = types.HttpOptions(base_url=pair.through.url, retry_options=again)
    with genai.Client(api_key="sk-me", http_options=options) as client:
        yield client


def ask_openai(client: OpenAI, **given: Any) -> Any:
    return client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, **given})


def ask_anthropic(client: Anthropic, **given: Any) -> Any:
    return client.messages.create(**{"model": MODEL, "max_tokens": 50, "messages": MESSAGES, **given})


def ask_gemini(client: genai.Client, contents: str = "Say something short.") -> Any:
    return client.models.generate_content(model=MODEL, contents=contents)


def records(pair: Pair) -> list[dict[str, Any]]:
    """All the gateway's records, once nothing is under way."""
    for _ in range(1000):
        if not pair.running.core.admission.inflight:
            break
        sleep(0.01)
    return pair.running.records()


def until_one_is_refused(pair: Pair, ask: Callable[[], Any]) -> None:
    """Asks, each time with success, until one of the requests under it was refused and made again."""
    for _ in range(20):
        ask()
        if any(trip.status == 429 for trip in pair.through.trips()):
            return
    pytest.fail("nothing was refused")


def test_openai_s_client_waits_as_long_as_it_is_told_and_then_succeeds(serve: Serve) -> None:
    with serve(SOON) as pair:
        with openai_at(pair, retries=2) as client:
            until_one_is_refused(pair, lambda: ask_openai(client))
        check_waited(pair)


def test_anthropic_s_client_waits_as_long_as_it_is_told_and_then_succeeds(serve: Serve) -> None:
    with serve(SOON) as pair:
        with anthropic_at(pair, retries=2) as client:
            until_one_is_refused(pair, lambda: ask_anthropic(client))
        check_waited(pair)


def check_waited(pair: Pair) -> None:
    *_, refused, again = pair.through.trips()
    assert (refused.status, again.status) == (429, 200)
    assert again.body == refused.body
    told = dict(refused.answer_headers)
    assert 0 < int(told[b"retry-after-ms"]) <= 550
    assert int(told[b"retry-after"]) == 1
    assert b"x-should-retry" not in told or told[b"x-should-retry"] == b"true"
    assert dict(again.headers)[b"x-stainless-retry-count"] == b"1"
    assert [record["action"] for record in records(pair)][-2:] == ["limit", "allow"]
    assert len(pair.running.model.app.seen) == len(records(pair)) - 1


def test_google_s_client_that_is_set_to_retry_succeeds_after_a_wait(serve: Serve) -> None:
    with serve(SOON) as pair, gemini_at(pair, attempts=3) as client:
        until_one_is_refused(pair, lambda: ask_gemini(client))
        assert [record["action"] for record in records(pair)][-2:] == ["limit", "allow"]


def test_google_s_client_is_told_how_long_to_wait(serve: Serve) -> None:
    with serve(RARE) as pair, gemini_at(pair) as client:
        ask_gemini(client)
        with pytest.raises(errors.ClientError) as told:
            ask_gemini(client)
        error = told.value
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
        details = {each["@type"].rpartition(".")[2]: each for each in error.details["error"]["details"]}
        assert 3000 < float(details["RetryInfo"]["retryDelay"].removesuffix("s")) < 4000
        assert details["QuotaFailure"]["violations"] == [
            {"quotaMetric": "requests", "quotaId": "few", "quotaValue": "1"}
        ]
        assert len(records(pair)) == 2


def test_a_spent_quota_ends_openai_s_retries_at_once(serve: Serve) -> None:
    with serve(SPENT) as pair, openai_at(pair, retries=5) as client:
        ask_openai(client)
        with pytest.raises(openai.RateLimitError) as told:
            ask_openai(client)
        assert told.value.code == "insufficient_quota"
        assert told.value.response.headers["x-should-retry"] == "false"
        assert [record["action"] for record in records(pair)] == ["allow", "limit"]
        assert told.value.request_id == records(pair)[1]["request_id"]


def test_a_spent_quota_ends_anthropic_s_retries_at_once(serve: Serve) -> None:
    with serve(SPENT) as pair, anthropic_at(pair, retries=5) as client:
        ask_anthropic(client)
        with pytest.raises(anthropic.RateLimitError) as told:
            ask_anthropic(client)
        assert told.value.type == "rate_limit_error"
        assert told.value.response.headers["x-should-retry"] == "false"
        assert [record["action"] for record in records(pair)] == ["allow", "limit"]
        assert told.value.request_id == records(pair)[1]["request_id"]


def test_a_spent_quota_gives_google_s_client_no_delay_to_retry_after(serve: Serve) -> None:
    with serve(SPENT) as pair, gemini_at(pair) as client:
        ask_gemini(client)
        with pytest.raises(errors.ClientError) as told:
            ask_gemini(client)
        assert told.value.code == 429
        assert "RetryInfo" not in str(told.value.details)


def test_a_wait_over_a_minute_is_not_retried(serve: Serve) -> None:
    with serve(RARE) as pair, openai_at(pair, retries=5) as client, anthropic_at(pair, retries=5) as other:
        ask_openai(client)
        with pytest.raises(openai.RateLimitError) as told:
            ask_openai(client)
        assert told.value.code == "rate_limit_exceeded"
        with pytest.raises(anthropic.RateLimitError):
            ask_anthropic(other)
        assert len(records(pair)) == 3


def test_a_request_that_no_wait_makes_fit_is_a_bad_request(serve: Serve) -> None:
    long = "one word after another " * 200
    turns: Any = [{"role": "user", "content": long}]
    with serve(SMALL) as pair:
        with openai_at(pair, retries=5) as client:
            with pytest.raises(openai.BadRequestError) as told:
                ask_openai(client, messages=turns)
            assert told.value.code == "request_exceeds_limit"
        with anthropic_at(pair, retries=5) as other:
            with pytest.raises(anthropic.BadRequestError) as said:
                ask_anthropic(other, messages=turns)
            assert said.value.type == "invalid_request_error"
        with gemini_at(pair, attempts=5) as third:
            with pytest.raises(errors.ClientError) as heard:
                ask_gemini(third, long)
            assert (heard.value.code, heard.value.status) == (400, "INVALID_ARGUMENT")
        assert [record["http"]["status"] for record in records(pair)] == [400] * 3
        assert not pair.running.model.app.seen


def test_one_more_at_once_than_allowed_is_refused_until_a_place_is_free(serve: Serve) -> None:
    with serve(ONE) as pair, openai_at(pair) as client, openai_at(pair, retries=8) as patient:
        held = ask_openai(client, model="standin-slow-200-tokens-100", stream=True)
        next(held)
        with pytest.raises(openai.RateLimitError) as told:
            ask_openai(client)
        assert told.value.code == "concurrency_limit"
        assert float(told.value.response.headers["retry-after-ms"]) >= 1000
        held.close()
        assert ask_openai(patient).choices
        assert [record["action"] for record in records(pair)].count("limit") >= 1


def test_a_path_that_the_policy_does_not_serve_is_forbidden(serve: Serve) -> None:
    with serve(CLOSED) as pair:
        with openai_at(pair, retries=5) as client, pytest.raises(openai.PermissionDeniedError) as told:
            client.moderations.create(input="one")
        assert told.value.code == "path_not_allowed"
        with anthropic_at(pair, retries=5) as other, pytest.raises(anthropic.PermissionDeniedError) as said:
            other.beta.skills.list()
        assert said.value.type == "permission_error"
        with gemini_at(pair, attempts=5) as third, pytest.raises(errors.ClientError) as heard:
            list(third.caches.list())
        assert (heard.value.code, heard.value.status) == (403, "PERMISSION_DENIED")
        assert [record["http"]["status"] for record in records(pair)] == [403] * 3
        assert not pair.running.model.app.seen


def test_a_key_that_nobody_knows_is_an_authentication_error(serve: Serve) -> None:
    with serve(STRANGERS) as pair:
        with openai_at(pair, retries=5) as client, pytest.raises(openai.AuthenticationError):
            ask_openai(client)
        with anthropic_at(pair, retries=5) as other, pytest.raises(anthropic.AuthenticationError) as said:
            ask_anthropic(other)
        assert said.value.type == "authentication_error"
        with gemini_at(pair, attempts=5) as third, pytest.raises(errors.ClientError) as heard:
            ask_gemini(third)
        assert (heard.value.code, heard.value.status) == (401, "UNAUTHENTICATED")
        assert len(records(pair)) == 3
        assert not pair.running.model.app.seen


def test_a_dead_model_server_is_an_internal_server_error_that_is_retried(serve: Serve) -> None:
    with serve("gauger: 1\n", upstream=NOBODY) as pair:
        with openai_at(pair, retries=1) as client, pytest.raises(openai.InternalServerError) as told:
            ask_openai(client)
        assert (told.value.status_code, told.value.code) == (502, "upstream_unreachable")
        with anthropic_at(pair, retries=1) as other, pytest.raises(anthropic.InternalServerError) as said:
            ask_anthropic(other)
        assert said.value.status_code == 502
        with gemini_at(pair, attempts=2) as third, pytest.raises(errors.ServerError) as heard:
            ask_gemini(third)
        assert (heard.value.code, heard.value.status) == (502, "UNAVAILABLE")
        assert [record["end"] for record in records(pair)] == ["upstream_error"] * 6


def test_a_full_gateway_is_an_internal_server_error(serve: Serve) -> None:
    with serve("gauger: 1\n", max_inflight=1) as pair, openai_at(pair) as client, anthropic_at(pair) as other:
        held = ask_openai(client, model="standin-slow-200-tokens-100", stream=True)
        next(held)
        with pytest.raises(openai.InternalServerError) as told:
            ask_openai(client)
        assert (told.value.status_code, told.value.code) == (503, "overloaded")
        with pytest.raises(anthropic.InternalServerError) as said:
            ask_anthropic(other)
        assert (said.value.status_code, said.value.type) == (503, "overloaded_error")
        held.close()


def test_a_body_over_the_bound_is_told_as_such(serve: Serve) -> None:
    turns: Any = [{"role": "user", "content": "word " * 500}]
    with serve("gauger: 1\n", max_body=1024) as pair:
        with openai_at(pair, retries=5) as client, pytest.raises(openai.APIStatusError) as told:
            ask_openai(client, messages=turns)
        assert told.value.status_code == 413
        with anthropic_at(pair, retries=5) as other, pytest.raises(anthropic.APIStatusError) as said:
            ask_anthropic(other, messages=turns)
        assert (said.value.status_code, said.value.type) == (413, "request_too_large")
        assert len(records(pair)) == 2


def test_only_the_headers_that_are_named_are_added(serve: Serve) -> None:
    wide = (
        "gauger: 1\npolicy: {id: test, headers: [dialect, ietf]}\nlimits:\n"
        "  - {id: few, by: [key], count: requests, rate: 100 requests/h, burst: 100 requests}\n"
        "  - {id: in, by: [key], count: tokens.input, rate: 100k tokens/h}\n"
        "  - {id: out, by: [key], count: tokens.output, rate: 100k tokens/h}\n"
    )
    with serve(wide) as pair:
        for url in pair.urls:
            with OpenAI(base_url=f"{url}/v1", api_key="sk-me", max_retries=0) as client:
                ask_openai(client)
                list(ask_openai(client, stream=True))
                with pytest.raises(openai.RateLimitError):
                    ask_openai(client, model="standin-429")
            with Anthropic(base_url=url, api_key="sk-me", max_retries=0) as other:
                ask_anthropic(other)
                list(ask_anthropic(other, stream=True))
                list(other.models.list())
            with genai.Client(api_key="sk-me", http_options=types.HttpOptions(base_url=url)) as third:
                ask_gemini(third)
        direct, through = pair.direct.trips(), pair.through.trips()
        assert len(direct) == len(through) == 7
        for plain, mine in zip(direct, through, strict=True):
            assert (mine.status, mine.answer) == (plain.status, plain.answer)
            added = [pair for pair in mine.answer_headers if pair not in plain.answer_headers]
            assert [pair for pair in mine.answer_headers if pair not in added] == plain.answer_headers
            assert without_ours(added) == []
            names = {name.decode() for name, _ in added}
            assert {"ratelimit", "ratelimit-policy"} <= names
            prefix = "anthropic-" if b"request-id" in dict(plain.answer_headers) else "x-"
            gemini = mine.target.endswith(b":generateContent")
            assert any(name.startswith(f"{prefix}ratelimit-") for name in names) is not gemini
