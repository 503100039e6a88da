"""What holds of every signal, whatever comes: it is bounded, it forgets evenly, and it is a function of what came."""

import re
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import signals
from gateway.catalogue import CARDS
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.panel import Panel
from gateway.signals import DAY, GENERATES, HOUR, Ended, Read, Signal, Slab
from tests.signals.traces import ANSWERED, FAILED, SECOND, T0, Account, alone, ask, batch, mark, print_of

YEAR = 365 * DAY
MARKS = sorted({name for signal in PANEL.signals.values() for name in signal.marks} | {"tiny", "biased", "seeded"})
OPS = ("chat", "text_completion", "generate_content", "embeddings", "count_tokens", "upload", "opaque")
POOL = [0, *(print_of("pool", n) for n in range(8))]
huge = st.one_of(st.integers(0, 3), st.integers(0, 2**53), st.just(2**63 - 1))
prints = st.sampled_from(POOL)
SOME = st.lists(st.sampled_from(POOL[1:]), unique=True, max_size=4).map(lambda found: tuple(sorted(found)))
TOKENS = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**40)), unique=True, max_size=64)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Whatever `observe` may make: marks count at most the lines, and what is tested is banked."""
    lines = draw(st.sampled_from((0, 0, 0, 0, 1, 7, 50_000, 2**40)))
    weight = lines or 1
    marks = draw(st.dictionaries(st.sampled_from(MARKS), st.integers(1, weight), max_size=6))
    if "tested" in marks:
        marks["banked"] = max(marks["tested"], marks.get("banked", 0))
    asks = draw(SOME)
    bias = tuple(sorted(draw(TOKENS)))
    biased = draw(st.integers(0, weight))
    if bias and biased:
        marks["biased"] = biased
    fields: dict[str, Any] = {name: draw(huge) for name in ("n", "prompts", "chars", "fresh", "bytes", "messages")}
    return Observation(
        op="batch" if lines else draw(st.sampled_from(OPS)),
        lines=lines,
        marks=marks,
        asks=asks,
        distinct=draw(st.integers(len(asks), max(len(asks), weight))) if asks else 0,
        pieces=draw(SOME),
        head=draw(prints),
        tail=draw(prints),
        system=draw(prints),
        params=draw(prints),
        said=draw(prints),
        user=draw(prints),
        spelled=draw(st.integers(0, 30)),
        bias=bias,
        client=draw(st.sampled_from(("", "curl", "python-client"))),
        temperature=draw(st.sampled_from((None, 0.0, 0.7, 1e300))),
        **fields,
    )


ends = st.builds(
    Ended,
    ok=st.booleans(),
    refused=st.booleans(),
    status=st.sampled_from((0, 200, 400, 403, 429, 500, 503)),
    input=huge,
    output=huge,
    reasoning=huge,
    full=st.one_of(st.none(), st.floats(-10.0, 10.0)),
)
waits = st.one_of(
    st.sampled_from((0, 1, 40_000, SECOND, 60 * SECOND, HOUR, DAY, -SECOND, -DAY, -20 * YEAR, YEAR, 50 * YEAR)),
    st.integers(0, 20 * SECOND),
)
Step = tuple[str, int, Observation, Ended, int]
steps = st.lists(
    st.tuples(st.sampled_from(("asked", "ended", "malformed")), waits, observations(), ends, st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


def walked(panel: Panel, path: list[Step]) -> Account:
    """An account that has gone this way. A request that ends has begun."""
    account = Account(panel)
    for kind, wait, seen, end, returned in path:
        account.now += wait
        if kind == "malformed":
            account.malformed(seen)
        else:
            account.asked(seen, returned, continued=returned > 2)
        if kind == "ended":
            account.now += abs(wait) % DAY
            account.ended(seen, end)
    return account


@settings(deadline=None, max_examples=80)
@given(steps)
def test_whatever_comes_every_reading_is_a_number_or_missing(path: list[Step]) -> None:
    account = walked(PANEL, path)
    assert len(account.row) == PANEL.size
    for name, read in PANEL.readings.items():
        value = account.read(name)
        assert (value is None and read.missing) or (value is not None and isfinite(value) and value >= 0.0), name
        if read.unit == "share" and value is not None:
            assert value <= 1.0 + 1e-5, name
        if read.hits is not None:
            hits, of = account.hits(name)
            assert 0.0 <= hits <= of * (1.0 + 1e-5) + 1e-30, name


@settings(deadline=None, max_examples=40)
@given(steps)
def test_the_same_steps_make_the_same_row(path: list[Step]) -> None:
    assert walked(PANEL, path).row == walked(Panel({n: type(s)() for n, s in PANEL.signals.items()}), path).row


@settings(deadline=None, max_examples=40)
@given(steps, observations())
def test_a_row_says_what_its_slab_said(path: list[Step], seen: Observation) -> None:
    account = walked(PANEL, path)
    slab = account.asked(seen)
    for name, read in PANEL.readings.items():
        said, kept = read.get(slab), account.read(name)
        assert (said is None) == (kept is None), name
        assert said is None or kept == pytest.approx(said, rel=1e-6, abs=1e-35), name


@settings(deadline=None, max_examples=40)
@given(steps)
def test_time_alone_changes_no_share(path: list[Step]) -> None:
    account = walked(PANEL, path)
    account.now = max(account.now, account.panel.unpack(account.row).times[0])  # the row's own time
    before = {name: account.read(name) for name, read in PANEL.readings.items() if read.hits is not None}
    plenty = {name for name in before if account.hits(name)[1] > 1e-6}
    account.now += 3 * DAY
    for name in plenty:
        assert account.read(name) == pytest.approx(before[name], rel=1e-4, abs=1e-9), name


@settings(deadline=None, max_examples=40)
@given(steps, observations())
def test_what_is_refused_unread_moves_only_the_signals_that_say_so(path: list[Step], seen: Observation) -> None:
    account = walked(PANEL, path)
    account.now = account.panel.unpack(account.row).times[0]
    before, after = PANEL.unpack(account.row), PANEL.unpack(PANEL.pack(account.malformed(seen)))
    mine = {at for signal in PANEL.signals.values() if signal.malformed for at in signal.at}
    assert {at for at in range(len(before.counts)) if before.counts[at] != after.counts[at]} <= mine
    for signal in PANEL.signals.values():
        if not signal.malformed:
            sketch = slice(signal.start, signal.start + signal.sketch)
            assert before.bytes[sketch] == after.bytes[sketch]
            assert [before.times[at] for at in signal.when] == [after.times[at] for at in signal.when]


class Breaks(Signal):
    """Goes wrong in the middle of a step."""

    code = "Z1"
    family = "content"
    counters = (("touched", "week"),)

    def asked(self, slab: Slab, seen: Observation, who: Caller) -> None:
        slab.counts[self.at[0]] += 1.0
        if "breaks" in seen.marks:
            raise RuntimeError("broken")

    def readings(self) -> tuple[Read, ...]:
        return (Read("touched", "", lambda s: s.counts[self.at[0]]),)


def test_a_step_that_breaks_leaves_the_row_as_it_was() -> None:
    parts = {name: type(signal)() for name, signal in PANEL.signals.items()}
    account = Account(Panel({**parts, "zz": Breaks()}))
    for n in range(3):
        account.turn(ask(n))
    row = account.row
    with pytest.raises(RuntimeError):
        account.asked(ask(3, marks=("breaks",)))
    assert account.row == row
    account.asked(ask(3))
    assert account.value("touched") == pytest.approx(4.0, rel=1e-4)


Turn = Callable[[Account], object]


def marked(name: str) -> tuple[Turn, Turn]:
    return lambda a: a.turn(ask(marks=(name,))), lambda a: a.turn(ask(marks=()))


def fed(a: Account) -> None:
    a.asked(ask(), 1)
    a.wait(5.0)


def unfed(a: Account) -> None:
    a.asked(ask())
    a.wait(5.0)


def prompt(a: Account) -> None:
    a.turn(ask(), then=0.01)
    a.turn(ask(), then=57.99)


def late(a: Account) -> None:
    a.turn(ask(), then=30.0)
    a.turn(ask(), then=28.0)


def again(a: Account) -> None:
    a.turn(ask("x"), FAILED, then=0.5)
    a.turn(ask("x"), then=0.5)


def apart(a: Account) -> None:
    a.turn(ask("x"), FAILED, then=0.5)
    a.turn(ask("y"), then=0.5)


def flood(a: Account) -> None:
    a.turn(ask(marks=("empty",), chars=0), took=0.0, then=0.0)
    for n in range(60):
        a.turn(ask(n), took=0.1, then=0.0)


def trickle(a: Account) -> None:
    a.turn(ask(marks=("empty",), chars=0), took=0.0, then=0.0)
    a.turn(ask(0), took=6.0, then=0.0)


def fresh_token(a: Account) -> None:
    a.turn(mark(ask(bias=(a.now,)), biased=1))


RICH = ANSWERED._replace(output=4000)
POOR = ANSWERED._replace(output=4)
HITS: dict[str, tuple[Turn, Turn]] = {
    "closed_loop": (prompt, late),
    "exposure": (lambda a: a.turn(ask(a.now)), lambda a: a.turn(ask(a.now), FAILED)),
    "fed_back": (fed, unfed),
    "logit_bias_probe": (fresh_token, lambda a: a.turn(ask())),
    "output_mass": (lambda a: a.turn(ask(), RICH), lambda a: a.turn(ask(), POOR)),
    "probe_then_flood": (flood, trickle),
    "quota_riding": (
        lambda a: a.turn(ask(), ANSWERED._replace(full=0.9)),
        lambda a: a.turn(ask(), ANSWERED._replace(full=0.1)),
    ),
    "retry_depth": (again, apart),
    "tenure_use": (lambda a: a.turn(ask(), RICH), lambda a: a.turn(ask(), POOR)),
    "volume": (lambda a: a.turn(ask()), lambda a: a.wait(5.0)),
    **{name: marked(signal.marks[0]) for name, signal in PANEL.signals.items() if signal.marks},
}
"""Of each monotone signal a turn that its first reading counts, and one as long that it doesn't."""


