"""Rules through the judge: what is done, what is only watched, what lasts, and what is written down of it."""

from typing import Any

import msgspec
import pytest

from gateway.actions import Effects
from gateway.decide import AccountState, Facts, Outcome, Verdict, judge, settle
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.policy.model import Policy
from gateway.quotas import Reading
from gateway.stores.accounts import MemoryAccounts
from gateway.usage import Usage
from tests.rig import policy_of

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
CALLER = Caller("a1", "k1")
CHAT = Observation(op="chat", model="m", messages=1, chars=400, n=1)
LIMITS = """
plans: {free: {output: 8k tokens/min, requests: 60 requests/min}}
limits:
  - {id: out, by: [account], count: tokens.output, rate: plan.output}
  - {id: req, by: [account], count: requests, rate: plan.requests}
"""
CARD = """
scorecards:
  - id: x
    prior: -10 dB
    families: {params: 20 dB, account: 20 dB, timing: 20 dB}
    evidence:
      - {id: lab, family: params, when: '"lab" in account.labels', points: 12 dB}
      - {id: new, family: account, when: '"new" in account.labels', points: 15 dB}
      - {id: fast, family: timing, when: '"fast" in account.labels', points: 15 dB}
"""


def policy(rules: str, more: str = "", head: str = "") -> Policy:
    return policy_of(f"gauger: 1\npolicy: {{id: p{head}}}\n{LIMITS}{more}\nrules:\n{rules}")


def say(
    p: Policy, seen: Observation = CHAT, *, state: AccountState = AccountState(), now: int = NOW, **caller: Any
) -> tuple[AccountState, Verdict]:
    kill = caller.pop("kill", False)
    return judge(p, state, Facts(msgspec.structs.replace(CALLER, **caller), seen, kill=kill), now)


def test_a_rule_that_holds_does_what_it_says() -> None:
    p = policy("  - {id: slow, when: req.n > 1, then: {tag: [many], clamp: {n: 1}, throttle: {limit: out, to: 25%}}}")
    _, verdict = say(p, msgspec.structs.replace(CHAT, n=3))
    assert (verdict.verdict, verdict.action, verdict.rules) == ("throttle", "throttle", ("slow",))
    assert verdict.effects == Effects(tags=("many",), clamp={"n": (3, 1)}, throttle={"out": 0.25})
    assert verdict.would is None
    draws = {draw.limit: draw for draw in verdict.draws}
    assert (draws["out"].amount, draws["out"].capacity, draws["req"].amount) == (2000, 2000, 60)
    assert draws["out"].cost == 1000  # of one choice: what is reserved is what will be sent on
    assert say(p)[1].action == "allow"


def test_a_clamp_lowers_what_is_reserved() -> None:
    p = policy("  - {id: short, when: req.messages >= 1, then: {clamp: {max_tokens: 50}}}")
    (out,) = [draw for draw in say(p)[1].draws if draw.limit == "out"]
    assert out.cost == 50


def test_a_block_draws_nothing_and_is_counted() -> None:
    p = policy("  - {id: stop, when: account.id == 'a1', then: {block: {status: 451, code: no_more}}}")
    state, verdict = say(p)
    assert (verdict.action, verdict.refuse, verdict.effects.block, verdict.draws) == ("block", "no_more", 451, ())
    assert (state.requests, state.refused) == (1, 1)


def test_shadow_does_nothing_and_says_what_it_would_do() -> None:
    p = policy("  - {id: stop, when: req.n >= 1, then: {block: {code: no_more}}, mode: shadow}")
    _, verdict = say(p)
    assert (verdict.verdict, verdict.action, verdict.refuse) == ("block", "allow", "")
    assert (verdict.rules, verdict.shadow) == ((), ("stop",))
    assert verdict.would == Effects(block=403, code="no_more")
    assert len(verdict.draws) == 2


