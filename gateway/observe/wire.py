"""Pure. A request as it stood on the wire, out of a log -> what the gateway would have observed of it.

The entry for raw traffic: text goes in, and what comes out has numbers, enums and names only, as everywhere below
`observe`. Nothing is decided here but what the gateway refuses before it judges: a malformed head or body.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256

import msgspec

from gateway import dialects
from gateway.errors import Refusal
from gateway.observe import VERSION, Fold, Observation, Prints, observe, observe_folded
from gateway.observe.answers import answer_pieces
from gateway.protocols import Call, Dialect, Route
from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire.http import canonical, check_head, check_target
from gateway.wire.meters import openai_usage, tokens

__all__ = ["Wire", "form_of", "from_wire", "pieces_of", "usage_of"]

HEADS = 256  # of requests that are remembered
HOST = (b"host", b"log")  # no log keeps it, and no request is without
ANTHROPIC = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
GEMINI = (
    *("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount"),
    "cachedContentTokenCount",
)


class Wire(msgspec.Struct, frozen=True):
    """One request without its text."""

    seen: Observation
    refused: str = ""  # code of the refusal that came before judging
    status: int = 0  # of that refusal
    nameless: bool = False  # refused by its head, before anybody asked who it was
    folded: Observation | None = None  # the sum of an upload's lines; None = no upload of a batch


def from_wire(method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes, prints: Prints) -> Wire:
    """What the gateway sees of a request. `path` is the target as sent, query included; header names are lower case.

    Never raises: what the gateway would refuse comes back with the refusal's code and status.
    """
    route: Route | None = None
    nameless = True
    agent = next((value for name, value in headers if name == b"user-agent"), b"")
    try:
        found = _headed(method, path, tuple(headers))
        nameless = False
        if isinstance(found, str):
            return Wire(observe(dialects.OPAQUE[found], (), len(body), prints, agent))
        dialect, route = found
        if route.kind == "upload":
            return _upload(dialect, route, headers, body, prints)
        return Wire(observe(route, dialect.parse(route, body), len(body), prints, agent))
    except Refusal as refusal:
        return Wire(_unread(route, 0 if nameless else len(body)), refusal.code, refusal.status, nameless)


@lru_cache(HEADS)
def _headed(method: str, path: str, headers: tuple[tuple[bytes, bytes], ...]) -> tuple[Dialect, Route] | Vendor:
    """Who speaks on this path, or whose words are the likeliest. A log has few heads. Raises what the gateway would."""
    target = path.encode("utf-8", "surrogatepass")
    check_target(target)
    raw, _, query = target.partition(b"?")
    check_head(method, "1.1", [HOST, *headers] if all(pair[0] != b"host" for pair in headers) else headers, query)
    found = dialects.match(method, canonical(raw))
    return found if found is not None else dialects.vendor_of(raw.decode("latin-1"), [name for name, _ in headers])


def form_of(purpose: str, filename: str, content_type: str, text: str) -> tuple[bytes, bytes]:
    """The multipart form (RFC 7578) of a file upload, as a client would send it: its Content-Type, its bytes."""
    content = text.encode("utf-8", "surrogatepass")
    boundary = b"gauger-" + sha256(content).hexdigest()[:32].encode()  # nobody can have it in the file by accident
    parts = (
        b'content-disposition: form-data; name="purpose"\r\n\r\n' + purpose.encode("utf-8", "replace"),
        b'content-disposition: form-data; name="file"; filename="%s"\r\ncontent-type: %s\r\n\r\n%s'
        % (_quoted(filename), _quoted(content_type), content),
    )
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary, part) for part in parts) + b"--%s--\r\n" % boundary
    return b"multipart/form-data; boundary=" + boundary, body


def pieces_of(method: str, path: str, response: bytes, text: object, prints: Prints) -> tuple[int, ...]:
    """The fingerprints that an answer is remembered by. `response`: the JSON document that it was, b"null" for none.

    `text`: what a log kept of it instead, where that is a string. Never raises: an answer that isn't read has none.
    """
    if response == b"null":
        return answer_pieces((text,), prints) if isinstance(text, str) else ()
    found = dialects.match(method, canonical(path.encode("utf-8", "surrogatepass").partition(b"?")[0]))
    if found is None:
        return ()
    dialect, route = found
    meter = dialect.meter(route, ())
    meter.keep()
    meter.start(200, b"application/json", b"")
    meter.feed(response)
    return answer_pieces(meter.finish().said, prints)


def usage_of(value: object, made: int | None = None) -> Usage:
    """Tokens of an answer from the usage that a log kept of it, in OpenAI's, Anthropic's or Gemini's spelling.

    `made` is the log's own count of output tokens: all that there is where the usage is missing or can't be believed.
    """
    found = None
    if isinstance(value, Mapping):
        if "prompt_tokens" in value:
            found = openai_usage(value)
        elif "input_tokens" in value and not value.keys().isdisjoint(ANTHROPIC[2:]):
            found = _anthropic(value)
        elif "input_tokens" in value:  # OpenAI's Responses; Anthropic's without a cache reads the same
            found = openai_usage(value, "input", "output")
        elif "promptTokenCount" in value:
            found = _gemini(value)
    if found is not None:
        return found
    counted = tokens(made)
    return Usage(output=counted, source="counted") if counted else Usage()


def _upload(
    dialect: Dialect, route: Route, headers: Sequence[tuple[bytes, bytes]], body: bytes, prints: Prints
) -> Wire:
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    fold = Fold(prints)
    lines = dialect.lines(route, content_type, fold.watch(_parse_line))
    folded = None
    if lines is not None:
        lines.feed(body)
        sums = lines.finish()
        folded = observe_folded(route, sums, len(body), fold.features()) if sums is not None else None
    return Wire(observe(route, (), len(body), prints), folded=folded)


def _parse_line(method: str, path: str, body: bytes) -> tuple[Call, ...] | None:
    found = dialects.match(method, path)
    return None if found is None or found[1].kind != "call" else found[0].parse(found[1], body)


def _unread(route: Route | None, size: int) -> Observation:
    if route is None:
        return Observation(VERSION, op="rejected", bytes=size)
    return Observation(VERSION, dialect=route.dialect, op=route.op, route=route.template, bytes=size)


def _quoted(text: str) -> bytes:
    """Fit for a header of a part: no quotes, no line ends (RFC 7578 section 4.2 leaves them to `%xx`)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode("utf-8", "replace")


def _anthropic(value: Mapping[str, object]) -> Usage | None:
    read, written, cached, stored = (tokens(value.get(name)) for name in ANTHROPIC)
    if read is None or written is None or cached is None or stored is None:
        return None
    return Usage(read + cached + stored, written, cached, stored, source="upstream")


def _gemini(value: Mapping[str, object]) -> Usage | None:
    read, used, written, thought, cached = (tokens(value.get(name)) for name in GEMINI)
    if read is None or used is None or written is None or thought is None or cached is None:
        return None
    return Usage(read + used, written + thought, min(cached, read), reasoning=thought, source="upstream")
