"""Shell. Which answers this process served in the last day: fingerprints of their pieces, in a table of fixed size.

Layout. Rows of 16 places; a piece has one row, by its fingerprint, and any place in it. A place is 24 further bits of
the fingerprint, the hour in which the piece was last served (13 bits), and in how many answers and answered prompts (3
bits): 5 bytes. There is no text in it, and who finds it can't guess any without the deployment's pepper. All steps take
the same time.

Framing. Who makes the model say a sentence of somebody else's template would have all of that one's prompts look fed
back. So a prompt that was answered counts like an answer: a sentence that comes back for the seventh time is a frame,
and a row of a harvest comes back once, or a few times to be judged. Prompts that the model server refuses count
nothing, else made-up keys could make any sentence a common one.

Room. 16 MiB are 3.3 million places: 838,000 answers of four pieces. A full row loses the piece that was served longest
ago, and `evicted` counts it: beyond its room the table remembers a shorter time, and nothing else changes. Rows fill
unevenly (Poisson): where half as many pieces come in a day as there are places (5 answers a second), one in 1,250 of
the day's is missing at any time; where as many come, one in 10.

Errors. Within its day a piece that wasn't pushed out is always found. One that was never served is taken for one that
was with a probability of 16 / 2^24, a millionth, where every row is full. A place that nothing has pushed out for 341
days would look like one of today: no process lives that long between two versions.

Hours are of the events' clock: a piece is known for 24 to 25 hours after it was last served.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from gateway.observe import Observation

__all__ = ["COMMON", "SIZE", "Served"]

SIZE = 16_777_216  # bytes
HOUR = 3_600_000_000  # µs
HOURS = 24  # since the hour in which a piece was last served
PLACES = 16  # a row
TAG = 3  # bytes
PLACE = TAG + 2
TAGS = 0xFFFFFF  # different ones; 0 is none of them
CLOCK = 0x1FFF  # hours, modulo
COMMON = 7  # answers and answered prompts: a sentence in so many is everybody's, and coming back says nothing
PART = 8192  # rows that are copied at once
RING = 32  # hours whose pieces are counted apart


class Served:
    """Pieces of answers that were served. `size`: bytes; less than a row's 80 = nothing is remembered."""

    def __init__(self, size: int = SIZE) -> None:
        self._rows = size // (PLACES * PLACE)
        self._tags = bytearray(self._rows * PLACES * TAG)
        self._marks = memoryview(bytearray(self._rows * PLACES * 2)).cast("H")  # hour << 3 | answers; 0 = empty
        self._hour = 0
        self._counts = [0] * RING  # pieces last served in an hour, by the hour's number
        self.pieces = 0  # that are known
        self.evicted = 0  # known ones that a full row lost

    @property
    def clock(self) -> tuple[int, int]:
        """The hour, and how many pieces were evicted."""
        return self._hour, self.evicted

    def parts(self) -> Iterator[tuple[bytes, bytes]]:
        """The bytes of tags and of marks, some rows at a time, each as it is when it is asked for: 0.3 ms each."""
        marks = self._marks.cast("B")
        for row in range(0, self._rows, PART):
            places = slice(row * PLACES, (row + PART) * PLACES)
            yield (
                bytes(memoryview(self._tags)[places.start * TAG : places.stop * TAG]),
                bytes(marks[places.start * 2 : places.stop * 2]),
            )

    def hold(self, hour: int, evicted: int, tags: bytes, marks: bytes) -> bool:
        """Goes on from what another process held; False where its table had another size, and nothing is changed."""
        if len(tags) != len(self._tags) or len(marks) != self._marks.nbytes:
            return False
        self._hour, self.evicted = hour, evicted
        self._tags[:] = tags
        self._marks.cast("B")[:] = marks
        self._counts, self.pieces = [0] * RING, 0
        for mark, count in Counter(self._marks).items():
            if self._fresh(mark):
                self._counts[(hour - ((hour - (mark >> 3)) & CLOCK)) % RING] += count
                self.pieces += count
        return True

    def __bool__(self) -> bool:
        """Whether anything is remembered at all."""
        return self._rows > 0

    def add(self, pieces: Sequence[int], now: int, asked: Collection[int] = ()) -> None:
        """An answer with these pieces was served at `now` (µs).

        `asked`: pieces of what it answers, each of which has come back once more. An answer that repeats the question
        brings nothing new: such a piece is taken for a common one, unless an answer has brought it before.
        """
        if not self._rows:
            return
        hour = self._turn(now)
        marks = self._marks
        for piece in asked:
            place = self._find(piece)
            if place >= 0 and marks[place] & COMMON < COMMON:
                marks[place] += 1
        for piece in pieces:
            place = self._find(piece)
            if place < 0:
                row, tag = self._at(piece)
                place = self._room(row)
                self._tags[place * TAG : place * TAG + TAG] = tag
                answers = 0
            else:
                answers = marks[place] & COMMON
                self._leave(place)
            if piece in asked:
                answers = answers or COMMON
            else:
                answers = min(answers + 1, COMMON)
            marks[place] = (hour & CLOCK) << 3 | answers
            self._counts[hour % RING] += 1
            self.pieces += 1

    def answers(self, piece: int, now: int) -> int:
        """In how many answers, and prompts since, this piece stood in the last day, at most `COMMON`; 0 = no answer."""
        if not self._rows:
            return 0
        self._turn(now)
        return self._answers(piece)

    def look(self, seen: Observation, now: int) -> tuple[int, bool]:
        """How many pieces of what is asked afresh stood in an answer, and whether the history's last answer is one."""
        if not self._rows:
            return 0, False
        self._turn(now)
        returned = 0
        if not seen.answers:
            for piece in seen.pieces:
                returned += 0 < self._answers(piece) < COMMON
        return returned, seen.said != 0 and self._answers(seen.said) > 0

    def _answers(self, piece: int) -> int:
        place = self._find(piece)
        return self._marks[place] & COMMON if place >= 0 else 0

    def _at(self, piece: int) -> tuple[int, bytes]:
        rest, row = divmod(piece, self._rows)
        return row, (rest % TAGS + 1).to_bytes(TAG, "little")

    def _find(self, piece: int) -> int:
        """The place where a piece of the last day is; -1 where it is none."""
        tags = self._tags
        row, tag = self._at(piece)
        start = row * (PLACES * TAG)
        end = start + PLACES * TAG
        at = tags.find(tag, start, end)
        while at >= 0:
            place, between = divmod(at, TAG)
            if not between and self._fresh(self._marks[place]):
                return place
            at = tags.find(tag, at + 1, end)
        return -1

    def _fresh(self, mark: int) -> bool:
        return mark > 0 and (self._hour - (mark >> 3)) & CLOCK <= HOURS

    def _room(self, row: int) -> int:
        """A place in this row for a new piece: an empty one, else that of the piece served longest ago."""
        start = row * PLACES
        marks = self._marks[start : start + PLACES].tolist()
        if 0 in marks:
            return start + marks.index(0)
        hour = self._hour
        ages = [(hour - (mark >> 3)) & CLOCK for mark in marks]
        oldest = max(ages)
        place = start + ages.index(oldest)
        if oldest <= HOURS:
            self._leave(place)
            self.evicted += 1
        return place

    def _leave(self, place: int) -> None:
        """The piece at this place is known no more, or known anew."""
        age = (self._hour - (self._marks[place] >> 3)) & CLOCK
        self._counts[(self._hour - age) % RING] -= 1
        self.pieces -= 1

    def _turn(self, now: int) -> int:
        """The hour, which never goes back. What is older than a day is known no more."""
        hour = now // HOUR
        if hour > self._hour:
            counts = self._counts
            for each in range(max(self._hour + 1, hour - RING + 1), hour + 1):
                gone = (each - HOURS - 1) % RING
                self.pieces -= counts[gone]
                counts[gone] = 0
            self._hour = hour
        return self._hour
