"""Pure. Who says what in a conversation: the system, a user, the model or a tool."""

from collections.abc import Iterable
from typing import Any

__all__ = ["Turns", "first_text"]


class Turns:
    """What the model reads of a conversation, in order, and who says it; a dialect's own walks the messages.

    An answer belongs to the history once a user or a tool speaks after it. One that nobody speaks after is the
    beginning of the answer that is asked for (a prefill), and what was asked before it is still to be answered.
    """

    def __init__(self) -> None:
        self.text: list[str] = []  # all that is read; the methods take where in it a speaker's pieces start
        self.system: list[str] = []
        self.asked: list[str] = []
        self.answers = self.results = self.images = self.audio = 0
        self._begun = 0  # answers that nobody has spoken after
        self._newest: tuple[int, int, Any] = (0, 0, None)  # of all answers: its pieces in `text`, and itself
        self._last = self._newest  # of those in the history

    def by_system(self, start: int) -> None:
        """The pieces from `start` on instruct the model."""
        self.system += self.text[start:]

    def by_user(self, start: int) -> None:
        """The pieces from `start` on are asked."""
        if self._begun:
            self._close()
        self.asked += self.text[start:]

    def by_model(self, start: int, answer: Any = None) -> None:
        """The pieces from `start` on are an answer; `answer` is for `spoken`."""
        self._begun += 1
        self._newest = (start, len(self.text), answer)

    def by_tool(self) -> None:
        """The newest pieces are the result of a tool."""
        if self._begun:
            self._close()
        self.results += 1
        self.asked.clear()

    def said(self) -> str:
        """The first text of the history's last answer that is more than blanks: spoken, else whatever there is."""
        start, end, answer = self._last
        return self.spoken(answer) or first_text(self.text[start:end])

    def spoken(self, answer: Any) -> str:
        """What of an answer its reader saw first, where thoughts or calls of tools may stand before it."""
        return ""

    def _close(self) -> None:
        self.answers += self._begun
        self._begun = 0
        self._last = self._newest
        self.asked.clear()


def first_text(pieces: Iterable[object]) -> str:
    """The first string of more than blanks; "" where there is none."""
    for piece in pieces:
        if type(piece) is str and piece and not piece.isspace():
            return piece
    return ""
