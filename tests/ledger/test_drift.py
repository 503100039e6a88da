"""What another policy would change: numbers by hand, bounded memory, and three ways to show it."""

import json
import re

import msgspec
import pytest

from gateway.actions import Effects
from gateway.campaigns import Campaign
from gateway.decide import Facts, Outcome, Reflection, Verdict
from gateway.identity import Caller
from gateway.ledger import drift as drift_module
from gateway.ledger.drift import MAX_ACCOUNTS, Drift, Found
from gateway.ledger.drift_html import to_html
from gateway.ledger.drift_text import Report, ends, notes, to_json, to_text
from gateway.ledger.record import Ruled, Settled
from gateway.ledger.replay import Difference, Judged, Tally
from gateway.observe import Observation
from gateway.quotas import Reading
from gateway.usage import Usage
from tests.ledger.ledgers import POLICY, START, Written, policy_of, replayed

SPENT = Reading("few", "requests", False, 1, 0, 4)


def case(
    seq: int,
    account: str,
    before: Verdict,
    after: Verdict,
    *,
    tokens: int = 100,
    spent_before: bool = False,
    spent: bool = False,
    guessed: bool = False,
) -> Judged:
    """One request with both its verdicts."""
    ruled = Ruled(seq, START + seq, f"r{seq}", "old", Facts(Caller(account), Observation()), before)
    limits = (SPENT,) if spent_before else ()
    end = Settled(seq + 1, START + seq, ruled.request, account, Outcome("done", usage=Usage(tokens), limits=limits))
    return Judged(ruled, end, after, (SPENT,) if spent else (), Reflection(), True, guessed)


ALLOW = Verdict()
TAG = Verdict("tag", "tag", rules=("watch",))
SHADOWED = Verdict(shadow=("stop",))
BLOCK = Verdict(
    "block",
    "block",
    refuse="blocked",
    rules=("stop", "watch"),
    scores={"extraction": 12.5},
    evidence={"extraction": {"sweep": 5.0, "logprobs": 8.25}},
    readings={"day.requests": 400.0},
)
WHEN = {"stop": "score.extraction >= 10 dB", "watch": "score.extraction >= 0 dB"}


def six(top: int = 20) -> Found:
    drift = Drift(WHEN, top)
    for judged in (
        case(1, "a", ALLOW, ALLOW),
        case(3, "a", ALLOW, TAG),
        case(5, "b", TAG, BLOCK, tokens=1000),
        case(7, "b", SHADOWED, BLOCK, tokens=50),
        case(9, "c", ALLOW, ALLOW, spent_before=True, tokens=0, guessed=True),
        case(11, "c", ALLOW, ALLOW, spent=True, tokens=7),
    ):
        drift.add(judged)
    return drift.found()


def test_totals_by_action() -> None:
    found = six()
    moves = {(move.before, move.after): (move.requests, move.tokens) for move in found.moves}
    assert moves == {
        ("allow", "allow"): (1, 100),
        ("allow", "tag"): (1, 100),
        ("tag", "block"): (1, 1000),
        ("allow", "block"): (1, 50),
        ("limit", "allow"): (1, 0),
        ("allow", "limit"): (1, 7),
    }
    assert (found.requests, found.same, found.guessed) == (6, 1, 1)


def test_tokens_that_would_have_been_refused_and_let_in() -> None:
    found = six()
    assert (found.newly_refused.requests, found.newly_refused.tokens) == (3, 1057)
    assert (found.newly_allowed.requests, found.newly_allowed.tokens) == (1, 0)
    assert (found.refused.requests, found.refused.tokens) == (3, 1057)


def test_rules_that_hold_anew_or_no_longer() -> None:
    rules = {rule.rule: (rule.newly, rule.no_longer, rule.still, rule.when) for rule in six().rules}
    assert rules == {"stop": (1, 0, 1, WHEN["stop"]), "watch": (2, 0, 1, WHEN["watch"])}
    drift = Drift()
    drift.add(case(1, "a", TAG, ALLOW))
    assert [(rule.rule, rule.no_longer) for rule in drift.found().rules] == [("watch", 1)]


