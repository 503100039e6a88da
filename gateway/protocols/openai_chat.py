"""Pure. OpenAI chat completions, as OpenAI, Azure, vLLM and most other servers speak them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Call, Dialect, Hider, Json, Meter, Op, Path, Reader, Route, openai_path
from gateway.refusals import Vendor
from gateway.wire import fields
from gateway.wire.asked import biased, is_json, thinks, user_of
from gateway.wire.fields import Names
from gateway.wire.json import edit, parse
from gateway.wire.meters import document_in, is_usage_only, openai_usage
from gateway.wire.sse import EventFilter
from gateway.wire.turns import Turns

__all__ = ["OpenAIChat"]

CEILINGS = ("max_completion_tokens", "max_tokens")
CHOICES = ("n", "best_of")
NUMBERS = ("temperature", "top_p")
FIELDS = Names(
    (
        *CEILINGS,
        *CHOICES,
        *NUMBERS,
        *("model", "messages", "stream", "stream_options", "tools", "functions", "logprobs", "top_logprobs"),
    )
)
MESSAGE = Names(("role", "content", "refusal", "reasoning_content", "tool_calls", "function_call", "name"))
CLAMPABLE: Mapping[str, tuple[Path, ...]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "n": (("n",), ("best_of",)),
    "max_tokens": (("max_completion_tokens",), ("max_tokens",)),  # OpenAI's reasoning models refuse the second
    "logprobs": (("logprobs",),),
    "top_logprobs": (("top_logprobs",),),
}


class OpenAIChat(Dialect):
    """POST /v1/chat/completions (also without `/v1`, and Azure's deployments). Source: OpenAI API reference."""

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        found = openai_path(path, "/chat/completions") if method == "POST" else None
        if found is None:
            return None
        return Route("openai_chat", "openai", found[0], "chat", model=found[1])

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        FIELDS.check(value)
        options = fields.obj(value.get("stream_options"), "stream_options")
        model = fields.word(value.get("model"), "model")
        messages = fields.items(value.get("messages"), "messages")
        turns = _Turns()
        turns.read(messages)
        tools = _tools(value, turns.text)
        stream = fields.flag(value.get("stream"), "stream")
        call = Call(  # by place: that takes a fourth of the time that names do
            "chat",
            route.model or model,
            value,
            tuple(turns.text),
            tuple(turns.system),
            tuple(turns.asked),
            turns.said(),
            turns.answers,
            turns.results,
            user_of(value),
            biased(value.get("logit_bias")),
            is_json(value.get("response_format")),
            type(value.get("seed")) is int,
            thinks(value.get("reasoning_effort")),
            stream,
            fields.largest(value, CHOICES, 1, fields.MAX_CHOICES) or 1,
            1,  # prompts
            fields.largest(value, CEILINGS),
            len(messages),
            tools,
            turns.images,
            turns.audio,
            0,  # token ids
            fields.number(value.get("temperature"), "temperature"),
            fields.number(value.get("top_p"), "top_p"),
            _logprobs(value),
            ask_usage=fields.flag(options.get("include_usage"), "stream_options.include_usage") and stream,
        )
        return (call,)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _ChatMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return CLAMPABLE if op == "chat" else {}

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


def _logprobs(body: Mapping[str, Any]) -> int | None:
    """Alternatives asked for, or None; some servers take their number in `logprobs`, as text completions do."""
    alternatives = fields.count(body.get("top_logprobs"), "top_logprobs") or 0
    asked = body.get("logprobs")
    if type(asked) is int:
        return max(alternatives, fields.count(asked, "logprobs") or 0)
    return alternatives if fields.flag(asked, "logprobs") or alternatives else None


class _Turns(Turns):
    """The messages, one by one."""

    def read(self, messages: list[Any]) -> None:
        text = self.text
        for message in messages:
            if type(message) is not dict:
                fields.wrong("messages", "an array of objects")
            MESSAGE.check(message)
            start = len(text)
            content = message.get("content")
            if type(content) is str:
                text.append(content)
            elif content is not None:
                self._parts(content)
            if len(message) > 2:
                self._more(message)
            role = message.get("role")
            if role == "user":
                self.by_user(start)
            elif role == "assistant":
                self.by_model(start)
            elif role in ("tool", "function"):
                self.by_tool()
            else:  # system, developer, and whatever a server takes for one of them
                self.by_system(start)

    def _parts(self, content: Any) -> None:
        for part in fields.items(content, "messages.content"):
            if type(part) is str:
                self.text.append(part)
                continue
            if type(part) is not dict:
                fields.wrong("messages.content", "an array of objects")
            kind = part.get("type")
            self.images += kind in ("image_url", "image") or "image_url" in part
            self.audio += kind in ("input_audio", "audio", "audio_url") or "input_audio" in part
            _append(self.text, part, ("text", "refusal"), "messages.content")

    def _more(self, message: Mapping[str, Any]) -> None:
        """What a message holds beside its role and content."""
        text = self.text
        _append(text, message, ("reasoning_content", "refusal"), "messages")
        for call in fields.items(message.get("tool_calls"), "messages.tool_calls"):
            called = fields.obj(call, "messages.tool_calls")
            for name in ("function", "custom"):
                function = fields.obj(called.get(name), f"messages.tool_calls.{name}")
                _append(text, function, ("name", "arguments", "input"), "messages.tool_calls")
        function = fields.obj(message.get("function_call"), "messages.function_call")
        _append(text, function, ("name", "arguments"), "messages.function_call")


def _append(text: list[str], value: Mapping[str, Any], names: Sequence[str], param: str) -> None:
    for name in names:
        if name in value:
            piece = fields.text(value[name], f"{param}.{name}")
            if piece:
                text.append(piece)


def _tools(body: Mapping[str, Any], text: list[str]) -> int:
    """Collects the definitions of tools; returns their number."""
    tools = fields.items(body.get("tools"), "tools")
    functions = fields.items(body.get("functions"), "functions")
    for tool in tools:
        definition = fields.obj(tool, "tools")
        for name in ("function", "custom"):
            _define(fields.obj(definition.get(name), f"tools.{name}"), text)
    for function in functions:
        _define(fields.obj(function, "functions"), text)
    return len(tools) + len(functions)


def _define(function: Mapping[str, Any], text: list[str]) -> None:
    _append(text, function, ("name", "description"), "tools.function")
    for name in ("parameters", "format"):
        schema = fields.compact(function.get(name))
        if schema:
            text.append(schema)


class _ChatMeter(Reader):
    """`usage` of the document, or of the last event that has one; `[DONE]` closes a stream."""

    def event(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            self.closed = True
            return
        self._read(document_in(data), "delta")

    def document(self, value: Json) -> None:
        self._read(value, "message")

    def _read(self, value: Json, part: str) -> None:
        if not isinstance(value, dict):
            return
        self.named(value.get("model"), value.get("id"))
        usage = value.get("usage")
        if usage is not None:
            self.usage = openai_usage(usage)
        choices = value.get("choices")
        for at, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, dict):
                continue
            self.ended(choice.get("index", at), choice.get("finish_reason"))
            message = choice.get(part)
            if not isinstance(message, dict):
                continue
            self.seen(*map(message.get, ("content", "refusal", "reasoning_content", "reasoning")))
            if self.spoken is not None:
                self.spoken.add(choice.get("index", at), message.get("content"))
            calls = message.get("tool_calls")
            called = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
            functions = [call.get(name) for call in called for name in ("function", "custom")]
            for function in (*functions, message.get("function_call")):
                if isinstance(function, dict):
                    self.seen(*map(function.get, ("name", "arguments", "input")))
