"""Pure. What one call looks like: the features that signals are made of. Text goes in, numbers and hashes come out.

Everything is taken from one bounded, normalised sample (`observe/text.py`), so a prompt of 20 MB costs what one of 8 KB
does, and nothing depends on the policy: tomorrow's can read what yesterday's didn't.
"""

from heapq import nsmallest
from typing import Any

import msgspec

from gateway.banks import BANKS, bank_of
from gateway.observe.answers import answer_pieces
from gateway.observe.params import spelled, vector
from gateway.observe.phrases import marks as phrases_in
from gateway.observe.prints import Prints
from gateway.observe.text import LIMIT, normal, pieces, sample, whole
from gateway.protocols import Call

__all__ = ["MAX_ASKS", "MAX_BIASED", "MAX_PIECES", "Features", "features"]

MAX_ASKS = 16  # fingerprints of asks an observation
MAX_PIECES = 4  # fingerprints of pieces an observation
MAX_BIASED = 64  # fingerprints of token ids an observation
SEVERAL = 8 * LIMIT  # characters that are looked at of prompts in one request: hostile ones take 2 ms for each `LIMIT`
HEAD = 12  # bytes that a frame is told by: some are no longer than a tag or a label, and few questions share as many
TAIL = 9
WIDEST = 64  # bytes that are looked at for them, blanks aside
LETTERS = 24  # bytes of either where it isn't ASCII: eight characters of some scripts
FRAME = 32  # bytes of an opening or a closing: as long, two people rarely write the same
FRAMED = 48  # bytes of a text that has them: a frame has room for something that changes
WORDY = 256  # bytes that words are taken from
WORD = 5  # bytes: shorter words are everybody's
MAX_WORDS = 8
WIDE = 5  # alternatives a token: more than these serve no confidence; OpenAI's completions give no more
TINY = 2  # tokens: an answer that is nothing but the next token
BOUNDED = 1024  # tokens: what is shown to people, or routed by, is no longer
ROOMY = 4096
TESTS = frozenset(bank.id for bank in BANKS if bank.kind == "test")
GENERATES = frozenset({"chat", "text_completion", "generate_content", "batch"})


class Features(msgspec.Struct, frozen=True, gc=False):
    """Of one call. A fingerprint of 0 stands for none."""

    asks: tuple[int, ...] = ()  # of the fresh text, whole, without its blanks; of several prompts each its own
    distinct: int = 0  # of those prompts, different ones
    pieces: tuple[int, ...] = ()  # of its lines and sentences, a sample that is the same wherever they stand
    head: int = 0  # of its first 12 bytes; 24 where they aren't ASCII
    tail: int = 0  # of its last 9 bytes; 24 where they aren't ASCII
    opening: int = 0  # of its first 32 bytes, where it is longer
    closing: int = 0  # of its last 32 bytes, where it is longer
    words: tuple[int, ...] = ()  # cells, 0 to 255, of at most eight words out of 256 bytes of it: what it is about
    system: int = 0  # of what the system says
    said: int = 0  # of the first of the pieces that the last answer in the history is remembered by
    params: int = 0
    spelled: int = 0
    user: int = 0  # of the end user's name
    fresh: int = 0  # characters of the fresh text
    bank: str = ""  # the public question bank that it comes from
    bias: tuple[int, ...] = ()  # of token ids with a logit bias: a banned word is text too
    marks: dict[str, int] = {}  # what holds of it


