"""Pure. What a request and its answer mean on the wire: `Route`, `Call`, `Usage`, `Answer`, and one `Dialect` a file.

A dialect is a file of this folder with one class: it recognises its paths, reads a request into `Call`s,
meters an answer, edits fields for clamps, and names the vendor whose words refusals are spoken in
(`gateway/refusals.py`). Dialects don't know each other. This folder is the only one that sees prompt text.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire.clamps import clamp_edits
from gateway.wire.json import edit
from gateway.wire.meters import Body, counted
from gateway.wire.refrain import Refrain
from gateway.wire.spoken import Spoken

__all__ = [
    "Answer",
    "Call",
    "Dialect",
    "Folded",
    "Hider",
    "Json",
    "Lines",
    "Meter",
    "Op",
    "ParseLine",
    "Path",
    "Reader",
    "Route",
    "openai_path",
]

MAX_NAME = 256  # characters of a model or an id in an answer
MAX_REASON = 64  # characters of a finish reason
MAX_ENDS = 1024  # choices whose finish reason is kept
PREFIXES = frozenset(("", "/v1", "/openai/v1", "/openai", "/api/v1", "/v1beta/openai"))
DEPLOYMENTS = "/openai/deployments/"

WIDE = 2.4
"""Characters of English that a character of another script weighs: 0.6 tokens against a quarter."""
MIXED = "mixed"
"""The model of a batch whose lines name several."""

Json = Any
"""A parsed JSON value: dict, list, str, int, float, bool or None."""

Path = tuple[str, ...]
"""The place of a field in a JSON object: ("generationConfig", "maxOutputTokens")."""

Op = Literal[
    "chat",
    "text_completion",
    "generate_content",
    "embeddings",
    "count_tokens",
    "upload",  # a file of batch lines, or any other file
    "batch",  # work that was uploaded before, or is listed in this body
    "realtime",  # a session over a WebSocket: what is said in it is metered and not read
    "opaque",  # whatever we don't read
]

Kind = Literal["call", "upload", "batch", "session", "opaque"]


class Route(msgspec.Struct, frozen=True, gc=False):
    """Which dialect speaks on this path, and what is asked there. `template` has bounded cardinality."""

    dialect: str
    vendor: Vendor
    template: str
    op: Op
    kind: Kind = "call"
    model: str | None = None  # where the path names it (Gemini)
    stream: bool | None = None  # where the path says it (Gemini)


class Call(msgspec.Struct, frozen=True):
    """One model call as the model server will understand it. Holds prompt text: never leaves edge and observe."""

    op: Op
    model: str | None
    body: Json  # the parsed object, for features
    text: tuple[str, ...] = ()  # every piece of text that the model reads, in order
    system: tuple[str, ...] = ()  # of that, what instructs the model for the whole conversation
    asked: tuple[str, ...] = ()  # of that, what a user says after the last answer and tool result: the fresh part
    said: str = ""  # the last answer in the history, its first text of more than blanks
    answers: int = 0  # the model's turns in the history; not one that the body ends with (a prefill)
    results: int = 0  # results of tools in the history
    user: str = ""  # the caller's own name for its end user
    bias: tuple[int, ...] = ()  # token ids whose logits are biased; at most `MAX_BIAS`
    structured: bool = False  # the answer must be JSON
    seeded: bool = False  # a seed is given: the same request shall give the same answer
    effort: bool = False  # reasoning is asked for by a parameter
    stream: bool = False
    n: int = 1  # choices asked for, over all prompts
    prompts: int = 1  # that are answered apart (text completions take several)
    max_tokens: int | None = None  # the largest of the declared output ceilings, a choice; None = none declared
    messages: int = 0
    tools: int = 0  # tool definitions
    images: int = 0
    audio: int = 0
    token_ids: int = 0  # of input that came as token ids, not as text
    temperature: float | None = None
    top_p: float | None = None
    logprobs: int | None = None  # None = not asked; else the number of alternatives (0 = only the chosen token)
    file: str | None = None  # the uploaded file that a batch works on
    background: bool = False  # the answer is made after this one has ended
    ask_usage: bool = False  # a stream whose caller asked for its usage


class Folded(msgspec.Struct, frozen=True, gc=False):
    """The bounded sum of a batch's lines."""

    lines: int = 0
    bad: int = 0  # lines that no dialect reads; the model server will refuse them
    model: str | None = None  # of the first line
    n: int = 0
    declared: int = 0  # sum over lines of output ceiling times choices
    undeclared: int = 0  # lines without a ceiling
    messages: int = 0
    tools: int = 0
    images: int = 0
    audio: int = 0
    chars: int = 0
    token_ids: int = 0
    ascii: bool = True

    def add(self, calls: Sequence[Call]) -> "Folded":
        """With these calls, each one a line."""
        return msgspec.structs.replace(
            self,
            lines=self.lines + len(calls),
            model=calls[0].model if not self.lines or self.model == calls[0].model else MIXED,
            n=self.n + sum(call.n for call in calls),
            declared=self.declared + sum((call.max_tokens or 0) * call.n for call in calls),
            undeclared=self.undeclared + sum(call.max_tokens is None for call in calls),
            messages=self.messages + sum(call.messages for call in calls),
            tools=self.tools + sum(call.tools for call in calls),
            images=self.images + sum(call.images for call in calls),
            audio=self.audio + sum(call.audio for call in calls),
            token_ids=self.token_ids + sum(call.token_ids for call in calls),
            chars=self.chars + sum(len(piece) for call in calls for piece in call.text),
            ascii=self.ascii and all(piece.isascii() for call in calls for piece in call.text),
        )

    def add_bad(self) -> "Folded":
        """With a line that nothing could be read from."""
        return msgspec.structs.replace(self, bad=self.bad + 1)


