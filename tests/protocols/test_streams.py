"""Usage that we ask for and hide again, and answers too large to be kept."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects import DIALECTS
from gateway.protocols import Dialect, Route
from gateway.usage import Usage

SPOKEN = [("openai_chat", "/v1/chat/completions"), ("openai_completions", "/v1/completions")]
EACH = pytest.mark.parametrize(("name", "path"), SPOKEN)
EXTRA = b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
BLOCKS = [
    b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}',
    b'data: {"choices":[],"prompt_filter_results":[]}',
    b'data: {"choices":[],"usage":null}',
    b'data: {"choices":[{"delta":{"content":"\\"choices\\":[],\\"usage\\":{}"}}],"usage":{"x":1}}',
    b'data: {not json "choices" "usage"}',
    b": keep-alive",
    b"data: [DONE]",
]


def spoken(name: str, path: str) -> tuple[Dialect, Route]:
    dialect = DIALECTS[name]
    route = dialect.match("POST", path)
    assert route is not None
    return dialect, route


@EACH
@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (b'{"stream": true, "n":1.0}', b'{"stream": true, "n":1.0,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":{}}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":null}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (
            b'{"stream":true,"stream_options":{"include_usage":false ,"x":1}}',
            b'{"stream":true,"stream_options":{"include_usage":true ,"x":1}}',
        ),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":false}', None),
        (b"{}", None),
    ],
)
def test_a_stream_is_asked_for_its_usage_where_the_caller_did_not(
    name: str, path: str, body: bytes, asked: bytes | None
) -> None:
    dialect, route = spoken(name, path)
    assert dialect.ask_usage(route, body) == asked


def test_no_other_dialect_asks() -> None:
    for name, dialect in DIALECTS.items():
        if name not in dict(SPOKEN):
            route = Route(name, "openai", "/", "chat")
            assert dialect.ask_usage(route, b'{"stream":true}') is None
            assert dialect.hider(route) is None


@EACH
@given(
    blocks=st.lists(st.sampled_from([*BLOCKS, EXTRA]), max_size=6),
    blank=st.sampled_from([b"\n\n", b"\r\n\r\n"]),
    step=st.integers(1, 50),
)
def test_the_extra_event_is_hidden_and_no_other_byte(
    name: str, path: str, blocks: list[bytes], blank: bytes, step: int
) -> None:
    dialect, route = spoken(name, path)
    hider = dialect.hider(route)
    assert hider is not None
    data = b"".join(block + blank for block in blocks)
    passed = b"".join(hider.feed(data[at : at + step]) for at in range(0, len(data), step)) + hider.finish()
    assert passed == b"".join(block + blank for block in blocks if block != EXTRA)


def test_a_document_too_large_to_keep_still_gives_its_usage() -> None:
    dialect, route = spoken("openai_embeddings", "/v1/embeddings")
    meter = dialect.meter(route, ())
    meter.start(200, b"application/json", b"")
    for _ in range(10):
        meter.feed(b'{"data":[' + b"0.25," * 200_000)
    meter.feed(b'0],"usage":{"prompt_tokens":8,"prompt_tokens_details":{"cached_tokens":2},"total_tokens":8}}')
    answer = meter.finish()
    assert answer.usage == Usage(8, 0, cache_read=2, source="upstream")
    assert not answer.complete


def test_a_document_too_large_to_keep_and_without_usage_is_counted_by_its_size() -> None:
    dialect, route = spoken("openai_chat", "/v1/chat/completions")
    meter = dialect.meter(route, ())
    meter.start(200, b"application/json", b"")
    text = orjson.dumps(
        {"choices": [{"message": {"content": '"usage":{"prompt_tokens":1,"completion_tokens":1}' * 200_000}}]}
    )
    meter.feed(text)
    answer = meter.finish()
    assert answer.usage == Usage(0, -(-len(text) // 4), source="counted")


def test_text_in_a_coding_that_is_not_known_is_counted_by_its_size() -> None:
    dialect, route = spoken("openai_chat", "/v1/chat/completions")
    meter = dialect.meter(route, ())
    meter.start(200, b"application/json", b"rot13")
    meter.feed(b"0123456789")
    assert meter.finish().usage == Usage(0, 3, source="counted")


def test_a_closing_event_that_repeats_a_long_answer_still_gives_its_usage() -> None:
    dialect, route = spoken("openai_responses", "/v1/responses")
    meter = dialect.meter(route, ())
    meter.start(200, b"text/event-stream", b"")
    usage = {"input_tokens": 5, "output_tokens": 90_000, "output_tokens_details": {"reasoning_tokens": 89_000}}
    closing = {"type": "response.completed", "response": {"instructions": "x" * 400_000, "usage": usage}}
    meter.feed(b"event: response.completed\ndata: " + orjson.dumps(closing) + b"\n\n")
    answer = meter.finish()
    assert answer.usage == Usage(5, 90_000, reasoning=89_000, source="upstream")
    assert answer.complete
