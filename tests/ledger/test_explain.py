"""An explanation says what was, and what it says would change a verdict does, when it is judged again."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decide import Facts, Outcome, Verdict, judge
from gateway.identity import Caller
from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from gateway.ledger.explanation import Explanation, RuleSaid
from gateway.ledger.line import Shown, encode, line
from gateway.ledger.record import Opened, Ruled, Settled
from gateway.ledger.rejudge import after, under
from gateway.ledger.unline import rows_of
from gateway.observe import Observation
from gateway.policy.model import Policy, Sanction
from gateway.quotas import Reading
from tests.ledger.explained import NOW, POLICY, policy, rows, ruled, settled, state
from tests.rig import policy_of

ACME = policy()


def told(by: Policy, row: Ruled, end: Settled | None = None) -> Explanation:
    return explain(row, end if end is not None else settled(row), by)


def rule(found: Explanation, name: str) -> RuleSaid:
    return next(each for each in found.rules if each.id == name)


def test_the_numbers_by_hand() -> None:
    """params: 18 and 15 dB that overlap by half: (18 + 15) / 1.5 = 22, cut at 20. -30 + 20 + 21 + 3 = 14."""
    card = told(ACME, ruled(ACME)).cards[0]
    assert (card.prior, card.score) == (-30, 14)
    assert [(each.id, each.db) for each in card.addends] == [
        ("long-answers", 21),
        ("asks-logprobs", 18),
        ("many-choices", 15),
        ("newcomer", 3),
    ]
    params = next(each for each in card.families if each.id == "params")
    assert (params.plain, params.discounted, params.db, params.ceiling, params.cut) == (33, 22, 20, 20, True)


@given(st.booleans(), st.integers(1, 8), st.floats(0, 1e6), st.floats(0, 1000), st.sampled_from([(), ("partner",)]))
def test_the_prior_and_the_families_add_up_to_the_score(
    logprobs: bool, n: int, output: float, requests: float, labels: tuple[str, ...]
) -> None:
    facts = Facts(Caller("a", labels=labels), Observation(op="chat", n=n, logprobs=1 if logprobs else None))
    _, verdict = judge(ACME, state(requests, output), facts, NOW)
    card = told(ACME, Ruled(1, NOW, "R", ACME.digest, facts, verdict)).cards[0]
    assert card.score == verdict.scores["extraction"]
    assert card.prior is not None
    assert card.prior + sum(each.db for each in card.families) == pytest.approx(card.score, abs=0.005)
    assert {each.id: each.db for each in card.addends} == verdict.evidence.get("extraction", {})


def test_each_term_is_told_with_what_it_read() -> None:
    terms = rule(told(ACME, ruled(ACME)), "stop").terms
    assert [(term.text, [value.text for value in term.values], term.holds) for term in terms] == [
        ("score.extraction >= 10 dB", ["14 dB"], True),
        ("week.requests >= 100", ["400 requests"], True),
        ("score.extraction.corroborated", ["true"], True),
    ]


def test_a_threshold_says_how_far_it_is_and_what_would_have_come_of_it() -> None:
    turns = {turn.text: turn.verdict for turn in rule(told(ACME, ruled(ACME)), "stop").turns}
    assert turns["score.extraction below 10 dB (4 dB less)"] == "throttle"
    assert turns["week.requests below 100 requests (300 requests less)"] == "throttle"


def test_the_addends_whose_absence_would_have_lowered_the_verdict() -> None:
    """Without long-answers -30 + 20 + 3 = -7; without one of params the other still gives 18 or 15, so 12 and 9;
    without newcomer 11."""
    addends = {each.id: each for each in told(ACME, ruled(ACME)).cards[0].addends}
    assert {name: each.score for name, each in addends.items()} == {
        "long-answers": -7,
        "asks-logprobs": 9,
        "many-choices": 12,
        "newcomer": 11,
    }
    assert {name: each.without.verdict for name, each in addends.items() if each.without} == {
        "long-answers": "tag",
        "asks-logprobs": "throttle",
    }


@pytest.mark.parametrize("name", ["long-answers", "asks-logprobs"])
def test_removing_the_named_addend_really_changes_the_verdict(name: str) -> None:
    written = next(each for each in POLICY.splitlines(keepends=True) if f"{{id: {name}," in each)
    said = next(each for each in told(ACME, ruled(ACME)).cards[0].addends if each.id == name)
    really = ruled(policy((written, ""))).verdict
    assert said.without is not None
    assert (said.score, said.without.verdict, said.without.action) == (
        really.scores["extraction"],
        really.verdict,
        really.action,
    )


def test_a_number_that_would_have_changed_it_really_does() -> None:
    assert ruled(ACME, before=state(requests=99.0)).verdict.verdict == "block"  # this request is the hundredth
    assert ruled(ACME, before=state(requests=98.0)).verdict.verdict == "throttle"


def test_the_exception_that_is_missing() -> None:
    said = rule(told(ACME, ruled(ACME)), "stop")
    assert said.excepted is not None
    assert (said.excepted.verdict, said.excepted.action) == ("throttle", "throttle")
    really = policy(('silences: [stop]\n    when: account.id == "acct_red"', "silences: [stop]\n    when: req.n > 1"))
    assert ruled(really).verdict.verdict == "throttle"
    assert said.exceptions == (
        "exception `over` names it, and ended 2026-02-01T00:00:00.000000Z",
        'exception `red-team` names it, and would need account.id is "acct_red"',
    )


def test_an_exception_that_softens_is_told_with_its_reason_and_end() -> None:
    found = told(ACME, ruled(ACME, account="acct_red"))
    assert (found.verdict, found.action) == ("throttle", "throttle")
    assert any(
        '`stop` is softened by exception `red-team` to tag: "contracted test" (security), until 2027-01-01' in each
        for each in found.why
    )
    assert rule(found, "stop").softened == "red-team"


def test_a_rule_that_nearly_holds_says_how_near() -> None:
    near = told(ACME, ruled(ACME)).near
    assert [(each.id, each.turns[0].text, each.turns[0].verdict) for each in near] == [
        ("worse", "score.extraction at least 16 dB (2 dB more)", "block")
    ]
    assert told(policy(("16 dB", "17.01 dB")), ruled(policy(("16 dB", "17.01 dB")))).near == ()


@pytest.mark.parametrize(
    ("by", "kill", "why"),
    [
        (policy(("owner: trust", "mode: shadow")), False, "Only watched, in shadow mode: `stop`."),
        (policy(('version: "3"', "mode: shadow")), False, "The whole policy is in shadow mode"),
        (ACME, True, "The kill switch was on"),
    ],
)
def test_why_the_action_is_less_than_the_verdict(by: Policy, kill: bool, why: str) -> None:
    found = told(by, ruled(by, kill=kill))
    assert found.verdict == "block"
    assert found.action != "block"
    assert any(each.startswith(why) for each in found.why)


def test_a_block_that_lasts_is_told_apart_from_a_rule_that_holds() -> None:
    blocked = msgspec.structs.replace(
        state(), sanctions={"stop": Sanction(block=NOW + 5_000_000, blocked=NOW + 5_000_000)}
    )
    found = told(ACME, ruled(ACME, before=blocked, n=1, logprobs=None))
    said = rule(found, "stop")
    assert (found.action, said.state, said.turns) == ("block", "lasts", ())
    assert "until 2026-09-21T14:13:25" in found.done
    assert found.notes == ()
    assert "[lasts from an earlier request, owner trust]" in to_text(found)


def test_a_score_below_its_needs_is_its_prior_and_its_rules_are_missing_it() -> None:
    found = told(ACME, ruled(ACME, before=state(requests=3.0)))
    assert (found.action, found.cards[0].score, found.cards[0].needs) == ("allow", -30, "week.requests >= 20")
    assert found.missing["watch"] == ("score.extraction",)
    assert found.why == ("No rule held, and no limit refused.",)


def test_limits_say_what_was_drawn_what_it_came_to_and_the_most_that_may_pass() -> None:
    row = ruled(ACME, n=1, logprobs=None, before=state(output=0.0))
    by_id = {each.id: each for each in told(ACME, row).limits}
    assert by_id["key-requests"].rate == "600 requests a minute, 20 at one instant"
    assert by_id["key-requests"].most == "at most 620 in any minute"
    assert (by_id["acct-output"].drawn, by_id["acct-output"].actual) == (1000, 900)
    assert "drew 1,000 output tokens" in to_text(told(ACME, row))
    assert "came to 900" in to_text(told(ACME, row))


def test_a_throttled_limit_says_its_share_and_its_rate_then() -> None:
    found = told(ACME, ruled(ACME, before=state(requests=50.0)))
    output = next(each for each in found.limits if each.id == "acct-output")
    assert found.action == "throttle"
    assert (output.throttled, output.rate) == (0.25, "2,000 output tokens a minute, 2,000 at one instant")


def test_a_limit_that_refuses_says_what_was_left_and_when_it_passes() -> None:
    row = ruled(ACME, n=1, logprobs=None, before=state(output=0.0))
    limits = (Reading("key-requests", "requests", False, 1, 0, 20, 2_000_000, 100_000),)
    end = Settled(4, NOW, row.request, "acct_9", Outcome("refused", 429, limits=limits, error="rate_limit"))
    found = told(ACME, row, end)
    assert (found.verdict, found.action) == ("limit", "limit")
    assert "Limit `key-requests` refuses: 1 request asked, 0 left; it passes in 100 ms." in found.why
    assert "refuses: 1 request asked, 0 of 20 left, passes in 100 ms; full again in 2 s" in to_text(found)
    assert "changed the verdict\n  verdict allow\n      100 ms later, if nothing else came\n" in to_text(found)
    never = msgspec.structs.replace(limits[0], wait=-1)
    end = msgspec.structs.replace(end, outcome=msgspec.structs.replace(end.outcome, limits=(never,)))
    assert "waiting never helps" in to_text(told(ACME, row, end))
    assert "changed the verdict" not in to_text(told(ACME, row, end))


def test_a_limit_that_is_closed_while_the_store_is_away_says_so_and_no_amounts() -> None:
    by = policy(("id: acct-output,", "id: acct-output, on_store_error: closed,"))
    row = ruled(by, n=1, logprobs=None, before=state(output=0.0))
    limits = (
        Reading("key-requests", "requests", True, 1, 10, 10),
        Reading("acct-output", "tokens.output", False, 1000, 0, 8000, 0, 1_000_000),
    )
    outcome = Outcome("refused", 503, limits=limits, store="degraded", error="limits_unavailable")
    found = told(by, row, Settled(4, NOW, row.request, "acct_9", outcome))
    assert found.why == ("Limit `acct-output` refuses while the store is away (`on_store_error: closed`).",)
    assert [each.closed for each in found.limits] == [False, True]
    text = to_text(found)
    assert "The shared store was away" in text
    assert "refuses: the shared store is away" in text and "asked" not in text.partition("Limits")[2]
    assert "changed the verdict\n  verdict allow\n      when the store is back\n" in text
    passed = Outcome("done", 200, 200, limits=limits[:1], store="degraded")
    found = told(by, row, Settled(4, NOW, row.request, "acct_9", passed))
    assert found.why == ("No rule held, and no limit refused.",) and "granted its share" in found.notes[0]


def test_a_rule_of_the_answer_is_told_with_the_answer_s_values() -> None:
    row = ruled(ACME, n=1, logprobs=None, before=state(output=0.0))
    end = settled(row)
    end = msgspec.structs.replace(
        end, reflection=msgspec.convert({"tags": ["long-answer"], "rules": ["long"]}, type(end.reflection))
    )
    said = rule(told(ACME, row, end), "long")
    assert (said.phase, said.terms[0].values[0].text) == ("response", "900 tokens")
    assert told(ACME, row, end).action == "tag"


def test_without_the_policy_s_text_the_record_speaks_for_itself() -> None:
    row = ruled(ACME)
    found = explain(row, settled(row), None, ["its text is away"])
    assert (found.explained, found.verdict) == (False, "block")
    assert [(each.id, each.known) for each in found.rules] == [("slow-down", False), ("stop", False), ("watch", False)]
    assert {each.id: each.db for each in found.cards[0].addends} == row.verdict.evidence["extraction"]
    text = to_text(found)
    assert "its text is away" in text
    assert "week.requests = 400" in text


@pytest.mark.parametrize(
    ("facts", "verdict", "why"),
    [
        (
            Facts(Caller("-"), Observation(), rejected="invalid_json"),
            Verdict("reject", "reject", refuse="invalid_json"),
            "before it was judged: invalid_json",
        ),
        (
            Facts(Caller("a"), Observation()),
            Verdict("block", "block", refuse="path_not_allowed"),
            "No dialect reads this path",
        ),
        (
            Facts(Caller("a"), Observation()),
            Verdict(error="ZeroDivisionError"),
            "Judging it failed (ZeroDivisionError)",
        ),
    ],
)
def test_what_was_never_judged_says_so(facts: Facts, verdict: Verdict, why: str) -> None:
    row = Ruled(1, NOW, "R", ACME.digest, facts, verdict)
    found = explain(row, Settled(2, NOW, "R", "a", Outcome("refused", 400)), ACME)
    assert why in found.why[0]
    assert found.cards == ()


def test_a_record_that_this_version_counts_otherwise_says_so() -> None:
    row = ruled(ACME)
    other = msgspec.structs.replace(row, verdict=msgspec.structs.replace(row.verdict, scores={"extraction": 13.0}))
    assert any("counts differently" in each for each in told(ACME, other).notes)
    assert told(ACME, row).notes == ()


def test_nothing_that_a_terminal_could_obey_passes() -> None:
    facts = Facts(
        Caller("acct\x1b[31m\u202e", org="o\x07", plan="free\x9b"), Observation(op="chat", route="/v1/\x1b]0;x\x07")
    )
    row = Ruled(1, NOW, "R\x1b", ACME.digest, facts, Verdict(rules=("r\x1b[2J",)))
    for by in (ACME, None):
        text = to_text(explain(row, Settled(2, NOW, "R\x1b", "a", Outcome("done", error="\x1b")), by))
        assert all(letter.isprintable() or letter == "\n" for letter in text)


@given(st.text(max_size=300), st.text(max_size=300), st.integers(0, 10**12))
def test_no_line_is_wider_than_100_columns(account: str, model: str, tokens: int) -> None:
    row = ruled(ACME, account=account, model=model, max_tokens=tokens)
    assert max(map(len, to_text(told(ACME, row)).splitlines())) <= 100


def test_the_request_line_explains_like_its_rows() -> None:
    for row in (ruled(ACME), ruled(ACME, before=state(requests=50.0)), ruled(ACME, account="acct_red")):
        end = settled(row)
        made = msgspec.json.decode(encode(line(row, end, Shown(ACME))))
        whole, from_line = told(ACME, row, end), explain(*rows_of(made, ACME), ACME)
        assert msgspec.structs.replace(from_line, labels=whole.labels) == whole


def test_a_batch_is_explained_by_what_its_file_held() -> None:
    by = policy_of("gauger: 1\nrules: [{id: many, when: req.lines > 10, then: {block: {status: 403, code: many}}}]\n")
    held = Observation(op="batch", route="/v1/files", model="m", n=50, lines=50)
    before = msgspec.structs.replace(state(), files={"file-1": held})
    row = ruled(by, before=before, op="batch", route="/v1/batches", model=None, n=1, logprobs=None, file="file-1")
    assert row.verdict.rules == ("many",)
    made = msgspec.json.decode(encode(line(row, settled(row), Shown(by))))
    assert made["batch"]["lines"] == 50
    for found in (told(by, row, settled(row)), explain(*rows_of(made, by), by)):
        assert (found.op, found.model, found.asked) == ("batch", "m", "50 choices, 50 calls")
        assert rule(found, "many").terms[0].holds
    assert under(by, row).verdict.rules == ("many",)


def test_another_policy_is_tried_on_what_came_before_or_on_the_record_alone() -> None:
    strict = policy(("score.extraction >= -10 dB", "week.requests >= 2"))
    facts = Facts(Caller("acct_9", plan="free"), Observation(op="chat"))
    first, last = (Ruled(seq, NOW + seq, f"R{seq}", ACME.digest, facts, Verdict()) for seq in (3, 5))
    end = Settled(4, NOW + 4, "R3", "acct_9", Outcome("done", 200, 200))
    assert after(strict, [first, end, last], last).verdict.rules == ("watch",)
    assert after(strict, rows(ACME, first, end), first).verdict.rules == ()
    assert after(strict, [first, end, Opened(1, NOW, "0"), last], last).verdict.rules == ()
    alone = under(strict, last).verdict
    assert (alone.rules, alone.missing["watch"]) == ((), ("week.requests",))


def test_the_same_policy_after_the_same_rows_says_what_was_recorded() -> None:
    row = ruled(ACME)
    assert under(ACME, row).verdict.verdict == row.verdict.verdict
    assert under(ACME, row).verdict.evidence == row.verdict.evidence


def test_a_rule_on_an_estimate_that_a_blocked_request_s_record_lacks_says_so() -> None:
    by = policy(("score.extraction >= 10 dB and week.requests >= 100", "req.input_est >= 1"))
    found = told(by, ruled(by))
    said = rule(found, "stop")
    assert (said.state, said.terms[0].holds, said.turns) == ("done", None, ())
    assert any("what a rule read isn't in it" in each for each in found.notes)
    assert "req.input_est >= 1 token: missing  [missing]" in to_text(found) or "[missing]" in to_text(found)


@given(
    st.fixed_dictionaries(
        {
            "n": st.integers(1, 9),
            "logprobs": st.none() | st.integers(0, 5),
            "op": st.sampled_from(["chat", "embeddings", "opaque", "batch"]),
            "max_tokens": st.none() | st.integers(1, 10**6),
        }
    ),
    st.sampled_from([0.0, 18.0, 50.0, 98.0, 99.0, 400.0]),
    st.sampled_from([0.0, 499_999.0, 500_000.0, 700_000.0]),
    st.sampled_from(["acct_9", "acct_red"]),
    st.booleans(),
    st.dictionaries(
        st.sampled_from(["stop", "slow-down", "worse", "gone"]), st.sampled_from([-1, 1, 10**9]), max_size=3
    ),
)
def test_every_record_is_explained_as_it_was_and_every_change_is_judged_so(
    seen: dict[str, Any], requests: float, output: float, account: str, kill: bool, lasting: dict[str, int]
) -> None:
    sanctions = {
        name: Sanction(NOW + later, NOW + later * (name != "slow-down"), NOW + later, NOW + later * (name == "stop"))
        for name, later in lasting.items()
    }
    before = msgspec.structs.replace(state(requests, output), sanctions=sanctions)
    row = ruled(ACME, before=before, kill=kill, account=account, **seen)
    found = told(ACME, row)
    assert [each for each in found.notes if "scores" in each] == []
    assert {each.id for each in found.rules} >= {*row.verdict.rules, *row.verdict.shadow}
    for each in found.rules:
        if each.state in ("done", "watched") and each.phase == "request":
            assert all(term.holds for term in each.terms)
            assert each.turns
    assert max(map(len, to_text(found).splitlines())) <= 100
