"""Pure. What the events of a stream have in common: all of them but the words. So most needn't be read as JSON.

A model server repeats itself: from one event to the next only the text between two quotes changes. Once an event was
read whole, an event that begins and ends with the same bytes, and has between them what a JSON string may hold as it
stands (RFC 8259 section 7: no quote, no backslash, no control character), says what the first one said, of other words.
Anything else is read whole: the numbers are the same whichever way they were found.
"""

from typing import Any

import orjson

__all__ = ["Refrain"]

TRIES = 4  # times that it is learned for nothing: some streams number their events
MARK = "gauger \u2603"  # stands for the text while it is tried


class Refrain:
    """The bytes before and after the text of one kind of event. `at`: what the text is added to."""

    __slots__ = ("_after", "_before", "_left", "_name", "_used", "at")

    def __init__(self) -> None:
        self._name = ""
        self._before = self._after = b""
        self._left = TRIES
        self._used = True
        self.at: object = None

    def text(self, name: str, data: bytes) -> str | None:
        """The text of an event that is the one that was learned, but for this text; None = read it whole."""
        before, after = self._before, self._after
        if not before or name != self._name or not data.startswith(before) or not data.endswith(after):
            return None
        between = data[len(before) : -len(after)]
        if len(data) < len(before) + len(after) or b'"' in between or b"\\" in between:
            return None
        try:
            found = between.decode()
        except UnicodeDecodeError:
            return None
        if not found.isprintable():  # control characters are no JSON; the rest of these are left to its reader
            return None
        self._used = True
        return found

    def learn(self, name: str, data: bytes, text: str, at: object) -> None:
        """An event that was read, and whose one text this is. Nothing is learned where another place may be meant."""
        if not self._left:
            return
        if not self._used:
            self._left -= 1
        quoted = b'"' + text.encode("utf-8", "surrogatepass") + b'"'
        if data.count(quoted) != 1:
            return
        start = data.index(quoted) + 1
        before, after = data[:start], data[start + len(quoted) - 2 :]
        try:
            same = _differ(orjson.loads(data), orjson.loads(before + MARK.encode() + after), text) == 1
        except orjson.JSONDecodeError:
            return
        if same:
            self._name, self._before, self._after, self.at = name, before, after, at
            self._used = False


def _differ(one: Any, other: Any, text: str) -> int:
    """How many texts are `text` in one of two values and the mark in the other; 2 or more where all isn't so."""
    if type(one) is not type(other):
        return 2
    if isinstance(one, dict):
        if list(one) != list(other) or text in one:
            return 2
        return sum(_differ(value, other[key], text) for key, value in one.items())
    if isinstance(one, list):
        return sum(map(_differ, one, other, [text] * len(one))) if len(one) == len(other) else 2
    if one == text:
        return 1 if other == MARK else 2
    return 0 if one == other else 2
