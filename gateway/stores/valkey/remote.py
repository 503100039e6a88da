"""Shell. Limits in a shared store: one script call a request draws from all of them, or from none.

What a request drew is remembered here, and in the store as its reservation, so that it is settled once, however often
the store is told. A draw whose answer was lost may have been done: the store is told to take it back, and to refuse it
should it arrive only now. A process that dies leaves its reservations charged; they and its leases end by themselves.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

import msgspec

from gateway.errors import StoreDown
from gateway.quotas import Draw, Drawn, Reading
from gateway.stores.saying import SILENCE, Log
from gateway.stores.valkey import Hello
from gateway.stores.valkey.client import Client, Script
from gateway.stores.valkey.outbox import Outbox
from gateway.stores.valkey.script import (
    Place,
    charge_args,
    charged,
    draw_args,
    drawn,
    owe_args,
    renew_args,
    settle_args,
)

__all__ = ["DRAW", "RemoteLimits", "script"]

OPEN = 200_000  # reservations that are remembered, at most
SILENT = 15_000_000  # µs after which a process that says nothing no longer counts
UNSURE = frozenset({"timeout", "closed"})  # it may have been done


def script(name: str, flags: str = "") -> Script:
    """The script of a file, with what all of them share."""
    folder = Path(__file__).parent
    return Script(
        "\n".join((f"#!lua{flags}", (folder / "cells.lua").read_text(), (folder / f"{name}.lua").read_text()))
    )


DRAW, CHARGE, RENEW = map(script, ("draw", "charge", "renew"))
SETTLE = script("settle", " flags=allow-oom")  # what ends makes room
HELLO = Script((Path(__file__).parent / "hello.lua").read_text())


class _Open(msgspec.Struct, frozen=True):
    place: Place
    taken: tuple[Draw, ...]


class RemoteLimits:
    """`SharedLimits` over a client. `now` in its methods is ignored: the store's own time holds for everybody.

    `owner` names the slot that a request's cells live in; of a cell that several owners share, it has to be one and the
    same for all (the cell's own key is a good one). `clock` gives the µs that hold in place of the store's, for tests.
    `name`: of the process, where its next life has the same; it is counted once then.
    """

    def __init__(
        self, client: Client, log: Log = SILENCE, *, clock: Callable[[], int] | None = None, name: str = ""
    ) -> None:
        self.forgotten = 0  # reservations that nobody settled while 200,000 others came
        self.cancelled = 0  # draws whose answer was lost
        self._client = client
        self._outbox = Outbox(client, log)
        self._clock = clock if clock is not None else int
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._process = name or token_hex(8)

    @property
    def open(self) -> int:
        return len(self._open)

    @property
    def waiting(self) -> int:
        """What the store has not been told yet."""
        return len(self._outbox)

    @property
    def dropped(self) -> int:
        """What the store will never be told."""
        return self._outbox.dropped

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str) -> Drawn:
        """All or nothing. Raises StoreDown, and ValueError where a request draws twice before it is settled."""
        if request in self._open:
            raise ValueError("a request draws once")
        place = Place.of(request, draws, owner)
        try:
            met = await self._client.run(DRAW, place.keys, (draw_args(place, self._clock()),))
        except StoreDown as down:
            if down.kind in UNSURE:
                self._cancel(place)
            raise
        except asyncio.CancelledError:
            self._cancel(place)
            raise
        if met[0] < 0:
            raise ValueError("a request draws once")
        answer, taken = drawn(place, met)
        if taken:
            self._open[request] = _Open(place, taken)
            if len(self._open) > OPEN:
                self._open.popitem(last=False)
                self.forgotten += 1
        return answer

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """Charges what was used by now, all in all; what an earlier call has charged, answered or not, isn't again."""
        reservation = self._open.get(request)
        if reservation is None:
            return ()
        place = reservation.place
        answer = await self._client.run(CHARGE, place.keys, (charge_args(place, used, self._clock()),))
        return charged(place, answer)

    async def owe(self, draw: Draw, units: int, now: int, owner: str) -> None:
        """Charges units of one cell that were used elsewhere, once. Raises StoreDown where nothing was charged."""
        place = Place.of(f"owed-{token_hex(8)}", (draw,), owner)
        args = owe_args(place, units, self._clock())
        try:
            await self._client.run(CHARGE, place.keys, (args,))
        except StoreDown as down:
            if down.kind not in UNSURE:
                raise
            self._outbox.put(CHARGE, place.keys, args)
        except asyncio.CancelledError:  # to raise it would say that nothing was charged
            self._outbox.put(CHARGE, place.keys, args)

    def settle(self, request: str, actual: dict[str, int]) -> dict[str, int]:
        """Replaces what was reserved by what was used. Returns actual minus reserved by limit id, at once."""
        reservation = self._open.pop(request, None)
        if reservation is None:
            return {}
        place = reservation.place
        self._outbox.put(SETTLE, place.keys, settle_args(place, actual, self._clock()))
        return {
            draw.limit: actual[draw.limit] - draw.cost
            for draw in reservation.taken
            if draw.kind != "lease" and draw.limit in actual
        }

    def renew(self, request: str) -> None:
        """Moves the deadlines of a request's leases, and of its reservation. A lease that has expired stays gone."""
        reservation = self._open.get(request)
        if reservation is not None:
            self._open.move_to_end(request)
            self._outbox.put(RENEW, reservation.place.keys, renew_args(reservation.place, self._clock()))

    async def hello(self) -> Hello:
        """Says that this process lives. The epoch of a cluster is that of all its primaries together."""
        answers = await self._hellos(SILENT)
        epochs = [epoch for epoch, _, _, _ in answers]
        now, replicas = max(each[2] for each in answers), max(each[3] for each in answers)
        epoch = epochs[0] if len(epochs) == 1 else blake2b("".join(epochs).encode(), digest_size=8).hexdigest()
        return Hello(epoch, now, replicas, any(each[1] for each in answers))

    async def aclose(self) -> None:
        """Sends what is queued, for a second at most, takes its leave, and closes the client."""
        await self._outbox.aclose()
        with suppress(StoreDown):  # then it counts for `SILENT` more
            await self._hellos(0)
        await self._client.aclose()

    async def _hellos(self, silent: int) -> list[tuple[str, bool, int, int]]:
        tags = await self._client.tags()
        return await asyncio.gather(*(self._hello(tag, silent) for tag in tags))

    async def _hello(self, tag: str, silent: int) -> tuple[str, bool, int, int]:
        keys = (f"gauger:{tag}epoch", f"gauger:{tag}processes")
        epoch, fresh, now, replicas = await self._client.run(HELLO, keys, (self._process, token_hex(8), silent))
        return epoch.decode(), bool(fresh), now, replicas

    def _cancel(self, place: Place) -> None:
        self.cancelled += 1
        nothing = {draw.limit: 0 for draw in place.draws}
        self._outbox.put(SETTLE, place.keys, settle_args(place, nothing, self._clock(), lost=True))
