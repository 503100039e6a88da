"""At the edge of a limit without running into it, and requests as even as a clock."""

from math import log
from random import Random

import pytest

from gateway.signals import DAY, Ended
from gateway.signals.quota_riding import QuotaRiding
from tests.signals.traces import BUSY, SECOND, T0, Account, alone, ask, batch

SEEN = ask(1)


def account() -> Account:
    return Account(alone(QuotaRiding()))


def ends(full: float | None, status: int = 200) -> Ended:
    return Ended(ok=status == 200, refused=False, status=status, full=full)


def came(gaps: list[float]) -> Account:
    one = account()
    one.asked(SEEN)
    for gap in gaps:
        one.wait(gap)
        one.asked(SEEN)
    return one


def test_nothing_is_read_before_there_is_something() -> None:
    one = account()
    one.turn(SEEN, ends(None))
    assert (one.read("edge_share"), one.read("regular_share")) == (None, None)


@pytest.mark.parametrize(("full", "edge"), [(0.0, 0), (0.849, 0), (0.85, 1), (0.999, 1), (1.0, 0)])
def test_the_edge_of_a_limit(full: float, edge: int) -> None:
    one = account()
    for _ in range(4):
        one.ended(SEEN, ends(full))
    assert one.value("edge_share") == edge


@pytest.mark.parametrize("refusal", [BUSY, ends(0.9, status=429)])
def test_nothing_counts_while_one_in_a_hundred_was_refused(refusal: Ended) -> None:
    """One refusal: of 200 that followed (a 429 that had met a limit is one of them) those from the 101st on count."""
    one = account()
    one.ended(SEEN, refusal)
    for _ in range(200 if refusal.full is None else 199):
        one.ended(SEEN, ends(0.9))
    assert one.hits("edge_share") == (100, 200)


def test_who_runs_into_his_limits_is_not_riding_them() -> None:
    one = account()
    for at in range(1000):
        one.ended(SEEN, ends(0.9) if at % 20 else BUSY)
    assert one.value("edge_share") == 0


def test_even_gaps_are_regular_from_the_second_on() -> None:
    one = came([1.0] * 9)
    assert one.value("regular_share") == pytest.approx(8 / 9, abs=1e-4)


@pytest.mark.parametrize(("gap", "regular"), [(0.9, 1), (0.899, 0), (1.1, 1), (1.101, 0)])
def test_a_tenth_around_the_mean_is_regular(gap: float, regular: int) -> None:
    assert came([1.0, gap]).hits("regular_share")[0] == pytest.approx(regular, abs=1e-4)


def test_the_mean_moves_by_an_eighth_and_an_outlier_by_three() -> None:
    """1 s, then 9 s: the mean is min(1 + 8/8, 1 + 3/8) = 1.375 s and a bit, so 1.5 is within a tenth, and 1.6 not."""
    assert came([1.0, 9.0, 1.5]).hits("regular_share")[0] == pytest.approx(1, abs=1e-3)
    assert came([1.0, 9.0, 1.6]).hits("regular_share")[0] == 0
    assert came([1.0, 1.8, 1.0]).hits("regular_share")[0] == pytest.approx(1, abs=1e-3)  # 1.1: just within


def test_pauses_and_bursts_have_no_pace() -> None:
    one = came([1.0, 601.0, 1.0])
    assert one.hits("regular_share") == pytest.approx((1, 2), abs=0.01)
    assert came([0.0] * 9).hits("regular_share") == (0, 9)


def test_a_client_that_spaces_its_requests_to_the_limit_reads_high() -> None:
    rng = Random(1)
    assert came([0.1013 + rng.gauss(0, 0.003) for _ in range(1000)]).value("regular_share") > 0.95


def test_independent_requests_read_as_chance_does() -> None:
    """exp(-0.9) - exp(-1.1) = 7.4 % of exponential gaps are within a tenth of their mean."""
    rng = Random(1)
    assert came([rng.expovariate(1.0) for _ in range(1000)]).value("regular_share") == pytest.approx(0.074, abs=0.02)


def test_a_batch_meets_a_limit_once() -> None:
    one = account()
    one.turn(batch(0, 1000), ends(0.9))
    assert one.hits("edge_share") == pytest.approx((1, 1), abs=1e-3)


def test_only_what_generates_counts() -> None:
    one = account()
    for _ in range(3):
        one.turn(ask(1, op="embeddings"), ends(0.9), then=1.0)
    assert (one.read("edge_share"), one.read("regular_share")) == (None, None)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = came([1.0] * 9)
    one.ended(SEEN, ends(0.9))
    read = one.hits("regular_share"), one.hits("edge_share")
    one.wait(DAY / SECOND * log(2))
    for name, (hits, of) in zip(("regular_share", "edge_share"), read, strict=True):
        assert one.hits(name) == pytest.approx((hits / 2, of / 2), rel=1e-6)
    assert one.now > T0
