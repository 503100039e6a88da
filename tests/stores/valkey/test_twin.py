"""The scripts and the arithmetic in memory are one: any order of draws, ends, charges and renewals, on one clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.quotas import Draw, Drawn
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey.client import connect
from tests.stores.valkey.ledger import Injected
from tests.stores.valkey.servers import Server

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
START = 480_000 * HOUR
RATES = {
    "slow": (60, MINUTE, 20),
    "fast": (7, SECOND, 7),
    "odd": (7_000_003, HOUR, 900_001),
}  # amount, period, capacity
SLOTS = 3


def rate(name: str, key: str, cost: int, *, shadow: bool = False) -> Draw:
    """A cost of 3 in 7 meets a limit that was changed in the meantime."""
    amount, period, capacity = RATES[name]
    if cost % 7 == 3:
        amount, capacity = amount * 2 // 3, capacity // 2
    return Draw(name, f"{name}|{key}", "rate", "tokens.output", amount, period, capacity, cost, shadow=shadow)


def quota(key: str, cost: int, now: int, *, shadow: bool = False) -> Draw:
    return Draw("quota", f"quota|{key}", "quota", "tokens.total", 150, HOUR, 150, cost, now - now % HOUR, shadow)


def lease(key: str, *, shadow: bool = False) -> Draw:
    return Draw("live", f"live|{key}", "lease", "concurrent", SLOTS, 15 * MINUTE, SLOTS, 1, shadow=shadow)


share = st.integers(0, 130)
costs = st.tuples(
    st.sampled_from(["slow", "fast", "odd"]),
    st.integers(0, 110),
    st.sampled_from("ab"),
    st.sampled_from([False, False, True]),
)
drawing = st.lists(
    st.one_of(
        costs.map(lambda c: (0, *c)),
        st.tuples(st.just(1), st.just(""), st.integers(0, 80), st.sampled_from("ab"), st.booleans()),
        st.tuples(st.just(2), st.just(""), st.just(0), st.sampled_from("ab"), st.booleans()),
    ),
    min_size=1,
    max_size=5,
)


class Twins(RuleBasedStateMachine):
    """Every answer of the store is compared with that of `MemoryLimits`."""

    server: Server
    runner: asyncio.Runner

    @initialize()
    def begin(self) -> None:
        self.server.ask("FLUSHALL")
        self.memory = MemoryLimits(deadline=1_000 * HOUR)
        self.remote = Injected(self.run(self.made()))
        self.clock = START
        self.count = 0
        self.alive: dict[str, tuple[Draw, ...]] = {}
        self.used: dict[str, dict[str, int]] = {}

    async def made(self) -> Any:
        return connect(self.server.uri, timeout=10)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def both(self, request: str, draws: tuple[Draw, ...]) -> Drawn:
        here: Drawn = self.run(self.memory.draw(request, draws, self.clock))
        there: Drawn = self.run(self.remote.draw(request, draws, self.clock, "owner"))
        assert (there.ok, there.at, there.readings) == (here.ok, here.at, here.readings)
        assert there.store == "valkey"
        return here

    @invariant()
    def marks_are_alike(self) -> None:
        """The cells with open reservations: how many, and the backlogs that later draws met."""
        if not hasattr(self, "remote"):
            return
        prefix = "gauger:{=owner}r|"
        held = self.memory._held
        for key in self.server.ask("KEYS", f"{prefix}*"):
            _, _, count, *marks = msgspec.msgpack.decode(self.server.ask("GET", key))
            cell = held.get(key.decode().removeprefix(prefix))
            assert count == (cell.count if cell else 0)
            levels = [level for _, level in cell.marks] if cell else []
            assert marks[1::2] == [min(level, 2**53 - 1) for level in levels]
            assert marks[::2] == sorted(marks[::2])

    def draws(self, what: Any) -> tuple[Draw, ...]:
        made = []
        for kind, name, part, key, shadow in what:
            if kind == 0:
                made.append(rate(name, key, RATES[name][2] * part // 100, shadow=shadow))
            else:
                made.append(quota(key, part, self.clock, shadow=shadow) if kind == 1 else lease(key, shadow=shadow))
        return tuple(made)

    @rule(what=drawing)
    def draw(self, what: Any) -> None:
        draws, request = self.draws(what), str(self.count)
        self.count += 1
        if self.both(request, draws).ok:
            self.alive[request] = draws

    @rule(by=st.one_of(st.integers(0, 300_000), st.integers(0, 30 * SECOND), st.integers(0, 20 * MINUTE)))
    def wait(self, by: int) -> None:
        self.clock += by

    @rule(key=st.sampled_from("ab"), parts=st.lists(st.integers(0, 6), min_size=3, max_size=12), by=st.integers(0, 3))
    def crowd(self, key: str, parts: list[int], by: int) -> None:
        """Small draws that follow each other closely: marks that are near each other."""
        for part in parts:
            self.clock += by * SECOND // 4
            if self.both(str(self.count), draws := (rate("slow", key, part), rate("odd", key, part * 9_000))).ok:
                self.alive[str(self.count)] = draws
            self.count += 1

    def some(self, which: int) -> str:
        return sorted(self.alive)[which % len(self.alive)]

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 50), part=share, name=st.sampled_from(["slow", "fast", "odd", "quota", "", "all"]))
    def settle(self, which: int, part: int, name: str) -> None:
        request = self.some(which)
        draws, used = self.alive.pop(request), self.used.pop(request, {})
        wanted = [draw for draw in draws if draw.kind != "lease" and name in (draw.limit, "all")]
        actual = {draw.limit: used.get(draw.limit, 0) + draw.capacity * part // 100 for draw in wanted}
        here = self.run(self.memory.settle(request, actual, self.clock))
        there = self.run(self.remote.settle(request, actual, self.clock))
        assert there == here
        assert self.run(self.remote.settle(request, actual, self.clock)) == {}

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 50), part=st.integers(1, 130))
    def charge(self, which: int, part: int) -> None:
        """Of cells whose unit is a whole number of µs: others are rounded once in all here, and each time in memory."""
        request = self.some(which)
        used = self.used.setdefault(request, {})
        for draw in self.alive[request]:
            if draw.kind == "quota" or draw.limit == "slow":
                used[draw.limit] = used.get(draw.limit, 0) + draw.capacity * part // 100
        here = self.run(self.memory.charge(request, used, self.clock))
        assert self.run(self.remote.charge(request, used, self.clock)) == here
        assert self.run(self.remote.charge(request, used, self.clock)) == ()

    @precondition(lambda self: self.alive)
    @rule(which=st.integers(0, 50))
    def renew(self, which: int) -> None:
        for key in "ab":  # the store sees at once that a lease is over, memory when somebody draws
            self.both("", (Draw("live", f"live|{key}", "lease", "concurrent", 0, MINUTE, 0, 1),))
        request = self.some(which)
        self.run(self.memory.renew(request, self.clock))
        self.run(self.remote.renew(request, self.clock))

    @rule(key=st.sampled_from("ab"))
    def look(self, key: str) -> None:
        for name in RATES:
            assert not self.both("", (rate(name, key, RATES[name][2] + 1),)).ok
        assert not self.both("", (quota(key, 151, self.clock),)).ok

    def teardown(self) -> None:
        if not hasattr(self, "remote"):
            return
        for request in list(self.alive):
            self.run(self.memory.settle(request, {"slow": 1}, self.clock))
            self.run(self.remote.settle(request, {"slow": 1}, self.clock))
        self.look("a")
        self.look("b")
        for key in self.server.ask("KEYS", "*"):
            assert self.server.ask("PTTL", key) > 0
            assert b"}o|" not in key
        self.run(self.remote.limits.aclose())


def test_the_store_and_memory_never_differ() -> None:
    class Made(Twins):
        pass

    with Server() as Made.server, asyncio.Runner() as Made.runner:
        bounds = settings(max_examples=25, stateful_step_count=30, deadline=None)
        run_state_machine_as_test(Made, settings=bounds)
