"""Pure. OpenAI Responses: a string or a list of items in, a list of items out."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Call, Dialect, Json, Meter, Op, Path, Reader, Route, openai_path
from gateway.refusals import Vendor
from gateway.wire import fields
from gateway.wire.fields import Names
from gateway.wire.json import parse
from gateway.wire.meters import document_in, openai_usage

__all__ = ["OpenAIResponses"]

NAMED = ("model", "input", "instructions", "prompt", "stream", "tools", "include", "max_output_tokens", "top_logprobs")
FIELDS = Names((*NAMED, "background", "temperature", "top_p"))
CLAMPABLE: Mapping[str, tuple[Path, ...]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "max_tokens": (("max_output_tokens",),),
    "top_logprobs": (("top_logprobs",),),
}
ITEM = ("name", "arguments", "output", "input", "content", "summary", "text", "refusal", "code")
CLOSING = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))
LOGPROBS = "message.output_text.logprobs"  # a value of `include`


class OpenAIResponses(Dialect):
    """POST /v1/responses (also without `/v1`); stored responses are opaque. Source: OpenAI API reference."""

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        found = openai_path(path, "/responses") if method == "POST" else None
        if found is None:
            return None
        return Route("openai_responses", "openai", found[0], "chat", model=found[1])

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        FIELDS.check(value)
        model = fields.word(value.get("model"), "model")
        collected = _Collected()
        collected.add(fields.text(value.get("instructions"), "instructions"))
        given = value.get("input")
        if type(given) is str:
            collected.add(given)
            messages = 1
        else:
            messages = len(fields.items(given, "input"))
            for item in fields.items(given, "input"):
                collected.item(item)
        variables = fields.obj(fields.obj(value.get("prompt"), "prompt").get("variables"), "prompt.variables")
        for variable in variables.values():
            collected.content(variable, "prompt.variables")
        tools = fields.items(value.get("tools"), "tools")
        for tool in tools:
            definition = fields.obj(tool, "tools")
            collected.add(fields.text(definition.get("name"), "tools.name"))
            collected.add(fields.text(definition.get("description"), "tools.description"))
            collected.add(fields.compact(definition.get("parameters")))
        alternatives = fields.count(value.get("top_logprobs"), "top_logprobs")
        asked = LOGPROBS in fields.items(value.get("include"), "include")
        call = Call(
            op="chat",
            model=route.model or model,
            body=value,
            text=tuple(collected.text),
            stream=fields.flag(value.get("stream"), "stream"),
            background=fields.flag(value.get("background"), "background"),
            max_tokens=fields.count(value.get("max_output_tokens"), "max_output_tokens"),
            messages=messages,
            tools=len(tools),
            images=collected.images,
            audio=collected.audio,
            temperature=fields.number(value.get("temperature"), "temperature"),
            top_p=fields.number(value.get("top_p"), "top_p"),
            logprobs=(alternatives or 0) if asked or alternatives else None,
        )
        return (call,)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _ResponseMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return CLAMPABLE if op == "chat" else {}

    def clamp(self, op: Op, body: Json, clamp: Mapping[str, tuple[Json, Json]]) -> dict[Path, Json]:
        """Here `include` asks for log probabilities, by a word among others."""
        edits = super().clamp(op, body, clamp)
        to = clamp["logprobs"][1] if "logprobs" in clamp else True
        included = body.get("include")
        if (to is None or to is False) and isinstance(included, list) and LOGPROBS in included:
            edits["include",] = [word for word in included if word != LOGPROBS]
        return edits


class _Collected:
    """What the model reads, gathered item by item."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.images = 0
        self.audio = 0

    def add(self, piece: str) -> None:
        if piece:
            self.text.append(piece)

    def item(self, item: Any) -> None:
        if type(item) is str:
            self.add(item)
            return
        if type(item) is not dict:
            fields.wrong("input", "a string or an array of objects")
        for name in ITEM:
            if name in item:
                self.content(item[name], f"input.{name}")

    def content(self, content: Any, param: str) -> None:
        """A string, one part, or parts."""
        if type(content) is str:
            self.add(content)
        elif type(content) is dict:
            self._part(content, param)
        else:
            for part in fields.items(content, param):
                if type(part) is str:
                    self.add(part)
                elif type(part) is dict:
                    self._part(part, param)
                else:
                    fields.wrong(param, "an array of objects")

    def _part(self, part: Mapping[str, Any], param: str) -> None:
        kind = part.get("type")
        self.images += kind in ("input_image", "computer_screenshot")
        self.audio += kind == "input_audio"
        for name in ("text", "refusal"):
            self.add(fields.text(part.get(name), f"{param}.{name}"))


class _ResponseMeter(Reader):
    """`usage` of the response, which a stream repeats in its closing event."""

    def event(self, name: str, data: bytes) -> None:
        value = document_in(data)
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        if not isinstance(kind, str):
            return
        if kind.endswith(".delta"):
            self.seen(value.get("delta"))
            return
        response = value.get("response")
        if isinstance(response, dict):
            self.named(response.get("model"), response.get("id"))
            if kind in CLOSING:
                self.closed = True
                self._read(response)

    def document(self, value: Json) -> None:
        if not isinstance(value, dict):
            return
        self.named(value.get("model"), value.get("id"))
        self._read(value)
        output = value.get("output")
        for item in output if isinstance(output, list) else ():
            if not isinstance(item, dict):
                continue
            self.seen(item.get("name"), item.get("arguments"), item.get("input"))
            for parts in (item.get("content"), item.get("summary")):
                for part in parts if isinstance(parts, list) else ():
                    if isinstance(part, dict):
                        self.seen(part.get("text"), part.get("refusal"))

    def _read(self, response: Mapping[str, Any]) -> None:
        self.usage = openai_usage(response.get("usage"), "input", "output")
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self.ended(0, reason or response.get("status"))
