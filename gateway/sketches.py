"""Pure. Small sketches in bytes: what came before, how many different ones, and what comes most.

They work on a place in a `bytearray`; keyed fingerprints go in, and nothing is allocated that stays.
"""

from math import log
from struct import Struct

__all__ = ["Bits", "Common", "Recent", "Seen"]

ENTRY = 4  # bytes of a fingerprint that are kept: its lowest
MASK = 0xFFFFFFFF
WHOLE = 0xFFFFFFFFFFFFFFFF
HIGHEST = 20  # level; beyond it one in a million is looked at
PAIRS, SLOT, TOUCH = Struct("<IfIfIfIf"), Struct("<IIB"), Struct("<IB")
NOTHING = 1e-3  # a smaller count leaves its slot to others


class Seen:
    """What came before: adaptive sampling (Wegman; Flajolet, On adaptive sampling, 1990).

    Kept are the fingerprints whose lowest `level` bits are zero. When the table is full, the level rises by one and
    about half of it goes. So a bounded table answers "did this come before?" for a fair sample, however long ago, and
    its entries times two to the level estimate how many different ones came (standard error about 1.2 / sqrt(entries)).
    Since 32 bits of each are kept, what never came is taken for what did with a probability of at most
    2 * entries / 2^(32 - level): some 6e-5 after 100,000 different ones in a table of 62.

    There are two tables of `entries`: this period's, and the one before. What one of them would not hold isn't
    answered, else whatever comes again after a turn would be new. State: 4 + 8 * entries bytes, as level and number of
    entries of both, then the tables.
    """

    def __init__(self, entries: int) -> None:
        if not 1 <= entries <= 255:
            raise ValueError("a table has 1 to 255 entries")
        self.entries = entries
        self.size = 4 + 2 * ENTRY * entries
        self._table = ENTRY * entries

    def one_in(self, data: bytearray, start: int) -> int:
        """One in how many fingerprints is answered now: each answer stands for so many."""
        return 1 << max(data[start], data[start + 2])

    def add(self, data: bytearray, start: int, print_: int) -> bool | None:
        """Whether this fingerprint came before; None where it isn't in the sample. It is remembered from now on."""
        level = data[start]
        if print_ & ((1 << level) - 1):
            return None
        entry = (print_ & MASK).to_bytes(ENTRY, "little")
        here = start + 4
        used = data[start + 1]
        told = not print_ & ((1 << data[start + 2]) - 1)
        at = data.find(entry, here, here + ENTRY * used)
        if at >= 0 and (not (at - here) % ENTRY or _holds(data, here, used, entry)):
            return True if told else None
        before = None
        if told:
            former = here + self._table
            at = data.find(entry, former, former + ENTRY * data[start + 3])
            before = at >= 0 and (not (at - former) % ENTRY or _holds(data, former, data[start + 3], entry))
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
    """What comes most: Misra and Gries (1982) on decayed counts, in four slots.

    Whatever makes up more than a fifth of all that came is there, and its count is short by at most a fifth of the
    total. State: 32 bytes, as four pairs of a fingerprint's lowest 32 bits and a 32-bit float.
    """

    size = PAIRS.size

    def add(self, data: bytearray, start: int, print_: int, weight: float, decay: float) -> float:
        """One more of this fingerprint, after all that is there has decayed by a factor; its count, 0 = it has none."""
        entry = print_ & MASK or 1
        a, in_a, b, in_b, c, in_c, d, in_d = PAIRS.unpack_from(data, start)  # a loop over them takes twice as long
        counted: float = weight
        if decay != 1.0:
            in_a *= decay
            in_b *= decay
            in_c *= decay
            in_d *= decay
        if entry == a:
            in_a = counted = in_a + weight
        elif entry == b:
            in_b = counted = in_b + weight
        elif entry == c:
            in_c = counted = in_c + weight
        elif entry == d:
            in_d = counted = in_d + weight
        elif in_d < NOTHING:
            d, in_d = entry, weight
        elif in_c < NOTHING:
            c, in_c = entry, weight
        elif in_b < NOTHING:
            b, in_b = entry, weight
        elif in_a < NOTHING:
            a, in_a = entry, weight
        else:  # each loses what the newcomer brings, as far as it has it
            loss = min(weight, in_a, in_b, in_c, in_d)
            in_a -= loss
            in_b -= loss
            in_c -= loss
            in_d -= loss
            counted = weight - loss
            if counted > 0.0:
                least = min(in_a, in_b, in_c, in_d)
                if in_a == least:
                    a, in_a = entry, counted
                elif in_b == least:
                    b, in_b = entry, counted
                elif in_c == least:
                    c, in_c = entry, counted
                else:
                    d, in_d = entry, counted
        PAIRS.pack_into(data, start, a, in_a, b, in_b, c, in_c, d, in_d)
        return float(counted)

    def most(self, data: bytearray, start: int) -> float:
        """The count of the commonest."""
        return float(max(PAIRS.unpack_from(data, start)[1::2]))


