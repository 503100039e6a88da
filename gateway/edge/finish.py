"""Shell. The end of a request: refusing in the caller's words, and turning what happened into an outcome and a line."""

from email.utils import formatdate
from time import perf_counter_ns

import msgspec

from gateway.decide import Facts, Outcome, Verdict
from gateway.edge.core import Core
from gateway.edge.exchange import Exchange
from gateway.errors import Kind, Refusal
from gateway.ledger.line import Line, Shown, Timings, encode, line
from gateway.ledger.mapping import to_ecs, to_otel
from gateway.ledger.record import Ruled, Settled
from gateway.ledger.steps import NOBODY
from gateway.observe import VERSION, Observation, observe_folded, safe_name
from gateway.observe.answers import answer_pieces
from gateway.quotas import Store
from gateway.refusals import render
from gateway.telemetry.ids import ulid

__all__ = [
    "NOBODY",
    "answer",
    "outcome",
    "refusal_for",
    "refused_below",
    "reframe",
    "remember",
    "report",
    "unread",
    "with_settled",
]

BLOCKS: dict[int, Kind] = {400: "bad_request", 404: "not_found", 429: "rate_limited", 503: "overloaded"}
"""Status of a policy's block -> what kind of refusal its dialect speaks of, where it isn't `forbidden`."""

BACKGROUND = (("queued",), ("in_progress",))
"""What an answer says that is none yet (OpenAI Responses with `background`)."""


def refusal_for(x: Exchange, verdict: Verdict) -> Refusal:
    """What a caller is told when the policy refuses before any limit is met: never which rule it was."""
    if verdict.refuse == "path_not_allowed":
        return Refusal("forbidden", 403, "path_not_allowed", "This path is not served here.", retry=False)
    if verdict.refuse == "policy_error":
        return Refusal("overloaded", 503, "policy_error", "The gateway could not judge this request.")
    status, until = verdict.effects.block or 403, verdict.effects.until
    wait = max(0, until - x.now) / 1e6 if until and status in (429, 503) else None  # a 403 doesn't end by waiting
    detail = f"This request is not allowed by policy; appeal with id {x.id}."
    return Refusal(BLOCKS.get(status, "forbidden"), status, verdict.refuse, detail, retry=False, retry_after=wait)


def unread(x: Exchange) -> Observation:
    """What is known of a request that was refused before it could be observed: at most its route."""
    route = x.route
    if route is None:
        return Observation(VERSION, op="rejected", bytes=x.bytes_in)
    return Observation(VERSION, dialect=route.dialect, op=route.op, route=route.template, bytes=x.bytes_in)


