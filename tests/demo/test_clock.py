"""The clock that runs faster: stands, then goes, at its rate; a gateway gets it from code alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.clock import Rush
from gateway.settings import Settings

BEGIN = 1_800_000_000 * 10**9


class Machine:
    ns = 77

    def __call__(self) -> int:
        return self.ns


def test_it_stands_until_it_is_let_go() -> None:
    machine = Machine()
    rush = Rush(BEGIN, 3600.0, machine)
    clock = rush.clock()
    machine.ns += 10**10
    assert (clock.now(), rush.passed) == (BEGIN // 1000, 0.0)
    rush.go()
    assert (clock.now(), rush.passed) == (BEGIN // 1000, 0.0)
    machine.ns += 2 * 10**9
    assert clock.now() == BEGIN // 1000 + 7200 * 10**6
    assert rush.passed == pytest.approx(7200.0)


@given(
    rate=st.floats(1.0, 1e5),
    steps=st.lists(st.integers(0, 10**10), max_size=50),
)
def test_it_never_goes_back_and_has_nothing_to_slew(rate: float, steps: list[int]) -> None:
    machine = Machine()
    rush = Rush(BEGIN, rate, machine)
    clock = rush.clock()
    rush.go()
    before = clock.now()
    for step in steps:
        machine.ns += step
        now = clock.now()
        assert now >= before
        assert clock.skew == pytest.approx(0.0, abs=1e-3)
        before = now
    assert (before - BEGIN // 1000) / 1e6 == pytest.approx(sum(steps) * rate / 1e9, rel=1e-6, abs=1e-3)


def test_no_setting_leads_to_it() -> None:
    assert [name for name in Settings.model_fields if "clock" in name or "rate" in name or "speed" in name] == []
