"""A score's path: which thresholds it crossed when, and what the lines read at that moment."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gateway.decide import Facts, Verdict
from gateway.identity import Caller
from gateway.ledger import story_path
from gateway.ledger.record import Adopted, Row, Ruled
from gateway.ledger.story import Story, Teller
from gateway.ledger.story_path import Step, thresholds
from gateway.ledger.story_text import to_text
from gateway.observe import Observation
from gateway.policy.model import Policy
from tests.ledger.explained import NOW
from tests.ledger.swept import policy, swept
from tests.rig import policy_of

SWEPT = policy()
MINUTE = 60_000_000
COLD = {"elicitation_share.hits": 0.0}
SMALL = {"day.output_tokens": 50_000.0}

THREE = policy_of(
    """
gauger: 1
scorecards:
  - id: x
    prior: -30 dB
    families: {account: 40 dB}
    evidence: [{id: many, family: account, when: req.n > 1, points: 3 dB}]
rules:
  - {id: low, when: score.x >= -10 dB or req.n > 3, then: {tag: [low]}}
  - {id: odd, when: not score.x < 5 dB and 3 dB <= score.x, then: {tag: [odd]}}
  - {id: both, when: score.x > score.x - 1 dB and score.x + 0 dB >= 5 dB and req.n > 0, then: {tag: [both]}}
  - {id: draft, when: score.x >= 7 dB, then: {tag: [draft]}, mode: draft}
  - {id: after, when: score.x >= 8 dB and resp.status == 200, then: {tag: [after]}, phase: response}
"""
)


def rows_of(by: Policy, *reads: dict[str, float]) -> list[Row]:
    """The policy's own row, and a request a minute with these readings."""
    rows: list[Row] = [Adopted(1, NOW, by.digest, by.id)]
    for at, read in enumerate(reads):
        row = swept(by, read, now=NOW + at * MINUTE, request=f"R{at}")
        rows.append(msgspec.structs.replace(row, seq=at + 2))
    return rows


def scores_of(by: Policy, *scores: float) -> list[Row]:
    """Requests that were recorded with these scores of the card x."""
    facts = Facts(Caller("acct_7"), Observation(op="chat", n=1))
    rows: list[Row] = [Adopted(1, NOW, by.digest, by.id)]
    return rows + [
        Ruled(at + 2, NOW + at * MINUTE, f"R{at}", by.digest, facts, Verdict(scores={"x": score}))
        for at, score in enumerate(scores)
    ]


def told(by: Policy | None, rows: Sequence[Row]) -> Story:
    teller = Teller("acct_7", (lambda row: by) if by is not None else None)
    for row in rows:
        teller.add(row)
    made = teller.story()
    assert made is not None
    return made


