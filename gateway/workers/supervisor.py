"""Shell. The process that starts the workers: it holds the ports, restarts what dies, and answers for all.

It binds the data port itself and hands the listening sockets on, so a connection that arrives while a worker is started
again is taken by another, or waits. It reads no request. Where it dies, its workers let theirs end and follow.
"""

import asyncio
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import orjson
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway import __version__
from gateway.edge.server import LAST_WORDS, bounds_of, make_server, url_of
from gateway.errors import Mistake
from gateway.ledger.line import Service
from gateway.pepper import load_pepper
from gateway.settings import Settings
from gateway.starting import InForce, banner, data_sockets, is_loopback, standing_in, token_of
from gateway.telemetry import events
from gateway.telemetry.metrics import COUNTED, GAUGES
from gateway.workers.backoff import Backoff
from gateway.workers.channel import Brief, told
from gateway.workers.child import Child, Gone
from gateway.workers.embedded import Embedded
from gateway.workers.ops import Said, operator_app
from gateway.workers.sharing import Board, board_file
from gateway.workers.sums import Totals

__all__ = ["Supervisor", "check", "supervise"]

TRIES = 3  # lives of a worker that may end before it has served once
LOOK = 1.0  # s that a worker may take to say whether it is ready, and what it counts
ORDER = 60.0  # s that it may take to do what all are told: rules are read again from long files
MERCY = 30.0  # s beyond its drain after which a worker is killed: it writes a last snapshot

log = events.get("workers")


def check(settings: Settings) -> None:
    """Raises Mistake where these settings can't hold for several processes."""
    alone = settings.store.get_secret_value() == "memory"
    if settings.workers > 1 and alone and not settings.embedded_valkey:
        raise Mistake(
            f"{settings.workers} workers with limits of their own would each grant the whole of every limit",
            place="workers",
            hint="--embedded-valkey starts a store for them, or GAUGER_STORE=valkey://HOST:6379 names one",
        )
    if settings.embedded_valkey and not alone:
        raise Mistake("a store is named, and an embedded one is asked for", place="store", hint="choose one of them")
    if settings.worker_ports + settings.workers > 65_536:
        raise Mistake(
            f"{settings.workers} ports from {settings.worker_ports} on end beyond 65535", place="worker_ports"
        )


async def supervise(settings: Settings) -> None:
    """Runs the workers until a signal says stop. Raises Mistake before anything listens if something is wrong."""
    check(settings)
    load_pepper(settings)  # made once, before several processes look for it
    async with AsyncExitStack() as stack:
        sockets = data_sockets(settings)
        for each in sockets:
            for sock in each:
                stack.callback(sock.close)
        settings = settings.model_copy(update={"port": sockets[0][0].getsockname()[1]})
        instance = settings.service_instance or f"{socket.gethostname()}:{settings.port}"
        events.configure(settings.log_level, service=Service("gauger", __version__, instance))
        upstream = await stack.enter_async_context(standing_in(settings))
        server = await stack.enter_async_context(Embedded.running(settings)) if settings.embedded_valkey else None
        board = board_file(settings.workers)
        stack.callback(os.close, board)
        flock = Supervisor(settings, instance, upstream, sockets, board, server)
        operator = operator_app(flock, token=token_of(settings), local=is_loopback(settings.ops_host))
        ops = make_server(operator, settings.ops_host, settings.ops_port, bounds_of(settings, tls=False))
        ops.drain_timeout = LOOK
        await stack.enter_async_context(ops.listening())
        await flock.run(ops.url)
        log.info("stopped")


