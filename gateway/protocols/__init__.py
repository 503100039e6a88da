"""Pure. What a request and its answer mean on the wire: `Route`, `Call`, `Usage`, `Answer`, and one `Dialect` a file.

A dialect is a file of this folder with one class: it recognises its paths, reads a request into `Call`s,
meters an answer, edits fields for clamps, and names the vendor whose words refusals are spoken in
(`gateway/refusals.py`). Dialects don't know each other. This folder is the only one that sees prompt text.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from gateway.refusals import Vendor
from gateway.usage import Usage

__all__ = ["Answer", "Call", "Dialect", "Json", "Meter", "Op", "Path", "Route"]

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
    "opaque",  # whatever we don't read
]

Kind = Literal["call", "upload", "batch", "opaque"]


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
    stream: bool = False
    n: int = 1  # choices asked for
    max_tokens: int | None = None  # the largest of the declared output ceilings, a choice; None = none declared
    messages: int = 0
    tools: int = 0  # tool definitions
    images: int = 0
    audio: int = 0
    temperature: float | None = None
    top_p: float | None = None
    logprobs: int | None = None  # None = not asked; else the number of alternatives (0 = only the chosen token)
    file: str | None = None  # the uploaded file that a batch works on
    ask_usage: bool = False  # a stream whose caller asked for its usage


class Answer(msgspec.Struct, frozen=True):
    """What a meter knows of an answer at its end."""

    usage: Usage = Usage()
    model: str | None = None
    id: str | None = None
    file: str | None = None  # the id that the model server gave an uploaded file
    finish: tuple[str, ...] = ()  # finish reasons, in the vendor's words
    complete: bool = False  # a whole JSON document, or a stream with its closing event


class Meter(ABC):
    """Reads the usage of one answer from its bytes as they pass. Any chunking gives the same result.

    Never raises: what can't be read is counted, and `Usage.source` says so. Memory is bounded.
    """

    @abstractmethod
    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        """The head of the answer has come."""

    @abstractmethod
    def feed(self, data: bytes) -> None:
        """The next bytes of the body, as they are on the wire (content coding included)."""

    @abstractmethod
    def finish(self) -> Answer:
        """The answer has ended, well or not."""


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
    def clampable(self, op: Op) -> Mapping[str, Path]:
        """Plain name of each numeric or boolean field that a policy may clamp -> its place in the body."""

    def rewrite(self, body: bytes, edits: Mapping[Path, Json]) -> bytes:
        """The body with these fields changed and nothing else; no edits give the same bytes back."""
        from gateway.wire.json import edit

        return edit(body, edits)
