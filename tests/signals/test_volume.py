"""V1: counts that decay."""

from math import e

import pytest

from gateway.signals import DAY, HOUR, Ended
from gateway.signals.volume import Volume
from tests.signals.traces import SECOND, Account, alone, ask, batch


def account() -> Account:
    return Account(alone(Volume()))


def test_a_request_counts_one_and_an_e_th_one_time_constant_later() -> None:
    one = account()
    one.asked(ask())
    assert one.value("hour.requests") == 1
    one.wait(HOUR / SECOND)
    assert one.value("hour.requests") == pytest.approx(1 / e, rel=0.01)
    assert one.value("day.requests") == pytest.approx(e ** (-1 / 24), rel=0.016)
    assert one.value("week.requests") == pytest.approx(e ** (-1 / 168), rel=0.016)


def test_at_a_steady_pace_the_count_is_the_number_in_the_span() -> None:
    one = account()
    for _ in range(10 * 60):
        one.wait(60).asked(ask())
    assert one.value("hour.requests") == pytest.approx(60, rel=0.02)


def test_what_a_request_turned_out_to_be_is_counted() -> None:
    one = account()
    one.asked(ask())
    one.ended(ask(), Ended(ok=False, refused=True, status=429, input=7, output=11))
    found = {name: one.value(f"week.{name}") for name in ("requests", "refused", "input_tokens", "output_tokens")}
    assert found == {"requests": 1, "refused": 1, "input_tokens": 7, "output_tokens": 11}


def test_a_malformed_request_and_an_upload_are_requests_too() -> None:
    one = account()
    one.malformed(ask())
    one.asked(batch(0, 50))
    assert one.value("day.requests") == 2


def test_time_that_runs_backwards_changes_no_count() -> None:
    one = account()
    one.asked(ask())
    one.wait(-DAY / SECOND).asked(ask())
    assert [one.value(f"{span}.requests") for span in ("hour", "day", "week")] == [2, 2, 2]


def test_after_thirty_years_nothing_is_left() -> None:
    one = account()
    one.asked(ask())
    one.wait(10**9)
    assert one.value("week.requests") == 0
