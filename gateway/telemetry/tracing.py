"""Shell. W3C Trace Context in and out; OpenTelemetry spans where the extra `otel` is installed and switched on.

Without spans a request costs one read of random bytes. With them, one server span a request is made by the SDK, whose
ids are the ones in the header that the upstream sees and in the record. Source: W3C Trace Context, levels 1 and 2.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.errors import Mistake
from gateway.ledger.mapping import attributes
from gateway.telemetry.ids import entropy

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

__all__ = ["Parent", "Trace", "Tracer", "parse"]

TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
MAX_STATE = 8192  # bytes; the specification asks to pass at least 512
PRINTABLE = re.compile(rb"[\x20-\x7e\t]*")
SAMPLED = 1
KNOWN_FLAGS = 3  # sampled, and level 2's "random trace id"; the others mean nothing yet and are not passed on


class Parent(msgspec.Struct, frozen=True, gc=False):
    """What a valid `traceparent` says."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits
    flags: int


class Trace(msgspec.Struct, frozen=True):
    """The trace of one request, as we stand in it: its id, our span, the caller's span."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits; ours
    parent_id: str = ""  # 16 hex digits; "" = the trace begins here
    flags: int = 0
    state: bytes = b""  # the caller's `tracestate`, as it came
    span: Any = None  # of the SDK, where spans are on

    def header(self) -> bytes:
        """The `traceparent` that the upstream gets: the same trace, with our span as the parent."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode()


def parse(value: bytes) -> Parent | None:
    """Reads a `traceparent`. None for anything malformed: the trace then begins with us (section 3.2.2, 3.4).

    A version above 00 is read by its first four fields; version ff, upper-case digits and all-zero ids are invalid.
    """
    found = TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    if trace_id == b"0" * 32 or span_id == b"0" * 16:
        return None
    return Parent(trace_id.decode(), span_id.decode(), int(flags, 16) & KNOWN_FLAGS)


class Tracer:
    """Begins and ends the trace of a request; `enabled` also makes OpenTelemetry spans of them.

    Spans go to `provider`, or else over OTLP/HTTP to where the `OTEL_EXPORTER_OTLP_*` variables say. Raises Mistake
    when spans are asked for and the extra is not installed.
    """

    def __init__(
        self,
        enabled: bool = False,
        *,
        service: str = "gauger",
        version: str = "",
        instance: str = "",
        provider: "TracerProvider | None" = None,
    ) -> None:
        self._provider: TracerProvider | None = None
        self._tracer: Any = None
        if enabled:
            self._provider = provider if provider is not None else _exporting(service, version, instance)
            self._tracer = self._provider.get_tracer("gauger", version)

    @property
    def enabled(self) -> bool:
        """Whether spans are made; without them `end` has nothing to do."""
        return self._tracer is not None

    def begin(self, traceparent: bytes = b"", tracestate: bytes = b"", start_ns: int | None = None) -> Trace:
        """The trace that a request belongs to. `tracestate` counts only beside a valid `traceparent`.

        `start_ns` is nanoseconds since the Unix epoch, for the span; None = now.
        """
        parent = parse(traceparent) if traceparent else None
        if parent is None:
            state = b""
        else:
            state = tracestate if len(tracestate) <= MAX_STATE and PRINTABLE.fullmatch(tracestate) else b""
        if self._tracer is not None:
            return self._begin_span(parent, state, start_ns)
        if parent is None:
            fresh = _fresh_ids()
            return Trace(
                fresh[:32], fresh[32:], flags=SAMPLED
            )  # 00 would switch off the tracing of a sampling upstream
        return Trace(parent.trace_id, _fresh_ids()[32:], parent.span_id, parent.flags, state)

    def end(self, trace: Trace, made: Mapping[str, Any], end_ns: int | None = None) -> None:
        """Ends the request's span with what its line says. `end_ns` is nanoseconds since the Unix epoch."""
        span: Span | None = trace.span
        if span is None:
            return
        from opentelemetry.trace import Status, StatusCode

        if span.is_recording():
            span.update_name(made["req"]["route"])
            span.set_attributes(attributes(made))
            failed = made["end"] in ("crash", "upstream_error", "timeout")
            if failed or made["http"]["status"] >= 500:  # a refusal is the caller's affair, not an error of the server
                span.set_status(Status(StatusCode.ERROR))
        span.end(end_ns)

    def close(self) -> None:
        """Sends what is left and stops the exporter's thread."""
        if self._provider is not None:
            self._provider.shutdown()

    def _begin_span(self, parent: Parent | None, state: bytes, start_ns: int | None) -> Trace:
        from opentelemetry import trace as api
        from opentelemetry.context import Context

        context = Context()
        if parent is not None:
            remote = api.SpanContext(
                int(parent.trace_id, 16),
                int(parent.span_id, 16),
                is_remote=True,
                trace_flags=api.TraceFlags(parent.flags),
                trace_state=api.TraceState.from_header([state.decode("ascii")]) if state else None,
            )
            context = api.set_span_in_context(api.NonRecordingSpan(remote), context)
        span = self._tracer.start_span("request", context=context, kind=api.SpanKind.SERVER, start_time=start_ns)
        ours = span.get_span_context()
        return Trace(
            f"{ours.trace_id:032x}",
            f"{ours.span_id:016x}",
            parent.span_id if parent is not None else "",
            int(ours.trace_flags),
            state,
            span,
        )


def _fresh_ids() -> str:
    """48 random hex digits, of which neither the first 32 nor the last 16 are all zero."""
    while True:
        fresh = entropy(24).hex()
        if fresh[:32] != "0" * 32 and fresh[32:] != "0" * 16:
            return fresh


def _exporting(service: str, version: str, instance: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Mistake(
            "OpenTelemetry is not installed", place="tracing", hint="pip install 'gauger[otel]', or turn tracing off"
        ) from None
    named = {"service.name": service, "service.version": version, "service.instance.id": instance}
    provider = TracerProvider(resource=Resource.create({name: value for name, value in named.items() if value}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
