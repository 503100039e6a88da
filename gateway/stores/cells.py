"""Shell. A bounded table of limit cells: one integer each, swept a few at a time, the least valuable evicted first."""

from collections.abc import Container, Iterator

__all__ = ["Cells"]

SAMPLE = 8  # cells compared when one has to go
LOOK = 64  # cells looked at, at most, to find that many that may go


class Cells:
    """Key -> integer, whose upper bits (`value >> shift`) are the moment in µs from which the cell says nothing.

    A hand goes round a list of the keys, so that neither forgetting nor evicting ever walks the table, and a cell costs
    one slot of a dictionary, one of a list, its key and its number.
    """

    __slots__ = ("_hand", "_ring", "_shift", "values")

    def __init__(self, shift: int = 0, values: dict[str, int] | None = None, hand: int = 0) -> None:
        """`values` in the order in which the hand goes round."""
        self.values: dict[str, int] = {} if values is None else values
        self._ring = list(self.values)
        self._hand = hand
        self._shift = shift

    def copy(self) -> "Cells":
        """The same cells, which stay as they are now: in about 20 ns a cell."""
        made = Cells(self._shift)
        made.values, made._ring, made._hand = self.values.copy(), self._ring.copy(), self._hand
        return made

    def without(self, part: str, held: Container[str]) -> "Cells":
        """The same cells but those with this in their key, except held ones. It walks the table."""
        return Cells(self._shift, {key: value for key, value in self.items() if part not in key or key in held})

    @property
    def hand(self) -> int:
        """Where the hand is."""
        return self._hand

    def items(self) -> Iterator[tuple[str, int]]:
        """Keys and values, in the order in which the hand goes round."""
        return ((key, self.values[key]) for key in self._ring)

    def __len__(self) -> int:
        return len(self.values)

    def put(self, key: str, value: int) -> bool:
        """Writes a cell; True where it is new."""
        new = key not in self.values
        self.values[key] = value
        if new:
            self._ring.append(key)
        return new

    def unput(self, key: str, old: int | None) -> None:
        """Takes the last `put` back (then the one before, …); `old` is what the cell held, None where it was new."""
        if old is None:
            del self.values[key]
            self._ring.pop()
        else:
            self.values[key] = old

    def sweep(self, count: int, now: int, held: Container[str]) -> None:
        """Looks at the next `count` cells and forgets those that say nothing any more, except held ones."""
        ring, values, shift, hand = self._ring, self.values, self._shift, self._hand
        for _ in range(min(count, len(ring))):
            if hand >= len(ring):
                hand = 0
            key = ring[hand]
            if values[key] >> shift <= now and key not in held:
                self._drop(hand)
            else:
                hand += 1
        self._hand = hand

    def evict(self, now: int, held: Container[str]) -> bool | None:
        """Drops the cell that would soonest have said nothing, of the next few that aren't held.

        True: it was live; False: it had nothing to say; None: all that it looked at are held. A flood of new keys,
        which have drawn little, thus pushes out itself rather than those that are deep in debt.
        """
        ring, values, shift = self._ring, self.values, self._shift
        worst, least, found = -1, 0, 0
        for _ in range(min(LOOK, len(ring))):
            if self._hand >= len(ring):
                self._hand = 0
            key = ring[self._hand]
            if key not in held:
                until = values[key] >> shift
                if worst < 0 or until < least:
                    worst, least = self._hand, until
                found += 1
                if found == SAMPLE:
                    break
            self._hand += 1
        if worst < 0:
            return None
        self._drop(worst)
        return least > now

    def _drop(self, at: int) -> None:
        ring = self._ring
        del self.values[ring[at]]
        last = ring.pop()
        if at < len(ring):
            ring[at] = last
