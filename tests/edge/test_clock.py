"""The clock never runs backwards and never jumps."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.clock import SLEW, Clock

SECOND = 1_000_000_000


class Hands:
    """A wall clock and a monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000 * SECOND
        self.mono = 5 * SECOND

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.mono)

    def pass_(self, ns: int) -> None:
        self.wall += ns
        self.mono += ns


def test_it_tells_the_wall_time_in_microseconds() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.pass_(1_500_000)
    assert clock.now() == 1_800_000_000 * 1_000_000 + 1_500


def test_a_step_of_the_wall_clock_is_worked_off_slowly() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall += 3600 * SECOND
    hands.pass_(10 * SECOND)
    assert clock.now() - 1_800_000_000_000_000 == 11_000_000  # ten seconds passed, one was caught up
    assert clock.skew == 3600


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-(10**13), 10**13)), max_size=50))
def test_it_never_runs_backwards_whatever_the_wall_clock_does(steps: list[tuple[int, int]]) -> None:
    hands = Hands()
    clock = hands.clock()
    start = before = clock.now()
    total = 0
    for passed, step in steps:
        hands.pass_(passed)
        hands.wall += step
        total += passed
        now = clock.now()
        assert before <= now <= start + total / 1000 * (1 + SLEW) + 1
        before = now


def test_a_clock_that_is_ahead_goes_slower_however_often_it_is_asked() -> None:
    hands = Hands()
    clock = hands.clock()
    hands.wall -= SECOND
    hands.pass_(SECOND)
    before = clock.now()
    for _ in range(2000):
        hands.pass_(5_000_000)
        now = clock.now()
        assert 0 <= now - before <= 5000
        before = now
    assert abs(before * 1000 - hands.wall) < SECOND // 50  # ten seconds on, the second is worked off
    assert abs(clock.skew) < 0.2


def test_it_goes_on_from_where_another_was_and_lets_the_wall_catch_up() -> None:
    hands = Hands()
    clock = hands.clock()
    later = 1_800_000_000_000_000 + 60 * 1_000_000
    clock.not_before(later)
    assert clock.now() == later
    clock.not_before(later - 5)
    assert clock.now() == later
    hands.pass_(10 * SECOND)
    assert clock.now() == later + 9_000_000  # ten seconds passed, one was worked off
    for _ in range(700):
        hands.pass_(SECOND)
        clock.now()
    assert clock.now() == hands.wall // 1000
