"""What would lower a score really does, look-alikes are those of the cards, and what argued against is told."""

import msgspec

from gateway.catalogue import CARDS
from gateway.decide import AccountState, judge
from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from gateway.ledger.explanation import CardSaid, Explanation
from gateway.ledger.record import Ruled
from tests.ledger.explained import DAY, settled
from tests.ledger.swept import READ, policy, swept

SWEPT = policy()


def told(row: Ruled) -> Explanation:
    return explain(row, settled(row), SWEPT)


def card(row: Ruled) -> CardSaid:
    return told(row).cards[0]


def test_the_three_strongest_that_raise_it_are_told_how_to_lower_it() -> None:
    found = card(swept(SWEPT))
    raised = [each.id for each in found.addends if each.db > 0]
    assert [each.id for each in found.lower] == raised[:3] == ["elicits", "output-heavy", "sweep"]
    by_id = {each.id: each for each in found.addends}
    assert [each.score for each in found.lower] == [by_id[each].score for each in raised[:3]]


def test_hits_that_cease_bring_the_score_down_as_it_is_said() -> None:
    """Judged anew with what a number of half-lives leaves of them, the request gets that score and verdict."""
    lower = card(swept(SWEPT)).lower[0]
    assert lower.then is not None
    assert (lower.then.text, lower.then.verdict) == ("9.8 days", "tag")
    hits = [READ["elicitation_share.hits"] / 2**halvings for halvings in (0, 1, 2)]
    found = [swept(SWEPT, {"elicitation_share.hits": each}).verdict for each in hits]
    assert [each.verdict for each in found] == ["block", "block", "tag"]
    assert lower.later == found[2].scores["extraction"]


def test_where_no_half_life_helps_the_first_one_is_told() -> None:
    calm: dict[str, float | None] = {"elicitation_share.hits": 13.0, "day.output_tokens": 1000.0}
    found = told(swept(SWEPT, calm))
    frame = next(each for each in found.cards[0].lower if each.id == "one-frame")
    assert frame.then is not None
    assert (found.verdict, frame.then.text, frame.then.verdict) == ("allow", "4.9 days", "allow")
    half = {name: READ[name] / 2 for name in ("template_share", "template_share.hits")}
    later = swept(SWEPT, {**calm, **half}).verdict.scores["extraction"]
    assert frame.later == later < found.cards[0].score


def test_the_look_alikes_are_those_of_the_strongest_lines_signals() -> None:
    alike = card(swept(SWEPT)).alike
    assert [(each.code, each.lines) for each in alike] == [
        ("C6", ("elicits",)),
        ("V1", ("output-heavy",)),
        ("C1", ("sweep",)),
        ("C2", ("sweep",)),
    ]
    assert [each.look_alikes for each in alike] == [CARDS[each.signal].look_alikes for each in alike]


def test_a_line_that_reads_the_same_signal_and_lowers_the_score_speaks_for_them() -> None:
    row = swept(SWEPT, {"fresh_share": 0.2, "day.output_tokens": 1000.0})
    found = card(row)
    assert {each.code: each.speaks for each in found.alike} == {"C6": (), "C1": ("sweep",)}
    text = " ".join(to_text(told(row)).split())
    assert "alone it says nothing; `sweep` speaks for that here" in text
    assert "what speaks for guiltless use: `talks` (" in text
    assert "dB), `output-heavy` (" in text
    assert "what speaks for guiltless use: nothing that this card reads" in " ".join(
        to_text(told(swept(SWEPT, {"conversation_share.hits": 0.0}))).split()
    )


def test_what_could_have_argued_against_says_why_it_does_not() -> None:
    found = card(swept(SWEPT, {"week.requests": 49.0}))
    silent = {each.id: each for each in found.silent}
    assert set(silent) == {"sweep", "established", "evaluator"}  # `judges` has a floor of 0 dB: it never acquits
    assert silent["sweep"].words.startswith("silent before 50 requests of a week; template_share * fresh_share = ")
    assert (silent["established"].least, silent["established"].words) == (-6, "account.tenure >= 90d: 1 d")
    assert silent["sweep"].least == -3
    text = " ".join(to_text(told(swept(SWEPT))).split())
    assert '0 dB evaluator, which could count -10 dB: "evaluator" in account.labels' in text


def test_a_line_of_which_nothing_is_known_is_silent_and_its_floor_bounds_it() -> None:
    found = card(
        swept(SWEPT, {"conversation_share": None, "conversation_share.hits": None, "conversation_share.of": None})
    )
    talks = next(each for each in found.silent if each.id == "talks")
    assert talks.least == -8
    assert talks.words == "no requests yet that could go on with a conversation: conversation_share is missing"


def test_a_floor_that_lifts_a_line_is_told_with_what_it_lifts_it_from() -> None:
    row = swept(SWEPT, {"conversation_share": 0.9, "conversation_share.hits": 387.0})
    talks = next(each for each in card(row).addends if each.id == "talks")
    assert (talks.db, talks.uncut) == (-8, None)
    assert talks.unlifted is not None
    assert talks.unlifted < -20
    assert f"-8.00 dB  talks, lifted from {talks.unlifted:g} dB: 387 of 430 requests" in to_text(told(row))


def test_nobody_is_likened_to_anybody_where_nothing_raised_the_score() -> None:
    calm = dict.fromkeys(["elicitation_share.hits", "template_share.hits"], 1.0)
    row = swept(SWEPT, {**calm, "fresh_share": 0.1, "day.output_tokens": 1000.0, "conversation_share.hits": 387.0})
    facts, verdict = row.facts, row.verdict
    _, verdict = judge(
        SWEPT,
        AccountState(first=row.now - 200 * DAY),
        facts,
        row.now,
        verdict.readings | {"account.tenure": 200 * 86_400.0},
    )
    found = told(msgspec.structs.replace(row, verdict=verdict))
    assert max(each.db for each in found.cards[0].addends) < 0
    assert (found.cards[0].lower, found.cards[0].alike) == ((), ())
    assert "argued against" not in to_text(found)


def test_the_json_of_before_is_still_there() -> None:
    addend = msgspec.to_builtins(card(swept(SWEPT)).addends[0])
    assert list(addend)[:7] == ["id", "db", "family", "reads", "uncut", "without", "score"]
    assert addend["reads"] == "elicitation_share 412 of 430 requests"