def test_a_rule_that_is_now_enforced_is_a_change_though_it_held_before() -> None:
    drift = Drift()
    drift.add(case(1, "a", SHADOWED, Verdict(rules=("stop",))))
    found = drift.found()
    assert (found.same, [(rule.newly, rule.still) for rule in found.rules]) == (0, [(0, 1)])


def test_accounts_with_most_changes_come_first() -> None:
    accounts = six().accounts
    assert [(each.account, each.changed, each.newly_refused, each.newly_allowed) for each in accounts] == [
        ("b", 2, 2, 0),
        ("c", 2, 1, 1),
        ("a", 1, 0, 0),
    ]
    assert (accounts[0].tokens_refused, accounts[0].score, accounts[1].score) == (1050, 12.5, None)


def test_the_strongest_changes_are_the_examples_one_an_account_with_reasons() -> None:
    examples = six(top=2).examples
    assert [(each.account, each.before, each.after, each.seq) for each in examples] == [
        ("b", "allow", "block", 7),
        ("c", "allow", "limit", 11),
    ]
    first = examples[0]
    assert first.when == WHEN
    assert first.evidence == BLOCK.evidence
    assert first.readings == {"day.requests": 400.0}
    assert six(top=0).examples == []


def test_the_same_rules_that_do_something_else_are_a_change() -> None:
    quarter = Verdict("throttle", "throttle", Effects(throttle={"out": 0.25}), rules=("slow",))
    tenth = msgspec.structs.replace(quarter, effects=Effects(throttle={"out": 0.1}))
    drift = Drift()
    for at, now in enumerate((quarter, tenth)):
        drift.add(case(at, "a", quarter, now))
    found = drift.found()
    assert (found.requests, found.same, found.moved()) == (2, 1, 0)
    text = to_text(report(drift=found))
    assert "policy new (0123456789ab): 0 requests change their action, 1 more only their rules or effects" in text


