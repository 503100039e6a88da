"""Shell. A request as the stand-in reads it, the answers it gives, and errors in the words of each vendor."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
import orjson

from gateway.standin.answers import Answer, Manner, Wanted, compose, count, manner_of, seed_of, tag

__all__ = [
    "IMAGE",
    "MAX_KEPT",
    "Ask",
    "Fail",
    "Reply",
    "Shelf",
    "Stream",
    "Vendor",
    "answered",
    "behave",
    "composed",
    "limit_of",
    "objects",
    "parsed",
    "refused",
    "stops",
    "text_of",
    "tokens_of",
]

Vendor = Literal["openai", "anthropic", "gemini"]
IMAGE = 85  # tokens of whatever isn't text
MAX_DEPTH = 100
MAX_FILES = 100
MAX_WORK = 1_000_000  # tokens of all the answers to one request
MAX_KEPT = 64 * 1024 * 1024  # bytes
JSON = "application/json"

ANTHROPIC_TYPE = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
}
GEMINI_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


class Ask(msgspec.Struct, frozen=True):
    """One request. `seed` stands for its path and body; `args` are what the route found in the path."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    seed: bytes
    args: tuple[str, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """An answer in one piece."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    manner: Manner = Manner()


class Stream(msgspec.Struct, frozen=True):
    """An answer in events, one message of ASGI each."""

    events: Iterator[bytes]
    kind: str = "text/event-stream; charset=utf-8"
    manner: Manner = Manner()


class Fail(Exception):
    """The stand-in's own refusal, before anyone's dialect renders it."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


T = TypeVar("T")


class Shelf(Generic[T]):
    """What was stored, by id; the oldest gives way above 100 things or 64 MiB."""

    def __init__(self, most: int = MAX_FILES, kept: int = MAX_KEPT) -> None:
        self._most = most
        self._kept = kept
        self._things: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._bytes = 0

    def put(self, name: str, thing: T, size: int) -> None:
        """Stores `thing`; a thing of the same name is replaced."""
        self.take(name)
        self._things[name] = (thing, size)
        self._bytes += size
        while len(self._things) > self._most or (self._bytes > self._kept and len(self._things) > 1):
            self.take(next(iter(self._things)))

    def get(self, name: str) -> T | None:
        found = self._things.get(name)
        return None if found is None else found[0]

    def take(self, name: str) -> T | None:
        found = self._things.pop(name, None)
        if found is None:
            return None
        self._bytes -= found[1]
        return found[0]

    def all(self) -> list[T]:
        """Newest first, as the vendors list them."""
        return [thing for thing, _ in reversed(self._things.values())]


def parsed(body: bytes) -> dict[str, Any]:
    """A body as a JSON object of at most 100 levels. Fails with 400."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Fail(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(value, dict):
        raise Fail(400, "The body of your request must be a JSON object.")
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in _within(each)]
    if level:
        raise Fail(400, "The body of your request is nested too deeply.")
    return value


def _within(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def behave(model: Any) -> Manner:
    """How this model behaves. Fails where it names none, one that is missing, or one that always fails."""
    if not isinstance(model, str) or not model:
        raise Fail(400, "Missing required parameter: 'model'.", "missing_required_parameter", "model")
    if model.startswith("missing-"):
        raise Fail(404, f"The model '{model}' does not exist or you do not have access to it.", "model_not_found")
    manner = manner_of(model)
    if manner.status == 429:
        raise Fail(429, f"Rate limit reached for {model}. Please try again in 1s.", "rate_limit_exceeded")
    if manner.status != 200:
        raise Fail(manner.status, "The server had an error while processing your request.")
    return manner


def composed(seed: bytes, wanted: Wanted, manner: Manner, n: int) -> list[Answer]:
    """`n` different answers. Fails with 400 where they would have more than a million tokens."""
    each = min(manner.tokens or 50, wanted.limit or MAX_WORK)
    if n * each > MAX_WORK:
        raise Fail(
            400, f"{n} answers of {each} tokens are more than {MAX_WORK} in all.", "integer_above_max_value", "n"
        )
    return [compose(seed_of(seed, b"%d" % index), wanted, manner) for index in range(n)]


def limit_of(body: Mapping[str, Any], *names: str) -> int | None:
    """The number that the first given of these fields declares. Fails with 400 where it is no positive integer."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Fail(400, f"Invalid '{name}': expected an integer of at least 1.", "invalid_value", name)
        return value
    return None


def stops(value: Any) -> tuple[str, ...]:
    """Stop sequences, given as one or as a list."""
    given = value if isinstance(value, list) else [value]
    return tuple(each for each in given if isinstance(each, str) and each)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; anything else is none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def text_of(content: Any) -> str:
    """The text in a message's content, given as a string, a part, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content.get("text", ""))
    return "\n".join(filter(None, map(text_of, content))) if isinstance(content, list) else ""


def tokens_of(content: Any) -> int:
    """Tokens of a message's content: its text, a fixed sum for a picture or sound, and the JSON of any other part."""
    if isinstance(content, str):
        return count(content)
    if isinstance(content, list):
        return sum(map(tokens_of, content))
    if not isinstance(content, dict):
        return 0
    if isinstance(content.get("text"), str):
        return count(content["text"])
    if any(key in content for key in ("image_url", "input_audio", "inlineData", "inline_data", "source", "file")):
        return IMAGE
    return count(orjson.dumps(content).decode())


def answered(value: Any, manner: Manner | None = None) -> Reply:
    return Reply(orjson.dumps(value), manner=manner or Manner())


def refused(vendor: Vendor, fail: Fail, seed: bytes) -> Reply:
    """The error as this vendor words it."""
    error: dict[str, Any]
    if vendor == "openai":
        kind = {429: "requests", 500: "server_error"}.get(fail.status, "invalid_request_error")
        error = {"message": fail.message, "type": kind, "param": fail.param, "code": fail.code}
        value: dict[str, Any] = {"error": error}
    elif vendor == "anthropic":
        error = {"type": ANTHROPIC_TYPE.get(fail.status, "api_error"), "message": fail.message}
        value = {"type": "error", "error": error, "request_id": f"req_{tag(seed, 'request')}"}
    else:
        # Google answers a wrong key with 400, not 401.
        status = 400 if fail.status == 401 else fail.status
        error = {"code": status, "message": fail.message, "status": GEMINI_STATUS.get(status, "UNKNOWN")}
        prefix = "type.googleapis.com/google.rpc."
        if fail.status == 401:
            info = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
            error["details"] = [{"@type": f"{prefix}ErrorInfo", **info}]
        elif fail.status == 429:
            error["details"] = [{"@type": f"{prefix}RetryInfo", "retryDelay": "1s"}]
        value = {"error": error}
        return Reply(orjson.dumps(value), status, headers=_again(fail))
    return Reply(orjson.dumps(value), fail.status, headers=_again(fail))


def _again(fail: Fail) -> tuple[tuple[str, str], ...]:
    return (("retry-after", "1"),) if fail.status == 429 else ()
