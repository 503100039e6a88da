"""Pure. The one JSON line a request: both rows of the ledger joined with what only the shell saw.

`line` builds it, `encode` makes bytes of it, and `gateway/ledger/fields.py` says what each name means. A field that
doesn't apply, or isn't known, is absent. No field holds prompt text, a key, or a clear client address.
"""

import json
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from gateway.actions import Effects, Value
from gateway.campaigns import Campaign
from gateway.decide import Outcome, Reflection, Verdict
from gateway.ledger.record import Ruled, Settled
from gateway.observe import Observation, safe_name
from gateway.policy.model import Policy
from gateway.quotas import Reading

__all__ = ["SCHEMA", "Line", "Service", "Shown", "Timings", "encode", "line", "timestamp"]

SCHEMA = "gauger.decision/1"

Line = dict[str, Any]
"""One record as nested maps, lists, text and numbers."""

NAMED = frozenset(
    {
        *("dialect", "op", "route", "model", "stream", "n", "max_tokens", "messages", "tools", "images", "temperature"),
        *("top_p", "logprobs", "bytes"),
    }
)  # of an Observation: shown under `req`, the rest under `obs`
OBSERVED: tuple[tuple[str, Any], ...] = tuple(
    (name, default if isinstance(default, str | int | float | bool | tuple | None) else {})
    for name, default in zip(Observation.__struct_fields__, Observation.__struct_defaults__, strict=True)
    if name not in NAMED and name != "v"
)
MAX_FINISH = 16  # finish reasons shown, one a choice
LIMITED: frozenset[str] = frozenset({"allow", "tag", "clamp", "throttle"})  # words that a spent limit outranks