def test_memory_is_bounded_and_the_busiest_accounts_stay() -> None:
    drift = Drift()
    for at in range(MAX_ACCOUNTS * 5):
        drift.add(case(at, f"rare{at}", ALLOW, TAG))
        if at % 3 == 0:
            drift.add(case(at, "busy", ALLOW, TAG))
    found = drift.found()
    assert len(found.accounts) == MAX_ACCOUNTS
    assert found.accounts_dropped == MAX_ACCOUNTS * 4 + 1
    busy = found.accounts[0]
    assert (busy.account, busy.changed, busy.over) == ("busy", -(-MAX_ACCOUNTS * 5 // 3), 0)
    assert all(each.changed - each.over >= 1 for each in found.accounts)
    assert len(found.examples) == 20


def report(**more: object) -> Report:
    made = Report("gauger.replay/1", "led", "new", "0123456789ab", Tally(rows=14, requests=6), six())
    return msgspec.structs.replace(made, **more)


def test_the_table_says_what_changes_for_whom_and_why() -> None:
    text = to_text(report())
    assert "policy new (0123456789ab): 5 requests change their action" in text
    assert re.search(r"^tag +block +1 +1,000$", text, re.M)
    assert "newly refused:  3 requests, 1,057 tokens" in text
    assert re.search(r"^watch +2 +0 +1$", text, re.M)
    assert re.search(r"^b +2 +2 +0 +1,050 +12.5$", text, re.M)
    assert "rule stop: score.extraction >= 10 dB" in text
    assert "evidence of extraction: logprobs +8.25 dB, sweep +5 dB" in text
    assert "limit few is spent" in to_text(report(drift=limited()))


def limited() -> Found:
    drift = Drift()
    drift.add(case(1, "a", ALLOW, ALLOW, spent=True))
    return drift.found()


def test_json_has_the_same_figures_under_stable_keys() -> None:
    told = json.loads(to_json(report()))
    assert list(told) == ["schema", "source", "policy", "digest", "tally", "drift", "raw", "bad"]
    drift = told["drift"]
    assert drift["newly_refused"] == {"requests": 3, "tokens": 1057}
    assert drift["accounts"][0]["account"] == "b"
    assert set(drift) == set(Found.__struct_fields__)


def test_the_page_is_whole_in_itself_and_escapes_what_it_is_told() -> None:
    evil = "<script>alert(1)</script>"
    drift = Drift({"stop": "1 < 2 and 3 > 2"})
    drift.add(case(1, evil, ALLOW, Verdict("block", "block", rules=("stop",))))
    page = to_html(report(source=f"led {evil}", drift=drift.found()))
    assert evil not in page
    assert "&lt;script&gt;" in page
    assert "1 &lt; 2 and 3 &gt; 2" in page
    assert not re.search(r"(?:src|href)=|https?://|url\(|@import", page)
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page
    assert page.startswith("<!doctype html>")


def test_agreement_and_the_first_difference_are_told_in_every_form() -> None:
    fine = report(drift=None, tally=Tally(rows=14, requests=6, compared=6))
    assert to_text(fine).splitlines()[1] == "all 6 requests agree with the policy that they were judged by"
    assert "All 6 requests agree" in to_html(fine)
    assert ends(fine) == 0
    first = Difference(7, START, "r7", "a", "verdict.input: 1 recorded, 2 now")
    wrong = report(drift=None, tally=Tally(rows=14, requests=6, compared=6, differences=2, first=first))
    assert "verdict.input: 1 recorded, 2 now" in to_text(wrong)
    assert "verdict.input: 1 recorded, 2 now" in to_html(wrong)
    assert json.loads(to_json(wrong))["tally"]["first"]["seq"] == 7
    assert ends(wrong) == 1


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (Tally(gaps=2, lost=5, after_gap=3), "rows are missing at 2 places (at least 5)"),
        (Tally(erased=4), "4 rows were erased"),
        (Tally(engines=(7,)), "another engine (7)"),
        (Tally(stores=9), "answered by another store"),
        (Tally(unmatched=1), "1 ends have no beginning"),
        (Tally(unsettled=1), "1 requests have no end"),
        (Tally(errors=1), "failed 1 times"),
        (Tally(guessed=3), "3 requests that were refused pass now"),
    ],
)
def test_what_limits_the_findings_is_said(tally: Tally, said: str) -> None:
    made = report(tally=tally, drift=None)
    assert len(notes(made)) == 1
    assert said in notes(made)[0]
    assert said in to_html(made)


def test_a_new_policy_over_a_ledger_made_by_hand() -> None:
    made = Written()
    for at in range(5):  # bursts of four: the fifth is refused
        made.call(f"a{at}", 0, "a", output=200)
    made.call("b0", 1, "b", output=10, n=2)
    made.call("b1", 2, "b", output=20)
    text = POLICY.replace("burst: 4 requests", "burst: 2 requests") + (
        "  - {id: stop, when: req.n > 1, then: {block: {status: 403}}}\n"
    )
    _, judged = replayed(made.rows, policy_of(text))
    drift = Drift(top=5)
    for each in judged:
        drift.add(each)
    found = drift.found()
    # a0, a1 pass as before; a2, a3 meet the smaller burst; a4 was refused and still is; b0 is blocked; b1 is as before
    assert {(move.before, move.after): (move.requests, move.tokens) for move in found.moves} == {
        ("allow", "allow"): (3, 2 * 300 + 120),
        ("allow", "limit"): (2, 2 * 300),
        ("limit", "limit"): (1, 0),
        ("tag", "block"): (1, 110),
    }
    assert (found.newly_refused.requests, found.newly_refused.tokens) == (3, 710)
    assert [(rule.rule, rule.newly, rule.still) for rule in found.rules] == [("stop", 1, 0), ("choices", 0, 1)]


