"""Pure. All signals of one account as one row of bytes: laid out, unpacked, stepped, packed again.

Layout (little-endian): a byte for the version, stamps (64-bit µs), counters by time constant (32-bit floats), then the
sketches. Its size is the same for every account, whatever comes: `Panel.size`. A step copies the row, so an exception
on the way leaves the old one as it was.

Counts decay in steps, 44 a half-life and at the same moments for everybody (`signals.decayed`): an hour's counts every
57 s, a week's every 2.6 hours. A count is then less than 1.6 % from what it would be if it decayed all the time, and an
account that asks ten times a second has nothing to decay but once in 570 requests.
"""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from itertools import compress, pairwise
from struct import Struct, pack, unpack

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import DAY, GENERATES, GRID, HALF, HOUR, WEEK, Ended, Read, Signal, Slab, Span, slight
from gateway.sketches import Recent, Seen

__all__ = ["LAYOUT", "Panel"]

LAYOUT = 1  # version of the row; another one is not read
PERIOD = WEEK  # µs after which what an account asked is the former period's
MOST = 3.0e38  # of a 32-bit float

SHARED: tuple[tuple[str, Span], ...] = (
    ("generating_day", "day"),
    ("generating", "week"),
    ("looked", "week"),  # asks of the sample
    ("fresh", "week"),  # of those, asked for the first time
    ("apart", "week"),  # asks of the sample without those that draw one of the last once more
    ("novel", "week"),  # of those, asked for the first time
    ("slight", "week"),  # what requests weigh less than 1
)
STAMPS = ("last", "period")
SECOND = 1_000_000  # µs
SOON = 600  # s in which the same ask again is another draw of it, and no return to it
DRAWS = 8  # one after the other that are draws; rejection sampling takes 4 to 16 answers, a product the same all day
MOST_DRAWS = 255  # that are counted
ORDER: tuple[Span, ...] = ("hour", "day", "week", "ever")
ASKS = Seen(62)
DRAWN = Recent(8)  # the last asks, and how often each was drawn: several are drawn side by side


