"""Pure. The two rows of a request. State is a fold over rows in the order of `seq`."""

import msgspec

from gateway.decide import Facts, Outcome, Verdict

__all__ = ["Row", "Ruled", "Settled", "decode", "encode"]


class Ruled(msgspec.Struct, frozen=True, tag="ruled"):
    """A request was judged."""

    seq: int
    now: int  # µs since the epoch
    request: str  # ULID
    policy: str  # digest
    facts: Facts
    verdict: Verdict


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """A request ended, whatever the end was."""

    seq: int
    now: int
    request: str
    account: str
    outcome: Outcome


Row = Ruled | Settled
"""What the ledger holds. The tag `type` tells them apart."""

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Row] = msgspec.json.Decoder(Row)


def encode(row: Row) -> bytes:
    """One row as JSON, without a newline; fields at their default are left out."""
    return _ENCODER.encode(row)


def decode(data: bytes) -> Row:
    """The row in these bytes. Raises `msgspec.DecodeError` or `msgspec.ValidationError` for anything else."""
    return _DECODER.decode(data)