def test_no_name_moves_a_terminal_s_cursor_or_begins_a_line_of_its_own() -> None:
    evil = "\x1b[2J<b>\r\n::error::\u202eno\x85"
    drift = Drift({}, 5)
    drift.add(case(1, evil, ALLOW, msgspec.structs.replace(BLOCK, rules=(evil,), evidence={evil: {evil: 5.0}})))
    for made in (
        report(drift=drift.found(), source=evil, policy=evil),
        report(tally=Tally(compared=1, first=Difference(1, START, evil, evil, evil, ""))),
    ):
        text = to_text(made)
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert not any(line.startswith("::") for line in text.splitlines())
        assert "::error::" in text


def linked(seq: int, account: str, name: str, before: Verdict, after: Verdict) -> Judged:
    """The same of a member of a campaign."""
    judged = case(seq, account, before, after)
    whole = Campaign(name, 3, 9, 9, START, readings={"week.requests": 900.0})
    facts = msgspec.structs.replace(judged.ruled.facts, campaign=whole, membership=-0.5)
    return msgspec.structs.replace(judged, ruled=msgspec.structs.replace(judged.ruled, facts=facts))


JOINT = Verdict(
    "block",
    "block",
    rules=("stop",),
    scores={"extraction": 11.5},
    evidence={"extraction": {"newcomer": 2.0}},
    campaign={"extraction": 12.0},
    together={"extraction": {"one-pool": 15.0}},
)


def test_what_changes_for_members_is_counted_by_campaign() -> None:
    drift = Drift(WHEN)
    for judged in (
        linked(1, "a", "campaign-x", ALLOW, JOINT),
        linked(3, "a", "campaign-x", TAG, JOINT),
        linked(5, "b", "campaign-x", BLOCK, TAG),
        linked(7, "c", "campaign-y", ALLOW, TAG),
        linked(9, "d", "campaign-z", TAG, TAG),
        case(11, "e", ALLOW, BLOCK),
    ):
        drift.add(judged)
    found = drift.found()
    assert [
        (each.campaign, each.changed, each.accounts, each.newly_refused, each.newly_allowed, each.score)
        for each in found.campaigns
    ] == [("campaign-x", 3, 2, 2, 1, 12.0), ("campaign-y", 1, 1, 0, 0, None)]
    assert {each.account: each.campaign for each in found.accounts}["e"] == ""
    report = Report("gauger.replay/1", "l", "p", "d", Tally(), found)
    text = to_text(report)
    assert "note: 4 of the 5 requests that change their action are of members of campaigns: " in text
    assert re.search(r"^campaign-x +3 +2 +2 +1 +12$", text, re.MULTILINE)
    assert "campaign-x" in to_html(report)
    assert json.loads(to_json(report))["drift"]["campaigns"][0]["accounts"] == 2


def test_an_example_of_a_member_is_told_with_both_sides() -> None:
    drift = Drift(WHEN)
    drift.add(linked(1, "a", "campaign-x", ALLOW, JOINT))
    lines = " ".join(to_text(Report("s", "l", "p", "d", Tally(), drift.found())).split())
    assert "campaign campaign-x: extraction 12 dB, membership -0.5 dB; the larger of that and its own" in lines
    assert "evidence of extraction of the account by itself: newcomer +2 dB" in lines
    assert "evidence of extraction of its campaign: one-pool +15 dB" in lines


def test_without_members_nothing_is_said_of_campaigns() -> None:
    found = six()
    assert found.campaigns == []
    assert "campaign" not in to_text(Report("s", "l", "p", "d", Tally(), found))


def test_campaigns_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_module, "MAX_CAMPAIGNS", 3)
    drift = Drift(WHEN)
    for number in range(9):
        drift.add(linked(number, f"a{number}", f"campaign-{number}", ALLOW, TAG))
    found = {each.campaign: each.changed for each in drift.found().campaigns}
    assert found == {"(others)": 6, "campaign-0": 1, "campaign-1": 1, "campaign-2": 1}
