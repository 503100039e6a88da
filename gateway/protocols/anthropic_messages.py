"""Pure. Anthropic messages, the counting of their tokens, and batches of them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Answer, Call, Dialect, Json, Meter, Op, Path, Reader, Route
from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire import fields
from gateway.wire.asked import is_json, member
from gateway.wire.fields import Names
from gateway.wire.json import parse
from gateway.wire.meters import document_in, tokens
from gateway.wire.turns import Turns, first_text

__all__ = ["AnthropicMessages"]

ROUTES: dict[str, Op] = {"/v1/messages": "chat", "/v1/messages/count_tokens": "count_tokens"}
FIELDS = Names(("model", "messages", "system", "tools", "stream", "max_tokens", "temperature", "top_p"))
MESSAGE = Names(("role", "content"))
BATCHES = "/v1/messages/batches"
BATCH = Names(("requests",))
LINE = Names(("params",))
CLAMPABLE: Mapping[str, tuple[Path, ...]] = {
    "temperature": (("temperature",),),
    "top_p": (("top_p",),),
    "max_tokens": (("max_tokens",),),
}
FIGURES = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class AnthropicMessages(Dialect):
    """POST /v1/messages, /v1/messages/count_tokens and /v1/messages/batches. Source: Anthropic API reference."""

    vendor: ClassVar[Vendor] = "anthropic"
    provider = "anthropic"

    def match(self, method: str, path: str) -> Route | None:
        if path == BATCHES and method == "POST":
            return Route("anthropic_messages", "anthropic", path, "batch", "batch")
        op = ROUTES.get(path) if method == "POST" else None
        return Route("anthropic_messages", "anthropic", path, op) if op is not None else None

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        if route.kind != "batch":
            return (_call(route.op, value),)
        BATCH.check(value)
        calls = []
        for line in fields.items(value.get("requests"), "requests"):
            asked = fields.obj(line, "requests")
            LINE.check(asked)
            calls.append(_call("batch", fields.obj(asked.get("params"), "requests.params")))
        return tuple(calls)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _MessageMeter() if route.op == "chat" else _CountMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return CLAMPABLE if op == "chat" else {}


def _call(op: Op, value: dict[str, Any]) -> Call:
    """One call, from the object that asks for a message."""
    FIELDS.check(value)
    turns = _Turns()
    turns.content(value.get("system"), "system")
    turns.by_system(0)
    messages = fields.items(value.get("messages"), "messages")
    turns.read(messages)
    tools = fields.items(value.get("tools"), "tools")
    for tool in tools:
        definition = fields.obj(tool, "tools")
        turns.add(fields.text(definition.get("name"), "tools.name"))
        turns.add(fields.text(definition.get("description"), "tools.description"))
        turns.add(fields.compact(definition.get("input_schema")))
    return Call(
        op=op,
        model=fields.word(value.get("model"), "model"),
        body=value,
        text=tuple(turns.text),
        system=tuple(turns.system),
        asked=tuple(turns.asked),
        said=turns.said(),
        answers=turns.answers,
        results=turns.results,
        user=_user(value.get("metadata")),
        structured=is_json(value.get("output_format")) or is_json(member(value.get("output_config"), "format")),
        effort=member(value.get("thinking"), "type") in ("enabled", "adaptive"),
        stream=fields.flag(value.get("stream"), "stream"),
        max_tokens=fields.count(value.get("max_tokens"), "max_tokens"),
        messages=len(messages),
        tools=len(tools),
        images=turns.images,
        temperature=fields.number(value.get("temperature"), "temperature"),
        top_p=fields.number(value.get("top_p"), "top_p"),
    )


def _user(metadata: Json) -> str:
    user = member(metadata, "user_id")
    return user if type(user) is str else ""


class _Turns(Turns):
    """The messages, block by block. What a server's own tools found stands in the answer, and is part of it."""

    def read(self, messages: list[Any]) -> None:
        for message in messages:
            if type(message) is not dict:
                fields.wrong("messages", "an array of objects")
            MESSAGE.check(message)
            role = message.get("role")
            content = message.get("content")
            start = self.content(content, "messages.content", role == "user")
            if role == "user":
                self.by_user(start)
            elif role == "assistant":
                self.by_model(start, content)
            else:
                self.by_system(start)

    def spoken(self, answer: Any) -> str:
        blocks = answer if type(answer) is list else ()
        return first_text(block.get("text") for block in blocks if member(block, "type") == "text")

    def add(self, piece: str) -> None:
        if piece:
            self.text.append(piece)

    def content(self, content: Any, param: str, asks: bool = False) -> int:
        """A string or blocks; blocks hold blocks (tool results, documents), as deep as the body may be.

        Returns where the pieces start, or where a user `asks`, those behind the last result of a tool.
        """
        start = len(self.text)
        if type(content) is str:
            self.add(content)
            return start
        for block in fields.items(content, param):
            if type(block) is str:
                self.add(block)
                continue
            if type(block) is not dict:
                fields.wrong(param, "an array of objects")
            kind = block.get("type")
            self.images += kind == "image"
            for name in ("title", "text", "thinking", "context", "name"):
                if name in block:
                    self.add(fields.text(block[name], f"{param}.{name}"))
            if "input" in block:
                self.add(fields.compact(block["input"]))
            if "content" in block:
                self._inner(block["content"], param)
            source = block.get("source")
            if type(source) is dict:
                if source.get("type") == "text":
                    self.add(fields.text(source.get("data"), f"{param}.source"))
                elif "content" in source:
                    self._inner(source["content"], param)
            if asks and kind == "tool_result":
                self.by_tool()
                start = len(self.text)
        return start

    def _inner(self, content: Any, param: str) -> None:
        self.content([content] if type(content) is dict else content, param)  # server tools' results hold one block