class Service(msgspec.Struct, frozen=True):
    """Which process writes. The same for every line of its life."""

    name: str = "gauger"
    version: str = ""
    instance: str = ""


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Where the time went, in whole µs of the monotonic clock. None = that step did not happen."""

    parse: int | None = None
    decide: int | None = None
    limit: int | None = None  # the draw
    delay: int | None = None  # that the policy asked for
    queue: int | None = None  # waiting for an upstream connection
    connect: int | None = None  # to the upstream, where a new connection was made
    ttfb: int | None = None  # to the head of the answer
    ttft: int | None = None  # to the first byte of its body
    total: int | None = None


class Shown(msgspec.Struct, frozen=True):
    """What only the line has. It never influences a verdict, so no row of the ledger keeps it."""

    policy: Policy
    service: Service = Service()
    trace_id: str = ""  # 32 hex digits
    span_id: str = ""  # 16 hex digits; ours
    provider: str = ""  # OpenTelemetry's name of the vendor
    client_request_id: str | None = None  # at most 64 safe characters
    upstream_request_id: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    finish: tuple[str, ...] = ()
    bytes_in: int = 0
    bytes_out: int = 0
    t: Timings = Timings()
    session: Line | None = None  # of a WebSocket


def line(ruled: Ruled, settled: Settled, extra: Shown) -> Line:
    """The decision record of a request that has ended. `ts` is the `now` that it was judged at."""
    verdict, outcome, facts, reflection = ruled.verdict, settled.outcome, ruled.facts, settled.reflection
    policy, service = extra.policy, extra.service
    word, action, wait = _words(verdict, reflection, outcome.limits)
    caller = facts.caller
    made: Line = {
        "schema": SCHEMA,
        "ts": timestamp(ruled.now),
        "event": "decision",
        "level": _level(verdict, outcome),
        "service": {"name": service.name, "version": service.version, "instance": service.instance},
    }
    if extra.trace_id:
        made["trace_id"] = extra.trace_id
        made["span_id"] = extra.span_id
    made["request_id"] = ruled.request
    if extra.client_request_id is not None:
        made["client_request_id"] = extra.client_request_id
    if extra.upstream_request_id is not None:
        made["upstream_request_id"] = extra.upstream_request_id
    made["seq"] = {"ruled": ruled.seq, "settled": settled.seq}
    made["policy"] = {"id": policy.id, "version": policy.version, "digest": ruled.policy, "mode": policy.mode}
    account: Line = {"id": caller.account, "source": caller.source, "known": caller.known}
    if caller.key:
        account["key"] = caller.key
    if caller.org is not None:
        account["org"] = caller.org
    if caller.plan is not None:
        account["plan"] = caller.plan
    if caller.labels:
        account["labels"] = caller.labels
    if caller.created is not None:
        account["age_s"] = ruled.now // 1_000_000 - caller.created
    made["account"] = account
    if caller.network:
        made["client"] = {"network": caller.network}
    made["req"] = _request(facts.seen, verdict, extra.provider)
    made["obs"] = _observed(facts.seen)
    if facts.returned or facts.continued:
        made["served"] = {"returned": facts.returned, "continued": facts.continued}
    if verdict.batch is not None:
        made["batch"] = msgspec.to_builtins(verdict.batch)
    made["verdict"] = word
    made["action"] = action
    made["kill"] = facts.kill
    effects = _effects(verdict.effects, verdict.refuse, reflection.tags)
    if effects:
        made["effects"] = effects
    if verdict.would is not None and (would := _effects(verdict.would)):
        made["would"] = would
    rules = _rules(verdict, reflection)
    if rules:
        made["rules"] = rules
    if verdict.scores:
        made["score"] = verdict.scores
    if verdict.evidence:
        made["evidence"] = verdict.evidence
    if facts.campaign is not None:
        made["campaign"] = _campaign(facts.campaign, facts.membership, verdict)
    if verdict.readings:
        made["readings"] = verdict.readings
    if outcome.limits:
        made["limits"] = [
            {
                "id": reading.limit,
                "cost": reading.cost,
                "ok": reading.ok,
                "left": reading.left,
                "reset_s": reading.reset / 1_000_000,
                "shadow": reading.shadow,
            }
            for reading in outcome.limits
        ]
    made["store"] = outcome.store
    if outcome.at:
        made["store_ts"] = timestamp(outcome.at)
    if wait:
        made["retry_after_s"] = wait / 1_000_000
    made["t"] = _timings(extra.t)
    usage = outcome.usage
    made["usage"] = {
        "input": usage.input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "reasoning": usage.reasoning,
        "source": usage.source,
    }
    if outcome.settled:
        made["settle"] = outcome.settled
    if extra.response_id is not None or extra.response_model is not None or extra.finish:
        made["answer"] = _answer(extra)
    made["http"] = {
        "status": outcome.status,
        "upstream_status": outcome.upstream_status,
        "bytes_in": extra.bytes_in,
        "bytes_out": extra.bytes_out,
    }
    if extra.session is not None:
        made["session"] = extra.session
    made["end"] = outcome.end
    if outcome.error or verdict.error:
        made["error"] = _error(verdict, outcome)
    return made


def encode(made: Line) -> bytes:
    """The line's bytes: one JSON text and a newline, with no character in it that a terminal or a reader could obey.

    JSON leaves DEL, the C1 controls, U+2028 and U+2029 raw, so any line that isn't plain ASCII is escaped to ASCII.
    """
    try:
        text = orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a whole number over 64 bits
        return _escaped(made)
    if text.isascii() and b"\x7f" not in text:
        return text
    return _escaped(made)


def timestamp(micros: int) -> str:
    """RFC 3339 in UTC with six decimals: `2026-11-24T02:20:30.000001Z`. `micros` counts from the Unix epoch."""
    second, micro = divmod(micros, 1_000_000)
    return f"{_second(second)}.{micro:06d}Z"


_word = lru_cache(maxsize=256)(safe_name)  # models and finish reasons come from a small set


@lru_cache(maxsize=8)
def _second(second: int) -> str:
    """Civil date from a count of days, in years that begin in March: leap days then come last."""
    days, rest = divmod(second, 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (month <= 2)
    hour, rest = divmod(rest, 3600)
    minute, sec = divmod(rest, 60)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{sec:02d}"


def _words(verdict: Verdict, reflection: Reflection, limits: tuple[Reading, ...]) -> tuple[str, str, int]:
    """Verdict, action and wait (µs). A spent limit is a word of its own; one in shadow changes the verdict only.

    Rules of the answer can only tag, so they make an `allow` a `tag` and change no stronger word.
    """
    word: str = verdict.verdict
    action: str = verdict.action
    if word == "allow" and (reflection.tags or reflection.shadow):
        word = "tag"
    if action == "allow" and reflection.tags:
        action = "tag"
    wait = 0
    never = False
    for reading in limits:
        if not reading.ok:
            if word in LIMITED:
                word = "limit"
            if not reading.shadow:
                if action in LIMITED:
                    action = "limit"
                wait = max(wait, reading.wait)
                never = never or reading.wait < 0
    return word, action, 0 if never else wait


def _level(verdict: Verdict, outcome: Outcome) -> str:
    """A client's refusal is info; what degrades us is a warning; only our own defect is an error."""
    if outcome.end == "crash" or verdict.error:
        return "error"
    if outcome.store == "degraded" or outcome.end in ("upstream_error", "timeout"):
        return "warning"
    return "info"


