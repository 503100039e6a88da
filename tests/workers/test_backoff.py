"""How long is waited before something is started again."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.backoff import FIRST, LONGEST, WELL, Backoff

DICE = st.floats(0, 1, exclude_max=True)
SHORT = st.floats(0, WELL, exclude_max=True)


@given(st.lists(st.tuples(SHORT, DICE), min_size=1, max_size=20))
def test_it_doubles_within_its_bounds_and_is_jittered_down_only(lives: list[tuple[float, float]]) -> None:
    backoff = Backoff()
    for number, (lived, dice) in enumerate(lives):
        whole = min(FIRST * 2**number, LONGEST)
        assert whole / 2 <= backoff.after(lived, dice) <= whole


@given(st.lists(SHORT, max_size=10), st.floats(WELL, 1e6))
def test_a_life_of_a_minute_begins_anew(lives: list[float], sound: float) -> None:
    backoff = Backoff()
    for lived in lives:
        backoff.after(lived, 0.0)
    assert backoff.after(sound, 0.0) == FIRST
    assert backoff.after(0.0, 0.0) == 2 * FIRST
