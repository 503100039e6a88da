"""Shell. OpenAI's text completions, embeddings and models."""

import base64
import struct
from collections.abc import Iterator
from typing import Any

from gateway.standin.answers import Answer, Wanted, count, created, groups, logprob, seed_of, tag
from gateway.standin.exchange import Ask, Fail, Reply, Stream, answered, behave, composed, limit_of, parsed, stops
from gateway.standin.openai_chat import FINISH, choices_of, data, usage_of
from gateway.standin.vectors import vector

__all__ = ["MODELS", "completions", "embeddings", "model", "models"]

MODELS = ("standin-1", "standin-slow", "standin-429", "standin-500", "standin-die", "standin-nousage")
DIMENSIONS = 1536
MAX_DIMENSIONS = 4096
MAX_PROMPTS = 2048


def completions(ask: Ask) -> Reply | Stream:
    """POST /v1/completions. A model that was given no `max_tokens` answers in full, not in OpenAI's 16 tokens."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    prompts = _inputs(body, "prompt")
    wanted = Wanted(limit=limit_of(body, "max_tokens"), stop=stops(body.get("stop")))
    answers = composed(ask.seed, wanted, manner, choices_of(body) * len(prompts))
    prompt = sum(map(_tokens, prompts))
    usage = usage_of(prompt, sum(len(answer.pieces) for answer in answers)) if manner.usage else None
    head = {
        "id": f"cmpl-{tag(ask.seed, 'text')}",
        "object": "text_completion",
        "created": created(ask.seed),
        "model": body["model"],
    }
    asked = body.get("logprobs")
    ranks = min(asked, 5) if isinstance(asked, int) and not isinstance(asked, bool) else None
    if body.get("stream") is True:
        options = body.get("stream_options")
        told = isinstance(options, dict) and options.get("include_usage") is True
        return Stream(_events(head, answers, ask.seed, usage if told else None, ranks), manner=manner)
    choices = [
        {
            "index": index,
            "text": answer.text,
            "logprobs": None if ranks is None else _logprobs(answer.pieces, ask.seed, 0, 0, ranks),
            "finish_reason": FINISH[answer.finish],
        }
        for index, answer in enumerate(answers)
    ]
    return answered({**head, "choices": choices, **({"usage": usage} if usage else {})}, manner)


def embeddings(ask: Ask) -> Reply:
    """POST /v1/embeddings. The same text has the same vector; its bytes are the same as floats and as base64."""
    body = parsed(ask.body)
    manner = behave(body.get("model"))
    inputs = _inputs(body, "input")
    size = min(limit_of(body, "dimensions") or DIMENSIONS, MAX_DIMENSIONS)
    items = []
    for index, each in enumerate(inputs):
        values = vector(repr(each) if isinstance(each, list) else each, size)
        packed = base64.b64encode(struct.pack(f"<{size}f", *values)).decode()
        given = packed if body.get("encoding_format") == "base64" else values
        items.append({"object": "embedding", "index": index, "embedding": given})
    tokens = sum(map(_tokens, inputs))
    usage = {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}} if manner.usage else {}
    return answered({"object": "list", "data": items, "model": body["model"], **usage}, manner)


def models(ask: Ask) -> Reply:
    """GET /v1/models."""
    return answered({"object": "list", "data": [_model(name) for name in MODELS]})


def model(ask: Ask) -> Reply:
    """GET /v1/models/{id}: any name is a model, unless it is said to be missing."""
    (name,) = ask.args
    if name.startswith("missing-"):
        behave(name)
    return answered(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created(seed_of(name.encode())), "owned_by": "standin"}


def _inputs(body: dict[str, Any], name: str) -> list[Any]:
    """Texts, or lists of token numbers, given as one or as a list."""
    value = body.get(name)
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and len(value) <= MAX_PROMPTS:
        if all(isinstance(each, int) for each in value):
            return [value]
        if all(isinstance(each, str) or (isinstance(each, list) and each) for each in value):
            return value
    raise Fail(400, f"Missing or invalid parameter: '{name}'.", "missing_required_parameter", name)


def _tokens(prompt: Any) -> int:
    return count(prompt) if isinstance(prompt, str) else len(prompt)


def _logprobs(pieces: tuple[str, ...], seed: bytes, start: int, offset: int, ranks: int) -> dict[str, Any]:
    offsets = []
    for piece in pieces:
        offsets.append(offset)
        offset += len(piece)
    places = list(enumerate(pieces, start))
    return {
        "tokens": list(pieces),
        "token_logprobs": [logprob(seed, index) for index, _ in places],
        "top_logprobs": [
            {piece if rank == 0 else f"{piece}{rank}": logprob(seed, index, rank) for rank in range(ranks)}
            for index, piece in places
        ],
        "text_offset": offsets,
    }


def _events(
    head: dict[str, Any], answers: list[Answer], seed: bytes, usage: dict[str, Any] | None, ranks: int | None
) -> Iterator[bytes]:
    for index, answer in enumerate(answers):
        at = offset = 0
        parts = groups(answer.pieces)
        for place, group in enumerate(parts):
            text = "".join(group)
            logprobs = None if ranks is None else _logprobs(group, seed, at, offset, ranks)
            finish = FINISH[answer.finish] if place == len(parts) - 1 else None
            choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
            yield data({**head, "choices": [choice]})
            at += len(group)
            offset += len(text)
    if usage:
        yield data({**head, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"
