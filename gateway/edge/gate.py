"""Shell. The life of a request, one rung after the other. Wraps any ASGI app."""

import asyncio
from time import perf_counter_ns

from gateway import dialects
from gateway.campaigns import Campaign
from gateway.decide import REFUSES, Facts, Reflection, Verdict, actual, judge, settle
from gateway.edge import effects, finish
from gateway.edge.core import Core
from gateway.edge.exchange import Aborted, ASGIApp, ClientGone, Exchange, Receive, Scope, Send
from gateway.edge.finish import NOBODY
from gateway.edge.realtime import Session
from gateway.errors import Refusal
from gateway.identity import Caller, identify
from gateway.ledger.record import Ruled, Settled
from gateway.observe import Fold, Observation, Prints, observe
from gateway.protocols import Call, Dialect, Route
from gateway.refusals import limit_headers, refusal_of
from gateway.telemetry import events
from gateway.telemetry.ids import ulid
from gateway.wire.http import canonical, internal

__all__ = ["Gate"]

log = events.get("gate")
ALONE: tuple[Campaign | None, float] = (None, 0.0)  # in no campaign
TRACE_FIELDS = frozenset({b"traceparent", b"tracestate"})


class Gate:
    """ASGI middleware: identifies, observes, measures, judges, acts and settles around `app`."""

    def __init__(self, app: ASGIApp, core: Core) -> None:
        self.app = app
        self.core = core

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.handle(Exchange(scope, receive, send, ulid()), receive)
        elif scope["type"] == "websocket":
            await self.handle(Session(scope, receive, send, ulid(), self.core), receive)
        else:
            await self.app(scope, receive, send)

    async def handle(self, x: Exchange, receive: Receive) -> None:
        """The life of a request, top to bottom. Every rung is one call."""
        core = self.core
        x.policy = core.policy
        x.vendor = dialects.vendor_of(x.raw_path.decode("latin-1"), x.fields)
        try:
            core.admission.enter(x)  # 1 accept
            self._trace(x)
            x.caller = await self._identify(x)  # 2 identify
            await self._parse(x, receive)  # 3 parse, 4 observe: prompt text ends here
            self._judge(x)  # 5 measure, 6 judge
            await self._act(x)  # 7 act: refuse, clamp, draw, tag, delay
            await self._relay(x)  # 8 relay
        except Refusal as refusal:
            await self._refuse(x, refusal, receive)
        except ClientGone:
            x.end = "client_abort"
        except Aborted:
            raise
        except asyncio.CancelledError:  # the server's: it is shutting down and has waited long enough
            x.end, x.error = x.end or "timeout", x.error or "shutdown"
            raise
        except Exception as error:
            x.end, x.error = "crash", type(error).__name__
            log.exception("crash", request_id=x.id, error_type=x.error)
            if not x.status:
                await self._refuse(x, Refusal("internal", 500, "internal_error", "The gateway failed."), receive)
            if x.relayed:
                raise
        finally:
            if core.limits.suspends:  # 9 settle, whatever happened
                await asyncio.shield(self._settle(x))
            else:  # nothing in it gives the loop a turn, so nothing can cut it short
                await self._settle(x)

    def _trace(self, x: Exchange) -> None:
        core, fields = self.core, x.fields
        untrusted = core.untrusted(x.peer)
        x.trace = core.tracer.begin(fields.get(b"traceparent", b""), fields.get(b"tracestate", b""))
        headers = list(x.headers)  # ASGI promises an iterable
        if untrusted or not TRACE_FIELDS.isdisjoint(fields) or any(map(internal, fields)):
            headers = [
                pair
                for pair in headers
                if pair[0] not in TRACE_FIELDS
                and not (untrusted and pair[0].replace(b"_", b"-") in untrusted)
                and not internal(pair[0])
            ]
        headers.append((b"traceparent", x.trace.header()))
        if x.trace.state:
            headers.append((b"tracestate", x.trace.state))
        x.scope = {**x.scope, "headers": headers, "gauger": x}

    async def _identify(self, x: Exchange) -> Caller:
        core, scope = self.core, x.scope
        rules = core.policy.identity
        claims = await core.jwks.claims(x.headers) if core.jwks is not None else None
        query = scope.get("query_string") or b""
        return identify(x.headers, query, x.peer, rules, core.directory, core.pepper, claims, core.trusted)

    async def _parse(self, x: Exchange, receive: Receive) -> None:
        if isinstance(x, Session):
            x.parse(self.core)
            return
        scope = x.scope
        agent, prints = x.fields.get(b"user-agent", b""), self.core.prints
        found = dialects.match(scope["method"], canonical(x.raw_path))
        if found is None:
            x.route = dialects.OPAQUE[x.vendor]
            self.core.admission.upload(x)
            x.seen = observe(x.route, (), x.content_length or 0, prints, agent)
            return
        dialect, route = found
        x.dialect, x.route = dialect, route
        if route.kind != "upload":  # `/v1/files` is OpenAI's and Anthropic's: there the headers have told whose
            x.vendor = route.vendor
        if route.kind == "upload":
            self.core.admission.upload(x)
            x.fold = Fold(prints)
            x.lines = dialect.lines(route, x.header(b"content-type"), x.fold.watch(_parse_line))
            x.seen = observe(route, (), x.content_length or 0, prints, agent)
        else:
            started = perf_counter_ns()
            body = await self.core.admission.body(x, receive)
            x.bytes_in = len(body)
            parsing = perf_counter_ns()
            if len(body) > effects.LARGE:  # reading it takes milliseconds, which are not taken from everybody else
                x.calls, x.seen = await asyncio.to_thread(_read, dialect, route, body, prints, agent)
            else:
                x.calls, x.seen = _read(dialect, route, body, prints, agent)
            x.timings["body"], x.timings["parse"] = parsing - started, perf_counter_ns() - parsing
            asked = dialect.ask_usage(route, body) if self.core.usage_ask else None
            if asked is not None:
                body, x.hider = asked, dialect.hider(route)
            x.body = body
            finish.reframe(x, len(body))
        x.meter = dialect.meter(route, x.calls)
        if self.core.served:
            x.meter.keep()

    def _judge(self, x: Exchange, rejected: str = "") -> None:
        """Rungs 5 and 6. The state step and its row are one section: nothing awaits between them."""
        core, policy = self.core, x.policy
        assert policy is not None
        started = perf_counter_ns()
        caller, seen = x.caller or NOBODY, x.seen or finish.unread(x)
        x.now = now = core.clock.now()
        state = core.accounts.get(caller.account)
        heard = core.served.look(seen if seen.file is None else state.files.get(seen.file, seen), now)
        linked = self._linked(x, caller, seen)
        x.facts = facts = Facts(caller, seen, state.limits, core.kill, rejected, *heard, *linked)
        try:
            if caller is NOBODY:
                x.verdict = Verdict("reject", "reject", refuse=rejected)
            else:
                x.verdict = core.accounts.update(caller.account, lambda state: judge(policy, state, facts, now))
        except Exception as error:  # a defect of ours: the policy says whether callers pay for it
            log.exception("judging failed", request_id=x.id)
            core.metrics.policy_error("judge")
            name = type(error).__name__
            lenient = policy.on_error == "allow"
            x.verdict = Verdict(error=name) if lenient else Verdict("block", "block", refuse="policy_error", error=name)
        x.ruled = Ruled(core.journal.next(), now, x.id, policy.digest, facts, x.verdict)
        core.journal.append(x.ruled)
        x.timings["decide"] = perf_counter_ns() - started

    def _linked(self, x: Exchange, caller: Caller, seen: Observation) -> tuple[Campaign | None, float]:
        """The caller's campaign. A defect of ours leaves him in none: nobody pays for it."""
        core = self.core
        if core.campaigns is None:
            return ALONE
        try:
            return core.campaigns.meet(caller, seen)
        except Exception:
            log.exception("linking failed", request_id=x.id)
            core.metrics.policy_error("link")
            return ALONE

    async def _act(self, x: Exchange) -> None:
        core, verdict, policy = self.core, x.verdict, x.policy
        assert verdict is not None
        assert policy is not None
        if verdict.refuse:
            raise finish.refusal_for(x, verdict)
        started = perf_counter_ns()  # since judging nothing has given way: limits are drawn in the order of the rows
        caller = x.caller or NOBODY
        x.drawn = drawn = await core.limits.draw(x.id, verdict.draws, x.now, caller.org or caller.account)
        core.live[x.id] = x
        x.timings["limit"] = perf_counter_ns() - started
        shown = policy.exposure
        x.added = limit_headers(x.vendor, drawn.readings, x.now, ietf=shown.ietf, dialect=shown.dialect)
        if drawn.closed:
            raise Refusal("overloaded", 503, "limits_unavailable", "Limits can't be checked now.", retry_after=1.0)
        if not drawn.ok:
            raise refusal_of(drawn.readings, policy.limits_of(caller.plan))
        await effects.clamp(x, verdict.effects)
        effects.tag(x, verdict.effects, core.tag_key)
        x.calls = ()  # prompt text is not kept for as long as an answer, or a delay, takes
        await effects.delay(x, verdict.effects, core.admission)

    async def _relay(self, x: Exchange) -> None:
        x.relayed, x.asked = True, perf_counter_ns()
        x.on_head = self.core.admission.release
        await self.app(x.scope, x.receive, x.send)
        if not x.finished and x.end is None:
            x.end = "client_abort"

    async def _refuse(self, x: Exchange, refusal: Refusal, receive: Receive) -> None:
        """Answers in the caller's words, unless an answer has begun: then only the connection can say it."""
        x.refusal = refusal.with_traceback(None)  # whose frames hold the exchange: a cycle for the collector
        if x.end is None:
            x.end = "refused"
        x.error = x.error or refusal.code
        if x.facts is None:
            self._judge(x, refusal.code)
        if x.status:
            raise Aborted(refusal.code)
        if not refusal.close and not await self.core.admission.drain(x, receive):
            refusal.close = True
        x.relayed = False
        await finish.answer(x, refusal)

    async def _settle(self, x: Exchange) -> None:
        """Rung 9. The reservation and the lease return, the state learns, one line is written."""
        core, policy, started = self.core, x.policy, perf_counter_ns()
        assert policy is not None
        core.live.pop(x.id, None)
        core.admission.leave(x)
        if x.ruled is None:
            self._judge(x, x.error or "client_gone")
        ruled = x.ruled
        assert ruled is not None
        facts, verdict = ruled.facts, ruled.verdict
        outcome = finish.outcome(x, verdict, core.limits.kind)
        now = core.clock.now()
        finish.remember(core, x, facts.seen, now)
        if x.drawn is not None and x.drawn.ok:
            proven = outcome.upstream_status not in REFUSES or core.accounts.get(facts.caller.account).proven
            costs = actual(policy, facts, verdict, outcome, proven=proven)
            settled = await core.limits.settle(x.id, costs, now)
            outcome = finish.with_settled(outcome, settled)
        reflection = Reflection()
        try:
            if facts.caller is not NOBODY and not facts.rejected:
                reflection = core.accounts.update(
                    facts.caller.account, lambda state: settle(policy, state, facts, verdict, outcome, now)
                )
            if core.campaigns is not None and 200 <= outcome.upstream_status < 300:
                core.campaigns.saw(facts.caller, verdict.batch or facts.seen, now)
        except Exception:  # the answer is out: what is left is to say so
            log.exception("settling failed", request_id=x.id)
            core.metrics.policy_error("settle")
        row = Settled(core.journal.next(), now, x.id, facts.caller.account, outcome, reflection)
        core.journal.append(row)
        x.timings["settle"] = perf_counter_ns() - started
        finish.report(core, x, ruled, row)
        x.scope.pop("gauger", None)  # holds the exchange, and what it has of body and answer: another cycle


def _read(
    dialect: Dialect, route: Route, body: bytes, prints: Prints, agent: bytes
) -> tuple[tuple[Call, ...], Observation]:
    calls = dialect.parse(route, body)
    return calls, observe(route, calls, len(body), prints, agent)


def _parse_line(method: str, path: str, body: bytes) -> tuple[Call, ...] | None:
    """The calls of one line of an uploaded batch; None where no dialect speaks on its path."""
    found = dialects.match(method, path)
    return None if found is None or found[1].kind != "call" else found[0].parse(found[1], body)