class Answer(msgspec.Struct, frozen=True):
    """What a meter knows of an answer at its end."""

    usage: Usage = Usage()
    model: str | None = None
    id: str | None = None
    file: str | None = None  # the id that the model server gave an uploaded file
    finish: tuple[str, ...] = ()  # finish reasons, in the vendor's words
    complete: bool = False  # a whole JSON document, or a stream with its closing event
    said: tuple[str, ...] = ()  # its texts, where a meter keeps them: they never leave edge and observe


class Meter(ABC):
    """Reads the usage of one answer from its bytes as they pass. Any chunking gives the same result.

    Never raises: what can't be read is counted, and `Usage.source` says so. Memory is bounded.
    """

    def keep(self) -> None:  # noqa: B027 - most have nothing to keep
        """Before the answer begins: a bounded part of its text shall be in `Answer.said`."""

    @abstractmethod
    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        """The head of the answer has come."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """The next bytes of the body, as they are on the wire (content coding included)."""

    @abstractmethod
    def finish(self) -> Answer:
        """The answer has ended, well or not."""


class Lines(ABC):
    """Folds the lines of an upload as its bytes stream through. Never raises; memory is bounded by one line."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """The next bytes of the request body."""

    @abstractmethod
    def finish(self) -> Folded | None:
        """The sum, or None where the upload is no batch."""


class Hider(Protocol):
    """Takes out of a stream what the caller did not ask for and we did. All other bytes pass unchanged."""

    def feed(self, data: bytes) -> bytes:
        """What of this data, and of data held back before, may pass on."""
        ...

    def finish(self) -> bytes:
        """What was still held back when the stream ended."""
        ...


ParseLine = Callable[[str, str, bytes], tuple[Call, ...] | None]
"""Method, path and body of a batch line -> its calls; None where no dialect speaks on that path. May raise Refusal."""


class Reader(Meter):
    """A meter that takes the body apart; a dialect's own reads its events and its document.

    Where the model server says nothing that can be believed, or the answer broke off, the visible text is counted.
    """

    key: ClassVar[str] = "usage"  # the field that holds the usage, for documents too large to be kept
    generates: ClassVar[bool] = True  # whether an answer without usage is counted

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.characters = 0  # of visible text
        self.closed = False  # the closing event has come
        self.spoken: Spoken | None = None  # what a dialect adds its answer's words to: no reasoning, no calls of tools
        self._model: str | None = None
        self._id: str | None = None
        self._finish: dict[int, str] = {}
        self._status = 0
        self._body = Body(self._next, self.document, self.key)
        self._refrain = Refrain()
        self._visible: list[str] | None = None  # what the event that is read was seen to say

    @abstractmethod
    def event(self, name: str, data: bytes) -> None:
        """The next server-sent event."""

    @abstractmethod
    def document(self, value: Json) -> None:
        """The answer's JSON document."""

    def _next(self, name: str, data: bytes) -> None:
        """The next event: most are like the one before but for their words."""
        refrain, spoken = self._refrain, self.spoken
        text = refrain.text(name, data)
        if text is not None:
            self.characters += len(text) if text.isascii() else ceil(len(text) * WIDE)
            if spoken is not None and refrain.at is not None:
                spoken.add(refrain.at, text)
            return
        visible: list[str] = []
        self._visible = visible
        if spoken is not None:
            spoken.last = None
        self.event(name, data)
        self._visible = None
        if len(visible) == 1:
            added = spoken.last if spoken is not None else None
            if added is None or added[1] == visible[0]:
                refrain.learn(name, data, visible[0], None if added is None else added[0])

    def keep(self) -> None:
        self.spoken = Spoken()

    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        self._status = status
        self._body.start(content_type, content_encoding)

    def feed(self, data: bytes) -> None:
        self._body.feed(data)

    def finish(self) -> Answer:
        complete = self._body.finish() or self.closed
        return Answer(
            usage=self._total(complete),
            model=self._model,
            id=self._id,
            finish=tuple(reason for _, reason in sorted(self._finish.items())),
            complete=complete,
            said=self.spoken.texts() if self.spoken is not None else (),
        )

    def named(self, model: object, identity: object) -> None:
        """Keeps the first model and id that the answer names."""
        if self._model is None and isinstance(model, str) and len(model) <= MAX_NAME:
            self._model = model
        if self._id is None and isinstance(identity, str) and len(identity) <= MAX_NAME:
            self._id = identity

    def ended(self, choice: object, reason: object) -> None:
        """Keeps why a choice ended."""
        if isinstance(reason, str) and len(reason) <= MAX_REASON and isinstance(choice, int) and 0 <= choice < MAX_ENDS:
            self._finish[choice] = reason

    def seen(self, *pieces: object) -> None:
        """Counts visible text; what is no text counts nothing."""
        for piece in pieces:
            if isinstance(piece, str) and piece:  # in scripts where a character is a word, it is a token too
                if self._visible is not None:
                    self._visible.append(piece)
                self.characters += len(piece) if piece.isascii() else ceil(len(piece) * WIDE)

    def _total(self, complete: bool) -> Usage:
        if not 0 < self._status < 400:
            return Usage()
        body = self._body
        unread = body.size if body.kind != "events" and not complete and self.usage is None else 0
        output = counted(self.characters + unread) if self.generates else 0
        if self.usage is None:
            return Usage(output=output, source="counted")
        if complete or body.overflowed or self.usage.output >= output:
            return self.usage
        return msgspec.structs.replace(self.usage, output=output, source="counted")


