"""The ledger read again: the same policy agrees on every row, and whatever was changed is found and named."""

import random
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.actions import Effects
from gateway.decide import Outcome, Reflection
from gateway.errors import Mistake
from gateway.ledger.differ import difference
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Row, Ruled, Settled
from gateway.ledger.replay import Replay
from gateway.ledger.steps import action_of, score_of, word_of
from gateway.observe import Observation
from gateway.quotas import Draw
from tests.ledger.ledgers import POLICY, START, Written, adopted, busy, fresh, policy_of, replayed, steady

replace = msgspec.structs.replace
DRAW = Draw("few", "few|1:a", "rate", "requests", 1, 1, 1, 1)


def is_of(row: Row, request: str, kind: type[Ruled] | type[Settled]) -> bool:
    return isinstance(row, kind) and row.request == request


def changed(rows: list[Row], request: str, kind: type[Ruled] | type[Settled], **changes: Any) -> list[Row]:
    return [replace(row, **changes) if is_of(row, request, kind) else row for row in rows]


def of(rows: list[Row], request: str, kind: type[Ruled] | type[Settled]) -> Any:
    return next(row for row in rows if is_of(row, request, kind))


def test_interleaved_requests_agree_with_the_policy_that_judged_them() -> None:
    made = busy()
    replay, judged = replayed(made.rows)
    tally = replay.tally
    assert (tally.differences, tally.first, tally.gaps, tally.unsettled) == (0, None, 0, 0)
    assert tally.requests == tally.compared == len(judged) == 25
    actions = {action_of(each.verdict, each.limits) for each in judged}
    assert actions == {"allow", "tag", "limit"}
    assert all(not each.other for each in judged)


def test_naming_the_same_policy_compares_too() -> None:
    made = busy()
    replay, _ = replayed(made.rows, policy_of(POLICY))
    assert (replay.tally.compared, replay.tally.differences) == (25, 0)


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_any_interleaving_agrees(seed: int) -> None:
    chance, made, at = random.Random(seed), Written(), 0.0
    for number in range(30):
        at += chance.choice([0, 0.01, 0.4, 3, 90])
        if made.open and chance.random() < 0.5:
            made.end(chance.choice(list(made.open)), at, output=chance.randrange(4000))
        else:
            made.ask(f"r{number}", at, chance.choice("ab"), n=chance.randint(1, 3))
    replay, _ = replayed(made.rows)
    assert replay.tally.first is None
    assert replay.tally.unsettled == len(made.open)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("verdict", "block", "verdict.verdict: block recorded, allow now"),
        ("action", "tag", "verdict.action: tag recorded, allow now"),
        ("effects", Effects(tags=("late",)), "verdict.effects.tags: "),
        ("effects", Effects(throttle={"few": 0.5}), "verdict.effects.throttle.few: 0.5 recorded, nothing now"),
        ("would", Effects(), "verdict.would: {} recorded, null now"),
        ("refuse", "blocked", "verdict.refuse: blocked recorded"),
        ("rules", ("choices",), 'verdict.rules: ["choices"] recorded, [] now'),
        ("shadow", ("warm",), 'verdict.shadow: ["warm"] recorded, [] now'),
        ("excepted", {"choices": "team"}, "verdict.excepted.choices: team recorded, nothing now"),
        ("missing", {"choices": ("hour.requests",)}, 'verdict.missing.choices: ["hour.requests"] recorded'),
        ("scores", {"extraction": 3.1}, "verdict.scores.extraction: 3.1 recorded, nothing now"),
        ("evidence", {"extraction": {"sweep": 2.0}}, "verdict.evidence.extraction: "),
        ("campaign", {"extraction": 1.5}, "verdict.campaign.extraction: 1.5 recorded, nothing now"),
        ("together", {"extraction": {"one-pool": 2.0}}, "verdict.together.extraction: "),
        ("readings", {"day.requests": 4.0}, "verdict.readings.day.requests: 4.0 recorded, nothing now"),
        ("draws", (DRAW,), "verdict.draws: "),
        ("input", 1, "verdict.input: 1 recorded, 101 now"),
        ("output", 7, "verdict.output: 7 recorded, 1000 now"),
        ("owed", 7, "verdict.owed: 7 recorded, 0 now"),
        ("error", "KeyError", 'verdict.error: KeyError recorded, "" now'),
        ("batch", Observation(op="batch"), "verdict.batch: "),
    ],
)
def test_each_field_of_a_verdict_that_was_changed_is_named(field: str, value: object, named: str) -> None:
    made = Written()
    for at, name in enumerate(("r0", "r1", "r2")):
        made.call(name, at, temperature=1.0)
    verdict = of(made.rows, "r1", Ruled).verdict
    rows = changed(made.rows, "r1", Ruled, verdict=replace(verdict, **{field: value}))
    first = replayed(rows)[0].tally.first
    assert first is not None
    assert (first.seq, first.request, first.account, first.cause) == (5, "r1", "a", "")
    assert first.what.startswith(named)


