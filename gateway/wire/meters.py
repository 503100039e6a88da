"""Pure. What answers have in common: a body taken apart into documents or events, and usage objects read with doubt."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.usage import Usage
from gateway.wire.coding import Decoder, decoder
from gateway.wire.sse import Events

__all__ = ["MAX_DOCUMENT", "MAX_TOKENS", "Body", "counted", "document_in", "is_usage_only", "openai_usage", "tokens"]

MAX_DOCUMENT = 8_388_608  # bytes of a JSON answer that are kept
MAX_TAIL = 16_384  # bytes of a longer one that are searched for its usage
MAX_TOKENS = 2**31  # of one answer; nobody has generated more
CHARACTERS = 4  # a token; the vendors' own rule of thumb
OBJECT = re.compile(rb"\{[^{}]*+(?:\{[^{}]*+\}[^{}]*+)*+\}")  # with objects in it, and none in those


def _nobody(*_: object) -> None:
    """Is told, and does nothing."""


class Body:
    """An answer's bytes, decoded and handed on: each server-sent event, or the JSON document at its end."""

    def __init__(self, event: Callable[[str, bytes], None], document: Callable[[Any], None], key: str) -> None:
        self.size = 0  # bytes, decoded where that is possible
        self.kind = "bytes"  # or events, document
        self.overflowed = False  # a document too large to be kept
        self._event = event
        self._document = document
        self._key = re.compile(rb'"%b"\s*+:\s*+' % key.encode("ascii"))
        self._name = key
        self._decoder: Decoder | None = None
        self._events = Events(MAX_DOCUMENT)  # the closing event of OpenAI's Responses repeats the whole answer
        self._kept = bytearray()

    def start(self, content_type: bytes, content_encoding: bytes) -> None:
        """The head of the answer has come."""
        media = content_type.split(b";")[0].strip().lower()
        self._decoder = decoder(content_encoding)
        if self._decoder is None:
            self.kind = "bytes"
        elif media == b"text/event-stream":
            self.kind = "events"
        elif media == b"application/json" or media.endswith(b"+json"):
            self.kind = "document"

    def feed(self, data: bytes) -> None:
        """The next bytes from the wire."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
        self.size += len(data)
        if self.kind == "events":
            for name, text in self._events.feed(data):
                self._event(name, text)
        elif self.kind == "document":
            self._kept += data
            if self.overflowed or len(self._kept) > MAX_DOCUMENT:
                self.overflowed = True
                del self._kept[:-MAX_TAIL]

    def finish(self) -> bool:
        """The answer has ended, and nothing comes after it: whether it was a whole JSON document."""
        try:
            return self._end()
        finally:  # who is told holds this body: a cycle, which would keep the answer until the collector comes by
            self._event = self._document = _nobody
            self._kept = bytearray()

    def _end(self) -> bool:
        sound = self._decoder is not None and self._decoder.finish()
        if self.kind != "document":
            return False
        if self.overflowed:
            self._search()
            return False
        value = document_in(self._kept) if sound else None
        if value is None:
            return False
        self._document(value)
        return True

    def _search(self) -> None:
        """Reads the usage at the end of a document that was too large; within a string its quotes would be escaped."""
        ends = [match.end() for match in self._key.finditer(self._kept)]
        usage = OBJECT.match(self._kept, ends[-1]) if ends else None
        if usage is not None:
            self._document({self._name: document_in(usage[0])})


def document_in(data: bytes | bytearray) -> Any:
    """The JSON value in these bytes; None for none, and for what is no JSON."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None


def tokens(value: object) -> int | None:
    """A number of tokens that can be true: 0 for None, None for what can't be believed."""
    if value is None:
        return 0
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def counted(characters: int) -> int:
    """Tokens that so many characters are about, rounded up."""
    return -(-characters // CHARACTERS)


def openai_usage(value: object, given: str = "prompt", made: str = "completion") -> Usage | None:
    """Usage of OpenAI's APIs: `{given}_tokens`, `{made}_tokens` and `_details`; None where it can't be believed."""
    if not isinstance(value, Mapping) or value.get(f"{given}_tokens") is None:
        return None
    details = (value.get(f"{given}_tokens_details") or {}, value.get(f"{made}_tokens_details") or {})
    if not all(isinstance(each, Mapping) for each in details):
        return None
    figures = (
        tokens(value.get(f"{given}_tokens")),
        tokens(value.get(f"{made}_tokens")),
        tokens(details[0].get("cached_tokens")),
        tokens(details[1].get("reasoning_tokens")),
    )
    read, written, cached, reasoning = figures
    if read is None or written is None or cached is None or reasoning is None:
        return None
    return Usage(read, written, cache_read=min(cached, read), reasoning=min(reasoning, written), source="upstream")


def is_usage_only(data: bytes) -> bool:
    """Whether an event is the extra one that `stream_options.include_usage` asks for: no choices, and a usage."""
    if b'"usage"' not in data or b'"choices"' not in data:
        return False
    value = document_in(data)
    return isinstance(value, dict) and value.get("choices") == [] and isinstance(value.get("usage"), dict)
