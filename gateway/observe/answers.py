"""Pure. Which answers come back: the fingerprints of a few of an answer's sentences. Answer text ends here.

A piece of an answer is a line or sentence of at least `LEAST` bytes in normal form: "I'm sorry, but I can't help with
that." is everybody's. Of those, `MOST` are kept, chosen as the pieces of a prompt are chosen (`Prints.least`), so who
asks about an answer asks with the same pieces: an answer that is the whole prompt is met by all of them, one that is
half of the prompt by half of them on average, and one sentence out of twenty by one in five.
"""

from collections.abc import Iterable

from gateway.observe.prints import Prints
from gateway.observe.text import normal, pieces
from gateway.wire.spoken import bound

__all__ = ["LEAST", "MOST", "answer_pieces"]

LEAST = 40  # bytes
MOST = 4  # fingerprints a text
FENCE = b"`json \n"  # characters that may stand before JSON


def answer_pieces(texts: Iterable[str], prints: Prints, most: int = MOST) -> tuple[int, ...]:
    """Fingerprints of at most so many pieces of each text, each once; the first ones of more are those of fewer.

    Of a text that is JSON, what stands between quotes is a line: a caller feeds back what he reads out.
    """
    found: dict[int, None] = {}
    for text in texts:
        data = normal(bound(text))
        if data.lstrip(FENCE)[:1] in (b"{", b"["):
            data = data.replace(b"\\n", b"\n").replace(b'"', b"\n")
        cut = [piece for piece in pieces(data) if len(piece) >= LEAST]
        if cut:
            for piece in prints.least(cut, most):
                found[prints.of(piece)] = None
    return tuple(found)