def test_every_field_of_a_verdict_is_in_that_table() -> None:
    marks = test_each_field_of_a_verdict_that_was_changed_is_named.pytestmark  # type: ignore[attr-defined]
    tried = {case[0] for mark in marks for case in mark.args[1]}
    verdict = of(busy().rows, "last", Ruled).verdict
    assert tried == set(verdict.__struct_fields__)


def test_a_changed_answer_of_a_limit_is_named() -> None:
    made = busy()
    outcome = of(made.rows, "x3", Settled).outcome
    limits = (replace(outcome.limits[0], left=99), *outcome.limits[1:])
    first = replayed(changed(made.rows, "x3", Settled, outcome=replace(outcome, limits=limits)))[0].tally.first
    assert first is not None
    assert first.what.startswith("limits.few.left: 99 recorded, ")


def test_what_went_back_to_a_limit_is_checked() -> None:
    made = busy()
    outcome = of(made.rows, "x1", Settled).outcome
    first = replayed(changed(made.rows, "x1", Settled, outcome=replace(outcome, settled={"few": 0})))[0].tally.first
    assert first is not None
    assert first.what.startswith("settled.")


def test_what_an_answer_was_said_to_be_is_checked() -> None:
    made = busy()
    first = replayed(changed(made.rows, "x1", Settled, reflection=Reflection(tags=("odd",))))[0].tally.first
    assert first is not None
    assert first.what == 'reflection.tags: ["odd"] recorded, [] now'


def test_a_fact_that_the_state_does_not_hold_is_named() -> None:
    made = busy()
    facts = of(made.rows, "last", Ruled).facts
    first = replayed(changed(made.rows, "last", Ruled, facts=replace(facts, limits=())))[0].tally.first
    assert first is not None
    assert first.what.startswith("facts.limits.few: nothing recorded, ")


def test_a_changed_fact_of_the_request_changes_what_is_computed() -> None:
    made = busy()
    facts = of(made.rows, "x1", Ruled).facts
    rows = changed(made.rows, "x1", Ruled, facts=replace(facts, seen=replace(facts.seen, n=1)))
    first = replayed(rows)[0].tally.first
    assert first is not None
    assert first.what.startswith("verdict.verdict: tag recorded, allow now")


def test_after_missing_rows_differences_are_counted_and_no_error_until_a_process_begins_anew() -> None:
    made = busy()
    del made.rows[6:9]
    made.begin(100)
    made.call("again", 101)
    replay, _ = replayed(made.rows)
    tally = replay.tally
    assert (tally.gaps, tally.lost, tally.opened) == (1, 3, 2)
    assert tally.first is None
    assert tally.after_gap > 0
    assert tally.first_after_gap is not None
    assert tally.first_after_gap.cause == "gap"
    rows = changed(made.rows, "again", Ruled, verdict=replace(of(made.rows, "again", Ruled).verdict, input=3))
    again = replayed(rows)[0].tally.first
    assert again is not None
    assert again.request == "again"


