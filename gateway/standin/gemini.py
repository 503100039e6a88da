"""Shell. Gemini's generateContent and its stream, embeddings, token counts and models."""

from collections.abc import Iterator
from typing import Any

import orjson

from gateway.standin.answers import Answer, Tool, Wanted, count, groups, logprob, tag
from gateway.standin.exchange import (
    IMAGE,
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
from gateway.standin.openai_text import MODELS
from gateway.standin.vectors import vector

__all__ = ["batch_embed", "count_tokens", "embed", "generate", "model", "models", "stream"]

FINISH = {"stop": "STOP", "sequence": "STOP", "length": "MAX_TOKENS", "tool": "STOP"}
DIMENSIONS = 768
MAX_DIMENSIONS = 3072
MAX_CHOICES = 8
METHODS = ["generateContent", "countTokens", "embedContent", "batchEmbedContents"]


def generate(ask: Ask) -> Reply:
    """POST …:generateContent."""
    name, answers, usage, ranks = _asked(ask)
    manner = behave(name)
    candidates = []
    for index, answer in enumerate(answers):
        candidate = _candidate([_part(answer, ask.seed, index)], FINISH[answer.finish], index)
        if ranks is not None and answer.tool is None:
            candidate.update(_logprobs(answer.pieces, ask.seed, ranks))
        candidates.append(candidate)
    output = sum(len(answer.pieces) for answer in answers)
    return answered(_response(ask, name, candidates, usage and _total(usage, output)), manner)


def stream(ask: Ask) -> Stream:
    """POST …:streamGenerateContent: events with `alt=sse`, else one JSON array."""
    name, answers, usage, _ = _asked(ask)
    manner = behave(name)
    chunks = _chunks(ask, name, answers, usage)
    if ask.query.get("alt") == "sse":
        return Stream((b"data: " + orjson.dumps(each) + b"\r\n\r\n" for each in chunks), "text/event-stream", manner)
    return Stream(_array(chunks), "application/json; charset=UTF-8", manner)


def embed(ask: Ask) -> Reply:
    """POST …:embedContent."""
    manner = behave(ask.args[0])
    values, tokens = _embedding(parsed(ask.body))
    usage = {"usageMetadata": {"promptTokenCount": tokens}} if manner.usage else {}
    return answered({"embedding": {"values": values}, **usage}, manner)


def batch_embed(ask: Ask) -> Reply:
    """POST …:batchEmbedContents."""
    manner = behave(ask.args[0])
    requests = objects(parsed(ask.body).get("requests"))
    if not requests or len(requests) > 100:
        raise Fail(400, "* BatchEmbedContentsRequest.requests: between 1 and 100 are required")
    made = [_embedding(each) for each in requests]
    usage = {"usageMetadata": {"promptTokenCount": sum(tokens for _, tokens in made)}} if manner.usage else {}
    return answered({"embeddings": [{"values": values} for values, _ in made], **usage}, manner)


def count_tokens(ask: Ask) -> Reply:
    """POST …:countTokens, of `contents` or of a whole `generateContentRequest`."""
    manner = behave(ask.args[0])
    body = parsed(ask.body)
    inner = _field(body, "generateContentRequest")
    total = _prompt(inner if isinstance(inner, dict) else body)
    details = [{"modality": "TEXT", "tokenCount": total}]
    return answered({"totalTokens": total, "promptTokensDetails": details}, manner)


def models(ask: Ask) -> Reply:
    """GET /v1beta/models."""
    return answered({"models": [_model(name) for name in MODELS]})


def model(ask: Ask) -> Reply:
    """GET /v1beta/models/{name}."""
    (name,) = ask.args
    if name.startswith("missing-"):
        behave(name)
    return answered(_model(name))


def _model(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A stand-in that answers from a hash of the request.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 100_000,
        "supportedGenerationMethods": METHODS,
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
    }


def _asked(ask: Ask) -> tuple[str, list[Answer], dict[str, Any] | None, int | None]:
    """The model, the answers, the usage of the prompt, and how many alternatives a token is asked for."""
    name = ask.args[0]
    manner = behave(name)
    body = parsed(ask.body)
    contents = objects(body.get("contents"))
    if not contents:
        raise Fail(400, "* GenerateContentRequest.contents: contents is not specified")
    config = _field(body, "generationConfig")
    config = config if isinstance(config, dict) else {}
    n = limit_of(config, "candidateCount", "candidate_count") or 1
    if n > MAX_CHOICES:
        raise Fail(400, f"* candidateCount: at most {MAX_CHOICES}")
    wanted = _wanted(body, contents, config)
    answers = composed(ask.seed, wanted, manner, n)
    usage = None
    if manner.usage:
        prompt = _prompt(body)
        usage = {"promptTokenCount": prompt, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]}
    ranks = None
    if _field(config, "responseLogprobs") is True:
        given = config.get("logprobs")
        ranks = min(given, 20) if isinstance(given, int) else 0
    return name, answers, usage, ranks


