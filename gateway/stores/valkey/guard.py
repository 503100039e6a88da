"""Shell. Limits that hold while the shared store is away: a breaker, and this process's share of each limit.

While the store is **up**, a draw is the store's. One that fails is drawn here in place of it, and counts against the
store: it goes **down** at once where it says itself that it takes nothing (`SAYS_NO`; a connection that the client's
own second try couldn't make is one of these), and after `FAILURES` of the others. Three, because one call lost to a
dead connection or two to a pause of the store are not worth a change of mind for everybody, and three cost a caller who
comes one at a time three time-outs, all others one at most; a success takes a twentieth of a failure back, so that a
cluster of which a part is dead goes down too, as soon as more than one call in twenty fails. While the store is down
no request waits for it. One task asks whether it is back, in times that double from 0.1 s to 5 s with jitter, and go
on where they stopped if it goes down again within `SETTLED` seconds; as long as it is up, the same task is the
heartbeat, by which processes count each other and see that the store has lost its memory.

Where a request was drawn it is settled, whatever the state is by then. Slots of leases that were granted here stay
here until they end: for as long, a caller may hold up to 1/replicas more of them. A session of the store's that is
charged while the store is down is charged with the next charge, or when it is settled.

When the store is back it is told what was used here (`shares.py`): newest first, `BATCH` cells at a time, spread over
about `SPREAD` seconds by chance, so that not all processes tell at once.
"""

import asyncio
from asyncio import Event, Task
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from random import random
from typing import Any

from gateway.errors import Down, StoreDown
from gateway.policy.sharing import Stance
from gateway.quotas import Draw, Drawn, Reading, Store
from gateway.stores.memory import MemoryLimits
from gateway.stores.saying import SILENCE, Log
from gateway.stores.segment_writer import wall
from gateway.stores.valkey import Hello, SharedLimits
from gateway.stores.valkey.shares import Owed, Shares

__all__ = ["GuardedLimits"]

SAYS_NO: frozenset[Down] = frozenset({"refused", "loading", "oom", "disk", "readonly", "noreplicas"})
FAILURES = 3.0
FORGIVEN = 1 / 20  # of a failure, by a success
BEAT = 5.0  # s between heartbeats
PROBE = 0.1, 5.0  # s between questions to a store that is down: the first, the longest
SETTLED = 15.0  # s after which a store that is back counts as well; processes count each other for as long
BATCH = 64
SPREAD = 3.0  # s
LAST = 1.0  # s that telling may take when the process ends