def _request(seen: Observation, verdict: Verdict, provider: str) -> Line:
    made: Line = {"route": seen.route, "op": seen.op, "dialect": seen.dialect}
    if provider:
        made["provider"] = provider
    if seen.model is not None:
        made["model"] = seen.model
    made["stream"] = seen.stream
    made["n"] = seen.n
    if seen.max_tokens is not None:
        made["max_tokens"] = seen.max_tokens
    if seen.temperature is not None:
        made["temperature"] = seen.temperature
    if seen.top_p is not None:
        made["top_p"] = seen.top_p
    if seen.logprobs is not None:
        made["logprobs"] = seen.logprobs
    made["messages"] = seen.messages
    made["tools"] = seen.tools
    made["images"] = seen.images
    made["bytes"] = seen.bytes
    made["input_est"] = verdict.input
    made["output_est"] = verdict.output
    return made


def _observed(seen: Observation) -> Line:
    """The rest of the observation: whatever is not under `req` and isn't its default."""
    made: Line = {"v": seen.v}
    for name, default in OBSERVED:
        value = getattr(seen, name)
        if value != default:
            made[name] = value
    return made


def _effects(effects: Effects, refuse: str = "", tags: tuple[str, ...] = ()) -> Line:
    """`refuse` is the code of a request that was refused without a block, `tags` are those of its answer."""
    made: Line = {}
    if effects.tags or tags:
        made["tags"] = sorted({*effects.tags, *tags})
    if effects.clamp:
        made["clamp"] = {name: _clamped(*values) for name, values in effects.clamp.items()}
    if effects.throttle:
        made["throttle"] = dict(effects.throttle)
    if effects.delay:
        made["delay_us"] = effects.delay
    if effects.block:
        made["status"] = effects.block
    if effects.code or refuse:
        made["code"] = effects.code or refuse
    if effects.until:
        made["until"] = timestamp(effects.until)
    return made


def _clamped(before: Value, after: Value) -> Line:
    return {name: value for name, value in (("from", before), ("to", after)) if value is not None}


def _rules(verdict: Verdict, reflection: Reflection) -> Line:
    """Of the request and of its answer. Excepted and missing are maps by rule, the rest are lists of ids."""
    made: Line = {}
    if verdict.rules or reflection.rules:
        made["matched"] = [*verdict.rules, *reflection.rules]
    if verdict.shadow or reflection.shadow:
        made["shadow"] = [*verdict.shadow, *reflection.shadow]
    if verdict.excepted:
        made["excepted"] = verdict.excepted
    if verdict.missing or reflection.missing:
        made["missing"] = {**verdict.missing, **reflection.missing}
    return made


def _timings(t: Timings) -> Line:
    """Our own steps in µs, the upstream's in ms."""
    made: Line = {}
    if t.parse is not None:
        made["parse_us"] = t.parse
    if t.decide is not None:
        made["decide_us"] = t.decide
    if t.limit is not None:
        made["limit_us"] = t.limit
    if t.delay is not None:
        made["delay_us"] = t.delay
    if t.queue is not None:
        made["queue_us"] = t.queue
    if t.connect is not None:
        made["upstream_connect_ms"] = t.connect / 1000
    if t.ttfb is not None:
        made["ttfb_ms"] = t.ttfb / 1000
    if t.ttft is not None:
        made["ttft_ms"] = t.ttft / 1000
    if t.total is not None:
        made["total_ms"] = t.total / 1000
    return made


def _campaign(campaign: Campaign, membership: float, verdict: Verdict) -> Line:
    """The campaign as the verdict knew it, and what it scored by itself."""
    made: Line = {
        "id": campaign.id,
        "epoch": campaign.epoch,
        "members": campaign.members,
        "owners": campaign.owners,
        "since": timestamp(campaign.since),
        "linked": campaign.linked,
        "membership_db": membership,
    }
    if verdict.campaign:
        made["score"] = verdict.campaign
    if verdict.together:
        made["evidence"] = verdict.together
    made["readings"] = campaign.readings
    return made


def _answer(extra: Shown) -> Line:
    """What the upstream says of its answer: foreign text, so it is bounded here."""
    made: Line = {}
    if extra.response_id is not None:
        made["id"] = safe_name(extra.response_id)
    if extra.response_model is not None:
        made["model"] = _word(extra.response_model)
    if extra.finish:
        made["finish"] = [_word(reason) for reason in extra.finish[:MAX_FINISH]]
    return made


def _error(verdict: Verdict, outcome: Outcome) -> Line:
    return {name: each for name, each in (("type", outcome.error), ("judging", verdict.error)) if each}


def _escaped(made: Line) -> bytes:
    plain = json.loads(json.dumps(made), parse_constant=lambda _: None)  # NaN and the infinities are no JSON
    return json.dumps(plain, separators=(",", ":")).replace("\x7f", "\\u007f").encode("ascii") + b"\n"
