"""A record as bytes: what comes back is what was told, to the bit."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns.form import LONGEST, OtherVersion, Unreadable, habits_of, packed, read, record
from gateway.campaigns.habits import Habits
from gateway.campaigns.tables import Campaigns
from gateway.gauges import PANEL
from tests.campaigns.shared import Worker
from tests.campaigns.worlds import DAY, HOUR, SECOND, T0, WEEK, called, fill

FIELDS = ("since", "first", "last", "faded", "known", "fresh", "requests", "count", "row", "cells", "frames", "born")


def same(one: Habits, other: Habits) -> None:
    for name in (*FIELDS, "account", "owner", "seconds"):
        assert getattr(one, name) == getattr(other, name), name


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    account=st.text(min_size=1, max_size=40),
    org=st.one_of(st.none(), st.text(max_size=20)),
)
def test_what_comes_back_is_what_was_told(seed: int, account: str, org: str | None) -> None:
    tables, now, chance = Campaigns(lambda account: b""), T0, random.Random(seed)
    who = called(account, net="n", at=now, org=org)
    for at in range(chance.randrange(1, 60)):
        more: dict[str, Any] = {"opening": chance.choice((0, 2**53 - 1)), "words": tuple(range(chance.randrange(9)))}
        lines = chance.choice((0, 0, 1, 50_000, 2**62))
        op = "batch" if lines else "chat"
        tables.saw(who, fill(chance.randrange(5), at, params=chance.randrange(3), op=op, lines=lines, **more), now)
        now += chance.choice((0, SECOND, 2 * HOUR, WEEK, 400 * DAY))
    (before,) = tables.records()
    before.shares()
    data = record(account, now, packed(before), 77, b"", (b"one", b""))
    found, part = read(data, "w")
    before.requests = min(before.requests, 1 << 62)
    same(found, before)
    assert (part.worker, part.at, part.name, part.counted, part.bonds) == ("w", now, 77, b"", (b"one", b""))
    assert packed(habits_of(account, part.habits)) == part.habits
    assert len(data) < LONGEST


def test_the_counts_of_a_row_come_back_and_fade() -> None:
    worker = Worker()
    for at in range(30):
        worker.saw(called("a"), fill("frame", at, marks=("one_shot", "elicits")), T0 + at)
    row = worker.rows["a"]
    counted = PANEL.counted(row)
    assert len(counted) < 250
    for later in (0, 10**9, 10**12):
        assert PANEL.heard(counted, T0 + 29 + later).counts == pytest.approx(PANEL.read_at(row, T0 + 29 + later).counts)
    assert PANEL.counted(b"") == b""


@pytest.mark.parametrize("bad", [b"", b"\0" * 24, b"\xff" * 60, b"\0" * 25])
def test_counts_of_other_signals_are_refused(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"counts|signals"):
        PANEL.heard(bad, T0)


def test_counts_of_other_signals_are_left_out_of_a_record() -> None:
    worker = Worker()
    worker.saw(called("a"), fill("frame", 1), T0)
    (made,) = worker.tables.records()
    counted = PANEL.counted(worker.rows["a"])
    assert read(record("a", T0, packed(made), 0, counted), "w")[1].counted == counted
    assert read(record("a", T0, packed(made), 0, b"none" + counted[4:]), "w")[1].counted == b""


def test_what_is_no_record_is_told_from_what_is_of_another_version() -> None:
    for bad in (b"", b"\1", b"\1" * 400, b"\1" + bytes(20)):
        with pytest.raises(Unreadable):
            read(bad, "w")
    for other in (b"\2", bytes(40)):
        with pytest.raises(OtherVersion):
            read(other, "w")
