"""Pure. The line in other people's names: OpenTelemetry's and the Elastic Common Schema's.

Both mappings are tables from our dotted names. What has no name in a standard keeps ours behind `gauger.`; a list of
maps (`limits`) becomes one list a name, because attributes are flat. OpenTelemetry's GenAI names are all in
development; the guardrail names are a draft of the same group and may move. Sources: OpenTelemetry semantic
conventions 1.41 and its GenAI successor; ECS 8.17 field reference.
"""

from collections.abc import Mapping
from typing import Any

from gateway.ledger.line import Line

__all__ = ["ACTIONS", "ECS", "OTEL", "OTEL_RESOURCE", "attributes", "mapping_markdown", "to_ecs", "to_otel"]

OTEL_RESOURCE: dict[str, str] = {
    "service.name": "service.name",
    "service.version": "service.version",
    "service.instance": "service.instance.id",
}

OTEL: dict[str, str] = {
    "req.op": "gen_ai.operation.name",
    "req.provider": "gen_ai.provider.name",
    "req.model": "gen_ai.request.model",
    "req.max_tokens": "gen_ai.request.max_tokens",
    "req.temperature": "gen_ai.request.temperature",
    "req.top_p": "gen_ai.request.top_p",
    "req.n": "gen_ai.request.choice.count",
    "req.stream": "gen_ai.request.stream",
    "answer.id": "gen_ai.response.id",
    "answer.model": "gen_ai.response.model",
    "answer.finish": "gen_ai.response.finish_reasons",
    "usage.input": "gen_ai.usage.input_tokens",
    "usage.output": "gen_ai.usage.output_tokens",
    "usage.cache_read": "gen_ai.usage.cache_read.input_tokens",
    "usage.cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "usage.reasoning": "gen_ai.usage.reasoning.output_tokens",
    "req.route": "http.route",
    "http.status": "http.response.status_code",
    "http.bytes_in": "http.request.body.size",
    "http.bytes_out": "http.response.body.size",
    "error.type": "error.type",
    "account.id": "user.id",
    "policy.id": "gen_ai.security.policy.id",
    "rules.matched": "gen_ai.security.policy.rule.id",
    "effects.code": "gen_ai.guardrail.verdict.reason",
}

ECS: dict[str, str] = {
    "ts": "@timestamp",
    "level": "log.level",
    "service.name": "service.name",
    "service.version": "service.version",
    "service.instance": "service.node.name",
    "trace_id": "trace.id",
    "span_id": "span.id",
    "request_id": "http.request.id",
    "seq.settled": "event.sequence",
    "action": "event.action",
    "effects.code": "event.reason",
    "policy.id": "rule.ruleset",
    "policy.version": "rule.version",
    "rules.matched": "rule.id",
    "account.id": "user.id",
    "account.org": "organization.id",
    "http.status": "http.response.status_code",
    "http.bytes_in": "http.request.body.bytes",
    "http.bytes_out": "http.response.body.bytes",
    "error.type": "error.type",
}

ACTIONS: dict[str, tuple[str, str]] = {
    "allow": ("allow", "allow"),
    "tag": ("warn", "allow"),
    "clamp": ("modify", "modify"),
    "throttle": ("warn", "allow"),  # this request passes; the ones to come have less room
    "limit": ("deny", "block"),
    "block": ("deny", "block"),
    "reject": ("deny", "block"),
}
"""Our word -> the guardrail draft's `verdict.type` and `action.type`."""

SEVERITY = {"debug": 5, "info": 9, "warning": 13, "error": 17}  # OpenTelemetry logs data model, SeverityNumber
TEXT = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR"}
DENIED = frozenset({"limit", "block", "reject"})
OPERATIONS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})  # those that OpenTelemetry names
CARRIED = frozenset({"ts", "level", "event", "service", "trace_id", "span_id"})  # by an OpenTelemetry record itself
STATUSES = ("http.response.status_code", "gauger.http.upstream_status")
MAX_NAMES = 256  # remembered a map, and maps; ids of limits and scorecards come and go with policies
ECS_VERSION = "8.17.0"


def attributes(made: Mapping[str, Any]) -> Line:
    """The flat OpenTelemetry attributes of a line, for a log record or a span; without its resource."""
    found: Line = {}
    _fill(found, {name: value for name, value in made.items() if name not in CARRIED}, _OTEL_NAMES)
    op = made["req"]["op"]
    if op not in OPERATIONS:
        del found["gen_ai.operation.name"]
        found["gauger.req.op"] = op
    found["gen_ai.guardrail.verdict.type"] = ACTIONS[made["verdict"]][0]
    found["gen_ai.guardrail.action.type"] = ACTIONS[made["action"]][1]
    ttft = made["t"].get("ttft_ms")
    if ttft is not None and made["req"]["stream"]:
        found["gen_ai.response.time_to_first_chunk"] = ttft / 1000
    return _without_absent(found)


