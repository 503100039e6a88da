"""Slices over a store in memory, and draws of limits that are large enough for them."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gateway.quotas import Draw
from gateway.stores.valkey import slices as slicing
from gateway.stores.valkey.slices import SlicedLimits
from tests.stores.valkey.fakes import DAY, MINUTE, SECOND, START, Client, Store

__all__ = ["Make", "Made", "idle", "quota", "rate", "slicers", "slot"]

Made = tuple[SlicedLimits, Client]
Make = Callable[..., Made]


def rate(cost: int = 1, key: str = "a", *, shadow: bool = False) -> Draw:
    return Draw("rate", f"rate|{key}", "rate", "tokens.output", 1000, MINUTE, 1000, cost, shadow=shadow)


def quota(cost: int = 1, key: str = "a", capacity: int = 1000, day: int = 0) -> Draw:
    return Draw("daily", f"daily|{key}", "quota", "tokens.total", capacity, DAY, capacity, cost, START + day * DAY)


def slot(slots: int = 40, key: str = "a") -> Draw:
    return Draw("live", f"live|{key}", "lease", "concurrent", slots, 900 * SECOND, slots, 1)


def idle(client: Client) -> None:
    """So much time passes that slices are given back."""
    client.store.now += slicing.IDLE + 1


@contextlib.asynccontextmanager
async def slicers() -> AsyncIterator[Make]:
    """Makes SlicedLimits, each with a client of the given store, and closes them."""
    made: list[SlicedLimits] = []

    def build(store: Store | None = None, **given: Any) -> Made:
        client = Client(store or Store())
        limits = SlicedLimits(client, clock=lambda: client.store.now, **({"everything": True} | given))
        made.append(limits)
        return limits, client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slicing, "SWEEP", 0.001)
        yield build
        for limits in made:
            await limits.aclose()