def reframe(x: Exchange, length: int) -> None:
    """Tells the wrapped app the length of the body that it will receive: it has been read whole, or was rewritten."""
    headers = [pair for pair in x.scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", b"%d" % length))
    x.scope["headers"] = headers


async def answer(x: Exchange, refusal: Refusal) -> None:
    """Sends a refusal in the caller's dialect, with what the limits say and the id that finds the record."""
    jitter = int.from_bytes(x.id[-4:].encode()) % 997 / 997  # the id's last characters are random
    headers, body = render(x.vendor, refusal, x.id, jitter=jitter)
    if x.scope["method"] == "HEAD":
        body = b""
    headers.append((b"date", formatdate(usegmt=True).encode()))  # our answer: RFC 9110 section 6.6.1
    if refusal.close:
        headers.append((b"connection", b"close"))
    await x.send({"type": "http.response.start", "status": refusal.status, "headers": [*headers, *x.added]})
    await x.send({"type": "http.response.body", "body": body, "more_body": False})


def outcome(x: Exchange, verdict: Verdict, store: Store) -> Outcome:
    """What happened, from what the shell saw. A stream that was cut still has the usage that was seen of it.

    `store`: where limits live, for a request that met none.
    """
    if x.meter is not None and x.relayed:
        x.answer = x.meter.finish()
    end = x.end or ("done" if x.finished else "client_abort")
    if end == "client_abort" and x.answer.complete and x.status < 400:
        end = "done"  # OpenAI's client hangs up when it has read `[DONE]`, before the last chunk of the framing
    drawn, folded = x.drawn, None
    if x.lines is not None and x.fold is not None and x.route is not None and end == "done":
        sums = x.lines.finish()
        folded = observe_folded(x.route, sums, x.bytes_in, x.fold.features()) if sums is not None else None
    return Outcome(
        end=end,
        status=x.status,
        upstream_status=x.upstream_status,
        usage=x.answer.usage,
        limits=x.readings,
        store=drawn.store if drawn is not None else store,
        at=drawn.at if drawn is not None and drawn.store == "valkey" and drawn.at != x.now else 0,
        error=x.error,
        pending=x.answer.finish in BACKGROUND,
        file=safe_name(x.answer.file) if folded is not None else None,
        folded=folded,
    )


def remember(core: Core, x: Exchange, seen: Observation, now: int) -> None:
    """An answer, or what of it was passed on before it broke off, may come back. Here its text ends."""
    said = x.answer.said
    if said:
        x.answer = msgspec.structs.replace(x.answer, said=())
        if 200 <= x.upstream_status < 300:
            core.served.add(answer_pieces(said, core.prints), now, seen.pieces)


def with_settled(found: Outcome, settled: dict[str, int]) -> Outcome:
    return msgspec.structs.replace(found, settled=settled)


def report(core: Core, x: Exchange, ruled: Ruled, settled: Settled) -> None:
    """Writes the one line of this request, counts it, and ends its span. Nothing here is seen by a verdict."""
    ended = perf_counter_ns()
    total = (ended - x.started) // 1000
    times = x.timings
    first = (x.first_byte - x.started) // 1000 if x.first_byte and x.relayed else None
    shown = Shown(
        policy=x.policy or core.policy,
        service=core.service,
        trace_id=x.trace.trace_id if x.trace is not None else "",
        span_id=x.trace.span_id if x.trace is not None else "",
        provider=x.dialect.provider if x.dialect is not None else "",
        client_request_id=x.client_request_id,
        upstream_request_id=x.upstream_request_id,
        response_id=x.answer.id,
        response_model=x.answer.model,
        finish=x.answer.finish,
        bytes_in=x.bytes_in,
        bytes_out=x.bytes_out,
        t=Timings(
            parse=_us(times, "parse"),
            decide=_us(times, "decide"),
            limit=_us(times, "limit"),
            delay=_us(times, "delay"),
            ttfb=(x.head_at - x.started) // 1000 if x.head_at and x.relayed else None,
            ttft=first,
            total=total,
        ),
        session=x.talked(),
    )
    made = line(ruled, settled, shown)
    action, seen = made["action"], ruled.facts.seen
    core.metrics.observe(
        route=seen.route,
        provider=shown.provider or "none",
        action=action,
        status=settled.outcome.status,
        stream=seen.stream,
        total=ended - x.started,
        model=seen.model,
        usage=settled.outcome.usage,
        limits=settled.outcome.limits,
        settled=settled.outcome.settled,
        phases=times,
        upstream=ended - x.asked if x.relayed else None,
        first_chunk=x.first_byte - x.asked if x.relayed and x.first_byte and seen.stream else None,
    )
    verdict, reflection = ruled.verdict, settled.reflection
    core.owners.add(ruled.facts.caller, verdict.scores, ruled.now)
    if verdict.rules or verdict.shadow or verdict.excepted or verdict.scores or reflection.rules or reflection.shadow:
        core.metrics.judged(
            (*verdict.rules, *reflection.rules),
            (*verdict.shadow, *reflection.shadow),
            verdict.excepted,
            verdict.scores,
        )
    if x.trace is not None:
        core.tracer.end(x.trace, made)
    write(core, made)


def write(core: Core, made: Line) -> None:
    """One line in the words that were asked for."""
    plain = made["action"] == "allow" and made["end"] == "done"
    if core.log_format == "otel":
        made = to_otel(made)
    elif core.log_format == "ecs":
        made = to_ecs(made)
    core.lines.write(encode(made), plain=plain)


def refused_below(core: Core, refusal: Refusal) -> None:
    """The record of what the server refused before it was a request: bytes that are not HTTP, a head that is late."""
    now = core.clock.now()
    facts = Facts(NOBODY, Observation(VERSION, op="rejected"), kill=core.kill, rejected=refusal.code)
    verdict = Verdict("reject", "reject", refuse=refusal.code)
    ruled = Ruled(core.journal.next(), now, ulid(), core.policy.digest, facts, verdict)
    core.journal.append(ruled)
    ended = Outcome(end="refused", status=refusal.status, error=refusal.code)
    settled = Settled(core.journal.next(), now, ruled.request, NOBODY.account, ended)
    core.journal.append(settled)
    core.metrics.observe(route="other", provider="none", action="reject", status=refusal.status, stream=False, total=0)
    write(core, line(ruled, settled, Shown(policy=core.policy, service=core.service)))


def _us(times: dict[str, int], name: str) -> int | None:
    found = times.get(name)
    return None if found is None else found // 1000
