"""The line in OpenTelemetry's and in ECS's names, held by golden examples."""

import copy
from typing import Any

import orjson
import pytest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, http_attributes
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.semconv.attributes import http_attributes as stable_http_attributes

from gateway.ledger import mapping
from gateway.ledger.fields import FIELDS
from gateway.ledger.line import encode
from gateway.ledger.mapping import ACTIONS, ECS, OTEL, OTEL_RESOURCE, attributes, mapping_markdown, to_ecs, to_otel

LINE: dict[str, Any] = {
    "schema": "gauger.decision/1",
    "ts": "2026-11-24T02:30:00.000001Z",
    "event": "decision",
    "level": "warning",
    "service": {"name": "gauger", "version": "0.1.0", "instance": "host:8080"},
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "request_id": "01M85NZEAD4EGHMQRXPQV13DCG",
    "seq": {"ruled": 11, "settled": 12},
    "policy": {"id": "acme-prod", "version": "7", "digest": "abcdef012345", "mode": "enforce"},
    "account": {"id": "acct_1", "source": "key", "known": True, "org": "org_1"},
    "req": {
        "route": "/v1/chat/completions",
        "op": "chat",
        "dialect": "openai_chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "stream": True,
        "n": 1,
        "max_tokens": 512,
        "temperature": 0.7,
        "top_p": 0.9,
    },
    "obs": {"v": 1},
    "verdict": "clamp",
    "action": "clamp",
    "kill": False,
    "effects": {"clamp": {"n": {"from": 5, "to": 1}}, "code": "policy_clamp"},
    "rules": {"matched": ["slow-down"], "excepted": {"stop": "partner"}, "missing": {"aged": ("account.age",)}},
    "score": {"extraction": -12.5},
    "evidence": {"extraction": {"sweep": 3.0}},
    "limits": [
        {"id": "key-requests", "cost": 1, "ok": True, "left": 19, "reset_s": 1.0, "shadow": False},
        {"id": "acct-output", "cost": 900, "ok": True, "left": 10, "reset_s": 2.5, "shadow": True},
    ],
    "store": "degraded",
    "t": {"parse_us": 120, "ttft_ms": 230.5, "total_ms": 1830.25},
    "usage": {
        "input": 500,
        "output": 700,
        "cache_read": 10,
        "cache_write": 5,
        "reasoning": 100,
        "source": "upstream",
    },
    "settle": {"acct-output": -200},
    "answer": {"id": "chatcmpl-1", "model": "gpt-4o-mini-2024-07-18", "finish": ["stop"]},
    "http": {"status": 200, "upstream_status": 200, "bytes_in": 2048, "bytes_out": 4096},
    "end": "done",
    "error": {"type": "slow"},
}
SHARED = {
    "gauger.schema": "gauger.decision/1",
    "gauger.seq.ruled": 11,
    "gauger.policy.digest": "abcdef012345",
    "gauger.policy.mode": "enforce",
    "gauger.account.source": "key",
    "gauger.account.known": True,
    "gauger.req.dialect": "openai_chat",
    "gauger.obs.v": 1,
    "gauger.verdict": "clamp",
    "gauger.kill": False,
    "gauger.effects.clamp.n.from": 5,
    "gauger.effects.clamp.n.to": 1,
    "gauger.rules.excepted.stop": "partner",
    "gauger.rules.missing.aged": ["account.age"],
    "gauger.score.extraction": -12.5,
    "gauger.evidence.extraction.sweep": 3.0,
    "gauger.limits.id": ["key-requests", "acct-output"],
    "gauger.limits.cost": [1, 900],
    "gauger.limits.ok": [True, True],
    "gauger.limits.left": [19, 10],
    "gauger.limits.reset_s": [1.0, 2.5],
    "gauger.limits.shadow": [False, True],
    "gauger.store": "degraded",
    "gauger.t.parse_us": 120,
    "gauger.t.ttft_ms": 230.5,
    "gauger.t.total_ms": 1830.25,
    "gauger.usage.source": "upstream",
    "gauger.settle.acct-output": -200,
    "gauger.http.upstream_status": 200,
    "gauger.end": "done",
    "error.type": "slow",
    "user.id": "acct_1",
    "http.response.status_code": 200,
}


