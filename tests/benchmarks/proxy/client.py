"""Shell. One connection of the load generator, and what it asks for. Loopback only."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import httptools
import msgspec

from tests.benchmarks.proxy.bodies import KEYS

__all__ = ["Connection", "Plan", "Tally", "requests"]

HOST = "127.0.0.1"
HOPELESS = 20


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one run of the generator does. Times in seconds."""

    mode: str
    """`closed`: each connection asks again when answered. `open`: at a rate, answered or not. `streams`, `hold`."""
    port: int
    path: str
    bodies: str
    """File with a body a line."""
    connections: int
    """`open`: at most so many; then requests wait, and their time counts."""
    seconds: float
    headers: dict[str, str] = {}
    rate: float = 0.0
    """`open`: requests a second on average, at moments drawn by `seed`."""
    seed: int = 0
    grace: float = 20.0
    """How long what is under way at the end may still take."""


class Tally:
    """What came of the requests."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()

    @property
    def bad(self) -> int:
        """Requests that were not answered with 200."""
        return sum(count for status, count in self.statuses.items() if status != 200) + self.errors.total()

    @property
    def hopeless(self) -> bool:
        """Whether so many went wrong that asking on would only do harm: refused streams may run on behind a proxy."""
        return self.bad >= HOPELESS

    def words(self) -> dict[str, int]:
        """By status or by name of the error, whatever was no 200."""
        odd = {str(status): count for status, count in self.statuses.items() if status != 200}
        return {**odd, **self.errors}


class Connection(asyncio.Protocol):
    """A keep-alive connection that has one request under way at most.

    `answered(connection, status)` is called after the last byte of an answer; status 0 = the connection went away.
    `arrived(connection, data)` is called for each piece of the body.
    """

    def __init__(
        self,
        answered: Callable[["Connection", int], None],
        arrived: Callable[["Connection", bytes], None] | None = None,
    ) -> None:
        self.answered = answered
        self.arrived = arrived
        self.parser: Any = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.busy = False
        self.since = 0.0
        """For whoever holds the connection: when its request was due."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass

    def ask(self, request: bytes) -> None:
        """Sends a request. The connection must be idle."""
        assert self.transport is not None
        self.busy = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, data: bytes) -> None:
        if self.arrived is not None:
            self.arrived(self, data)

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:  # an interim answer
            return
        stays = self.parser.should_keep_alive()
        self.busy = False
        if not stays:
            self.close()
        self.answered(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.busy:
            self.busy = False
            self.answered(self, 0)

    def close(self) -> None:
        """Hangs up. What was under way is answered with 0."""
        if self.transport is not None:
            self.transport.close()

    @property
    def usable(self) -> bool:
        """Whether another request can go out on it."""
        return self.transport is not None and not self.transport.is_closing()


def requests(plan: Plan) -> Sequence[bytes]:
    """The raw requests of a plan, one for each body, each with the next of the keys."""
    more = "".join(f"{name}: {value}\r\n" for name, value in plan.headers.items())
    made = []
    for at, body in enumerate(Path(plan.bodies).read_bytes().splitlines()):
        head = (
            f"POST {plan.path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {KEYS[at % len(KEYS)]}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        )
        made.append(head.encode() + body)
    return made


async def connect(plan: Plan, made: Callable[[], Connection]) -> Connection:
    """A new connection. Raises OSError, also after 10 s."""
    async with asyncio.timeout(10):
        _, connection = await asyncio.get_running_loop().create_connection(made, HOST, plan.port)
    return connection
