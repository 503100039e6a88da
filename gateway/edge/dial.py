"""Shell. Connects to a name: all its addresses are tried, IPv6 and IPv4 in turn, the next before the last gave up.

A model server's name often has several addresses, and one of them may be dead without a word. The order and the
delay are those of Happy Eyeballs (RFC 8305 sections 4, 5 and 8); uvloop has nothing of the kind. Names are looked up
for each new connection, so an address that a name has lost gets no new ones.
"""

import asyncio
import ipaddress
import socket
from collections import deque
from itertools import chain, zip_longest

__all__ = ["dial", "is_address"]

STAGGER = 0.25  # seconds after which the next address is tried beside the last (RFC 8305 section 5)
ADDRESSES = 8  # tried at most: with the stagger, the last of them begins after two seconds

Address = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]


def is_address(host: str) -> bool:
    """Whether there is nothing to look up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def dial(host: str, port: int) -> socket.socket:
    """A connected, non-blocking TCP socket to the first address that answers. The caller bounds the time, and closes.

    Raises socket.gaierror where the name has no address, else OSError of the first address that failed.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    left = deque(_in_turn([(entry[0], entry[4]) for entry in found]))
    if not left:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[BaseException] = []
    won: socket.socket | None = None
    try:
        while won is None:
            if left:
                running.add(loop.create_task(_attempt(loop, left.popleft())))
            done, running = await asyncio.wait(
                running, timeout=STAGGER if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is not None:
                    failures.append(error)
                elif won is None:
                    won = task.result()
                else:
                    task.result().close()
            if won is None and not left and not running:
                raise failures[0]
        return won
    finally:
        for task in running:
            task.add_done_callback(_discard)
            task.cancel()


async def _attempt(loop: asyncio.AbstractEventLoop, address: Address) -> socket.socket:
    family, where = address
    # The protocol is named: asyncio sends at once what is small (TCP_NODELAY) only on sockets that say TCP.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _discard(task: "asyncio.Task[socket.socket]") -> None:
    """Closes what connected after all, too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _in_turn(found: list[Address]) -> list[Address]:
    """The addresses in the resolver's order (RFC 6724), but families alternate, the first one's first."""
    distinct = list(dict.fromkeys(found))
    first = [each for each in distinct if each[0] == distinct[0][0]]
    others = [each for each in distinct if each[0] != distinct[0][0]]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None][:ADDRESSES]
