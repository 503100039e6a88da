"""Pure. The tests that a policy carries, run: `gauger test`, and before a policy may replace a running one.

Without `send`, a test says what is known and what the rules make of it; a name that isn't given is missing. With `send`
it sends requests through the whole judge, on a clock of its own, against real limits. The rules of an answer count too,
where something of it (`resp.*`) is given or an answer was sent for and has ended, as they do in its record.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from gateway.decide import AccountState, Facts, Outcome, Reflection, Verdict, actual, judge, settle
from gateway.documents import shown
from gateway.policy.examples import Example
from gateway.policy.model import Policy
from gateway.quotas import Draw, Drawn
from gateway.refusals import Spent, refusal_of
from gateway.usage import Usage

__all__ = ["Limits", "Result", "run"]


class Limits(Protocol):
    """Real limits that need no event loop (`stores.memory.MemoryLimits`)."""

    def take(self, draws: Sequence[Draw], now: int, request: str | None = None) -> Drawn: ...
    def give(self, request: str, actual: dict[str, int], now: int) -> dict[str, int]: ...


class Result(msgspec.Struct, frozen=True):
    """How one test went: `failures` is empty where everything that it expects came out."""

    example: Example
    failures: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()  # that held, in any mode
    excepted: tuple[str, ...] = ()  # exceptions that softened a rule

    @property
    def ok(self) -> bool:
        return not self.failures


class _Came(msgspec.Struct):
    """What came out of a test."""

    verdict: Verdict
    action: str
    word: str
    allowed: int = 0
    refused_at: int = 0
    refusal: Spent | None = None
    blocked: Verdict | None = None
    held: set[str] = msgspec.field(default_factory=set)  # rules, over all requests
    excepted: set[str] = msgspec.field(default_factory=set)  # exceptions, over all requests


def run(policy: Policy, limits: Callable[[], Limits], only: Iterable[Example] | None = None) -> list[Result]:
    """Runs the policy's tests, or some of them. Each begins with fresh state and limits."""
    return [_result(policy, example, limits) for example in (policy.tests if only is None else only)]


def _result(policy: Policy, example: Example, limits: Callable[[], Limits]) -> Result:
    came = _say(policy, example) if example.send is None else _send(policy, example, limits())
    verdict = came.verdict
    return Result(
        example,
        tuple(_failures(example, came)),
        tuple(sorted({*came.held, *verdict.rules, *verdict.shadow})),
        tuple(sorted({*came.excepted, *verdict.excepted.values()})),
    )


def _say(policy: Policy, example: Example) -> _Came:
    """What the rules say of what is known, and of nothing else."""
    engine = policy.engine.strict()
    values = engine.given(example.known)
    scores = engine.score(values, given=example.known, now=example.at)
    ruling = engine.rule(values, example.seen, example.at, shadow=policy.mode == "shadow")
    verdict = Verdict(
        verdict=ruling.verdict,
        action=ruling.action,
        effects=ruling.effects,
        would=ruling.would,
        refuse=ruling.effects.code,
        rules=ruling.rules,
        shadow=ruling.shadow,
        excepted=ruling.excepted,
        missing=ruling.missing,
        scores=scores.scores,
        evidence=scores.evidence,
    )
    came = _Came(verdict, verdict.action, verdict.verdict)
    if any(name.startswith("resp.") for name in example.known):
        said = engine.reflect(values, example.at, shadow=policy.mode == "shadow")
        _reflected(came, Reflection(said.tags, said.rules, said.shadow, said.missing))
    return came


def _reflected(came: _Came, said: Reflection) -> None:
    """Adds what the rules of the answer say, as the record does: they tag, and change no stronger word."""
    verdict = came.verdict
    effects = verdict.effects
    came.verdict = msgspec.structs.replace(
        verdict,
        effects=msgspec.structs.replace(effects, tags=tuple(sorted({*effects.tags, *said.tags}))),
        rules=tuple(sorted((*verdict.rules, *said.rules))),
        shadow=tuple(sorted((*verdict.shadow, *said.shadow))),
        missing={**verdict.missing, **said.missing},
    )
    if came.word == "allow" and (said.tags or said.shadow):
        came.word = "tag"
    if came.action == "allow" and said.tags:
        came.action = "tag"


