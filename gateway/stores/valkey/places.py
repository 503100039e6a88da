"""Shell. Which server a key is at: always one; the primary that sentinels name; the cluster's map of slots.

Places are asked for when they are first needed and when a call shows that they have changed: one question at a time,
to all that may know, and whoever waits for its answer waits no longer than his own call may last.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from random import shuffle
from typing import Any, Protocol

from valkey.crc import key_slot

from gateway.errors import StoreDown
from gateway.stores.valkey.link import Moved, pack

__all__ = ["Cluster", "One", "Place", "Places", "Watched"]

Place = tuple[str, int] | str  # host and port; the path of a socket
Ask = Callable[[Place, bytes], Awaitable[Any]]
"""Sends a packed command to a place; the answer, or StoreDown."""

SLOTS = 16384
PARTS = 32  # of a cluster's slots, each of which has a tag of its own for greetings
ASKED = 5  # nodes of a cluster that are asked at once, of those known and of those given
TRIES = 20_000  # keys tried to find one in a slot of a server's


class Places(Protocol):
    """`find` gives a key's place where it is known; `learn` asks; the others say that something is not as it was."""

    def find(self, key: bytes) -> Place | None: ...
    async def learn(self) -> None: ...
    def moved(self, moved: Moved) -> None: ...
    def doubt(self, place: Place) -> None: ...
    def tags(self) -> Sequence[str]: ...
    async def aclose(self) -> None: ...


class One:
    """A server that is where it is."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def find(self, key: bytes) -> Place | None:
        return self._place

    async def learn(self) -> None: ...

    def moved(self, moved: Moved) -> None: ...

    def doubt(self, place: Place) -> None: ...

    def tags(self) -> Sequence[str]:
        """Hash tags of which each server that holds a part of the whole has at least one."""
        return ("{hello}",)

    async def aclose(self) -> None: ...


class _Asked:
    """A question that is asked once at a time, however many wait for its answer."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None

    async def learn(self) -> None:
        """Raises StoreDown where nobody knew."""
        self._start()
        assert self._asking is not None
        await asyncio.shield(self._asking)

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))

    def _start(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._learn())
            self._asking.add_done_callback(_seen)

    async def _learn(self) -> None:
        raise NotImplementedError

    async def _first(self, places: Iterable[Place], command: bytes, good: Callable[[Place, Any], bool]) -> None:
        """Asks all; ends with the first good answer. Raises StoreDown where there is none."""
        tasks = [asyncio.ensure_future(self._one(place, command, good)) for place in places]
        why: StoreDown | None = None
        try:
            for done in asyncio.as_completed(tasks):
                try:
                    if await done:
                        return
                except StoreDown as down:
                    why = down
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                _seen(task)
        raise why if why is not None else StoreDown("nobody knows where the store is", "refused")

    async def _one(self, place: Place, command: bytes, good: Callable[[Place, Any], bool]) -> bool:
        return good(place, await self._ask(place, command))


def _seen(task: "asyncio.Future[Any]") -> None:
    """Who waited has heard; nobody waiting is no error."""
    if not task.cancelled():
        task.exception()


class Watched(_Asked):
    """The primary of a service, as its sentinels name it."""

    def __init__(self, sentinels: Sequence[Place], service: str, ask: Ask) -> None:
        super().__init__(ask)
        self._sentinels = sentinels
        self._service = service
        self._place: Place | None = None

    def find(self, key: bytes) -> Place | None:
        return self._place

    def moved(self, moved: Moved) -> None: ...

    def doubt(self, place: Place) -> None:
        if place == self._place:
            self._place = None

    def tags(self) -> Sequence[str]:
        return ("{hello}",)

    async def _learn(self) -> None:
        command = pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service.encode())
        await self._first(self._sentinels, command, self._told)

    def _told(self, asked: Place, answer: Any) -> bool:
        if not isinstance(answer, list) or len(answer) != 2:
            return False
        self._place = (answer[0].decode(), int(answer[1]))
        return True


class Cluster(_Asked):
    """The primaries of a cluster and their slots."""

    def __init__(self, nodes: Sequence[Place], ask: Ask) -> None:
        super().__init__(ask)
        self._given = list(nodes)
        self._slots: list[Place | None] = [None] * SLOTS
        self._parts = [_tag(lambda slot, part=part: slot * PARTS // SLOTS == part) for part in range(PARTS)]  # type: ignore[misc]

    def find(self, key: bytes) -> Place | None:
        return self._slots[key_slot(key)]

    def moved(self, moved: Moved) -> None:
        if not moved.once:
            self._slots[moved.slot] = moved.place
            self._start()

    def doubt(self, place: Place) -> None:
        self._start()

    def tags(self) -> Sequence[str]:
        """The same ones as long as each primary has a part of the slots in one piece; else more."""
        tags = list(self._parts)
        found = {self.find(tag.encode()) for tag in tags}
        for place in dict.fromkeys(self._slots):
            if place is not None and place not in found:
                with suppress(StopIteration):
                    tags.append(_tag(lambda slot, place=place: self._slots[slot] == place))  # type: ignore[misc]
        return tags

    async def _learn(self) -> None:
        known = [place for place in dict.fromkeys(self._slots) if place is not None]
        shuffle(known)
        await self._first(dict.fromkeys([*known[:ASKED], *self._given[:ASKED]]), pack(b"CLUSTER", b"SLOTS"), self._told)

    def _told(self, asked: Place, answer: Any) -> bool:
        if not isinstance(answer, list) or not answer:
            return False
        slots: list[Place | None] = [None] * SLOTS
        for low, high, primary, *_ in answer:
            host = primary[0].decode() if primary[0] else asked[0]
            slots[low : high + 1] = [(host, primary[1])] * (high + 1 - low)
        self._slots = slots
        return True


def _tag(right: Callable[[int], bool]) -> str:
    """The first tag whose slot is right. Raises StopIteration where none of many is."""
    return next(tag for tag in (f"{{hello-{number}}}" for number in range(TRIES)) if right(key_slot(tag.encode())))
