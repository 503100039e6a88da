"""Connections to a shared port: taken evenly, and by somebody even where the others are stuck."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import trustme
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers import sharing
from gateway.workers.sharing import Acceptor, Board, board_file


@pytest.fixture
def file() -> Iterator[int]:
    number = board_file(3)
    yield number
    os.close(number)


def test_nobody_waits_for_those_who_are_away(file: int) -> None:
    board = Board(file, 3)
    assert not board.ahead(0, 1000)
    board.close()


def test_who_has_clearly_more_than_the_least_is_ahead(file: int) -> None:
    mine, other = Board(file, 3), Board(file, 3)
    assert not other.ahead(1, 4)
    assert not mine.ahead(0, 5)
    assert mine.ahead(0, 6)
    assert not mine.ahead(0, 4)
    other.away(1)
    assert not mine.ahead(0, 6)
    mine.close()
    other.close()


@given(st.lists(st.integers(0, 2), max_size=60))
def test_taken_in_any_order_they_stay_even(order: list[int]) -> None:
    number = board_file(3)
    board, counts = Board(number, 3), [0, 0, 0]
    for worker in range(3):
        board.ahead(worker, 0)
    for worker in order:
        if not board.ahead(worker, counts[worker]):
            counts[worker] += 1
            board.ahead(worker, counts[worker])
    assert max(counts) - min(counts) <= 2 + max(counts) // 8
    board.close()
    os.close(number)


class Kept(asyncio.Protocol):
    """A connection that is kept."""

    def __init__(self, where: set[asyncio.BaseTransport]) -> None:
        self.where = where

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.where.add(transport)


@asynccontextmanager
async def accepting(ahead: Callable[[int, int], bool], workers: int) -> AsyncIterator[tuple[int, list[set[object]]]]:
    """Several acceptors of one socket; the port, and the connections of each."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    listener.setblocking(False)
    kept: list[set[asyncio.BaseTransport]] = [set() for _ in range(workers)]
    acceptors = []
    for worker, where in enumerate(kept):

        def turn(many: int, worker: int = worker) -> bool:
            return ahead(worker, many)

        def count(where: set[asyncio.BaseTransport] = where) -> int:
            return len(where)

        def protocol(where: set[asyncio.BaseTransport] = where) -> Kept:
            return Kept(where)

        acceptors.append(Acceptor(listener.dup(), protocol, None, count, turn))
    try:
        yield listener.getsockname()[1], kept  # type: ignore[misc]
    finally:
        for acceptor in acceptors:
            acceptor.close()
        listener.close()
        for transport in set().union(*kept):
            transport.close()


async def connections(port: int, number: int, kept: list[set[object]]) -> list[asyncio.StreamWriter]:
    writers = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(number)]
    async with asyncio.timeout(20):
        while sum(map(len, kept)) < number:
            await asyncio.sleep(0.005)
    return writers


async def test_a_burst_is_shared_evenly(file: int) -> None:
    board = Board(file, 3)
    for worker in range(3):
        board.ahead(worker, 0)
    async with accepting(board.ahead, 3) as (port, kept):
        for writer in await connections(port, 48, kept):
            writer.close()
        assert all(10 <= len(each) <= 22 for each in kept), [len(each) for each in kept]
    board.close()


async def test_who_accepts_no_more_says_so() -> None:
    left = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        Acceptor(listener.dup(), asyncio.Protocol, None, lambda: 0, lambda _: False, lambda: left.append(1)).close()
    assert left == [1]


async def test_who_is_always_ahead_takes_one_all_the_same() -> None:
    async with accepting(lambda *_: True, 1) as (port, kept):
        for writer in await connections(port, 3, kept):
            writer.close()


async def test_a_process_without_room_rests_and_then_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "REST", 0.01)
    full = [True]

    class Full(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if full:
                full.pop()
                raise OSError(24, "Too many open files")
            return super().accept()

    made = socket.create_server(("127.0.0.1", 0))
    listener = Full(made.family, made.type, made.proto, fileno=made.detach())
    listener.setblocking(False)
    kept: list[set[object]] = [set()]
    acceptor = Acceptor(listener, lambda: Kept(kept[0]), None, lambda: 0, lambda _: False)  # type: ignore[arg-type]
    (writer,) = await connections(listener.getsockname()[1], 1, kept)
    assert not full
    writer.close()
    acceptor.close()
    for transport in kept[0]:
        with suppress(AttributeError):
            transport.close()  # type: ignore[attr-defined]


def test_under_uvloop_tls_is_spoken_and_who_does_not_is_let_go() -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def talk() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        kept: list[set[object]] = [set()]
        acceptor = Acceptor(listener, lambda: Kept(kept[0]), tls, lambda: 0, lambda _: False)  # type: ignore[arg-type]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionError):
            assert b"HTTP" not in await reader.read()
        writer.close()
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        while not kept[0]:
            await asyncio.sleep(0.005)
        acceptor.close()
        writer.close()
        await writer.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(talk(), 20))
