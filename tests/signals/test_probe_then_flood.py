"""Nothing asked, to learn the limits, and then the whole load."""

from math import log

import pytest

from gateway.observe import Observation, Prints
from gateway.observe.wire import from_wire
from gateway.signals import HOUR
from gateway.signals.probe_then_flood import ProbeThenFlood
from tests.signals.traces import SECOND, Account, alone, ask, batch

PROBE = ask(0, marks=("empty",), chars=0, fresh=0, asks=(), client="python-requests")
PING = ask(0, marks=("one_shot", "tiny"), chars=2, max_tokens=1)
LOAD = ask(1)


def account() -> Account:
    return Account(alone(ProbeThenFlood()))


def after(
    probe: Observation, count: int, seconds: float, load: Observation = LOAD, one: Account | None = None
) -> float:
    """The reading after a probe, and a load that is spread evenly over so many seconds."""
    one = one or account()
    one.asked(probe)
    for _ in range(count):
        one.wait(seconds / count)
        one.asked(load)
    return one.value("probe_then_flood")


def test_without_a_probe_or_without_a_flood_it_is_0() -> None:
    assert account().value("probe_then_flood") == 0
    assert after(LOAD, 1000, 60) == 0
    assert after(PROBE, 49, 60) == 0


def test_fifty_requests_after_a_probe_are_a_flood_and_another_client_is_worse() -> None:
    same = ask(1, client="python-requests")
    assert after(PROBE, 50, 50, same) == 1
    assert after(PROBE, 50, 50) == 2
    assert after(PING, 50, 50) == 1
    assert after(ask(0, marks=("empty",), chars=0, client=""), 50, 50) == 1  # nobody says that it is another one
    assert after(PROBE, 50, 50, ask(1, client="")) == 1


@pytest.mark.parametrize(("seconds", "read"), [(437, 2), (439, 0)])
def test_a_flood_is_a_hundred_times_the_pace_before(seconds: float, read: int) -> None:
    """Of 100 requests of the day e^(-1/72) are left after 20 minutes: 98.62. The 50th after the probe came at 100
    times that pace if it came within 50 * 86400 / 9862 = 438.05 s."""
    one = account()
    for _ in range(100):
        one.asked(LOAD)
    one.wait(20 * 60)
    assert after(PROBE, 50, seconds, one=one) == read


def test_a_flood_comes_within_ten_minutes() -> None:
    one = account()
    one.asked(PROBE)
    one.wait(600)
    for _ in range(100):
        one.asked(LOAD)
    assert one.value("probe_then_flood") == 0


def test_a_second_probe_within_ten_minutes_begins_nothing_anew() -> None:
    one = account()
    one.asked(PROBE)
    for _ in range(25):
        one.asked(LOAD)
    one.asked(PROBE)
    for _ in range(25):
        one.asked(LOAD)
    assert one.value("probe_then_flood") == 2


@pytest.mark.parametrize("before", [2, 3])
def test_who_probes_all_day_checks_the_health(before: int) -> None:
    one = account()
    for _ in range(before):
        one.asked(PING)
        one.wait(700)
    assert after(PING, 50, 5, one=one) == (1 if before == 2 else 0)


def test_a_product_with_health_checks_may_wake_up() -> None:
    """A check a minute all night; at nine, 40 requests a minute."""
    one = account()
    for _ in range(60 * 9):
        one.asked(PING)
        one.wait(60)
    for at in range(400):
        if at % 40 == 0:
            one.asked(PING)
        one.asked(LOAD)
        one.wait(1.5)
    assert one.value("probe_then_flood") == 0


def test_long_prompts_with_a_short_answer_are_no_probes() -> None:
    """Classification takes one token, and evaluations score a choice by its log-probability."""
    assert after(ask(0, marks=("one_shot", "tiny"), chars=65, max_tokens=1), 50, 5) == 0
    assert after(ask(0, marks=("continues", "tiny"), chars=60, max_tokens=1), 50, 5) == 0


def test_a_batch_is_a_load_of_its_lines() -> None:
    one = account()
    one.asked(PROBE)
    one.wait(60)
    one.asked(batch(0, 49))
    assert one.value("probe_then_flood") == 0
    one.asked(batch(49, 1))
    assert one.value("probe_then_flood") == 1


def test_an_empty_request_on_the_wire_is_a_probe() -> None:
    agent = [(b"user-agent", b"python-requests/2.32.3"), (b"content-type", b"application/json")]
    bodies = (
        b'{"model":"m","messages":[]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}',
    )
    for body in bodies:
        wire = from_wire("POST", "/v1/chat/completions", agent, body, Prints(b"k"))
        assert (wire.refused, after(wire.seen, 50, 5)) == ("", 2)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    after(PROBE, 50, 5, one=one)
    one.wait(HOUR / SECOND * log(2))
    assert one.value("probe_then_flood") == pytest.approx(1.0, rel=1e-6)
