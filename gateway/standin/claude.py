"""Shell. Anthropic's messages, token counts, batches of messages, and models."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from gateway.standin.answers import Answer, Tool, Wanted, compose, count, created, groups, seed_of, tag
from gateway.standin.exchange import (
    MAX_KEPT,
    Ask,
    Fail,
    Reply,
    Shelf,
    Stream,
    answered,
    behave,
    limit_of,
    objects,
    parsed,
    refused,
    stops,
    text_of,
    tokens_of,
)
from gateway.standin.openai_text import MODELS

__all__ = ["MessageBatches", "count_tokens", "messages", "model", "models"]

EACH = 3  # tokens that a message costs beside its content
MAX_REQUESTS = 100_000  # Anthropic's own bound
STOP = {"stop": "end_turn", "length": "max_tokens", "tool": "tool_use", "sequence": "stop_sequence"}


def messages(ask: Ask) -> Reply | Stream:
    """POST /v1/messages."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    turns = _turns(body)
    if body.get("max_tokens") is None:
        raise Fail(400, "max_tokens: Field required")
    answer = compose(ask.seed, _wanted(body, turns), manner)
    usage = _usage(body, turns) if manner.usage else None
    message = {
        "id": f"msg_{tag(ask.seed, 'message')}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [_block(answer, ask.seed)],
        "stop_reason": STOP[answer.finish],
        "stop_sequence": answer.sequence,
    }
    if body.get("stream") is True:
        return Stream(_events(message, answer, usage), manner=manner)
    if usage is not None:
        message["usage"] = {**usage, "output_tokens": len(answer.pieces)}
    return answered(message, manner)