@pytest.mark.parametrize("name", [name for name, signal in PANEL.signals.items() if signal.monotone])
@settings(deadline=None, max_examples=15)
@given(past=st.lists(st.booleans(), max_size=12))
def test_one_hit_more_never_lowers_the_first_reading(name: str, past: list[bool]) -> None:
    hit, miss = HITS[name]
    panel = alone(type(PANEL.signals[name])())
    first = next(iter(panel.readings))
    who = Caller("acct", created=T0 // SECOND - 86_400)
    with_hit, without = Account(panel, who=who), Account(panel, who=who)
    for account, last in ((with_hit, hit), (without, miss)):
        for was in past:
            (hit if was else miss)(account)
        last(account)
    assert with_hit.now == without.now
    assert (with_hit.read(first) or 0.0) >= (without.read(first) or 0.0) - 1e-6


def test_every_turn_of_the_table_counts() -> None:
    for name, (hit, miss) in HITS.items():
        panel = alone(type(PANEL.signals[name])())
        first = next(iter(panel.readings))
        found = []
        for last in (hit, miss):
            account = Account(panel, who=Caller("acct", created=T0 // SECOND - 86_400))
            miss(account)
            last(account)
            found.append(account.value(first))
        assert found[0] > found[1], name


@pytest.mark.parametrize("name", PANEL.signals)
def test_a_card_says_what_the_signal_keeps(name: str) -> None:
    signal = PANEL.signals[name]
    said = CARDS[name].state
    kept = 4 * (len(signal.marks) + len(signal.counters)) + 8 * len(signal.stamps) + signal.sketch
    figure = re.match(r"(\d+) bytes", said)
    assert int(figure[1]) == kept if figure else (kept == 0 and "nothing of its own" in said)


def test_an_account_fits_in_two_kibibytes() -> None:
    assert PANEL.size <= 2048


def test_every_file_of_the_folder_is_a_signal() -> None:
    found = {path.stem for path in Path(next(iter(signals.__path__))).glob("*.py")} - {"__init__"}
    assert set(PANEL.signals) == found


def test_a_batch_counts_for_its_lines() -> None:
    account = Account(PANEL)
    account.asked(batch(0, 40, marks={"one_shot": 30}))
    account.asked(ask(99))
    assert account.hits("one_shot_share") == (31, 41)
    assert {"batch", "chat"} <= GENERATES
