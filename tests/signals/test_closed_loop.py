"""Workers keep their number in flight; people pause, and the users of a busy product don't wait for each other."""

from collections.abc import Callable
from heapq import heappop, heappush
from math import log
from random import Random

import pytest

from gateway.signals import DAY
from gateway.signals.closed_loop import ClosedLoop
from tests.signals.traces import ANSWERED, BUSY, FAILED, SECOND, T0, Account, alone, ask, batch

NAMES = ("closed_loop_share", "plateau_share", "human_gap_share")
SEEN = ask(1)


def account() -> Account:
    return Account(alone(ClosedLoop()))


def answers(rng: Random) -> float:
    """Seconds that an answer takes."""
    return rng.lognormvariate(0.7, 0.6)


def pool(workers: int, count: int, think: Callable[[Random], float], seed: int = 1) -> list[tuple[float, bool]]:
    """Starts and ends, by time, of workers of whom each thinks after each answer."""
    rng, found, free = Random(seed), [], [(0.01 * worker, worker) for worker in range(workers)]
    for _ in range(count):
        now, worker = heappop(free)
        end = now + answers(rng)
        found += [(now, True), (end, False)]
        heappush(free, (end + think(rng), worker))
    return sorted(found)


def independent(rate: float, count: int, seed: int = 1) -> list[tuple[float, bool]]:
    """The same of requests that come at random, so many a second."""
    rng, now, found = Random(seed), 0.0, []
    for _ in range(count):
        now += rng.expovariate(rate)
        found += [(now, True), (now + answers(rng), False)]
    return sorted(found)


def played(events: list[tuple[float, bool]]) -> Account:
    one = account()
    for at, begins in events:
        one.now = T0 + round(at * SECOND)
        if begins:
            one.asked(SEEN)
        else:
            one.ended(SEEN)
    return one


def test_nothing_is_read_before_the_first_request() -> None:
    assert [account().read(name) for name in NAMES] == [None, None, None]


def test_one_worker_begins_at_once_after_each_answer() -> None:
    one = account()
    for _ in range(10):
        one.turn(SEEN, took=2.0, then=0.01)
    assert one.value("closed_loop_share") == pytest.approx(9 / 10, abs=1e-4)  # the first had none before it
    assert (one.value("plateau_share"), one.value("human_gap_share")) == (0, 0)


@pytest.mark.parametrize(("think", "loops"), [(0.05, 1), (0.050001, 0), (4.999, 0), (600.001, 0)])
def test_fifty_milliseconds_after_an_answer_is_still_at_once(think: float, loops: int) -> None:
    one = account()
    one.turn(SEEN, then=think)
    one.asked(SEEN)
    assert one.hits("closed_loop_share") == pytest.approx((loops, 2), abs=0.02)
    assert one.value("human_gap_share") == 0


@pytest.mark.parametrize("think", [5, 60, 600])
def test_a_pause_of_a_person_is_told_from_both(think: float) -> None:
    one = account()
    for _ in range(4):
        one.turn(SEEN, then=think)
    assert one.value("human_gap_share") == pytest.approx(3 / 4, abs=0.02)
    assert one.value("closed_loop_share") == 0


def test_the_usual_number_in_flight_counts_where_it_is_two_or_more() -> None:
    one = account()
    for _ in range(3):
        one.asked(SEEN)  # 1, 2 and 3 in flight: at the third, two votes are against one
        one.wait(0.1)
    for _ in range(7):
        one.ended(SEEN)
        one.wait(0.06)  # not at once
        one.asked(SEEN)
        one.wait(0.5)
    assert one.value("plateau_share") == pytest.approx(7 / 10, abs=1e-3)
    assert one.value("closed_loop_share") == pytest.approx(7 / 10, abs=1e-3)


def test_at_once_is_a_fourth_of_the_usual_gap_where_requests_come_thick() -> None:
    """After k gaps of 40 ms the usual one is 0.04 + 0.96 * (7/8)^k s: at least 4 * 40 ms until k = 15."""
    one = account()
    for _ in range(40):
        one.turn(SEEN, took=0, then=0.04)
    assert one.hits("closed_loop_share")[0] == pytest.approx(15, abs=1e-3)


@pytest.mark.parametrize("end", [BUSY, FAILED])
def test_the_end_of_what_was_not_answered_frees_no_worker(end: object) -> None:
    one = account()
    for _ in range(5):
        one.turn(SEEN, BUSY if end is BUSY else FAILED, took=0.001, then=0.001)
    assert one.value("closed_loop_share") == 0


def test_a_request_that_is_refused_unread_takes_no_other_out_of_flight() -> None:
    one = account()
    for _ in range(3):
        one.asked(SEEN)
    for _ in range(5):  # with another one refused in between, it is 3 in flight still
        one.ended(SEEN)
        one.wait(0.06)
        one.malformed(SEEN)
        one.ended(SEEN, BUSY)
        one.wait(0.06)
        one.asked(SEEN)
    assert one.hits("plateau_share") == pytest.approx((10, 13), abs=0.01)


def test_lost_ends_are_forgotten_after_an_hour_of_silence() -> None:
    for silence, pauses in ((3599, 0), (3601, 1)):
        one = account()
        one.asked(SEEN)  # and never ended
        one.wait(silence)
        one.turn(SEEN, then=30)
        one.asked(SEEN)
        assert one.hits("human_gap_share")[0] == pytest.approx(pauses, abs=0.01)


def test_more_ends_than_starts_leave_nothing_in_flight() -> None:
    one = account()
    for _ in range(3):
        one.ended(SEEN)
    one.wait(30)
    one.turn(SEEN, then=30)
    one.asked(SEEN)
    assert one.hits("human_gap_share")[0] == pytest.approx(2, abs=0.01)


def test_a_batch_is_not_waited_for() -> None:
    one = account()
    one.turn(batch(0, 1000), then=0.001)
    assert one.read("closed_loop_share") is None


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
def test_a_pool_of_workers_reads_high(workers: int) -> None:
    found = played(pool(workers, 1500, lambda rng: 0.003 + rng.expovariate(200)))
    assert found.value("closed_loop_share") > 0.9
    assert (found.value("plateau_share") > 0.85) == (workers > 1)
    assert found.value("human_gap_share") < 0.01


@pytest.mark.parametrize("rate", [0.05, 0.5, 5, 20])
def test_a_busy_product_with_many_users_reads_low(rate: float) -> None:
    found = played(independent(rate, 1500))
    assert found.value("closed_loop_share") < 0.4
    assert found.value("plateau_share") < 0.25


def test_a_person_reads_as_one() -> None:
    found = played(pool(1, 200, lambda rng: rng.lognormvariate(3.2, 0.8)))
    assert found.value("human_gap_share") > 0.9
    assert found.value("closed_loop_share") == 0


def test_a_pool_that_jitters_gives_up_its_pace() -> None:
    """The evasion of the card: waits as long as an answer takes."""
    assert played(pool(8, 1500, lambda rng: rng.uniform(0, 4))).value("closed_loop_share") < 0.4


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for _ in range(11):
        one.turn(SEEN, ANSWERED, took=1.0, then=0.01)
    hits, of = one.hits("closed_loop_share")
    one.wait(DAY / SECOND * log(2))
    assert one.hits("closed_loop_share") == pytest.approx((hits / 2, of / 2), rel=1e-6)
    assert one.value("closed_loop_share") == pytest.approx(hits / of)
