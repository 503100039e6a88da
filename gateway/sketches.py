"""Pure. Small sketches in bytes: what came before, how many different ones, and what comes most.

They work on a place in a `bytearray`; keyed fingerprints go in, and nothing is allocated that stays.
"""

from struct import Struct

__all__ = ["Common", "Seen"]

ENTRY = 4  # bytes of a fingerprint that are kept: its lowest
MASK = 0xFFFFFFFF
HIGHEST = 20  # level; beyond it one in a million is looked at


class Seen:
    """What came before: adaptive sampling (Wegman; Flajolet, On adaptive sampling, 1990).

    Kept are the fingerprints whose lowest `level` bits are zero. When the table is full, the level rises by one and
    about half of it goes. So a bounded table answers "did this come before?" for a fair sample, exactly and however
    long ago, and its entries times two to the level estimate how many different ones came (standard error about
    1.2 / sqrt(entries)).

    There are two tables of `entries`: this period's, and the one before. State: 4 + 8 * entries bytes, as level and
    number of entries of both, then the tables.
    """

    def __init__(self, entries: int) -> None:
        if not 1 <= entries <= 255:
            raise ValueError("a table has 1 to 255 entries")
        self.entries = entries
        self.size = 4 + 2 * ENTRY * entries
        self._table = ENTRY * entries

    def add(self, data: bytearray, start: int, print_: int) -> bool | None:
        """Whether this fingerprint came before; None where it isn't in the sample. It is remembered from now on."""
        level = data[start]
        if print_ & ((1 << level) - 1):
            return None
        entry = (print_ & MASK).to_bytes(ENTRY, "little")
        here = start + 4
        used = data[start + 1]
        if _holds(data, here, used, entry):
            return True
        before = not print_ & ((1 << data[start + 2]) - 1) and _holds(data, here + self._table, data[start + 3], entry)
        while used == self.entries and level < HIGHEST:
            level += 1
            used = self._thin(data, start, level)
        if used < self.entries and not print_ & ((1 << level) - 1):
            place = here + ENTRY * used
            data[place : place + ENTRY] = entry
            data[start + 1] = used + 1
        return before

    def different(self, data: bytearray, start: int) -> float:
        """How many different fingerprints came in this period, estimated."""
        return float(data[start + 1] << data[start])

    def turn(self, data: bytearray, start: int) -> None:
        """This period is over: its table becomes the former one, and what was older is forgotten."""
        here, table = start + 4, self._table
        data[here + table : here + 2 * table] = data[here : here + table]
        data[here : here + table] = bytes(table)
        data[start + 2 : start + 4] = data[start : start + 2]
        data[start : start + 2] = b"\0\0"

    def _thin(self, data: bytearray, start: int, level: int) -> int:
        """Keeps what has `level` zero bits; returns how many entries are left."""
        mask = (1 << level) - 1
        here = start + 4
        kept = [
            data[at : at + ENTRY]
            for at in range(here, here + ENTRY * data[start + 1], ENTRY)
            if not int.from_bytes(data[at : at + ENTRY], "little") & mask
        ]
        data[here : here + self._table] = b"".join(kept).ljust(self._table, b"\0")
        data[start] = level
        data[start + 1] = len(kept)
        return len(kept)


class Common:
    """What comes most: Misra and Gries (1982) on decayed counts.

    Whatever makes up more than one in (slots + 1) of all that came is there, and its count is short by at most the
    total divided by (slots + 1). State: 8 * slots bytes, as pairs of a fingerprint's lowest 32 bits and a 32-bit float.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._struct = Struct("<" + "If" * slots)
        self.size = self._struct.size

    def add(self, data: bytearray, start: int, print_: int, weight: float, decay: float) -> float:
        """One more of this fingerprint, after all that is there has decayed by a factor; its count, 0 if it has none."""
        entry = print_ & MASK or 1
        pairs = list(self._struct.unpack_from(data, start))
        free = least = -1
        for at in range(0, 2 * self.slots, 2):
            count = pairs[at + 1] = pairs[at + 1] * decay
            if pairs[at] == entry:
                least = at
                free = -2
            elif free != -2 and count < 1e-3:
                free = at
        if free == -2:
            counted = pairs[least + 1] = pairs[least + 1] + weight
        elif free >= 0:
            pairs[free], pairs[free + 1] = entry, weight
            counted = weight
        else:  # each loses what the newcomer brings, as far as it has it
            loss = min(weight, *pairs[1::2])
            counted = weight - loss
            for at in range(0, 2 * self.slots, 2):
                pairs[at + 1] -= loss
            if counted > 0.0:
                place = min(range(1, 2 * self.slots, 2), key=pairs.__getitem__) - 1
                pairs[place], pairs[place + 1] = entry, counted
        self._struct.pack_into(data, start, *pairs)
        return float(counted)

    def most(self, data: bytearray, start: int) -> float:
        """The count of the commonest."""
        return float(max(self._struct.unpack_from(data, start)[1::2]))


def _holds(data: bytearray, start: int, used: int, entry: bytes) -> bool:
    """Whether one of the entries from `start` on is this one."""
    end = start + ENTRY * used
    at = data.find(entry, start, end)
    while at >= 0 and (at - start) % ENTRY:
        at = data.find(entry, at + 1, end)
    return at >= 0
