"""Two processes that spend slices of one limit: never over, whatever comes in whatever order."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.quotas import Draw, cost_us
from gateway.stores.valkey import slices as slicing
from gateway.stores.valkey.slices import SlicedLimits
from tests.stores.valkey.fakes import DAY, MINUTE, SECOND, START, Client, Store

CAPACITY, RATE, SHARE = 100, 600, 0.1  # a slice of ten, which refill in a second
SLICE, SLOTS = 10, 20
COST = 10  # at most
PROCESSES = 6


class Processes:
    """Clients of one store, each with its slices. A step is what one of them does, and how much time passes."""

    def __init__(self, kind: str, count: int) -> None:
        self.store = Store()
        self.kind = kind
        clients = [Client(self.store) for _ in range(count)]
        self.all = [SlicedLimits(each, share=SHARE, everything=True, clock=lambda: self.store.now) for each in clients]
        self.live: dict[str, tuple[int, int, int]] = {}  # request -> process, units, when
        self.admitted: list[tuple[int, int]] = []  # when, units; what was used in the end
        self.number = 0

    def draw_of(self, cost: int) -> Draw:
        if self.kind == "rate":
            return Draw("x", "x|a", "rate", "requests", RATE, MINUTE, CAPACITY, cost)
        if self.kind == "quota":
            return Draw("x", "x|a", "quota", "requests", CAPACITY, DAY, CAPACITY, cost, START)
        return Draw("x", "x|a", "lease", "concurrent", SLOTS, 900 * SECOND, SLOTS, 1)

    async def ask(self, process: int, cost: int) -> None:
        self.number += 1
        request, at = str(self.number), self.store.now
        cost = 1 if self.kind == "lease" else cost
        if (await self.all[process].draw(request, (self.draw_of(cost),), at, "org")).ok:
            self.live[request] = process, cost, at

    def end(self, spare: int) -> None:
        """The oldest request ends; `spare` of 4 quarters weren't used."""
        if self.live:
            request = next(iter(self.live))
            process, cost, at = self.live.pop(request)
            used = cost - cost * spare // 4
            self.all[process].settle(request, {"x": used})
            self.admitted.append((at, used))

    def pass_(self, time: int) -> None:
        self.store.now += time
        for each in self.all if self.kind != "rate" else []:  # a rate's slice ends by its age alone
            each._pool.sweep(self.store.now - slicing.IDLE)

    def used(self) -> list[tuple[int, int]]:
        return sorted(self.admitted + [(at, cost) for _, cost, at in self.live.values()])

    async def close(self) -> None:
        while self.live:
            self.end(0)
        for each in self.all:
            await each.aclose()


asks = st.tuples(st.just("ask"), st.integers(0, PROCESSES - 1), st.integers(1, COST))
ends = st.tuples(st.just("end"), st.integers(0, 4), st.just(0))
times = st.tuples(st.just("pass"), st.sampled_from([1, 50_000, 400_000, SECOND, 3 * SECOND]), st.just(0))
bursts = st.tuples(st.just("burst"), st.integers(2, 20), st.integers(1, COST))
steps = st.lists(st.one_of(asks, asks, ends, times, bursts), min_size=1, max_size=60)
HOARD = [("ask", n, 1) for n in range(PROCESSES)] + [("pass", 60 * SECOND, 0)] + [("burst", 20, 9)] * 4
"""Each takes a slice and keeps it until the limit is full again; then all spend."""


async def play(made: Processes, script: list[tuple[str, int, int]]) -> None:
    for what, number, cost in script:
        if what == "ask":
            await made.ask(number, cost)
        elif what == "end":
            made.end(number)
        elif what == "pass":
            made.pass_(number)
        else:
            await asyncio.gather(*(made.ask(n % PROCESSES, cost) for n in range(number)))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@settings(max_examples=60, deadline=None)
@given(steps)
@example(HOARD)
def test_a_rate_is_passed_by_a_slice_at_most_in_any_window(script: list[tuple[str, int, int]]) -> None:
    async def work() -> None:
        made = Processes("rate", PROCESSES)
        await play(made, script)
        used = made.used()
        for first, (start, _) in enumerate(used):
            inside = 0
            for at, units in used[first:]:
                inside += units
                window = at - start
                assert inside <= CAPACITY + RATE * window / MINUTE + SLICE + 1
        await made.close()

    run(work())


@settings(max_examples=60, deadline=None)
@given(steps)
def test_a_quota_is_never_passed_and_nothing_of_it_is_lost(script: list[tuple[str, int, int]]) -> None:
    async def work() -> None:
        made = Processes("quota", PROCESSES)
        await play(made, script)
        used = sum(units for _, units in made.used())
        assert used <= CAPACITY
        spent = sum(units for _, units in made.admitted) + sum(cost for _, cost, _ in made.live.values())
        await made.close()
        assert made.store.left(made.draw_of(1)) == CAPACITY - spent

    run(work())


@settings(max_examples=60, deadline=None)
@given(steps)
def test_slots_are_never_passed_and_none_is_lost(script: list[tuple[str, int, int]]) -> None:
    async def work() -> None:
        made = Processes("lease", PROCESSES)
        await play(made, script)
        assert len(made.live) <= SLOTS
        await made.close()
        assert made.store.limits.leases == 0

    run(work())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=150, max_size=150), st.integers(1, 5))
def test_what_others_hold_and_do_not_spend_is_all_that_is_lacking(who: list[int], cost: int) -> None:
    async def work() -> None:
        made = Processes("quota", 3)
        for process in who:
            await made.ask(process, cost)
        assert sum(units for _, units in made.used()) > CAPACITY - cost - 2 * SLICE
        await made.close()

    run(work())


def test_a_slice_outlives_its_refill_by_nothing() -> None:
    async def work() -> None:
        made = Processes("rate", 2)
        refill = cost_us(made.draw_of(SLICE), SLICE)
        await made.ask(0, 1)
        made.store.now += refill
        full = made.store.left(made.draw_of(1))
        await made.ask(0, 1)
        assert (full, made.store.left(made.draw_of(1))) == (CAPACITY, CAPACITY - SLICE)
        await made.close()

    run(work())
