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
        place = self._place
        chain = None if place is None else Chain(place.head, place.segment)
        proven = place is None
        for segment in self._found:
            try:
                for line in lines(segment.path, 0 if place is None else place.offset):
                    if not line.endswith(b"\n"):
                        break
                    if place is not None and chain is not None:
                        chain.rows, chain.fresh = place.rows, False
                    elif chain is None or chain.fresh:
                        chain = self._begun(line, chain, segment, proven=proven)
                    link = chain.read(line)
                    place, proven = None, True
                    yield link
            except Broken as error:
                if not proven:
                    raise Broken("the ledger doesn't go on from it") from error
                self.damage.append(f"{segment.path.name}: {error}")
            place = None
            if chain is not None and not chain.fresh:
                chain = Chain(chain.value, segment.number)
        if not proven:
            raise Broken("the ledger ends before it")

    def _begun(self, line: bytes, before: Chain | None, segment: Segment, *, proven: bool) -> Chain:
        """The chain before a segment's header; where segments before it are missing, what the header says of it."""
        found = chain_at(line)
        if before is not None and found.value != before.value:
            if not proven:
                raise Broken("another segment follows")
            self.damage.append(f"{segment.path.name}: segments before it are missing")
        return found
