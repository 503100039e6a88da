"""Pure. The form of a ledger's segments: JSON lines whose order and content a chain of hashes proves.

A segment is a header, rows and, once it is closed, a footer. Each line moves the chain one step on:

    h  =  SHA-256(h before ‖ label ‖ SHA-256(salt ‖ body))

`body` is the JSON of the row, header or footer, byte for byte. `label` is `seq now type ` of a row, `segment ` or
`end `. `salt` is 16 bytes of chance from the shell, a new one for each row; headers and footers have none. The first
h is 32 zero bytes, and a header repeats the h that the segment before ended with, so the segments are one chain.

    {"h":"16 hex digits","segment":{"format":"gauger.ledger/1","version":…,"number":…,"after":"64 hex","now":…}}
    {"h":"16 hex digits","s":"32 hex digits","row":{"type":"ruled","seq":…,"now":…,…}}
    {"h":"16 hex digits","row":{"type":"erased","seq":…,"now":…,"was":"ruled","digest":"64 hex"}}
    {"h":"16 hex digits","end":{"rows":…,"head":"64 hex","now":…,"why":"full"}}

A line shows the first 8 bytes of h only: enough to say which line was damaged, and half the bytes on disk. The proof
is the whole h, which who verifies computes anew, and which stands in footers (`head`: before the footer itself) and in
the next header.

Erasing an account puts a tombstone in the place of each of its rows: seq, now, the type and the digest
SHA-256(salt ‖ body) stay, so every h stays; content and salt are gone. With the salt, nobody can try guesses of the
content on the digest. That an account's rows were erased, how many and when they were written, stays visible.

What the chain proves: no row between its beginning and its head was changed, removed, moved or put in, erasures
being shown as such. What it can't: it has no key, so who may write the files could compute all of it anew from some
line on, and could cut off its end. Both are found by whoever kept a head elsewhere; an erasure keeps every head.
Retention takes whole segments from the beginning: the proof then begins where the first header that is left says, and
whether it was retention that took them, only an older head that was kept can tell.
"""

from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from gateway.ledger.record import Adopted, Erased, Gap, Opened, Resumed, Row, Ruled, Settled, Used, encode

__all__ = [
    "FORMAT",
    "GENESIS",
    "MAX_BODY",
    "MAX_LINE",
    "SALT",
    "Broken",
    "Chain",
    "Footer",
    "Header",
    "Link",
    "Why",
    "body_of",
    "chain_at",
    "row_of",
    "tombstone",
]

FORMAT = "gauger.ledger/1"
GENESIS = bytes(32)
Why = Literal["full", "age", "stop", "recovered"]
"""Why a segment was closed; recovered: by the next start, after a crash."""
SALT = 16  # bytes
MAX_BODY = 16_777_216  # bytes of one row; only a policy with long lists comes near
MAX_LINE = MAX_BODY + 128
TYPES: dict[type, bytes] = {
    Opened: b"opened",
    Resumed: b"resumed",
    Adopted: b"adopted",
    Ruled: b"ruled",
    Used: b"used",
    Settled: b"settled",
    Gap: b"gap",
}
HEX = frozenset("0123456789abcdef")
TAG = slice(6, 22)  # of a line: the hex digits of h
SALTED = slice(29, 61)
BODY = slice(69, -2)  # of a row with its salt
BARE = slice(30, -2)  # of a tombstone


class Broken(Exception):
    """A line that doesn't continue the chain; the text says why."""


class Header(msgspec.Struct, frozen=True):
    """The first line of a segment."""

    format: str
    version: str  # of Gauger
    number: int
    after: str  # 64 hex digits: h at the end of the segment before; zeros where there was none
    now: int  # µs since the epoch


class Footer(msgspec.Struct, frozen=True):
    """The last line of a closed segment."""

    rows: int
    head: str  # 64 hex digits: h after the last row
    now: int
    why: Why


class Link(NamedTuple):
    """What one line holds. `body` is the row's JSON; a tombstone's is its own."""

    kind: Literal["segment", "row", "erased", "end"]
    body: bytes
    type: str = ""  # of the row; of an erased one, what it was
    seq: int = 0
    now: int = 0
    lost: int = 0  # rows that a gap stands for
    header: Header | None = None
    footer: Footer | None = None


class _Meta(msgspec.Struct):
    type: str
    seq: int
    now: int
    lost: int = 0


_META = msgspec.json.Decoder(_Meta)
_HEADER = msgspec.json.Decoder(Header)
_FOOTER = msgspec.json.Decoder(Footer)
_ERASED = msgspec.json.Decoder(Erased)
_WRITE = msgspec.json.Encoder()