def changed(**parts: Any) -> dict[str, Any]:
    made = copy.deepcopy(LINE)
    for name, value in parts.items():
        made[name] = made[name] | value if isinstance(value, dict) else value
    return made


def test_the_opentelemetry_record_is_this_one() -> None:
    assert to_otel(LINE) == {
        "Timestamp": "2026-11-24T02:30:00.000001Z",
        "EventName": "gauger.decision",
        "SeverityText": "WARN",
        "SeverityNumber": 13,
        "TraceId": "4bf92f3577b34da6a3ce929d0e0e4736",
        "SpanId": "00f067aa0ba902b7",
        "Resource": {"service.name": "gauger", "service.version": "0.1.0", "service.instance.id": "host:8080"},
        "Attributes": SHARED
        | {
            "gauger.request_id": "01M85NZEAD4EGHMQRXPQV13DCG",
            "gauger.seq.settled": 12,
            "gauger.policy.version": "7",
            "gauger.account.org": "org_1",
            "gauger.action": "clamp",
            "http.route": "/v1/chat/completions",
            "http.request.body.size": 2048,
            "http.response.body.size": 4096,
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.request.stream": True,
            "gen_ai.request.choice.count": 1,
            "gen_ai.request.max_tokens": 512,
            "gen_ai.request.temperature": 0.7,
            "gen_ai.request.top_p": 0.9,
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.response.time_to_first_chunk": 0.2305,
            "gen_ai.usage.input_tokens": 500,
            "gen_ai.usage.output_tokens": 700,
            "gen_ai.usage.cache_read.input_tokens": 10,
            "gen_ai.usage.cache_creation.input_tokens": 5,
            "gen_ai.usage.reasoning.output_tokens": 100,
            "gen_ai.guardrail.verdict.type": "modify",
            "gen_ai.guardrail.action.type": "modify",
            "gen_ai.guardrail.verdict.reason": "policy_clamp",
            "gen_ai.security.policy.id": "acme-prod",
            "gen_ai.security.policy.rule.id": ["slow-down"],
        },
    }


def test_the_ecs_event_is_this_one() -> None:
    assert to_ecs(LINE) == SHARED | {
        "@timestamp": "2026-11-24T02:30:00.000001Z",
        "ecs.version": "8.17.0",
        "message": "clamp /v1/chat/completions",
        "log.level": "warning",
        "event.kind": "event",
        "event.category": ["api"],
        "event.type": ["access", "allowed"],
        "event.action": "clamp",
        "event.outcome": "success",
        "event.reason": "policy_clamp",
        "event.duration": 1_830_250_000,
        "event.sequence": 12,
        "event.module": "gauger",
        "event.dataset": "gauger.decision",
        "observer.type": "proxy",
        "observer.vendor": "gauger",
        "observer.name": "host:8080",
        "observer.version": "0.1.0",
        "service.name": "gauger",
        "service.version": "0.1.0",
        "service.node.name": "host:8080",
        "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span.id": "00f067aa0ba902b7",
        "http.request.id": "01M85NZEAD4EGHMQRXPQV13DCG",
        "http.request.body.bytes": 2048,
        "http.response.body.bytes": 4096,
        "rule.id": ["slow-down"],
        "rule.ruleset": "acme-prod",
        "rule.version": "7",
        "organization.id": "org_1",
        "gauger.req.route": "/v1/chat/completions",
        "gauger.req.op": "chat",
        "gauger.req.provider": "openai",
        "gauger.req.model": "gpt-4o-mini",
        "gauger.req.stream": True,
        "gauger.req.n": 1,
        "gauger.req.max_tokens": 512,
        "gauger.req.temperature": 0.7,
        "gauger.req.top_p": 0.9,
        "gauger.usage.input": 500,
        "gauger.usage.output": 700,
        "gauger.usage.cache_read": 10,
        "gauger.usage.cache_write": 5,
        "gauger.usage.reasoning": 100,
        "gauger.answer.id": "chatcmpl-1",
        "gauger.answer.model": "gpt-4o-mini-2024-07-18",
        "gauger.answer.finish": ["stop"],
    }


