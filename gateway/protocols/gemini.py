"""Pure. Gemini: generation, embeddings and counting on models and tuned models.

Google's reader takes each field in camelCase and in snake_case. Both are read here, and both at once are refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.errors import Refusal
from gateway.protocols import Answer, Call, Dialect, Json, Meter, Op, Path, Reader, Route
from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire import fields
from gateway.wire.asked import member, thinks
from gateway.wire.fields import Names, Object
from gateway.wire.json import parse
from gateway.wire.meters import document_in, tokens
from gateway.wire.turns import Turns, first_text

__all__ = ["Gemini"]

PATH = re.compile(r"/(v1beta|v1alpha|v1)/(models|tunedModels)/([^/:]+):([A-Za-z]+)")
OPS: dict[str, Op] = {
    "generateContent": "generate_content",
    "streamGenerateContent": "generate_content",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "countTokens": "count_tokens",
}
METHODS = {name.lower(): name for name in OPS}


def _spellings(name: str) -> tuple[str, ...]:
    snake = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
    return (name,) if snake == name else (name, snake)


def _names(*names: str) -> Names:
    return Names(spelling for name in names for spelling in _spellings(name))


def _places(*path: str) -> tuple[Path, ...]:
    places: tuple[Path, ...] = ((),)
    for step in path:
        places = tuple((*place, spelling) for place in places for spelling in _spellings(step))
    return places


FIELDS = _names(
    "contents", "content", "systemInstruction", "generationConfig", "tools", "requests", "generateContentRequest"
)
CONFIG = _names("maxOutputTokens", "candidateCount", "temperature", "topP", "responseLogprobs", "logprobs")
CLAMPABLE: Mapping[str, tuple[Path, ...]] = {
    "temperature": _places("generationConfig", "temperature"),
    "top_p": _places("generationConfig", "topP"),
    "n": _places("generationConfig", "candidateCount"),
    "max_tokens": _places("generationConfig", "maxOutputTokens"),
    "logprobs": _places("generationConfig", "responseLogprobs"),
    "top_logprobs": _places("generationConfig", "logprobs"),
}
SPELLINGS = {
    name: _spellings(name)
    for name in (
        *("systemInstruction", "generationConfig", "generateContentRequest"),
        *("maxOutputTokens", "candidateCount", "topP", "responseLogprobs", "responseMimeType"),
        *("responseSchema", "responseJsonSchema", "thinkingConfig"),
        *("thinkingBudget", "thinkingLevel", "includeThoughts"),
        *("inlineData", "fileData", "mimeType", "functionCall", "functionResponse"),
        *("executableCode", "codeExecutionResult", "functionDeclarations", "parametersJsonSchema"),
    )
}


class Gemini(Dialect):
    """POST /{v1beta,v1alpha,v1}/{models,tunedModels}/NAME:METHOD. Source: Gemini API reference."""

    vendor: ClassVar[Vendor] = "gemini"
    provider = "gcp.gemini"

    def match(self, method: str, path: str) -> Route | None:
        found = PATH.fullmatch(path) if method == "POST" else None
        if found is None:
            return None
        version, kind, name, asked = found.groups()
        verb = METHODS.get(asked.lower())
        if verb is None:
            return None
        model = name if kind == "models" else f"tunedModels/{name}"
        template = f"/{version}/{kind}/{{model}}:{verb}"
        stream = verb == "streamGenerateContent"
        return Route("gemini", "gemini", template, OPS[verb], model=model, stream=stream)

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        FIELDS.check(value)
        model = fields.word(route.model, "model")
        request = value
        inner = _get(value, "generateContentRequest")
        if inner is not None:  # of countTokens
            request = fields.obj(inner, "generateContentRequest")
            FIELDS.check(request)
        config = fields.obj(_get(request, "generationConfig"), "generationConfig")
        CONFIG.check(config)
        turns = _Turns()
        turns.content(_get(request, "systemInstruction"), "systemInstruction")
        turns.by_system(0)
        contents = [*fields.items(value.get("contents"), "contents")]
        if request is not value:
            contents += fields.items(request.get("contents"), "contents")
        if value.get("content") is not None:
            contents.append(value["content"])
        for each in fields.items(value.get("requests"), "requests"):
            contents.append(fields.obj(each, "requests").get("content"))
        if route.op == "embeddings":
            for content in contents:
                turns.by_user(turns.content(content, "contents"))
        else:
            turns.read(contents)
        tools = 0
        for tool in fields.items(request.get("tools"), "tools"):
            tools += turns.tool(fields.obj(tool, "tools"))
        alternatives = fields.count(config.get("logprobs"), "generationConfig.logprobs")
        asked = fields.flag(_get(config, "responseLogprobs"), "generationConfig.responseLogprobs")
        call = Call(
            op=route.op,
            model=model,
            body=value,
            text=tuple(turns.text),
            system=tuple(turns.system),
            asked=tuple(turns.asked),
            said=turns.said(),
            answers=turns.answers,
            results=turns.results,
            structured=_structured(config),
            seeded=type(config.get("seed")) is int,
            effort=_effort(_given(config, "thinkingConfig")),
            stream=bool(route.stream),
            n=fields.count(_get(config, "candidateCount"), "generationConfig.candidateCount", 1, fields.MAX_CHOICES)
            or 1,
            max_tokens=fields.count(_get(config, "maxOutputTokens"), "generationConfig.maxOutputTokens"),
            messages=len(contents),
            tools=tools,
            images=turns.images,
            audio=turns.audio,
            temperature=fields.number(config.get("temperature"), "generationConfig.temperature"),
            top_p=fields.number(_get(config, "topP"), "generationConfig.topP"),
            logprobs=(alternatives or 0) if asked or alternatives else None,
        )
        return (call,)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _GenerateMeter() if route.op == "generate_content" else _QuietMeter(route.op)

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return CLAMPABLE if op == "generate_content" else {}


def _get(value: Object, name: str) -> Any:
    """The field in either spelling. Raises Refusal (400, `ambiguous_field`) where both are there."""
    camel, snake = SPELLINGS[name]
    if snake not in value:
        return value.get(camel)
    if camel in value:
        raise Refusal("bad_request", 400, "ambiguous_field", f"{name} is spelled in two ways.", param=name)
    return value[snake]


def _given(value: Object, name: str) -> Any:
    """The field in the spelling that says something; nothing is refused. None where there is neither."""
    camel, snake = SPELLINGS[name]
    found = value.get(camel)
    return value.get(snake) if found is None else found


def _structured(config: Object) -> bool:
    if not config:
        return False
    kind = _given(config, "responseMimeType")
    if type(kind) is str and kind.lower() == "application/json":
        return True
    return type(_given(config, "responseSchema")) is dict or type(_given(config, "responseJsonSchema")) is dict


def _effort(thinking: Json) -> bool:
    """A budget (-1 lets the model choose, 0 is none), a level, or the thoughts themselves."""
    if type(thinking) is not dict:
        return False
    budget, level = _given(thinking, "thinkingBudget"), _given(thinking, "thinkingLevel")
    if type(budget) is int and budget:
        return True
    return (type(level) is str and thinks(level.lower())) or _given(thinking, "includeThoughts") is True


class _Turns(Turns):
    """The contents, part by part. What the model's own code printed stands in its answer, and is part of it."""

    def read(self, contents: list[Any]) -> None:
        for content in contents:
            start = self.content(content, "contents")
            if member(content, "role") == "model":
                self.by_model(start, content)
            else:  # user, function, or unset, which is a user
                self.by_user(start)

    def spoken(self, answer: Any) -> str:
        parts = member(answer, "parts") or ()
        return first_text(part.get("text") for part in parts if not part.get("thought"))

    def add(self, piece: str) -> None:
        if piece:
            self.text.append(piece)

    def content(self, content: Any, param: str) -> int:
        """Returns where the pieces start that stand behind the last result of a tool."""
        start = len(self.text)
        for part in fields.items(fields.obj(content, param).get("parts"), f"{param}.parts"):
            if type(part) is not dict:
                fields.wrong(f"{param}.parts", "an array of objects")
            if "text" in part:
                self.add(fields.text(part["text"], f"{param}.parts.text"))
                if len(part) == 1:
                    continue
            for name in ("inlineData", "fileData"):
                data = fields.obj(_get(part, name), f"{param}.parts.{name}")
                kind = fields.text(_get(data, "mimeType"), f"{param}.parts.{name}.mimeType").lower()
                self.images += kind.startswith("image/")
                self.audio += kind.startswith("audio/")
            for name, inner in (("functionCall", "args"), ("functionResponse", "response")):
                called = fields.obj(_get(part, name), f"{param}.parts.{name}")
                self.add(fields.text(called.get("name"), f"{param}.parts.{name}.name"))
                self.add(fields.compact(called.get(inner)))
            if called:  # the response of a function, the last of the two
                self.by_tool()
                start = len(self.text)
            for name, inner in (("executableCode", "code"), ("codeExecutionResult", "output")):
                code = fields.obj(_get(part, name), f"{param}.parts.{name}")
                self.add(fields.text(code.get(inner), f"{param}.parts.{name}.{inner}"))
        return start

    def tool(self, tool: Object) -> int:
        """Returns how many tools this one defines; what Google runs itself (search, code) is one."""
        declarations = fields.items(_get(tool, "functionDeclarations"), "tools.functionDeclarations")
        for each in declarations:
            declared = fields.obj(each, "tools.functionDeclarations")
            self.add(fields.text(declared.get("name"), "tools.functionDeclarations.name"))
            self.add(fields.text(declared.get("description"), "tools.functionDeclarations.description"))
            self.add(fields.compact(declared.get("parameters") or _get(declared, "parametersJsonSchema")))
        others = len(tool) - any(name in tool for name in SPELLINGS["functionDeclarations"])
        return len(declarations) + others


