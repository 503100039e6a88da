"""Shell. The rows of a ledger from a place on, proven as they are read: what a start folds."""

from collections.abc import Iterator
from pathlib import Path

from gateway.ledger.chain import Broken, Chain, Link, chain_at
from gateway.stores.segment_writer import Place
from gateway.stores.segments import Segment, lines, segments

__all__ = ["Tail"]


class Tail:
    """Iterates over the links behind `place`; without one, over those of the last `most` segments.

    Raises Broken where the ledger doesn't go on from that place, OSError where it can't be read. What is damaged
    later is left out to the segment's end, and named in `damage`: the chain goes on from the last good line, as the
    writer's did.
    """

    def __init__(self, folder: Path, place: Place | None = None, most: int = 0) -> None:
        self.damage: list[str] = []
        self.left_out = 0  # segments before the first that is read
        found = segments(folder)
        if place is not None:
            found = [each for each in found if each.number >= place.segment]
            if not found or found[0].number != place.segment:
                raise Broken("the segment that it belongs to isn't there")
        elif most and len(found) > most:
            self.left_out = len(found) - most
            found = found[-most:]
        self.begins = found[0].number if found else 0
        self._found = found
        self._place = place

    def __iter__(self) -> Iterator[Link]:
        place, chain = self._place, None if self._place is None else Chain(self._place.head, self._place.segment)
        for segment in self._found:
            before = chain
            try:
                for link, now in _links(segment, chain, place):
                    chain = now
                    yield link
            except Broken as error:
                if place is not None and chain is before:
                    raise Broken("the ledger doesn't go on from it") from error
                self.damage.append(f"{segment.path}: {error}")
            place = None
            if chain is not None and not chain.fresh:
                chain = Chain(chain.value, segment.number)


def _links(segment: Segment, chain: Chain | None, place: Place | None) -> Iterator[tuple[Link, Chain]]:
    """The links of one segment, each with the chain that it is the end of."""
    before = chain
    for line in lines(segment.path, 0 if place is None else place.offset):
        if not line.endswith(b"\n"):
            return
        if chain is before:
            if before is None or place is None:
                chain = _begun(line, before)
            else:
                chain = before.copy()
                chain.rows, chain.fresh = place.rows, False
        assert chain is not None
        yield chain.read(line), chain


def _begun(line: bytes, before: Chain | None) -> Chain:
    """The chain before a segment's header; where segments before it are missing, what the header says of it."""
    found = chain_at(line)
    if before is not None and found.value == before.value:
        return before.copy()
    return found
