"""What every store of limits does, whatever it is made of. A new store is one more name in STORES."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.quotas import LEASE_RETRY, Draw, LimitLedger
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey.client import connect
from tests.stores.valkey.fakes import Sliced, away
from tests.stores.valkey.ledger import Injected
from tests.stores.valkey.servers import Server

STORES = ("memory", "valkey", "away", "sliced")

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 20_000 * DAY


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[LimitLedger]:
    if request.param == "memory":
        yield MemoryLimits()
        return
    if request.param in ("away", "sliced"):
        guard = away() if request.param == "away" else Sliced()
        yield guard
        await guard.aclose()
        return
    server.ask("FLUSHALL")
    made = Injected(connect(server.uri, timeout=5))
    yield made
    await made.limits.aclose()


def requests(cost: int = 1, key: str = "a", capacity: int = 60, *, shadow: bool = False) -> Draw:
    return Draw(f"requests-{key}", f"requests|{key}", "rate", "requests", 60, MINUTE, capacity, cost, shadow=shadow)


def tokens(cost: int, key: str = "a", capacity: int = 60) -> Draw:
    return Draw("tokens", f"tokens|{key}", "rate", "tokens.output", 60, MINUTE, capacity, cost)


def daily(cost: int, day: int = 0, capacity: int = 100) -> Draw:
    return Draw("daily", "daily|a", "quota", "tokens.total", capacity, DAY, capacity, cost, START + day * DAY)


def live(slots: int = 2, key: str = "a", *, shadow: bool = False) -> Draw:
    return Draw("live", f"live|{key}", "lease", "concurrent", slots, 900 * SECOND, slots, 1, shadow=shadow)


async def left(store: LimitLedger, draw: Draw, now: int = START) -> int:
    """What is free, asked with a draw that can't pass: it charges nothing."""
    probe = Draw(
        draw.limit, draw.key, draw.kind, draw.unit, draw.amount, draw.period, draw.capacity, 10**9, draw.window
    )
    drawn = await store.draw(f"probe-{draw.key}-{now}", (probe,), now)
    assert not drawn.ok
    return drawn.readings[0].left


async def test_a_draw_answers_for_every_limit_in_order(store: LimitLedger) -> None:
    drawn = await store.draw("r", (requests(), tokens(20), daily(30), live()), START)
    assert drawn.ok
    assert drawn.at == START
    assert [(r.limit, r.ok, r.left) for r in drawn.readings] == [
        ("requests-a", True, 59),
        ("tokens", True, 40),
        ("daily", True, 70),
        ("live", True, 1),
    ]


@pytest.mark.parametrize("last", [tokens(61), tokens(30, "b", 20), daily(101), live(0)], ids=lambda d: str(d.limit))
async def test_a_refusal_charges_nothing_anywhere(store: LimitLedger, last: Draw) -> None:
    one: Sequence[Draw] = (requests(), tokens(20, "c"), daily(30) if last.kind != "quota" else requests(2, "d"), live())
    drawn = await store.draw("r", (*one, last), START)
    assert not drawn.ok
    assert [r.ok for r in drawn.readings] == [True, True, True, True, False]
    assert await store.settle("r", {"tokens": 1}, START) == {}
    again = await store.draw("s", one, START)
    assert again.ok
    assert [r.left for r in again.readings[:2]] == [59, 40]
    assert again.readings[3].left == 1


async def test_a_refusal_before_the_last_limit_charges_the_later_ones_nothing_either(store: LimitLedger) -> None:
    drawn = await store.draw("r", (tokens(61), requests(), daily(5)), START)
    assert [(r.ok, r.left) for r in drawn.readings] == [(False, 60), (True, 60), (True, 100)]
    assert await left(store, requests()) == 60


async def test_a_settle_replaces_the_reservation_by_what_was_used(store: LimitLedger) -> None:
    await store.draw("r", (requests(), tokens(20), daily(30), live()), START)
    changes = await store.settle("r", {"tokens": 5, "daily": 50}, START)
    assert changes == {"tokens": -15, "daily": 20}
    assert await left(store, requests()) == 59
    assert await left(store, tokens(1)) == 55
    assert await left(store, daily(1)) == 50


async def test_a_second_settle_is_a_no_op(store: LimitLedger) -> None:
    await store.draw("r", (tokens(20), live()), START)
    await store.settle("r", {"tokens": 10}, START)
    assert await store.settle("r", {"tokens": 0}, START) == {}
    assert await left(store, tokens(1)) == 50


async def test_a_settle_without_a_draw_is_a_no_op(store: LimitLedger) -> None:
    assert await store.settle("nobody", {"tokens": 7}, START) == {}


