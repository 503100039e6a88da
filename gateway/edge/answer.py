"""Pure. Reads one HTTP/1.1 answer from bytes, strictly (RFC 9112), and knows exactly where it ends.

Heads and chunks are parsed by llhttp in its strict mode; the framing is decided here, so that every byte after the
end is seen: such a byte makes the connection unusable and belongs to no answer.
"""

import re
from collections import deque
from typing import Any

import httptools

from gateway.edge.upstream import Fault

__all__ = ["CHUNKED", "COUNTED", "DONE", "FAILED", "FIELDS_CAP", "HEAD", "HEAD_CAP", "KEPT_FOR", "TO_EOF", "Answer"]

HEAD_CAP = 64 * 1024  # bytes of the head, its interim answers included
FIELDS_CAP = 200  # header fields
INTERIM_CAP = 16  # 1xx answers before the final one
QUIET_CAP = 64 * 1024  # bytes of chunk extensions and trailers in a row

# Phases, in order.
HEAD = 0
COUNTED = 1  # in a body with a Content-Length
CHUNKED = 2  # in a chunked body
TO_EOF = 3  # in a body that ends with the connection
DONE = 4  # the answer ended well
FAILED = 5  # it did not

_BARE_LF = re.compile(rb"(?<!\r)\n")
_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_CONNECTION_FIELDS = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})
KEPT_FOR = re.compile(rb"(?:^|[,;\s])timeout=(\d{1,6})(?!\d)")


