"""The official clients' calls, made directly and through the gateway, with every byte on the wire written down."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httptools

from gateway import standin
from gateway.refusals import ADDED_HEADERS
from gateway.standin import Seen
from tests.rig import OPEN_POLICY, Running, gateway, in_thread

__all__ = ["Pair", "Tap", "Trip", "limited", "pair_of", "serving", "settled"]

Header = tuple[bytes, bytes]
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
HOPS = frozenset({b"connection", b"keep-alive"})
UPWARD = frozenset({b"via", b"traceparent"})  # what the README says is added on the way up
REQUEST_IDS = frozenset({b"x-request-id", b"request-id"})


def limited(line: str) -> str:
    """A policy of one limit."""
    return f"gauger: 1\npolicy: {{id: test}}\nlimits:\n  - {line}\n"


@dataclass
class Trip:
    """One request and its answer as they were on the wire; names of fields in lower case, order kept."""

    method: bytes = b""
    target: bytes = b""
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""
    status: int = 0
    answer_headers: list[Header] = field(default_factory=list)
    answer: bytes = b""
    whole: bool = False


class _Requests:
    def __init__(self, trips: list[Trip]) -> None:
        self._trips = trips
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._trips.append(Trip())

    def on_url(self, url: bytes) -> None:
        self._trips[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._trips[-1].headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._trips[-1].method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self._trips[-1].body += body


class _Answers:
    def __init__(self, trips: list[Trip]) -> None:
        self._waiting = iter(trips)
        self._trip = Trip()
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self._trip = next(self._waiting)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._trip.answer_headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._trip.status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._trip.answer += body

    def on_message_complete(self) -> None:
        self._trip.whole = True


class Tap:
    """A TCP relay that passes bytes on as they come and keeps a copy of both directions of each connection."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._wires: list[tuple[bytearray, bytearray]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Tap":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()  # what is still open ends as if its client had left
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._to)
        sent, got = bytearray(), bytearray()
        self._wires.append((sent, got))
        ways = [
            asyncio.create_task(_pass(reader, onward, sent)),
            asyncio.create_task(_pass(onward_reader, writer, got)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            onward.close()
            writer.close()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(writer)
            self._tasks.discard(task)

    def trips(self) -> list[Trip]:
        """Every request so far with its answer, in the order of their connections."""
        found: list[Trip] = []
        for sent, got in list(self._wires):
            trips: list[Trip] = []
            _Requests(trips).parser.feed_data(bytes(sent))
            _Answers(trips).parser.feed_data(bytes(got))
            found += trips
        return found

    def forget(self) -> None:
        """Drops what was recorded; of a connection that is still open nothing more is kept."""
        self._wires.clear()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray) -> None:
    try:
        while block := await reader.read(65536):
            copy += block
            writer.write(block)
            await writer.drain()
    except ConnectionError:
        return  # the other side broke off, and so do we


@dataclass
class Pair:
    """Two stand-in models: one to be reached directly, one behind a gateway; a tap before each way in."""

    direct: Tap
    through: Tap
    running: Running

    @property
    def urls(self) -> tuple[str, str]:
        return self.direct.url, self.through.url

    def begin(self) -> None:
        """Forgets what was recorded so far. Only between clients."""
        self.direct.forget()
        self.through.forget()
        self.running.model.app.seen.clear()

    def same(self, tell: Callable[[str], Any], *, whole: bool = True) -> list[Trip]:
        """Has `tell(url)` use a client directly and through the gateway, and compares all that can be compared.

        Returns what went through the gateway. Clients must be made and closed inside `tell`.
        """
        self.begin()
        return self.compare(tell(self.direct.url), tell(self.through.url), whole=whole)

    def compare(self, direct: Any, through: Any, *, whole: bool = True) -> list[Trip]:
        """Compares what the two runs told, what was on the wire, and what the model behind the gateway saw."""
        ours, theirs = self.through.trips(), self.direct.trips()
        seen = list(self.running.model.app.seen)
        assert len(ours) == len(theirs) == len(seen) > 0
        for mine, plain, got in zip(ours, theirs, seen, strict=True):
            assert same_request(mine) == same_request(plain)
            assert mine.status == plain.status
            assert mine.answer == plain.answer
            assert ended(mine) is ended(plain) is whole
            assert mine.answer_headers == plain.answer_headers
            assert_passed_up(mine, got)
        assert through == direct
        return ours


def ended(trip: Trip) -> bool:
    """Whether its answer came to its end. OpenAI's client hangs up at `[DONE]`, be the last chunk there or not."""
    return trip.whole or trip.answer.endswith(b"data: [DONE]\n\n")


def same_request(trip: Trip) -> tuple[bytes, bytes, list[Header], bytes]:
    """What a client asked, without the name of whom."""
    return trip.method, trip.target, [pair for pair in trip.headers if pair[0] != b"host"], trip.body


def assert_passed_up(trip: Trip, seen: Seen) -> None:
    """The model got what the client sent, but for the fields that the README names."""
    assert seen.method.encode() == trip.method
    assert seen.target == trip.target
    assert seen.body in (None, trip.body)
    assert (seen.size, seen.sha256) == (len(trip.body), hashlib.sha256(trip.body).hexdigest())
    aside = FRAMING | HOPS | {b"host"}
    assert [pair for pair in seen.headers if pair[0] not in aside | UPWARD] == [
        pair for pair in trip.headers if pair[0] not in aside
    ]
    assert sorted(name for name, _ in seen.headers if name in UPWARD) == sorted(UPWARD)
    assert [pair for pair in seen.headers if pair[0] in FRAMING] == [
        pair for pair in trip.headers if pair[0] in FRAMING
    ]


def without_ours(headers: list[Header]) -> list[Header]:
    """An answer's fields without those that the gateway may add in place of the model's own."""
    added = {name.encode() for name in ADDED_HEADERS} - REQUEST_IDS
    return [pair for pair in headers if pair[0] not in added]


@asynccontextmanager
async def pair_of(state_dir: Path, policy: str = OPEN_POLICY, **settings: Any) -> AsyncIterator[Pair]:
    """A pair whose gateway follows `policy`."""
    async with (
        standin.serving() as model,
        gateway(state_dir=state_dir, policy=policy, record=1000, **settings) as running,
        Tap(model.port) as direct,
        Tap(running.port) as through,
    ):
        yield Pair(direct, through, running)


@contextmanager
def serving(state_dir: Path, policy: str = OPEN_POLICY, **settings: Any) -> Iterator[Pair]:
    """A pair in a thread of its own, for clients that block."""
    with in_thread(lambda: pair_of(state_dir, policy, **settings)) as (pair, _):
        yield pair


async def settled(running: Running) -> None:
    """Waits until nothing is under way any more. Runs in any loop: it reads two numbers."""
    async with asyncio.timeout(10):
        while running.core.admission.inflight or running.core.limits.open:
            await asyncio.sleep(0.005)
