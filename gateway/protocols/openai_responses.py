"""Pure. OpenAI Responses: a string or a list of items in, a list of items out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Call, Dialect, Json, Meter, Op, Path, Reader, Route, openai_path
from gateway.refusals import Vendor
from gateway.wire import fields
from gateway.wire.asked import is_json, member, thinks, user_of
from gateway.wire.fields import Names
from gateway.wire.json import parse
from gateway.wire.meters import document_in, openai_usage
from gateway.wire.turns import Turns, first_text

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
OWN = frozenset(("reasoning", "item_reference", "compaction", "mcp_list_tools", "mcp_approval_request"))
"""Types of items that the model or its server made, beside the calls of tools."""
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
        turns = _Turns()
        turns.add(fields.text(value.get("instructions"), "instructions"))
        turns.by_system(0)
        given = value.get("input")
        items = [given] if type(given) is str else fields.items(given, "input")
        turns.read(items)
        start = len(turns.text)
        variables = fields.obj(fields.obj(value.get("prompt"), "prompt").get("variables"), "prompt.variables")
        for variable in variables.values():
            turns.content(variable, "prompt.variables")
        turns.asked += turns.text[start:]
        tools = fields.items(value.get("tools"), "tools")
        for tool in tools:
            definition = fields.obj(tool, "tools")
            turns.add(fields.text(definition.get("name"), "tools.name"))
            turns.add(fields.text(definition.get("description"), "tools.description"))
            turns.add(fields.compact(definition.get("parameters")))
        alternatives = fields.count(value.get("top_logprobs"), "top_logprobs")
        asked = LOGPROBS in fields.items(value.get("include"), "include")
        call = Call(
            op="chat",
            model=route.model or model,
            body=value,
            text=tuple(turns.text),
            system=tuple(turns.system),
            asked=tuple(turns.asked),
            said=turns.said(),
            answers=max(turns.answers, int(_continues(value))),
            results=turns.results,
            user=user_of(value),
            structured=is_json(member(value.get("text"), "format")),
            effort=_effort(value.get("reasoning")),
            stream=fields.flag(value.get("stream"), "stream"),
            background=fields.flag(value.get("background"), "background"),
            max_tokens=fields.count(value.get("max_output_tokens"), "max_output_tokens"),
            messages=len(items),
            tools=len(tools),
            images=turns.images,
            audio=turns.audio,
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


def _continues(body: Mapping[str, Any]) -> bool:
    """Whether the server holds a history that this body continues."""
    before, conversation = body.get("previous_response_id"), body.get("conversation")
    return (type(before) is str and before != "") or (type(conversation) in (str, dict) and bool(conversation))


def _effort(reasoning: Json) -> bool:
    """An effort that thinks, or a summary of the thoughts."""
    if type(reasoning) is not dict:
        return False
    if type(reasoning.get("summary")) is str or type(reasoning.get("generate_summary")) is str:
        return True
    return thinks(reasoning.get("effort"))


def _speaker(item: Any) -> str:
    """The role that a message names; for other items, whose they are by their type."""
    if type(item) is not dict:
        return "user"
    role, kind = item.get("role"), item.get("type")
    if type(role) is str:
        return role
    if type(kind) is not str:
        return "user"
    if kind.endswith("_output"):
        return "tool"
    return "assistant" if kind.endswith("_call") or kind in OWN else "user"


def _texts(content: Any) -> Iterator[Any]:
    """The texts of a message's content: a string, one part, or parts."""
    for part in content if type(content) is list else (content,):
        yield part if type(part) is str else member(part, "text")


class _Turns(Turns):
    """The items, one by one. Items of the model in a row (its thoughts, calls, messages) are one answer."""

    def read(self, items: list[Any]) -> None:
        first = 0
        answer: list[Any] = []
        for item in items:
            speaker = _speaker(item)
            start = len(self.text)
            if speaker == "assistant":
                first = first if answer else start
                answer.append(item)
            elif answer:
                self.by_model(first, answer)
                answer = []
            self.item(item)
            if speaker == "user":
                self.by_user(start)
            elif speaker == "tool":
                self.by_tool()
            elif speaker != "assistant":
                self.by_system(start)

    def spoken(self, answer: Any) -> str:
        messages = [item for item in answer or () if item.get("role") == "assistant"]
        return first_text(text for message in messages for text in _texts(message.get("content")))

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
            if self.spoken is not None and kind == "response.output_text.delta":
                self.spoken.add(value.get("output_index"), value.get("delta"))
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
        for at, item in enumerate(output if isinstance(output, list) else ()):
            if not isinstance(item, dict):
                continue
            self.seen(item.get("name"), item.get("arguments"), item.get("input"))
            spoken = self.spoken if item.get("type") == "message" else None
            for parts in (item.get("content"), item.get("summary")):
                for part in parts if isinstance(parts, list) else ():
                    if isinstance(part, dict):
                        self.seen(part.get("text"), part.get("refusal"))
                        if spoken is not None:
                            spoken.add(at, part.get("text"))

    def _read(self, response: Mapping[str, Any]) -> None:
        self.usage = openai_usage(response.get("usage"), "input", "output")
        details = response.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        self.ended(0, reason or response.get("status"))
