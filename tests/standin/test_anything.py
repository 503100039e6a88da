"""Whatever is sent is answered: no request makes the stand-in fail in a way that it didn't mean to."""

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.standin import StandIn

NAMES = """messages content role text parts contents input prompt instructions system tools function name parameters
input_schema functionDeclarations tool_choice type response_format json_schema schema properties items required enum
anyOf allOf $ref minItems minimum multipleOf format n stop logprobs top_logprobs stream stream_options include_usage
generationConfig candidateCount responseMimeType responseSchema toolConfig functionCallingConfig mode requests params
dimensions encoding_format output_config max_tokens max_output_tokens cache_control input_file_id endpoint""".split()  # noqa: SIM905
WORDS = [
    "user",
    "tool",
    "function",
    "json_schema",
    "object",
    "array",
    "any",
    "ANY",
    "#",
    "",
    "base64",
    "application/json",
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
TARGETS: dict[str, Any] = {
    "/v1/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "tool"}]},
    "/v1/completions": {"model": "m", "prompt": "x"},
    "/v1/responses": {"model": "m", "input": [{"role": "user", "content": "tool"}]},
    "/v1/embeddings": {"model": "m", "input": "x"},
    "/v1/batches": {"input_file_id": "file-0", "endpoint": "/v1/embeddings"},
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "tool"}]},
    "/v1/messages/count_tokens": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "/v1/messages/batches": {"requests": [{"custom_id": "a", "params": {"model": "m"}}]},
    "/v1beta/models/m:generateContent": {"contents": [{"parts": [{"text": "tool"}]}]},
    "/v1beta/models/m:streamGenerateContent": {"contents": [{"parts": [{"text": "tool"}]}]},
    "/v1beta/models/m:embedContent": {"content": {"parts": [{"text": "x"}]}},
    "/v1beta/models/m:batchEmbedContents": {"requests": [{"content": {"parts": [{"text": "x"}]}}]},
    "/v1beta/models/m:countTokens": {"contents": [{"parts": [{"text": "x"}]}]},
}


async def _post(target: str, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(StandIn()), base_url="http://standin") as client:
        return await client.post(target, content=body)


@given(st.sampled_from(sorted(TARGETS)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
async def test_whatever_is_sent_is_answered(target: str, fields: dict[str, Any]) -> None:
    answer = await _post(target, orjson.dumps({**TARGETS[target], **fields}))
    assert answer.status_code in (200, 400, 404)


@pytest.mark.parametrize("depth", [100, 400, 1000, 5000])
async def test_deep_bodies_are_answered(depth: int) -> None:
    deep = b"[" * depth + b"1" + b"]" * depth
    for target, body in TARGETS.items():
        for name in ("messages", "contents", "requests", "input", "content", "system"):
            given = b'{"%s": [{"role": "user", "content": %s, "parts": %s}], ' % (name.encode(), deep, deep)
            rest = {key: value for key, value in body.items() if key != name}
            answer = await _post(target, given + orjson.dumps({"user": 1, **rest})[1:])
            assert answer.status_code in (200, 400, 404)