@pytest.mark.parametrize("how", ["policy", "kill"])
def test_everything_is_shadow_where_the_policy_or_the_switch_says_so(how: str) -> None:
    head = ", mode: shadow" if how == "policy" else ""
    p = policy("  - {id: stop, when: req.n >= 1, then: {block: {}}}", head=head)
    _, verdict = say(p, kill=how == "kill")
    assert (verdict.verdict, verdict.action, verdict.shadow) == ("block", "allow", ("stop",))
    assert all(draw.shadow for draw in verdict.draws)


def test_a_draft_is_never_run() -> None:
    p = policy("  - {id: stop, when: req.n >= 1, then: {block: {}}, mode: draft}")
    assert say(p)[1].verdict == "allow"
    assert "stop" not in say(p)[1].shadow


def test_what_is_missing_skips_a_rule_and_is_named() -> None:
    p = policy(
        "  - {id: a, when: account.age < 30d, then: {tag: [a]}}\n"
        "  - {id: b, when: account.age < 30d, then: {tag: [b]}, on_missing: match}\n"
        "  - {id: c, when: account.age is missing, then: {tag: [c]}}\n"
        "  - {id: d, when: account.age < 30d and req.n > 1, then: {tag: [d]}}\n"
    )
    _, verdict = say(p)
    assert verdict.effects.tags == ("b", "c")
    assert verdict.missing == {"a": ("account.age",), "b": ("account.age",)}
    assert say(p, created=NOW // SECOND - 60)[1].effects.tags == ("a", "b")


def test_a_policys_on_missing_holds_for_rules_that_say_nothing() -> None:
    p = policy("  - {id: a, when: account.age < 30d, then: {tag: [a]}}", head=", on_missing: match")
    assert say(p)[1].effects.tags == ("a",)


def test_a_throttle_lasts_and_ends() -> None:
    p = policy("  - {id: slow, when: req.n > 1, then: {tag: [t], throttle: {limit: out, to: 50%, for: 30 min}}}")
    state, _ = say(p, msgspec.structs.replace(CHAT, n=2))
    _, later = say(p, state=state, now=NOW + 29 * MINUTE)
    assert (later.action, later.effects.throttle, later.effects.tags) == ("throttle", {"out": 0.5}, ())
    assert later.rules == ("slow",)
    state, over = say(p, state=state, now=NOW + 30 * MINUTE)
    assert over.action == "allow"
    assert state.sanctions == {}


def test_a_block_lasts_and_each_match_moves_its_end() -> None:
    p = policy("  - {id: stop, when: req.n > 1, then: {block: {for: 1h, code: no}}}")
    many = msgspec.structs.replace(CHAT, n=2)
    state, first = say(p, many)
    assert first.effects.until == NOW + 60 * MINUTE
    state, _ = say(p, many, state=state, now=NOW + 50 * MINUTE)
    _, later = say(p, state=state, now=NOW + 100 * MINUTE)
    assert (later.action, later.effects.until) == ("block", NOW + 110 * MINUTE)
    assert say(p, state=state, now=NOW + 110 * MINUTE)[1].action == "allow"


def test_what_began_in_shadow_stays_there() -> None:
    text = "  - {id: stop, when: req.n > 1, then: {block: {for: 1h}}, mode: MODE}"
    shadow, enforced = policy(text.replace("MODE", "shadow")), policy(text.replace("MODE", "enforce"))
    state, _ = say(shadow, msgspec.structs.replace(CHAT, n=2))
    _, verdict = say(enforced, state=state, now=NOW + MINUTE)
    assert (verdict.verdict, verdict.action, verdict.shadow) == ("block", "allow", ("stop",))
    again, verdict = say(enforced, msgspec.structs.replace(CHAT, n=2), state=state, now=NOW + MINUTE)
    assert verdict.action == "block"
    assert say(enforced, state=again, now=NOW + 2 * MINUTE)[1].action == "block"


def test_the_kill_switch_lifts_what_lasts_while_it_is_on() -> None:
    p = policy("  - {id: stop, when: req.n > 1, then: {block: {for: 1h}}}")
    state, _ = say(p, msgspec.structs.replace(CHAT, n=2))
    killed, verdict = say(p, state=state, now=NOW + MINUTE, kill=True)
    assert (verdict.verdict, verdict.action) == ("block", "allow")
    assert say(p, state=killed, now=NOW + 2 * MINUTE)[1].action == "block"


def test_a_rule_that_is_gone_lasts_no_longer() -> None:
    p = policy("  - {id: stop, when: req.n > 1, then: {block: {for: 1h}}}")
    state, _ = say(p, msgspec.structs.replace(CHAT, n=2))
    other = policy("  - {id: other, when: req.n > 1, then: {block: {for: 1h}}}")
    assert say(other, state=state, now=NOW + MINUTE)[1].action == "allow"


EXCEPTION = """
exceptions:
  - {id: deal, silences: [stop, slow], when: account.id == "a1", BECOMES expires: 2027-01-31, owner: me, reason: a deal}
"""
TWO = (
    "  - {id: stop, when: req.n > 1, then: {block: {for: 1h}}}\n"
    "  - {id: slow, when: req.n > 1, then: {clamp: {n: 1}, throttle: {limit: out, to: 10%}}}\n"
)


@pytest.mark.parametrize(
    "becomes, action, tags",
    [
        ("", "tag", ("slow", "stop")),
        ("becomes: allow,", "allow", ()),
        ("becomes: clamp,", "clamp", ()),
        ("becomes: throttle,", "throttle", ()),
    ],
)
def test_an_exception_softens_the_rules_that_it_names(becomes: str, action: str, tags: tuple[str, ...]) -> None:
    p = policy(TWO, EXCEPTION.replace("BECOMES", becomes))
    state, verdict = say(p, msgspec.structs.replace(CHAT, n=2), now=1_796_000_000 * SECOND)
    assert (verdict.action, verdict.effects.tags) == (action, tags)
    assert verdict.excepted == {"stop": "deal", "slow": "deal"}
    assert state.sanctions == {}
    other = say(p, msgspec.structs.replace(CHAT, n=2), account="a2", now=1_796_000_000 * SECOND)[1]
    assert (other.action, other.excepted) == ("block", {})


def test_an_exception_ends_at_the_midnight_after_its_last_day() -> None:
    p = policy(TWO, EXCEPTION.replace("BECOMES", ""), head=", timezone: Europe/Berlin")
    midnight = 1_801_436_400 * SECOND  # 2027-02-01T00:00 in Berlin
    many = msgspec.structs.replace(CHAT, n=2)
    assert say(p, many, now=midnight - 1)[1].action == "tag"
    assert say(p, many, now=midnight)[1].action == "block"


def test_an_exception_that_comes_later_softens_what_lasts() -> None:
    before, after = policy(TWO), policy(TWO, EXCEPTION.replace("BECOMES", ""))
    state, _ = say(before, msgspec.structs.replace(CHAT, n=2), now=1_796_000_000 * SECOND)
    _, verdict = say(after, state=state, now=1_796_000_060 * SECOND)
    assert (verdict.action, verdict.excepted) == ("tag", {"stop": "deal"})


def test_of_two_exceptions_the_softer_one_holds() -> None:
    two = EXCEPTION.replace("BECOMES", "becomes: throttle,") + (
        "  - {id: older, silences: [stop], when: req.n > 1, becomes: allow,\n"
        "     expires: 2027-01-31, owner: me, reason: r}\n"
    )
    _, verdict = say(policy(TWO, two), msgspec.structs.replace(CHAT, n=2), now=1_796_000_000 * SECOND)
    assert verdict.excepted == {"stop": "older", "slow": "deal"}


def test_a_score_is_its_prior_and_evidence_and_says_which() -> None:
    p = policy("  - {id: watch, when: score.x >= 2 dB, then: {tag: [w]}}", CARD)
    _, verdict = say(p, labels=("lab",))
    assert verdict.scores == {"x": 2.0}
    assert verdict.evidence == {"x": {"lab": 12.0}}
    assert verdict.effects.tags == ("w",)
    assert say(p)[1].scores == {"x": -10.0}


def test_nobody_is_blocked_on_one_kind_of_witness() -> None:
    p = policy("  - {id: stop, when: score.x >= 2 dB, then: {tag: [w], block: {}}}", CARD)
    assert say(p, labels=("lab",))[1].action == "allow"
    assert say(p, labels=("new", "fast"))[1].action == "allow"  # two families, none of them content, params, campaign
    _, verdict = say(p, labels=("lab", "new"))
    assert (verdict.action, verdict.scores) == ("block", {"x": 17.0})


@pytest.mark.parametrize(
    ("when", "labels"),
    [
        ("not score.x.corroborated", ("fast",)),
        ("score.x >= 2 dB or score.x.corroborated", ("new", "fast")),
        ("score.x.families >= 1", ("fast",)),
        ("score.x is missing", ()),
        ("req.n >= 1 or score.x >= 2 dB", ()),
    ],
)
@pytest.mark.parametrize("on_missing", ["skip", "match"])
def test_however_a_block_reads_a_score_it_waits_for_a_second_witness(
    when: str, labels: tuple[str, ...], on_missing: str
) -> None:
    needs = CARD.replace("prior: -10 dB", "prior: -10 dB\n    needs: hour.requests >= 1")
    for card in (CARD, needs.replace(">= 1", ">= 99")):
        p = policy(f"  - {{id: stop, when: {when}, then: {{block: {{}}}}, on_missing: {on_missing}}}", card)
        assert say(p, labels=labels)[1].action == "allow"
        assert say(p)[1].action == "allow"


def test_a_throttle_needs_no_second_witness() -> None:
    p = policy("  - {id: slow, when: score.x >= 2 dB, then: {throttle: {delay: 2 s}}}", CARD)
    assert say(p, labels=("fast",))[1].effects.delay == 2 * SECOND


def test_below_what_a_card_needs_the_score_is_its_prior_and_missing() -> None:
    p = policy(
        "  - {id: watch, when: score.x >= -50 dB, then: {tag: [w]}}",
        CARD.replace("prior: -10 dB", "prior: -10 dB\n    needs: week.requests >= 3"),
    )
    state = AccountState()
    for expected in ((), (), ("w",)):
        state, verdict = say(p, state=state, labels=("lab",))
        assert verdict.effects.tags == expected
        assert verdict.scores == {"x": 2.0 if expected else -10.0}
        assert verdict.missing == ({} if expected else {"watch": ("score.x",)})


def test_a_card_of_campaigns_alone_says_nothing_of_an_account() -> None:
    card = CARD.replace("prior: -10 dB", "of: [campaign]\n    prior: -40 dB")
    p = policy("  - {id: watch, when: score.x >= -50 dB, then: {tag: [w]}}", card)
    _, verdict = say(p, labels=("lab",))
    assert (verdict.scores, verdict.missing) == ({"x": -40.0}, {"watch": ("score.x",)})


def test_readings_hold_this_request_and_not_its_answer() -> None:
    p = policy("  - {id: r, when: hour.requests >= 2 and hour.output_tokens >= 0, then: {tag: [t]}}")
    state, first = say(p)
    assert first.readings == {"hour.requests": 1.0, "hour.output_tokens": 0.0}
    state, _ = settle(
        p, state, Facts(CALLER, CHAT), first, Outcome("done", 200, 200, Usage(9, 70, source="upstream")), NOW
    )
    _, second = say(p, state=state)
    assert second.readings == {"hour.requests": 2.0, "hour.output_tokens": 70.0}
    assert second.effects.tags == ("t",)


def test_conditions_see_the_rounded_readings_that_the_record_shows() -> None:
    p = policy("  - {id: r, when: hour.requests >= 1.365, then: {tag: [t]}}")
    state, _ = say(p)
    _, verdict = say(p, state=state, now=NOW + 3600 * SECOND)  # 1 + 2^(-64/44) = 1.36487
    assert (verdict.readings, verdict.effects.tags) == ({"hour.requests": 1.365}, ("t",))


def test_a_limits_use_can_be_read() -> None:
    p = policy("  - {id: full, when: limit.out.used >= 50%, then: {tag: [full]}}")
    used = Reading("out", "tokens.output", True, 1, 3000, 8000)
    assert say(p)[1].missing == {"full": ("limit.out.used",)}
    _, verdict = judge(p, AccountState(), Facts(CALLER, CHAT, limits=(used,)), NOW)
    assert verdict.effects.tags == ("full",)


def test_the_rules_of_an_answer_tag_it() -> None:
    p = policy(
        "  - {id: long, phase: response, when: resp.output_tokens > 100, then: {tag: [long]}}\n"
        "  - {id: seen, phase: response, when: resp.end == 'done', then: {tag: [seen]}, mode: shadow}\n"
    )
    state, verdict = say(p)
    assert (verdict.action, verdict.rules) == ("allow", ())
    done = Outcome("done", 200, 200, Usage(9, 101, source="upstream"))
    _, reflection = settle(p, state, Facts(CALLER, CHAT), verdict, done, NOW)
    assert (reflection.tags, reflection.rules, reflection.shadow) == (("long",), ("long",), ("seen",))


def test_equal_arguments_give_equal_verdicts_and_leave_the_state_alone() -> None:
    p = policy(TWO + "  - {id: watch, when: score.x >= 2 dB, then: {tag: [w]}}", CARD)
    many = msgspec.structs.replace(CHAT, n=2)
    state, _ = say(p, many, labels=("lab",))
    before = msgspec.json.encode(state)
    assert say(p, many, state=state, labels=("lab",)) == say(p, many, state=state, labels=("lab",))
    assert msgspec.json.encode(state) == before


def test_what_lasts_survives_the_eviction_of_its_account() -> None:
    p = policy("  - {id: stop, when: req.n > 1, then: {block: {for: 1h}}}")
    accounts = MemoryAccounts(capacity=2, probation=3, sanctioned=3)

    def ask(account: str, n: int, now: int) -> Verdict:
        facts = Facts(Caller(account), msgspec.structs.replace(CHAT, n=n))
        return accounts.update(account, lambda state: judge(p, state, facts, now))

    assert ask("thief", 2, NOW).action == "block"
    for at in range(50):
        assert ask(f"other-{at}", 1, NOW + at).action == "allow"
    assert ask("thief", 1, NOW + MINUTE).action == "block"
    assert ask("thief", 1, NOW + 60 * MINUTE).action == "allow"
    assert accounts.sanctioned == 0
    for at in range(5):
        ask(f"t{at}", 2, NOW)
    assert (accounts.sanctioned, accounts.evicted_sanctions) == (3, 2)


def test_what_a_clamp_took_was_not_taken_by_the_account() -> None:
    """Of four choices one was sent on: one answer is in the caller's hands, and it is as long as it is."""
    p = policy("  - {id: one, when: answers_taken >= 0, then: {clamp: {n: 1}}}")
    asked = msgspec.structs.replace(CHAT, n=4, marks={"one_shot": 1}, asks=(7,), distinct=1)
    state, verdict = say(p, asked)
    assert verdict.effects.clamp == {"n": (4, 1)}
    told = Outcome(end="done", status=200, upstream_status=200, usage=Usage(100, 200, source="upstream"))
    state, _ = settle(p, state, Facts(CALLER, asked), verdict, told, NOW + SECOND)
    assert say(p, state=state, now=NOW + SECOND)[1].readings["answers_taken"] == 1.0
    assert state.paces["m"].p90 == 200  # a choice, not 50: what the next reservation is guessed from
