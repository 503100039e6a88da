"""A process's share of a limit, what it begins with, and what it owes."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.policy.sharing import Stance
from gateway.quotas import Draw, Drawn, Reading, draw_lease, draw_quota, draw_rate
from gateway.stores.memory import MemoryLimits
from gateway.stores.valkey import shares
from gateway.stores.valkey.shares import Owed, Shares, share_of
from tests.stores.valkey.fakes import DAY, MINUTE, SECOND, START

DAILY = Draw("daily", "daily|a", "quota", "tokens.total", 100, DAY, 100, 10, START)
LIVE = Draw("live", "live|a", "lease", "concurrent", 8, 900 * SECOND, 8, 1)


def rate(cost: int = 1, amount: int = 60, capacity: int = 60, key: str = "a") -> Draw:
    return Draw("rate", f"rate|{key}", "rate", "requests", amount, MINUTE, capacity, cost)


def draw(
    made: Shares, request: str, draws: Sequence[Draw], now: int = START, replicas: int = 4, **stances: Stance
) -> Drawn:
    return made.draw(request, draws, now, "org", replicas, stances)


def admitted(made: Shares, one: Draw, now: int = START, replicas: int = 4) -> int:
    """Requests that pass at one moment."""
    for n in range(10_000):
        if not draw(made, f"{one.key}-{now}-{n}", (one,), now, replicas).ok:
            return n
    raise AssertionError("it never refuses")


kinds = st.sampled_from(["rate", "quota", "lease"])


@given(kinds, st.integers(0, 500), st.integers(1, 500), st.integers(0, 600), st.integers(1, 50))
def test_what_fits_the_whole_limit_fits_its_share(kind: str, capacity: int, amount: int, cost: int, n: int) -> None:
    whole = Draw("x", "x", kind, "requests", amount, MINUTE, capacity, cost, START if kind == "quota" else 0)  # type: ignore[arg-type]
    share = share_of(whole, n)
    if kind == "rate":
        possible, here = draw_rate(0, whole, START)[1].ok, draw_rate(0, share, START)[1].ok
    elif kind == "quota":
        possible, here = draw_quota(0, 0, whole, START)[2].ok, draw_quota(0, 0, share, START)[2].ok
    else:
        possible, here = draw_lease(0, whole).ok, draw_lease(0, share).ok
    assert here == possible
    assert share.capacity * n <= max(capacity, n * cost, n)
    assert share.amount * n * whole.period >= whole.amount * share.period or kind != "rate"


@pytest.mark.parametrize("one", [rate(key="x"), replace(DAILY, key="rate|x"), replace(LIVE, key="rate|x")])
@pytest.mark.parametrize("other", [rate(key="x"), replace(DAILY, key="rate|x"), replace(LIVE, key="rate|x")])
def test_a_limit_that_became_one_of_another_kind_begins_anew(one: Draw, other: Draw) -> None:
    """What the store said of a quota is no rate's backlog, or nothing would ever pass again."""
    made = Shares(MemoryLimits())
    reading = Reading(one.limit, one.unit, True, one.cost, one.capacity - one.cost, one.capacity, SECOND)
    made.remember("r", (one,), Drawn(True, START, (reading,), "valkey"), START)
    made.ended("r")
    drawn = draw(made, "s", (other,), START, 2)
    assert drawn.ok
    assert made.limits.cell(other) < (START + 2 * DAY << 64)
    draw(made, "t", (one,), START, 2)
    for owed in made.owed(START, lost=False):
        assert 0 < owed.units <= 2 * owed.draw.cost


@pytest.mark.parametrize("replicas", [1, 2, 4, 7])
def test_all_shares_of_a_rate_together_are_the_rate(replicas: int) -> None:
    made = [Shares(MemoryLimits()) for _ in range(replicas)]
    assert sum(admitted(each, rate(), START, replicas) for each in made) <= 60
    passed = sum(admitted(each, rate(), START + at * SECOND, replicas) for at in range(1, 601) for each in made)
    assert 600 - replicas <= passed <= 600


def test_shares_of_slots_and_of_a_quota() -> None:
    made = Shares(MemoryLimits())
    assert admitted(made, LIVE) == 2
    assert admitted(made, Draw("daily", "daily|b", "quota", "tokens.total", 100, DAY, 100, 1, START)) == 25


