"""What holds of every signal of campaigns, whatever comes: it has its card, it is bounded, it says the same again."""

import re
import tracemalloc
from math import isfinite
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns import signals
from gateway.campaigns.bonds import BONDS
from gateway.campaigns.habits import CELLS, Habits
from gateway.campaigns.readings import NAMES
from gateway.campaigns.signals import Bond
from gateway.catalogue import CARDS, KEYS
from gateway.gauges import PANEL
from gateway.observe import Observation
from gateway.signals import Slab
from tests.campaigns.signals.steps import DAY, T0, WEEK, looked, member, slab_of

YEAR = 365 * DAY
MEMBERS = 5_000  # of a campaign of all accounts that a small gateway remembers
BYTES = {"shared_recipe": 4_096, "partition": 400_000, "balance": 2_000_000, "marked": 8_192}
"""What each may hold with so many members; of X3 a number a member in two tables, of X2 256 prompts."""
MOST = {"campaign.partition": 100.0, "campaign.exclusive_share": 1.0}

SLABS = [
    None,
    slab_of(0),
    slab_of(3, {"elicits": 3}),
    slab_of(9, {"elicits": 1, "generates": 9}),
    slab_of(12, {"prefers": 6, "banked": 2}),
]
accounts = st.sampled_from([f"a{number}" for number in range(7)])
prompts = st.one_of(st.integers(0, 6), st.integers(0, 2**53), st.integers(1, 300).map(lambda n: n << 40))
waits = st.one_of(st.sampled_from((0, 1, DAY, -DAY, -20 * YEAR, 50 * YEAR, YEAR)), st.integers(0, 10**10))
requests = st.tuples(accounts, st.lists(prompts, max_size=5).map(tuple), waits)
words = st.one_of(
    st.just(bytes(CELLS)),
    st.binary(min_size=CELLS, max_size=CELLS),
    st.integers(0, CELLS - 1).map(lambda at: bytes(255 * (each == at) for each in range(CELLS))),
)
records = st.builds(
    member,
    accounts,
    share=st.floats(0.0, 1.0),
    born=st.booleans(),
    made=st.one_of(st.none(), st.integers(-YEAR, 30 * YEAR)),
    words=words,
)
steps = st.lists(requests, max_size=60)
seen = st.lists(st.tuples(records, st.sampled_from(SLABS)), max_size=12)


def walked(bond: Bond, path: list[tuple[str, tuple[int, ...], int]]) -> Bond:
    """A signal whose members have asked this."""
    now = T0
    for account, found, wait in path:
        now += wait
        bond.saw(account, Observation(asks=found), now)
    return bond


def of(bond: Bond, members: list[tuple[Habits, Slab | None]]) -> dict[str, float]:
    return looked(bond, [habits for habits, _ in members], [slab for _, slab in members])


@pytest.mark.parametrize("file", BONDS)
def test_every_signal_has_its_card_and_its_readings_have_words(file: str) -> None:
    card = CARDS[file]
    assert (card.code, card.family, card.path) == (
        BONDS[file].code,
        "campaign",
        f"gateway/campaigns/signals/{file}.py",
    )
    assert all(getattr(card, key.replace("-", "_")) for key in KEYS)
    assert re.fullmatch(r"X\d+", card.code)
    assert [each.name for each in card.readings] == [f"campaign.{gauge.name}" for gauge in BONDS[file].gauges]
    assert all(each.words and each.doc and each.missing for each in card.readings)
    assert all(each.name.removeprefix("campaign.") in NAMES for each in card.readings)


def test_every_file_of_the_folder_is_a_signal() -> None:
    found = {path.stem for path in Path(next(iter(signals.__path__))).glob("*.py")} - {"__init__"}
    assert set(BONDS) == found == set(BYTES)


@pytest.mark.parametrize("file", BONDS)
@settings(deadline=None, max_examples=150)
@given(path=steps, members=seen)
def test_whatever_comes_every_reading_is_a_number_or_missing(
    file: str, path: list[tuple[str, tuple[int, ...], int]], members: list[tuple[Habits, Slab | None]]
) -> None:
    made = of(walked(BONDS[file](), path), members)
    gauges = {gauge.name: gauge for gauge in BONDS[file].gauges}
    for name, value in made.items():
        gauge = gauges[name.removesuffix(".hits").removesuffix(".of")]
        assert gauge.share == (name != gauge.name), name
        assert isfinite(value) and 0.0 <= value <= MOST.get(f"campaign.{name}", 1e9), name
    for name, gauge in gauges.items():
        if gauge.share and f"{name}.of" in made:
            assert made[f"{name}.hits"] <= made[f"{name}.of"] <= len(members)


@pytest.mark.parametrize("file", BONDS)
@settings(deadline=None, max_examples=60)
@given(path=steps, members=seen)
def test_the_same_steps_say_the_same_and_looking_twice_changes_nothing(
    file: str, path: list[tuple[str, tuple[int, ...], int]], members: list[tuple[Habits, Slab | None]]
) -> None:
    one = walked(BONDS[file](), path)
    first = of(one, members)
    assert of(one, members) == first
    assert of(walked(BONDS[file](), path), members) == first


@pytest.mark.parametrize("file", BONDS)
def test_memory_is_bounded_however_hostile_its_members_are(file: str) -> None:
    """A hundred thousand requests of five thousand members, no prompt twice, the clock jumping to and fro."""
    names = [f"acct-{number:05}" for number in range(MEMBERS)]
    chance = Random(7)
    slab = SLABS[3]
    habits = member("m", born=True, made=0, words=[chance.randrange(256) for _ in range(CELLS)])
    now = T0
    tracemalloc.start()
    try:
        bond = BONDS[file]()
        before = tracemalloc.get_traced_memory()[0]
        for at in range(100_000):
            now += chance.choice((0, 0, 0, 0, 1, 900_000_000, -WEEK)) if at % 1000 else chance.choice((DAY, -YEAR))
            bond.saw(names[at % MEMBERS], Observation(asks=(chance.getrandbits(53), chance.getrandbits(53))), now)
            if not at % 20_000:
                bond.begin()
                for _ in range(MEMBERS):
                    bond.member(habits, slab)
                bond.read()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held <= BYTES[file]


def test_no_reading_has_the_name_of_one_of_accounts() -> None:
    """`campaign.NAME` is a campaign's own, or an account's over all members: never both."""
    own = {gauge.name for bond in BONDS.values() for gauge in bond.gauges}
    assert own.isdisjoint(PANEL.readings)
    assert len(own) == sum(len(bond.gauges) for bond in BONDS.values())