def _usage(value: Json) -> Usage | None:
    """`usageMetadata`; thinking is reported apart from the candidates, and is output. None for what can't be true."""
    if not isinstance(value, dict) or value.get("promptTokenCount") is None:
        return None
    names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    figures = [tokens(value.get(name)) for name in (*names, "cachedContentTokenCount")]
    read, used, written, thought, cached = figures
    if read is None or used is None or written is None or thought is None or cached is None:
        return None
    return Usage(read + used, written + thought, min(cached, read), reasoning=thought, source="upstream")


class _GenerateMeter(Reader):
    """`usageMetadata` of the last chunk: server-sent events, or without `alt=sse` one array of chunks."""

    key = "usageMetadata"

    def event(self, name: str, data: bytes) -> None:
        self._chunk(document_in(data))

    def document(self, value: Json) -> None:
        for chunk in value if isinstance(value, list) else (value,):
            self._chunk(chunk)

    def _chunk(self, value: Json) -> None:
        if not isinstance(value, dict):
            return
        self.named(value.get("modelVersion"), value.get("responseId"))
        if value.get("usageMetadata") is not None:
            self.usage = _usage(value["usageMetadata"])
        feedback = value.get("promptFeedback")
        if isinstance(feedback, dict) and isinstance(feedback.get("blockReason"), str):
            self.ended(0, feedback["blockReason"])
            self.closed = True
        candidates = value.get("candidates")
        for at, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            if not isinstance(candidate, dict):
                continue
            reason = candidate.get("finishReason")
            if isinstance(reason, str):
                self.ended(candidate.get("index", at), reason)
                self.closed = True
            content = candidate.get("content")
            parts = content.get("parts") if isinstance(content, dict) else None
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict):
                    self._part(part)
                    if self.spoken is not None and not part.get("thought"):
                        self.spoken.add(candidate.get("index", at), part.get("text"))

    def _part(self, part: Object) -> None:
        self.seen(part.get("text"))
        called = part.get("functionCall")
        if isinstance(called, dict):
            self.seen(called.get("name"), fields.compact(called.get("args")))
        code = part.get("executableCode")
        if isinstance(code, dict):
            self.seen(code.get("code"))


class _QuietMeter(Reader):
    """Embeddings, whose answers hold a usage in some versions, and counts, which cost nothing."""

    key = "usageMetadata"
    generates = False

    def __init__(self, op: Op) -> None:
        super().__init__()
        self._op = op

    def event(self, name: str, data: bytes) -> None:
        """Neither is streamed."""

    def document(self, value: Json) -> None:
        if isinstance(value, dict) and self._op == "embeddings":
            self.usage = _usage(value.get("usageMetadata"))

    def finish(self) -> Answer:
        answer = super().finish()
        if self._op == "embeddings" or answer.usage.source == "none":
            return answer
        return Answer(usage=Usage(source="upstream"), complete=answer.complete)
