"""Shell. A terminal that is drawn on: lines that changed are written anew, where they stand, in one write a picture.

It uses the other screen, as a pager does, so that what was there comes back at the end. Codes: ECMA-48, and the private
modes 1049 (the other screen), 25 (the cursor) and 2026 (what comes now is one picture; a terminal that doesn't know it
takes no notice).
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

__all__ = ["Screen", "coloured", "drawable"]

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
SIZE = (80, 24)  # where nobody tells


def drawable(stream: TextIO) -> bool:
    """Whether pictures can be drawn on this stream: a terminal that knows how to move."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
    except ValueError:  # closed
        return False


def coloured(stream: TextIO) -> bool:
    """Whether colours may be used (no-color.org)."""
    return drawable(stream) and not os.environ.get("NO_COLOR")


class Screen:
    """While the block lasts, the terminal is ours; whatever ends it, it is given back as it was."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Self:
        self._write(ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError, ValueError):  # the terminal may be what went away
            self._write(LEAVE)

    def draw(self, make: Callable[[int, int], list[str]]) -> None:
        """Shows what `make` makes of the columns and lines that there are now.

        The last column stays empty: behind a character there a cursor stands on it, and what clears a line's rest
        clears it too.
        """
        size = _size(self._stream)
        lines = make(max(1, size[0] - 1), size[1])[: size[1]]
        parts = []
        if size != self._size:
            parts.append("\x1b[2J")
            self._shown, self._size = [], size
        for at in range(max(len(lines), len(self._shown))):
            line = lines[at] if at < len(lines) else ""
            if at >= len(self._shown) or line != self._shown[at]:
                parts.append(f"\x1b[{at + 1};1H{line}\x1b[K")
        self._shown = lines
        if parts:
            self._write(f"{BEGIN}{''.join(parts)}{END}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal now."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size(SIZE)
    return (found.columns or SIZE[0], found.lines or SIZE[1])