def features(call: Call, prints: Prints) -> Features:
    """What this call looks like."""
    asked = call.asked
    marks: dict[str, int] = {}
    asks: tuple[int, ...] = ()
    found: tuple[int, ...] = ()
    head = tail = opening = closing = distinct = 0
    words: tuple[int, ...] = ()
    bank = ""
    worded = False
    if asked:
        text = sample(asked, prints.of)
        data = normal(text)
        cut = pieces(data)
        for mark in phrases_in(data):
            marks[mark] = 1
        if cut:
            bank = bank_of(cut)
            found = tuple(map(prints.of, prints.least(cut, MAX_PIECES)))
        if call.prompts > 1 and len(asked) > 1:
            asks, distinct = _several(asked, prints)
        else:
            asks, distinct = (prints.of(whole(text, data)),), 1
        worded = bool(data) and not data.isspace()
        begins, ends = data[:WIDEST].lstrip()[:LETTERS], data[-WIDEST:].rstrip()[-LETTERS:]
        head = prints.of(begins[:HEAD] if begins.isascii() else begins)
        tail = prints.of(ends[-TAIL:] if ends.isascii() else ends)
        if len(data) > FRAMED:
            opening, closing = prints.of(data[:WIDEST].lstrip()[:FRAME]), prints.of(data[-WIDEST:].rstrip()[-FRAME:])
        words = _words(data, asks[0], prints)
        if not found:
            found = asks[:1]
    system = 0
    if call.system:
        system, said = prints.known(
            sample(call.system, prints.of), lambda text: (prints.of(data := normal(text)), phrases_in(data))
        )
        for mark in said:
            marks[mark] = 1
    if call.op in GENERATES:
        _shape(call, marks, worded)
    if bank:
        marks["banked"] = 1
        if bank in TESTS:
            marks["tested"] = 1
    body: Any = call.body
    plain = type(body) is dict
    return Features(
        asks,
        distinct,
        found,
        head,
        tail,
        opening,
        closing,
        words,
        system,
        next(iter(answer_pieces((call.said,), prints, 1)), 0) if call.said else 0,
        prints.of(vector(body)) if plain else 0,
        spelled(body) if plain else 0,
        prints.of(call.user.encode("utf-8", "surrogatepass")) if call.user else 0,
        sum(map(len, asked)),
        bank,
        prints.few(call.bias, MAX_BIASED) if call.bias else (),
        marks,
    )


def _shape(call: Call, marks: dict[str, int], worded: bool) -> None:
    """Marks of what is asked for, beside the words. `worded`: whether more than blanks is asked."""
    if call.answers:
        marks["continues"] = 1
    elif call.tools or call.results:
        marks["works"] = 1
    elif worded and not call.images and not call.audio:
        marks["one_shot"] = 1
    elif not worded and not call.images and not call.audio and not call.token_ids:
        marks["empty"] = 1
    if call.user:
        marks["named"] = 1
    if call.system:
        marks["instructed"] = 1
    if call.logprobs is not None:
        marks["logprobs"] = 1
        if call.logprobs > WIDE:
            marks["wide"] = 1
    if call.n > call.prompts:
        marks["choices"] = 1
    if call.max_tokens is not None:
        if call.max_tokens <= BOUNDED:
            marks["bounded"] = 1
            if call.max_tokens <= TINY:
                marks["tiny"] = 1
        elif call.max_tokens >= ROOMY:
            marks["roomy"] = 1
    if call.bias:
        marks["biased"] = 1
    if call.temperature == 0.0:
        marks["greedy"] = 1
    if call.seeded:
        marks["seeded"] = 1
    if call.structured:
        marks["structured"] = 1
    if call.stream:
        marks["streamed"] = 1


def _words(data: bytes, place: int, prints: Prints) -> tuple[int, ...]:
    """Cells of the longer words in a window of the text, whose place follows from the text itself.

    Over many texts of one frame such windows show what changes in it as often as it takes room.
    """
    if len(data) > WORDY:
        at = place % (len(data) - WORDY)
        found = data[at : at + WORDY].split()[1:-1]  # the first and the last are cut
    else:
        found = data.split()
    return prints.cells([word for word in found if len(word) >= WORD], MAX_WORDS)


def _several(asked: tuple[str, ...], prints: Prints) -> tuple[tuple[int, ...], int]:
    """Prompts that are answered apart: a sample of their fingerprints, and how many different ones there are."""
    different = set(asked)
    data: list[bytes] = []
    room = SEVERAL
    for each in nsmallest(4 * MAX_ASKS, different):
        text = sample((each,), prints.of)
        data.append(whole(text, normal(text)))
        room -= min(len(each), LIMIT)
        if room <= 0:
            break
    return tuple(map(prints.of, prints.least(data, MAX_ASKS))), len(different) * len(set(data)) // len(data)
