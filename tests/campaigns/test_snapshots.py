"""What is known of a campaign: its members' rows added up, and read by the names that conditions know."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns import Campaign
from gateway.campaigns.pool import NUMBERS, POOLED, SHARES, Pool
from gateway.campaigns.readings import NAMES, read
from gateway.gauges import PANEL
from tests.campaigns.worlds import DAY, HOUR, SECOND, T0, WEEK, World
from tests.signals.traces import ANSWERED, BUSY, Account, ask, batch

NOW = T0 + DAY
EMPTY = Campaign("campaign-0", 1, 5, 5, T0)


def row(asked: int, *, marks: tuple[str, ...] = ("one_shot",), answers: int | None = None) -> bytes:
    """The row of an account that asked so much, and got so many answers (all of them, if it isn't said)."""
    account = Account(PANEL)
    for at in range(asked):
        account.turn(ask((asked, at), marks=marks), ANSWERED if answers is None or at < answers else BUSY)
    return account.row


def pooled(*rows: bytes, now: int = NOW) -> dict[str, float]:
    pool = Pool(now)
    for each in rows:
        pool.add(each)
    return pool.read(None)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["elicits", "generates", "wide"])), max_size=6))
def test_counts_of_members_add_up(members: list[tuple[int, str]]) -> None:
    rows = [row(count, marks=("one_shot", mark)) for count, mark in members if count]
    found = pooled(*rows)
    slabs = [PANEL.read_at(each, NOW) for each in rows]
    assert found.get("week.requests", 0.0) == pytest.approx(sum(slab.generating for slab in slabs), abs=0.001)
    for name in SHARES:
        share = PANEL.readings[name]
        assert share.hits is not None
        assert found.get(f"{name}.hits", 0.0) == pytest.approx(
            sum(map(share.hits, slabs)), abs=0.002 * len(rows) + 0.001
        )


def test_one_member_reads_as_by_itself() -> None:
    alone = PANEL.read_at(row(10, marks=("one_shot", "elicits")), NOW)
    found = pooled(row(10, marks=("one_shot", "elicits")))
    for name in NUMBERS:
        value = PANEL.readings[name].get(alone)
        assert found.get(name, 0.0) == pytest.approx(value or 0.0, abs=0.001), name


def test_the_order_of_members_does_not_matter_but_for_rounding() -> None:
    rows = [row(count) for count in (3, 5, 8)]
    assert pooled(*rows) == pytest.approx(pooled(*reversed(rows)), abs=0.002)


def test_who_is_forgotten_counts_nothing() -> None:
    assert pooled(b"", row(4), b"") == pooled(row(4))
    assert pooled(b"") == {}
    assert Pool(NOW).add(b"") is None


def test_members_that_have_stopped_fade() -> None:
    """A week later 1/e of it is left: what is pooled is what the members' own readings would say then."""
    before, after = pooled(row(10), now=T0), pooled(row(10), now=T0 + WEEK)
    assert after["week.requests"] == pytest.approx(before["week.requests"] * 0.368, rel=0.01)


def test_a_batch_counts_by_its_lines() -> None:
    account = Account(PANEL)
    account.turn(batch(0, 500, marks={"elicits": 400}))
    found = pooled(account.row, row(100), now=T0)
    assert found["elicitation_share.hits"] == pytest.approx(400, rel=0.01)
    assert found["elicitation_share.of"] == pytest.approx(600, rel=0.01)


def test_what_is_of_sketches_is_not_pooled() -> None:
    assert {"coverage_growth", "human_gap_share", "bank_test_share"}.isdisjoint(POOLED)
    assert all(name in PANEL.readings for name in POOLED)


def test_names_of_snapshots_are_names_of_conditions() -> None:
    world = World(signals=True)
    world.crowd(40)
    world.hydra(12, times=30, marks=("one_shot", "elicits", "generates", "prefers"))
    (found,) = world.settle()
    assert found.readings
    assert set(found.readings) <= set(NAMES)
    assert found.readings["week.requests"] == pytest.approx(360, rel=0.01)
    assert found.readings["exclusive_share"] == found.readings["template_share"] == 1.0
    assert (found.readings["born_share.hits"], found.readings["born_share.of"]) == (12, 12)
    for name in NAMES:
        value = read(found, name, world.now)
        assert value is None or value >= 0.0, name
    assert read(found, "elicitation_share", world.now) == 1.0
    assert read(found, "elicitation_share.of", world.now) == found.readings["week.requests"]


def test_nothing_is_known_of_no_campaign() -> None:
    assert all(read(None, name, NOW) is None for name in NAMES)


def test_members_owners_and_age_are_always_known() -> None:
    found = Campaign("campaign-0", 7, 40, 38, T0)
    assert read(found, "members", T0) == 40
    assert read(found, "owners", T0) == 38
    assert read(found, "age", T0 + HOUR + SECOND // 2) == 3600.5
    assert read(found, "age", T0 - HOUR) == 0  # a clock that was set back


def test_of_a_share_that_nobody_has_there_are_no_hits_of_all_requests() -> None:
    """0 of 50, where the members' requests are known; else nothing is known."""
    known = Campaign("campaign-0", 1, 5, 5, T0, readings={"week.requests": 50.0})
    assert read(known, "elicitation_share.hits", NOW) == 0.0
    assert read(known, "elicitation_share.of", NOW) == 50.0
    assert read(known, "elicitation_share", NOW) == 0.0
    assert read(EMPTY, "elicitation_share", NOW) is read(EMPTY, "elicitation_share.hits", NOW) is None
    assert read(known, "marked", NOW) is read(known, "born_share.hits", NOW) is None


def test_a_share_is_its_hits_by_what_they_are_of() -> None:
    known = Campaign("c", 1, 5, 5, T0, readings={"marked.hits": 3.0, "marked.of": 7.0})
    assert read(known, "marked", NOW) == 0.429
    none = Campaign("c", 1, 5, 5, T0, readings={"marked.hits": 0.0, "marked.of": 0.0})
    assert read(none, "marked", NOW) is None
