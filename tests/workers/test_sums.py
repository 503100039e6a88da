"""The metrics of several workers, added up: never less than before, whoever dies."""

import math
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import GAUGES, Metrics
from gateway.workers.sums import ONE_FOR_ALL, Totals

NAMES = {
    "requests": 'gauger_requests_total{route="/r",provider="openai",action="allow",status_class="2xx"}',
    "count": 'gauger_request_duration_seconds_count{route="/r",stream="false"}',
    "bucket": 'gauger_request_duration_seconds_bucket{le="+Inf",route="/r",stream="false"}',
    "rules": 'gauger_rule_matches_total{rule="slow",mode="enforce",excepted="false"}',
}


def worker(requests: int = 0, digest: str = "d1", gauges: Mapping[str, float] = MappingProxyType({})) -> Metrics:
    """What one worker counts."""
    metrics = Metrics()
    metrics.policy("p", "1", digest)
    for name, value in gauges.items():
        metrics.watch(name, partial(float, value))
    more(metrics, requests)
    return metrics


def more(metrics: Metrics, requests: int) -> None:
    for _ in range(requests):
        metrics.observe(route="/r", provider="openai", action="allow", status=200, stream=False, total=7_000_000)
        metrics.judged(["slow"], [], {}, {"extraction": 1.0})


def values(exposition: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(exposition.decode())
        for sample in metric.samples
    }


def value(exposition: bytes, line: str) -> float:
    """The value of one series, written as in an exposition; 0 where it is not there."""
    ((name, labels),) = values(f"{line} 1\n".encode())
    return values(exposition).get((name, labels), 0.0)


def test_one_worker_alone_shows_what_it_counts() -> None:
    one = worker(3, gauges={"gauger_in_flight": 2, "gauger_clock_skew_seconds": -0.5}).render()
    assert values(Totals().render([one])) == values(one)


def test_help_and_type_are_kept() -> None:
    one = worker(1, gauges={"gauger_in_flight": 2}).render()
    said = [line for line in one.decode().splitlines() if line.startswith("#")]
    assert [line for line in Totals().render([one, one]).decode().splitlines() if line.startswith("#")] == said


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.lists(st.integers(0, 5), max_size=4))
def test_living_and_dead_are_added(living: list[int], dead: list[int]) -> None:
    totals = Totals()
    for requests in dead:
        totals = totals.retired(worker(requests).render())
    shown = totals.render([worker(requests, gauges={"gauger_in_flight": 1}).render() for requests in living])
    for line in NAMES.values():
        assert value(shown, line) == sum(living) + sum(dead)
    assert value(shown, "gauger_in_flight") == len(living)
    total = value(shown, 'gauger_request_duration_seconds_sum{route="/r",stream="false"}')
    assert math.isclose(total, 0.007 * (sum(living) + sum(dead)), abs_tol=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_no_counter_ever_goes_back_whoever_dies_and_comes_again(data: st.DataObject) -> None:
    totals, workers, before = Totals(), [worker(), worker()], 0.0
    for _ in range(data.draw(st.integers(1, 6))):
        one = data.draw(st.integers(0, 1))
        if data.draw(st.booleans()):
            totals = totals.retired(workers[one].render())
            workers[one] = worker()
        else:
            more(workers[one], data.draw(st.integers(0, 3)))
        now = value(totals.render([each.render() for each in workers]), NAMES["requests"])
        assert now >= before
        before = now


def test_what_was_counted_of_a_policy_s_rules_goes_with_the_policy() -> None:
    totals = Totals()
    totals = totals.retired(worker(5, "d1").render())
    shown = totals.render([worker(2, "d2").render()])
    assert value(shown, NAMES["requests"]) == 7
    assert value(shown, NAMES["rules"]) == 2
    totals = totals.retired(worker(2, "d2").render())
    shown = totals.render([worker(1, "d2").render()])
    assert value(shown, NAMES["requests"]) == 8
    assert value(shown, NAMES["rules"]) == 3


def test_a_sum_that_is_being_rendered_is_not_changed() -> None:
    before = Totals().retired(worker(4).render())
    before.retired(worker(2).render())
    assert value(before.render([]), NAMES["requests"]) == 4


def test_a_worker_that_never_showed_anything_takes_nothing_away() -> None:
    totals = Totals()
    totals = totals.retired(worker(4).render())
    totals = totals.retired(b"")
    assert value(totals.render([worker(1).render()]), NAMES["rules"]) == 5
    assert value(totals.render([]), NAMES["requests"]) == 4


@pytest.mark.parametrize(
    ("name", "one", "other", "together"),
    [
        ("gauger_store_degraded", 0, 1, 1),
        ("gauger_clock_skew_seconds", 0.25, -0.5, -0.5),
        ("gauger_accounts", 3, 4, 7),
    ],
)
def test_gauges_are_added_or_the_worst_of_them(name: str, one: float, other: float, together: float) -> None:
    shown = Totals().render([worker(gauges={name: one}).render(), worker(gauges={name: other}).render()])
    assert value(shown, name) == together


def test_the_policy_in_force_is_one() -> None:
    shown = Totals().render([worker(1).render(), worker(1).render()])
    assert value(shown, 'gauger_policy_info{digest="d1",id="p",version="1"}') == 1


def test_every_gauge_that_is_not_added_exists() -> None:
    known = {*GAUGES, "gauger_policy_info"}
    assert set(ONE_FOR_ALL) <= known


def test_the_supervisor_s_own_stand_beside_them() -> None:
    shown = Totals().render([worker(1).render()], [GaugeMetricFamily("gauger_workers", "workers", 2)])
    assert value(shown, "gauger_workers") == 2
