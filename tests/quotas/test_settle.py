"""A reservation replaced by what was used, against the exact timeline in which the truth had been drawn at once."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.quotas import Draw, Marks, capacity_us, cost_us, draw_rate, first_mark, mark_draw, settle_rate

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
NO_CAP = 10**9  # units; a capacity so large that neither refusal nor debt cap comes into play


def draw_of(cost: int, capacity: int, amount: int = 10, period: int = SECOND) -> Draw:
    return Draw("limit", "limit|1:a", "rate", "tokens.output", amount, period, capacity, cost)


@dataclass
class Cell:
    """One cell as a store keeps it, and beside it every draw with what is known of its cost."""

    tat: int = 0
    marks: Marks = ()
    open: dict[int, Draw] = field(default_factory=dict)
    events: dict[int, tuple[int, int]] = field(default_factory=dict)  # number -> (time, cost in µs as known now)
    number: int = 0

    def draw(self, draw: Draw, now: int) -> int | None:
        before = self.tat
        self.tat, reading = draw_rate(before, draw, now)
        if not reading.ok:
            return None
        self.number += 1
        n = self.number
        self.marks = mark_draw(self.marks, n, draw, before - now) if self.open else first_mark(n)
        self.open[n] = draw
        self.events[n] = (now, min(cost_us(draw, draw.cost), capacity_us(draw)))
        return n

    def settle(self, n: int, actual: int, now: int) -> None:
        draw = self.open.pop(n)
        self.tat, self.marks = settle_rate(self.tat, self.marks, n, draw, actual, now)
        if actual != draw.cost:
            self.events[n] = (self.events[n][0], cost_us(draw, actual))

    def exact(self) -> int:
        tat = 0
        for _, (at, cost) in sorted(self.events.items()):
            tat = max(tat, at) + cost
        return tat


# draw (cost) or settle (which open one, actual), each after some µs
moves = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3), st.integers(0, 8 * SECOND)),
        st.one_of(
            st.tuples(st.just("draw"), st.integers(0, 60), st.just(0)),
            st.tuples(st.just("settle"), st.integers(0, 5), st.integers(0, 80)),
        ),
    ),
    max_size=40,
)


def run(moves: list[tuple[int, tuple[str, int, int]]], capacity: int, *, overrun: bool = True) -> Cell:
    cell, now = Cell(), START
    for wait, (what, which, actual) in moves:
        now += wait
        if what == "draw":
            cell.draw(draw_of(min(which, capacity), capacity), now)
        elif cell.open:
            n = list(cell.open)[which % len(cell.open)]
            cell.settle(n, actual if overrun else min(actual, cell.open[n].cost), now)
        assert max(cell.tat, now) >= max(cell.exact(), now)
    return cell


@settings(max_examples=400)
@given(moves)
def test_no_interleaving_gives_back_more_than_the_exact_timeline_would(
    moves: list[tuple[int, tuple[str, int, int]]],
) -> None:
    run(moves, NO_CAP)


@settings(max_examples=400)
@given(moves, st.integers(16, 120))
def test_a_small_cell_gives_back_no_more_either(moves: list[tuple[int, tuple[str, int, int]]], capacity: int) -> None:
    run(moves, capacity, overrun=False)  # overruns of a small cell meet the debt cap, tested apart


@given(
    st.lists(
        st.tuples(st.integers(0, 8 * SECOND), st.integers(0, 60), st.integers(0, 8 * SECOND), st.integers(0, 80)),
        max_size=30,
    )
)
def test_a_caller_with_one_request_at_a_time_is_charged_exactly_what_he_used(
    requests: list[tuple[int, int, int, int]],
) -> None:
    cell, now = Cell(), START
    for idle, cost, lasts, actual in requests:
        now += idle
        n = cell.draw(draw_of(cost, NO_CAP), now)
        assert n is not None
        now += lasts
        cell.settle(n, actual, now)
        assert max(cell.tat, now) == max(cell.exact(), now)


def test_a_long_answer_in_a_busy_cell_gets_its_whole_surplus_back() -> None:
    cell = Cell()
    first = cell.draw(draw_of(100, 200), START)  # ten seconds of the cell
    second = cell.draw(draw_of(50, 200), START)
    assert first is not None
    assert second is not None
    cell.settle(second, 10, START + 8 * SECOND)  # lasted longer than its own five seconds
    assert cell.tat == START + 11 * SECOND


def test_what_has_drained_is_not_given_back() -> None:
    """The proof that a plain subtraction is wrong: it would erase the third caller's use."""
    cell = Cell()
    first, second = cell.draw(draw_of(100, 200), START), cell.draw(draw_of(50, 200), START)
    assert first is not None
    assert second is not None
    cell.settle(first, 0, START)
    cell.draw(draw_of(100, 200), START + 60 * SECOND)
    cell.settle(second, 0, START + 60 * SECOND)
    assert cell.tat == START + 70 * SECOND


def test_a_saturated_cell_with_many_long_answers_is_used_to_the_full() -> None:
    """Ten answers a second, each reserving three times its use and lasting twenty seconds, for ten minutes."""
    cell, now, live, used = Cell(), START, list[tuple[int, int]](), 0
    for _ in range(6_000):
        now += SECOND // 10
        while live and live[0][0] <= now:
            _, n = live.pop(0)
            cell.settle(n, 10, now)
            used += 10
        n2 = cell.draw(draw_of(30, 1_200, amount=20), now)
        if n2 is not None:
            live.append((now + 20 * SECOND, n2))
        assert len(cell.marks) < 40
    rate = 20 * 600
    assert 0.9 * rate < used <= rate + 1_200
    assert cell.tat >= cell.exact()


def test_debt_is_capped_at_one_period_beyond_a_full_cell() -> None:
    draw = draw_of(10, 60, amount=60, period=60 * SECOND)
    tat, _ = draw_rate(0, draw, START)
    tat, _ = settle_rate(tat, first_mark(1), 1, draw, 1_000_000, START)
    assert tat == START + 60 * SECOND + 60 * SECOND
    assert draw_rate(tat, draw, START)[1].wait == 70 * SECOND


def test_an_overrun_of_a_cell_that_is_deeper_in_debt_already_pardons_nothing() -> None:
    draw = draw_of(10, 60, amount=60, period=60 * SECOND)
    deep = START + 500 * SECOND
    assert settle_rate(deep, first_mark(1), 1, draw, 11, START)[0] == deep


@given(moves)
def test_the_stairs_of_marks_rise_and_stay_short(moves: list[tuple[int, tuple[str, int, int]]]) -> None:
    cell = run(moves, 120, overrun=False)
    levels = [least for _, least in cell.marks]
    starts = [start for start, _ in cell.marks]
    assert levels == sorted(set(levels))
    assert starts == sorted(set(starts))
    assert len(levels) <= 18