class Supervisor:
    """The workers of one gateway. `run` starts them and returns when all have ended."""

    def __init__(
        self,
        settings: Settings,
        instance: str,
        upstream: str | None,
        sockets: list[list[socket.socket]],
        board: int,
        store: Embedded | None,
    ) -> None:
        """`sockets` are those of the data port, then of each worker's own; `board` is a `board_file`."""
        self.restarts = 0
        self._settings = settings
        self._instance = instance
        self._upstream = upstream
        self._sockets = sockets
        self._board_file = board
        self._board = Board(board, settings.workers)
        self._store = store
        self._children = [Child(index, self._rose) for index in range(settings.workers)]
        self._totals = Totals()
        self._stop = asyncio.Event()
        self._all_up = asyncio.Event()
        self._begun = False  # every worker has served
        self._enforcing = settings.enforce
        self._order = 0  # counts what all were told
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def draining(self) -> bool:
        """Whether all are to end."""
        return self._stop.is_set()

    async def run(self, ops_url: str) -> None:
        """Raises Mistake where a worker can't be started at all."""
        self._on_signals()
        keeping = [asyncio.create_task(self._keep(child)) for child in self._children]
        watch = [asyncio.create_task(self._stop.wait()), asyncio.create_task(self._announce(ops_url))]
        try:
            while not self.draining:
                done, _ = await asyncio.wait([*keeping, *watch], return_when=asyncio.FIRST_COMPLETED)
                watch = [task for task in watch if task not in done]
                for task in done:
                    task.result()  # raises what made it end
            await self._drain(keeping)
        finally:
            for task in (*keeping, *watch, *self._tasks):
                task.cancel()
            await asyncio.gather(*keeping, *watch, *self._tasks, return_exceptions=True)

    def states(self) -> dict[int, dict[str, Any]]:
        """Worker -> its process id, its state and how often it was started again."""
        return {
            child.index: {"pid": child.pid, "state": child.state, "restarts": max(0, child.lives - 1)}
            for child in self._children
        }

    async def look(self) -> Said:
        """What each worker's `/readyz` says."""
        return await self._all("GET", "/readyz", timeout=LOOK)

    async def in_force(self) -> Said:
        """What each worker's `/-/policy` says, of those that serve."""
        return await self._serving("GET", "/-/policy")

    async def reload(self) -> Said:
        """Has each read its rules again. Who is being started reads them anyway, and once more if it began before."""
        self._order += 1
        return await self._serving("POST", "/-/reload")

    async def enforce(self, enforcing: bool, by: str) -> Said:
        """The kill switch of each, and of those that are started from now on."""
        self._order += 1
        self._enforcing = enforcing
        log.warning("kill switch", enforcing=enforcing, by=by)
        return await self._serving("PUT", "/-/enforce", orjson.dumps({"enforce": enforcing}))

    async def metrics(self) -> bytes:
        """The exposition of all: of those that live as they are now, of the others what they last showed."""
        await asyncio.gather(*(child.look(LOOK) for child in self._children))
        shown = [child.metrics for child in self._children if child.metrics]
        return await asyncio.to_thread(self._totals.render, shown, list(self._own()))

    def _own(self) -> list[Metric]:
        alive = sum(child.state == "up" for child in self._children)
        gauges = {"gauger_workers": alive}
        counts = {"gauger_worker_restarts_total": self.restarts}
        if self._store is not None:
            counts["gauger_embedded_valkey_restarts_total"] = self._store.restarts
        return [
            *(GaugeMetricFamily(name, GAUGES[name][0], value) for name, value in gauges.items()),
            *(CounterMetricFamily(name, COUNTED[name][0], value) for name, value in counts.items()),
        ]

    async def _keep(self, child: Child) -> None:
        """Runs one worker, life after life, until all are to end."""
        backoff, loop, failed = Backoff(), asyncio.get_running_loop(), 0
        while not self._stop.is_set():
            began = loop.time()
            child.order = self._order
            try:
                code = await child.live(self._brief(child.index))
            except OSError as error:
                log.error("worker not started", worker=child.index, error=error.strerror)  # noqa: TRY400
                code = error.errno or 1
            self._board.away(child.index)
            self._totals = self._totals.retired(child.metrics)
            child.metrics = b""
            if self.draining:
                return
            if not self._begun and child.up is None:
                failed += 1
                self._fail(child, code, failed)
            wait = backoff.after(loop.time() - began, random.random())  # noqa: S311
            why = child.wrong.message if child.wrong is not None else ""
            log.warning("worker ended", worker=child.index, pid=child.pid, code=code, why=why, again_in=round(wait, 3))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stop.wait()
            self.restarts += 1

    def _fail(self, child: Child, code: int, failed: int) -> None:
        """Ends the start where a worker says that it can't, or has died several times without a word."""
        if (wrong := child.wrong) is not None:
            raise Mistake(wrong.message, place=wrong.place, hint=wrong.hint)
        if failed == TRIES:
            hint = "what it printed says why"
            raise Mistake(f"worker {child.index} has ended {failed} times before it served (code {code})", hint=hint)

    def _brief(self, index: int) -> Brief:
        settings = self._settings
        several = settings.workers > 1
        changes: dict[str, Any] = {
            "service_instance": f"{self._instance}/worker-{index}",
            "enforce": self._enforcing,
        }
        if several and settings.ledger is not None:
            changes["ledger"] = settings.ledger / f"worker-{index}"
        if self._store is not None:
            changes["store"] = self._store.uri
        own = self._sockets[1 + index] if settings.worker_ports else []
        shared = [sock.fileno() for sock in self._sockets[0]]
        return Brief(
            worker=index,
            settings=told(settings, **changes),
            upstream=self._upstream,
            shared=shared,
            own=[sock.fileno() for sock in own],
            board=self._board_file,
        )

    def _rose(self, child: Child) -> None:
        """A worker serves: it does what was ordered while it was started."""
        log.info("worker serves", worker=child.index, pid=child.pid)
        if self.draining:
            child.terminate()
        if child.order != self._order:
            self._start(self._catch_up(child))
        if all(each.state == "up" for each in self._children):
            self._begun = True
            self._all_up.set()

    async def _catch_up(self, child: Child) -> None:
        body = orjson.dumps({"enforce": self._enforcing})
        try:
            await child.ask("PUT", "/-/enforce", body, timeout=ORDER)
            await child.ask("POST", "/-/reload", timeout=ORDER)
        except (Gone, TimeoutError):
            log.error("an order was not followed", worker=child.index)  # noqa: TRY400

    async def _announce(self, ops_url: str) -> None:
        await self._all_up.wait()
        up = self._children[0].up
        if up is not None:
            settings = self._settings
            url = url_of(settings.host, settings.port, tls=settings.tls_cert is not None)
            banner(settings, self._upstream, InForce(up.policy, up.digest, up.mode), url, ops_url)

    async def _all(self, method: str, path: str, body: bytes = b"", *, timeout: float) -> Said:
        async def one(child: Child) -> tuple[int, Any] | str:
            try:
                answer = await child.ask(method, path, body, timeout=timeout)
            except Gone:
                return "does not serve"
            except TimeoutError:
                return "does not answer"
            return answer.status, orjson.loads(answer.body)

        answers = await asyncio.gather(*(one(child) for child in self._children))
        return dict(enumerate(answers))

    async def _serving(self, method: str, path: str, body: bytes = b"") -> Said:
        serve = {child.index for child in self._children if child.state == "up"}
        said = await self._all(method, path, body, timeout=ORDER)
        return {number: answer for number, answer in said.items() if number in serve}

    async def _drain(self, keeping: list[asyncio.Task[None]]) -> None:
        settings = self._settings
        for child in self._children:
            child.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.drain_delay + settings.drain_timeout + LAST_WORDS + MERCY):
                await asyncio.wait(keeping, timeout=settings.drain_delay)
                for sock in (sock for each in self._sockets for sock in each):
                    sock.close()  # the workers close theirs: nobody waits for an answer that won't come
                await asyncio.wait(keeping)
                return
        for child in self._children:
            child.kill("it does not end")
        await asyncio.wait(keeping)

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def end() -> None:
            if not self.draining:
                log.info("draining")
            self._stop.set()

        def tell(order: Callable[[], Awaitable[Said]]) -> None:
            self._start(self._by_signal(order))

        loop.add_signal_handler(signal.SIGTERM, end)
        loop.add_signal_handler(signal.SIGINT, end)
        loop.add_signal_handler(signal.SIGHUP, lambda: tell(self.reload))
        loop.add_signal_handler(signal.SIGUSR1, lambda: tell(lambda: self.enforce(not self._enforcing, "signal")))

    async def _by_signal(self, order: Callable[[], Awaitable[Said]]) -> None:
        for number, answer in (await order()).items():
            if isinstance(answer, str):
                log.error("an order was not followed", worker=number, why=answer)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