def brief(steps: Sequence[Step]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [(step.request, tuple(step.what), step.rules) for step in steps]


def test_thresholds_are_comparisons_of_a_score_alone_however_they_are_written() -> None:
    found = {each.text: each.rules for each in thresholds(THREE)}
    assert found == {
        "score.x >= -10 dB": ("low",),
        "score.x < 5 dB": ("odd",),
        "3 dB <= score.x": ("odd",),
        "score.x > score.x - 1 dB": ("both",),
        "score.x + 0 dB >= 5 dB": ("both",),
    }


def test_the_first_each_crossing_the_highest_and_the_last() -> None:
    made = told(THREE, scores_of(THREE, -30, -12, -10, 4, 9, 9, 4, -30, -31))
    crossed = {step.request: step.crossed for step in made.path}
    assert brief(made.path) == [
        ("R0", ("first", "reached"), ("both", "odd")),
        ("R2", ("reached",), ("low",)),
        ("R3", ("reached",), ("odd",)),
        ("R4", ("highest", "reached", "left"), ("both", "odd")),
        ("R6", ("reached", "left"), ("odd", "both")),
        ("R7", ("left",), ("low", "odd")),
        ("R8", ("last",), ()),
    ]
    assert crossed["R0"] == ("score.x > score.x - 1 dB", "score.x < 5 dB")
    assert crossed["R4"] == ("score.x + 0 dB >= 5 dB", "score.x < 5 dB")
    assert [step.score for step in made.path] == [-30, -10, 4, 9, 4, -30, -31]


def test_a_step_has_the_lines_that_counted_then_in_words() -> None:
    made = told(SWEPT, rows_of(SWEPT, COLD, SMALL, {}, {}, COLD))
    assert brief(made.path) == [
        ("R0", ("first",), ()),
        ("R1", ("reached",), ("watch",)),
        ("R2", ("highest", "reached"), ("slow-down", "stop")),
        ("R4", ("last", "left"), ("slow-down", "stop", "watch")),
    ]
    for step in made.path[1:3]:
        assert step.addends[0].db == 25
        assert step.addends[0].words.startswith("412 of 430 requests want the reasoning written out; ")
    lines = {each.line: each.words for each in made.path[2].addends}
    assert lines["output-heavy"] == "tokens written: 1,200,000 (day.output_tokens)"
    text = " ".join(to_text(made).split())
    assert "dB: highest; reaches score.extraction >= -5 dB, score.extraction >= 0 dB (slow-down, stop) (in R2)" in text
    assert "fewer than 1 in 10,000 owners do: +25.0 dB (elicits)" in text
    assert "talks, in R0: 30 of 430 requests go on with a conversation; 19 of 100 owners do as little" in text
    assert "what the policy assumes of benign owners (`benign`), not a measurement" in text
    assert max(map(len, to_text(made).splitlines())) <= 100


def test_below_its_needs_a_score_crosses_nothing() -> None:
    """The record shows the prior, and conditions read nothing: -30 dB is no crossing of -40 dB."""
    low = policy(("score.extraction >= -15 dB", "score.extraction >= -40 dB"))
    made = told(low, rows_of(low, {"week.requests": 19.0}, {}))
    assert brief(made.path) == [
        ("R0", ("first",), ()),
        ("R1", ("highest", "last", "reached"), ("slow-down", "stop", "watch")),
    ]
    assert (made.path[0].score, made.path[0].addends) == (-30, ())


def test_without_the_policy_s_text_there_are_scores_and_lines_without_words() -> None:
    for load in (None, policy(("score.extraction >= 0 dB", "score.extraction >= 1 dB"))):  # none; another than recorded
        made = told(load, rows_of(SWEPT, COLD, {}, COLD))
        assert [tuple(step.what) for step in made.path] == [("first",), ("highest",), ("last",)]
        assert made.path[1].addends[0] == story_path.Counted("elicits", 25.0)
        assert {each.words for each in made.peaks} == {""}
        assert "    +25.00 dB  elicits, in R1\n" in to_text(made)


def test_a_policy_that_is_given_stands_for_one_whose_text_is_gone() -> None:
    teller = Teller("acct_7", given={SWEPT.digest: SWEPT})
    for row in rows_of(SWEPT, COLD, {})[1:]:
        teller.add(row)
    made = teller.story()
    assert made is not None
    assert made.path[-1].rules == ("slow-down", "stop", "watch")
    assert made.path[-1].addends[0].words.startswith("412 of 430 requests")


def test_another_policy_has_other_thresholds() -> None:
    stricter = policy(("score.extraction >= -15 dB", "score.extraction >= -25 dB"))
    rows = rows_of(SWEPT, SMALL) + rows_of(stricter, SMALL)
    rows = [*rows[:2], rows[2], msgspec.structs.replace(rows[3], request="R1", now=NOW + MINUTE)]
    by = {SWEPT.digest: SWEPT, stricter.digest: stricter}
    teller = Teller("acct_7", lambda row: by[row.digest])
    for row in rows:
        teller.add(row)
    made = teller.story()
    assert made is not None
    assert [step.crossed for step in made.path] == [("score.extraction >= -15 dB",), ("score.extraction >= -25 dB",)]


def test_a_score_that_swings_keeps_a_bounded_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story_path, "MAX_STEPS", 30)
    made = told(THREE, scores_of(THREE, *[-30, 0] * 40))
    assert len(made.path) == 31  # the first is a crossing too, and the highest
    assert made.more_crossings == 80 - 30
    lines = to_text(made).splitlines()
    assert "    50 later crossings were not kept" in lines
    assert "    and 7 more in between: --json has them" in lines


def test_the_story_s_json_keeps_its_keys() -> None:
    found: dict[str, Any] = msgspec.to_builtins(told(SWEPT, rows_of(SWEPT, {})))
    assert {"path", "firsts", "exposure", "more_crossings", "peaks", "against", "shifts", "days"} <= set(found)
    assert list(found["path"][0]) == ["at", "request", "card", "score", "what", "crossed", "rules", "addends", "shared"]
    assert list(found["firsts"][0]) == [
        "action",
        "done",
        "at",
        "request",
        "requests_before",
        "output_before",
        "requests_after",
        "output_after",
    ]
