"""An account's story counts what its rows say, and its tables have bounds."""

from typing import Any

import msgspec

from gateway.decide import Facts, Outcome, Reflection, Verdict
from gateway.identity import Caller
from gateway.ledger import story, story_path
from gateway.ledger.record import Adopted, Erased, Gap, Opened, Row, Ruled, Settled
from gateway.ledger.story import Story, Teller
from gateway.ledger.story_text import to_text
from gateway.observe import Observation
from gateway.quotas import Reading
from gateway.usage import Usage

NOW = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
DAY = 86_400_000_000
SPENT = (Reading("l", "requests", False, 1, 0, 5),)


def pair(number: int, verdict: Verdict, account: str = "a", *, at: int = 0, **outcome: Any) -> list[Row]:
    facts = Facts(Caller(account, key=f"k{number % 2}", plan="free"), Observation(model="m"))
    end = msgspec.structs.replace(Outcome("done", usage=Usage(10, 20)), **outcome)
    return [
        Ruled(number, NOW + at, f"R{number}", "d1", facts, verdict),
        Settled(number + 1, NOW + at, f"R{number}", account, end),
    ]


def told(*rows: Row) -> Story:
    teller = Teller("a")
    for row in rows:
        teller.add(row)
    made = teller.story()
    assert made is not None
    return made


def test_requests_tokens_actions_and_days_are_counted() -> None:
    made = told(
        *pair(1, Verdict()),
        *pair(3, Verdict("block", "block")),
        *pair(5, Verdict(), "b"),
        *pair(7, Verdict(), at=DAY, limits=SPENT),
        *pair(9, Verdict("tag", "tag"), at=DAY),
        pair(11, Verdict(), at=DAY)[0],
    )
    assert (made.requests, made.unfinished, made.input, made.output, made.keys) == (5, 1, 40, 80, 1)
    assert made.actions == {"allow": 1, "tag": 1, "limit": 1, "block": 1}
    assert made.days == {"2026-09-21": {"allow": 1, "block": 1}, "2026-09-22": {"limit": 1, "tag": 1}}
    assert (made.first[:10], made.last[:10]) == ("2026-09-21", "2026-09-22")
    text = to_text(made)
    assert "1 key, " in text.splitlines()[0]
    assert "2026-09-22         0         1         1         0" in text
    assert "requests 5, 1 without an end; 40 input and 80 output tokens" in text


def test_the_first_of_each_strength_with_what_came_before_and_after() -> None:
    """Each answer is 20 tokens. The third request is judged before the second has ended."""
    second, third = pair(3, Verdict("tag", "tag")), pair(5, Verdict("block", "tag"))
    made = told(
        *pair(1, Verdict()),
        second[0],
        third[0],
        second[1],
        third[1],
        *pair(7, Verdict(), limits=SPENT),
        *pair(9, Verdict("block", "block")),
        *pair(11, Verdict("tag", "tag")),
    )
    assert [(each.action, each.done, each.request) for each in made.firsts] == [
        ("tag", True, "R3"),
        ("block", False, "R5"),
        ("limit", True, "R7"),
        ("block", True, "R9"),
    ]
    sums = [(each.requests_before, each.output_before, each.requests_after, each.output_after) for each in made.firsts]
    assert sums == [(1, 20, 5, 100), (2, 20, 4, 100), (3, 60, 3, 60), (4, 80, 2, 40)]
    text = " ".join(to_text(made).split())
    assert "block, only watched (R5): 2 requests and 20 output tokens before it, 4 and 100 from it on" in text


def test_a_request_that_never_ended_is_a_first_too() -> None:
    made = told(pair(1, Verdict("throttle", "throttle"))[0])
    assert [(each.action, each.requests_before, each.requests_after) for each in made.firsts] == [("throttle", 0, 1)]


def test_exposure_is_what_the_last_record_says_of_it() -> None:
    assert told(*pair(1, Verdict(readings={"week.requests": 3.0}))).exposure == {}
    made = told(
        *pair(1, Verdict(readings={"answers_taken": 12.5, "recipe_units": 0.2, "week.requests": 3.0})),
        *pair(3, Verdict(readings={"answers_taken": 1_912.25})),
    )
    assert made.exposure == {"answers_taken": 1_912.25, "recipe_units": 0.2}
    assert ": 1,912.25 (answers_taken); " in " ".join(to_text(made).split())