def remember(made: Shares, one: Draw, *, left: int = 0, reset: int = 0) -> None:
    reading = Reading(one.limit, one.unit, True, one.cost, left, one.capacity, reset)
    made.remember("there", (one,), Drawn(True, START, (reading,), "valkey"), START)


def test_an_outage_gives_nobody_a_fresh_rate() -> None:
    made = Shares(MemoryLimits())
    remember(made, rate(), left=20, reset=40 * SECOND)
    assert admitted(made, rate()) == 5
    assert made.seeds == 1


def test_an_outage_gives_nobody_a_fresh_quota() -> None:
    made = Shares(MemoryLimits())
    one = Draw("daily", "daily|a", "quota", "tokens.total", 100, DAY, 100, 1, START)
    remember(made, one, left=18, reset=DAY)
    assert admitted(made, one) == 4  # of 25, 20.5 are used
    tomorrow = Draw("daily", "daily|a", "quota", "tokens.total", 100, DAY, 100, 1, START + DAY)
    assert admitted(made, tomorrow, START + DAY) == 25


def test_what_the_store_said_before_the_last_fifty_thousand_cells_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "GENERATION", 4)
    made = Shares(MemoryLimits())
    for key in range(20):
        remember(made, rate(key=str(key)), reset=60 * SECOND)
    assert made.seeds <= 8
    assert admitted(made, rate(key="19")) == 0
    assert admitted(made, rate(key="0")) == 15


def test_an_open_limit_passes_uncounted_and_a_closed_one_refuses_alone() -> None:
    made = Shares(MemoryLimits())
    drawn = draw(made, "r", (rate(100), DAILY), rate="open")
    assert drawn.ok and drawn.store == "degraded" and not drawn.closed
    assert [(r.limit, r.ok, r.left) for r in drawn.readings] == [("rate", True, 60), ("daily", True, 15)]
    drawn = draw(made, "s", (rate(), DAILY), rate="closed")
    assert (drawn.ok, drawn.closed, drawn.store) == (False, "rate", "degraded")
    assert [(r.limit, r.ok) for r in drawn.readings] == [("rate", False), ("daily", True)]
    assert draw(made, "t", (DAILY,)).readings[0].left == 5  # s took nothing


def test_a_closed_limit_in_shadow_refuses_nobody() -> None:
    made = Shares(MemoryLimits())
    shadow = Draw("rate", "rate|a", "rate", "requests", 60, MINUTE, 60, 1, shadow=True)
    drawn = draw(made, "r", (shadow, DAILY), rate="closed")
    assert drawn.ok and not drawn.closed
    assert [r.ok for r in drawn.readings] == [False, True]


def test_slots_in_use_at_the_store_count() -> None:
    made = Shares(MemoryLimits())
    for request in ("one", "two"):
        reading = Reading("live", "concurrent", True, 1, 5, 8)
        made.remember(request, (LIVE,), Drawn(True, START, (reading,), "valkey"), START)
    refused = draw(made, "r", (DAILY, LIVE))
    assert [(r.ok, r.left, r.wait) for r in refused.readings] == [(True, 25, 0), (False, 0, 1_000_000)]
    assert draw(made, "free", (LIVE,), replicas=2).ok
    made.ended("one")
    made.ended("one")
    assert not draw(made, "s", (LIVE,)).ok  # one there, one here
    made.ended("two")
    made.ended("nobody")
    assert draw(made, "t", (LIVE,)).readings[0].left == 0
    shadow = Draw("live", "live|a", "lease", "concurrent", 1, SECOND, 1, 1, shadow=True)
    made.remember("three", (shadow,), Drawn(True, START, (Reading("live", "concurrent", True, 1, 0, 1),)), START)
    assert draw(made, "u", (shadow, DAILY)).ok


def owed(made: Shares, now: int = START, *, lost: bool = False) -> dict[str, int]:
    return {each.draw.key: each.units for each in made.owed(now, lost=lost)}


def test_only_what_was_used_here_is_owed() -> None:
    made = Shares(MemoryLimits())
    remember(made, rate(), left=40, reset=20 * SECOND)
    remember(made, DAILY, left=60, reset=DAY)
    draw(made, "r", (rate(4), DAILY))
    assert owed(made) == {"rate|a": 4, "daily|a": 10}
    assert owed(made) == {}