async def test_use_of_nothing_gives_everything_back(store: LimitLedger) -> None:
    await store.draw("r", (requests(), tokens(60)), START)
    await store.settle("r", {"requests-a": 0, "tokens": 0}, START)
    assert await left(store, requests()) == 60
    assert await left(store, tokens(1)) == 60


async def test_an_overrun_is_a_debt_of_at_most_a_period(store: LimitLedger) -> None:
    await store.draw("r", (tokens(10), daily(10)), START)
    await store.settle("r", {"tokens": 100_000, "daily": 100_000}, START)
    drawn = await store.draw("s", (tokens(1),), START)
    assert not drawn.ok
    assert drawn.readings[0].wait == 61 * SECOND
    assert (await store.draw("t", (tokens(1),), START + 61 * SECOND)).ok
    assert (await store.draw("u", (daily(1, 1),), START + DAY)).ok


async def test_a_quota_of_a_new_day_is_full_and_the_old_day_settles_nowhere(store: LimitLedger) -> None:
    await store.draw("r", (daily(100),), START)
    assert not (await store.draw("s", (daily(1),), START + DAY - 1)).ok
    assert (await store.draw("t", (daily(40, 1),), START + DAY)).ok
    await store.settle("r", {"daily": 0}, START + DAY)
    assert await left(store, daily(1, 1), START + DAY) == 60


async def test_leases_return_when_their_requests_settle(store: LimitLedger) -> None:
    assert (await store.draw("r", (live(),), START)).ok
    assert (await store.draw("s", (live(),), START)).ok
    refused = await store.draw("t", (live(),), START)
    assert not refused.ok
    assert refused.readings[0].wait == LEASE_RETRY
    await store.settle("r", {}, START)
    assert (await store.draw("u", (live(),), START)).ok


async def test_a_lease_that_nobody_renews_expires_and_one_that_is_renewed_lasts(store: LimitLedger) -> None:
    await store.draw("dead", (live(),), START)
    await store.draw("alive", (live(),), START)
    await store.renew("alive", START + 600 * SECOND)
    later = START + 900 * SECOND
    assert (await store.draw("next", (live(),), later)).ok
    assert not (await store.draw("one more", (live(),), later)).ok
    await store.renew("dead", later)
    assert not (await store.draw("another", (live(),), later)).ok
    await store.settle("dead", {}, later)  # its slot is somebody else's by now
    assert not (await store.draw("yet another", (live(),), later)).ok


async def test_a_shadow_limit_counts_and_never_refuses(store: LimitLedger) -> None:
    draws = (requests(40, "s", shadow=True), requests(1), live(1, shadow=True))
    first = await store.draw("r", draws, START)
    second = await store.draw("s", draws, START)
    assert first.ok
    assert second.ok
    assert [(r.ok, r.left, r.shadow) for r in first.readings] == [(True, 20, True), (True, 59, False), (True, 0, True)]
    assert [(r.ok, r.left, r.shadow) for r in second.readings] == [
        (False, 20, True),
        (True, 58, False),
        (False, 0, True),
    ]
    await store.settle("s", {"requests-s": 0}, START)  # what was not charged is not given back
    assert await left(store, requests(1, "s")) == 20


async def test_a_clock_that_goes_back_gives_nothing_away(store: LimitLedger) -> None:
    await store.draw("r", (tokens(60),), START + MINUTE)
    drawn = await store.draw("s", (tokens(1),), START)
    assert not drawn.ok
    assert drawn.at == START + MINUTE
    assert drawn.readings[0].wait == SECOND


async def test_a_changed_limit_keeps_what_was_drawn(store: LimitLedger) -> None:
    await store.draw("r", (tokens(60),), START)
    assert await left(store, tokens(1, capacity=90)) == 30


@pytest.mark.parametrize("slots", [1, 7, 50])
async def test_exactly_as_many_parallel_requests_pass_as_the_limit_allows(store: LimitLedger, slots: int) -> None:
    draws = (requests(1, capacity=slots), tokens(2, capacity=2 * slots), live(slots))

    async def ask(name: int) -> bool:
        await asyncio.sleep(0)
        return (await store.draw(str(name), draws, START)).ok

    answers = await asyncio.gather(*(ask(name) for name in range(3 * slots)))
    assert sum(answers) == slots


async def test_a_lone_caller_below_his_limit_is_never_refused(store: LimitLedger) -> None:
    """He reserves half of his limit each time, uses 30 of 60 a minute, and his answers last longer than they cost."""
    now = START
    for turn in range(50):
        assert (await store.draw(str(turn), (tokens(30), live(1)), now)).ok
        now += 10 * SECOND
        await store.settle(str(turn), {"tokens": 10}, now)
        now += 10 * SECOND