class _MessageMeter(Reader):
    """`usage` of the message; in a stream, of `message_start` and the last `message_delta`, which is cumulative.

    Anthropic's `input_tokens` leaves out what came from the cache or went there; ours includes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._figures: dict[str, object] = {}

    def event(self, name: str, data: bytes) -> None:
        value = document_in(data)
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        if kind == "message_start":
            message = value.get("message")
            if isinstance(message, dict):
                self.named(message.get("model"), message.get("id"))
                self._read(message.get("usage"))
        elif kind == "content_block_start":
            self._block(value.get("content_block"), value.get("index"))
        elif kind == "content_block_delta":
            delta = value.get("delta")
            if isinstance(delta, dict):
                self.seen(delta.get("text"), delta.get("thinking"), delta.get("partial_json"))
                if self.spoken is not None:
                    self.spoken.add(value.get("index"), delta.get("text"))
        elif kind == "message_delta":
            delta = value.get("delta")
            if isinstance(delta, dict):
                self.ended(0, delta.get("stop_reason"))
            self._read(value.get("usage"))
        elif kind == "message_stop":
            self.closed = True

    def document(self, value: Json) -> None:
        if not isinstance(value, dict):
            return
        self.named(value.get("model"), value.get("id"))
        self.ended(0, value.get("stop_reason"))
        self._read(value.get("usage"))
        content = value.get("content")
        for at, block in enumerate(content if isinstance(content, list) else ()):
            self._block(block, at)

    def _block(self, block: Json, at: Json) -> None:
        if isinstance(block, dict):
            self.seen(block.get("text"), block.get("thinking"), block.get("name"))
            if self.spoken is not None:
                self.spoken.add(at, block.get("text"))
            given = block.get("input")
            if given:
                self.seen(fields.compact(given))

    def _read(self, usage: Json) -> None:
        """Takes over the figures that are there: a `message_delta` may name the output alone."""
        if not isinstance(usage, dict):
            return
        self._figures.update((name, usage[name]) for name in FIGURES if usage.get(name) is not None)
        figures = [tokens(self._figures.get(name)) for name in FIGURES]
        read, written, cached, stored = figures
        if read is None or written is None or cached is None or stored is None or "input_tokens" not in self._figures:
            self.usage = None
        else:
            self.usage = Usage(read + cached + stored, written, cached, stored, source="upstream")


class _CountMeter(Reader):
    """A count of tokens is no generation: the model server's figure is zero."""

    generates = False

    def event(self, name: str, data: bytes) -> None:
        """Counts are not streamed."""

    def document(self, value: Json) -> None:
        """What was counted is the caller's business."""

    def finish(self) -> Answer:
        answer = super().finish()
        if answer.usage.source == "none":
            return answer
        return Answer(usage=Usage(source="upstream"), complete=answer.complete)
