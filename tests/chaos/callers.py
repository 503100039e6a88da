"""Callers with known keys: they count what they were answered, and each request has a name that its record repeats."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["OUTPUT", "Ask", "Callers", "admitted"]

HOST = "127.0.0.1"
OUTPUT = 250
"""Tokens that an answer without a stream uses: `tests.benchmarks.proxy.bodies.ANSWER`."""
PATIENCE = 60.0  # s for one request


@dataclass
class Ask:
    """One request as its caller saw it. Times are of the wall, in seconds since the epoch; 0 = that never came."""

    name: str
    key: str
    port: int
    began: float = 0.0
    head: float = 0.0
    ended: float = 0.0
    status: int = 0
    whole: bool = False
    code: str = ""
    error: str = ""


def admitted(asks: Sequence[Ask]) -> int:
    """How many were answered with 200, whole or not."""
    return sum(ask.status == 200 for ask in asks)


def _request(name: str, key: str, model: str, tokens: int, chunks: int, gap: int) -> bytes:
    call: dict[str, object] = {"model": model, "max_tokens": tokens}
    text = f"Say something about {name}."
    if chunks:
        text += f" Pace: {chunks} chunks, {gap} ms."
        call |= {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps({**call, "messages": [{"role": "user", "content": text}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {key}\r\nx-request-id: {name}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class _Line:
    """A connection that is kept while it can be."""

    port: int
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(HOST, self.port, limit=1 << 18)
        return self.reader, self.writer

    def close(self) -> None:
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None


@dataclass
class Callers:
    """All requests of a run, in `asks`, by name."""

    seed: int = 1
    asks: dict[str, Ask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._numbers = itertools.count()

    async def ask(
        self,
        key: str,
        port: int,
        *,
        model: str = "bench",
        tokens: int = OUTPUT,
        chunks: int = 0,
        gap: int = 10,
        line: _Line | None = None,
    ) -> Ask:
        """One request, answered to its end or broken off; `chunks` = a stream of so many, `gap` ms apart."""
        ask = Ask(f"chaos-{next(self._numbers):06d}", key, port)
        self.asks[ask.name] = ask
        mine = line or _Line(port)
        ask.began = time.time()
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await mine.open()
                writer.write(_request(ask.name, key, model, tokens, chunks, gap))
                await writer.drain()
                if not await _read(reader, ask):
                    mine.close()
        except (OSError, EOFError, TimeoutError) as error:
            ask.error = type(error).__name__
            mine.close()
        except BaseException:
            mine.close()
            raise
        finally:
            ask.ended = time.time()
            if line is None:
                mine.close()
        return ask

    async def hammer(
        self, key: str, ports: Sequence[int], *, clients: int, refusals: int = 3, times: int = 0, **how: object
    ) -> list[Ask]:
        """So many clients at once, on connections of their own, until each was refused several times in a row.

        `times`: each asks so often, refused or not. The ports are dealt out in turn.
        """

        async def one(port: int) -> list[Ask]:
            line, made, refused = _Line(port), list[Ask](), 0
            try:
                while refused < refusals if not times else len(made) < times:
                    ask = await self.ask(key, port, line=line, **how)  # type: ignore[arg-type]
                    made.append(ask)
                    refused = refused + 1 if ask.status in (429, 503) else 0
                    if ask.error:
                        await asyncio.sleep(0.02)
            finally:
                line.close()
            return made

        lists = await asyncio.gather(*(one(ports[at % len(ports)]) for at in range(clients)))
        return [ask for made in lists for ask in made]

    async def steadily(
        self, keys: Sequence[str], ports: Sequence[int], over: Callable[[], bool], *, gap: float = 0.01, **how: object
    ) -> list[Ask]:
        """A client a port that asks again and again, with pauses, for one of the keys, until `over`."""

        async def one(port: int) -> list[Ask]:
            line, made = _Line(port), list[Ask]()
            try:
                while not over():
                    key = self.dice.choice(keys)
                    made.append(await self.ask(key, port, line=line, **how))  # type: ignore[arg-type]
                    await asyncio.sleep(gap * self.dice.uniform(0.5, 1.5))
            finally:
                line.close()
            return made

        lists = await asyncio.gather(*(one(port) for port in ports))
        return [ask for made in lists for ask in made]


async def _read(reader: asyncio.StreamReader, ask: Ask) -> bool:
    """Reads an answer to its end; whether its connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    ask.status, ask.head = int(head[9:12]), time.time()
    body = b""
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        _, _, rest = head.partition(b"content-length: ")
        body = await reader.readexactly(int(rest.partition(b"\r\n")[0] or b"0"))
    ask.whole = True
    if ask.status != 200:
        ask.code = str(json.loads(body)["error"].get("code"))
    return b"connection: close" not in head