def test_a_tag_of_the_answer_is_an_action() -> None:
    ruled, settled = pair(1, Verdict())
    assert told(ruled, msgspec.structs.replace(settled, reflection=Reflection(tags=("t",)))).actions == {"tag": 1}


def test_rules_that_begin_and_end_are_told_with_the_score() -> None:
    hot = Verdict("tag", "tag", rules=("watch",), shadow=("stop",), scores={"x": 3.5})
    made = told(
        *pair(1, Verdict(scores={"x": -30.0})), *pair(3, hot), *pair(5, hot), *pair(7, Verdict(scores={"x": -9.0}))
    )
    assert [(each.request, each.begin, each.end, each.scores) for each in made.shifts] == [
        ("R3", ("stop", "watch"), (), {"x": 3.5}),
        ("R7", (), ("stop", "watch"), {"x": -9.0}),
    ]
    assert made.rules == {"stop": 2, "watch": 2}
    assert (made.scores, made.highest["x"][0]) == ({"x": -9.0}, 3.5)


def test_evidence_for_and_against_is_kept_where_it_was_strongest() -> None:
    made = told(
        *pair(1, Verdict(scores={"x": 0.0}, evidence={"x": {"probe": 4.0, "partner": -6.0}})),
        *pair(3, Verdict(scores={"x": 0.0}, evidence={"x": {"probe": 9.0, "partner": -2.0, "late": 1.0}})),
    )
    assert [(each.line, each.db, each.request) for each in made.peaks] == [("probe", 9.0, "R3"), ("late", 1.0, "R3")]
    assert [(each.line, each.db, each.request) for each in made.against] == [("partner", -6.0, "R1")]
    assert "argued against by\n       -6.00 dB  partner, in R1" in to_text(made)


def test_what_interrupts_it_is_told() -> None:
    made = told(
        Opened(1, NOW, "0"),
        Adopted(2, NOW, "d1", "p"),
        *pair(3, Verdict()),
        Opened(1, NOW, "0"),
        Gap(2, NOW, 5),
        Erased(3, NOW, "ruled", "00"),
    )
    assert (made.starts, made.gaps, made.erased, made.policies) == (1, 1, 1, ("d1",))


def test_an_account_without_rows_has_no_story() -> None:
    assert Teller("a").story() is None


def test_every_table_has_a_bound(monkeypatch: Any) -> None:
    for name in ("MAX_DAYS", "MAX_SHIFTS", "MAX_NAMES", "MAX_OPEN"):
        monkeypatch.setattr(story, name, 4)
    monkeypatch.setattr(story_path, "MAX_CARDS", 4)
    rows: list[Row] = []
    for number in range(1, 41, 2):
        verdict = Verdict(rules=(f"r{number}",), scores={f"c{number}": 1.0}, evidence={"c": {f"e{number}": 1.0}})
        ruled, settled = pair(number, verdict, at=number * DAY)
        assert isinstance(ruled, Ruled)
        seen = msgspec.structs.replace(ruled.facts, seen=Observation(model=f"m{number}"))
        rows += [msgspec.structs.replace(ruled, facts=seen, policy=f"d{number}"), settled]
        rows.append(msgspec.structs.replace(ruled, request=f"open{number}"))
    made = told(*rows)
    assert made.requests == 40
    assert made.models == {"m": 20, "other": 17, "m1": 1, "m3": 1, "m5": 1}
    sizes = (len(made.days), len(made.shifts), len(made.policies), len(made.highest), len(made.peaks), made.unfinished)
    assert max(sizes) <= 5
    assert made.more_shifts == 16
    assert len(made.scores) <= 5
    assert len(made.path) == 8  # of four cards the first, which is the highest, and the last
    assert "the first 4 changes were kept, 16 came after" in to_text(made)


def test_nothing_that_a_terminal_could_obey_passes() -> None:
    verdict = Verdict(rules=("r\x1b",), scores={"c\x9b": 1.0}, evidence={"c\x9b": {"e\u202e": 1.0}})
    teller = Teller("a\x07")
    for row in pair(1, verdict, "a\x07"):
        teller.add(row)
    made = teller.story()
    assert made is not None
    assert all(letter.isprintable() or letter == "\n" for letter in to_text(made))
