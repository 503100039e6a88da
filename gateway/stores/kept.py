"""Pure. What a snapshot holds, in pieces: all that the rows up to one of them leave, as bytes and back.

A piece is a few hundred accounts or some thousand cells, so that making one, and reading one, takes less than a
millisecond, and no more is in memory twice. Its first byte says what it is; the rest is MessagePack. What several
accounts share (names of limits) is told once a piece, and is one object again when it is read.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

import msgspec

from gateway.campaigns.bonds import BONDS
from gateway.campaigns.form import VERSION as FORM
from gateway.campaigns.keeping import Copy, KeptRecord, KeptTables, kept, put_back
from gateway.campaigns.tables import Campaigns
from gateway.decide import AccountState, Facts
from gateway.gauges import PANEL
from gateway.ledger.record import Adopted, Row, Ruled, decode, encode
from gateway.observe import Observation
from gateway.pace import Pace
from gateway.panel import LAYOUT as PANEL_LAYOUT
from gateway.policy.model import Sanction
from gateway.quotas import Reading
from gateway.stores.accounts import Held, MemoryAccounts
from gateway.stores.cells import Cells
from gateway.stores.holdings import Holdings, Met, Reservation
from gateway.stores.memory import MemoryLimits
from gateway.stores.served import Served

__all__ = ["LAYOUT", "Kept", "account_pieces", "campaign_pieces", "limit_pieces", "row_pieces", "served_pieces"]

T = TypeVar("T")
ACCOUNTS, LASTING, RATES, QUOTAS, OPEN, ROWS = b"A", b"L", b"R", b"Q", b"O", b"J"
HABITS, TABLES, TAGS, MARKS, SERVED = b"H", b"C", b"T", b"M", b"S"
PIECE = 64  # accounts
CELLS = 1024
SHORT = 64  # bits of a quota's cell below the end of its window
MASK = (1 << SHORT) - 1

_Answer = tuple[int, int, bool, int, int, int, int, int, bool]
_Account = tuple[
    str,
    int,
    int,
    int,
    int,
    bool,
    dict[str, Pace],
    dict[str, Observation],
    list[_Answer],
    dict[str, Sanction],
    bytes,
]
_Accounts = tuple[int, list[str], list[_Account]]
_Lasting = tuple[int, dict[str, int], int, list[list[tuple[str, dict[str, Sanction]]]]]
_Open = tuple[
    tuple[int, int, int, int],
    tuple[int, int],
    dict[str, dict[str, int]],
    dict[str, Reservation],
    dict[str, Met],
]


def _digest() -> str:
    """Of everything that is stored as it lies in memory: of another one nothing is read."""
    signals = [
        (name, signal.stamps, signal.counters, signal.marks, signal.sketch) for name, signal in PANEL.signals.items()
    ]
    stored = (_Accounts, _Lasting, _Open, AccountState, Facts, Ruled, Adopted, KeptRecord, KeptTables)
    bonds = list(BONDS)
    schemas, parts = msgspec.json.schema_components(stored)
    said = msgspec.json.encode([PANEL_LAYOUT, PANEL.size, FORM, bonds, repr(signals), schemas, parts], order="sorted")
    return sha256(said).hexdigest()[:16]


LAYOUT = _digest()
_WRITE = msgspec.msgpack.Encoder()
_ACCOUNTS = msgspec.msgpack.Decoder(_Accounts)
_LASTING = msgspec.msgpack.Decoder(_Lasting)
_RATES = msgspec.msgpack.Decoder(dict[str, int])
_QUOTAS = msgspec.msgpack.Decoder(dict[str, tuple[int, int]])
_OPEN = msgspec.msgpack.Decoder(_Open)
_HABITS = msgspec.msgpack.Decoder(list[KeptRecord])
_TABLES = msgspec.msgpack.Decoder(KeptTables)
_SERVED = msgspec.msgpack.Decoder(tuple[int, int])
_ROWS = msgspec.msgpack.Decoder(list[bytes])


def account_pieces(held: Held) -> Iterator[bytes]:
    """All accounts, and the throttles and blocks that last."""
    for place, (names, states) in enumerate(held.tables):
        for some in _some(zip(names, states, strict=True), PIECE):
            known: dict[str, int] = {}
            rows = [_account(name, state, known) for name, state in some]
            yield ACCOUNTS + _WRITE.encode((place, list(known), rows))
    yield LASTING + _WRITE.encode((held.now, held.evicted, held.evicted_sanctions, held.lasting))


def limit_pieces(held: Holdings) -> Iterator[bytes]:
    """All cells, leases and reservations."""
    for some in _some(held.rates.items(), CELLS):
        yield RATES + _WRITE.encode(dict(some))
    for some in _some(held.quotas.items(), CELLS):
        yield QUOTAS + _WRITE.encode({key: (value >> SHORT, value & MASK) for key, value in some})
    rest = (held[:4], (held.rates.hand, held.quotas.hand), held.leases, held.open, held.met)
    yield OPEN + _WRITE.encode(rest)


def row_pieces(rows: Iterable[Row]) -> Iterator[bytes]:
    """Rows of the ledger that rows to come refer to."""
    for some in _some(rows, PIECE):
        yield ROWS + _WRITE.encode([encode(row) for row in some])


def campaign_pieces(tables: KeptTables, copies: Iterable[Copy]) -> Iterator[bytes]:
    """All records of what accounts do every time, and the campaigns."""
    for some in _some(copies, PIECE):
        yield HABITS + _WRITE.encode([kept(each) for each in some])
    yield TABLES + _WRITE.encode(tables)


def served_pieces(clock: tuple[int, int], parts: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The table of answers that were served."""
    for tags, marks in parts:
        yield TAGS + tags
        yield MARKS + marks
    yield SERVED + _WRITE.encode(clock)


