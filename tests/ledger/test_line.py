"""The one line a request: what it says, how it is written, and that every name in it is documented."""

import datetime
import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import Effects
from gateway.campaigns import Campaign
from gateway.decide import Facts, Outcome, Reflection, Verdict
from gateway.identity import Caller
from gateway.ledger.fields import FIELDS, fields_markdown
from gateway.ledger.line import Service, Shown, Timings, encode, line, timestamp
from gateway.ledger.record import Row, Ruled, Settled
from gateway.ledger.record import decode as decode_row
from gateway.ledger.record import encode as encode_row
from gateway.observe import Observation
from gateway.policy.model import Policy
from gateway.quotas import Draw, Reading
from gateway.usage import Usage

NOW = 1_795_487_400_000_001  # 2026-11-24T02:30:00.000001Z
SEEN = Observation(
    dialect="openai_chat",
    op="chat",
    route="/v1/chat/completions",
    model="gpt-4o-mini",
    stream=True,
    n=2,
    max_tokens=512,
    messages=3,
    tools=1,
    images=1,
    audio=1,
    temperature=0.7,
    top_p=0.9,
    logprobs=0,
    bytes=2048,
    chars=1900,
    prompts=2,
    token_ids=3,
    background=True,
    ascii=False,
    lines=4,
    file="file-abc",
    answers=1,
    results=1,
    client="openai/python",
    marks={"continues": 1},
    asks=(11, 12),
    distinct=2,
    pieces=(13,),
    head=14,
    tail=15,
    opening=20,
    closing=21,
    words=(7, 255),
    system=16,
    params=17,
    said=18,
    user=19,
    spelled=4,
    fresh=900,
    bank="gsm8k-train",
    bias=(50256,),
)
CALLER = Caller(
    account="acct_1",
    key="0123456789abcdef",
    org="org_1",
    plan="free",
    labels=("evaluator",),
    created=NOW // 1_000_000 - 86_400,
    known=True,
    source="key",
    network="fedcba9876543210",
)
OPEN = Reading("key-requests", "requests", ok=True, cost=1, left=19, capacity=20, reset=1_000_000)
SPENT = Reading("acct-output", "tokens.output", ok=False, cost=900, left=10, capacity=8000, reset=2, wait=1_500_000)
SHADOW = msgspec.structs.replace(SPENT, limit="one-recipe", shadow=True)
NEVER = msgspec.structs.replace(SPENT, limit="acct-daily", wait=-1)
CAMPAIGN = Campaign("campaign-0123456789", 3, 40, 38, NOW - 5, False, {"partition": 31.5})
POLICY = Policy(id="acme-prod", digest="abcdef012345", version="7")
EVERYTHING = Shown(
    policy=POLICY,
    service=Service("gauger", "0.1.0", "host:8080"),
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    span_id="00f067aa0ba902b7",
    provider="openai",
    client_request_id="mine-1",
    upstream_request_id="req_9",
    response_id="chatcmpl-1",
    response_model="gpt-4o-mini-2024-07-18",
    finish=("stop", "length"),
    bytes_in=2048,
    bytes_out=4096,
    t=Timings(120, 40, 15, 5_000, 3, 1_250, 210_500, 230_123, 1_830_000),
    session={"close": 1000, "by": "client", "messages_in": 3, "messages_out": 40, "answers": 1},
)


def rows(
    verdict: Verdict, outcome: Outcome, facts: Facts | None = None, reflection: Reflection | None = None
) -> tuple[Ruled, Settled]:
    ruled = Ruled(
        seq=11,
        now=NOW,
        request="01M85NZEAD4EGHMQRXPQV13DCG",
        policy=POLICY.digest,
        facts=facts or Facts(caller=CALLER, seen=SEEN),
        verdict=verdict,
    )
    said = reflection or Reflection()
    return ruled, Settled(12, NOW + 5, ruled.request, "acct_1", outcome, said)


EFFECTS = Effects(
    tags=("watch",),
    clamp={"n": (5, 1)},
    throttle={"acct-output": 0.25},
    delay=1000,
    block=403,
    code="policy_block",
    until=NOW,
)


def full() -> dict[str, Any]:
    """A line with every field that there is."""
    verdict = Verdict(
        verdict="clamp",
        action="clamp",
        effects=EFFECTS,
        would=EFFECTS,
        rules=("slow-down", "watch"),
        shadow=("stop",),
        excepted={"slow-down": "partner"},
        missing={"aged": ("account.age",)},
        scores={"extraction": -12.5},
        evidence={"extraction": {"sweep": 3.0}},
        campaign={"extraction": 4.5},
        together={"extraction": {"one-pool": 8.0}},
        readings={"1h.requests": 2.0},
        input=480,
        output=900,
        error="ZeroDivisionError",
        batch=SEEN,
    )
    outcome = Outcome(
        end="refused",
        status=429,
        usage=Usage(input=500, output=700, cache_read=10, cache_write=5, reasoning=100, source="upstream"),
        limits=(OPEN, SPENT, SHADOW),
        settled={"acct-output": -200},
        store="valkey",
        at=NOW,
        error="rate_limit_exceeded",
    )
    facts = Facts(CALLER, SEEN, returned=3, continued=True, campaign=CAMPAIGN, membership=-0.5)
    return line(*rows(verdict, outcome, facts), EVERYTHING)


