"""Pure. What an answer says, held while it passes: the beginning and the end of each of its texts, and no more."""

__all__ = ["HEAD", "LIMIT", "TAIL", "TEXTS", "Spoken", "bound"]

LIMIT = 4096  # characters of a text that is held whole
HEAD = 2048  # characters of a longer one, from its start
TAIL = 1024  # and from its end: where the sample of a prompt (`observe/text.py`) begins and ends too
TEXTS = 8  # choices, or blocks, of one answer


def bound(text: str) -> str:
    """A text of at most `LIMIT` characters as it is; of a longer one its head and its tail, on lines of their own."""
    return text if len(text) <= LIMIT else f"{text[:HEAD]}\n{text[-TAIL:]}"


class Spoken:
    """Takes an answer's texts piece by piece, in any chunking. At most `TEXTS` of them, 5 K characters each."""

    def __init__(self) -> None:
        self.last: tuple[int, str] | None = None  # the number and the piece that were added last
        self._heads: dict[int, str] = {}
        self._tails: dict[int, str] = {}

    def add(self, at: object, piece: object) -> None:
        """Text number `at` goes on with this piece; what is no number and no text changes nothing."""
        if not isinstance(piece, str) or not isinstance(at, int):
            return
        if piece:
            self.last = (at, piece) if self.last is None else (-1, "")
        heads = self._heads
        head = heads.get(at)
        if head is None:
            if not piece or len(heads) >= TEXTS:
                return
            head = ""
        room = LIMIT - len(head)
        if room:
            heads[at] = head + piece[:room]
        if len(piece) > room:
            self._tails[at] = (self._tails.get(at, "") + piece[max(room, len(piece) - TAIL) :])[-TAIL:]

    def texts(self) -> tuple[str, ...]:
        """Each text as `bound` gives it, in the order in which they began."""
        tails = self._tails
        return tuple(bound(head + tails[at]) if at in tails else head for at, head in self._heads.items())
