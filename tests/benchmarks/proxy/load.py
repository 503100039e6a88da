"""Shell. The load generator, a process of its own: `python -m tests.benchmarks.proxy.load PLAN` prints one JSON object.

`closed` keeps a number of connections busy. `open` sends at moments that were drawn beforehand, whether or not earlier
requests were answered, and counts each latency from the moment that its request was due: a contestant that stalls pays
for everything that would have been asked meanwhile (no coordinated omission). The clock of `open` is a timerfd, since
the event loop's own timers are right to a millisecond only.
"""

import asyncio
import ctypes
import os
import random
import sys
import time
from collections import deque
from itertools import accumulate
from typing import Any

import msgspec
import uvloop

from tests.benchmarks.proxy.client import Connection, Plan, Tally, connect, requests
from tests.benchmarks.proxy.figures import percentile
from tests.benchmarks.proxy.streams import hold, streams

LIBC = ctypes.CDLL(None, use_errno=True)
ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class _Moment(ctypes.Structure):
    _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]


class _Timer(ctypes.Structure):
    _fields_ = [("interval", _Moment), ("value", _Moment)]


async def closed(plan: Plan) -> dict[str, Any]:
    """Each connection asks again as soon as it was answered; what is under way at the end is waited for."""
    loop, tally, times = asyncio.get_running_loop(), Tally(), list[float]()
    asks = requests(plan)
    done = asyncio.Event()
    start = time.perf_counter()
    end, at, busy = start + plan.seconds, 0, 0

    def ask(connection: Connection) -> None:
        nonlocal at, busy
        connection.since = time.perf_counter()
        connection.ask(asks[at % len(asks)])
        at += 1
        busy += 1

    def answered(connection: Connection, status: int) -> None:
        nonlocal busy
        now = time.perf_counter()
        busy -= 1
        if status:
            tally.statuses[status] += 1
            times.append(now - connection.since)
        else:
            tally.errors["connection lost"] += 1
        going = now < end and not tally.hopeless
        if going and connection.usable:
            ask(connection)
        elif going:
            loop.create_task(renew())
        elif busy == 0:
            done.set()

    async def renew() -> None:
        try:
            ask(await connect(plan, lambda: Connection(answered)))
        except OSError:
            tally.errors["no connection"] += 1
            if busy == 0:
                done.set()

    open_ = [await connect(plan, lambda: Connection(answered)) for _ in range(plan.connections)]
    start = time.perf_counter()
    end = start + plan.seconds
    for connection in open_:
        ask(connection)
    try:
        async with asyncio.timeout(plan.seconds + plan.grace):
            await done.wait()
    except TimeoutError:
        tally.errors["no answer"] += busy
    return summary(tally, times, time.perf_counter() - start)


class Metronome:
    """Calls back when the next of some moments is due, to some microseconds."""

    def __init__(self, moments: list[float]) -> None:
        self.moments = moments
        """s on CLOCK_MONOTONIC, in order."""
        self.next = 0
        self.fd = LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def arm(self) -> None:
        """Waits for the next moment."""
        whole, part = divmod(max(1, int(self.moments[self.next] * 1e9)), 1_000_000_000)
        timer = _Timer(_Moment(0, 0), _Moment(whole, part))
        if LIBC.timerfd_settime(self.fd, ABSOLUTE, ctypes.byref(timer), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def due(self) -> list[float]:
        """The moments that have come, the first of them first."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return []
        now, first = time.monotonic(), self.next
        while self.next < len(self.moments) and self.moments[self.next] <= now:
            self.next += 1
        if self.next < len(self.moments):
            self.arm()
        return self.moments[first : self.next]

    def close(self) -> None:
        """Gives the timer back."""
        os.close(self.fd)


async def open_loop(plan: Plan) -> dict[str, Any]:
    """Sends at moments whose gaps are drawn from an exponential distribution, as many independent callers would."""
    loop, tally = asyncio.get_running_loop(), Tally()
    asks, times, lags = requests(plan), list[float](), list[float]()
    dice = random.Random(plan.seed)
    gaps = [dice.expovariate(plan.rate) for _ in range(max(1, round(plan.rate * plan.seconds)))]
    idle: list[Connection] = []
    waiting: deque[float] = deque()
    made = left = at = 0
    done = asyncio.Event()

    def send(connection: Connection, due: float) -> None:
        nonlocal at
        connection.since = due
        lags.append(time.monotonic() - due)
        connection.ask(asks[at % len(asks)])
        at += 1

    def answered(connection: Connection, status: int) -> None:
        nonlocal left, made
        now = time.monotonic()
        left -= 1
        if status:
            tally.statuses[status] += 1
            times.append(now - connection.since)
        else:
            tally.errors["connection lost"] += 1
        if not connection.usable:
            made -= 1
        elif waiting:
            send(connection, waiting.popleft())
        else:
            idle.append(connection)
        if left == 0 or tally.hopeless:
            done.set()

    async def more() -> None:
        nonlocal left, made
        try:
            connection = await connect(plan, lambda: Connection(answered))
        except OSError:
            made -= 1
            tally.errors["no connection"] += 1
            if waiting:  # the request that wanted it is lost
                waiting.popleft()
                left -= 1
            if left == 0 or tally.hopeless:
                done.set()
            return
        if waiting:
            send(connection, waiting.popleft())
        else:
            idle.append(connection)

    def tick() -> None:
        nonlocal made
        for due in metronome.due() if not tally.hopeless else ():
            while idle and not idle[-1].usable:
                idle.pop()
                made -= 1
            if idle:
                send(idle.pop(), due)
            else:
                waiting.append(due)
                if made < plan.connections:
                    made += 1
                    loop.create_task(more())

    for _ in range(min(16, plan.connections)):
        idle.append(await connect(plan, lambda: Connection(answered)))
        made += 1
    start = time.monotonic() + 0.05
    metronome = Metronome([start + offset for offset in accumulate(gaps)])
    left = len(gaps)
    loop.add_reader(metronome.fd, tick)
    metronome.arm()
    try:
        async with asyncio.timeout(sum(gaps) + plan.grace):
            await done.wait()
    except TimeoutError:
        tally.errors["no answer"] += left
    finally:
        loop.remove_reader(metronome.fd)
        metronome.close()
    lags.sort()
    late = {"lag_p50": _us(lags, 0.5), "lag_p99": _us(lags, 0.99)}
    return {**summary(tally, times, time.monotonic() - start), **late, "connections": made}


def _us(ordered: list[float], share: float) -> float | None:
    return round(percentile(ordered, share) * 1e6, 1) if ordered else None


def summary(tally: Tally, times: list[float], seconds: float) -> dict[str, Any]:
    """What a run comes to: requests answered, those not with 200, seconds, exact percentiles in µs."""
    times.sort()
    return {
        "n": sum(tally.statuses.values()),
        "bad": tally.bad,
        "why": tally.words(),
        "seconds": round(seconds, 4),
        "rps": round(len(times) / seconds, 1),
        "p50": _us(times, 0.5),
        "p90": _us(times, 0.9),
        "p99": _us(times, 0.99),
        "max": _us(times, 1.0),
    }


MODES = {"closed": closed, "open": open_loop, "streams": streams, "hold": hold}


def main(plan: Plan) -> None:
    """Runs a plan and prints what came of it."""
    print(msgspec.json.encode(uvloop.run(MODES[plan.mode](plan))).decode(), flush=True)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1].encode(), type=Plan))