def to_otel(made: Mapping[str, Any]) -> Line:
    """The line as an OpenTelemetry log record, in the field names of the logs data model."""
    record: Line = {
        "Timestamp": made["ts"],
        "EventName": "gauger.decision",
        "SeverityText": TEXT[made["level"]],
        "SeverityNumber": SEVERITY[made["level"]],
    }
    if "trace_id" in made:
        record["TraceId"] = made["trace_id"]
        record["SpanId"] = made["span_id"]
    service = made["service"]
    record["Resource"] = {name: service[ours.removeprefix("service.")] for ours, name in OTEL_RESOURCE.items()}
    record["Attributes"] = attributes(made)
    return record


def to_ecs(made: Mapping[str, Any]) -> Line:
    """The line as an event of the Elastic Common Schema, with dotted names."""
    record: Line = {"@timestamp": made["ts"], "ecs.version": ECS_VERSION}
    denied = made["action"] in DENIED
    record["message"] = f"{made['action']} {made['req']['route']}"
    record["event.kind"] = "alert" if made["verdict"] == "block" else "event"
    record["event.category"] = ["api"]
    record["event.type"] = ["access", "denied" if denied else "allowed"]
    record["event.outcome"] = _outcome(made)
    record["event.module"] = "gauger"
    record["event.dataset"] = "gauger.decision"
    total = made["t"].get("total_ms")
    if total is not None:
        record["event.duration"] = round(total * 1_000_000)
    record["observer.type"] = "proxy"
    record["observer.vendor"] = "gauger"
    record["observer.name"] = made["service"]["instance"]
    record["observer.version"] = made["service"]["version"]
    _fill(record, made, _ECS_NAMES)
    del record["gauger.event"]  # event.dataset says it
    return _without_absent(record)


def mapping_markdown() -> str:
    """Both mappings as one Markdown table, by our names."""
    rows = ["| field | OpenTelemetry | ECS |", "|---|---|---|"]
    otel = OTEL | OTEL_RESOURCE
    rows += [
        f"| `{name}` | {_code(otel.get(name))} | {_code(ECS.get(name))} |" for name in dict.fromkeys((*otel, *ECS))
    ]
    rows += ["", "| word | verdict.type | action.type |", "|---|---|---|"]
    rows += [f"| {word} | {verdict} | {action} |" for word, (verdict, action) in ACTIONS.items()]
    return "\n".join(rows) + "\n"


def _code(name: str | None) -> str:
    return f"`{name}`" if name else ""


class _Names(dict[str, str]):
    """Key -> name in the standard, for one map of the line. Worked out once for each key."""

    def __init__(self, table: Mapping[str, str], prefix: str) -> None:
        super().__init__()
        self._table = table
        self._prefix = prefix

    def __missing__(self, key: str) -> str:
        dotted = self._prefix + key
        name = self._table.get(dotted) or f"gauger.{dotted}"
        if len(self) < MAX_NAMES:
            self[key] = name
        return name


class _Maps(dict[str, _Names]):
    """Dotted prefix -> names, for one standard."""

    def __init__(self, table: Mapping[str, str]) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, prefix: str) -> _Names:
        made = _Names(self._table, prefix)
        if len(self) < MAX_NAMES:
            self[prefix] = made
        return made


_OTEL_NAMES = _Maps(OTEL)
_ECS_NAMES = _Maps(ECS)


def _fill(found: Line, made: Mapping[str, Any], maps: _Maps, prefix: str = "") -> None:
    """Writes the leaves of a line into `found`, renamed."""
    names = maps[prefix]
    for key, value in made.items():
        kind = type(value)
        if kind is dict:
            _fill(found, value, maps, f"{prefix}{key}.")
        elif kind is list or kind is tuple:
            if value and type(value[0]) is dict:
                inner = maps[f"{prefix}{key}."]
                for column in value[0]:
                    found[inner[column]] = [one[column] for one in value]
            else:
                found[names[key]] = list(value)
        else:
            found[names[key]] = value


def _without_absent(found: Line) -> Line:
    """No answer, no status: neither standard knows a status of 0."""
    for name in STATUSES:
        if found.get(name) == 0:
            del found[name]
    return found


def _outcome(made: Mapping[str, Any]) -> str:
    """ECS `event.outcome`: of the request, as its caller saw it; unknown where he left."""
    if made["end"] == "client_abort":
        return "unknown"
    return "success" if made["end"] == "done" and made["http"]["status"] < 400 else "failure"
