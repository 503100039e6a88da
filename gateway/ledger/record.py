"""Pure. The two rows of a request. State is a fold over rows in the order of `seq`."""

import msgspec

from gateway.decide import Facts, Outcome, Verdict

__all__ = ["Ruled", "Settled"]


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
