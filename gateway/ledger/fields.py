"""Pure. Every name that a line can hold: type, unit, source and note. The reference page is generated from it."""

from typing import NamedTuple

__all__ = ["FIELDS", "Field", "fields_markdown"]


class Field(NamedTuple):
    """One name of the line. A name that ends in `.*` stands for names that the policy chooses."""

    type: str
    unit: str
    source: str
    note: str


def _effects(prefix: str, code: str, note: str = "") -> dict[str, Field]:
    return {
        f"{prefix}.tags": Field("list of text", "", "policy", note or "those of the answer's rules included"),
        f"{prefix}.clamp.*.from": Field("mixed", "", "body", "field -> what was asked; absent where nothing was said"),
        f"{prefix}.clamp.*.to": Field("mixed", "", "policy", "field -> the most that passed; absent where it went"),
        f"{prefix}.throttle.*": Field("num", "share", "policy", "limit -> share of its rate"),
        f"{prefix}.delay_us": Field("int", "µs", "policy", ""),
        f"{prefix}.status": Field("int", "", "policy", "HTTP status of a block"),
        f"{prefix}.code": Field("text", "", "policy", code),
        f"{prefix}.until": Field("text", "RFC 3339, µs, UTC", "policy", "end of a block that lasts"),
    }


FIELDS: dict[str, Field] = {
    "schema": Field("text", "", "constant", "`gauger.decision/1`; the number changes when a name changes its meaning"),
    "ts": Field("text", "RFC 3339, µs, UTC", "clock", "the `now` that the request was judged at"),
    "event": Field("text", "", "constant", "`decision`"),
    "level": Field("enum", "", "end", "info; warning = store degraded or upstream failed; error = our own defect"),
    "service.name": Field("text", "", "settings", ""),
    "service.version": Field("text", "", "settings", ""),
    "service.instance": Field("text", "", "settings", "host name and port unless set"),
    "trace_id": Field("hex 32", "", "traceparent", "the caller's, or new (W3C Trace Context)"),
    "span_id": Field("hex 16", "", "new", "ours; the parent that the upstream sees"),
    "request_id": Field("text 26", "", "new", "ULID; in refusals and in `x-request-id`"),
    "client_request_id": Field("text", "", "header", "the caller's own; at most 64 safe characters, else dropped"),
    "upstream_request_id": Field("text", "", "upstream", "`x-request-id` or `request-id` of the answer"),
    "seq.ruled": Field("int", "", "ledger", "number of the row that holds the verdict"),
    "seq.settled": Field("int", "", "ledger", "number of the row that holds the outcome"),
    "policy.id": Field("text", "", "policy", ""),
    "policy.version": Field("text", "", "policy", ""),
    "policy.digest": Field("hex 12", "", "policy", "SHA-256 over its canonical JSON"),
    "policy.mode": Field("enum", "", "policy", "enforce, shadow"),
    "account.id": Field("text", "", "identity", "`key-` and 16 hex digits where a key is its own account"),
    "account.key": Field("hex 16", "", "identity", "keyed hash of the credential; never the credential"),
    "account.org": Field("text", "", "directory", ""),
    "account.plan": Field("text", "", "directory", ""),
    "account.labels": Field("list of text", "", "directory", ""),
    "account.age_s": Field("int", "s", "directory", "since the account was created"),
    "account.known": Field("bool", "", "identity", "found in the directory, a verified token or a trusted header"),
    "account.source": Field("enum", "", "identity", "key, jwt, header, mtls, none"),
    "client.network": Field("hex 16", "", "connection", "keyed hash of the /24 or /48"),
    "req.route": Field("text", "", "protocol", "the path's template, never the path"),
    "req.op": Field("enum", "", "protocol", "chat, text_completion, generate_content, embeddings, batch, …"),
    "req.dialect": Field("text", "", "protocol", ""),
    "req.provider": Field("text", "", "protocol", "OpenTelemetry's name of the vendor"),
    "req.model": Field("text", "", "body", "as asked for; `other` if it isn't at most 128 safe characters"),
    "req.stream": Field("bool", "", "body", ""),
    "req.n": Field("int", "choices", "body", "over all prompts"),
    "req.max_tokens": Field("int", "tokens", "body", "declared output ceiling of a choice"),
    "req.temperature": Field("num", "", "body", ""),
    "req.top_p": Field("num", "", "body", ""),
    "req.logprobs": Field("int", "alternatives", "body", "0 = only the chosen token's"),
    "req.messages": Field("int", "", "body", ""),
    "req.tools": Field("int", "", "body", "tool definitions"),
    "req.images": Field("int", "", "body", ""),
    "req.bytes": Field("int", "bytes", "body", "of the body as read; 0 where it streams through"),
    "req.input_est": Field("int", "tokens", "verdict", "expected of the prompt"),
    "req.output_est": Field("int", "tokens", "verdict", "expected of the answer"),
    "obs.v": Field("int", "", "observation", "version of what follows"),
    "obs.audio": Field("int", "", "observation", "audio parts"),
    "obs.chars": Field("int", "characters", "observation", "of the text that the model reads"),
    "obs.prompts": Field("int", "", "observation", "prompts that are answered apart, where there are several"),
    "obs.token_ids": Field("int", "tokens", "observation", "of input that came as token ids, not as text"),
    "obs.ascii": Field("bool", "", "observation", "present, and false, where that text is not all ASCII"),
    "obs.background": Field("bool", "", "observation", "present, and true, where the answer is made later"),
    "obs.lines": Field("int", "", "observation", "calls in a batch"),
    "obs.file": Field("text", "", "observation", "the vendor's id of the file that a batch works on"),
    "obs.answers": Field("int", "", "observation", "the model's turns in the history"),
    "obs.results": Field("int", "", "observation", "results of tools in the history"),
    "obs.client": Field("text", "", "observation", "product that the User-Agent names, without its version"),
    "obs.marks.*": Field("int", "", "observation", "what holds of the request -> 1, or how many of a batch's lines"),
    "obs.asks": Field("list of int", "", "observation", "keyed fingerprints (53 bits) of what is asked afresh"),
    "obs.distinct": Field("int", "", "observation", "different ones of these, over all prompts and lines"),
    "obs.pieces": Field("list of int", "", "observation", "of a few of its lines and sentences"),
    "obs.head": Field("int", "", "observation", "of its first 12 bytes"),
    "obs.tail": Field("int", "", "observation", "of its last 9 bytes"),
    "obs.opening": Field("int", "", "observation", "of its first 32 bytes, where it is longer"),
    "obs.closing": Field("int", "", "observation", "of its last 32 bytes, where it is longer"),
    "obs.words": Field("list of int", "", "observation", "cells, 0 to 255, of at most eight of its words"),
    "obs.system": Field("int", "", "observation", "of what the system says"),
    "obs.params": Field("int", "", "observation", "of the parameters' names and values"),
    "obs.said": Field("int", "", "observation", "of a piece of the last answer in the history"),
    "obs.user": Field("int", "", "observation", "of the caller's own name for its end user"),
    "obs.spelled": Field("int", "", "observation", "parameters that are given and change nothing"),
    "obs.fresh": Field("int", "characters", "observation", "asked afresh"),
    "obs.bank": Field("text", "", "observation", "the public question bank that it comes from"),
    "obs.bias": Field("list of int", "", "observation", "fingerprints of token ids with a logit bias, at most 64"),
    "served.returned": Field("int", "pieces", "memory", "of what is asked afresh; in answers that were served of late"),
    "served.continued": Field("bool", "", "memory", "the last answer in the history was served here of late"),
    "batch.*": Field(
        "mixed", "", "observation", "what that file held, by the names of `req` and `obs`: what was judged"
    ),
    "verdict": Field("enum", "", "policy", "under full enforcement: allow, tag, clamp, throttle, block, limit, reject"),
    "action": Field("enum", "", "policy", "what was done; the same words"),
    "kill": Field("bool", "", "operator", "the kill switch was on: everything is shadow"),
    **_effects("effects", "of a block, or of a request that was rejected before judging"),
    "rules.matched": Field("list of text", "", "policy", "ids of the rules whose effects were done"),
    "rules.shadow": Field("list of text", "", "policy", "ids of the rules that held and are only watched"),
    "rules.excepted.*": Field("text", "", "policy", "rule -> the exception that softened it"),
    "rules.missing.*": Field("list of text", "", "policy", "rule -> names that it reads and nothing is known of"),
    **_effects("would", "of a block", "what full enforcement would do, where that is something else"),
    "score.*": Field("num", "dB", "policy", "scorecard -> its score"),
    "evidence.*.*": Field("num", "dB", "policy", "scorecard -> evidence -> what it counted"),
    "campaign.id": Field("text", "", "campaigns", "the campaign that the account is a member of"),
    "campaign.epoch": Field("int", "", "campaigns", "which looking-through of the tables what follows is from"),
    "campaign.members": Field("int", "accounts", "campaigns", ""),
    "campaign.owners": Field("int", "", "campaigns", "of these, organisations, or accounts without one"),
    "campaign.since": Field("text", "RFC 3339, µs, UTC", "campaigns", "when its recipe was first seen here"),
    "campaign.linked": Field("bool", "", "campaigns", "by frame and parameters, client or network; else a cohort"),
    "campaign.membership_db": Field("num", "dB", "campaigns", "how much of the account's use it is; 0 or less"),
    "campaign.score.*": Field("num", "dB", "policy", "scorecard -> the campaign's own score"),
    "campaign.evidence.*.*": Field("num", "dB", "policy", "scorecard -> evidence -> what it counted of the campaign"),
    "campaign.readings.*": Field("num", "", "campaigns", "of all members together; conditions call it `campaign.NAME`"),
    "readings.*": Field("num", "", "signals", "what the policy read of the account's past"),
    "limits[].id": Field("text", "", "policy", ""),
    "limits[].cost": Field("int", "the limit's", "ledger", "drawn: what was reserved"),
    "limits[].ok": Field("bool", "", "ledger", ""),
    "limits[].left": Field("int", "the limit's", "ledger", "after the draw; before it, where refused"),
    "limits[].reset_s": Field("num", "s", "ledger", "until the cell is full again"),
    "limits[].shadow": Field("bool", "", "policy", "counted, never refused"),
    "store": Field("enum", "", "ledger", "memory, valkey, degraded"),
    "retry_after_s": Field("num", "s", "ledger", "before jitter; absent where waiting doesn't help"),
    "t.parse_us": Field("int", "µs", "monotonic clock", ""),
    "t.decide_us": Field("int", "µs", "monotonic clock", ""),
    "t.limit_us": Field("int", "µs", "monotonic clock", "the draw, the store's answer included"),
    "t.delay_us": Field("int", "µs", "monotonic clock", "held because the policy said so"),
    "t.queue_us": Field("int", "µs", "monotonic clock", "waiting for an upstream connection"),
    "t.upstream_connect_ms": Field("num", "ms", "monotonic clock", "absent where a connection was reused"),
    "t.ttfb_ms": Field("num", "ms", "monotonic clock", "to the head of the answer"),
    "t.ttft_ms": Field("num", "ms", "monotonic clock", "to the first byte of the answer's body"),
    "t.total_ms": Field("num", "ms", "monotonic clock", ""),
    "usage.input": Field("int", "tokens", "upstream", "includes what the cache served or took"),
    "usage.output": Field("int", "tokens", "upstream", "includes reasoning"),
    "usage.cache_read": Field("int", "tokens", "upstream", ""),
    "usage.cache_write": Field("int", "tokens", "upstream", ""),
    "usage.reasoning": Field("int", "tokens", "upstream", ""),
    "usage.source": Field("enum", "", "meter", "upstream = its own figures; counted = by us; none"),
    "settle.*": Field("int", "the limit's", "ledger", "limit -> actual minus reserved"),
    "answer.id": Field("text", "", "upstream", ""),
    "answer.model": Field("text", "", "upstream", "the model that answered"),
    "answer.finish": Field("list of text", "", "upstream", "finish reasons, in the vendor's words"),
    "http.status": Field("int", "", "edge", "as the client saw it; 0 = no answer began"),
    "http.upstream_status": Field("int", "", "edge", "0 = the upstream was not asked, or didn't answer"),
    "http.bytes_in": Field("int", "bytes", "edge", "of the request body"),
    "http.bytes_out": Field("int", "bytes", "edge", "of the answer's body"),
    "end": Field("enum", "", "edge", "done, refused, client_abort, upstream_error, timeout, crash"),
    "error.type": Field("text", "", "edge", "low cardinality"),
    "error.judging": Field("text", "", "policy", "type of an exception while judging; the policy's `on_error` decided"),
}


def fields_markdown() -> str:
    """The reference of the line as a Markdown table."""
    rows = ["| field | type | unit | source | note |", "|---|---|---|---|---|"]
    rows += [
        f"| `{name}` | {field.type} | {field.unit} | {field.source} | {field.note} |" for name, field in FIELDS.items()
    ]
    return "\n".join(rows) + "\n"