class GuardedLimits:
    """`LimitLedger` over a shared store, in front of the gate. `aclose` ends its tasks, and closes the store.

    `replicas` is a floor: the store may count more processes. `stances` is asked at each draw in an outage. `clock` is
    µs, the gate's; `jitter` gives numbers in [0, 1). `beat`, `probe` and `spread` are seconds, for tests.
    """

    kind: Store = "valkey"
    suspends = False

    def __init__(
        self,
        shared: SharedLimits,
        local: MemoryLimits,
        *,
        replicas: int = 1,
        stances: Callable[[], Mapping[str, Stance]] = dict,
        log: Log = SILENCE,
        clock: Callable[[], int] = wall,
        jitter: Callable[[], float] = random,
        beat: float = BEAT,
        probe: tuple[float, float] = PROBE,
        spread: float = SPREAD,
    ) -> None:
        self.epoch = ""
        self.since = 0  # µs: when the store went down; 0 = it is up
        self.why: Down | None = None
        self.lost = 0  # times that the store came back, or went on, without its memory
        self.outages = 0
        self.errors: dict[Down, int] = {}
        self.degraded_draws = 0
        self.told = 0  # cells of which the store was told after an outage
        self._shared = shared
        self._shares = Shares(local)
        self._floor, self._heard = replicas, 0
        self._stances = stances
        self._log = log
        self._clock = clock
        self._jitter = jitter
        self._beat, self._probe, self._spread = beat, probe, spread
        self._asked: set[str] = set()  # requests under way that the store has drawn
        self._strikes = 0.0
        self._era = 0  # a failure counts only against the state in which its call began
        self._back = 0  # µs: when the store came up
        self._wait = probe[0]
        self._missed = False  # the last heartbeat
        self._empty = False  # the store lost its memory and has not been told what is owed
        self._turned, self._closing = Event(), Event()
        self._task: Task[None] | None = None
        self._telling: Task[None] | None = None

    @property
    def degraded(self) -> bool:
        return self.since > 0

    @property
    def replicas(self) -> int:
        return max(self._floor, self._heard)

    @property
    def open(self) -> int:
        """Requests that have drawn, at the store or here, and are not settled."""
        return len(self._asked) + self._shares.requests

    @property
    def leases(self) -> int:
        return self._shares.limits.leases

    @property
    def cells(self) -> int:
        return self._shares.limits.cells

    @property
    def evicted_live(self) -> int:
        return self._shares.limits.evicted_live

    def detail(self) -> dict[str, Any]:
        """For the operator: what holds now, and since when."""
        return {
            "state": "down" if self.since else "up",
            "why": self.why or "",
            "down_s": (self._clock() - self.since) / 1e6 if self.since else 0.0,
            "replicas": self.replicas,
            "epoch": self.epoch,
            "lost": self.lost,
            "untold_cells": self._shares.touched,
        }

    async def start(self) -> None:
        """Says hello, so that `degraded` is true from the beginning where the store is away. A draw starts it too."""
        self._run()
        await self._hello()

    async def draw(self, request: str, draws: Sequence[Draw], now: int, owner: str = "") -> Drawn:
        """The store's answer, or this process's: then `store` is "degraded". Waits for one time-out at most."""
        if self._task is None:
            self._run()
        if not self.since:
            era = self._era
            try:
                drawn = await self._shared.draw(request, draws, now, owner)
            except StoreDown as down:
                self._failed(down, era)
            else:
                if self._strikes:
                    self._strikes = max(0.0, self._strikes - FORGIVEN)
                self._shares.remember(request, draws, drawn, now)
                if drawn.ok:
                    self._asked.add(request)
                return drawn
        self.degraded_draws += 1
        return self._shares.draw(request, draws, now, owner, self.replicas, self._stances())

    async def charge(self, request: str, used: dict[str, int], now: int) -> tuple[Reading, ...]:
        """Where the request was drawn; nothing, for the time being, where that is a store that doesn't answer."""
        if self._shares.holds(request):
            readings = self._shares.charge(request, used, now, self.replicas)
            self._tell_soon()
            return readings
        if not self.since:
            era = self._era
            try:
                return await self._shared.charge(request, used, now)
            except StoreDown as down:
                self._failed(down, era)
        return ()

    async def settle(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]:
        """Where the request was drawn. Never waits."""
        if not self._shares.holds(request):
            self._asked.discard(request)
            self._shares.ended(request)
            return self._shared.settle(request, actual)
        changes = self._shares.settle(request, actual, now, self.replicas)
        self._tell_soon()
        return changes

    async def renew(self, request: str, now: int) -> None:
        """Where the request was drawn. Never waits, and keeps nothing for a store that is away: the next will do."""
        if self._shares.holds(request):
            self._shares.renew(request, now)
        elif not self.since:
            self._shared.renew(request)

    def forget(self, account: str) -> None:
        """Forgets an account's id here. The store forgets what it drew when the windows of its limits end."""
        self._shares.forget(account)

    async def aclose(self) -> None:
        """Ends the tasks; tells the store what is owed, within a second; closes it."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        self._tell_soon()
        if self._telling is not None:
            await asyncio.wait((self._telling,), timeout=LAST)
            self._telling.cancel()
            await asyncio.wait((self._telling,))
        if self._shares.touched:
            self._log.warning("the store was not told of all use", cells=self._shares.touched)
        await self._shared.aclose()

    def _failed(self, down: StoreDown, era: int) -> None:
        self.errors[down.kind] = self.errors.get(down.kind, 0) + 1
        if era != self._era or self.since:
            return
        self._strikes += FAILURES if down.kind in SAYS_NO else 1.0
        if self._strikes < FAILURES:
            return
        now = self._clock()
        if now - self._back > SETTLED * 1e6:
            self._wait = self._probe[0]
        self.since, self.why = now, down.kind
        self.outages += 1
        self._empty = False
        self._era += 1
        self._turned.set()
        say = self._log.error if down.kind == "error" else self._log.warning  # that one doesn't pass by itself
        say("the store is away", why=down.kind, error=str(down), share=f"1/{self.replicas}")

    def _up(self) -> None:
        now = self._clock()
        away, self.since, self.why = now - self.since, 0, None
        self._back = now
        self._strikes = 0.0
        self._turned.clear()
        self._era += 1
        self._log.warning("the store is back", away_s=away / 1e6, cells=self._shares.touched)
        self._tell_soon()

    def _run(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Heartbeats while the store is up, questions while it is down."""
        while True:
            if self.since:
                await asyncio.sleep(self._wait * (0.5 + self._jitter() / 2))
                self._wait = min(2 * self._wait, self._probe[1])
            else:  # without an epoch nobody sees that the store lost its memory: a first one is soon asked for again
                soon = self._missed or not self.epoch
                wait = self._probe[0] if soon else self._beat * (0.5 + self._jitter() / 2)
                if await _within(self._turned, wait):
                    continue
            await self._hello()

    async def _hello(self) -> None:
        era = self._era
        try:
            hello = await self._shared.hello()
        except StoreDown as down:
            self._missed = True
            self._failed(down, era)
            return
        except Exception as error:  # noqa: BLE001 - logged below, once: without this task nothing would come back
            if not self._missed:
                self._log.exception("a defect: the store's heartbeat failed")
            self._missed = True
            self._failed(StoreDown(str(error)), era)
            return
        self._missed = False
        self._learn(hello)
        if self.since:
            self._up()
        elif not self._shares.requests:  # of one that the store didn't answer, refused here; the others' ends tell
            self._tell_soon()

    def _learn(self, hello: Hello) -> None:
        """A store that has just come back hasn't heard of everybody yet: until then fewer processes don't count."""
        if hello.replicas >= self._heard or (not self.since and self._clock() - self._back > SETTLED * 1e6):
            self._heard = hello.replicas
        if self.epoch and _lost(self.epoch, hello.epoch):
            self.lost += 1
            self._empty = True
            self._log.warning("the store lost its state", epoch=hello.epoch, before=self.epoch)
        self.epoch = hello.epoch

    def _tell_soon(self) -> None:
        if self._shares.touched and not self.since and (self._telling is None or self._telling.done()):
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        """Tells the store what is owed, until all is told or it is away again."""
        lost, self._empty = self._empty, False
        pause = self._spread / (1 + self._shares.touched / BATCH)
        while self._shares.touched and not self.since:
            await _within(self._closing, 2 * pause * self._jitter())
            batch = list(islice(self._shares.owed(self._clock(), lost=lost), BATCH))
            era = self._era
            await asyncio.gather(*(self._owe(each, era) for each in batch))

    async def _owe(self, owed: Owed, era: int) -> None:
        try:
            await self._shared.owe(owed.draw, owed.units, self._clock(), owed.owner)
        except StoreDown as down:
            self._shares.keep(owed)
            self._failed(down, era)
        else:
            self.told += 1


def _lost(before: str, after: str) -> bool:
    """Whether a part of the store began anew. Rearranged, a cluster may have more parts, or fewer, at the end."""
    return any(old != new for old, new in zip(before.split(","), after.split(","), strict=False))


async def _within(event: Event, seconds: float) -> bool:
    """Whether it happens in that time. (`wait_for` of Python 3.11 may swallow a task's cancellation.)"""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
