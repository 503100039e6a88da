"""Pure. Server-sent events, split incrementally (WHATWG HTML, 9.2.6 "Interpreting an event stream")."""

import re
from collections.abc import Callable

__all__ = ["MAX_EVENT", "EventFilter", "Events"]

MAX_EVENT = 262_144  # bytes of one event
BOM = b"\xef\xbb\xbf"
BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?=[^\n]))(?:\r\n|\n|\r(?=[^\n]))")
ENDS_BLANK = re.compile(rb"(?:\r\n|\n|\r)\r\Z")


class Events:
    """Bytes in any chunks -> events. An event over 256 KiB is left out, and `overflowed` is set."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.overflowed = False
        self._limit = limit
        self._tail = bytearray()  # of an event that is not complete, with LF line ends
        self._searched = 0  # bytes of the tail that hold no blank line
        self._skipping = False
        self._after_cr = False  # the last chunk ended in CR: an LF that follows belongs to it
        self._head: bytes | None = b""  # the first bytes, until it is known whether they are a byte order mark

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The events that these bytes complete: name ("" where none was sent) and data, its lines joined by LF."""
        if self._head is not None:
            data = self._head + data
            if len(data) < 3 and BOM.startswith(data):
                self._head = data
                return []
            data = data.removeprefix(BOM)
            self._head = None
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if not self._tail and data.endswith(b"\n\n"):  # most chunks are whole events
            return self._read(data[:-2].split(b"\n\n"))
        self._tail += data
        last = self._tail.rfind(b"\n\n", self._searched)
        blocks: list[bytes] = []
        if last >= 0:
            blocks = bytes(self._tail).split(b"\n\n")
            self._tail = bytearray(blocks.pop())
            if self._skipping:
                del blocks[0]
                self._skipping = False
        if not self._skipping and self._tail.startswith(b"\n"):  # a blank line more ends no event
            self._tail = self._tail.lstrip(b"\n")
        if self._skipping or len(self._tail) > self._limit + 1:  # the last byte may be half of a blank line
            self.overflowed = self._skipping = True
            del self._tail[:-1]
        self._searched = max(0, len(self._tail) - 1)
        return self._read(blocks)

    def _read(self, blocks: list[bytes]) -> list[tuple[str, bytes]]:
        events = []
        for block in blocks:
            if len(block) > self._limit and len(block.strip(b"\n")) > self._limit:
                self.overflowed = True
            elif block.startswith(b"data:") and b"\n" not in block:
                events.append(("", block[6:] if block[5:6] == b" " else block[5:]))
            elif (event := _event(block)) is not None:
                events.append(event)
        return events


def _event(block: bytes) -> tuple[str, bytes] | None:
    name = ""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ").decode("utf-8", "replace")
    return (name, b"\n".join(data)) if data else None


class EventFilter:
    """Passes a stream on without the events whose data `drop` names; every other byte is unchanged.

    Bytes are held until their event is complete, at most 256 KiB; what is longer passes unread.
    """

    def __init__(self, drop: Callable[[bytes], bool], limit: int = MAX_EVENT) -> None:
        self._drop = drop
        self._limit = limit
        self._held = bytearray()
        self._searched = 0
        self._passing = False  # the event is too long: its rest passes as it comes

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now."""
        self._held += data
        passed: list[bytes] = []
        done = 0
        while (blank := BLANK_LINE.search(self._held, max(done, self._searched))) is not None:
            passed.append(self._judge(bytes(self._held[done : blank.end()])))
            done = self._searched = blank.end()
        del self._held[:done]
        if self._passing or len(self._held) > self._limit:
            self._passing = True
            keep = len(self._held) - 3  # the start of a blank line may be among the last three bytes
            if keep > 0:
                passed.append(bytes(self._held[:keep]))
                del self._held[:keep]
        self._searched = max(0, len(self._held) - 3)
        return b"".join(passed)

    def finish(self) -> bytes:
        """What was still held."""
        held, self._held = bytes(self._held), bytearray()
        return self._judge(held) if ENDS_BLANK.search(held) else held

    def _judge(self, block: bytes) -> bytes:
        if self._passing:
            self._passing = False
            return block
        if len(block) > self._limit:
            return block
        for _, data in Events(self._limit).feed(block):
            if self._drop(data):
                return b""
        return block
