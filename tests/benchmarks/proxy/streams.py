"""Shell. The load of streams: chunks counted, first tokens timed, a thousand held open at once."""

import asyncio
import sys
import time
from typing import Any

from tests.benchmarks.proxy.client import Connection, Plan, Tally, connect, requests
from tests.benchmarks.proxy.figures import percentile

__all__ = ["hold", "streams"]

CHUNK = b"data: {"
AT_ONCE = 64  # connections that are being opened


class _Stream:
    """One connection that asks for a stream after the other."""

    def __init__(self, load: "_Load") -> None:
        self.load = load
        self.started = 0.0
        self.first = False
        self.rest = b""
        self.connection: Connection | None = None

    def arrived(self, connection: Connection, data: bytes) -> None:
        seen = self.rest + data
        count = seen.count(CHUNK)
        self.rest = seen[-(len(CHUNK) - 1) :]
        if not count:
            return
        if not self.first:
            self.first = True
            self.load.firsts.append(time.perf_counter() - self.started)
            self.load.opened()
        self.load.chunks += count

    def ask(self, connection: Connection) -> None:
        self.connection = connection
        self.started, self.first, self.rest = time.perf_counter(), False, b""
        connection.ask(self.load.next())

    def answered(self, connection: Connection, status: int) -> None:
        self.load.ended(status)
        if self.load.going and connection.usable:
            self.ask(connection)
        else:
            self.load.stopped()


class _Load:
    def __init__(self, plan: Plan) -> None:
        self.asks = requests(plan)
        self.at = 0
        self.chunks = 0
        self.firsts: list[float] = []
        self.tally = Tally()
        self.end = 0.0 if plan.mode == "hold" else time.perf_counter() + plan.seconds
        self.running = plan.connections
        self.awaited = plan.connections
        self.done = asyncio.Event()
        self.all_open = asyncio.Event()

    @property
    def going(self) -> bool:
        return time.perf_counter() < self.end and not self.tally.hopeless

    def next(self) -> bytes:
        self.at += 1
        return self.asks[self.at % len(self.asks)]

    def opened(self) -> None:
        self.awaited -= 1
        if self.awaited == 0:
            self.all_open.set()

    def ended(self, status: int) -> None:
        if status:
            self.tally.statuses[status] += 1
        else:
            self.tally.errors["stream cut off"] += 1

    def stopped(self) -> None:
        self.running -= 1
        if self.running <= 0:
            self.done.set()
            self.all_open.set()

    def summary(self, seconds: float) -> dict[str, Any]:
        self.firsts.sort()

        def us(share: float) -> float | None:
            return round(percentile(self.firsts, share) * 1e6, 1) if self.firsts else None

        return {
            "n": sum(self.tally.statuses.values()),
            "bad": self.tally.bad,
            "why": self.tally.words(),
            "seconds": round(seconds, 4),
            "chunks": self.chunks,
            "cps": round(self.chunks / seconds, 1),
            "ttft_p50": us(0.5),
            "ttft_p99": us(0.99),
            "ttft_n": len(self.firsts),
        }


async def _start(plan: Plan, load: _Load) -> list[_Stream]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> _Stream:
        stream = _Stream(load)
        async with gate:
            try:
                stream.ask(await connect(plan, lambda: Connection(stream.answered, stream.arrived)))
            except OSError:
                load.tally.errors["no connection"] += 1
                load.stopped()
        return stream

    return await asyncio.gather(*(one() for _ in range(plan.connections)))


async def streams(plan: Plan) -> dict[str, Any]:
    """Streams on so many connections, one after the other on each, until the time is over and the last has ended."""
    load = _Load(plan)
    start = time.perf_counter()
    await _start(plan, load)
    try:
        async with asyncio.timeout(plan.seconds + plan.grace):
            await load.done.wait()
    except TimeoutError:
        load.tally.errors["stream without end"] += load.running
    return load.summary(time.perf_counter() - start)


async def hold(plan: Plan) -> dict[str, Any]:
    """Opens the streams, says `open` on standard output when each has had its first chunk, ends when a line comes in.

    It also ends by itself, after the plan's seconds.
    """
    load = _Load(plan)
    start = time.perf_counter()
    begun = await _start(plan, load)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(plan.seconds):
            await load.all_open.wait()
            print("open", flush=True)
            loop.add_reader(sys.stdin.fileno(), told.set)
            await told.wait()
    except TimeoutError:
        load.tally.errors["not open in time"] += load.awaited
    summary = load.summary(time.perf_counter() - start)
    summary["n"] = len(load.firsts)  # none has ended, and none should have
    for stream in begun:
        if stream.connection is not None:
            stream.connection.close()
    return summary
