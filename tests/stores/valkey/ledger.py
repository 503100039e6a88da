"""A shared store behind the interface of the gate's, with a time that tests give: what was sent has arrived."""

import asyncio
from collections.abc import Sequence

from gateway.quotas import Draw, Drawn, Reading, Store
from gateway.stores.valkey.client import Client
from gateway.stores.valkey.remote import RemoteLimits

__all__ = ["Injected", "arrived"]


async def arrived(limits: RemoteLimits) -> None:
    """Returns when the store has been told everything."""
    async with asyncio.timeout(20):
        while limits.waiting:
            await asyncio.sleep(0.001)


class Injected:
    """`LimitLedger` over `RemoteLimits`; `now` is the store's time, and doesn't go back."""

    kind: Store = "valkey"
    suspends = True

    def __init__(self, client: Client) -> None:
        self.now = 0
        self.limits = RemoteLimits(client, clock=lambda: self.now)

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str = "") -> Drawn:
        self.now = max(self.now, now)
        return await self.limits.draw(request, draws, now, owner)

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        self.now = max(self.now, now)
        return await self.limits.charge(request, used, now)

    async def settle(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]:
        self.now = max(self.now, now)
        changes = self.limits.settle(request, actual)
        await arrived(self.limits)
        return changes

    async def renew(self, request: str, now: int) -> None:
        self.now = max(self.now, now)
        self.limits.renew(request)
        await arrived(self.limits)