def _send(policy: Policy, example: Example, limits: Limits) -> _Came:
    """Sends the requests one after another; answers end when their time has come."""
    send, caller, seen = example.send, example.caller, example.seen
    assert send is not None
    state, came = AccountState(), _Came(Verdict(), "allow", "allow")
    running: list[tuple[int, int, Facts, Verdict, Drawn]] = []

    def end(until: int | None, state: AccountState) -> AccountState:
        while running and (until is None or running[0][0] <= until):
            now, number, facts, verdict, drawn = heapq.heappop(running)
            outcome = Outcome("done", 200, 200, _usage(send.usage, verdict), drawn.readings)
            limits.give(str(number), actual(policy, facts, verdict, outcome) if send.usage else {}, now)
            state = settled(state, number, facts, verdict, outcome, now)
        return state

    def settled(
        state: AccountState, number: int, facts: Facts, verdict: Verdict, outcome: Outcome, now: int
    ) -> AccountState:
        state, said = settle(policy, state, facts, verdict, outcome, now)
        came.held.update(said.rules, said.shadow)
        if number == send.times:
            _reflected(came, said)
        return state

    for number in range(1, send.times + 1):
        now = example.at + (number - 1) * send.every
        state = end(now, state)
        facts = Facts(caller, seen, state.limits)
        state, verdict = judge(policy, state, facts, now, example.known)
        came.verdict, came.action, came.word = verdict, verdict.action, verdict.verdict
        came.held.update(verdict.rules, verdict.shadow)
        came.excepted.update(verdict.excepted.values())
        if verdict.refuse:
            came.refused_at = came.refused_at or number
            came.blocked = came.blocked or verdict
            outcome = Outcome("refused", verdict.effects.block)
            state = settled(state, number, facts, verdict, outcome, now)
            continue
        drawn = limits.take(verdict.draws, now, str(number))
        if any(not reading.ok for reading in drawn.readings):
            came.word = "limit"
        if not drawn.ok:
            came.action = "limit"
            came.refused_at = came.refused_at or number
            refusal = refusal_of(drawn.readings, policy.limits_of(caller.plan))
            if came.refusal is None and came.blocked is None:
                came.refusal = refusal
            outcome = Outcome("refused", refusal.status, limits=drawn.readings)
            state = settled(state, number, facts, verdict, outcome, now)
            continue
        came.allowed += 1
        if send.finish != "never":
            wait = 0 if send.finish == "at_once" else int(send.finish)
            heapq.heappush(running, (now + wait, number, facts, verdict, drawn))
            if not wait:
                state = end(now, state)
    end(None, state)
    return came


def _usage(given: Mapping[Any, int], verdict: Verdict) -> Usage:
    told: dict[str, int] = {"input": verdict.input, "output": verdict.output, **given}
    return msgspec.structs.replace(Usage(source="upstream"), **told)


def _failures(example: Example, came: _Came) -> list[str]:
    """What was expected and did not come, one sentence each."""
    expect, verdict = example.expect, came.verdict
    found: list[str] = []

    def same(what: str, wanted: Any, got: Any) -> None:
        if wanted is not None and wanted != got:
            found.append(f"{what}: expected {_text(wanted)}, got {_text(got)}")

    same("action", expect.action, came.action)
    same("verdict", expect.verdict, came.word)
    same("rules", _sorted(expect.rules), list(verdict.rules))
    same("shadow", _sorted(expect.shadow), list(verdict.shadow))
    same("excepted", _sorted(expect.excepted), sorted(verdict.excepted))
    same("tags", _sorted(expect.tags), list(verdict.effects.tags))
    same("status", expect.status, (came.refusal.status if came.refusal else verdict.effects.block) or 200)
    missing = sorted({name for names in verdict.missing.values() for name in names})
    found += [
        f"missing: expected {shown(name)} among {_text(missing)}"
        for name in expect.missing or ()
        if name not in missing and name not in verdict.missing
    ]
    for field, wanted in (expect.clamp or {}).items():
        got = verdict.effects.clamp[field][1] if field in verdict.effects.clamp else None
        same(f"clamp.{field}", wanted, got)
    for name, share in (expect.throttle or {}).items():
        same(f"throttle.{name}", share, verdict.effects.throttle.get(name, 1.0))
    for name, db in (expect.score or {}).items():
        score = verdict.scores.get(name)
        if score is None or abs(score - db) > 0.05:
            got_db = "none" if score is None else f"{score:g} dB"
            found.append(f"score.{name}: expected {db:g} dB, got {got_db}{_addends(verdict, name)}")
    if example.send is not None:
        same("allowed", expect.allowed, came.allowed)
        if expect.first_refused is not None:
            found += _first_refused(expect.first_refused, came)
    return found


def _first_refused(wanted: Any, came: _Came) -> list[str]:
    """The first refusal: which request, by which limit, with what status."""
    if not came.refused_at:
        return ["first_refused: expected a refusal, and nothing was refused"]
    found = []
    refusal, blocked = came.refusal, came.blocked
    limit = refusal.refusing[0].limit if refusal is not None else "none"
    status = refusal.status if refusal is not None else blocked.effects.block if blocked is not None else 0
    code = refusal.code if refusal is not None else blocked.refuse if blocked is not None else ""
    for what, expected, got in (
        ("at", wanted.at, came.refused_at),
        ("limit", wanted.limit, limit),
        ("status", wanted.status, status),
        ("code", wanted.code, code),
    ):
        if expected is not None and expected != got:
            found.append(f"first_refused.{what}: expected {_text(expected)}, got {_text(got)}")
    if wanted.retry_after is not None:
        got_wait = (refusal.retry_after or 0.0) if refusal is not None else 0.0
        if abs(got_wait * 1_000_000 - wanted.retry_after) > 1_000:
            found.append(f"first_refused.retry_after: expected {wanted.retry_after / 1e6:g} s, got {got_wait:g} s")
    return found


def _addends(verdict: Verdict, card: str) -> str:
    addends = verdict.evidence.get(card)
    return f" ({', '.join(f'{name} {db:+g}' for name, db in addends.items())})" if addends else ""


def _sorted(names: list[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
