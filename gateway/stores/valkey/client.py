"""Shell. A call of the store that ends in time, whatever the server does.

The library (`valkey`) connects, speaks TLS and reads answers; what it lacks is ours: one time-out over everything, the
calls of one turn of the loop in one write, and never a second try of what may have been done.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from valkey.asyncio.connection import AbstractConnection, Connection

from gateway.errors import StoreDown
from gateway.stores.valkey.link import Link, NoScript, pack

__all__ = ["Client", "Script", "connect"]

INFLIGHT = 4096  # calls under way, at most
LINKS = 4  # connections to one server, at most: one that works, and those that wait for late answers


class Script:
    """A Lua text, and the name by which a server knows it."""

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()  # as the server computes it


class Client:
    """The process's client. `timeout` is in seconds, over connecting, writing and waiting together."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.timeout = timeout
        self.inflight = 0
        self._place = (host, port)
        self._link: Link | None = None
        self._links: set[Link] = set()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | int]) -> Any:
        """The script's answer. All keys are in one slot. Raises StoreDown, within the time-out."""
        if self.inflight >= INFLIGHT:
            raise StoreDown("too many calls are under way", "busy")
        rest = [b"%d" % len(keys), *[key.encode(errors="surrogatepass") for key in keys], *map(_bytes, args)]
        deadline = asyncio.get_running_loop().time() + self.timeout
        self.inflight += 1
        try:
            try:
                return await self._to().call(pack(b"EVALSHA", script.sha, *rest), deadline)
            except NoScript:
                return await self._to().call(pack(b"EVAL", script.text, *rest), deadline)
        finally:
            self.inflight -= 1

    async def tags(self) -> Sequence[str]:
        """Hash tags, of which each server that keeps a part of the whole holds at least one."""
        return ("{=}",)

    async def aclose(self) -> None:
        self._link = None
        for link in list(self._links):
            await link.aclose()

    def _to(self) -> Link:
        link = self._link
        if link is None or not link.usable:
            if len(self._links) >= LINKS:
                raise StoreDown("too many connections wait for late answers", "timeout")
            link = self._link = Link(self._connection(), self._links.discard)
            self._links.add(link)
        return link

    def _connection(self) -> AbstractConnection:
        host, port = self._place
        return Connection(host=host, port=port, socket_timeout=None, lib_name="gauger", lib_version="0")


def _bytes(value: bytes | str | int) -> bytes:
    return value if isinstance(value, bytes) else b"%d" % value if isinstance(value, int) else value.encode()


def connect(uri: str, timeout: float = 0.05) -> Client:
    """A client of the server at `uri`; it connects when it is first used."""
    host, _, port = uri.partition("://")[2].partition("/")[0].rpartition(":")
    return Client(host, int(port), timeout)
