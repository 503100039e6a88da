"""Shell. OpenAI's responses, whole and as the sequence of events that a stream is."""

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.standin.answers import Answer, Tool, Wanted, compose, count, created, groups, tag
from gateway.standin.exchange import (
    Ask,
    Fail,
    Reply,
    Stream,
    answered,
    behave,
    limit_of,
    objects,
    parsed,
    text_of,
    tokens_of,
)
from gateway.standin.openai_chat import EACH, only

__all__ = ["responses", "stored"]


def responses(ask: Ask) -> Reply | Stream:
    """POST /v1/responses."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    given = body.get("input")
    if not isinstance(given, str) and not objects(given):
        raise Fail(400, "Missing required parameter: 'input'.", "missing_required_parameter", "input")
    answer = compose(ask.seed, _wanted(body), manner)
    usage = _usage(body, len(answer.pieces)) if manner.usage else None
    item = _item(answer, ask.seed)
    whole = _response(ask.seed, body, answer, item, usage)
    if body.get("stream") is True:
        return Stream(_events(whole, item, answer), manner=manner)
    return answered(whole, manner)


def stored(ask: Ask) -> Reply:
    """GET and DELETE /v1/responses/{id}: nothing is kept."""
    raise Fail(404, f"Response with id '{ask.args[0]}' not found.")


def _wanted(body: dict[str, Any]) -> Wanted:
    given = body.get("input")
    last = given if isinstance(given, str) else ""
    if not isinstance(given, str):
        item = objects(given)[-1]
        last = text_of(item.get("content")) if item.get("role") == "user" else ""
    functions = [each for each in objects(body.get("tools")) if each.get("type") == "function"]
    left, forced = only(
        [Tool(str(each.get("name")), each.get("parameters")) for each in functions], body.get("tool_choice")
    )
    form = _format(body)
    return Wanted(
        last=last,
        tools=left,
        forced=forced,
        json=form.get("type") in ("json_schema", "json_object"),
        schema=form.get("schema"),
        limit=limit_of(body, "max_output_tokens"),
    )


def _format(body: dict[str, Any]) -> dict[str, Any]:
    text = body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    return form if isinstance(form, dict) else {"type": "text"}


def _usage(body: dict[str, Any], output: int) -> dict[str, Any]:
    given = body.get("input")
    if isinstance(given, str):
        prompt = EACH + count(given)
    else:
        prompt = sum(EACH + tokens_of(each.get("content", each)) for each in objects(given))
    prompt += tokens_of(body.get("instructions"))
    if body.get("tools"):
        prompt += count(orjson.dumps(body["tools"]).decode())
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + output,
    }


def _item(answer: Answer, seed: bytes) -> dict[str, Any]:
    status = "incomplete" if answer.finish == "length" else "completed"
    if answer.tool is not None:
        return {
            "type": "function_call",
            "id": f"fc_{tag(seed, 'item', 32)}",
            "call_id": f"call_{tag(seed, 'call')}",
            "name": answer.tool,
            "arguments": answer.text,
            "status": status,
        }
    return {
        "type": "message",
        "id": f"msg_{tag(seed, 'item', 32)}",
        "role": "assistant",
        "status": status,
        "content": [_part(answer.text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(
    seed: bytes, body: dict[str, Any], answer: Answer, item: dict[str, Any], usage: dict[str, Any] | None
) -> dict[str, Any]:
    cut = answer.finish == "length"
    return {
        "id": f"resp_{tag(seed, 'response', 48)}",
        "object": "response",
        "created_at": created(seed),
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": [item],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": body.get("temperature", 1.0),
        "text": {"format": _format(body)},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        **({"usage": usage} if usage else {}),
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _events(whole: dict[str, Any], item: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    """Each event names its type twice, and counts up in `sequence_number`."""
    number = 0

    def event(kind: str, **fields: Any) -> bytes:
        nonlocal number
        value = {"type": kind, "sequence_number": number, **fields}
        number += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"

    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    at = {"item_id": item["id"], "output_index": 0}
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    if answer.tool is not None:
        fresh = {**item, "status": "in_progress", "arguments": ""}
        yield event("response.output_item.added", output_index=0, item=fresh)
        for group in groups(answer.pieces):
            yield event("response.function_call_arguments.delta", **at, delta="".join(group))
        yield event("response.function_call_arguments.done", **at, name=answer.tool, arguments=answer.text)
    else:
        at["content_index"] = 0
        fresh = {**item, "status": "in_progress", "content": []}
        yield event("response.output_item.added", output_index=0, item=fresh)
        yield event("response.content_part.added", **at, part=_part(""))
        for group in groups(answer.pieces):
            yield event("response.output_text.delta", **at, delta="".join(group), logprobs=[])
        yield event("response.output_text.done", **at, text=answer.text, logprobs=[])
        yield event("response.content_part.done", **at, part=_part(answer.text))
    yield event("response.output_item.done", output_index=0, item=item)
    end = "response.incomplete" if answer.finish == "length" else "response.completed"
    yield event(end, response=whole)
