"""Costs that come to light late, or in mixed company, are still charged to somebody."""

from gateway.protocols import MIXED, Call, Folded
from gateway.quotas import Draw, settle_quota

DAY = 86_400_000_000


def test_an_overrun_of_a_window_that_is_over_is_paid_in_the_open_one() -> None:
    draw = Draw("d", "d|1:a", "quota", "tokens.total", 1000, DAY, 1000, 10, window=0)
    assert settle_quota(DAY, 10, draw, 60) == 60
    tomorrow = 2 * DAY
    assert settle_quota(tomorrow, 5, draw, 60) == 55
    assert settle_quota(tomorrow, 5, draw, 3) == 5
    assert settle_quota(tomorrow, 5, draw, 10**9) == 2000


def test_a_batch_of_several_models_counts_under_none_of_them() -> None:
    cheap, dear = Call("chat", "cheap", {}), Call("chat", "dear", {})
    assert Folded().add((cheap,)).add((cheap,)).model == "cheap"
    assert Folded().add((cheap,)).add((dear,)).add((cheap,)).model == MIXED