CHOSEN = {
    "settle",
    "effects.throttle",
    "would.throttle",
    "rules.excepted",
    "rules.missing",
    "score",
    "readings",
    "batch",
    "obs.marks",
    "campaign.score",
    "campaign.readings",
}
"""Maps whose keys the policy chooses, or the batch."""


def names(value: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, inner in value.items():
        name = f"{prefix}{key}"
        if name in CHOSEN:
            found.add(f"{name}.*")
        elif name in ("effects.clamp", "would.clamp"):
            found |= {f"{name}.*.{part}" for values in inner.values() for part in values}
        elif name in ("evidence", "campaign.evidence"):
            found.add(f"{name}.*.*")
        elif isinstance(inner, dict):
            found |= names(inner, f"{name}.")
        elif isinstance(inner, list | tuple) and inner and isinstance(inner[0], dict):
            for one in inner:
                found |= names(one, f"{name}[].")
        else:
            found.add(name)
    return found


def test_a_line_with_everything_holds_exactly_the_documented_names() -> None:
    assert names(full()) == set(FIELDS)


def test_a_line_with_nothing_special_leaves_out_what_does_not_apply() -> None:
    facts = Facts(caller=Caller(account="key-00"), seen=Observation())
    made = line(*rows(Verdict(), Outcome(end="done", status=200, upstream_status=200), facts), Shown(policy=POLICY))
    assert names(made) <= set(FIELDS)
    for absent in ("trace_id", "client", "effects", "rules", "limits", "retry_after_s", "settle", "error", "answer"):
        assert absent not in made
    assert made["obs"] == {"v": 1}
    assert made["level"] == "info"
    assert None not in made.values()


def test_every_field_of_an_observation_is_in_the_line() -> None:
    made = full()
    shown = made["req"] | made["obs"]
    for name in Observation.__struct_fields__:
        assert shown[name] == getattr(SEEN, name), name


def test_the_reference_has_one_row_for_each_field() -> None:
    table = fields_markdown().splitlines()
    assert len(table) == len(FIELDS) + 2
    assert all(row.count("|") == 6 for row in table)


def test_a_line_survives_json_unchanged() -> None:
    made = full()
    assert json.loads(encode(made)) == json.loads(json.dumps(made))


@pytest.mark.parametrize(
    ("verdict", "limits", "expected"),
    [
        (Verdict(), (OPEN,), ("allow", "allow", None)),
        (Verdict(), (OPEN, SPENT), ("limit", "limit", 1.5)),
        (Verdict(), (OPEN, SHADOW), ("limit", "allow", None)),
        (Verdict(), (SPENT, NEVER), ("limit", "limit", None)),
        (Verdict("clamp", "tag"), (SPENT,), ("limit", "limit", 1.5)),
        (Verdict("block", "allow"), (SPENT,), ("block", "limit", 1.5)),
        (Verdict("block", "block"), (), ("block", "block", None)),
        (Verdict("reject", "reject", refuse="bad_json"), (), ("reject", "reject", None)),
    ],
)
def test_a_spent_limit_is_a_word_of_its_own(
    verdict: Verdict, limits: tuple[Reading, ...], expected: tuple[str, str, float | None]
) -> None:
    made = line(*rows(verdict, Outcome(end="refused", limits=limits)), EVERYTHING)
    assert (made["verdict"], made["action"], made.get("retry_after_s")) == expected


@pytest.mark.parametrize(
    ("verdict", "outcome", "level"),
    [
        (Verdict(), Outcome(end="done", status=200), "info"),
        (Verdict(), Outcome(end="refused", status=429), "info"),
        (Verdict(), Outcome(end="client_abort"), "info"),
        (Verdict(), Outcome(end="done", store="degraded"), "warning"),
        (Verdict(), Outcome(end="upstream_error"), "warning"),
        (Verdict(), Outcome(end="timeout"), "warning"),
        (Verdict(), Outcome(end="crash"), "error"),
        (Verdict(error="KeyError"), Outcome(end="done"), "error"),
    ],
)
def test_only_our_own_defect_is_an_error(verdict: Verdict, outcome: Outcome, level: str) -> None:
    assert line(*rows(verdict, outcome), EVERYTHING)["level"] == level


@pytest.mark.parametrize(
    ("verdict", "reflection", "limits", "expected"),
    [
        (Verdict(), Reflection(tags=("t",), rules=("r",)), (OPEN,), ("tag", "tag")),
        (Verdict(), Reflection(shadow=("r",)), (OPEN,), ("tag", "allow")),
        (Verdict("clamp", "allow"), Reflection(tags=("t",), rules=("r",)), (), ("clamp", "tag")),
        (Verdict("block", "clamp"), Reflection(tags=("t",), rules=("r",)), (), ("block", "clamp")),
        (Verdict(), Reflection(tags=("t",), rules=("r",)), (SHADOW,), ("limit", "tag")),
    ],
)
def test_rules_of_the_answer_make_an_allowed_request_a_tagged_one(
    verdict: Verdict, reflection: Reflection, limits: tuple[Reading, ...], expected: tuple[str, str]
) -> None:
    made = line(*rows(verdict, Outcome(end="done", limits=limits), None, reflection), EVERYTHING)
    assert (made["verdict"], made["action"]) == expected


def test_what_both_phases_say_stands_together() -> None:
    verdict = Verdict(
        "tag", "tag", Effects(tags=("b",)), rules=("one",), shadow=("two",), missing={"three": ("account.age",)}
    )
    reflection = Reflection(("a", "b"), ("four",), ("five",), {"six": ("req.model",)})
    made = line(*rows(verdict, Outcome(end="done"), None, reflection), EVERYTHING)
    assert made["effects"]["tags"] == ["a", "b"]
    assert made["rules"] == {
        "matched": ["one", "four"],
        "shadow": ["two", "five"],
        "missing": {"three": ("account.age",), "six": ("req.model",)},
    }


def test_a_clamp_names_what_was_asked_and_what_passed_where_there_is_such_a_value() -> None:
    clamp: dict[str, Any] = {"max_tokens": (None, 50), "logprobs": (True, False), "temperature": (1.5, None)}
    made = line(*rows(Verdict("clamp", "clamp", Effects(clamp=clamp)), Outcome(end="done")), EVERYTHING)
    assert made["effects"]["clamp"] == {
        "max_tokens": {"to": 50},
        "logprobs": {"from": True, "to": False},
        "temperature": {"from": 1.5},
    }


def test_what_full_enforcement_would_do_is_said_where_it_differs() -> None:
    verdict = Verdict("block", "allow", would=EFFECTS, shadow=("stop",))
    made = line(*rows(verdict, Outcome(end="done")), EVERYTHING)
    assert "effects" not in made
    assert made["would"]["status"] == 403
    assert made["would"]["until"] == timestamp(NOW)


def test_a_request_rejected_before_judging_says_why() -> None:
    made = line(*rows(Verdict("reject", "reject", refuse="invalid_json"), Outcome(end="refused")), EVERYTHING)
    assert made["effects"] == {"code": "invalid_json"}


def test_what_an_upstream_says_of_itself_is_bounded() -> None:
    foreign = msgspec.structs.replace(
        EVERYTHING, response_id="x" * 500, response_model="a\nb", finish=("st\u2028op",) * 99
    )
    answer = line(*rows(Verdict(), Outcome(end="done")), foreign)["answer"]
    assert answer["id"] == answer["model"] == "other"
    assert set(answer["finish"]) == {"other"}
    assert len(answer["finish"]) == 16


@given(st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999))
def test_a_timestamp_is_what_the_calendar_says(micros: int) -> None:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    expected = (epoch + datetime.timedelta(microseconds=micros)).strftime("%m-%dT%H:%M:%S.%fZ")
    year = (epoch + datetime.timedelta(microseconds=micros)).year
    assert timestamp(micros) == f"{year:04d}-{expected}"


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_no_text_can_break_out_of_its_line(text: str) -> None:
    data = encode({"schema": text, "more": {text: [text]}})
    assert data.endswith(b"\n")
    body = data[:-1]
    assert all(0x20 <= byte < 0x7F for byte in body)
    assert json.loads(body) == {"schema": text, "more": {text: [text]}}


def test_numbers_that_json_lacks_do_not_stop_a_line() -> None:
    assert encode({"a": float("nan")}) == b'{"a":null}\n'
    assert encode({"a": float("inf"), "b": "\x9b"}) == b'{"a":null,"b":"\\u009b"}\n'
    assert json.loads(encode({"a": 1 << 70})) == {"a": 1 << 70}


def test_plain_lines_are_written_without_escapes() -> None:
    made = full()
    assert encode(made) == orjson.dumps(made) + b"\n"


def test_rows_survive_their_encoding() -> None:
    draw = Draw("key-requests", "c", "rate", "requests", 60, 60_000_000, 20, 1)
    verdict = Verdict(
        "clamp", "clamp", Effects(clamp={"n": (5, 1), "logprobs": (True, False)}), draws=(draw,), rules=("a",)
    )
    both: tuple[Row, ...] = rows(verdict, Outcome(end="done", limits=(OPEN,), settled={"a": -1}, folded=SEEN))
    assert tuple(decode_row(encode_row(row)) for row in both) == both
    with pytest.raises(msgspec.ValidationError):
        decode_row(b'{"type":"other"}')
