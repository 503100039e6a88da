"""Pure. OpenAI embeddings: texts or token ids in, vectors out."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import Call, Dialect, Json, Meter, Op, Path, Reader, Route, openai_path
from gateway.refusals import Vendor
from gateway.wire import fields
from gateway.wire.asked import user_of
from gateway.wire.fields import Names
from gateway.wire.json import parse
from gateway.wire.meters import openai_usage

__all__ = ["OpenAIEmbeddings"]

FIELDS = Names(("model", "input"))


class OpenAIEmbeddings(Dialect):
    """POST /v1/embeddings (also without `/v1`, and Azure's deployments). Source: OpenAI API reference."""

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        found = openai_path(path, "/embeddings") if method == "POST" else None
        if found is None:
            return None
        return Route("openai_embeddings", "openai", found[0], "embeddings", model=found[1])

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        value = parse(body)
        if type(value) is not dict:
            fields.wrong("body", "a JSON object")
        FIELDS.check(value)
        collected: list[str] = []
        token_ids = _inputs(value.get("input"), collected)
        model = fields.word(value.get("model"), "model")
        text = tuple(collected)
        call = Call(
            op="embeddings",
            model=route.model or model,
            body=value,
            text=text,
            asked=text,
            user=user_of(value),
            token_ids=token_ids,
        )
        return (call,)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _EmbeddingMeter()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return {}


def _inputs(value: Any, text: list[str]) -> int:
    """Collects the inputs' text; returns how many token ids there are."""
    if value is None:
        return 0
    if type(value) is str:
        text.append(value)
        return 0
    given = fields.items(value, "input")
    if given and all(type(piece) is int for piece in given):
        return len(given)
    token_ids = 0
    for piece in given:
        if type(piece) is str:
            text.append(piece)
        elif type(piece) is list and all(type(token) is int for token in piece):
            token_ids += len(piece)
        else:
            fields.wrong("input", "a string, or an array of strings, of token ids, or of arrays of token ids")
    return token_ids


class _EmbeddingMeter(Reader):
    """`usage.prompt_tokens`; nothing is generated."""

    generates = False

    def event(self, name: str, data: bytes) -> None:
        """Embeddings are not streamed."""

    def document(self, value: Json) -> None:
        if isinstance(value, dict):
            self.named(value.get("model"), None)
            self.usage = openai_usage(value.get("usage"))
