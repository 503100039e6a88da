"""Accounts that are forgotten while a ledger is written are forgotten at the same row when it is replayed."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decide import Outcome
from gateway.ledger.record import Opened, Row, Ruled, decode
from gateway.ledger.replay import Replay
from gateway.stores.accounts import MemoryAccounts
from tests.ledger.ledgers import POLICY, START, Written, adopted, fresh, policy_of, replayed

REMEMBERS = POLICY + "  - {id: known, when: day.requests > 1, then: {tag: [known]}}\n"
WEEK = 7 * 86_400


def accounts_of(made: Written) -> MemoryAccounts:
    table = made.steps.accounts
    assert isinstance(table, MemoryAccounts)
    return table


def busy(seed: int, bounds: dict[str, int], count: int) -> Written:
    """Some accounts that show marks, many that come and go, some that are refused; at times nobody comes for long."""
    chance, made, at = random.Random(seed), Written(REMEMBERS, bounds), 0.0
    for number in range(count):
        at += chance.choice([0, 1, 60, 600]) if number % 40 else chance.choice([WEEK / 7, WEEK])
        if made.open and chance.random() < 0.3:
            name = chance.choice(list(made.open))
            made.end(name, at, output=chance.randrange(4000))
            continue
        loud = chance.random() < 0.4
        account = f"loud-{chance.randrange(3)}" if loud else f"a{chance.randrange(60)}"
        marks = {"one_shot": 1, "elicits": 1} if loud else {"one_shot": 1}
        drawn = made.ask(f"r{number}", at, account, marks=marks)
        if chance.random() < 0.2 and drawn is not None and drawn.ok:
            made.end(f"r{number}", at, outcome=Outcome("done", 401, 401, limits=drawn.readings))
    return made


def begins(rows: list[Row], **changes: Any) -> list[Row]:
    return [msgspec.structs.replace(row, **changes) if isinstance(row, Opened) else row for row in rows]


@pytest.mark.parametrize("bounds", [{"memory": 60_000}, {"accounts": 12, "memory": 1 << 20}, {"accounts": 12}])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_the_same_rows_evict_the_same_accounts(bounds: dict[str, int], seed: int) -> None:
    made = busy(seed, bounds, 250)
    replay, _ = replayed(made.rows)
    assert (replay.tally.first, replay.tally.errors) == (None, 0)
    ours, theirs = accounts_of(made), replay._steps.accounts
    assert isinstance(theirs, MemoryAccounts)
    assert sum(ours.evicted.values()) > 0
    assert (ours.evicted, ours.bytes) == (theirs.evicted, theirs.bytes)
    names = [f"a{at}" for at in range(60)]
    assert [ours.standing(name) for name in names] == [theirs.standing(name) for name in names]


def test_another_budget_than_the_header_names_would_differ() -> None:
    made = busy(1, {"memory": 60_000}, 400)
    assert replayed(made.rows)[0].tally.first is None
    for memory in (0, 40_000):
        first = replayed(begins(made.rows, memory=memory))[0].tally.first
        assert first is not None
        assert first.cause == ""


OLD = """
{"type":"opened","seq":1,"now":NOW,"version":"0.1.0","instance":"i","pepper":"2bee6106","accounts":100000,"probation":4096,"cells":1000000,"store":"memory","engine":1}
{"type":"adopted","seq":2,"now":NOW,"digest":"DIGEST","id":"made","version":"","source":"made.yaml","files":{"made.yaml":TEXT}}
{"type":"ruled","seq":3,"now":NOW,"request":"r1","policy":"DIGEST","facts":{"caller":{"account":"a","key":"7cb0f2db6f18aeb4","known":true,"source":"key"},"seen":{"v":1,"dialect":"openai_chat","op":"chat","route":"/v1/chat/completions","model":"m","messages":2,"temperature":1.0,"bytes":352,"chars":400}},"verdict":{"effects":{},"readings":{"day.requests":READ},"draws":[],"input":109,"output":1000}}
{"type":"settled","seq":4,"now":NOW,"request":"r1","account":"a","outcome":{"end":"done","status":200,"upstream_status":200,"usage":{"input":93,"output":543,"source":"upstream"}}}
{"type":"ruled","seq":5,"now":NOW,"request":"r2","policy":"DIGEST","facts":{"caller":{"account":"a"},"seen":{"op":"chat","model":"m","messages":2,"chars":400}},"verdict":{"effects":{},"readings":{"day.requests":2.0},"draws":[],"input":108,"output":1000}}
"""  # rows as version 0.1.0 wrote them, before the core's second engine: without marks, prints, memory
PLAIN = "gauger: 1\npolicy: {id: made}\nrules: [{id: many, when: day.requests > 5, then: {tag: [many]}}]\n"


def old(read: str) -> Iterator[Row]:
    text = OLD.replace("NOW", str(START)).replace("DIGEST", policy_of(PLAIN).digest).replace("READ", read)
    for line in text.replace("TEXT", msgspec.json.encode(PLAIN).decode()).strip().splitlines():
        yield decode(line.encode())


def test_rows_of_the_first_engine_are_read() -> None:
    replay = Replay(None, adopted, fresh)
    for row in old("1.0"):
        replay.step(row)
    assert (replay.tally.engines, replay.tally.compared, replay.tally.first) == ((1,), 2, None)
    ruled = [row for row in old("1.0") if isinstance(row, Ruled)]
    assert [(row.facts.seen.marks, row.facts.seen.asks, row.facts.returned) for row in ruled] == [({}, (), 0)] * 2
    opened = next(old("1.0"))
    assert isinstance(opened, Opened)
    assert (opened.memory, opened.engine) == (0, 1)


def test_where_they_differ_the_engine_is_named() -> None:
    replay = Replay(None, adopted, fresh)
    for row in old("1.5"):
        replay.step(row)
    assert replay.tally.first is not None
    assert replay.tally.first.cause == "engine"
    said = "differs by engine (1 recorded, this is 5): verdict.readings.day.requests: 1.5 recorded, 1.0 now"
    assert replay.tally.first.what == said
