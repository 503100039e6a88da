"""Requests out of a log: observed as the gateway observes them, and nothing of their text is left."""

from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest

from gateway import dialects
from gateway.observe import Prints, observe
from gateway.observe.wire import Wire, form_of, from_wire, usage_of
from gateway.usage import Usage

PRINTS = Prints(b"pepper")
JSON = [(b"content-type", b"application/json")]
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "the zebra crosses"}], "n": 2, "logprobs": True}


def sent(path: str, body: Any, method: str = "POST", headers: list[tuple[bytes, bytes]] | None = None) -> Wire:
    return from_wire(method, path, JSON if headers is None else headers, orjson.dumps(body), PRINTS)


def values(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from values(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from values(inner)
    else:
        yield value


@pytest.mark.parametrize(
    ("path", "body", "op"),
    [
        ("/v1/chat/completions", CHAT, "chat"),
        ("/v1/completions", {"model": "m", "prompt": "the zebra crosses"}, "text_completion"),
        ("/v1/responses", {"model": "m", "input": "the zebra crosses"}, "chat"),
        ("/v1/embeddings", {"model": "m", "input": "the zebra crosses"}, "embeddings"),
        ("/v1/messages", {**CHAT, "max_tokens": 5, "n": None, "logprobs": None}, "chat"),
        (
            "/v1beta/models/gemini-pro:generateContent?alt=sse",
            {"contents": [{"parts": [{"text": "the zebra crosses"}]}]},
            "generate_content",
        ),
    ],
)
def test_each_dialect_is_observed_as_the_gate_observes_it(path: str, body: Any, op: str) -> None:
    wire = sent(path, body)
    found = dialects.match("POST", path.partition("?")[0])
    assert found is not None
    dialect, route = found
    raw = orjson.dumps(body)
    assert wire == Wire(observe(route, dialect.parse(route, raw), len(raw), PRINTS))
    assert (wire.seen.op, wire.seen.chars >= len("the zebra crosses")) == (op, True)


def test_no_text_of_a_request_is_in_what_comes_back() -> None:
    secret = "the zebra crosses"
    for body in (CHAT, {**CHAT, "user": secret, "model": f"m {secret}"}, {secret: secret}):
        for wire in (sent("/v1/chat/completions", body), sent("/v1/other", body), sent(f"/v1/{secret}", body)):
            text = msgspec.json.encode(wire).decode()
            assert "zebra" not in text
            assert all(len(str(value)) <= 128 for value in values(orjson.loads(text)))


@pytest.mark.parametrize(
    ("path", "body", "code", "op"),
    [
        ("/v1/chat/completions", b'{"model": 1}', "invalid_type", "chat"),
        ("/v1/chat/completions", b"{", "invalid_json", "chat"),
        ("/v1/chat/completions", b"", "invalid_json", "chat"),
        ("/v1/chat/completions", b'{"model":"a","model":"b"}', "invalid_json", "chat"),
    ],
)
def test_what_the_gateway_would_not_read_is_refused_by_its_code(path: str, body: bytes, code: str, op: str) -> None:
    wire = from_wire("POST", path, JSON, body, PRINTS)
    assert (wire.refused, wire.status, wire.nameless) == (code, 400, False)
    assert (wire.seen.op, wire.seen.bytes) == (op, len(body))


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/v1/../admin", JSON, "invalid_target"),
        ("v1/chat/completions", JSON, "invalid_target"),
        ("/v1/\ud800", JSON, "invalid_target"),
        ("/v1/models", [(b"authorization", b"Bearer a"), (b"x-api-key", b"b")], "duplicate_credentials"),
        ("/v1/models", [(b"content-encoding", b"gzip")], "unsupported_encoding"),
    ],
)
def test_a_head_that_is_refused_leaves_nobody(path: str, headers: list[tuple[bytes, bytes]], code: str) -> None:
    wire = from_wire("GET", path, headers, b"", PRINTS)
    assert (wire.refused, wire.nameless, wire.seen.op) == (code, True, "rejected")


def test_a_request_without_a_body_that_no_dialect_reads_is_opaque() -> None:
    wire = from_wire("GET", "/v1/models", [], b"", PRINTS)
    assert (wire.refused, wire.seen.op, wire.seen.bytes) == ("", "opaque", 0)


LINES = "\n".join(
    orjson.dumps({"custom_id": str(at), "method": "POST", "url": "/v1/chat/completions", "body": CHAT}).decode()
    for at in range(3)
)


def upload(purpose: str, text: str, filename: str = "batch.jsonl") -> Wire:
    content_type, body = form_of(purpose, filename, "application/jsonl", text)
    return from_wire("POST", "/v1/files", [(b"content-type", content_type)], body, PRINTS)


def test_the_lines_of_an_upload_are_folded() -> None:
    wire = upload("batch", LINES)
    assert (wire.refused, wire.seen.op) == ("", "upload")
    folded = wire.folded
    assert folded is not None
    assert (folded.op, folded.lines, folded.n, folded.model) == ("batch", 3, 6, "gpt-4o")
    assert folded.chars == 3 * len("the zebra crosses")
    assert "zebra" not in msgspec.json.encode(wire).decode()


def test_a_file_for_another_purpose_or_with_bad_lines_is_no_batch() -> None:
    assert upload("fine-tune", LINES).folded is None
    assert upload("batch", LINES + "\nnot json").folded is None


def test_after_a_bad_line_nothing_more_is_read() -> None:
    """A megabyte of `{` took seconds of the loop, and so did training files, whose lines are no requests."""
    found = dialects.match("POST", "/v1/files")
    assert found is not None
    dialect, route = found
    read: list[str] = []

    def parse_line(method: str, path: str, body: bytes) -> None:
        read.append(path)

    content_type, form = form_of("batch", "f", "t", '{"url": "/a", "body": {}}\n' * 1000)
    lines = dialect.lines(route, content_type, parse_line)
    assert lines is not None
    for at in range(0, len(form), 4096):
        lines.feed(form[at : at + 4096])
    assert (lines.finish(), read) == (None, ["/a"])


def test_a_file_name_or_content_cannot_break_out_of_its_part() -> None:
    assert upload("batch", LINES, 'x"\r\nname="purpose').folded is not None
    boundary = form_of("batch", "f", "t", LINES)[0].partition(b"boundary=")[2].decode()
    assert upload("batch", f"{LINES}\n--{boundary}--\n").folded is None  # its own boundary differs, so it is a bad line


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 5, source="upstream")),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(10, 5, cache_read=4, reasoning=3, source="upstream"),
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}},
            Usage(10, 5, reasoning=2, source="upstream"),
        ),
        (
            {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 2},
            Usage(19, 5, cache_read=7, cache_write=2, source="upstream"),
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "cachedContentTokenCount": 6},
            Usage(10, 9, cache_read=6, reasoning=4, source="upstream"),
        ),
        ({"prompt_tokens": "ten"}, Usage(output=33, source="counted")),
        ({"input_tokens": -1, "cache_read_input_tokens": 1}, Usage(output=33, source="counted")),
        ({"promptTokenCount": True}, Usage(output=33, source="counted")),
        ({}, Usage(output=33, source="counted")),
        (None, Usage(output=33, source="counted")),
        ([1], Usage(output=33, source="counted")),
    ],
)
def test_usage_in_each_vendor_s_spelling(told: object, usage: Usage) -> None:
    assert usage_of(told, 33) == usage


def test_no_usage_and_no_count_is_nothing() -> None:
    assert usage_of(None) == usage_of({}, 0) == usage_of(None, -5) == Usage()
