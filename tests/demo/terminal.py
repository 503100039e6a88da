"""A terminal as far as the demo uses one: a process in a pseudo terminal, and what stands on its screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CODE = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])")
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
DEADLINE = 60.0  # s without a byte


class Played:
    """A process whose output is a terminal of this size, read to its end by `text`."""

    def __init__(self, arguments: list[str], columns: int = 80, lines: int = 24, **environment: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**clean, "TERM": "xterm-256color", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def read(self, until: str = "") -> str:
        """Reads to the end, or to this text; all that came so far."""
        while not until or until not in self.text:
            ready, _, _ = select.select([self.master], [], [], DEADLINE)
            assert ready, f"nothing more came after:\n{self.text[-2000:]}"
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the last of its other end was closed
                data = b""
            if not data:
                assert not until, f"no {until!r} in:\n{self.text[-2000:]}"
                break
            self.text += data.decode()
        return self.text

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self.master)


def pictures(text: str, columns: int, lines: int) -> Iterator[list[str]]:
    """The screen after each picture that was drawn. Fails where one is drawn outside of it."""
    screen = [""] * lines
    for part in text.split(BEGIN)[1:]:
        drawn, sign, _ = part.partition(END)
        assert sign, "a picture was begun and not ended"
        row = column = 0
        at = 0
        while at < len(drawn):
            code = CODE.match(drawn, at)
            if code is None:
                letter = drawn[at]
                assert letter.isprintable(), f"{letter!r} in a picture"
                assert column < columns - 1, f"line {row + 1} is too long: {drawn!r}"
                screen[row] = screen[row][:column].ljust(column) + letter + screen[row][column + 1 :]
                column += 1
                at += 1
                continue
            at = code.end()
            if code[3] == "H":
                row, column = (int(number) - 1 for number in code[2].split(";"))
                assert 0 <= row < lines
            elif code[3] == "K":
                screen[row] = screen[row][:column]
            elif code[3] == "J":
                screen = [""] * lines
            else:
                assert code[3] == "m", f"a code that nobody knows: {code[0]!r}"
        yield [line.rstrip() for line in screen]
