"""Metrics: what a scrape says after requests, and that no label can grow without bound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.quotas import Reading
from gateway.telemetry.families import FAMILIES, family_of
from gateway.telemetry.metrics import BOUNDS, COUNTED, GAUGES, Metrics
from gateway.usage import Usage

MS = 1_000_000


def one(metrics: Metrics, **changed: object) -> None:
    facts: dict[str, object] = {
        "route": "/v1/chat/completions",
        "provider": "openai",
        "action": "allow",
        "status": 200,
        "stream": False,
        "total": 30 * MS,
    }
    metrics.observe(**(facts | changed))  # type: ignore[arg-type]


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return scraped(metrics).get((name, tuple(sorted(labels.items()))))


def test_a_request_is_counted_by_route_provider_action_and_class_of_status() -> None:
    metrics = Metrics()
    one(metrics)
    one(metrics, status=204)
    one(metrics, status=429, action="limit")
    one(metrics, status=0, action="allow")
    labels = {"route": "/v1/chat/completions", "provider": "openai"}
    name = "gauger_requests_total"
    assert value(metrics, name, **labels, action="allow", status_class="2xx") == 2
    assert value(metrics, name, **labels, action="limit", status_class="4xx") == 1
    assert value(metrics, name, **labels, action="allow", status_class="none") == 1


def test_durations_are_cumulative_histograms_in_seconds() -> None:
    metrics = Metrics()
    for total in (5 * MS, 5 * MS + 1, 1_000_000 * MS):
        one(metrics, total=total, upstream=total, first_chunk=MS, phases={"parse": 10_000, "body": 5, "decide": 10_001})
    name = "gauger_request_duration_seconds"
    labels = {"route": "/v1/chat/completions", "stream": "false"}
    assert value(metrics, f"{name}_bucket", **labels, le="0.005") == 1
    assert value(metrics, f"{name}_bucket", **labels, le="0.01") == 2
    assert value(metrics, f"{name}_bucket", **labels, le="300.0") == 2
    assert value(metrics, f"{name}_bucket", **labels, le="+Inf") == 3
    assert value(metrics, f"{name}_count", **labels) == 3
    assert value(metrics, f"{name}_sum", **labels) == pytest.approx(1000.010000001)
    assert value(metrics, "gauger_upstream_duration_seconds_count", provider="openai") == 3
    assert value(metrics, "gauger_time_to_first_chunk_seconds_sum", provider="openai") == pytest.approx(0.003)
    steps = "gauger_decision_duration_seconds_bucket"
    assert value(metrics, steps, phase="parse", le="1e-05") == 3
    assert value(metrics, steps, phase="decide", le="1e-05") == 0
    assert value(metrics, steps, phase="decide", le="2e-05") == 3
    assert value(metrics, steps, phase="body", le="+Inf") is None


def test_tokens_are_counted_by_direction_and_family() -> None:
    metrics = Metrics()
    usage = Usage(input=100, output=20, cache_read=50, reasoning=5, source="upstream")
    one(metrics, model="gpt-4o-mini-2024-07-18", usage=usage)
    one(metrics, model="gpt-4o-mini", usage=usage)
    one(metrics, model="ft:whatever:acme::1", usage=usage)
    found = {
        direction: value(metrics, "gauger_tokens_total", direction=direction, model_family="gpt-4o-mini")
        for direction in ("input", "output", "cache_read", "cache_write", "reasoning")
    }
    assert found == {"input": 200, "output": 40, "cache_read": 100, "cache_write": None, "reasoning": 10}
    assert value(metrics, "gauger_tokens_total", direction="input", model_family="other") == 100


def test_limits_are_counted_by_their_answer() -> None:
    metrics = Metrics()
    readings = (
        Reading("a", "requests", ok=True, cost=1, left=10, capacity=100),
        Reading("b", "requests", ok=True, cost=1, left=9, capacity=100),
        Reading("c", "requests", ok=False, cost=1, left=0, capacity=100),
        Reading("d", "requests", ok=False, cost=1, left=0, capacity=100, shadow=True),
    )
    one(metrics, limits=readings)
    name = "gauger_limit_decisions_total"
    answers = {"a": "ok", "b": "near", "c": "over", "d": "shadow_over"}
    assert all(value(metrics, name, limit=limit, result=result) == 1 for limit, result in answers.items())


def test_the_error_of_reservations_is_a_share_of_what_was_reserved() -> None:
    metrics = Metrics()
    output = Reading("out", "tokens.output", ok=True, cost=1000, left=1, capacity=9000)
    one(metrics, limits=(output,), settled={"out": -400})
    one(metrics, limits=(output,), settled={"out": 3000})
    one(metrics, limits=(output,), settled={})
    assert value(metrics, "gauger_reservation_error_ratio_count", limit="out") == 2
    assert value(metrics, "gauger_reservation_error_ratio_sum", limit="out") == pytest.approx(3.4)
    assert value(metrics, "gauger_reservation_error_ratio_bucket", limit="out", le="0.5") == 1


def test_the_policy_in_force_is_the_only_one_shown() -> None:
    metrics = Metrics()
    assert b"gauger_policy_info" not in metrics.render()
    metrics.policy("acme", "1", "aaaa")
    metrics.policy("acme", "2", "bbbb")
    shown = {labels: found for (name, labels), found in scraped(metrics).items() if name == "gauger_policy_info"}
    assert shown == {(("digest", "bbbb"), ("id", "acme"), ("version", "2")): 1}


def test_rules_are_counted_by_mode_and_whether_an_exception_softened_them() -> None:
    metrics = Metrics()
    metrics.judged(("a", "b"), ("c",), {"b": "partner", "c": "partner"}, {})
    metrics.judged(("a",), (), {}, {})
    name = "gauger_rule_matches_total"
    assert value(metrics, name, rule="a", mode="enforce", excepted="false") == 2
    assert value(metrics, name, rule="b", mode="enforce", excepted="true") == 1
    assert value(metrics, name, rule="c", mode="shadow", excepted="true") == 1


def test_scores_are_a_histogram_in_decibans() -> None:
    metrics = Metrics()
    for score in (-60.0, -30.0, 4.5, 60.0):
        metrics.judged((), (), {}, {"extraction": score})
    name = "gauger_score_decibans"
    buckets = {le: value(metrics, f"{name}_bucket", card="extraction", le=le) for le in ("-50.0", "-30.0", "5.0")}
    assert buckets == {"-50.0": 1, "-30.0": 2, "5.0": 3}
    assert value(metrics, f"{name}_bucket", card="extraction", le="50.0") == 3
    assert value(metrics, f"{name}_bucket", card="extraction", le="+Inf") == 4
    assert value(metrics, f"{name}_sum", card="extraction") is None  # with negative buckets it can't be a counter


def test_what_was_counted_of_another_policy_s_rules_goes_with_it() -> None:
    metrics = Metrics()
    metrics.watch("gauger_exception_expires_timestamp_seconds", lambda: {"partner": 4.1e9})
    metrics.policy("acme", "1", "aaaa")
    for number in range(3000):
        metrics.judged((f"rule-{number}",), (), {}, {f"card-{number}": 0.0})
    rules = [labels for name, labels in scraped(metrics) if name == "gauger_rule_matches_total"]
    assert len(rules) == 2001
    metrics.policy("acme", "1", "aaaa")
    assert len([labels for name, labels in scraped(metrics) if name == "gauger_rule_matches_total"]) == 2001
    metrics.policy("acme", "2", "bbbb")
    assert not [name for name, _ in scraped(metrics) if name.startswith(("gauger_rule_matches", "gauger_score"))]
    metrics.judged(("rule-2999",), (), {}, {})
    assert value(metrics, "gauger_rule_matches_total", rule="rule-2999", mode="enforce", excepted="false") == 1
    assert value(metrics, "gauger_exception_expires_timestamp_seconds", exception="partner") == 4.1e9


def test_reloads_and_errors_are_counted() -> None:
    metrics = Metrics()
    metrics.policy_reload("loaded")
    metrics.policy_reload("refused")
    metrics.policy_reload("refused")
    metrics.policy_error("judge")
    metrics.watch("gauger_store_errors_total", lambda: {"timeout": 1})
    assert value(metrics, "gauger_policy_reload_total", result="refused") == 2
    assert value(metrics, "gauger_policy_errors_total", kind="judge") == 1
    assert value(metrics, "gauger_store_errors_total", kind="timeout") == 1


def test_watched_numbers_are_read_at_each_scrape() -> None:
    metrics = Metrics()
    now = {"in_flight": 3.0}
    metrics.watch("gauger_in_flight", lambda: now["in_flight"])
    metrics.watch("gauger_log_dropped_total", lambda: 7)
    metrics.watch("gauger_upstream_connections", lambda: {"idle": 2, "busy": 1})
    assert value(metrics, "gauger_in_flight") == 3
    now["in_flight"] = 4
    assert value(metrics, "gauger_in_flight") == 4
    assert value(metrics, "gauger_log_dropped_total") == 7
    assert value(metrics, "gauger_upstream_connections", state="busy") == 1
    with pytest.raises(ValueError, match="gauger_typo"):
        metrics.watch("gauger_typo", lambda: 0)


def test_every_watched_metric_can_be_scraped() -> None:
    metrics = Metrics()
    for name, (_, label) in (GAUGES | COUNTED).items():
        metrics.watch(name, (lambda: {"x": 1.0}) if label else (lambda: 1.0))
    names = {name for name, _ in scraped(metrics)}
    assert set(GAUGES) | set(COUNTED) <= names


@settings(max_examples=15)
@given(st.lists(st.text(max_size=5), max_size=60))
def test_no_label_grows_without_bound(words: list[str]) -> None:
    metrics = Metrics()
    for word in [*words, *(f"more-{number}" for number in range(100))]:
        reading = Reading(word, "requests", ok=True, cost=1, left=1, capacity=1)
        one(metrics, route=word, provider=word, action=word, model=word, limits=(reading,), usage=Usage(input=1))
        metrics.policy_error(word)
        metrics.judged((word,), (word,), {word: "e"}, {word: 1.0})
    metrics.watch("gauger_limit_debt_units", lambda: {f"debt-{number}": 1.0 for number in range(100)})
    samples = scraped(metrics)
    seen: dict[str, set[str]] = {}
    for _, labels in samples:
        for label, found in labels:
            seen.setdefault(label, set()).add(found)
    for label, bound in BOUNDS.items():
        assert len(seen.get(label, ())) <= bound, label
    for label in ("route", "provider", "action", "limit", "kind"):
        assert "other" in seen[label]
    assert len(seen["model_family"]) <= 30
    total = sum(found for (name, _), found in samples.items() if name == "gauger_requests_total")
    assert total == len(words) + 100


def test_two_gateways_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    one(first)
    assert b"gauger_requests_total{" in first.render()
    assert b"gauger_requests_total{" not in second.render()
    assert first.content_type.startswith("text/plain")


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("GPT-4o", "gpt-4o"),
        ("ft:gpt-4o-mini-2024-07-18:acme::9x", "gpt-4o-mini"),
        ("openai/gpt-4.1-nano", "gpt-4.1"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
        ("gpt-5.1", "gpt-5"),
        ("o3-mini", "o3"),
        ("chatgpt-4o-latest", "gpt-4o"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet"),
        ("claude-3-opus-20240229", "claude-opus"),
        ("claude-3-sonnet", "claude-sonnet"),
        ("claude-sonnet-4-5", "claude-sonnet"),
        ("claude-3-unheard-of", "claude-3"),
        ("models/gemini-2.5-pro", "gemini-2.5"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("Qwen/Qwen2.5-7B", "qwen"),
        ("gpt-4omega", "other"),
        ("my-secret-project", "other"),
        ("", "other"),
        (None, "other"),
    ],
)
def test_a_models_family_comes_from_a_fixed_table(model: str | None, family: str) -> None:
    assert family_of(model) == family
    assert family in (*FAMILIES, "other")


def test_there_are_at_most_thirty_families() -> None:
    assert len({*FAMILIES, "other"}) <= 30
