"""Pure. Fingerprints: keyed hashes of text in normal form. They tell whether two texts are the same, and nothing else.

BLAKE2b (RFC 7693) with a key derived from the deployment's pepper. A fingerprint has 53 bits, so that every reader of
JSON holds it exactly; among 10 million texts one pair of different ones is expected to share one by chance with a
probability of some 1 %. Without the key nobody can make texts that collide, nor try guesses on a ledger that he found.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import repeat
from zlib import crc32

__all__ = ["Prints"]

KNOWN = 1024  # texts that come again and again; some 200 bytes each


class Prints:
    """The fingerprints of one deployment. `pepper`: its secret, at most 64 bytes."""

    def __init__(self, pepper: bytes) -> None:
        key = blake2b(pepper, digest_size=32, person=b"gauger-prints").digest()
        self._keyed = blake2b(key=key, digest_size=8)  # a copy of it has the key's block behind it
        self._long = blake2b(key=key, digest_size=16)
        self._known: dict[bytes, tuple[int, tuple[str, ...]]] = {}
        self._seed = int.from_bytes(blake2b(pepper, digest_size=4, person=b"gauger-sample").digest(), "big")

    def of(self, data: bytes) -> int:
        """The fingerprint of these bytes; never 0, which stands for none."""
        keyed = self._keyed.copy()
        keyed.update(data)
        return int.from_bytes(keyed.digest(), "big") >> 11 or 1

    def known(self, text: str, read: Callable[[str], tuple[int, tuple[str, ...]]]) -> tuple[int, tuple[str, ...]]:
        """What `read` says of a text that comes again and again, as a product's instructions do: not read twice.

        What is kept is found by a keyed hash of 128 bits, which no two texts share. There is no text in it.
        """
        keyed = self._long.copy()
        keyed.update(text.encode("utf-8", "surrogatepass"))
        key = keyed.digest()
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            found = self._known[key] = read(text)
        return found

    def few(self, numbers: Iterable[int], most: int) -> tuple[int, ...]:
        """The fingerprints of at most `most` of these numbers, rising: of more, the lowest (bottom-k)."""
        return tuple(sorted({self.of(b"%d" % number) for number in numbers})[:most])

    def picks(self, texts: Sequence[str], one_in: int) -> bool:
        """Whether these texts are among the one in so many that are looked at: the same ones always are."""
        check = self._seed
        for text in texts:
            check = crc32(text[:256].encode("utf-8", "surrogatepass"), check)
        return check % one_in == 0

    def cells(self, words: Sequence[bytes], most: int) -> tuple[int, ...]:
        """The cells, 0 to 255, of at most `most` of these words: the same words are taken out of any text.

        A cell holds thousands of words. It tells how alike two collections of text are, and no word.
        """
        return tuple([cell & 0xFF for cell in sorted(set(map(crc32, words, repeat(self._seed))))[:most]])

    def least(self, data: list[bytes], most: int) -> list[bytes]:
        """At most `most` of these, each once: the same ones out of any list that holds them (bottom-k sampling).

        Chosen by a checksum with a secret start, which is cheap and need not be strong: it only must not be foreseen.
        """
        if len(data) == 1:
            return data
        found: list[bytes] = []
        for _, piece in sorted(zip(map(crc32, data, repeat(self._seed)), data, strict=False)):
            if not found or piece != found[-1]:
                if len(found) == most:
                    break
                found.append(piece)
        return found
