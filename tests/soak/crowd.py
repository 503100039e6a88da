"""Callers of a soak: raw connections that come and go, thousands of keys, and every way to leave.

Each request is of one kind, drawn by its share, and starts when it is due, answered or not. What the gateway must have
a record of is counted as `asked`: whatever it has received the head of. Nothing here waits for ever.
"""

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.benchmarks.proxy.bodies import bodies

__all__ = ["Crowd"]

KINDS = {
    "json": 50,
    "long": 6,  # 32 KB
    "stream": 24,
    "paced": 8,  # a chunk each 10 ms
    "slow": 1,  # reads a little at a time
    "gone_before": 3,  # leaves as soon as it has asked
    "gone_amid_body": 3,
    "gone_amid_stream": 4,
    "gone_amid_head": 1,  # which nobody has a record of
}
FRESH = 0.2  # share of requests on a connection of their own
NEW = 0.02  # share of requests with a key that nobody has seen
HOT = 0.05  # share of requests of one key: over its limits
IDLE = 64  # connections kept
IDLE_FOR = 30.0  # s: the gateway closes them after 75
AT_ONCE = 512  # requests; those above are left out, and counted
PATIENCE = 60.0  # s for one request
SMALL, LARGE = 2048, 32_768


class Crowd:
    """Callers of the gateway at `port`. `keys` are there from the beginning; `known` are the accounts file's."""

    def __init__(self, port: int, *, keys: int, known: list[str], seed: int = 1) -> None:
        self.port = port
        self.dice = random.Random(seed)
        self.keys = known + [f"sk-soak-{number:06d}" for number in range(keys)]
        self.asked = 0
        self.left_out = 0
        self.kinds: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self._idle: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._json = bodies(SMALL, 256)
        self._long = bodies(LARGE, 32)
        self._stream = bodies(SMALL, 128, stream="Pace: 20 chunks, 0 ms.")
        self._paced = bodies(SMALL, 64, stream="Pace: 40 chunks, 10 ms.")
        self._endless = bodies(SMALL, 16, stream="Pace: 5000 chunks, 1 ms.")
        self._flood = bodies(SMALL, 16, stream="Pace: 2000 chunks, 0 ms.")
        self._names = list(KINDS)
        self._shares = list(KINDS.values())
        self._plays: dict[str, Callable[[bytes], Awaitable[None]]] = {
            "json": lambda key: self._plain(key, self._json),
            "long": lambda key: self._plain(key, self._long),
            "stream": lambda key: self._plain(key, self._stream),
            "paced": lambda key: self._plain(key, self._paced),
            "slow": self._slow,
            "gone_before": self._gone_before,
            "gone_amid_body": self._gone_amid_body,
            "gone_amid_stream": self._gone_amid_stream,
            "gone_amid_head": self._gone_amid_head,
        }

    async def busy(self, seconds: float, connections: int) -> int:
        """As many requests as go, each connection one after the other, none that leaves early. How many they were."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        before = self.asked

        async def one() -> None:
            while loop.time() < end:
                kind = self.dice.choices(["json", "long", "stream"], [50, 6, 24])[0]
                await self._one(kind)

        await asyncio.gather(*(one() for _ in range(connections)))
        return self.asked - before

    async def at(self, rate: float, seconds: float) -> None:
        """Requests at a rate (a second), at even distances, whatever became of earlier ones; then waits for all."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        due = 0
        while (now := loop.time()) < began + seconds:
            while due < (now - began) * rate:
                due += 1
                if len(self._running) >= AT_ONCE:
                    self.left_out += 1
                    continue
                kind = self.dice.choices(self._names, self._shares)[0]
                task = loop.create_task(self._one(kind))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await asyncio.sleep(0.005)
        if self._running:
            await asyncio.wait(set(self._running))

    async def leave(self) -> None:
        """Hangs up all that is idle."""
        while self._idle:
            _, _, writer = self._idle.pop()
            await _close(writer)

    async def _one(self, kind: str) -> None:
        self.kinds[kind] += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await self._plays[kind](self._key().encode())
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            self.failures[f"{kind}: {type(error).__name__}"] += 1

    def _key(self) -> str:
        chance = self.dice.random()
        if chance < NEW:
            self.keys.append(f"sk-new-{len(self.keys):08d}")
            return self.keys[-1]
        if chance < NEW + HOT:
            return "sk-hot"
        return self.dice.choice(self.keys)

    def _request(self, key: bytes, body: bytes, more: bytes = b"") -> bytes:
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\ncontent-length: %d\r\n%b\r\n"
        )
        return head % (key, len(body), more) + body

    async def _open(self, **options: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 18, **options)  # type: ignore[arg-type]

    async def _plain(self, key: bytes, choice: list[bytes]) -> None:
        """Asks, reads to the end, and keeps the connection, if it is kept."""
        request = self._request(key, self.dice.choice(choice))
        alone = self.dice.random() < FRESH
        reader, writer = await self._open() if alone else await self._kept()
        kept = False
        try:
            self.asked += 1
            writer.write(request)
            await writer.drain()
            status, kept = await _whole(reader)
            self.statuses[status] += 1
        finally:
            if kept and not alone and len(self._idle) < IDLE:
                self._idle.append((asyncio.get_running_loop().time(), reader, writer))
            else:
                await _close(writer)

    async def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection that was used last, or a new one; those that have been idle for long are closed."""
        while self._idle and asyncio.get_running_loop().time() - self._idle[0][0] > IDLE_FOR:
            await _close(self._idle.pop(0)[2])
        return self._idle.pop()[1:] if self._idle else await self._open()

    async def _slow(self, key: bytes) -> None:
        """Reads four kilobytes at a time with a pause between them, on a small window."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
        try:
            self.asked += 1
            writer.write(self._request(key, self.dice.choice(self._flood), b"connection: close\r\n"))
            await writer.drain()
            seen = 0
            while block := await reader.read(4096):
                if not seen:
                    self.statuses[int(block[9:12])] += 1
                seen += len(block)
                await asyncio.sleep(0.02)
        finally:
            await _close(writer)

    async def _gone_before(self, key: bytes) -> None:
        _, writer = await self._open()
        self.asked += 1
        writer.write(self._request(key, self.dice.choice(self._paced)))
        await writer.drain()
        await _close(writer)

    async def _gone_amid_body(self, key: bytes) -> None:
        """Waits until the gateway wants the body, so that it surely has the head; sends half of it."""
        reader, writer = await self._open()
        body = self.dice.choice(self._json)
        request = self._request(key, body, b"expect: 100-continue\r\n")
        writer.write(request[: -len(body)])
        self.asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(body[: len(body) // 2])
        await writer.drain()
        _reset(writer)

    async def _gone_amid_stream(self, key: bytes) -> None:
        reader, writer = await self._open()
        self.asked += 1
        writer.write(self._request(key, self.dice.choice(self._endless)))
        head = await reader.readuntil(b"\r\n\r\n")
        self.statuses[int(head[9:12])] += 1
        await reader.read(2000)
        _reset(writer)

    async def _gone_amid_head(self, key: bytes) -> None:
        _, writer = await self._open()
        writer.write(self._request(key, b"")[:60])
        await writer.drain()
        await _close(writer)


async def _whole(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Reads one answer to its end: its status, and whether the connection may be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    status = int(head[9:12])
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    else:
        _, _, rest = head.partition(b"content-length: ")
        await reader.readexactly(int(rest.partition(b"\r\n")[0] or b"0"))
    return status, b"connection: close" not in head


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(5):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hangs up as a killed process does."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