def _wanted(body: dict[str, Any], contents: list[dict[str, Any]], config: dict[str, Any]) -> Wanted:
    tools = []
    for each in objects(body.get("tools")):
        for function in objects(_field(each, "functionDeclarations")):
            schema = _field(function, "parametersJsonSchema") or function.get("parameters")
            tools.append(Tool(str(function.get("name")), schema))
    calling = _field(_field(body, "toolConfig") or {}, "functionCallingConfig") or {}
    mode = calling.get("mode") if isinstance(calling, dict) else None
    allowed = _field(calling, "allowedFunctionNames") if isinstance(calling, dict) else None
    if mode == "NONE":
        tools = []
    elif isinstance(allowed, list) and allowed:
        tools = [tool for tool in tools if tool.name in allowed]
    schema = _field(config, "responseJsonSchema") or _field(config, "responseSchema")
    return Wanted(
        last=text_of(contents[-1].get("parts")) if contents[-1].get("role", "user") == "user" else "",
        tools=tuple(tools),
        forced=mode == "ANY",
        json=_field(config, "responseMimeType") == "application/json",
        schema=schema,
        limit=limit_of(config, "maxOutputTokens", "max_output_tokens"),
        stop=stops(_field(config, "stopSequences")),
    )


def _field(value: Any, name: str) -> Any:
    """A field in protobuf's JSON, which is camelCase and may be snake_case."""
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return value.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


def _prompt(body: dict[str, Any]) -> int:
    system = _field(body, "systemInstruction")
    total = tokens_of(system.get("parts")) if isinstance(system, dict) else tokens_of(system)
    total += sum(tokens_of(each.get("parts")) for each in objects(body.get("contents")))
    return total + (count(orjson.dumps(body["tools"]).decode()) if body.get("tools") else 0)


def _embedding(request: dict[str, Any]) -> tuple[list[float], int]:
    content = request.get("content")
    if not isinstance(content, dict):
        raise Fail(400, "* EmbedContentRequest.content: content is not specified")
    config = _field(request, "embedContentConfig") or request
    size = limit_of(config, "outputDimensionality", "output_dimensionality") if isinstance(config, dict) else None
    text = text_of(content.get("parts"))
    return vector(text, min(size or DIMENSIONS, MAX_DIMENSIONS)), count(text) or IMAGE


def _part(answer: Answer, seed: bytes, index: int) -> dict[str, Any]:
    if answer.tool is None:
        return {"text": answer.text}
    return {"functionCall": {"name": answer.tool, "args": answer.arguments, "id": tag(seed, f"call{index}", 8)}}


def _candidate(parts: list[dict[str, Any]], finish: str | None, index: int) -> dict[str, Any]:
    ended = {"finishReason": finish} if finish else {}
    return {"content": {"parts": parts, "role": "model"}, **ended, "index": index}


def _logprobs(pieces: tuple[str, ...], seed: bytes, ranks: int) -> dict[str, Any]:
    def entry(token: str, index: int, rank: int) -> dict[str, Any]:
        return {"token": token, "tokenId": index * 32 + rank, "logProbability": logprob(seed, index, rank)}

    chosen = [entry(piece, index, 0) for index, piece in enumerate(pieces)]
    top = [
        {"candidates": [entry(piece if rank == 0 else f"{piece}{rank}", index, rank) for rank in range(ranks)]}
        for index, piece in enumerate(pieces)
    ]
    average = sum(each["logProbability"] for each in chosen) / max(1, len(chosen))
    return {"avgLogprobs": average, "logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}


def _total(usage: dict[str, Any], output: int) -> dict[str, Any]:
    return {**usage, "candidatesTokenCount": output, "totalTokenCount": usage["promptTokenCount"] + output}


def _response(ask: Ask, name: str, candidates: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    told = {"usageMetadata": usage} if usage else {}
    return {"candidates": candidates, **told, "modelVersion": name, "responseId": tag(ask.seed, "response", 22)}


def _chunks(ask: Ask, name: str, answers: list[Answer], usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Every chunk tells the usage so far, and the last of each candidate why it ended."""
    output = 0
    for index, answer in enumerate(answers):
        parts = [answer.pieces] if answer.tool is not None else groups(answer.pieces)
        for place, group in enumerate(parts):
            output += len(group)
            part = {"text": "".join(group)} if answer.tool is None else _part(answer, ask.seed, index)
            finish = FINISH[answer.finish] if place == len(parts) - 1 else None
            yield _response(ask, name, [_candidate([part], finish, index)], usage and _total(usage, output))


def _array(chunks: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    before = b"["
    for chunk in chunks:
        yield before + orjson.dumps(chunk)
        before = b"\n,\r\n"
    yield b"\n]\n"
