"""Rounding without decimal text: the very bits that `round` gives."""

from math import inf, isnan, nan
from struct import pack

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.policy.rounding import hundredths, thousandths

near = st.builds(  # within a few units in the last place of the middle between two decimals
    lambda count, half, steps: (count + half) / 1000.0 * (1.0 + steps * 2.0**-52),
    st.integers(-(10**7), 10**7),
    st.sampled_from([0.0, 0.5]),
    st.integers(-3, 3),
)


@given(st.one_of(st.floats(), near, st.floats(-100, 100)))
@example(2.675)
@example(0.0005)
@example(-0.004)
@example(-0.0)
@example(4398046511.1045)
@example(43980465111.045)
@example(1e300)
@example(inf)
@example(nan)
def test_it_is_round(x: float) -> None:
    for ours, places in ((hundredths, 2), (thousandths, 3)):
        expected = round(x, places)
        assert pack("<d", ours(x)) == pack("<d", expected) or isnan(expected)


def test_by_hand() -> None:
    assert (hundredths(12.345678), hundredths(-3.006), thousandths(0.6666), thousandths(417.99951)) == (
        *(12.35, -3.01, 0.667, 418.0),
    )