class Kept:
    """What the pieces of a snapshot add up to. `limits` is None where the snapshot has none.

    `campaigns` and `served` take theirs where there is any; `until`: account -> number of the row up to which its
    record in `campaigns` is.
    """

    def __init__(
        self, accounts: MemoryAccounts, limits: MemoryLimits, campaigns: Campaigns | None, served: Served
    ) -> None:
        self.accounts = accounts
        self.campaigns = campaigns
        self.served = served
        self.until: dict[str, int] = {}
        self._records: list[KeptRecord] = []
        self._tags, self._marks = bytearray(), bytearray()
        self.limits: MemoryLimits | None = None
        self.open: list[Ruled] = []
        self.adopted: list[Adopted] = []
        self._limits = limits
        self._rate_cells: dict[str, int] = {}
        self._quota_cells: dict[str, int] = {}
        self._takers: dict[bytes, Callable[[bytes], None]] = {
            ACCOUNTS: self._accounts,
            LASTING: self._lasting,
            RATES: self._rates,
            QUOTAS: self._quotas,
            OPEN: self._reserved,
            ROWS: self._rows,
            HABITS: lambda data: self._records.extend(_HABITS.decode(data)),
            TABLES: self._tables,
            TAGS: self._tags.extend,
            MARKS: self._marks.extend,
            SERVED: self._answers,
        }

    def take(self, piece: bytes) -> None:
        """One more piece. Raises ValueError for what is none."""
        found = self._takers.get(piece[:1])
        if found is None:
            raise ValueError("a piece of an unknown kind")
        found(piece[1:])

    def finish(self) -> None:
        """There are no more."""
        self.accounts.order()

    def _accounts(self, data: bytes) -> None:
        place, names, rows = _ACCOUNTS.decode(data)
        known = [sys.intern(name) for name in names]
        put = self.accounts.put
        for name, first, last, requests, refused, proven, paces, files, limits, sanctions, signals in rows:
            answers = tuple([Reading(known[limit], known[unit], *rest) for limit, unit, *rest in limits])
            put(
                place,
                name,
                AccountState(first, last, requests, refused, proven, paces, files, answers, sanctions, signals),
            )

    def _lasting(self, data: bytes) -> None:
        now, evicted, evicted_sanctions, lasting = _LASTING.decode(data)
        self.accounts.hold(Held(now, evicted, evicted_sanctions, [], lasting))

    def _rates(self, data: bytes) -> None:
        self._rate_cells.update(_RATES.decode(data))

    def _quotas(self, data: bytes) -> None:
        self._quota_cells.update({key: end << SHORT | used for key, (end, used) in _QUOTAS.decode(data).items()})

    def _reserved(self, data: bytes) -> None:
        (now, number, evicted, abandoned), (one, other), leases, open_, met = _OPEN.decode(data)
        rates, quotas = Cells(0, self._rate_cells, one), Cells(SHORT, self._quota_cells, other)
        self.limits = self._limits
        self.limits.hold(Holdings(now, number, evicted, abandoned, rates, quotas, leases, open_, met))

    def _tables(self, data: bytes) -> None:
        if self.campaigns is not None:
            self.until = put_back(self.campaigns, _TABLES.decode(data), self._records)
        self._records = []

    def _answers(self, data: bytes) -> None:
        self.served.hold(*_SERVED.decode(data), bytes(self._tags), bytes(self._marks))

    def _rows(self, data: bytes) -> None:
        for body in _ROWS.decode(data):
            row = decode(body)
            if isinstance(row, Adopted):
                self.adopted.append(row)
            elif isinstance(row, Ruled):
                self.open.append(row)


def _account(name: str, state: AccountState, known: dict[str, int]) -> tuple[Any, ...]:
    answers = [
        (
            known.setdefault(each.limit, len(known)),
            known.setdefault(each.unit, len(known)),
            each.ok,
            each.cost,
            each.left,
            each.capacity,
            each.reset,
            each.wait,
            each.shadow,
        )
        for each in state.limits
    ]
    numbers = (state.first, state.last, state.requests, state.refused, state.proven)
    return (name, *numbers, state.paces, state.files, answers, state.sanctions, state.signals)


def _some(all_: Iterable[T], count: int) -> Iterator[list[T]]:
    it = iter(all_)
    while some := list(islice(it, count)):
        yield some
