"""The centre: what is drawn, what is learned, and that the same rows give the same state."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decide import (
    FILES,
    MODELS,
    AccountState,
    End,
    Facts,
    Outcome,
    Verdict,
    actual,
    judge,
    settle,
)
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.pace import ANSWERS
from gateway.policy.model import IdentityRules, Limit, Policy, Rate, Reserve, TokenWeights
from gateway.usage import Usage

NOW = 1_800_000_000_000_000
CALLER = Caller("acct_1", "00ff00ff00ff00ff", org="org_1", plan="default")
CHAT = Observation(dialect="openai_chat", op="chat", route="/v1/chat/completions", model="m", messages=2, chars=400)


def policy(*limits: Limit, **changes: object) -> Policy:
    return Policy("p", "0" * 12, limits={"default": limits}, identity=IdentityRules(plan="default"), **changes)  # type: ignore[arg-type]


REQUESTS = Limit("requests", ("key",), "requests", Rate(60, "requests", "min"), 10)
OUTPUT = Limit("output", ("account", "model"), "tokens.output", Rate(10_000, "tokens", "min"), 10_000)
INPUT = Limit("input", ("account",), "tokens.input", Rate(10_000, "tokens", "min"), 10_000)
TOTAL = Limit("daily", ("account",), "tokens.total", Rate(50_000, "tokens", "day"), 50_000, window="calendar")
LIVE = Limit("live", ("org",), "concurrent", Rate(4, "requests"), 4)
ALL = policy(REQUESTS, OUTPUT, INPUT, TOTAL, LIVE)


def verdict_on(seen: Observation, state: AccountState | None = None, rules: Policy = ALL, **facts: object) -> Verdict:
    return judge(rules, state or AccountState(), Facts(CALLER, seen, **facts), NOW)[1]  # type: ignore[arg-type]


def test_a_chat_draws_from_every_limit_that_applies() -> None:
    verdict = verdict_on(CHAT)
    assert {draw.limit: draw.cost for draw in verdict.draws} == {
        "requests": 1,
        "output": 1000,  # the first answers: a thousand tokens
        "input": 109,  # 400 characters at a quarter, one for luck, four a message
        "daily": 1109,
        "live": 1,
    }


def test_a_limit_with_a_dimension_that_the_caller_lacks_does_not_apply() -> None:
    nobody = Caller("net-1", plan="default")
    verdict = judge(ALL, AccountState(), Facts(nobody, CHAT), NOW)[1]
    assert {draw.limit for draw in verdict.draws} == {"output", "input", "daily"}


def test_callers_can_not_be_made_to_collide() -> None:
    one = judge(
        ALL,
        AccountState(),
        Facts(Caller("a", "k", plan="default"), msgspec.structs.replace(CHAT, model="1:b|1:c")),
        NOW,
    )
    two = judge(
        ALL, AccountState(), Facts(Caller("a|1:b", "k", plan="default"), msgspec.structs.replace(CHAT, model="c")), NOW
    )
    keys = [next(d.key for d in verdict.draws if d.limit == "output") for _, verdict in (one, two)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("seen", "drawn"),
    [
        (Observation(), {"requests", "live"}),  # opaque: there are no tokens that we know of
        (Observation(op="count_tokens", chars=100), {"requests", "live"}),
        (Observation(op="embeddings", model="e", chars=100), {"requests", "live", "input", "daily"}),
    ],
)
def test_what_generates_nothing_reserves_nothing(seen: Observation, drawn: set[str]) -> None:
    assert {draw.limit for draw in verdict_on(seen).draws} == drawn


def test_a_declared_ceiling_lowers_the_reservation_and_never_raises_it() -> None:
    def reserved(ceiling: int | None, n: int = 1) -> int:
        seen = msgspec.structs.replace(CHAT, max_tokens=ceiling, n=n)
        return next(draw.cost for draw in verdict_on(seen).draws if draw.limit == "output")

    assert reserved(10) == 10
    assert reserved(10, n=3) == 30
    assert reserved(16_000) == 1000


def test_a_strict_limit_reserves_what_was_declared_up_to_its_share() -> None:
    strict = msgspec.structs.replace(OUTPUT, reserve=Reserve("declared", 1000, 0.5))
    seen = msgspec.structs.replace(CHAT, max_tokens=3000)
    assert verdict_on(seen, rules=policy(strict)).draws[0].cost == 3000
    seen = msgspec.structs.replace(CHAT, max_tokens=16_000)
    assert verdict_on(seen, rules=policy(strict)).draws[0].cost == 5000


def test_the_guess_is_the_ninetieth_percentile_of_the_account_s_own_answers() -> None:
    state = AccountState()
    for tokens in range(1, 41):
        answered = Outcome("done", 200, 200, Usage(100, tokens * 10, source="upstream"))
        state = settle(ALL, state, Facts(CALLER, CHAT), Verdict(), answered, NOW)[0]
    assert state.paces["m"].p90 == 370
    assert next(draw.cost for draw in verdict_on(CHAT, state).draws if draw.limit == "output") == 370


def test_an_aborted_answer_teaches_only_that_answers_are_longer() -> None:
    state = AccountState()
    for _ in range(25):
        state, _ = settle(
            ALL, state, Facts(CALLER, CHAT), Verdict(), Outcome("done", 200, 200, Usage(9, 10, source="upstream")), NOW
        )
    shorter = Outcome("client_abort", 200, 200, Usage(0, 3, source="counted"))
    assert settle(ALL, state, Facts(CALLER, CHAT), Verdict(), shorter, NOW)[0].paces["m"] == state.paces["m"]
    longer = Outcome("client_abort", 200, 200, Usage(0, 4000, source="counted"))
    for _ in range(4):
        state = settle(ALL, state, Facts(CALLER, CHAT), Verdict(), longer, NOW)[0]
    assert state.paces["m"].p90 == 4000


def test_the_kill_switch_and_shadow_mode_turn_every_draw_to_shadow() -> None:
    assert all(draw.shadow for draw in verdict_on(CHAT, kill=True).draws)
    assert all(draw.shadow for draw in verdict_on(CHAT, rules=policy(REQUESTS, mode="shadow")).draws)
    assert not any(draw.shadow for draw in verdict_on(CHAT).draws)


def test_an_opaque_path_is_refused_where_the_policy_says_so_and_only_then() -> None:
    barred = policy(REQUESTS, opaque="refuse")
    assert verdict_on(Observation(), rules=barred).refuse == "path_not_allowed"
    assert verdict_on(CHAT, rules=barred).refuse == ""
    lenient = verdict_on(Observation(), rules=barred, kill=True)
    assert (lenient.verdict, lenient.action, lenient.refuse) == ("block", "allow", "")


def test_a_batch_is_judged_on_what_its_file_held() -> None:
    lines = Observation(op="batch", model="m", n=100, lines=100, chars=40_000, messages=100)
    uploaded = Outcome("done", 200, 200, file="file-1", folded=lines)
    state = settle(ALL, AccountState(), Facts(CALLER, Observation(op="upload")), Verdict(), uploaded, NOW)[0]
    handed_in = Observation(op="batch", file="file-1")
    drawn = {draw.limit: draw.cost for draw in verdict_on(handed_in, state).draws}
    assert drawn["requests"] == 100
    assert drawn["input"] == 10_401
    half = policy(INPUT, tokens=TokenWeights(batch=0.5))
    assert verdict_on(handed_in, state, half).draws[0].cost == 5200
    unknown = verdict_on(Observation(op="batch", file="file-2"), state)
    assert {draw.limit for draw in unknown.draws} == {"requests", "live"}


def test_what_is_remembered_is_bounded() -> None:
    state = AccountState()
    for number in range(100):
        seen = msgspec.structs.replace(CHAT, model=f"m{number}")
        done = Outcome("done", 200, 200, Usage(9, 9, source="upstream"), file=f"file-{number}", folded=CHAT)
        state = settle(ALL, state, Facts(CALLER, seen), Verdict(), done, NOW)[0]
    for _ in range(200):
        state, _ = settle(
            ALL, state, Facts(CALLER, CHAT), Verdict(), Outcome("done", 200, 200, Usage(9, 9, source="upstream")), NOW
        )
    assert len(state.paces) == MODELS and len(state.files) == FILES
    assert len(state.paces["m"].recent) == 4 * ANSWERS


@pytest.mark.parametrize(
    ("end", "status", "usage", "expected"),
    [
        ("done", 200, Usage(50, 70, source="upstream"), {"output": 70, "input": 50, "daily": 120}),
        ("done", 400, Usage(), {"output": 0, "input": 0, "daily": 0}),  # the request itself stays charged
        ("done", 503, Usage(), {"requests": 0, "output": 0, "input": 0, "daily": 0}),
        ("upstream_error", 0, Usage(), {"requests": 0, "output": 0, "input": 0, "daily": 0}),
        ("client_abort", 200, Usage(0, 20, source="counted"), {"output": 20, "input": 109, "daily": 129}),
    ],
)
def test_what_an_answer_really_cost(end: End, status: int, usage: Usage, expected: dict[str, int]) -> None:
    facts = Facts(CALLER, CHAT)
    assert actual(ALL, facts, verdict_on(CHAT), Outcome(end, status, status, usage)) == expected


@pytest.mark.parametrize(
    ("status", "proven", "kept"), [(401, False, 0), (403, False, 0), (401, True, 1), (404, False, 1)]
)
def test_a_key_that_was_never_accepted_leaves_nothing_in_a_quota(status: int, proven: bool, kept: int) -> None:
    calls = Limit("calls", ("account",), "requests", Rate(500, "requests", "day"), 500, window="calendar")
    rules = policy(calls, REQUESTS)
    verdict = verdict_on(CHAT, rules=rules)
    refused = Outcome("done", status, status)
    costs = {draw.limit: draw.cost for draw in verdict.draws}
    costs |= actual(rules, Facts(CALLER, CHAT), verdict, refused, proven=proven)
    assert costs == {"calls": kept, "requests": 1}


def test_a_stream_that_was_left_had_a_prompt_all_the_same() -> None:
    """Its answer is counted, and what it read can only be estimated: no prompt would look like a harvest's gain."""
    state, verdict = judge(ALL, AccountState(), Facts(CALLER, CHAT), NOW)
    left = Outcome("client_abort", 200, 200, Usage(0, 218, source="counted"))
    after, _ = settle(ALL, state, Facts(CALLER, CHAT), verdict, left, NOW)
    assert PANEL.readings["output_per_input"].get(PANEL.read(after.signals)) == 2.0  # 109 were read


