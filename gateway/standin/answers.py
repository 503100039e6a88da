"""Shell. What the stand-in says: text, JSON or a tool call, as long as it is told, derived from a hash alone."""

import hashlib
import re
from collections import deque
from typing import Any, Literal

import msgspec
import orjson

from gateway.standin.schemas import fit

__all__ = [
    "Answer",
    "Manner",
    "Tool",
    "Wanted",
    "compose",
    "count",
    "created",
    "groups",
    "logprob",
    "manner_of",
    "number",
    "seed_of",
    "tag",
]

MAX_TOKENS = 100_000
MAX_DELAY = 60_000  # ms
MAX_EVENTS = 1000  # of one streamed answer; longer ones carry several tokens an event
SLOW = 50  # ms
EPOCH = 1_700_000_000
VOCABULARY = (
    "the a this each every one some most that which of in for with from over under near after before "
    "stone river cloud garden letter signal bridge window market paper engine valley winter forest copper silver "
    "moves holds keeps finds makes takes turns grows opens waits calls sends shows meets leads rests "
    "small quiet bright early plain steady narrow gentle slow warm firm"
)
WORDS = VOCABULARY.split()
PIECE = re.compile(r" ?\w{1,6}|\s|[^\w\s]")
ASKS_FOR_TOOL = re.compile(r"\btools?\b", re.IGNORECASE)
LONG = 1_000_000  # characters; beyond it tokens are estimated from the length alone


class Manner(msgspec.Struct, frozen=True, gc=False):
    """How a model behaves, said by its name. `delay` in seconds, before each event of a stream."""

    delay: float = 0.0
    status: int = 200
    die: bool = False
    usage: bool = True
    tokens: int | None = None


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call; `schema` is the JSON Schema of its arguments."""

    name: str
    schema: Any = None


class Wanted(msgspec.Struct, frozen=True):
    """What the dialects have in common. `last` is the text of the last message, empty unless a user wrote it."""

    last: str = ""
    tools: tuple[Tool, ...] = ()
    forced: bool = False  # a tool must be called
    json: bool = False
    schema: Any = None
    limit: int | None = None  # tokens
    stop: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """One choice. `pieces` are its tokens: joined, they are the text, the JSON, or the arguments of `tool`."""

    pieces: tuple[str, ...]
    finish: Literal["stop", "length", "tool", "sequence"] = "stop"
    tool: str | None = None
    sequence: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def arguments(self) -> Any:
        """The tool's arguments as an object; empty where the answer was cut short."""
        return {} if self.finish == "length" else orjson.loads(self.text)


def manner_of(model: str) -> Manner:
    """Reads `standin-…` anywhere in a model's name. Words may be combined: `standin-slow-20-tokens-500`."""
    _, found, rest = model.partition("standin-")
    delay, status, die, usage = 0, 200, False, True
    tokens: int | None = None
    words = deque(rest.split("-") if found else ())
    while words:
        word = words.popleft()
        if word == "slow":
            delay = min(_figure(words, SLOW), MAX_DELAY)
        elif word == "tokens":
            tokens = min(_figure(words, 0), MAX_TOKENS) or None
        elif word == "die":
            die = True
        elif word == "nousage":
            usage = False
        elif word in ("429", "500"):
            status = int(word)
    return Manner(delay / 1000, status, die, usage, tokens)


def _figure(words: deque[str], otherwise: int) -> int:
    """Takes the next word where it is a number."""
    if words and words[0].isascii() and words[0].isdecimal():
        return int(words.popleft()[:9])
    return otherwise


def seed_of(*parts: bytes) -> bytes:
    """16 bytes that stand for these parts, in this order."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        state.update(b"%d:" % len(part))
        state.update(part)
    return state.digest()


def number(seed: bytes, what: str, below: int) -> int:
    return int.from_bytes(seed_of(seed, what.encode())[:8], "big") % below


def tag(seed: bytes, what: str, length: int = 24) -> str:
    """Hexadecimal digits for an id, at most 64."""
    return hashlib.blake2b(seed + what.encode(), digest_size=32).hexdigest()[:length]


def created(seed: bytes) -> int:
    """Unix seconds that a real answer might carry."""
    return EPOCH + number(seed, "created", 50_000_000)


def logprob(seed: bytes, index: int, rank: int = 0) -> float:
    """Of the token at `index`: the chosen one has rank 0, its alternatives are less likely."""
    return -(number(seed, f"p{index}", 900) / 1000 + rank * 1.5 + 0.001)


def count(text: str) -> int:
    """Tokens: a word of up to six letters with the space before it is one, and so is each other character."""
    if len(text) > LONG:
        return len(text) // 5
    return len(PIECE.findall(text))


def compose(seed: bytes, wanted: Wanted, manner: Manner) -> Answer:
    """A tool call if one is forced or asked for, else JSON if wanted, else text; cut at stops and the limit."""
    tool = wanted.tools[0] if wanted.tools and (wanted.forced or ASKS_FOR_TOOL.search(wanted.last)) else None
    if tool is not None:
        schema = tool.schema if isinstance(tool.schema, dict) else {"type": "object"}
        pieces = _split(orjson.dumps(fit({"type": "object", **schema}, seed)).decode())
    elif wanted.json:
        schema = wanted.schema if isinstance(wanted.schema, dict) else ANY_OBJECT
        pieces = _split(orjson.dumps(fit(schema, seed)).decode())
    else:
        pieces = _prose(seed, manner.tokens or 30 + number(seed, "length", 21))
    sequence = None
    if tool is None and wanted.stop:
        pieces, sequence = _stopped(pieces, wanted.stop)
    if wanted.limit is not None and len(pieces) > wanted.limit:
        return Answer(pieces[: wanted.limit], "length", tool.name if tool else None)
    if tool is not None:
        return Answer(pieces, "tool", tool.name)
    return Answer(pieces, "stop" if sequence is None else "sequence", None, sequence)


ANY_OBJECT = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}


def groups(pieces: tuple[str, ...]) -> list[tuple[str, ...]]:
    """What each event of a stream carries: a token, or more where the answer is long."""
    size = max(1, -(-len(pieces) // MAX_EVENTS))
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def _split(text: str) -> tuple[str, ...]:
    return tuple(PIECE.findall(text))


def _prose(seed: bytes, length: int) -> tuple[str, ...]:
    """Exactly `length` tokens of sentences."""
    pieces = []
    fresh = True
    for index, byte in enumerate(hashlib.shake_128(seed).digest(length)):
        if index % 12 == 11 or (index == length - 1 and index > 0):
            pieces.append(".")
            fresh = True
            continue
        word = WORDS[byte % len(WORDS)]
        pieces.append(("" if index == 0 else " ") + (word.capitalize() if fresh else word))
        fresh = False
    return tuple(pieces)


def _stopped(pieces: tuple[str, ...], stop: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    text = "".join(pieces)
    places = [(text.find(each), each) for each in stop if each and each in text]
    if not places:
        return pieces, None
    at, sequence = min(places)
    return _split(text[:at]), sequence