def count_tokens(ask: Ask) -> Reply:
    """POST /v1/messages/count_tokens."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    total, _ = _input(body, _turns(body))
    return answered({"input_tokens": total}, manner)


def models(ask: Ask) -> Reply:
    """GET /v1/models, asked with an `anthropic-version`."""
    ends = {"first_id": MODELS[0], "last_id": MODELS[-1]}
    return answered({"data": [_model(name) for name in MODELS], "has_more": False, **ends})


def model(ask: Ask) -> Reply:
    """GET /v1/models/{id}, asked with an `anthropic-version`."""
    (name,) = ask.args
    if name.startswith("missing-"):
        behave(name)
    return answered(_model(name))


class MessageBatches:
    """Batches of messages of one stand-in; each has ended when its creation is answered."""

    def __init__(self) -> None:
        self._batches: Shelf[tuple[dict[str, Any], bytes]] = Shelf()

    def create(self, ask: Ask) -> Reply:
        """POST /v1/messages/batches. `results_url` is relative, so that it leads through whatever is in front."""
        requests = objects(parsed(ask.body).get("requests"))
        if not requests or len(requests) > MAX_REQUESTS:
            raise Fail(400, f"requests: between 1 and {MAX_REQUESTS} are required")
        lines = bytearray()
        good = 0
        for index, each in enumerate(requests):
            result = _result(each, seed_of(ask.seed, b"%d" % index))
            good += result["result"]["type"] == "succeeded"
            lines += orjson.dumps(result) + b"\n"
            if len(lines) > MAX_KEPT:
                raise Fail(400, "The results of this batch are more than is kept.")
        name = f"msgbatch_{tag(ask.seed, 'batch')}"
        when = datetime.fromtimestamp(created(ask.seed), UTC)
        batch = {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended",
            "request_counts": {
                "processing": 0,
                "succeeded": good,
                "errored": len(requests) - good,
                "canceled": 0,
                "expired": 0,
            },
            "created_at": _text(when),
            "ended_at": _text(when),
            "expires_at": _text(when + timedelta(days=1)),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"/v1/messages/batches/{name}/results",
        }
        self._batches.put(name, (batch, bytes(lines)), len(lines))
        return answered(batch)

    def all(self, ask: Ask) -> Reply:
        """GET /v1/messages/batches."""
        found = [batch for batch, _ in self._batches.all()]
        ends = {"first_id": found[0]["id"] if found else None, "last_id": found[-1]["id"] if found else None}
        return answered({"data": found, "has_more": False, **ends})

    def one(self, ask: Ask) -> Reply:
        """GET /v1/messages/batches/{id}, and POST …/cancel: a batch has ended before it can be cancelled."""
        return answered(self._batch(ask.args[0])[0])

    def results(self, ask: Ask) -> Reply:
        """GET /v1/messages/batches/{id}/results: JSON lines."""
        return Reply(self._batch(ask.args[0])[1], kind="application/x-jsonl")

    def remove(self, ask: Ask) -> Reply:
        """DELETE /v1/messages/batches/{id}."""
        self._batch(ask.args[0])
        self._batches.take(ask.args[0])
        return answered({"id": ask.args[0], "type": "message_batch_deleted"})

    def _batch(self, name: str) -> tuple[dict[str, Any], bytes]:
        found = self._batches.get(name)
        if found is None:
            raise Fail(404, f"Not found: message batch {name}")
        return found


def _result(request: dict[str, Any], seed: bytes) -> dict[str, Any]:
    params = request.get("params")
    body = {key: each for key, each in params.items() if key != "stream"} if isinstance(params, dict) else {}
    result: dict[str, Any]
    try:
        reply = messages(Ask("POST", "/v1/messages", {}, {}, orjson.dumps(body), seed))
        assert isinstance(reply, Reply), "without `stream` no answer is a stream"
        result = {"type": "succeeded", "message": orjson.Fragment(reply.body)}
    except Fail as fail:
        result = {"type": "errored", "error": orjson.Fragment(refused("anthropic", fail, seed).body)}
    return {"custom_id": request.get("custom_id"), "result": result}


def _turns(body: dict[str, Any]) -> list[dict[str, Any]]:
    turns = objects(body.get("messages"))
    if not turns:
        raise Fail(400, "messages: Field required")
    return turns


def _wanted(body: dict[str, Any], turns: list[dict[str, Any]]) -> Wanted:
    tools = [Tool(str(each.get("name")), each.get("input_schema")) for each in objects(body.get("tools"))]
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    if choice.get("type") == "none":
        tools = []
    elif choice.get("type") == "tool":
        tools = [tool for tool in tools if tool.name == choice.get("name")]
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    return Wanted(
        last=text_of(turns[-1].get("content")) if turns[-1].get("role") == "user" else "",
        tools=tuple(tools),
        forced=choice.get("type") in ("any", "tool"),
        json=isinstance(form, dict) and form.get("type") == "json_schema",
        schema=form.get("schema") if isinstance(form, dict) else None,
        limit=limit_of(body, "max_tokens"),
        stop=stops(body.get("stop_sequences")),
    )


def _input(body: dict[str, Any], turns: list[dict[str, Any]]) -> tuple[int, int]:
    """Tokens in all, and those up to the last block that is marked with `cache_control`."""
    total = cached = 0
    for tool in objects(body.get("tools")):
        total += count(orjson.dumps(tool).decode())
        cached = total if tool.get("cache_control") else cached
    for content, each in [(body.get("system"), 0), *((turn.get("content"), EACH) for turn in turns)]:
        total += each
        for block in content if isinstance(content, list) else [content]:
            total += tokens_of(block)
            cached = total if isinstance(block, dict) and block.get("cache_control") else cached
    return total, cached


def _usage(body: dict[str, Any], turns: list[dict[str, Any]]) -> dict[str, Any]:
    """`input_tokens` are those from no cache. A marked prefix counts as read: the stand-in has always seen it."""
    total, cached = _input(body, turns)
    return {
        "input_tokens": total - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "service_tier": "standard",
    }


def _block(answer: Answer, seed: bytes) -> dict[str, Any]:
    if answer.tool is None:
        return {"type": "text", "text": answer.text}
    return {"type": "tool_use", "id": f"toolu_{tag(seed, 'tool')}", "name": answer.tool, "input": answer.arguments}


def _events(message: dict[str, Any], answer: Answer, usage: dict[str, Any] | None) -> Iterator[bytes]:
    (block,) = message["content"]
    begun = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    if usage is not None:
        begun["usage"] = {**usage, "output_tokens": 1}
    yield _event("message_start", message=begun)
    empty = {**block, "text": ""} if answer.tool is None else {**block, "input": {}}
    yield _event("content_block_start", index=0, content_block=empty)
    yield _event("ping")
    for group in groups(answer.pieces):
        text = "".join(group)
        if answer.tool is None:
            delta = {"type": "text_delta", "text": text}
        else:
            delta = {"type": "input_json_delta", "partial_json": text}
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    end = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    if usage is None:
        yield _event("message_delta", delta=end)
    else:
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        told = {**{name: usage[name] for name in names}, "output_tokens": len(answer.pieces)}
        yield _event("message_delta", delta=end, usage=told)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"


def _model(name: str) -> dict[str, Any]:
    when = datetime.fromtimestamp(created(seed_of(name.encode())), UTC)
    about = {"type": "model", "id": name, "display_name": name, "created_at": _text(when)}
    return {**about, "lifecycle": "active", "max_input_tokens": 200_000, "max_tokens": 100_000}


def _text(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")