def test_the_policy_may_charge_an_aborted_stream_in_full() -> None:
    strict = policy(OUTPUT, abort="charge_reserved")
    cut = Outcome("client_abort", 200, 200, Usage(0, 20, source="counted"))
    assert actual(strict, Facts(CALLER, CHAT), verdict_on(CHAT, rules=strict), cut) == {"output": 1000}
    long = Outcome("client_abort", 200, 200, Usage(0, 5000, source="counted"))
    assert actual(strict, Facts(CALLER, CHAT), verdict_on(CHAT, rules=strict), long) == {"output": 5000}


def test_work_out_of_sight_is_charged_when_it_is_handed_in() -> None:
    background = msgspec.structs.replace(CHAT, background=True, max_tokens=4000)
    verdict = verdict_on(background, rules=policy(OUTPUT))
    gone = Outcome("client_abort", 200, 200, Usage(0, 1, source="counted"))
    facts = Facts(CALLER, background)
    assert actual(policy(OUTPUT), facts, verdict, gone) == {"output": 4000}
    told = Outcome("done", 200, 200, Usage(5, 4500, source="upstream"))
    assert actual(policy(OUTPUT), facts, verdict, told) == {"output": 4500}
    refused = Outcome("done", 400, 400)
    assert actual(policy(OUTPUT), facts, verdict, refused) == {"output": 0}


