"""Pure. The rows of the ledger. State is a fold over them in the order of `seq`; whatever changes what the core sees is
one of them."""

from typing import TypeVar

import msgspec

from gateway.decide import Facts, Outcome, Reflection, Verdict
from gateway.usage import Usage

__all__ = [
    "ENGINE",
    "Adopted",
    "Erased",
    "Gap",
    "Opened",
    "Resumed",
    "Row",
    "Ruled",
    "Sealed",
    "Settled",
    "Used",
    "decode",
    "decode_sealed",
    "encode",
]

T = TypeVar("T")
ENGINE = 5
"""Version of the core's arithmetic. Rows of another engine replay to what this one says, and the report says so."""


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """A process began with an empty state. What the core reads of its settings."""

    seq: int
    now: int  # µs since the epoch
    version: str  # of Gauger
    instance: str = ""
    pepper: str = ""  # id of the pepper, not itself
    accounts: int = 100_000  # accounts remembered
    probation: int = 4096  # accounts on probation
    memory: int = 0  # bytes of all accounts' states; 0 = bounded by number alone, as ledgers of engine 1 were
    cells: int = 1_000_000  # limit cells kept
    store: str = "memory"
    engine: int = ENGINE


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """A process began with the state that the rows before this one leave, in bounds of its own.

    What was under way is closed: it stays charged as it was reserved, and its leases are free.
    """

    seq: int
    now: int  # µs since the epoch
    version: str  # of Gauger
    instance: str = ""
    pepper: str = ""  # id of the pepper, not itself
    accounts: int = 100_000
    probation: int = 4096
    memory: int = 0
    cells: int = 1_000_000
    store: str = "memory"
    engine: int = ENGINE
    snapshot: int = 0  # number of the row up to which a snapshot held the state; 0 = it was folded from rows alone
    folded: int = 0  # rows
    limits: bool = True  # False: what the limits of this process held is not there any more
    partial: bool = False  # rows before those that were folded were left out: nobody can fold the same


class Adopted(msgspec.Struct, frozen=True, tag="adopted"):
    """A policy came into force, for the requests that are judged from here on."""

    seq: int
    now: int
    digest: str
    id: str
    version: str = ""
    source: str = ""  # name of the policy's own file
    files: dict[str, str] = {}  # name -> text, of every file that the policy was made of, its own first


class Ruled(msgspec.Struct, frozen=True, tag="ruled"):
    """A request was judged."""

    seq: int
    now: int  # µs since the epoch
    request: str  # ULID
    policy: str  # digest
    facts: Facts
    verdict: Verdict


class Used(msgspec.Struct, frozen=True, tag="used"):
    """A request that is under way (a session) was charged for what it has used since it was ruled, all in all."""

    seq: int
    now: int
    request: str
    account: str
    usage: Usage


class Settled(msgspec.Struct, frozen=True, tag="settled", omit_defaults=True):
    """A request ended, whatever the end was."""

    seq: int
    now: int
    request: str
    account: str
    outcome: Outcome
    reflection: Reflection = Reflection()


class Gap(msgspec.Struct, frozen=True, tag="gap"):
    """Rows could not be written: state can't be folded across this place."""

    seq: int
    now: int
    lost: int  # rows
    why: str = ""


class Erased(msgspec.Struct, frozen=True, tag="erased"):
    """A row stood here that was erased with its account. Only a reader meets it: nothing writes one in order."""

    seq: int
    now: int
    was: str  # the row's type
    digest: str  # 64 hex digits: SHA-256 of the row and a salt that is gone with it (`ledger/chain.py`)


Row = Opened | Resumed | Adopted | Ruled | Used | Settled | Gap | Erased
"""What the ledger holds. The tag `type` tells them apart."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


class Sealed(msgspec.Struct, frozen=True, tag="ruled"):
    """`Ruled` with its verdict still in bytes: replay compares it whole, and opens it where it differs."""

    seq: int
    now: int
    request: str
    policy: str
    facts: Facts
    verdict: msgspec.Raw

    def opened(self) -> Ruled:
        """The row itself. Raises `msgspec.DecodeError` where the verdict is none."""
        verdict = _decoded(_VERDICT, self.verdict)
        return Ruled(self.seq, self.now, self.request, self.policy, self.facts, verdict)

    def says(self, verdict: Verdict) -> bool:
        """Whether the row holds this verdict, to the letter. What is written otherwise may still be equal."""
        return _ENCODER.encode(verdict) == bytes(self.verdict)


_VERDICT: msgspec.json.Decoder[Verdict] = msgspec.json.Decoder(Verdict)
_Unopened = Opened | Resumed | Adopted | Sealed | Used | Settled | Gap | Erased
_SEALED: msgspec.json.Decoder[_Unopened] = msgspec.json.Decoder(_Unopened)


def encode(row: Row) -> bytes:
    """One row as JSON, without a newline; fields at their default are left out."""
    return _ENCODER.encode(row)


def decode(data: bytes) -> Row:
    """The row in these bytes. Raises `msgspec.DecodeError` or `msgspec.ValidationError` for anything else."""
    return _decoded(_DECODER, data)


def decode_sealed(data: bytes) -> Row | Sealed:
    """Like `decode`, with the verdict of a ruled row left in its bytes."""
    return _decoded(_SEALED, data)


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError("it is not UTF-8, or nested too deeply") from error
