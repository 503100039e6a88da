"""Limits in memory: any interleaving of draws, ends, crashes and clocks; and bounded, whatever comes."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.quotas import Draw, Drawn
from gateway.stores.memory import MemoryLimits

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 480_000 * HOUR
RATE, BURST, DAILY, SLOTS = 60, 20, 150, 4  # the daily quota of the machine has windows of an hour


def rate(key: str, cost: int = 1, capacity: int = BURST) -> Draw:
    return Draw("rate", f"rate|{key}", "rate", "requests", RATE, MINUTE, capacity, cost)


def window_of(now: int) -> int:
    return now - now % HOUR


def quota(key: str, cost: int, now: int) -> Draw:
    window = window_of(now)
    return Draw("quota", f"quota|{key}", "quota", "tokens.total", DAILY, HOUR, DAILY, cost, window)


def lease(key: str, deadline: int = 15 * MINUTE) -> Draw:
    return Draw("lease", f"lease|{key}", "lease", "concurrent", SLOTS, deadline, SLOTS, 1)


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits: what the store promises of every step."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("a step of the store has waited")


class Interleavings(RuleBasedStateMachine):
    """Two callers, any order of draws, ends, renewals, crashes, and a clock that jumps both ways."""

    @initialize()
    def begin(self) -> None:
        self.store = MemoryLimits(deadline=HOUR)
        self.clock = self.latest = START
        done(self.store.settle("", {}, self.clock))  # the store has seen the time
        self.count = 0
        self.alive: dict[str, tuple[str, int, int]] = {}  # request -> (caller, cost, window)
        self.crashed: set[str] = set()
        self.passed: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}  # caller -> (time, requests)
        self.spent: dict[tuple[str, int], dict[str, int]] = {}  # (caller, window) -> request -> units
        self.expires: dict[str, dict[str, int]] = {"a": {}, "b": {}}

    def tick(self) -> int:
        self.latest = max(self.latest, self.clock)
        return self.latest

    @rule(caller=st.sampled_from("ab"), requests=st.integers(1, 8), units=st.integers(0, 60))
    def draw(self, caller: str, requests: int, units: int) -> None:
        now, request = self.tick(), str(self.count)
        self.count += 1
        draws = (rate(caller, requests), quota(caller, units, self.clock), lease(caller))
        before = self.store.peek(draws, self.clock)
        drawn: Drawn = done(self.store.draw(request, draws, self.clock))
        assert drawn.at == now
        assert drawn.ok == all(reading.ok for reading in before)
        if not drawn.ok:
            assert self.store.peek(draws, self.clock) == before
            return
        window = max(window_of(self.clock), window_of(now))
        self.alive[request] = (caller, units, window_of(self.clock))
        self.passed[caller].append((now, requests))
        self.spent.setdefault((caller, window), {})[request] = units
        self.expires[caller][request] = now + 15 * MINUTE

    @rule(which=st.integers(0, 50), share=st.integers(0, 100), aborted=st.booleans())
    def end(self, which: int, share: int, aborted: bool) -> None:
        if not self.alive:
            return
        now, request = self.tick(), sorted(self.alive)[which % len(self.alive)]
        caller, units, window = self.alive.pop(request)
        used = units * share // 100
        actual = {} if aborted else {"quota": used}
        known = done(self.store.settle(request, actual, self.clock))
        assert known == ({} if aborted else {"quota": used - units})
        assert done(self.store.settle(request, actual, self.clock)) == {}
        self.expires[caller].pop(request, None)
        if not aborted and window == window_of(now):
            self.spent[caller, window][request] = used

    @rule(which=st.integers(0, 50))
    def crash(self, which: int) -> None:
        if self.alive:
            self.crashed.add(request := sorted(self.alive)[which % len(self.alive)])
            del self.alive[request]

    @rule(which=st.integers(0, 50))
    def renew(self, which: int) -> None:
        if self.alive:
            now, request = self.tick(), sorted(self.alive)[which % len(self.alive)]
            caller = self.alive[request][0]
            done(self.store.renew(request, self.clock))
            if self.expires[caller].get(request, 0) > now:
                self.expires[caller][request] = now + 15 * MINUTE

    @rule(by=st.one_of(st.integers(0, 5 * SECOND), st.integers(-MINUTE, 20 * MINUTE)))
    def move_the_clock(self, by: int) -> None:
        self.clock += by
        if self.clock > self.latest:
            for request, (caller, _, _) in list(self.alive.items()):  # the stream's pump renews what lives
                done(self.store.renew(request, self.clock))
                self.expires[caller][request] = max(self.expires[caller].get(request, 0), self.clock + 15 * MINUTE)
            done(self.store.settle("", {}, self.clock))
            self.tick()

    @rule(cost=st.integers(1, BURST), caller=st.sampled_from("ab"))
    def waiting_as_long_as_told_is_enough(self, cost: int, caller: str) -> None:
        (reading,) = self.store.peek((rate(caller, cost),), self.clock)
        assert reading.wait >= 0
        assert self.store.peek((rate(caller, cost),), self.tick() + reading.wait)[0].ok

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        for events in self.passed.values():
            for first in range(len(events)):
                total = 0
                for at, cost in events[first:]:
                    total += cost
                    assert total <= BURST + RATE * (at - events[first][0]) / MINUTE
        for units in self.spent.values():
            assert sum(units.values()) <= DAILY

    @invariant()
    def no_more_leases_than_slots(self) -> None:
        for caller, expires in self.expires.items():
            assert sum(1 for deadline in expires.values() if deadline > self.latest) <= SLOTS, caller
        assert self.store.leases <= 2 * SLOTS
        assert self.store.open <= len(self.alive) + len(self.crashed)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for request in self.alive:
            done(self.store.settle(request, {}, self.clock))
        assert self.store.open <= len(self.crashed)
        done(self.store.settle("", {}, self.tick() + HOUR))
        assert (self.store.open, self.store.leases) == (0, 0)
        for key in "ab":
            later = self.latest + 2 * HOUR
            assert [r.left for r in self.store.peek((rate(key), quota(key, 1, later), lease(key)), later)] == [
                BURST,
                DAILY,
                SLOTS,
            ]


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


async def test_a_flood_of_keys_stays_within_the_bound_and_is_counted() -> None:
    store = MemoryLimits(max_cells=100)
    for name in range(2_000):
        assert (await store.draw(str(name), (rate(str(name)), quota(str(name), 1, START)), START)).ok
        await store.settle(str(name), {}, START)
        assert store.cells <= 100
    assert store.evicted_live == 4_000 - store.cells


async def test_a_flood_of_refused_requests_leaves_nothing_behind() -> None:
    store = MemoryLimits(max_cells=100)
    for name in range(2_000):
        never = rate("big", BURST + 1)
        assert not (await store.draw(str(name), (rate(str(name)), lease(str(name)), never), START)).ok
    assert (store.cells, store.open, store.evicted_live) == (0, 0, 0)


async def test_a_flood_of_new_keys_does_not_wash_away_a_debtor() -> None:
    store = MemoryLimits(max_cells=100)
    for _ in range(4):
        await store.draw(f"r{_}", (rate("debtor", 5),), START)
        await store.settle(f"r{_}", {"rate": 40}, START)
        await store.draw(f"s{_}", (rate("x"),), START)
    for name in range(3_000):
        await store.draw(str(name), (rate(str(name)),), START)
        await store.settle(str(name), {}, START)
    assert not store.peek((rate("debtor"),), START)[0].ok


async def test_cells_that_are_full_again_are_forgotten_in_passing() -> None:
    store = MemoryLimits()
    for name in range(500):
        await store.draw(str(name), (rate(str(name)),), START)
        await store.settle(str(name), {}, START)
    assert store.cells == 500
    for turn in range(500):
        now = START + HOUR + turn * MINUTE
        await store.draw("r", (rate("one"),), now)
        await store.settle("r", {}, now)
    assert store.cells <= 2
    assert store.evicted_live == 0


async def test_the_cell_of_an_open_reservation_is_neither_forgotten_nor_evicted() -> None:
    store = MemoryLimits(max_cells=10)
    await store.draw("long", (rate("mine", 5, 100),), START)
    for name in range(500):
        now = START + name * SECOND
        await store.draw(str(name), (rate(str(name)),), now)
        await store.settle(str(name), {}, now)
    now = START + 500 * SECOND
    await store.settle("long", {"rate": 1_000}, now)
    assert store.cells <= 12
    (reading,) = store.peek((rate("mine", 1, 100),), now)
    assert reading.reset == 160 * SECOND  # of 500 s, 5 were paid for at the start; the debt is capped at 160


async def test_more_open_reservations_than_cells_pass_the_bound_by_what_is_in_flight() -> None:
    store = MemoryLimits(max_cells=10)
    for name in range(200):
        await store.draw(str(name), (rate(str(name)),), START)
    assert store.cells == 200
    for name in range(200):
        await store.settle(str(name), {}, START)
    for name in range(200, 400):
        await store.draw(str(name), (rate(str(name)),), START)
        await store.settle(str(name), {}, START)
    assert store.cells <= 11


async def test_what_nobody_settles_is_closed_after_the_deadline_and_stays_charged() -> None:
    store = MemoryLimits(deadline=MINUTE)
    await store.draw("dead", (quota("a", 100, START), lease("a", 10 * HOUR)), START)
    await store.draw("alive", (lease("a", 10 * HOUR),), START)
    await store.renew("alive", START + 59 * SECOND)
    await store.draw("next", (lease("a"),), START + MINUTE)
    assert (store.abandoned, store.open, store.leases) == (1, 2, 2)
    assert await store.settle("dead", {"quota": 0}, START + MINUTE) == {}
    assert store.peek((quota("a", 1, START),), START + MINUTE)[0].left == DAILY - 100


async def test_a_settle_after_the_deadline_still_counts_where_nothing_came_between() -> None:
    store = MemoryLimits(deadline=MINUTE)
    await store.draw("slow", (quota("a", 100, START),), START)
    assert await store.settle("slow", {"quota": 10}, START + 10 * MINUTE) == {"quota": -90}
    assert store.abandoned == 0


async def test_a_request_draws_once() -> None:
    store = MemoryLimits()
    await store.draw("r", (rate("a"),), START)
    with pytest.raises(ValueError, match="once"):
        await store.draw("r", (rate("a"),), START)


async def test_the_same_cell_twice_in_a_request_is_counted_twice() -> None:
    store = MemoryLimits()
    assert not (await store.draw("r", (rate("a", 12), rate("a", 12)), START)).ok
    assert (await store.draw("r", (rate("a", 10), rate("a", 10)), START)).ok
    assert store.peek((rate("a"),), START)[0].left == 0


async def test_a_request_that_is_cancelled_between_draw_and_settle_leaks_nothing() -> None:
    store = MemoryLimits()
    started = asyncio.Event()

    async def stream(name: str, wait: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        await store.draw(name, (rate("a"), lease("a")), START)
        try:
            started.set()
            await wait()
        finally:
            await asyncio.shield(store.settle(name, {"rate": 0}, START))

    task = asyncio.create_task(stream("r", asyncio.Event().wait))
    await started.wait()
    assert (store.open, store.leases) == (1, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (store.open, store.leases) == (0, 0)
    assert store.peek((rate("a"),), START)[0].left == BURST
