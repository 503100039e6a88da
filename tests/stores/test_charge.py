"""What a request has used is charged while it is under way: nothing is refused, nothing is charged twice."""

from collections.abc import AsyncIterator

import pytest

from gateway.quotas import Draw, LimitLedger, charge_quota, charge_rate, draw_rate
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey.client import connect
from tests.stores.valkey.ledger import Injected
from tests.stores.valkey.servers import Server

STORES = ("memory", "valkey")
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 20_000 * DAY


def tokens(cost: int, capacity: int = 60, key: str = "a") -> Draw:
    return Draw("tokens", f"tokens|{key}", "rate", "tokens.output", 60, MINUTE, capacity, cost)


def daily(cost: int, day: int = 0, capacity: int = 100) -> Draw:
    return Draw("daily", "daily|a", "quota", "tokens.total", capacity, DAY, capacity, cost, START + day * DAY)


def live() -> Draw:
    return Draw("live", "live|a", "lease", "concurrent", 1, 900 * SECOND, 1, 1)


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[LimitLedger]:
    if request.param == "memory":
        yield MemoryLimits()
        return
    server.ask("FLUSHALL")
    made = Injected(connect(server.uri, timeout=5))
    yield made
    await made.limits.aclose()


async def left(store: LimitLedger, draw: Draw, now: int) -> int:
    probe = Draw(draw.limit, draw.key, draw.kind, draw.unit, draw.amount, draw.period, draw.capacity, 10**9, START)
    return (await store.draw(f"probe-{now}", (probe,), now)).readings[0].left


async def test_what_was_used_is_charged_beside_the_reservation(store: LimitLedger) -> None:
    await store.draw("r", (tokens(10), daily(10), live()), START)
    readings = await store.charge("r", {"tokens": 20, "daily": 30}, START)
    assert [(each.limit, each.ok, each.cost, each.left) for each in readings] == [
        ("tokens", True, 20, 30),
        ("daily", True, 30, 60),
    ]
    assert await left(store, tokens(1), START) == 30
    assert not (await store.draw("s", (live(),), START)).ok


async def test_what_was_charged_before_is_not_charged_again(store: LimitLedger) -> None:
    await store.draw("r", (tokens(10), daily(10)), START)
    await store.charge("r", {"tokens": 20, "daily": 5}, START)
    (reading,) = await store.charge("r", {"tokens": 25, "daily": 5}, START)
    assert (reading.limit, reading.cost, reading.left) == ("tokens", 5, 25)
    assert await store.charge("r", {"tokens": 3}, START) == ()  # what was used is never less than before
    assert await store.charge("r", {"tokens": 25}, START) == ()


async def test_at_the_end_only_the_reservation_comes_back(store: LimitLedger) -> None:
    await store.draw("r", (tokens(10), daily(10)), START)
    await store.charge("r", {"tokens": 20, "daily": 30}, START)
    assert await store.settle("r", {"tokens": 22, "daily": 30}, START) == {"tokens": 12, "daily": 20}
    assert await left(store, tokens(1), START) == 60 - 22
    assert await left(store, daily(1), START) == 100 - 30


async def test_a_charge_counts_when_it_comes_and_not_when_the_request_began(store: LimitLedger) -> None:
    await store.draw("r", (tokens(1),), START)
    later = START + 50 * MINUTE
    (reading,) = await store.charge("r", {"tokens": 40}, later)
    assert (reading.ok, reading.left) == (True, 20)
    await store.settle("r", {"tokens": 40}, later)
    assert await left(store, tokens(1), later) == 20


async def test_what_does_not_fit_is_a_debt_of_at_most_a_period(store: LimitLedger) -> None:
    await store.draw("r", (tokens(1), daily(1)), START)
    readings = await store.charge("r", {"tokens": 100_000, "daily": 100_000}, START)
    assert [(each.ok, each.left, each.wait) for each in readings] == [(False, 0, MINUTE), (False, 0, DAY)]
    await store.settle("r", {"tokens": 100_000, "daily": 100_000}, START)
    assert not (await store.draw("s", (tokens(1),), START + MINUTE - SECOND)).ok  # the reservation came back
    assert (await store.draw("t", (tokens(1),), START + MINUTE)).ok
    assert (await store.draw("u", (daily(1, 1),), START + DAY)).ok


async def test_the_next_day_pays_for_itself(store: LimitLedger) -> None:
    evening = START + DAY - MINUTE
    await store.draw("r", (daily(10),), evening)
    await store.charge("r", {"daily": 60}, evening)
    (reading,) = await store.charge("r", {"daily": 100}, START + DAY)
    assert (reading.cost, reading.left) == (40, 60)


async def test_who_holds_no_reservation_is_charged_nothing(store: LimitLedger) -> None:
    assert await store.charge("nobody", {"tokens": 5}, START) == ()
    await store.draw("r", (tokens(10),), START)
    await store.settle("r", {"tokens": 10}, START)
    assert await store.charge("r", {"tokens": 50}, START) == ()
    assert await left(store, tokens(1), START) == 50


async def test_a_charge_keeps_a_later_refund_from_giving_back_what_it_took(store: LimitLedger) -> None:
    """The cell ran empty since the reservation: it has drained already."""
    await store.draw("r", (tokens(60),), START)
    later = START + 2 * MINUTE
    await store.charge("r", {"tokens": 30}, later)
    await store.settle("r", {"tokens": 30}, later)
    assert await left(store, tokens(1), later) == 30


def test_a_whole_capacity_fits_an_empty_cell_however_it_is_rounded() -> None:
    draw = Draw("t", "t", "rate", "tokens.output", 7, SECOND, 7, 0)
    tat, reading = charge_rate(0, draw, 7, START)
    assert (reading.ok, reading.left) == (True, 0)
    assert tat == draw_rate(0, Draw("t", "t", "rate", "tokens.output", 7, SECOND, 7, 7), START)[0]


def test_a_debt_is_never_lowered_by_a_charge() -> None:
    draw = tokens(0)
    deep = START + 10 * MINUTE
    assert charge_rate(deep, draw, 5, START)[0] == deep
    assert charge_quota(START + DAY, 500, daily(0), 5, START)[1] == 500