@pytest.mark.parametrize(
    ("word", "verdict", "action", "type_"),
    [
        ("allow", "allow", "allow", "allowed"),
        ("tag", "warn", "allow", "allowed"),
        ("throttle", "warn", "allow", "allowed"),
        ("clamp", "modify", "modify", "allowed"),
        ("limit", "deny", "block", "denied"),
        ("block", "deny", "block", "denied"),
        ("reject", "deny", "block", "denied"),
    ],
)
def test_every_word_has_its_guardrail_names(word: str, verdict: str, action: str, type_: str) -> None:
    made = changed(verdict=word, action=word)
    found = attributes(made)
    assert found["gen_ai.guardrail.verdict.type"] == verdict
    assert found["gen_ai.guardrail.action.type"] == action
    assert to_ecs(made)["event.type"] == ["access", type_]


def test_a_block_in_shadow_is_denied_by_verdict_and_allowed_by_action() -> None:
    made = changed(verdict="block", action="allow")
    found = attributes(made)
    assert (found["gen_ai.guardrail.verdict.type"], found["gen_ai.guardrail.action.type"]) == ("deny", "allow")
    ecs = to_ecs(made)
    assert (ecs["event.kind"], ecs["event.type"]) == ("alert", ["access", "allowed"])


@pytest.mark.parametrize(
    ("end", "status", "outcome"),
    [
        ("done", 200, "success"),
        ("done", 404, "failure"),
        ("refused", 429, "failure"),
        ("upstream_error", 200, "failure"),
        ("crash", 0, "failure"),
        ("client_abort", 0, "unknown"),
    ],
)
def test_the_ecs_outcome_is_what_the_caller_saw(end: str, status: int, outcome: str) -> None:
    assert to_ecs(changed(end=end, http={"status": status}))["event.outcome"] == outcome


def test_a_request_without_an_answer_has_no_status_in_either_standard() -> None:
    made = changed(end="client_abort", http={"status": 0, "upstream_status": 0})
    assert "http.response.status_code" not in attributes(made)
    assert "http.response.status_code" not in to_ecs(made)


def test_an_operation_that_opentelemetry_does_not_name_stays_ours() -> None:
    found = attributes(changed(req={"op": "batch"}))
    assert "gen_ai.operation.name" not in found
    assert found["gauger.req.op"] == "batch"


def test_time_to_first_chunk_is_of_streams_only() -> None:
    assert "gen_ai.response.time_to_first_chunk" not in attributes(changed(req={"stream": False}))


def test_every_source_of_a_mapping_is_a_documented_field() -> None:
    for table in (OTEL, OTEL_RESOURCE, ECS):
        assert set(table) <= set(FIELDS)
        assert len(set(table.values())) == len(table)


def test_gen_ai_and_http_names_are_those_of_the_published_conventions() -> None:
    published = {
        value
        for module in (gen_ai_attributes, http_attributes, stable_http_attributes, error_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    drafts = {name for name in OTEL.values() if name.startswith(("gen_ai.guardrail.", "gen_ai.security."))}
    assert set(OTEL.values()) - drafts - {"user.id"} <= published
    assert len(drafts) == 3


def test_attributes_are_scalars_or_lists_of_one_kind_of_scalar() -> None:
    for value in attributes(LINE).values():
        if isinstance(value, list):
            assert len({type(one) for one in value}) == 1
        else:
            assert isinstance(value, str | int | float | bool)


def test_names_that_come_and_go_with_policies_fill_no_memory() -> None:
    for number in range(600):
        card = f"card-{number}"
        assert attributes(changed(evidence={card: {"x": 1.0}}))[f"gauger.evidence.{card}.x"] == 1.0
    assert len(mapping._OTEL_NAMES) <= mapping.MAX_NAMES


def test_mapped_lines_are_json() -> None:
    assert orjson.loads(encode(to_otel(LINE))) == to_otel(LINE)
    assert orjson.loads(encode(to_ecs(LINE))) == to_ecs(LINE)


def test_the_mapping_reference_names_every_pair_and_word() -> None:
    table = mapping_markdown()
    assert all(f"`{name}`" in table for name in (*OTEL.values(), *ECS.values(), *OTEL_RESOURCE.values()))
    assert all(f"| {word} |" in table for word in ACTIONS)
