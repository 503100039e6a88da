"""A model server's name and its addresses: each is tried, none is kept for ever, and IPv6 is as good as IPv4."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.edge import dial
from gateway.edge.dial import is_address
from gateway.edge.upstream import PoolBounds, UpstreamError, UpstreamTimeouts
from tests.edge.evil import Client, Evil, answer, echoing, fetch, replying

Found = list[tuple[int, int, int, str, tuple[Any, ...]]]


def resolving(*hosts: str) -> list[str]:
    """Has this loop find these addresses for every name. The list may be changed."""
    loop = asyncio.get_running_loop()
    addresses = list(hosts)

    async def getaddrinfo(host: Any, port: Any, **_: Any) -> Found:
        asked = [host] if is_address(host) else addresses  # uvloop asks of addresses too
        families = [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in asked]
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, int(port))) for family, each in families]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign, assignment]
    return addresses


@pytest.fixture
def deaf() -> Iterator[Callable[[str, int], None]]:
    """Ports whose queue is full: to connect there takes for ever."""
    held: list[socket.socket] = []

    def listen(host: str, port: int) -> None:
        listener = socket.create_server((host, port), backlog=0)
        held.append(listener)
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((host, port))
            held.append(sock)

    yield listen
    for sock in held:
        sock.close()


async def test_an_address_that_refuses_is_followed_by_the_next(client: Client) -> None:
    async with Evil(echoing()) as server:
        resolving("127.0.0.77", "127.0.0.78", "127.0.0.1")
        upstream = client(server, host="model.example")
        assert await fetch(upstream) == (200, b"GET / HTTP/1.1")
        assert server.seen[0].values(b"host") == [b"model.example:%d" % server.port]
        await upstream.aclose()


async def test_an_address_that_never_answers_is_followed_by_the_next(
    client: Client, deaf: Callable[[str, int], None]
) -> None:
    async with Evil(echoing()) as server:
        deaf("127.0.0.77", server.port)
        resolving("127.0.0.77", "127.0.0.1")
        upstream = client(server, host="model.example", timeouts=UpstreamTimeouts(connect=5))
        assert await fetch(upstream) == (200, b"GET / HTTP/1.1")
        await upstream.aclose()
        await server.until_open(0)


async def test_where_no_address_answers_it_says_so(client: Client, deaf: Callable[[str, int], None]) -> None:
    async with Evil(echoing()) as server:
        resolving("127.0.0.77", "127.0.0.78")
        upstream = client(server, host="model.example")
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent, upstream.stats.open) == ("connect", False, 0)
        deaf("127.0.0.77", server.port)
        slow = client(server, host="model.example", timeouts=UpstreamTimeouts(connect=0.5))
        with pytest.raises(UpstreamError) as caught:
            await fetch(slow)
        assert (caught.value.kind, caught.value.sent, slow.stats.open) == ("timeout_connect", False, 0)
        await upstream.aclose()
        await slow.aclose()


async def test_an_address_that_the_name_has_lost_gets_no_new_requests_after_its_connections_age(client: Client) -> None:
    async with (
        Evil(replying(answer(b"old"))) as old,
        Evil(replying(answer(b"new")), host="127.0.0.2", port=old.port) as new,
    ):
        addresses = resolving("127.0.0.1")
        upstream = client(old, host="model.example", bounds=PoolBounds(idle=60, age=0.2))
        assert await fetch(upstream) == (200, b"old")
        addresses[:] = ["127.0.0.2"]
        while (got := await fetch(upstream)) == (200, b"old"):  # it is never idle, and ages all the same
            assert old.connections == 1
        assert (got, new.connections) == ((200, b"new"), 1)
        await old.until_open(0)
        await upstream.aclose()


async def test_an_idle_connection_is_closed_at_its_age(client: Client) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server, bounds=PoolBounds(idle=60, age=0.05))
        await fetch(upstream)
        await server.until_open(0)
        await upstream.aclose()


async def test_ipv6_is_spoken(client: Client) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with Evil(echoing(), host="::1") as server:
        resolving("127.0.0.77", "::1")
        for host in ("::1", "model.example"):
            upstream = client(server, host=host)
            assert await fetch(upstream) == (200, b"GET / HTTP/1.1")
            await upstream.aclose()
        assert server.seen[0].values(b"host") == [b"[::1]:%d" % server.port]


async def test_cancelling_while_addresses_are_tried_leaves_nothing_open(
    client: Client, deaf: Callable[[str, int], None]
) -> None:
    async with Evil(echoing()) as server:
        deaf("127.0.0.77", server.port)
        resolving("127.0.0.77", "127.0.0.1")
        for wait in (0.0, 0.01, dial.STAGGER, dial.STAGGER + 0.001):  # somewhere about each step
            upstream = client(server, host="model.example")
            task = asyncio.create_task(fetch(upstream))
            await asyncio.sleep(wait)
            task.cancel()
            await asyncio.wait((task,))
            await upstream.aclose()
            assert upstream.stats.open == 0
        await server.until_open(0)


def test_families_take_turns_in_the_resolvers_order() -> None:
    six = [(socket.AF_INET6, (f"::{n}", 1, 0, 0)) for n in range(9)]
    four = [(socket.AF_INET, (f"10.0.0.{n}", 1)) for n in range(3)]
    order = dial._in_turn([*six, *four, four[0]])
    assert order == [six[0], four[0], six[1], four[1], six[2], four[2], six[3], six[4]]
