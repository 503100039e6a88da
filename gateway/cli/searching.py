"""Shell. A ledger's folder, looked through by bytes for the rows of a request, an account or a campaign."""

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.cli.sources import Source, expand, lines
from gateway.errors import Mistake
from gateway.ledger.chain import BARE, BODY, Header, body_of
from gateway.ledger.record import Adopted, Erased, Opened, Row, Ruled, Settled, decode

__all__ = ["Found", "Searched"]

ADOPTED, OPENED, ERASED, GAP, SETTLED = (
    b'{"type":"%b"' % kind for kind in (b"adopted", b"opened", b"erased", b"gap", b"settled")
)
REQUEST = b'"request":"'
ROW, BARE_ROW = BODY.start, BARE.start  # bytes of a line before its row, and before a tombstone
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of request ids: ten characters of ms since the epoch come first


class Found(NamedTuple):
    """A request, and the policy of the time as far as the ledger has it."""

    ruled: Ruled
    settled: Settled | None
    adopted: Adopted | None


class _First(msgspec.Struct):
    segment: Header


class Searched:
    """A ledger's folder, looked through by bytes: only lines that may matter are decoded."""

    def __init__(self, folder: Path) -> None:
        self.sources = expand([str(folder)])
        self.lines = 0
        self.files = 0
        self.erased = 0
        self._ledgers = [list(each) for _, each in groupby(self.sources, lambda each: each.path and each.path.parent)]

    def said(self) -> str:
        return f"{self.lines:,} lines of {self.files:,} segments"

    def record(self, request: str) -> Found | None:
        """A request's rows and its policy. Its id tells the time, so the segment of that time is looked at first."""
        at = self._segment_of(request)
        found = self._search(request, self.sources[at:]) or self._search(request, self.sources[:at])
        if found is None or found.adopted is not None:
            return found
        earlier = self.adopted(found.ruled.policy, self.sources[: at + 1])
        return found._replace(adopted=earlier or self.adopted(found.ruled.policy, self.sources[at + 1 :]))

    def account(self, account: str) -> Iterator[Row]:
        """The rows that hold an account's id, and those that change what is remembered or what judges.

        Of several workers' ledgers they come in the order of their times.
        """
        return self._merged(_of(account))

    def campaign(self, campaign: str, waits_for: Callable[[str], bool]) -> Iterator[Row]:
        """The same of the requests that were judged with a campaign. Of ends there are those that are waited for."""
        needle = b'"campaign":{"id":' + msgspec.json.encode(campaign)

        def wanted(line: bytes) -> bool:
            if not line.startswith(SETTLED, ROW):
                return needle in line
            begin = line.find(REQUEST, ROW) + len(REQUEST)
            return waits_for(line[begin : line.find(b'"', begin)].decode("ascii", "replace"))

        return self._merged(wanted)

    def before(self, ruled: Ruled) -> Iterator[Row]:
        """The rows of an account and the starts of its process, up to a request. Other workers' are no part of it."""
        wanted = _of(ruled.facts.caller.account)
        mine = next((each for each in self._ledgers if self._search(ruled.request, each) is not None), [])
        for row in self._rows(wanted, mine):
            yield row
            if isinstance(row, Ruled) and row.request == ruled.request:
                return

    def adopted(self, digest: str, sources: list[Source]) -> Adopted | None:
        """The row with a policy's text; the newest segments first, since a process adopts its policy when it starts."""
        needle = msgspec.json.encode(digest)
        for source in reversed(sources):
            for _, number, line in lines([source]):
                if line.startswith(ADOPTED, ROW) and needle in line:
                    row = self._decoded(source, number, line)
                    if isinstance(row, Adopted) and row.digest == digest:
                        return row
        return None

    def _search(self, request: str, sources: list[Source]) -> Found | None:
        needle = msgspec.json.encode(request)
        ruled: Ruled | None = None
        adopted: dict[str, Adopted] = {}
        for source, number, line in self._counted(sources):
            if needle in line or line.startswith(ADOPTED, ROW):
                row = self._decoded(source, number, line)
                if isinstance(row, Adopted):
                    adopted[row.digest] = row
                elif isinstance(row, Ruled) and row.request == request:
                    ruled = row
                elif isinstance(row, Settled) and row.request == request and ruled is not None:
                    return Found(ruled, row, adopted.get(ruled.policy))
            elif line.startswith(ERASED, BARE_ROW):
                self.erased += 1
        return Found(ruled, None, adopted.get(ruled.policy)) if ruled is not None else None

    def _merged(self, wanted: Callable[[bytes], bool]) -> Iterator[Row]:
        self.lines = self.files = self.erased = 0
        return merge(*(_begun(self._rows(wanted, each)) for each in self._ledgers), key=attrgetter("now"))

    def _rows(self, wanted: Callable[[bytes], bool], sources: list[Source]) -> Iterator[Row]:
        for source, number, line in self._counted(sources):
            if wanted(line) or line.startswith((OPENED, ADOPTED, GAP), ROW) or line.startswith(ERASED, BARE_ROW):
                row = self._decoded(source, number, line)
                if row is not None:
                    self.erased += isinstance(row, Erased)
                    yield row

    def _counted(self, sources: list[Source]) -> Iterator[tuple[Source, int, bytes]]:
        for source in sources:
            number = 0
            for _, number, line in lines([source]):
                yield source, number, line
            self.files += 1
            self.lines += number

    def _decoded(self, source: Source, number: int, line: bytes) -> Row | None:
        """The row of a line; None for a half last line."""
        body = body_of(line) if line.endswith(b"\n") else None
        if body is None:
            return None
        try:
            return decode(body)
        except msgspec.DecodeError:
            hint = "`gauger verify DIR` says more"
            raise Mistake("this is no row of a ledger", place=f"{source.name}:{number}", hint=hint) from None

    def _segment_of(self, request: str) -> int:
        """The index of the last segment that was begun before a request id was made; 0 where the id tells no time."""
        if len(request) != 26 or not set(request) <= set(ALPHABET):
            return 0
        made = 0
        for letter in request[:10]:
            made = made * 32 + ALPHABET.index(letter)
        low, high = 0, len(self.sources)
        while high - low > 1:
            middle = (low + high) // 2
            if self._begun(self.sources[middle]) // 1000 <= made:
                low = middle
            else:
                high = middle
        return low

    def _begun(self, source: Source) -> int:
        """µs: the time in a segment's header; 0 where there is none."""
        for _, _, line in lines([source]):
            try:
                return msgspec.json.decode(line, type=_First).segment.now
            except (msgspec.DecodeError, UnicodeDecodeError):
                return 0
        return 0


def _of(account: str) -> Callable[[bytes], bool]:
    needle = b'"account":' + msgspec.json.encode(account)
    return lambda line: needle in line


def _begun(rows: Iterator[Row]) -> Iterator[Row]:
    """A ledger's rows without the starts before the first request: they interrupt no story, least another worker's."""
    begun = False
    for row in rows:
        begun = begun or isinstance(row, Ruled)
        if begun or not isinstance(row, Opened):
            yield row