def test_a_rate_owes_what_has_not_drained_and_a_quota_of_yesterday_nothing() -> None:
    made = Shares(MemoryLimits())
    draw(made, "r", (rate(8), DAILY))
    assert owed(made, START + 8 * SECOND) == {"rate|a": 6, "daily|a": 10}  # a quarter of a unit a second drains here
    draw(made, "s", (rate(8), DAILY), START + 9 * SECOND)
    assert owed(made, START + DAY) == {}


def test_the_most_recently_used_comes_first_and_what_was_not_told_is_owed_still() -> None:
    made = Shares(MemoryLimits())
    for n, key in enumerate("abc"):
        draw(made, key, (rate(n + 1, key=key),))
    draw(made, "a2", (rate(1, key="a"),))
    first: Owed = next(made.owed(START, lost=False))
    assert (first.draw.key, first.units) == ("rate|a", 2)
    assert first.draw == rate(1, key="a")  # the whole limit's, not the share's
    made.keep(first)
    assert owed(made) == {"rate|a": 2, "rate|c": 3, "rate|b": 2}


def test_a_store_that_lost_its_memory_is_told_of_the_seeds_as_well() -> None:
    made = Shares(MemoryLimits())
    remember(made, rate(), left=40, reset=20 * SECOND)
    remember(made, DAILY, left=60, reset=DAY)
    draw(made, "r", (rate(4), DAILY))
    assert owed(made, lost=True) == {"rate|a": 9, "daily|a": 20}  # a fourth of what it had said, and what was drawn


@pytest.mark.parametrize("stance", ["open", "closed"])
def test_it_is_told_of_limits_too_that_no_share_is_granted_of(stance: Stance) -> None:
    made = Shares(MemoryLimits())
    remember(made, DAILY, left=20, reset=DAY)
    draw(made, "1", (DAILY,), daily=stance)
    assert list(made.owed(START, lost=False)) == []
    draw(made, "2", (DAILY,), daily=stance)
    assert [each.units for each in made.owed(START, lost=True)] == [20]


def test_an_end_after_the_store_was_told_owes_the_overrun_alone() -> None:
    made = Shares(MemoryLimits())
    draw(made, "r", (rate(4), DAILY))
    assert owed(made) == {"rate|a": 4, "daily|a": 10}
    assert made.settle("r", {"rate": 7, "daily": 2}, START, 4) == {"rate": 3, "daily": -8}
    assert owed(made) == {"rate|a": 3}
    assert not made.holds("r")


def test_a_cell_that_falls_out_of_the_table_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "TOUCHED", 3)
    made = Shares(MemoryLimits())
    for key in "abcde":
        draw(made, key, (rate(key=key),))
    assert (made.touched, made.untold) == (3, 2)
    assert set(owed(made)) == {"rate|c", "rate|d", "rate|e"}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 3 * SECOND)), max_size=40))
def test_never_more_than_the_limit_passes_in_an_outage(steps: list[tuple[int, int, int]]) -> None:
    """Whatever the store had said last, and whoever asks where: all shares, and what the store held, are one limit."""
    whole, limits, now = rate(), MemoryLimits(), START
    limits.take((rate(30),), now)
    made = [Shares(MemoryLimits()) for _ in range(4)]
    for each in made:
        remember(each, whole, left=30, reset=30 * SECOND)
    passed = 0
    for number, (process, cost, after) in enumerate(steps):
        now += after
        passed += cost * draw(made[process], str(number), (rate(cost),), now).ok
        assert passed <= 30 + (now - START) / SECOND + 4


def test_an_account_that_is_forgotten_is_named_nowhere() -> None:
    made = Shares(MemoryLimits())
    one, other = (replace(DAILY, key=f"daily|5:acct{name}") for name in "ab")
    for at, each in enumerate((one, other)):
        reading = Reading(each.limit, each.unit, True, 10, 50, 100, DAY)
        made.remember(f"s{at}", (each,), Drawn(True, START, (reading,), "valkey"), START)
        draw(made, f"r{at}", (each,), START, 2)
        made.settle(f"r{at}", {"daily": 10}, START, 2)
    assert (made.seeds, made.touched) == (2, 2)
    made.forget("accta")
    assert (made.seeds, made.touched, made.limits.cell(one)) == (1, 1, 0)
    assert [owed.draw.key for owed in made.owed(START, lost=False)] == [other.key]
