"""Calendar quotas count in one window; leases are slots."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.quotas import LEASE_RETRY, Draw, draw_lease, draw_quota, settle_quota

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 20_000 * DAY


def quota(cost: int, window: int = START, period: int = DAY, capacity: int = 100) -> Draw:
    return Draw("daily", "daily|1:a", "quota", "tokens.total", capacity, period, capacity, cost, window)


def lease(slots: int) -> Draw:
    return Draw("live", "live|1:a", "lease", "concurrent", slots, 900 * SECOND, slots, 1)


def test_a_quota_waits_for_the_end_of_its_window() -> None:
    end, used, reading = draw_quota(0, 0, quota(100), START + DAY - 5 * SECOND)
    assert (end, used, reading.ok, reading.left, reading.reset) == (START + DAY, 100, True, 0, 5 * SECOND)
    end, used, reading = draw_quota(end, used, quota(1), START + DAY - 3 * SECOND)
    assert (used, reading.ok, reading.wait) == (100, False, 3 * SECOND)
    end, used, reading = draw_quota(end, used, quota(1, START + DAY), START + DAY)
    assert (end, used, reading.ok, reading.left) == (START + 2 * DAY, 1, True, 99)


def test_a_day_of_twenty_three_hours_ends_when_its_draw_says() -> None:
    _, _, reading = draw_quota(0, 0, quota(1, period=DAY - 3600 * SECOND), START + DAY - 3601 * SECOND)
    assert reading.reset == SECOND


def test_a_cost_above_the_quota_never_passes() -> None:
    assert draw_quota(0, 0, quota(101), START)[2].wait == -1


@given(st.lists(st.integers(0, 60), max_size=30))
def test_a_window_never_admits_more_than_its_amount(costs: list[int]) -> None:
    end = used = total = 0
    for cost in costs:
        end, used, reading = draw_quota(end, used, quota(cost), START + 1)
        total += cost if reading.ok else 0
        assert reading.left == 100 - used
    assert total == used <= 100


def test_a_draw_whose_window_has_not_begun_counts_in_the_one_before() -> None:
    """Who computed it has a clock that is ahead of the store's."""
    end, used, _ = draw_quota(0, 0, quota(10, START + DAY), START + DAY - SECOND)
    assert (end, used) == (START + DAY, 10)
    end, used, _ = draw_quota(end, used, quota(10), START + DAY - SECOND)
    assert (end, used) == (START + DAY, 20)
    assert draw_quota(end, used, quota(10, START + DAY), START + DAY)[:2] == (START + 2 * DAY, 10)


def test_a_draw_from_just_before_midnight_that_comes_just_after_does_not_empty_the_new_day() -> None:
    end, used, _ = draw_quota(0, 0, quota(90, START + DAY), START + DAY)
    end, used, reading = draw_quota(end, used, quota(20, START), START + DAY + 1)
    assert (end, used, reading.ok) == (START + 2 * DAY, 90, False)


def test_a_limit_that_turns_from_monthly_to_daily_begins_anew() -> None:
    _, used, _ = draw_quota(START + 20 * DAY, 90, quota(20), START + SECOND)
    assert used == 20


def test_settling_in_another_window_changes_nothing() -> None:
    assert settle_quota(START + 2 * DAY, 7, quota(50), 0) == 7


def test_settling_gives_back_down_to_zero_and_caps_the_debt_at_one_amount() -> None:
    assert settle_quota(START + DAY, 60, quota(50), 20) == 30
    assert settle_quota(START + DAY, 30, quota(50), 0) == 0
    assert settle_quota(START + DAY, 60, quota(50), 1_000) == 200
    assert settle_quota(START + DAY, 500, quota(50), 60) == 500


def test_a_lease_is_free_taken_or_impossible() -> None:
    assert (draw_lease(0, lease(2)).ok, draw_lease(0, lease(2)).left) == (True, 1)
    full = draw_lease(2, lease(2))
    assert (full.ok, full.left, full.wait) == (False, 0, LEASE_RETRY)
    assert draw_lease(0, lease(0)).wait == -1