def test_a_gap_row_counts_as_the_rows_that_it_stands_for() -> None:
    made = busy()
    lost = made.rows[6:9]
    made.rows[6:9] = [Gap(lost[0].seq, lost[0].now, 3, "full")]
    tally = replayed(made.rows)[0].tally
    assert (tally.gaps, tally.lost, tally.first) == (1, 3, None)


def test_a_ledger_whose_beginning_was_removed_is_read_as_after_a_gap() -> None:
    made = busy()
    tally = replayed(made.rows[10:], policy_of(POLICY))[0].tally
    assert (tally.gaps, tally.first) == (1, None)
    assert tally.unmatched > 0


def test_erased_rows_leave_their_numbers() -> None:
    made = busy()
    for at, row in enumerate(made.rows):
        account = row.facts.caller.account if isinstance(row, Ruled) else getattr(row, "account", "")
        if account == "b":
            made.rows[at] = Erased(row.seq, row.now, "ruled", "0" * 64)
    tally = replayed(made.rows)[0].tally
    assert (tally.erased, tally.gaps, tally.after_gap, tally.differences) == (24, 0, 0, 0)


def test_rows_of_another_engine_differ_by_engine() -> None:
    made = busy()
    assert isinstance(made.rows[0], Opened)
    made.rows[0] = replace(made.rows[0], engine=99)
    assert replayed(made.rows)[0].tally.engines == (99,)
    assert replayed(made.rows)[0].tally.first is None
    verdict = replace(of(made.rows, "x1", Ruled).verdict, input=3)
    first = replayed(changed(made.rows, "x1", Ruled, verdict=verdict))[0].tally.first
    assert first is not None
    assert first.what.startswith("differs by engine (99 recorded, this is 5): verdict.input: 3 recorded")
    assert first.cause == "engine"


def test_answers_of_another_store_are_not_compared() -> None:
    made = busy()
    outcome = of(made.rows, "x0", Settled).outcome
    rows = changed(made.rows, "x0", Settled, outcome=replace(outcome, store="degraded", settled={}))
    tally = replayed(rows)[0].tally
    assert (tally.stores, tally.first) == (1, None)


def test_a_policy_that_the_ledger_does_not_hold_is_a_mistake() -> None:
    made = busy()
    del made.rows[1]
    with pytest.raises(Mistake, match=r"row 3 was judged by policy .* whose files are not in the ledger"):
        replayed(made.rows)


def test_files_that_are_another_policy_today_are_a_difference() -> None:
    made = busy()
    assert isinstance(made.rows[1], Adopted)
    made.rows[1] = replace(made.rows[1], files={"made.yaml": POLICY.replace("burst: 4", "burst: 5")})
    first = replayed(made.rows)[0].tally.first
    assert first is not None
    assert first.what.startswith(f"policy: {made.policy.digest} recorded, its files are ")


def test_a_request_that_runs_for_hours_keeps_its_slot() -> None:
    made = Written()
    made.ask("long", 0)
    made.ask("longer", 1)
    refused = made.ask("third", 7200)
    assert refused is not None
    assert not refused.ok  # both leases, of two minutes, were renewed
    made.end("long", 7300)
    made.call("fourth", 7301)
    made.end("longer", 7400)
    assert replayed(made.rows)[0].tally.first is None


def test_ends_without_a_beginning_and_beginnings_without_an_end_are_counted() -> None:
    made = Written()
    made.ask("r0", 0)
    made.put(Settled(made.next(), START, "nobody", "a", Outcome("done")))
    replay, judged = replayed(made.rows)
    assert (replay.tally.unmatched, replay.tally.unsettled) == (1, 1)
    assert [(each.ruled.request, each.settled) for each in judged] == [("r0", None)]


