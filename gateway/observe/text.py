"""Pure. Text made ready to be looked at: a bounded sample of it, normalised to bytes, and cut into pieces.

Bound. What is looked at of one text is at most `LIMIT` characters: a longer one gives its first `HEAD`, its last
`TAIL`, and `WINDOWS` windows of `WINDOW` characters from between, whose places follow from a keyed hash of head, tail
and length. So the cost of a request has a bound, the same text always gives the same sample, and who doesn't hold the
key can't tell which part of the middle is looked at.

Normal form. ASCII letters in lower case, each digit 0, runs of blanks one blank, lines kept. Text with other characters
is first brought to Unicode's NFKC (UAX #15), without its invisible characters, and folded to lower case: full-width
letters, or a zero-width space in every word, make no other text. It is then UTF-8.
"""

import re
from collections.abc import Callable, Sequence
from unicodedata import is_normalized, normalize

from ahocorasick_rs import MATCHKIND_LEFTMOST_FIRST, BytesAhoCorasick

__all__ = ["LIMIT", "PIECE", "normal", "pieces", "sample", "whole"]

LIMIT = 4096  # characters
HEAD = 2048
TAIL = 1024
WINDOW = 256
WINDOWS = 4
PIECE = 24  # bytes: a shorter sentence is no piece: "yes." and "thank you!" are everybody's
MAX_PIECES = 64
EDGES = b" #*>-_=\"'`"

TABLE = bytes(
    0x20 if at in (9, 11, 12) else 10 if at == 13 else 48 if 48 <= at <= 57 else at + 32 if 65 <= at <= 90 else at
    for at in range(256)
)
"""Byte -> byte: the normal form of ASCII. Bytes of other characters stay."""

FIGURES = re.compile("[0-9\uff10-\uff19]+")
PLAIN = {0xFF10 + at: 48 + at for at in range(10)}
NO_FIGURES = bytes(at for at in range(256) if not 48 <= at <= 57)
BLANKS = b" \n"  # whoever adds some asks the same

INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff\ufdfa\ufdfb]+"
)
"""Characters that a reader doesn't see (Unicode's Default_Ignorable_Code_Point, the common ones), and the two that NFKC
makes 18 and 8 of: a prompt of nothing else would cost 5 ms."""

STACK = re.compile(r"([^\w\s\x00-\x7f]{30})[^\w\s\x00-\x7f]+")
"""More combining marks on a letter than any language has (UAX #15, stream-safe format): to sort them takes a time that
grows with the square of their number. Rows of other signs get shorter too."""

ENDS = (b"\n", b". ", b"? ", b"! ")
WIDE_ENDS = tuple(mark.encode() for mark in "。।؟۔?!")
"""The normal form makes a full-width mark an ASCII one, which no blank follows."""
BLANK = len(ENDS)  # of both: so many end with what belongs to no piece


def _search(entries: Sequence[bytes]) -> Callable[[bytes], list[tuple[int, int, int]]]:
    """(number of the entry, start, end) of each match that overlaps none before it.

    For a few short entries the automaton compares 16 bytes at a time: a tenth of the time of as many `bytes.find`.
    """
    return BytesAhoCorasick(entries, matchkind=MATCHKIND_LEFTMOST_FIRST).find_matches_as_indexes


CUTS, WIDE_CUTS = _search(ENDS), _search(ENDS + WIDE_ENDS)
DOUBLE = _search((b"  ",))
BLANKS_IN_A_ROW = re.compile(rb"  +")


def sample(texts: Sequence[str], place: Callable[[bytes], int]) -> str:
    """At most `LIMIT` characters of these texts, joined by line ends. `place` is a keyed hash of bytes."""
    if len(texts) == 1:
        whole = texts[0]
        if len(whole) <= LIMIT:
            return whole
        return _windows(whole[:HEAD], whole[-TAIL:], len(whole) - TAIL, lambda at: whole[at : at + WINDOW], place)
    total = sum(map(len, texts)) + len(texts)
    if total <= LIMIT + len(texts):
        return "\n".join(texts)
    return _windows(_from_start(texts, HEAD), _from_end(texts, TAIL), total - TAIL, lambda at: _slice(texts, at), place)


def _windows(head: str, tail: str, end: int, cut: Callable[[int], str], place: Callable[[bytes], int]) -> str:
    seed = place(f"{end}\n{head}\n{tail}".encode("utf-8", "surrogatepass"))
    span = max(1, end - HEAD - WINDOW)
    places = sorted(HEAD + ((seed >> (16 * at)) & 0xFFFF) * span // 0x10000 for at in range(WINDOWS))
    return "\n".join((head, *map(cut, places), tail))


def _from_start(texts: Sequence[str], most: int) -> str:
    found: list[str] = []
    left = most
    for text in texts:
        found.append(text[:left])
        left -= len(text) + 1
        if left <= 0:
            break
    return "\n".join(found)


def _from_end(texts: Sequence[str], most: int) -> str:
    found: list[str] = []
    left = most
    for text in reversed(texts):
        found.append(text[-left:] if left < len(text) else text)
        left -= len(text) + 1
        if left <= 0:
            break
    return "\n".join(reversed(found))


def _slice(texts: Sequence[str], at: int) -> str:
    """`WINDOW` characters from `at` on of the texts, as if they were joined; they may end with the text there."""
    for text in texts:
        if at < len(text):
            return text[at : at + WINDOW]
        at -= len(text) + 1
    return ""


def normal(text: str) -> bytes:
    """The normal form. Of text that is longer than `sample` gives, it costs what it costs."""
    if not text.isascii():
        text = INVISIBLE.sub("", text)
        if not is_normalized("NFKC", text):
            text = normalize("NFKC", STACK.sub(r"\1", text))
        text = text.lower()
    data = text.encode("utf-8", "surrogatepass").translate(TABLE)
    return BLANKS_IN_A_ROW.sub(b" ", data) if DOUBLE(data) else data


def whole(text: str, data: bytes) -> bytes:
    """What tells one ask from another, of a text and its normal form: the latter without blanks, and the figures.

    Figures are alike in the normal form, since they are what changes in a frame; but a sum of other numbers is another
    question. Full-width ones count as plain, those of other scripts stay alike.
    """
    bare = data.translate(None, BLANKS)
    if b"0" not in data:
        return bare
    if not text.isascii():
        text = "".join(FIGURES.findall(text)).translate(PLAIN)
    return bare + text.encode("utf-8", "surrogatepass").translate(None, NO_FIGURES)


def pieces(data: bytes) -> list[bytes]:
    """The lines and sentences of a text in normal form that are at least `PIECE` bytes long; at most 64, in order."""
    found: list[bytes] = []
    start = 0
    if data.isascii():
        for _, _, end in CUTS(data):
            if end - start > PIECE:
                line = data[start : end - 1].strip(EDGES)
                if len(line) >= PIECE:
                    found.append(line)
            start = end
    else:
        for at, _, end in WIDE_CUTS(data):
            stop = end - 1 if at < BLANK else end
            if stop - start >= PIECE:
                line = data[start:stop].strip(EDGES)
                if len(line) >= PIECE:
                    found.append(line)
            start = end
    line = data[start:].strip(EDGES)
    if len(line) >= PIECE:
        found.append(line)
    return found[:MAX_PIECES]