def test_a_call_that_names_no_model_meets_the_limits_by_model() -> None:
    unnamed = msgspec.structs.replace(CHAT, model=None)
    assert [draw.limit for draw in verdict_on(unnamed, rules=policy(OUTPUT)).draws] == ["output"]


def test_only_an_answered_model_call_proves_a_caller() -> None:
    for seen, status, proven in [
        (CHAT, 200, True),
        (CHAT, 404, False),
        (CHAT, 401, False),
        (Observation(), 200, False),
    ]:
        state = settle(ALL, AccountState(), Facts(CALLER, seen), Verdict(), Outcome("done", status, status), NOW)[0]
        assert state.proven is proven


def test_weights_are_applied_to_what_was_cached_and_thought() -> None:
    weighted = policy(INPUT, OUTPUT, tokens=TokenWeights(cache_read=0.0, reasoning=0.5))
    usage = Usage(100, 60, cache_read=80, reasoning=40, source="upstream")
    done = Outcome("done", 200, 200, usage)
    assert actual(weighted, Facts(CALLER, CHAT), verdict_on(CHAT, rules=weighted), done) == {"input": 20, "output": 40}


observations = st.builds(
    Observation,
    op=st.sampled_from(["chat", "embeddings", "opaque", "batch"]),
    model=st.sampled_from([None, "m", "n"]),
    n=st.integers(1, 8),
    max_tokens=st.none() | st.integers(0, 100_000),
    messages=st.integers(0, 50),
    chars=st.integers(0, 100_000),
    ascii=st.booleans(),
    file=st.sampled_from([None, "f1", "f2"]),
)
outcomes = st.builds(
    Outcome,
    end=st.sampled_from(["done", "client_abort", "upstream_error", "refused"]),
    status=st.sampled_from([0, 200, 401, 429, 500]),
    upstream_status=st.sampled_from([0, 200, 401, 429, 500]),
    usage=st.builds(
        Usage, st.integers(0, 10_000), st.integers(0, 10_000), source=st.sampled_from(["upstream", "none"])
    ),
    file=st.sampled_from([None, "f1"]),
    folded=st.none() | observations,
)


