"""Pure. Limits in a Valkey or Redis server: the words that its parts share.

Each layer has the methods of `SharedLimits`, and stands on the next: `guard.py` (what holds while the store is away),
`slices.py` (shares that are spent here), `remote.py` (one script call a request), `client.py` (a call, in time).
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.errors import Down, StoreDown
from gateway.quotas import Draw, Drawn, Reading

__all__ = ["Down", "Hello", "SharedLimits", "StoreDown"]


class Hello(msgspec.Struct, frozen=True):
    """What the store says of itself."""

    epoch: str  # made anew where the store's memory was lost
    now: int  # µs: the store's clock
    replicas: int  # processes that were heard of within 15 s, this one included
    fresh: bool = False  # the epoch was made by this very call: the store was empty


class SharedLimits(Protocol):
    """Limits that processes share. What raises `StoreDown` has an answer, or that, within the store's time-out."""

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str) -> Drawn:
        """All or nothing. `Drawn.at` is the store's time, `Drawn.store` is "valkey". Raises StoreDown."""

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """Charges what a request that is under way has used by now, all in all. Raises StoreDown."""

    def settle(self, request: str, actual: dict[str, int]) -> dict[str, int]:
        """Never waits, never fails: queued, sent in batches, repeated, and done once.

        Returns actual minus reserved by limit id; {} for a request that drew nothing here.
        """

    def renew(self, request: str) -> None:
        """Moves the deadlines of a request's leases and of its reservation; queued as well."""

    async def owe(self, draw: Draw, units: int, now: int, owner: str) -> None:
        """Charges units of one cell that were used elsewhere, once. Raises StoreDown where nothing was charged."""

    async def hello(self) -> Hello:
        """The heartbeat of this process. Raises StoreDown."""

    async def aclose(self) -> None:
        """Sends what is queued, within a bound, and closes."""
