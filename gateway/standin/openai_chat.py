"""Shell. OpenAI's chat completions, whole and streamed."""

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.standin.answers import (
    Answer,
    Tool,
    Wanted,
    count,
    created,
    groups,
    logprob,
    tag,
)
from gateway.standin.exchange import (
    Ask,
    Fail,
    Reply,
    Stream,
    answered,
    behave,
    composed,
    limit_of,
    objects,
    parsed,
    stops,
    text_of,
    tokens_of,
)

__all__ = ["chat", "choices_of", "data", "only", "usage_of"]

FINISH = {"stop": "stop", "sequence": "stop", "length": "length", "tool": "tool_calls"}
EACH = 3  # tokens that a message costs beside its content
MAX_CHOICES = 128
CACHEABLE = 1024  # tokens; OpenAI caches from here on, in steps of 128


def chat(ask: Ask) -> Reply | Stream:
    """POST /v1/chat/completions."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    messages = objects(body.get("messages"))
    if not messages:
        raise Fail(400, "Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    wanted = _wanted(body, messages)
    answers = composed(ask.seed, wanted, manner, choices_of(body))
    usage = _usage(body, messages, answers) if manner.usage else None
    head = {
        "id": f"chatcmpl-{tag(ask.seed, 'chat')}",
        "object": "chat.completion",
        "created": created(ask.seed),
        "model": body["model"],
    }
    tail = {"service_tier": "default", "system_fingerprint": f"fp_{tag(ask.seed, 'fingerprint', 10)}"}
    logprobs = body.get("logprobs") is True
    top = body.get("top_logprobs")
    ranks = min(top, 20) if isinstance(top, int) and logprobs else 0
    if body.get("stream") is True:
        options = body.get("stream_options")
        told = isinstance(options, dict) and options.get("include_usage") is True
        head["object"] = "chat.completion.chunk"
        events = _events({**head, **tail}, answers, ask.seed, usage, told=told, ranks=ranks if logprobs else None)
        return Stream(events, manner=manner)
    choices = [
        {
            "index": index,
            "message": _message(answer, ask.seed, index),
            "logprobs": _logprobs(answer.pieces, ask.seed, 0, ranks) if logprobs and answer.tool is None else None,
            "finish_reason": FINISH[answer.finish],
        }
        for index, answer in enumerate(answers)
    ]
    return answered({**head, "choices": choices, **({"usage": usage} if usage else {}), **tail}, manner)


def choices_of(body: dict[str, Any]) -> int:
    """How many answers are asked for. Fails with 400 where it is no number from 1 to 128."""
    n = limit_of(body, "n") or 1
    if n > MAX_CHOICES:
        raise Fail(400, f"Invalid 'n': expected at most {MAX_CHOICES}.", "integer_above_max_value", "n")
    return n


def usage_of(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """Tokens as chat and text completions tell them."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def only(tools: list[Tool], choice: Any) -> tuple[tuple[Tool, ...], bool]:
    """The tools that `tool_choice` leaves, and whether one must be called.

    Chat names a function in an object of its own, Responses beside the type.
    """
    if choice == "none" or not tools:
        return (), False
    if isinstance(choice, dict):
        inner = choice.get("function")
        name = inner.get("name") if isinstance(inner, dict) else choice.get("name")
        return tuple(tool for tool in tools if tool.name == name), True
    return tuple(tools), choice == "required"


def data(value: Any) -> bytes:
    """One event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _wanted(body: dict[str, Any], messages: list[dict[str, Any]]) -> Wanted:
    functions = [each.get("function") for each in objects(body.get("tools"))]
    tools = [Tool(str(each.get("name")), each.get("parameters")) for each in functions if isinstance(each, dict)]
    left, forced = only(tools, body.get("tool_choice"))
    form = body.get("response_format")
    form = form if isinstance(form, dict) else {}
    inner = form.get("json_schema")
    return Wanted(
        last=text_of(messages[-1].get("content")) if messages[-1].get("role") == "user" else "",
        tools=left,
        forced=forced,
        json=form.get("type") in ("json_schema", "json_object"),
        schema=inner.get("schema") if isinstance(inner, dict) else None,
        limit=limit_of(body, "max_completion_tokens", "max_tokens"),
        stop=stops(body.get("stop")),
    )


def _usage(body: dict[str, Any], messages: list[dict[str, Any]], answers: list[Answer]) -> dict[str, Any]:
    prompt = sum(EACH + tokens_of(each.get("content")) + _calls(each) for each in messages)
    if body.get("tools"):
        prompt += count(orjson.dumps(body["tools"]).decode())
    cached = prompt // 128 * 128 if body.get("prompt_cache_key") and prompt >= CACHEABLE else 0
    return usage_of(prompt, sum(len(answer.pieces) for answer in answers), cached)


def _calls(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls")
    return count(orjson.dumps(calls).decode()) if calls else 0


def _message(answer: Answer, seed: bytes, index: int) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": answer.text}
        message["content"] = None
        message["tool_calls"] = [{"id": _call_id(seed, index), "type": "function", "function": function}]
    return message


def _call_id(seed: bytes, index: int) -> str:
    return f"call_{tag(seed, f'call{index}')}"


def _logprobs(pieces: tuple[str, ...], seed: bytes, start: int, ranks: int) -> dict[str, Any]:
    def entry(token: str, index: int, rank: int) -> dict[str, Any]:
        return {"token": token, "logprob": logprob(seed, index, rank), "bytes": list(token.encode())}

    content = [
        {
            **entry(piece, index, 0),
            "top_logprobs": [entry(piece if rank == 0 else f"{piece}{rank}", index, rank) for rank in range(ranks)],
        }
        for index, piece in enumerate(pieces, start)
    ]
    return {"content": content, "refusal": None}


def _events(
    head: dict[str, Any],
    answers: list[Answer],
    seed: bytes,
    usage: dict[str, Any] | None,
    *,
    told: bool,
    ranks: int | None,
) -> Iterator[bytes]:
    """`told`: the caller asked for usage, so each chunk has the field, and a last one without choices its value."""
    more = {"usage": None} if told and usage else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return data({**head, "choices": [choice], **more})

    for index, answer in enumerate(answers):
        first: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
        if answer.tool is not None:
            function = {"name": answer.tool, "arguments": ""}
            call = {"index": 0, "id": _call_id(seed, index), "type": "function", "function": function}
            first = {"role": "assistant", "content": None, "tool_calls": [call]}
        yield chunk(index, first)
        at = 0
        for group in groups(answer.pieces):
            text = "".join(group)
            if answer.tool is not None:
                yield chunk(index, {"tool_calls": [{"index": 0, "function": {"arguments": text}}]})
            else:
                logprobs = None if ranks is None else _logprobs(group, seed, at, ranks)
                yield chunk(index, {"content": text}, None, logprobs)
            at += len(group)
        yield chunk(index, {}, FINISH[answer.finish])
    if told and usage:
        yield data({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"