class Panel:
    """The signals that are there, by name, and where each keeps its numbers."""

    def __init__(self, signals: Mapping[str, Signal]) -> None:
        self.signals = dict(signals)
        self._marks: dict[str, list[int]] = {}  # mark -> the counters that count it
        stamps = len(STAMPS)
        wanted = [("", name, span) for name, span in SHARED]  # of which signal, its name, its time constant
        sketch = ASKS.size + DRAWN.size
        for file, signal in self.signals.items():
            signal.when = tuple(range(stamps, stamps + len(signal.stamps)))
            stamps += len(signal.stamps)
            signal.start = sketch
            sketch += signal.sketch
            wanted += [(file, name, span) for name, span in _counters(signal)]
        ordered = sorted(wanted, key=lambda each: ORDER.index(each[2]))
        places = {(file, name): at for at, (file, name, _) in enumerate(ordered)}
        for file, signal in self.signals.items():
            signal.at = tuple(places[file, name] for name, _ in _counters(signal))
            for mark in signal.marks:
                self._marks.setdefault(mark, []).append(places[file, mark])
        self._day, self._week, self._looked, self._fresh, self._apart, self._novel, self._slight = (
            places["", name] for name, _ in SHARED
        )
        ends = [sum(1 for each in ordered if ORDER.index(each[2]) < at) for at in range(4)]
        self._spans = [(range(first, end), first) for first, end in pairwise(ends)]
        self._stamps, self._counters, self._sketch = stamps, len(ordered), sketch
        self._head = Struct(f"<B{stamps}q{len(ordered)}f")
        self.size = self._head.size + sketch
        names = "|".join([f"{file} {name} {span}" for file, name, span in ordered])
        self._told = Struct(f"<4sq{(len(ordered) + 7) // 8}s")
        self._names = blake2b(names.encode(), digest_size=4).digest()  # of what the counters of told counts are
        asked = [signal for signal in self.signals.values() if type(signal).asked is not Signal.asked]
        self._asked = [signal.asked for signal in asked]
        self._malformed = [signal.asked for signal in asked if signal.malformed]
        self._ended = [signal.ended for signal in self.signals.values() if type(signal).ended is not Signal.ended]
        self.readings: dict[str, Read] = {
            read.name: read for signal in self.signals.values() for read in signal.readings()
        }

    def counts(self, name: str) -> tuple[Callable[[Slab], float], Callable[[Slab], float]]:
        """What a share counts, and the requests that it is of. Raises TypeError for a reading that is no share."""
        read = self.readings[name]
        if read.hits is None or read.of is None:
            raise TypeError(f"{name} is no share")
        return read.hits, read.of

    def fresh(self) -> Slab:
        """The slab of an account that nothing is known of."""
        return Slab([0] * self._stamps, [0.0] * self._counters, bytearray(self._sketch))

    def unpack(self, row: bytes) -> Slab:
        """The slab in a row; a fresh one for an empty row. Raises ValueError for a row of another layout."""
        if not row:
            return self.fresh()
        if len(row) != self.size or row[0] != LAYOUT:
            raise ValueError("a row of another layout")
        numbers = self._head.unpack_from(row)
        stamps = self._stamps
        return Slab(list(numbers[1 : 1 + stamps]), list(numbers[1 + stamps :]), bytearray(row[self._head.size :]))

    def read(self, row: bytes) -> Slab:
        """The slab in a row as it stood after its last step: to be read, not kept. Raises as `unpack` does."""
        slab = self.unpack(row)
        self._share(slab)
        return slab

    def read_at(self, row: bytes, now: int) -> Slab:
        """The slab in a row as it stands at `now`: to be read, not kept. Raises as `unpack` does."""
        return self.shared(self.at(row, now))

    def shared(self, slab: Slab) -> Slab:
        """The same slab, with what all signals share worked out of its counts."""
        self._share(slab)
        return slab

    def at(self, row: bytes, now: int) -> Slab:
        """The slab in a row as it stands at `now`, for a step. One before the last step happens at the last one's time.

        Raises as `unpack` does.
        """
        slab = self.unpack(row)
        times, counts = slab.times, slab.counts
        before = times[0]
        elapsed = now - before
        if not row or not times[0]:
            times[0] = slab.now = now
        elif elapsed <= 0:
            slab.now = times[0]
        else:
            slab.since = elapsed
            times[0] = slab.now = now
            self._fade(counts, before, now)
        return slab

    def counted(self, row: bytes) -> bytes:
        """The counts of a row that aren't 0, for another process to add up: some 150 bytes; b"" for an empty row.

        Raises as `unpack` does.
        """
        if not row:
            return b""
        slab = self.unpack(row)
        which, counts = 0, []
        for at, count in enumerate(slab.counts):
            if count:
                which |= 1 << at
                counts.append(count)
        head = self._told.pack(self._names, slab.times[0], which.to_bytes((self._counters + 7) // 8, "little"))
        return head + pack(f"<{len(counts)}f", *counts)

    def heard(self, counted: bytes, now: int) -> Slab:
        """A slab of the counts that another process has told, as they stand at `now`: to be read, not kept.

        Raises ValueError for what is none, or was told by a process with other signals.
        """
        head = self._told.size
        if len(counted) < head or (len(counted) - head) % 4:
            raise ValueError("no told counts")
        names, before, bits = self._told.unpack_from(counted)
        which = int.from_bytes(bits, "little")
        if names != self._names or which >> self._counters or 4 * which.bit_count() != len(counted) - head:
            raise ValueError("counts of other signals")
        slab = self.fresh()
        counts = slab.counts
        for count in unpack(f"<{which.bit_count()}f", counted[head:]):
            if not 0.0 <= count <= MOST:
                raise ValueError("no count")
            place = (which & -which).bit_length() - 1
            which &= which - 1
            counts[place] = count
        slab.times[0] = slab.now = max(before, now)
        self._fade(counts, min(before, now), now)
        return slab

    def _fade(self, counts: list[float], before: int, now: int) -> None:
        for (places, first), span in zip(self._spans, (HOUR, DAY, WEEK), strict=True):
            step = GRID[span]
            steps = now // step - before // step
            if steps:
                left = HALF**steps
                for place in compress(places, counts[first:]):  # half of the counts of most accounts are 0
                    counts[place] *= left

    def pack(self, slab: Slab) -> bytes:
        """The row of a slab. Counts beyond what a 32-bit float holds stay at its end."""
        try:
            return self._head.pack(LAYOUT, *slab.times, *slab.counts) + slab.bytes
        except OverflowError:
            return self._head.pack(LAYOUT, *slab.times, *[min(count, MOST) for count in slab.counts]) + slab.bytes

    def malformed(self, row: bytes, seen: Observation, who: Caller, now: int) -> Slab:
        """The slab after a request that was refused before it was read."""
        slab = self.at(row, now)
        self._share(slab)
        for asked in self._malformed:
            asked(slab, seen, who)
        return slab

    def asked(
        self, row: bytes, seen: Observation, who: Caller, now: int, returned: int = 0, continued: bool = False
    ) -> Slab:
        """The slab after a request has been observed. `returned` and `continued`: see `Slab`."""
        slab = self.at(row, now)
        slab.returned, slab.continued = returned, continued
        slab.weight = weight = seen.lines or 1
        counts = slab.counts
        if seen.op in GENERATES:
            counts[self._week] += weight
            counts[self._day] += weight
            counted = self._marks
            for mark, hits in seen.marks.items():
                if mark in counted:
                    for at in counted[mark]:
                        counts[at] += hits
        times, data = slab.times, slab.bytes
        if slab.now // PERIOD != times[1]:
            ASKS.turn(data, 0)
            times[1] = slab.now // PERIOD
        asks = seen.asks
        if asks:
            again = slab.again = len(asks) == 1 and _drawn(data, asks[0], slab.now // SECOND)
            each = seen.distinct / len(asks)
            for ask in asks:
                stands = each * ASKS.one_in(data, 0)
                before = ASKS.add(data, 0, ask)
                if before is not None:
                    counts[self._looked] += stands
                    if not before:
                        counts[self._fresh] += stands
                        counts[self._novel] += stands
                    if not again:
                        counts[self._apart] += stands
            if seen.distinct < weight:  # lines of a batch that ask what others of it do
                counts[self._looked] += weight - seen.distinct
                counts[self._apart] += weight - seen.distinct
        self._share(slab)
        for asked in self._asked:
            asked(slab, seen, who)
        return slab

    def ended(self, row: bytes, seen: Observation, end: Ended, now: int) -> Slab:
        """The slab after a request has ended."""
        slab = self.at(row, now)
        slab.weight = seen.lines or 1
        slab.counts[self._slight] += slight(seen, end)
        self._share(slab)
        for ended in self._ended:
            ended(slab, seen, end)
        return slab

    def _share(self, slab: Slab) -> None:
        counts = slab.counts
        slab.generating, slab.generating_day = counts[self._week], counts[self._day]
        weighty = slab.generating - counts[self._slight]
        slab.weighty = weighty if weighty > 0.0 else 0.0
        looked = counts[self._looked]
        slab.fresh = counts[self._fresh] / looked if looked else 1.0
        apart = counts[self._apart]
        novel = counts[self._novel] / apart if apart else 1.0
        slab.novel = novel if novel < 1.0 else 1.0


def _drawn(data: bytearray, ask: int, now: int) -> bool:
    """Whether this ask draws one of the last few once more. `now` in seconds."""
    place = DRAWN.find(data, ASKS.size, ask)
    if not place:
        DRAWN.add(data, ASKS.size, ask, now, 1)
        return False
    age, draws = DRAWN.look(data, place, now)
    draws = min(draws + 1, MOST_DRAWS) if age <= SOON else 1
    DRAWN.touch(data, place, now, draws)
    return 1 < draws <= DRAWS


def _counters(signal: Signal) -> list[tuple[str, Span]]:
    """The counters of a signal: those of its marks, then its own."""
    return [*((mark, "week") for mark in signal.marks), *signal.counters]
