"""Shell. Limits in a shared store behind the interfaces of the `limits` library, by URI: `async+gauger+valkey://…`.

As `gateway.stores.limits_api.GaugerStorage` in every respect, for many processes: the scripts, the arithmetic and the
forms of address are the gateway's. Each cell is a place of its own in a cluster.
"""

from pathlib import Path
from typing import Any

import msgspec
from limits.aio.storage import Storage

from gateway.errors import StoreDown
from gateway.quotas import Draw, Reading
from gateway.stores.limits_api import GcraSupport, draw_of
from gateway.stores.valkey.address import SCHEMES
from gateway.stores.valkey.client import Client, Script, connect
from gateway.stores.valkey.remote import DRAW, script
from gateway.stores.valkey.script import Place, draw_args, drawn

__all__ = ["GaugerValkeyStorage"]

MICROSECONDS = 1_000_000
COUNT = script("count")
CLEAR = Script("#!lua\nreturn redis.call('DEL', unpack(KEYS))")


class GaugerValkeyStorage(Storage, GcraSupport):
    """A storage of the `limits` library. `timeout` is in seconds; `ca` is a PEM bundle for TLS.

    Raises Mistake for a wrong URI, and StoreDown where the store doesn't answer in time. `aclose` closes it.
    """

    STORAGE_SCHEME = [f"async+gauger+{scheme}" for scheme in SCHEMES]

    def __init__(
        self,
        uri: str,
        wrap_exceptions: bool = False,
        *,
        timeout: float = 0.05,
        ca: Path | None = None,
        **options: float | str | bool,
    ) -> None:
        super().__init__(uri, wrap_exceptions, **options)
        self._client: Client = connect(uri.removeprefix("async+gauger+"), timeout, ca)

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return StoreDown

    async def acquire_gcra(self, key: str, limit: int, expiry: int, burst: int, amount: int = 1) -> bool:
        return (await self._draw(draw_of(key, limit, expiry, burst, amount)))[1].ok

    async def get_gcra(self, key: str, limit: int, expiry: int, burst: int) -> tuple[float, int]:
        now, reading = await self._draw(draw_of(key, limit, expiry, burst, burst + 1))
        return (now + reading.reset) / MICROSECONDS, reading.left

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Adds to a window that opens with its first hit; the shipped fixed window counts so."""
        return int((await self._count(key, amount, expiry * MICROSECONDS))[1])

    async def get(self, key: str) -> int:
        return int((await self._count(key))[1])

    async def get_expiry(self, key: str) -> float:
        """Unix time in seconds at which the window of `incr` ends; the present where none is open."""
        now, _, end = await self._count(key)
        return float(end or now) / MICROSECONDS

    async def check(self) -> bool:
        try:
            await self._count("check")
        except StoreDown:
            return False
        return True

    async def reset(self) -> int | None:
        """NotImplementedError: the limits of others would go with it."""
        raise NotImplementedError("a shared store is not reset from here")

    async def clear(self, key: str) -> None:
        rate, window = _place(draw_of(key, 1, 1, 1, 0)).keys[1], _window(key)
        await self._client.run(CLEAR, (rate, window), ())

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _draw(self, draw: Draw) -> tuple[int, Reading]:
        place = _place(draw)
        answer, _ = drawn(place, await self._client.run(DRAW, place.keys, (draw_args(place),)))
        return answer.at, answer.readings[0]

    async def _count(self, key: str, units: int = 0, period: int = 0) -> Any:
        given = msgspec.msgpack.encode((0, 0, "", (), units, period))
        return await self._client.run(COUNT, (_window(key),), (given,))


def _place(draw: Draw) -> Place:
    return Place.of("", (draw,), f"limits|{draw.key}")


def _window(key: str) -> str:
    return _place(draw_of(key, 1, 1, 1, 0)).keys[0] + "window"