class Recent:
    """The last few that came, each with the second in which it was touched and a byte of the owner's. A newcomer takes
    the place of the one that came first. State: 1 + 9 * slots bytes, as whose turn it was, then the slots.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.size = 1 + SLOT.size * slots

    def find(self, data: bytearray, start: int, print_: int) -> int:
        """The place of the slot that holds this fingerprint's lowest 32 bits; 0 where none does."""
        if not data[start]:
            return 0
        first, end = start + 1, start + self.size
        entry = (print_ & MASK).to_bytes(ENTRY, "little")
        at = data.find(entry, first, end)
        while at >= 0 and (at - first) % SLOT.size:
            at = data.find(entry, at + 1, end)
        return at if at >= 0 else 0

    def look(self, data: bytearray, place: int, now: int) -> tuple[int, int]:
        """Seconds since this slot was touched, and its byte. `now` in seconds."""
        then, note = TOUCH.unpack_from(data, place + ENTRY)
        return (now - then) & MASK, note

    def touch(self, data: bytearray, place: int, now: int, note: int) -> None:
        """What is in this slot came again."""
        TOUCH.pack_into(data, place + ENTRY, now & MASK, note)

    def add(self, data: bytearray, start: int, print_: int, now: int, note: int) -> None:
        """A newcomer."""
        slot = data[start] % self.slots
        data[start] = slot + 1
        SLOT.pack_into(data, start + 1 + SLOT.size * slot, print_ & MASK, now & MASK, note)


class Bits:
    """Whether it came before, one bit each: linear counting (Whang et al. 1990) on an adaptive sample.

    Looked at are the numbers whose mix has `level` zero bits at its end; each has one of `bits` bits. When three in
    four are set, the level rises by one and all are cleared. So what comes again and again is new at most once a level,
    however much there is of it, and what is always new stays visible. State: 3 + bits / 8 bytes, as level, number of
    bits that are set, the bits.
    """

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.size = 3 + bits // 8

    def add(self, data: bytearray, start: int, numbers: tuple[int, ...]) -> tuple[int, int]:
        """How many of these are new, and how many came before, as far as can be told; remembered from now on."""
        level = data[start]
        here, mask, bits = start + 3, (1 << level) - 1, self.bits
        new = known = 0
        for number in numbers:
            mixed = mix(number)
            if mixed & mask:
                continue
            place = (mixed >> 32) % bits
            at, bit = here + (place >> 3), 1 << (place & 7)
            if data[at] & bit:
                known += 1
            else:
                data[at] |= bit
                new += 1
        if new:
            used = self._used(data, start) + new
            if 4 * used > 3 * bits:
                data[start] = min(level + 1, HIGHEST)
                used = 0
                data[here : here + bits // 8] = bytes(bits // 8)
            data[start + 1 : start + 3] = used.to_bytes(2, "little")
        return new, known

    def chance(self, data: bytearray, start: int) -> float:
        """How likely it is that a new number is seen to be new."""
        return (1.0 - self._used(data, start) / self.bits) / (1 << data[start])

    def different(self, data: bytearray, start: int) -> float:
        """How many different numbers came since the level rose, estimated (standard error 3 % of a thousand)."""
        used = self._used(data, start)
        return -self.bits * log(1.0 - used / self.bits) * (1 << data[start])

    def _used(self, data: bytearray, start: int) -> int:
        return data[start + 1] | data[start + 2] << 8


def mix(number: int) -> int:
    """64 well mixed bits of a number (the finalizer of SplitMix64, Steele et al. 2014)."""
    z = (number + 0x9E3779B97F4A7C15) & WHOLE
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WHOLE
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WHOLE
    return z ^ (z >> 31)


def _holds(data: bytearray, start: int, used: int, entry: bytes) -> bool:
    """Whether one of the entries from `start` on is this one."""
    end = start + ENTRY * used
    at = data.find(entry, start, end)
    while at >= 0 and (at - start) % ENTRY:
        at = data.find(entry, at + 1, end)
    return at >= 0
