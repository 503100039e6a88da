"""Pure. Call -> Observation. Prompt text ends here: below this folder there are numbers, enums and keyed hashes.

`Observation` (what one request looks like) is, with `Caller` (who asks), all that the rest of the gateway learns of a
request; both are written to the ledger, and replay needs nothing else. It doesn't depend on the policy.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from gateway.observe.features import Features, features
from gateway.observe.fold import Fold
from gateway.observe.prints import Prints
from gateway.protocols import Call, Folded, Route

__all__ = ["VERSION", "Fold", "Observation", "Prints", "client_of", "observe", "observe_folded", "safe_name"]

VERSION = 3
MAX_NAME = 128  # characters of a model name; the longest public ones (fine-tunes) have about 90
MAX_CLIENT = 32  # characters of a product's name; most API keys are longer
CLIENT_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._+-")
NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-")


class Observation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The features of one request, or the bounded sum of a batch's lines. No text, no key."""

    v: int = 1  # `VERSION` in what this one writes; a row without it is of the first
    dialect: str = "opaque"
    op: str = "opaque"
    route: str = "other"  # the path's template
    model: str | None = None  # as asked for, if it has at most 128 safe characters, else "other"
    stream: bool = False
    n: int = 1  # choices, over all prompts
    prompts: int = 1  # that are answered apart
    max_tokens: int | None = None  # declared output ceiling a choice, tokens
    messages: int = 0
    tools: int = 0
    images: int = 0
    audio: int = 0
    temperature: float | None = None
    top_p: float | None = None
    logprobs: int | None = None
    bytes: int = 0  # of the request body as received; 0 where it streams through
    chars: int = 0  # of the text that the model reads
    token_ids: int = 0  # tokens that were sent as ids
    ascii: bool = True  # whether that text is all ASCII (tokens per character differ)
    background: bool = False  # the answer is made after this one has ended
    lines: int = 0  # calls in a batch; 0 = not a batch
    file: str | None = None  # the vendor's id of the uploaded file that a batch works on
    answers: int = 0  # the model's turns in the history
    results: int = 0  # results of tools in the history
    client: str = ""  # product that the User-Agent names, without its version
    marks: dict[str, int] = {}  # what holds of the request -> 1, or how many of a batch's lines (`observe/features.py`)
    asks: tuple[int, ...] = ()  # fingerprints (53 bits, keyed) of what is asked afresh; of a batch the lowest 16
    distinct: int = 0  # different asks: 1, or of several prompts and of a batch how many
    pieces: tuple[int, ...] = ()  # of at most four of its lines or sentences
    head: int = 0  # of its first 12 bytes; of a batch the commonest, as with the next three
    tail: int = 0  # of its last 9 bytes
    opening: int = 0  # of its first 32 bytes, where it is longer
    closing: int = 0  # of its last 32 bytes, where it is longer
    words: tuple[int, ...] = ()  # cells, 0 to 255, of at most eight of its words; of a batch its first line's
    system: int = 0  # of what the system says
    params: int = 0  # of the parameters' names and values
    said: int = 0  # of the first of the pieces that the last answer in the history is remembered by
    user: int = 0  # of the caller's own name for its end user
    spelled: int = 0  # parameters that are given and change nothing
    fresh: int = 0  # characters asked afresh
    bank: str = ""  # the public question bank that it comes from
    bias: tuple[int, ...] = ()  # of token ids with a logit bias; of more than 64 the lowest


def safe_name(name: str | None) -> str | None:
    """A caller's own word (a model, a file id) made fit for logs, keys and metrics: itself, or `other`."""
    if name is None or (len(name) <= MAX_NAME and NAME_CHARACTERS.issuperset(name) and name):
        return name
    return "other"


def client_of(agent: bytes) -> str:
    """The product that a User-Agent names first (RFC 9110 section 10.1.5), in lower case.

    `other` for what is no product's name: over 32 characters, or with another one than letters, digits and `._+-`. Some
    put a key there, or an address for complaints.
    """
    word = agent[:128].partition(b"/")[0].partition(b" ")[0]
    return _product(word) if len(word) <= MAX_CLIENT else "other"


@lru_cache(256)
def _product(word: bytes) -> str:
    name = word.decode("latin-1").lower()
    return name if CLIENT_CHARACTERS.issuperset(name) else "other"


def observe(route: Route, calls: Sequence[Call], size: int, prints: Prints, agent: bytes = b"") -> Observation:
    """What a request looks like. `size` is the body's length in bytes, `agent` the User-Agent.

    Several calls (a batch) are summed.
    """
    client = client_of(agent) if agent else ""
    if not calls:
        return Observation(
            VERSION,
            dialect=route.dialect,
            op=route.op,
            route=route.template,
            model=safe_name(route.model),
            bytes=size,
            client=client,
        )
    first = calls[0]
    if len(calls) == 1 and route.kind != "batch":
        text, found = first.text, features(first, prints)
        return Observation(  # by place: that takes a fourth of the time that names do
            VERSION,
            route.dialect,
            route.op,
            route.template,
            safe_name(first.model),
            first.stream,
            first.n,
            first.prompts,
            first.max_tokens,
            first.messages,
            first.tools,
            first.images,
            first.audio,
            first.temperature,
            first.top_p,
            first.logprobs,
            size,
            sum(map(len, text)),
            first.token_ids,
            all(map(str.isascii, text)),
            first.background,
            0,  # lines
            None,  # file
            first.answers,
            first.results,
            client,
            found.marks,
            found.asks,
            found.distinct,
            found.pieces,
            found.head,
            found.tail,
            found.opening,
            found.closing,
            found.words,
            found.system,
            found.params,
            found.said,
            found.user,
            found.spelled,
            found.fresh,
            found.bank,
            found.bias,
        )
    if first.file is not None:
        return Observation(
            VERSION,
            dialect=route.dialect,
            op=route.op,
            route=route.template,
            bytes=size,
            file=safe_name(first.file),
            client=client,
        )
    fold = Fold(prints)
    fold.add(calls)
    return observe_folded(route, Folded().add(calls), size, fold.features(), client)


def observe_folded(route: Route, sums: Folded, size: int, found: Features, client: str = "") -> Observation:
    """What a batch looks like: counts add up, `max_tokens` is the mean that its lines declare a choice."""
    declared = None if sums.undeclared else -(-sums.declared // max(1, sums.n))
    return Observation(
        VERSION,
        dialect=route.dialect,
        op="batch",
        route=route.template,
        model=safe_name(sums.model),
        n=max(1, sums.n),
        max_tokens=declared,
        messages=sums.messages,
        tools=sums.tools,
        images=sums.images,
        audio=sums.audio,
        bytes=size,
        chars=sums.chars,
        token_ids=sums.token_ids,
        ascii=sums.ascii,
        lines=sums.lines,
        client=client,
        marks=found.marks,
        asks=found.asks,
        distinct=found.distinct,
        pieces=found.pieces,
        head=found.head,
        tail=found.tail,
        opening=found.opening,
        closing=found.closing,
        words=found.words,
        system=found.system,
        params=found.params,
        user=found.user,
        spelled=found.spelled,
        fresh=found.fresh,
        bank=found.bank,
        bias=found.bias,
    )
