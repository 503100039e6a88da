"""Shell. A call of the store that ends in time, whatever the server does.

The library (`valkey`) connects, speaks TLS and reads answers; what it lacks is ours: one time-out over everything, the
calls of one turn of the loop in one write (`link.py`), and never a second try of what may have been done. What the
server said that it didn't do is tried once more where that can help: at another place, or with the script's text.
"""

import asyncio
import ssl
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

from valkey.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    ValkeySSLContext,
)

from gateway.errors import Down, Mistake, StoreDown
from gateway.stores.valkey.address import Address, read
from gateway.stores.valkey.link import Link, Moved, NoScript, pack
from gateway.stores.valkey.places import Cluster, One, Place, Places, Watched

__all__ = ["Client", "Script", "connect"]

INFLIGHT = 4096  # calls under way, at most
LATE = 4  # connections that wait for late answers, at most
TRIES = 3
PATIENCE = 1.0  # s that a connection may take, while no call waits for longer than it may
UNDONE: frozenset[Down] = frozenset({"refused", "readonly"})  # and another try may find another server
ASTRAY: frozenset[Down] = UNDONE | {"timeout", "closed", "loading", "moved"}  # the map may be old
ASKING = pack(b"ASKING")


class Script:
    """A Lua text, and the name by which a server knows it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()  # as the server computes it


class Client:
    """The process's client. `timeout` is in seconds, over finding, connecting, writing and waiting together."""

    def __init__(self, address: Address, timeout: float = 0.05, ca: Path | None = None) -> None:
        self.timeout = timeout
        self.inflight = 0
        self._closed = False
        self._address = address
        self._tls = ValkeySSLContext()
        if address.tls:
            self._tls.context = _trust(ca)
        self._current: dict[Place, Link] = {}
        self._links: set[Link] = set()
        self._places = self._find_places()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """The script's answer. All keys are in one slot. Raises StoreDown, within the time-out."""
        if self.inflight >= INFLIGHT:
            raise StoreDown("too many calls are under way", "busy")
        names = [key.encode(errors="surrogatepass") for key in keys]
        rest = [b"%d" % len(names), *names, *map(_bytes, args)]
        deadline = asyncio.get_running_loop().time() + self.timeout
        self.inflight += 1
        try:
            return await self._run(script, names[0], rest, deadline)
        finally:
            self.inflight -= 1

    async def tags(self) -> Sequence[str]:
        """Hash tags of which each server that holds a part of the whole has at least one. Raises StoreDown."""
        if self._places.find(b"") is None:
            await self._learn(asyncio.get_running_loop().time() + self.timeout)
        return self._places.tags()

    async def aclose(self) -> None:
        self._closed = True
        await self._places.aclose()
        self._current.clear()
        for link in list(self._links):
            await link.aclose()

    async def _run(self, script: Script, key: bytes, rest: Sequence[bytes], deadline: float) -> Any:
        packed = pack(b"EVALSHA", script.sha, *rest)
        target: Place | None = None
        asking = False
        for left in reversed(range(TRIES)):
            place = target or self._places.find(key)
            try:
                if place is None:
                    await self._learn(deadline)
                    place = self._places.find(key)
                    if place is None:
                        raise StoreDown("no server has this part of the keys", "moved")
                link = self._to(place)
                if asking:  # its answer comes first, and says nothing
                    link.call(ASKING, deadline)
                return await link.call(packed, deadline)
            except NoScript:
                packed = pack(b"EVAL", script.text, *rest)
            except Moved as moved:
                self._places.moved(moved)
                target, asking = moved.place, moved.once
                if not left:
                    raise StoreDown(str(moved), "moved") from moved
            except StoreDown as down:
                target, asking = None, False
                if place is not None and down.kind in ASTRAY:
                    self._places.doubt(place)
                    self._drop(place, down)
                if not left or down.kind not in UNDONE:
                    raise
        raise StoreDown("the server forgets scripts at once", "error")

    async def _learn(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.learn()
        except TimeoutError:
            raise StoreDown("nobody said in time where the store is", "timeout") from None

    def _to(self, place: Place) -> Link:
        link = self._current.get(place)
        if link is None or not link.usable:
            if sum(not each.usable for each in self._links) >= LATE:
                raise StoreDown("too many connections wait for late answers", "timeout")
            link = self._current[place] = self._connect(place)
        return link

    def _drop(self, place: Place, down: StoreDown) -> None:
        """After a failover the connection still stands, to what is a replica by now."""
        if down.kind == "readonly" and (link := self._current.pop(place, None)) is not None:
            link.retire(down)

    def _connect(self, place: Place, **given: Any) -> Link:
        if self._closed:
            raise StoreDown("the store's client is closed", "closed")
        link = Link(self._connection(place, **given), max(PATIENCE, 4 * self.timeout), self._links.discard)
        self._links.add(link)
        return link

    def _connection(self, place: Place, **given: Any) -> AbstractConnection:
        address = self._address
        given = {
            "socket_timeout": None,  # the link's deadlines hold
            "lib_name": "gauger",
            "lib_version": None,
            "username": address.user,
            "password": address.password,
            "db": address.db,
        } | given
        if isinstance(place, str):
            return UnixDomainSocketConnection(path=place, **given)
        if not address.tls:
            return Connection(host=place[0], port=place[1], **given)
        made = SSLConnection(host=place[0], port=place[1], **given)
        made.ssl_context = self._tls  # one for all: reading a system's certificates takes milliseconds
        return made

    def _find_places(self) -> Places:
        address = self._address
        if address.kind == "unix":
            return One(address.path)
        if address.kind == "single":
            return One(address.hosts[0])
        if address.kind == "cluster":
            return Cluster(address.hosts, self._ask)
        return Watched(address.hosts, address.service, self._ask)

    async def _ask(self, place: Place, command: bytes) -> Any:
        """Asks a node of a cluster on its connection, a sentinel on one of its own."""
        deadline = asyncio.get_running_loop().time() + self.timeout
        if self._address.kind == "cluster":
            return await self._to(place).call(command, deadline)
        try:
            return await self._ask_sentinel(place, command, deadline)
        except StoreDown as down:
            if down.kind != "error" or self._address.password is None:
                raise
        return await self._ask_sentinel(place, command, deadline, username=None, password=None)

    async def _ask_sentinel(self, place: Place, command: bytes, deadline: float, **given: Any) -> Any:
        """With the servers' password; where a sentinel has none, that is an error, and none is given."""
        link = self._connect(place, lib_name=None, db=0, **given)
        try:
            return await link.call(command, deadline)
        finally:
            await link.aclose()


def _trust(ca: Path | None) -> ssl.SSLContext:
    """What a certificate and its name are checked against: a bundle, or what the system trusts. Raises Mistake."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        why = error.strerror if not isinstance(error, ssl.SSLError) else "this is no bundle of certificates"
        raise Mistake(f"{ca} can't be read: {why}", place="store_ca (GAUGER_STORE_CA)", hint="a PEM file") from None


def _bytes(value: bytes | str | int) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value if isinstance(value, int) else value.encode()


def connect(uri: str, timeout: float = 0.05, ca: Path | None = None) -> Client:
    """A client of the store at `uri` (`address.py`); it connects when it is first used. Raises Mistake."""
    return Client(read(uri), timeout, ca)
