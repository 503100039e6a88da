"""Pure. The lines of a batch, folded into the features of one bounded observation.

Counts add up over the lines. Of fingerprints a sample is kept: the smallest `MAX_ASKS` of the asks (bottom-k, from
which the number of different ones is estimated, Bar-Yossef et al. 2002), and for heads, tails, openings, closings,
system texts and parameters the commonest one with how many lines have it (Misra and Gries 1982, 8 counters). After the
first `WHOLE` lines one in `RARE` is looked at, chosen by a checksum of its text with a secret start, and counts for as
many.
"""

from collections.abc import Sequence

from gateway.observe.features import MAX_ASKS, MAX_BIASED, MAX_PIECES, Features, features
from gateway.observe.prints import Prints
from gateway.protocols import Call, ParseLine

__all__ = ["Fold"]

WHOLE = 256  # lines that are all looked at
RARE = 8
COUNTERS = 8
SPACE = 1 << 53  # fingerprints that there are


class Fold:
    """Looks at calls one after the other. Memory is bounded, whatever the number of lines."""

    def __init__(self, prints: Prints) -> None:
        self._prints = prints
        self.lines = 0
        self._marks: dict[str, int] = {}
        self._asks: set[int] = set()
        self._full = False  # whether a smaller fingerprint has pushed one out
        self._pieces: set[int] = set()
        self._common: tuple[dict[int, int], ...] = (
            {},
            {},
            {},
            {},
            {},
            {},
        )  # head, tail, opening, closing, system, params
        self._users: set[int] = set()
        self._bias: tuple[int, ...] = ()
        self._spelled = self._fresh = 0
        self._banks: dict[str, int] = {}
        self._words: tuple[int, ...] = ()  # of the first line that has any: a batch is about what its lines are

    def watch(self, parse_line: ParseLine) -> ParseLine:
        """A `parse_line` whose calls are looked at as well."""

        def parse(method: str, path: str, body: bytes) -> tuple[Call, ...] | None:
            calls = parse_line(method, path, body)
            if calls:
                self.add(calls)
            return calls

        return parse

    def add(self, calls: Sequence[Call]) -> None:
        """With these calls, each one a line."""
        for call in calls:
            self.lines += 1
            if self.lines <= WHOLE:
                self._add(features(call, self._prints), 1)
            elif self._prints.picks(call.asked, RARE):
                self._add(features(call, self._prints), RARE)

    def _add(self, one: Features, weight: int) -> None:
        for mark in one.marks:
            self._marks[mark] = self._marks.get(mark, 0) + weight
        for ask in one.asks:
            _keep(self._asks, ask, MAX_ASKS)
        self._full = self._full or len(self._asks) == MAX_ASKS
        for piece in one.pieces:
            _keep(self._pieces, piece, MAX_PIECES)
        if one.user:
            _keep(self._users, one.user, MAX_ASKS)
        frames = (one.head, one.tail, one.opening, one.closing, one.system, one.params)
        for counts, print_ in zip(self._common, frames, strict=True):
            _count(counts, print_, weight)
        if one.bias:
            self._bias = tuple(sorted({*self._bias, *one.bias})[:MAX_BIASED])
        self._spelled = max(self._spelled, one.spelled)
        self._fresh += one.fresh * weight
        self._words = self._words or one.words
        if one.bank and (one.bank in self._banks or len(self._banks) < COUNTERS):
            self._banks[one.bank] = self._banks.get(one.bank, 0) + weight

    def features(self) -> Features:
        """The sum. Asks are as many as the sample says; a mark counts the lines that have it."""
        asks = tuple(sorted(self._asks))
        distinct = len(asks)
        if self._full and distinct:  # the k-th smallest of D evenly spread numbers lies near k / D
            distinct = max(distinct, min(self.lines, (distinct - 1) * SPACE // (asks[-1] or 1)))
        common = [max(counts, key=counts.__getitem__, default=0) for counts in self._common]
        head, tail, opening, closing, system, params = common
        return Features(
            asks,
            distinct,
            tuple(sorted(self._pieces)),
            head,
            tail,
            opening,
            closing,
            self._words,
            system,
            0,
            params,
            self._spelled,
            min(self._users, default=0),
            self._fresh,
            max(self._banks, key=self._banks.__getitem__, default=""),
            self._bias,
            {mark: min(self.lines, count) for mark, count in sorted(self._marks.items())},
        )


def _keep(kept: set[int], value: int, most: int) -> None:
    """The smallest few of all values that came."""
    kept.add(value)
    if len(kept) > most:
        kept.remove(max(kept))


def _count(counts: dict[int, int], value: int, weight: int) -> None:
    """Misra and Gries: whatever is more than a ninth of all stays."""
    if value in counts or len(counts) < COUNTERS:
        counts[value] = counts.get(value, 0) + weight
        return
    for each in list(counts):
        counts[each] -= weight
        if counts[each] <= 0:
            del counts[each]
