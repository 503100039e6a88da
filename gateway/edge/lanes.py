"""Shell. Lanes: one httpx transport for each connection, lent to one exchange at a time, and closed where it failed.

A pool that is shared loses a connection's place when a request is cancelled between getting the place and connecting:
httpcore's does, until it is full of them and every request times out. Nothing that was cancelled or broke goes back
here, so there is nothing to lose; and no request waits for a look through all connections, as httpcore's do.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

import httpx

from gateway.edge.upstream import PoolBounds, UpstreamError, UpstreamStats

__all__ = ["Lane", "Lanes", "Make"]

CLOSING = 5.0
"""Seconds that a transport gets to close itself. httpx's own waits for nobody; another may."""

Make = Callable[[], httpx.AsyncBaseTransport]

log = logging.getLogger(__name__)


class Closable(Protocol):
    """A transport, or a stream of httpcore's."""

    async def aclose(self) -> None: ...


class Lane:
    """One transport. `used`: it has carried an exchange, so it may hold a connection."""

    __slots__ = ("born", "expires", "transport", "used", "wire")

    def __init__(self, transport: httpx.AsyncBaseTransport, now: float) -> None:
        self.transport = transport
        self.born = now  # loop time
        self.expires = float("inf")  # loop time after which it is not lent again
        self.used = False
        self.wire: Closable | None = None  # its last TCP stream: httpcore forgets it where TLS was not done in time


class Lanes:
    """At most `bounds.connections` lanes. Last used, first lent, so that the rest can expire; waiters go in order.

    `shared`: all lanes are the same transport, which pools as it likes; then only the exchanges are counted here.
    """

    def __init__(self, make: Make, bounds: PoolBounds, *, shared: bool = False) -> None:
        self._make = make
        self._bounds = bounds
        self._age = bounds.age or float("inf")
        self._tick = min(0.5, max(0.01, bounds.idle / 4))
        self._one = make() if shared else None
        self._idle: list[Lane] = []
        self._lent: set[Lane] = set()
        self._waiters: deque[asyncio.Future[Lane | None]] = deque()
        self._slots = 0  # of lanes that are lent, idle, or being closed
        self._closers: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.shared = shared
        self.closed = False

    @property
    def stats(self) -> UpstreamStats:
        return UpstreamStats(open=self._slots, idle=len(self._idle), waiting=len(self._waiters))

    async def take(self) -> Lane:
        """A lane for one exchange, which goes back by `give` or `drop`. Raises UpstreamError where none comes free."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            lane = self._idle.pop()
            if now < lane.expires:
                return self._lend(lane)
            self._end(lane)
        return self._lend(await self._queue() or self._new())

    def give(self, lane: Lane, kept: float) -> None:
        """Takes a lane back whose exchange ended well, for another one within `kept` seconds, if there are any."""
        now = asyncio.get_running_loop().time()
        kept = min(kept, self._bounds.idle, lane.born + self._age - now)
        if kept > 0 and not self.closed and not self.shared and lane in self._lent:
            self._lent.discard(lane)
            lane.expires = now + kept
            self._pass_on(lane)

    async def drop(self, lane: Lane) -> None:
        """Closes a lane and frees its slot. Where this is cancelled, it goes on by itself. Idempotent."""
        if lane in self._lent:
            self._lent.discard(lane)
            await asyncio.shield(self._end(lane))

    def forget(self, lane: Lane) -> None:
        """`drop`, for those who can't wait."""
        if lane in self._lent:
            self._lent.discard(lane)
            self._end(lane)

    def renew(self, lane: Lane) -> Lane:
        """A fresh lane in the slot of one that broke, which is closed meanwhile."""
        self._lent.discard(lane)
        self._end(lane, slot=False)
        return self._lend(self._new())

    async def aclose(self) -> None:
        """Closes all lanes, lent ones too, and fails those who wait. Idempotent."""
        self.closed = True
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(UpstreamError("closed", sent=False))
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        lanes = [*self._idle, *self._lent]
        self._idle.clear()
        self._lent.clear()
        for lane in lanes:
            self._end(lane)
        while self._closers:
            await asyncio.wait(set(self._closers))
        if self._one is not None:
            one, self._one = self._one, None
            await _close(one)

    # Slots: whoever holds one frees it once, or hands it on, with its lane if there is one.

    async def _queue(self) -> Lane | None:
        """A slot, and another request's lane when that is done."""
        if self.closed:
            raise UpstreamError("closed", sent=False)
        if self._slots < self._bounds.connections:
            self._slots += 1
            return None
        if len(self._waiters) >= self._bounds.waiting:
            raise UpstreamError("pool_full", sent=False)
        waiter: asyncio.Future[Lane | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._bounds.wait or None):
                return await waiter
        except (asyncio.CancelledError, TimeoutError) as error:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                raise UpstreamError("timeout_pool", sent=False) from None
            raise

    def _pass_on(self, lane: Lane | None) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(lane)
                return
        if lane is None:
            self._slots -= 1
        elif self.closed:
            self._end(lane)
        else:
            self._idle.append(lane)
            if self._sweeper is None:
                self._sweeper = asyncio.get_running_loop().call_later(self._tick, self._sweep)

    def _new(self) -> Lane:
        """A lane for a slot that the caller holds; the slot is freed where it can't be made."""
        try:
            return Lane(self._one or self._make(), asyncio.get_running_loop().time())
        except BaseException:
            self._pass_on(None)
            raise

    def _lend(self, lane: Lane) -> Lane:
        self._lent.add(lane)
        return lane

    def _end(self, lane: Lane, *, slot: bool = True) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(self._finish(lane, slot))
        self._closers.add(task)
        task.add_done_callback(self._closers.discard)
        return task

    async def _finish(self, lane: Lane, slot: bool) -> None:
        try:
            if not self.shared:
                await _close(lane.transport)
                if lane.wire is not None:
                    await _close(lane.wire)
        finally:
            if slot:
                self._pass_on(None)

    def _sweep(self) -> None:
        """Closes what nobody asked for in time, one timer for all, as long as there is anything idle."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        kept = [lane for lane in self._idle if now < lane.expires]
        expired = [lane for lane in self._idle if now >= lane.expires]
        self._idle = kept
        for lane in expired:
            self._end(lane)
        self._sweeper = loop.call_later(self._tick, self._sweep) if kept else None


async def _close(what: Closable) -> None:
    try:
        async with asyncio.timeout(CLOSING):
            await what.aclose()
    except Exception as error:  # noqa: BLE001 - a transport may raise anything; nothing of it is used any more
        log.debug("a transport did not close well: %s", type(error).__name__)