class Dialect(ABC):
    """One dialect of the wire. Instances hold no state."""

    vendor: ClassVar[Vendor]
    provider: ClassVar[str]  # OpenTelemetry `gen_ai.provider.name`

    @abstractmethod
    def match(self, method: str, path: str) -> Route | None:
        """The route of this request, or None if it isn't spoken here. `path` is the raw target without its query."""

    @abstractmethod
    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        """The calls in this body. Raises `Refusal` (400) for what we and the model server might read differently."""

    @abstractmethod
    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        """A fresh meter for the answer to these calls."""

    @abstractmethod
    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        """Plain name of each numeric or boolean field that a policy may clamp -> its places in the body.

        The first place is the one for a body that has none of them.
        """

    def clamp(self, op: Op, body: Json, clamp: Mapping[str, tuple[Json, Json]]) -> dict[Path, Json]:
        """Edits after which this parsed body keeps to a clamp: plain name -> (what was asked, what may pass).

        Fields that can't be said in this operation change nothing. See `gateway.wire.clamps`.
        """
        return clamp_edits(clamp, self.clampable(op), body)

    def rewrite(self, body: bytes, edits: Mapping[Path, Json]) -> bytes:
        """The body with these fields changed and nothing else; no edits give the same bytes back."""
        return edit(body, edits)

    def ask_usage(self, route: Route, body: bytes) -> bytes | None:
        """The body with the stream's usage asked for; None where there is nothing to ask or the caller did."""
        return None

    def hider(self, route: Route) -> Hider | None:
        """Takes the usage that `ask_usage` asked for out of the answer again."""
        return None

    def lines(self, route: Route, content_type: bytes, parse_line: ParseLine) -> Lines | None:
        """A fold over the lines of this upload; None where it has none."""
        return None


def openai_path(path: str, leaf: str) -> tuple[str, str | None] | None:
    """Template, and the model where the path names it (Azure's deployments), of an OpenAI path that ends in `leaf`."""
    if not path.endswith(leaf):
        return None
    prefix = path[: -len(leaf)]
    if prefix in PREFIXES:
        return prefix + leaf, None
    deployment = prefix.removeprefix(DEPLOYMENTS)
    if deployment != prefix and deployment and "/" not in deployment:
        return f"{DEPLOYMENTS}{{model}}{leaf}", deployment
    return None
