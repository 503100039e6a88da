"""Pure. What workers tell each other of an account: its record as bytes, and back. 100 to 900 bytes, without any text.

    1  version of this form; another one is not read
    8  when it was told, µs, big-endian: a store can compare it without reading the rest
   12  the campaign's number, and four lengths
       the account's id
       its habits: HEAD; keys, counts and frames of the slots that are taken; cells that aren't 0; the owner, if another
       the counts of its row of signals (`Panel.counted`), and what each signal of its campaign remembers of it

Numbers are little-endian but for the second. Counts are those of the record, to the bit. Who reads trusts nothing:
`read` gives a record that holds what `Habits` promises, or raises Unreadable.
"""

from collections.abc import Sequence
from struct import Struct, error, pack, unpack_from

from gateway.campaigns.habits import END, FIRST, FRAMES, MAX_FRAMES, ROW, SLOTS, Habits, Part, most
from gateway.gauges import PANEL
from gateway.identity import Caller

__all__ = ["LONGEST", "VERSION", "OtherVersion", "Unreadable", "habits_of", "packed", "read", "record"]

VERSION = 1
LONGEST = 4096  # bytes of a record that are read
MOST_BONDS = 8
HEAD = Struct("<qqqqdQBQHI")
# since, first, last, faded, count, requests, flags and frames, slots that are taken, frames it was born with, cells
OPENING = Struct(">BQ")
LENGTHS = Struct("<5sHHHB")
KNOWN, FRESH = 16, 32  # flags above the number of frames
LATEST = 1 << 62  # µs
MOST_COUNTED = 1e30
KINDS = tuple(kind for kind in range(8) for _ in range(FIRST[kind], END[kind]))  # slot -> the kind of its key


class Unreadable(ValueError):
    """These bytes are no record."""


class OtherVersion(Unreadable):
    """A record in the form of another version."""


def packed(habits: Habits) -> bytes:
    """What an account does every time, without its id."""
    values = ROW.unpack(habits.row)
    taken = [at for at in range(SLOTS) if values[at]]
    keys = [values[at] for at in taken]
    frames: list[int] = []
    born = 0
    for key in habits.frames:
        if key in keys:  # else another one has its place, and it is a habit no more
            born |= (key in habits.born) << len(frames)
            frames.append(taken[keys.index(key)])
    which = sum(1 << at for at in taken)
    cells = sum(1 << at for at, count in enumerate(habits.cells) if count)
    flags = len(frames) | (KNOWN if habits.known else 0) | (FRESH if habits.fresh else 0)
    times = (habits.since, habits.first, habits.last, habits.faded)
    counts = [values[SLOTS + at] for at in taken]
    owner = b"" if habits.owner == habits.account else habits.owner.encode("utf-8", "surrogatepass")
    return b"".join((
        HEAD.pack(*times, habits.count, min(habits.requests, LATEST), flags, which, born, cells),
        pack(f"<{len(taken)}Q{len(taken)}f{len(frames)}B", *keys, *counts, *frames),
        habits.cells.replace(b"\0", b""),
        owner,
    ))  # fmt: skip


def habits_of(account: str, data: bytes) -> Habits:
    """The record of an account. Raises Unreadable."""
    try:
        since, first, last, faded, count, requests, flags, which, born, cells = HEAD.unpack_from(data)
        size, frames, at = which.bit_count(), flags & 15, HEAD.size
        numbers = unpack_from(f"<{size}Q{size}f{frames}B", data, at)
        at += 12 * size + frames
        words = data[at : at + cells.bit_count()]
        owner = data[at + cells.bit_count() :].decode("utf-8", "surrogatepass")
    except (error, UnicodeDecodeError) as wrong:
        raise Unreadable(str(wrong)) from None
    times = (since, last, faded)
    if which >> SLOTS or len(words) != cells.bit_count() or requests > LATEST or not -LATEST < first < LATEST:
        raise Unreadable("no such slots")
    if not all(0 <= time < LATEST for time in times) or not 0.0 <= count <= MOST_COUNTED or 0 in words:
        raise Unreadable("no times or counts")
    keys, counts = [0] * SLOTS, [0.0] * SLOTS
    for key, each in zip(numbers[:size], numbers[size : 2 * size], strict=True):
        slot = (which & -which).bit_length() - 1
        which &= which - 1
        if not 8 <= key < 1 << 56 or key & 7 != KINDS[slot] or not 0.0 <= each <= MOST_COUNTED or key in keys:
            raise Unreadable("no such key")
        keys[slot], counts[slot] = key, each
    record = Habits(account, Caller(account), since)
    record.owner = owner or account
    record.known, record.fresh = bool(flags & KNOWN), bool(flags & FRESH)
    record.first, record.last, record.faded, record.requests, record.count = first, last, faded, requests, count
    record.row = ROW.pack(*keys, *counts)
    record.frames = tuple([keys[slot] if slot < FRAMES else 0 for slot in numbers[2 * size :]])
    if not all(record.frames) or len(set(record.frames)) < frames or born >> frames or frames > MAX_FRAMES:
        raise Unreadable("no such frames")
    record.born = tuple([key for place, key in enumerate(record.frames) if born >> place & 1])
    record.seconds = most(keys, counts, count)
    row = bytearray(len(record.cells))
    for each in words:
        row[(cells & -cells).bit_length() - 1] = each
        cells &= cells - 1
    record.cells = bytes(row)
    return record


def record(account: str, at: int, habits: bytes, name: int, counted: bytes = b"", bonds: Sequence[bytes] = ()) -> bytes:
    """One record, of the parts that `Part` describes. `at` in µs."""
    who = account.encode("utf-8", "surrogatepass")
    return b"".join((
        OPENING.pack(VERSION, at),
        LENGTHS.pack(name.to_bytes(5, "big"), len(who), len(habits), len(counted), len(bonds)),
        pack(f"<{len(bonds)}H", *map(len, bonds)),
        who,
        habits,
        counted,
        *bonds,
    ))  # fmt: skip


def read(data: bytes, worker: str) -> tuple[Habits, Part]:
    """A record that a worker has told. Raises Unreadable, OtherVersion.

    Counts of a process that has other signals are left out.
    """
    if data[:1] and data[0] != VERSION:
        raise OtherVersion("another version")
    if len(data) > LONGEST:
        raise Unreadable("too long")
    try:
        _, told = OPENING.unpack_from(data)
        name, who, habits, counted, bonds = LENGTHS.unpack_from(data, OPENING.size)
        start = OPENING.size + LENGTHS.size
        lengths = unpack_from(f"<{bonds}H", data, start)
        start += 2 * bonds
        pieces = []
        for length in (who, habits, counted, *lengths):
            pieces.append(data[start : start + length])
            start += length
        account = pieces[0].decode("utf-8", "surrogatepass")
    except (error, UnicodeDecodeError) as wrong:
        raise Unreadable(str(wrong)) from None
    if start != len(data) or not account or told >= LATEST or bonds > MOST_BONDS:
        raise Unreadable("no record")
    sums = pieces[2]
    try:
        if sums:
            PANEL.heard(sums, told)
    except ValueError:
        sums = b""
    found = habits_of(account, pieces[1])
    return found, Part(worker, told, int.from_bytes(name, "big"), pieces[1], sums, tuple(pieces[3:]))
