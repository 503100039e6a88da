"""What is asked is never asked again, by hand and on the wire."""

from math import exp, log
from random import Random

import pytest

from gateway.observe import Observation
from gateway.signals import WEEK
from gateway.signals.dataset_sweep import DatasetSweep
from tests.signals.traces import SECOND, T0, Account, alone, ask, batch
from tests.signals.wired import chat, upload
from tests.signals.wording import sentence

DAYS = 86_400
PERIOD = WEEK - T0 % WEEK  # µs from T0 to the next turn of the sketch


def account() -> Account:
    return Account(alone(DatasetSweep()))


def share(seen: list[Observation]) -> float:
    one = account()
    for each in seen:
        one.asked(each)
    return one.value("fresh_share")


def test_nothing_is_read_before_the_first_request() -> None:
    assert account().read("fresh_share") is None


def test_what_came_before_is_not_fresh() -> None:
    assert share([ask(1), ask(2), ask(1), ask(2)]) == pytest.approx(2 / 4)
    assert share([ask(1)] * 5) == pytest.approx(1 / 5)
    assert share([ask(at) for at in range(40)]) == 1


def test_lines_of_a_batch_that_ask_the_same_are_not_fresh() -> None:
    """Of 100 lines 40 are different; 16 fingerprints stand for them."""
    assert share([batch(0, 100, distinct=40)]) == pytest.approx(40 / 100)
    assert share([upload([f"the question number {'x' * (at % 10)}" for at in range(20)])]) == pytest.approx(10 / 20)


def test_a_sweep_of_thousands_stays_fresh_and_a_repeated_suite_does_not() -> None:
    sweep, suite = account(), account()
    for at in range(3000):
        for one, seen in ((sweep, ask(at)), (suite, ask(at % 300))):
            one.asked(seen)
            one.wait(60)
    assert sweep.value("fresh_share") == 1
    assert suite.value("fresh_share") == pytest.approx(1 / 10, abs=0.06)  # a sample of some 40 of the 300


def test_what_comes_every_day_is_not_new_again_when_the_sketch_turns() -> None:
    """A thousand questions a day, the same ones for four weeks."""
    one = account()
    for day in range(28):
        for at in range(1000):
            one.asked(ask(at))
        one.wait(DAYS)
        if day > 14:
            assert one.value("fresh_share") < 0.06


def test_an_ask_is_remembered_over_one_turn() -> None:
    """A question that comes again in the next period is not new: 1 of e^-(t / week) + 1."""
    one = account()
    one.asked(ask(1))
    one.now = T0 + PERIOD
    one.asked(ask(1))
    old = exp(-PERIOD / WEEK)
    assert one.hits("fresh_share")[0] / one.hits("fresh_share")[1] == pytest.approx(old / (1 + old), rel=0.01)


def test_an_ask_is_forgotten_after_two_turns() -> None:
    one = account()
    for at, seen in enumerate((ask(1), ask(2), ask(1))):
        one.now = T0 + PERIOD + at * WEEK
        one.asked(seen)
    assert one.value("fresh_share") == pytest.approx(1)


def test_on_the_wire_blanks_make_no_other_question_and_figures_do() -> None:
    rng = Random(1)
    asked = [sentence(rng) for _ in range(20)]
    again = [f"  {text.upper()}".replace(" NEAR ", "   near\t") for text in asked]
    assert share([chat(text) for text in [*asked, *again]]) == pytest.approx(20 / 40)
    sums = [chat(f"What is the sum of 1{at % 10} and 2{at % 5}?") for at in range(20)]
    assert share(sums) == pytest.approx(10 / 20)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for at in (1, 2, 1, 2):
        one.asked(ask(at))
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("fresh_share") == pytest.approx((1, 2), rel=1e-6)


def test_more_draws_of_one_ask_return_to_nothing_and_coming_back_later_does() -> None:
    one = account()
    for _ in range(4):
        one.asked(ask("x"))
    assert one.value("fresh_share") == 1 / 4
    assert one.value("novel_share") == 1
    one.wait(11 * 60).asked(ask("x"))
    assert one.value("novel_share") == pytest.approx(1 / 2, rel=0.01)