class Answer:
    """One answer: `feed` what arrives, `end` at the end of the stream; `status`, `headers` and `chunks` are its parts.

    `status` is 0 until the final head is here. `keep`: the connection may carry another exchange once `phase` is DONE.
    `fault` says why `phase` is FAILED: `invalid` or `closed`. `surplus`: something came after the end.
    """

    __slots__ = (
        "_bodiless",
        "_interims",
        "_parser",
        "_partial",
        "_quiet",
        "_remaining",
        "_spent",
        "_switches",
        "chunks",
        "fault",
        "headers",
        "heard",
        "keep",
        "kept_for",
        "phase",
        "status",
        "surplus",
        "unread",
    )

    def __init__(self, *, bodiless: bool = False, switches: bool = False) -> None:
        self._bodiless = bodiless  # it answers a HEAD request
        self._switches = switches  # 101 is an answer: what follows its head is another protocol's, to the stream's end
        self.phase = HEAD
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: deque[bytes] = deque()
        self.unread = 0  # bytes in `chunks`
        self.heard = False  # any byte came
        self.keep = True
        self.kept_for = float("inf")  # seconds that the server says it keeps an idle connection
        self.surplus = False
        self.fault: Fault | None = None
        self._parser: Any = None
        self._partial: bytearray | None = None
        self._remaining = -1
        self._spent = self._interims = self._quiet = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream, at least one."""
        phase = self.phase
        self.heard = True
        if phase == HEAD:
            self._read_head(data)
        elif phase == COUNTED:
            self._read_counted(data)
        elif phase == CHUNKED:
            self._read_chunked(data)
        elif phase == TO_EOF:
            self._push(data)
        elif phase == DONE:
            self._beyond()

    def end(self, *, truncated: bool = False) -> None:
        """The stream ended; `truncated`: without its own mark of an end, so that an answer to the end is not whole."""
        self.keep = False
        if self.phase == TO_EOF and not truncated:
            self.phase = DONE
        else:
            self.fail("closed")

    def fail(self, fault: Fault) -> None:
        """Ends an unfinished answer. Bytes of the body that have arrived stay."""
        self.keep = False
        self._parser = None
        if self.phase < DONE:
            self.phase = FAILED
            self.fault = fault

    def take(self) -> bytes:
        """All unread body bytes, at least one where `chunks` has any."""
        chunks = self.chunks
        block = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        return block

    def _read_head(self, data: bytes) -> None:
        block: bytes | bytearray = data
        before = 0
        if self._partial is not None:
            before = len(self._partial)
            self._partial += data
            block = self._partial
        while True:
            end = block.find(b"\r\n\r\n", max(0, before - 3)) + 4
            whole = end > 3
            if self._spent + (end if whole else len(block)) > HEAD_CAP or not _plausible(block, before, whole):
                self.fail("invalid")
                return
            if not whole:
                if block is not self._partial:
                    self._partial = bytearray(block)
                return
            self._partial = None
            if not self._parse_head(bytes(block[:end])):
                self.fail("invalid")
                return
            rest = bytes(block[end:])
            if self.phase != HEAD:
                if rest:
                    self.feed(rest)
                return
            self._spent += end
            self._interims += 1
            if self._interims > INTERIM_CAP:
                self.fail("invalid")
                return
            if not rest:
                return
            block, before = rest, 0

    def _parse_head(self, head: bytes) -> bool:
        """Reads one head. A final one sets status, framing and phase. False: not HTTP, or not readable one way only."""
        headers: list[tuple[bytes, bytes]] = []
        self.headers = headers
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserError:
            return False
        except httptools.HttpParserUpgrade:
            if not self._switches:
                return False
        status: int = parser.get_status_code()
        if status == 101 and self._switches:
            self.status, self.keep, self.phase = status, False, TO_EOF
            return True
        if status == 101 or not 100 <= status <= 599 or len(headers) > FIELDS_CAP:
            return False
        if status < 200:
            return True
        old = head.startswith(_VERSIONS[1])
        self.keep = not old
        length = -1
        chunked = False
        for name, value in headers:
            if name not in _CONNECTION_FIELDS:
                continue
            value = value.strip(b" \t").lower()
            if name == b"content-length":
                if length >= 0 or not value.isdigit() or len(value) > 18:
                    return False
                length = int(value)
            elif name == b"transfer-encoding":
                if chunked or old or value != b"chunked":
                    return False
                chunked = True
            elif name == b"connection":
                if b"close" in value and b"close" in [token.strip(b" \t") for token in value.split(b",")]:
                    self.keep = False
            elif found := KEPT_FOR.search(value):
                self.kept_for = int(found[1])
        if chunked and length >= 0:
            return False
        self.status = status
        if self._bodiless or status in (204, 304) or length == 0:
            self.phase = DONE
        elif chunked:
            self._parser = parser
            self.phase = CHUNKED
        elif length > 0:
            self._remaining = length
            self.phase = COUNTED
        else:
            self.keep = False
            self.phase = TO_EOF
        return True

    def _read_counted(self, data: bytes) -> None:
        left = self._remaining
        size = len(data)
        if size < left:
            self._remaining = left - size
            self._push(data)
            return
        self._push(data if size == left else data[:left])
        self.phase = DONE
        if size > left:
            self._beyond()

    def _read_chunked(self, data: bytes) -> None:
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.surplus = self.phase == DONE  # the answer had ended, what follows is no HTTP
            self.fail("invalid")
            return
        if self.phase == CHUNKED:
            if self._quiet > QUIET_CAP:
                self.fail("invalid")
            return
        self._parser = None
        if self.surplus:
            self._beyond()
        elif not data.endswith(b"\r\n\r\n") or data[-5:-4] in (b"", b"\r", b"\n"):
            # llhttp skips line ends between messages: only an end that this block proves to be the last is trusted.
            self.keep = False

    def _push(self, data: bytes) -> None:
        self.chunks.append(data)
        self.unread += len(data)

    def _beyond(self) -> None:
        self.surplus = True
        self.keep = False

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.phase == DONE:
            self.surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase == HEAD:
            self.headers.append((name.lower(), value))

    def on_body(self, data: bytes) -> None:
        if self.phase == CHUNKED:
            self._quiet = 0
            self._push(data)

    def on_message_complete(self) -> None:
        if self.phase == CHUNKED:
            self.phase = DONE


def _plausible(block: bytes | bytearray, before: int, whole: bool) -> bool:
    """The beginning of an HTTP/1 head; what is none is refused at once, not waited for."""
    start = bytes(block[:9])
    if start not in _VERSIONS and (whole or not any(version.startswith(start) for version in _VERSIONS)):
        return False
    return whole or not _BARE_LF.search(block, before)