def fold(rows: list[tuple[Observation, Outcome]]) -> tuple[AccountState, list[Verdict]]:
    state, verdicts, now = AccountState(), [], NOW
    for seen, outcome in rows:
        facts = Facts(CALLER, seen, state.limits)
        state, verdict = judge(ALL, state, facts, now)
        state = settle(ALL, state, facts, verdict, outcome, now + 5)[0]
        verdicts.append(verdict)
        now += 1_000_000
    return state, verdicts


@given(st.lists(st.tuples(observations, outcomes), max_size=12))
def test_replay_is_exact_also_through_the_rows_encoding(rows: list[tuple[Observation, Outcome]]) -> None:
    encoded = msgspec.json.encode(rows)
    again = msgspec.json.decode(encoded, type=list[tuple[Observation, Outcome]])
    first, second = fold(rows), fold(again)
    assert msgspec.json.encode(first) == msgspec.json.encode(second)


@given(st.lists(st.tuples(observations, outcomes), max_size=12))
def test_judging_leaves_its_argument_as_it_was(rows: list[tuple[Observation, Outcome]]) -> None:
    state, _ = fold(rows)
    before = msgspec.json.encode(state)
    judge(ALL, state, Facts(CALLER, CHAT), NOW)
    settle(ALL, state, Facts(CALLER, CHAT), Verdict(), Outcome("done", 200, 200, Usage(5, 5, source="upstream")), NOW)
    assert msgspec.json.encode(state) == before


@given(observations, outcomes)
def test_no_cost_is_negative_and_no_reservation_passes_its_limit(seen: Observation, outcome: Outcome) -> None:
    verdict = verdict_on(seen)
    assert all(draw.cost >= 0 for draw in verdict.draws)
    assert all(draw.cost <= draw.capacity for draw in verdict.draws if draw.limit == "output")
    assert all(units >= 0 for units in actual(ALL, Facts(CALLER, seen), verdict, outcome).values())


def test_another_process_with_another_hash_seed_decides_the_same() -> None:
    program = (
        "import msgspec;from tests.test_decide import *;"
        "rows=[(CHAT,Outcome('done',200,200,Usage(50,n*7,source='upstream'))) for n in range(40)];"
        "print(msgspec.json.encode(fold(rows)).decode())"
    )
    root = Path(__file__).parent.parent
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1
