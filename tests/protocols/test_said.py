"""What a meter keeps of an answer's words, where it is told to: what its reader sees, each choice by itself."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import dialects
from gateway.protocols import Answer, Meter
from tests.protocols.test_cases import answer_of, meter_for, rows

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
GEMINI = "/v1beta/models/g:generateContent"


def kept(meter: Meter, content_type: bytes, chunks: list[bytes]) -> Answer:
    meter.keep()
    meter.start(200, content_type, b"")
    for chunk in chunks:
        meter.feed(chunk)
    return meter.finish()


def said(path: str, *values: Any) -> tuple[str, ...]:
    """Of one document, or of several events."""
    found = dialects.match("POST", path)
    assert found is not None
    meter = found[0].meter(found[1], ())
    if len(values) == 1:
        return kept(meter, b"application/json", [orjson.dumps(values[0])]).said
    return kept(meter, b"text/event-stream", [b"data: " + orjson.dumps(each) + b"\n\n" for each in values]).said


def test_openai_chat() -> None:
    spoken = {"role": "assistant", "content": "One.", "reasoning_content": "hidden", "refusal": None}
    called = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}
    choices = [{"index": 0, "message": spoken}, {"index": 1, "message": {"content": "Two."}}, {"message": called}]
    assert said(CHAT, {"choices": choices}) == ("One.", "Two.")

    def delta(index: int, **fields: Any) -> Any:
        return {"choices": [{"index": index, "delta": fields}]}

    events = [delta(0, role="assistant", content=""), delta(0, reasoning="hidden"), delta(1, content="T")]
    events += [delta(0, content="One"), delta(1, content="wo."), delta(0, content="."), {"choices": [], "usage": {}}]
    assert said(CHAT, *events) == ("Two.", "One.")


def test_openai_completions() -> None:
    assert said("/v1/completions", {"choices": [{"text": "One."}, {"text": "Two."}]}) == ("One.", "Two.")
    events = [{"choices": [{"index": index, "text": text}]} for index, text in ((1, "T"), (0, "One."), (1, "wo."))]
    assert said("/v1/completions", *events) == ("Two.", "One.")


def test_openai_responses() -> None:
    output = [
        {"type": "reasoning", "summary": [{"text": "hidden"}], "content": [{"type": "reasoning_text", "text": "too"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "One. "}, {"text": "And more."}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "message", "content": [{"text": "Two."}]},
    ]
    assert said(RESPONSES, {"output": output}) == ("One. And more.", "Two.")
    kinds = [("reasoning_summary_text", 0, "hidden"), ("output_text", 1, "One. "), ("output_text", 1, "And more.")]
    kinds += [("function_call_arguments", 2, "{}"), ("output_text", 3, "Two.")]
    events = [{"type": f"response.{kind}.delta", "output_index": at, "delta": text} for kind, at, text in kinds]
    closing = {"type": "response.completed", "response": {"output": output}}
    assert said(RESPONSES, *events, closing) == ("One. And more.", "Two.")


def test_anthropic() -> None:
    content = [
        {"type": "thinking", "thinking": "hidden"},
        {"type": "text", "text": "One."},
        {"type": "tool_use", "name": "f", "input": {"x": "y"}},
        {"type": "text", "text": "Two."},
    ]
    assert said(MESSAGES, {"type": "message", "content": content}) == ("One.", "Two.")
    events: list[Any] = [{"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}]
    for at, delta in (
        (0, {"thinking": "hidden"}),
        (1, {"text": "O"}),
        (1, {"text": "ne."}),
        (2, {"partial_json": "{}"}),
        (3, {"text": "Two."}),
    ):
        events.append({"type": "content_block_delta", "index": at, "delta": delta})
    assert said(MESSAGES, *events) == ("One.", "Two.")


def test_gemini() -> None:
    def chunk(index: int, *parts: Any) -> Any:
        return {"candidates": [{"index": index, "content": {"parts": list(parts), "role": "model"}}]}

    thought, call = {"text": "hidden", "thought": True}, {"functionCall": {"name": "f", "args": {}}}
    assert said(GEMINI, chunk(0, thought, {"text": "One."}, call, {"text": " More."})) == ("One. More.",)
    stream = "/v1beta/models/g:streamGenerateContent"
    assert said(stream, chunk(0, thought), chunk(0, {"text": "One."}), chunk(1, {"text": "Two."})) == ("One.", "Two.")
    assert said(stream, [chunk(0, {"text": "One."}), chunk(0, {"text": " More."})]) == ("One. More.",)


@pytest.mark.parametrize(("_dialect", "case"), rows("answers"))
@given(size=st.integers(1, 60))
def test_keeping_changes_nothing_else_in_any_chunking(_dialect: str, case: dict[str, Any], size: int) -> None:
    content_type, data = answer_of(case)
    plain = meter_for(case)
    plain.start(200, content_type, b"")
    plain.feed(data)
    whole = kept(meter_for(case), content_type, [data])
    assert plain.finish() == msgspec.structs.replace(whole, said=())
    assert kept(meter_for(case), content_type, [data[at : at + size] for at in range(0, len(data), size)]) == whole