def test_two_policies_in_one_ledger_each_judge_their_own() -> None:
    made = busy()
    text = POLICY.replace("burst: 4", "burst: 2")
    made.text, made.policy = text, policy_of(text)
    now = START + 70_000_000
    files = {"made.yaml": text}
    made.put(Adopted(made.next(), now, made.policy.digest, "made", source="made.yaml", files=files))
    for at in range(4):
        made.ask(f"z{at}", 71, "c")
    tally = replayed(made.rows)[0].tally
    assert (tally.first, tally.compared) == (None, 29)
    mixed = replayed(made.rows, policy_of(POLICY))[0].tally  # from the other's first row on nothing is comparable
    assert (mixed.first, mixed.compared, mixed.requests) == (None, 25, 29)


def test_a_new_policy_lets_the_refused_in_at_their_reservation_and_its_own_refusals_do_not_settle() -> None:
    made = Written()
    for at in range(3):
        made.ask(f"r{at}", 0)  # two slots: the third is refused
    made.end("r0", 1, output=700)
    made.end("r1", 1, output=900)
    new = policy_of(POLICY.replace("rate: 2 requests", "rate: 3 requests").replace("burst: 4", "burst: 2"))
    replay, judged = replayed(made.rows, new)
    by_name = {each.ruled.request: each for each in judged}
    assert all(each.other for each in judged)
    assert [action_of(by_name[f"r{at}"].verdict, by_name[f"r{at}"].limits) for at in range(3)] == [
        "allow",
        "allow",
        "limit",
    ]
    assert replay.tally.guessed == 0
    wide = policy_of(POLICY.replace("rate: 2 requests", "rate: 3 requests"))
    replay, judged = replayed(made.rows, wide)
    third = next(each for each in judged if each.ruled.request == "r2")
    assert third.guessed
    assert action_of(third.verdict, third.limits) == "allow"
    assert replay.tally.guessed == 1
    assert replay.tally.compared == 0


def test_the_limits_of_a_what_if_are_the_new_arithmetic_s() -> None:
    made = Written()
    for at in range(4):
        made.call(f"r{at}", at * 0.01)
    new = policy_of(POLICY.replace("burst: 4", "burst: 1").replace("rate: 2 requests", "rate: 9 requests"))
    _, judged = replayed(made.rows, new)
    few = [next(each for each in one.limits if each.limit == "few") for one in judged]
    assert [each.ok for each in few] == [True, False, False, False]
    assert {each.capacity for each in few} == {1}


def test_memory_does_not_grow_with_the_ledger() -> None:
    replay = Replay(None, adopted, fresh)
    held = []
    tracemalloc.start()
    try:
        for number, row in enumerate(steady(6000)):
            replay.step(row)
            if number in (4000, 12_000):
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert replay.tally.first is None
    assert held[1] - held[0] < 300_000


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (1, 2, "x: 1 recorded, 2 now"),
        (1, 1.0, "x: 1 recorded, 1.0 now"),
        ({"b": 1, "a": {"c": [1, 2]}}, {"b": 2, "a": {"c": [1, 3]}}, "x.a.c.1: 2 recorded, 3 now"),
        ({"a": 1}, {"b": 1}, "x.a: 1 recorded, nothing now"),
        ("a\nb", "", 'x: a?b recorded, "" now'),
        ([1], [1, 2], "x: [1] recorded, [1,2] now"),
    ],
)
def test_the_first_field_that_differs_is_named(old: object, new: object, said: str) -> None:
    assert difference("x", old, new) == said


def test_long_values_are_cut() -> None:
    assert len(difference("x", "a" * 5000, "b" * 5000)) < 300


def test_words_of_what_was_done_and_would_be_done() -> None:
    judged = {each.ruled.request: each for each in replayed(busy().rows)[1]}
    limited = next(each for each in judged.values() if action_of(each.verdict, each.limits) == "limit")
    assert word_of(limited.verdict, limited.limits) == "limit"
    assert action_of(judged["x1"].verdict, ()) == "tag"
    assert action_of(judged["x0"].verdict, (), Reflection(tags=("odd",))) == "tag"
    assert (score_of(limited.verdict), score_of(limited.verdict, -30.0)) == (0.0, -30.0)