class Chain:
    """One end of the chain: `value` is h after the last line. Writes the next line, or reads it and checks it."""

    __slots__ = ("fresh", "number", "rows", "value")

    def __init__(self, value: bytes = GENESIS, number: int = 0) -> None:
        self.value = value
        self.number = number  # of the segment that it is in
        self.rows = 0  # of that segment
        self.fresh = True  # between two segments: a header must come

    def copy(self) -> "Chain":
        """The same end, to write on from here while this one stays."""
        made = Chain(self.value, self.number)
        made.rows, made.fresh = self.rows, self.fresh
        return made

    def begin(self, number: int, version: str, now: int) -> bytes:
        """The header of the next segment."""
        body = _WRITE.encode(Header(FORMAT, version, number, self.value.hex(), now))
        self.number, self.rows, self.fresh = number, 0, False
        self.value = step(self.value, b"segment ", sha256(body).digest())
        return b'{"h":"%b","segment":%b}\n' % (self.value[:8].hex().encode(), body)

    def add(self, row: tuple[int, int, bytes, bytes], salt: bytes) -> bytes:
        """The line of one row, given as seq, now, type and body (`row_of`)."""
        seq, now, kind, body = row
        digest = sha256(salt + body).digest()
        self.value = value = sha256(b"%b%d %d %b %b" % (self.value, seq, now, kind, digest)).digest()
        self.rows += 1
        return b'{"h":"%b","s":"%b","row":%b}\n' % (value[:8].hex().encode(), salt.hex().encode(), body)

    def end(self, now: int, why: Why) -> bytes:
        """The footer of this segment."""
        body = _WRITE.encode(Footer(self.rows, self.value.hex(), now, why))
        self.value = step(self.value, b"end ", sha256(body).digest())
        self.fresh = True
        return b'{"h":"%b","end":%b}\n' % (self.value[:8].hex().encode(), body)

    def read(self, line: bytes) -> Link:
        """Takes the next line, its newline included. Raises Broken where it doesn't continue the chain, which stays."""
        link, label, digest = _parse(line)
        if (link.kind == "segment") != self.fresh:
            raise Broken("a header is missing here" if self.fresh else "a header stands inside a segment")
        header, footer = link.header, link.footer
        if header is not None:
            if header.format != FORMAT:
                raise Broken(f"the format is not {FORMAT}")
            if header.after != self.value.hex():
                raise Broken("the header doesn't name the end of the segment before")
        if footer is not None and footer.rows != self.rows:
            raise Broken(f"the footer counts {footer.rows} rows, there are {self.rows}")
        if footer is not None and footer.head != self.value.hex():
            raise Broken("the footer names another head")
        value = step(self.value, label, digest)
        if line[TAG] != value[:8].hex().encode():
            raise Broken("the hash doesn't continue the chain: this line was changed, or lines before it were removed")
        self.value = value
        if header is not None:
            self.number, self.rows = header.number, 0
        self.rows += link.kind in ("row", "erased")
        self.fresh = footer is not None
        return link


def chain_at(line: bytes) -> Chain:
    """The chain as it was before this header. Raises Broken for what is none."""
    header = _parse(line)[0].header
    if header is None:
        raise Broken("a header is missing here")
    if len(header.after) != 64 or not HEX.issuperset(header.after):
        raise Broken("this is no line of a ledger")
    return Chain(bytes.fromhex(header.after), header.number - 1)


def step(before: bytes, label: bytes, digest: bytes) -> bytes:
    """The chain's h after one more line."""
    return sha256(before + label + digest).digest()


def row_of(row: Row) -> tuple[int, int, bytes, bytes]:
    """A row as what `Chain.add` takes. Raises ValueError for a row that is too large, or that can't be written."""
    kind = TYPES.get(type(row))
    if kind is None:
        raise ValueError(f"a row of type {type(row).__name__} is not written")
    body = encode(row)
    if len(body) > MAX_BODY:
        raise ValueError(f"a row of {len(body)} bytes")
    return row.seq, row.now, kind, body


def body_of(line: bytes) -> bytes | None:
    """The row's JSON, of a line as it was written; nothing is checked. None for a header or a footer."""
    if line[22:29] == b'","s":"':
        return line[BODY]
    return line[BARE] if line[22:30] == b'","row":' else None


def tombstone(line: bytes) -> bytes:
    """The line that stands in place of an erased row: same h, no content. Raises Broken for a line that is no row."""
    link, _, digest = _parse(line)
    if link.kind != "row":
        raise Broken("this line is no row")
    body = encode(Erased(link.seq, link.now, link.type, digest.hex()))
    return b'{"h":"%b","row":%b}\n' % (line[TAG], body)


def _parse(line: bytes) -> tuple[Link, bytes, bytes]:
    """A line's content, label and digest. Every byte is either part of a digest or can only be what it is."""
    if line[:6] != b'{"h":"' or line[-2:] != b"}\n":
        raise Broken("this is no line of a ledger")
    try:
        if line[22:29] == b'","s":"' and line[61:69] == b'","row":':
            salt, body = bytes.fromhex(line[SALTED].decode()), line[BODY]
            if salt.hex().encode() != line[SALTED]:
                raise Broken("this is no line of a ledger")
            meta = _META.decode(body)
            link = Link("row", body, meta.type, meta.seq, meta.now, meta.lost)
            return link, b"%d %d %b " % (meta.seq, meta.now, meta.type.encode()), sha256(salt + body).digest()
        if line[22:30] == b'","row":':
            body = line[BARE]
            erased = _ERASED.decode(body)
            digest = bytes.fromhex(erased.digest)
            if encode(Erased(erased.seq, erased.now, erased.was, digest.hex())) != body or len(digest) != 32:
                raise Broken("this is no line of a ledger")
            link = Link("erased", body, erased.was, erased.seq, erased.now)
            return link, b"%d %d %b " % (erased.seq, erased.now, erased.was.encode()), digest
        if line[22:34] == b'","segment":':
            body = line[34:-2]
            return Link("segment", body, header=_HEADER.decode(body)), b"segment ", sha256(body).digest()
        if line[22:30] == b'","end":':
            body = line[BARE]
            return Link("end", body, footer=_FOOTER.decode(body)), b"end ", sha256(body).digest()
    except (ValueError, RecursionError, msgspec.DecodeError) as error:  # ValidationError is a DecodeError
        raise Broken("this is no line of a ledger") from error
    raise Broken("this is no line of a ledger")
