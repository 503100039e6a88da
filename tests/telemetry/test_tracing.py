"""W3C Trace Context, and OpenTelemetry spans."""

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from gateway.errors import Mistake
from gateway.telemetry.tracing import Parent, Tracer, parse

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
HEADER = f"00-{TRACE_ID}-{SPAN_ID}-01".encode()
LINE: dict[str, Any] = {
    "schema": "gauger.decision/1",
    "verdict": "allow",
    "action": "allow",
    "req": {"route": "/v1/chat/completions", "op": "chat", "provider": "openai", "model": "gpt-4o", "stream": False},
    "usage": {"input": 5, "output": 7},
    "http": {"status": 200, "upstream_status": 200},
    "t": {},
    "end": "done",
}


def test_a_valid_traceparent_is_read() -> None:
    assert parse(HEADER) == Parent(TRACE_ID, SPAN_ID, 1)


def test_a_later_version_is_read_by_its_first_four_fields() -> None:
    later = f"cc-{TRACE_ID}-{SPAN_ID}-09".encode()
    assert parse(later) == parse(later + b"-what-ever") == Parent(TRACE_ID, SPAN_ID, 1)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        HEADER + b"-more",
        HEADER + b" ",
        b" " + HEADER,
        HEADER + b"\n",
        HEADER.upper().replace(b"00-", b"00-", 1),
        HEADER[:-1],
        b"ff" + HEADER[2:],
        b"cc" + HEADER[2:] + b".more",
        f"00-{'0' * 32}-{SPAN_ID}-01".encode(),
        f"00-{TRACE_ID}-{'0' * 16}-01".encode(),
        HEADER.replace(b"-", b"_"),
        HEADER + b"," + HEADER,
    ],
)
def test_a_malformed_traceparent_is_ignored(value: bytes) -> None:
    assert parse(value) is None
    trace = Tracer().begin(value, b"vendor=1")
    assert trace.trace_id != TRACE_ID
    assert (trace.parent_id, trace.state) == ("", b"")


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parser(value: bytes) -> None:
    found = parse(value)
    assert found is None or re.fullmatch("[0-9a-f]{32}", found.trace_id)


def test_the_upstream_sees_our_span_in_the_callers_trace() -> None:
    trace = Tracer().begin(HEADER, b"vendor=opaque,other=1")
    assert (trace.trace_id, trace.parent_id, trace.flags) == (TRACE_ID, SPAN_ID, 1)
    assert trace.span_id not in (SPAN_ID, "0" * 16)
    assert trace.header() == f"00-{TRACE_ID}-{trace.span_id}-01".encode()
    assert trace.state == b"vendor=opaque,other=1"


def test_a_trace_that_begins_here_has_fresh_ids() -> None:
    one, two = Tracer().begin(), Tracer().begin()
    assert one.trace_id != two.trace_id
    assert parse(one.header()) == Parent(one.trace_id, one.span_id, 1)


@pytest.mark.parametrize("state", [b"a=\r\nx: y", b"a=\xff", b"a=" + b"x" * 9000])
def test_a_tracestate_that_is_not_fit_for_a_header_is_dropped(state: bytes) -> None:
    assert Tracer().begin(HEADER, state).state == b""


def test_an_unsampled_trace_stays_unsampled() -> None:
    assert Tracer().begin(HEADER[:-1] + b"0").header().endswith(b"-00")


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Tracer(True, provider=provider)


def test_a_request_is_one_server_span_with_the_ids_of_its_header(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    trace = tracer.begin(HEADER, b"vendor=1", 1_000)
    tracer.end(trace, LINE, 5_000)
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind) == ("/v1/chat/completions", SpanKind.SERVER)
    assert (span.start_time, span.end_time) == (1_000, 5_000)
    assert f"{span.context.trace_id:032x}" == trace.trace_id == TRACE_ID
    assert f"{span.context.span_id:016x}" == trace.span_id
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == SPAN_ID
    assert span.context.trace_state.to_header() == "vendor=1"
    assert trace.header() == f"00-{TRACE_ID}-{trace.span_id}-{trace.flags:02x}".encode()
    assert trace.flags & 1
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes["gen_ai.usage.output_tokens"] == 7
    assert attributes["gen_ai.guardrail.action.type"] == "allow"
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        ("refused", 429, StatusCode.UNSET),
        ("done", 503, StatusCode.ERROR),
        ("crash", 0, StatusCode.ERROR),
        ("upstream_error", 200, StatusCode.ERROR),
        ("client_abort", 0, StatusCode.UNSET),
    ],
)
def test_a_refusal_is_not_an_error_of_the_server(
    end: str, status: int, code: StatusCode, tracer: Tracer, spans: InMemorySpanExporter
) -> None:
    tracer.end(tracer.begin(), LINE | {"end": end, "http": {"status": status}})
    assert [span.status.status_code for span in spans.get_finished_spans()] == [code]


def test_a_trace_that_is_not_sampled_makes_no_span(spans: InMemorySpanExporter) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracer = Tracer(True, provider=provider)
    trace = tracer.begin(HEADER)
    tracer.end(trace, LINE)
    assert (trace.trace_id, trace.flags & 1) == (TRACE_ID, 0)
    assert not spans.get_finished_spans()
    tracer.close()


def test_without_spans_ending_does_nothing() -> None:
    tracer = Tracer()
    trace = tracer.begin(HEADER)
    tracer.end(trace, {})
    tracer.close()
    assert (tracer.enabled, trace.span) == (False, None)


def test_spans_without_the_extra_are_a_mistake_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(Mistake) as caught:
        Tracer(True)
    assert "gauger[otel]" in caught.value.hint
