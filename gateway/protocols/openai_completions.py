"""Pure. OpenAI text completions: one prompt or many, as text or as token ids."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Call, Dialect, Hider, Json, Meter, Op, Path, Reader, Route, openai_path
from gateway.refusals import Vendor
from gateway.wire import fields
from gateway.wire.asked import biased, is_json, user_of
from gateway.wire.fields import Names
from gateway.wire.json import edit, parse
from gateway.wire.meters import document_in, is_usage_only, openai_usage
from gateway.wire.sse import EventFilter

__all__ = ["OpenAICompletions"]

FIELDS = Names(
    (
        "n",
        "best_of",
        "model",
        "prompt",
        "suffix",
        "stream",
        "stream_options",
        "max_tokens",
        "logprobs",
        "temperature",
        "top_p",
    )
)
CLAMPABLE: Mapping[str, tuple[Path, ...]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "n": (("n",), ("best_of",)),
    "max_tokens": (("max_tokens",),),
    "logprobs": (("logprobs",),),
}


class OpenAICompletions(Dialect):
    """POST /v1/completions (also without `/v1`, and Azure's deployments). Source: OpenAI API reference."""

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        found = openai_path(path, "/completions") if method == "POST" else None
        if found is None:
            return None
        return Route("openai_completions", "openai", found[0], "text_completion", model=found[1])

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        FIELDS.check(value)
        options = fields.obj(value.get("stream_options"), "stream_options")
        stream = fields.flag(value.get("stream"), "stream")
        model = fields.word(value.get("model"), "model")
        text: list[str] = []
        prompts, token_ids = _prompts(value.get("prompt"), text)
        asked = tuple(text)
        suffix = fields.text(value.get("suffix"), "suffix")
        if suffix:
            text.append(suffix)
        call = Call(
            op="text_completion",
            model=route.model or model,
            body=value,
            text=tuple(text),
            asked=asked,
            user=user_of(value),
            bias=biased(value.get("logit_bias")),
            structured=is_json(value.get("response_format")),
            seeded=type(value.get("seed")) is int,
            stream=stream,
            n=_choices(value) * max(1, prompts),  # each prompt is answered
            prompts=max(1, prompts),
            max_tokens=fields.largest(value, ("max_tokens",)),
            token_ids=token_ids,
            temperature=fields.number(value.get("temperature"), "temperature"),
            top_p=fields.number(value.get("top_p"), "top_p"),
            logprobs=fields.count(value.get("logprobs"), "logprobs"),
            ask_usage=fields.flag(options.get("include_usage"), "stream_options.include_usage") and stream,
        )
        return (call,)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _CompletionMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return CLAMPABLE if op == "text_completion" else {}

    def ask_usage(self, route: Route, body: bytes) -> bytes | None:
        value = parse(body)
        if type(value) is not dict or value.get("stream") is not True:
            return None
        options = value.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage") is True:
            return None
        return edit(body, {("stream_options", "include_usage"): True})

    def hider(self, route: Route) -> Hider | None:
        return EventFilter(is_usage_only)


def _choices(body: fields.Object) -> int:
    """How many completions are made of one prompt. `best_of` may be 0 in OpenAI's reference, `n` may not."""
    asked = fields.count(body.get("n"), "n", 1, fields.MAX_CHOICES) or 1
    return max(asked, fields.count(body.get("best_of"), "best_of", 0, fields.MAX_CHOICES) or 1)


def _prompts(prompt: Any, text: list[str]) -> tuple[int, int]:
    """Collects the prompts' text; returns how many prompts there are, and how many token ids in them."""
    if prompt is None:
        return 0, 0
    if type(prompt) is str:
        text.append(prompt)
        return 1, 0
    given = fields.items(prompt, "prompt")
    if given and all(type(piece) is int for piece in given):
        return 1, len(given)
    token_ids = 0
    for piece in given:
        if type(piece) is str:
            text.append(piece)
        elif type(piece) is list and all(type(token) is int for token in piece):
            token_ids += len(piece)
        else:
            fields.wrong("prompt", "a string, or an array of strings, of token ids, or of arrays of token ids")
    return len(given), token_ids


class _CompletionMeter(Reader):
    """`usage` of the document, or of the last event that has one; `[DONE]` closes a stream."""

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            self.closed = True
            return
        self.document(document_in(data))

    def document(self, value: Json) -> None:
        if not isinstance(value, dict):
            return
        self.named(value.get("model"), value.get("id"))
        usage = value.get("usage")
        if usage is not None:
            self.usage = openai_usage(usage)
        choices = value.get("choices")
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                self.seen(choice.get("text"))
                if self.spoken is not None:
                    self.spoken.add(choice.get("index", at), choice.get("text"))
                self.ended(choice.get("index", at), choice.get("finish_reason"))
