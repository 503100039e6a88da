"""A client that speaks raw bytes, and an upstream that parses strictly and remembers every byte it was sent."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httptools

__all__ = ["Recorded", "Reply", "Upstream", "talk"]

REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass
class Recorded:
    """One request as the upstream got it; names are lower-case, order and repetitions kept."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]


class Broken(Exception):
    """The gateway sent what is not strict HTTP/1.1."""


@dataclass
class Upstream:
    """Answers every request with its own `x-echo` value. `anomalies` says what could not be parsed."""

    requests: list[Recorded] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)
    url: str = ""
    _server: Any = None

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]  # noqa: UP031
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError as end:
                    if end.partial:
                        raise Broken(f"connection ended inside a head of {len(end.partial)} bytes") from None
                    return
                request = parse_head(head)
                await self._body(request, reader)
                self.requests.append(request)
                echo = b"".join(request.values(b"x-echo")[:1])
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(echo)
                    + echo
                )
                await writer.drain()
        except (Broken, asyncio.IncompleteReadError) as error:
            self.anomalies.append(str(error))
        except ConnectionError:
            return
        finally:
            writer.close()

    @staticmethod
    async def _body(request: Recorded, reader: asyncio.StreamReader) -> None:
        lengths, codings = request.values(b"content-length"), request.values(b"transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Broken("more than one framing")
        if codings:
            if codings != [b"chunked"]:
                raise Broken("a transfer coding that is not chunked")
            while True:
                line = await reader.readuntil(b"\r\n")
                if not re.fullmatch(rb"[0-9a-fA-F]{1,8}\r\n", line):
                    raise Broken("a chunk size with extras")
                size = int(line, 16)
                request.body += await reader.readexactly(size)
                if await reader.readexactly(2) != b"\r\n":
                    raise Broken("a chunk without its end")
                if size == 0:
                    return
        elif lengths:
            if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
                raise Broken("a length that is no number")
            request.body = await reader.readexactly(int(lengths[0]))


def parse_head(head: bytes) -> Recorded:
    lines = head[:-4].split(b"\r\n")
    first = REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        raise Broken("a request line that is not strict")
    headers = []
    for line in lines[1:]:
        found = FIELD.fullmatch(line)
        if found is None:
            raise Broken("a field that is not strict")
        headers.append((found[1].lower(), found[2].rstrip(b" \t")))
    if sum(name == b"host" for name, _ in headers) != 1:
        raise Broken("not exactly one host")
    return Recorded(first[1], first[2], headers)


@dataclass
class Reply:
    """What came back on one connection: final statuses and bodies in order, and whether the gateway closed it."""

    statuses: list[int]
    bodies: list[bytes]
    raw: bytes
    closed: bool  # by the gateway, before we gave up
    whole: bool  # the last answer had its end

    @property
    def status(self) -> int:
        return self.statuses[0] if self.statuses else 0


class _Responses:
    """Callbacks of a response parser."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self.whole = True

    def on_message_begin(self) -> None:
        self.whole = False

    def on_headers_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())
        self.bodies.append(b"")

    def on_body(self, body: bytes) -> None:
        self.bodies[-1] += body

    def on_message_complete(self) -> None:
        self.whole = True
        if self.statuses[-1] < 200:
            self.statuses.pop()
            self.bodies.pop()


async def talk(
    address: tuple[str, int],
    pieces: Sequence[bytes],
    *,
    answers: int = 1,
    half_close: bool = False,
    patience: float = 4.0,
    quiet: float = 0.03,
) -> Reply:
    """Sends the pieces, a moment apart, and reads until `answers` are whole and `quiet` s passed, or the end.

    `patience` bounds the wait in seconds; running out of it is told by `closed` False and too few statuses.
    """
    reader, writer = await asyncio.open_connection(*address)
    seen = _Responses()
    raw = b""
    closed = False
    loop = asyncio.get_running_loop()
    end = loop.time() + patience

    async def write() -> None:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.01)
            writer.write(piece)
            await writer.drain()
        if half_close:
            writer.write_eof()

    writing = asyncio.create_task(write())
    try:
        while True:
            done = len(seen.statuses) >= answers and seen.whole
            left = quiet if done else end - loop.time()
            try:
                block = await asyncio.wait_for(reader.read(65536), max(left, 0.001))
            except TimeoutError:
                break
            except ConnectionError:
                closed = True
                break
            if not block:
                closed = True
                break
            raw += block
            try:
                seen.parser.feed_data(block)
            except httptools.HttpParserError:
                break
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        writer.close()
    return Reply(seen.statuses, seen.bodies, raw, closed, seen.whole)
