"""Use for an account's age: a year-old customer may take what a day-old one raises a question with."""

from math import exp, log

import pytest

from gateway.identity import Caller
from gateway.signals import WEEK, Ended
from gateway.signals.tenure_use import TenureUse
from tests.signals.traces import SECOND, T0, Account, alone, ask

DAYS = 86_400
START = T0 // SECOND
SEEN = ask(1)


def account(age: float | None = None) -> Account:
    """An account that was made so many days before its first request; None where nobody says."""
    return Account(alone(TenureUse()), who=Caller("a", created=None if age is None else START - round(age * DAYS)))


def takes(one: Account, output: int) -> None:
    one.asked(SEEN)
    one.ended(SEEN, Ended(ok=True, refused=False, status=200, output=output))


@pytest.mark.parametrize(("age", "read"), [(365, 1000), (10, 36_500), (1, 365_000), (0, 365_000), (-3, 365_000)])
def test_tokens_of_the_week_for_each_day_of_age(age: float, read: float) -> None:
    one = account(age)
    takes(one, 365_000)
    assert one.value("use_for_age") == pytest.approx(read)


def test_this_answer_is_not_counted_yet_and_no_use_is_no_guilt() -> None:
    one = account(0)
    one.asked(SEEN)
    assert (one.value("use_for_age"), one.read("ramp")) == (0, None)


def test_an_age_that_nobody_tells_is_missing_until_a_week_is_known() -> None:
    one = account()
    assert one.read("use_for_age") is None
    takes(one, 7000)
    one.wait(7 * DAYS - 1)
    assert one.read("use_for_age") is None
    one.wait(1)
    assert one.value("use_for_age") == pytest.approx(7000 * exp(-1) / 7, rel=0.01)


def test_an_account_that_was_seen_before_it_was_made_is_as_old_as_it_is_known() -> None:
    """A date of the file can be wrong; that an account was there can't."""
    one = account(-10)
    takes(one, 1)
    one.wait(20 * DAYS)
    takes(one, 20_000)
    assert one.value("use_for_age") == pytest.approx(20_000 / 20, rel=1e-4)


def test_the_ramp_is_missing_on_the_first_day_and_falls_as_one_in_n() -> None:
    one = account()
    for day in range(1, 11):
        takes(one, 500)
        if day == 1:
            one.wait(DAYS - 1)
            assert one.read("ramp") is None
            one.wait(1)
        else:
            assert one.value("ramp") == pytest.approx(1 / day)
            one.wait(DAYS)
    assert one.value("ramp") == pytest.approx(1 / 10)


def test_an_account_made_for_a_harvest_reads_high_and_an_old_one_with_the_same_use_low() -> None:
    new, old = account(0.5), account(400)
    for one in (new, old):
        for _ in range(100):
            takes(one, 4000)
            one.wait(600)
        one.wait(DAYS)
    assert new.value("use_for_age") > 100 * old.value("use_for_age") > 0
    assert new.value("ramp") == old.value("ramp") == 1


def test_half_of_the_tokens_is_left_after_the_half_life() -> None:
    one = account(0)
    one.wait(100 * DAYS)
    takes(one, 8000)
    before = one.value("use_for_age")
    one.wait(WEEK / SECOND * log(2))
    assert one.value("use_for_age") == pytest.approx(before / 2 * 100 / (100 + 7 * log(2)))
