"""Shell. Request ids: ULIDs, 26 characters that sort by time and are unique without coordination."""

import os
import time
from collections.abc import Callable

__all__ = ["Ulids", "entropy", "ulid"]

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
PAIRS = tuple(high + low for high in ALPHABET for low in ALPHABET)  # ten bits at a time
FRESH_BITS = 79  # of 80: the top bit stays clear, so that counting up within a millisecond can't overflow


BLOCK = 4096  # bytes that are asked of the system at once: one call takes as long as two ids


def _micros() -> int:
    return time.time_ns() // 1000


class _Entropy:
    """The system's random bytes, fetched in blocks; none is given out twice. A forked process fetches its own."""

    def __init__(self) -> None:
        self._block = b""
        self._at = BLOCK
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self, size: int) -> bytes:
        """The next `size` random bytes, at most a block."""
        at = self._at
        if at + size > BLOCK:
            self._block, at = os.urandom(BLOCK), 0
        self._at = at + size
        return self._block[at : at + size]

    def _forget(self) -> None:
        self._at = BLOCK


entropy = _Entropy()
"""Random bytes of this process. For one thread, and for names: a secret is asked of the system itself."""


class Ulids:
    """A generator of ULIDs, strictly increasing even within a millisecond or where the clock runs backwards.

    `clock` gives microseconds since the Unix epoch, `entropy(n)` gives n random bytes. For one thread.
    """

    def __init__(self, clock: Callable[[], int] = _micros, entropy: Callable[[int], bytes] = entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last = -1  # ms
        self._prefix = ""
        self._tail = 0

    def next(self) -> str:
        """A new id: 10 characters of milliseconds since the epoch, 16 of randomness."""
        now = self._clock() // 1000
        if now > self._last:
            self._last = now
            self._prefix = (
                PAIRS[now >> 40 & 1023]
                + PAIRS[now >> 30 & 1023]
                + PAIRS[now >> 20 & 1023]
                + PAIRS[now >> 10 & 1023]
                + PAIRS[now & 1023]
            )
            self._tail = int.from_bytes(self._entropy(10), "big") & ((1 << FRESH_BITS) - 1)
        else:
            self._tail += 1
        high, low = divmod(self._tail, 1 << 40)
        pairs = PAIRS
        return (
            self._prefix
            + pairs[high >> 30]
            + pairs[high >> 20 & 1023]
            + pairs[high >> 10 & 1023]
            + pairs[high & 1023]
            + pairs[low >> 30]
            + pairs[low >> 20 & 1023]
            + pairs[low >> 10 & 1023]
            + pairs[low & 1023]
        )


ulid = Ulids().next
"""A new id of this process, by the system's clock."""
