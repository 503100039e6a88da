"""Pure. The centre: `judge` before the model answers, `settle` after. No clock, no chance, no I/O.

    judge(policy, state, facts, now)                    -> (state, Verdict)
    settle(policy, state, facts, verdict, outcome, now) -> (state, Reflection)

`now` is an integer of microseconds since the epoch. State is a fold over the ledger's rows in order: the same rows
give the same state, on any machine. Both functions leave their argument as it was and return a new state, so an
exception on the way loses nothing.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from gateway.actions import Clamped, Effects
from gateway.campaigns import Campaign
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.pace import RATIO_ASCII, Pace, learn
from gateway.policy.draws import Cost, draws_for, used
from gateway.policy.facts import Inputs
from gateway.policy.model import Policy, Sanction
from gateway.quotas import Draw, Reading, Store
from gateway.signals import GENERATES, Ended, Slab
from gateway.usage import Usage

__all__ = [
    "REFUSES",
    "AccountState",
    "Facts",
    "Outcome",
    "Pace",
    "Reflection",
    "Sanction",
    "Verdict",
    "actual",
    "judge",
    "settle",
]

End = Literal["done", "refused", "client_abort", "upstream_error", "timeout", "crash"]
Word = Literal["allow", "tag", "clamp", "throttle", "block", "reject"]

READS = GENERATES | {"embeddings"}
SESSION = "realtime"  # the operation of a session, which is charged while it lasts
SWITCHED = 101  # status of a session that was opened
REFUSES = frozenset({401, 403})  # statuses of a model server that doesn't accept a key
MODELS = 16  # models remembered an account; the least recently used goes first
FILES = 32  # uploaded files remembered an account
WARM = 20  # answers before the p90 is believed (simulated in the design notes: 1k tokens before that)
PER_MESSAGE = 4  # tokens of framing a message (OpenAI's published counting recipe)


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that the judge may know: what isn't here can't influence a verdict."""

    caller: Caller
    seen: Observation
    limits: tuple[Reading, ...] = ()  # what the limits last answered this account
    kill: bool = False  # the kill switch: everything is shadow
    rejected: str = ""  # code of a refusal that came before judging (malformed, unauthenticated)
    returned: int = 0  # pieces of what is asked afresh that stood in answers which were served here of late
    continued: bool = False  # the last answer in the history was served here of late
    campaign: Campaign | None = None  # that the account is a member of, as it was last looked at
    membership: float = 0.0  # dB, 0 or less: how much of the account's use the campaign's recipe is


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the policy says. `verdict` is full enforcement's word, `action` what is done (shadow mode, kill switch)."""

    verdict: Word = "allow"
    action: Word = "allow"
    effects: Effects = Effects()  # what is done
    would: Effects | None = None  # what full enforcement would do, where that is something else
    refuse: str = ""  # code, where the request is refused before it meets a limit
    rules: tuple[str, ...] = ()  # ids of the rules whose effects are done, sorted
    shadow: tuple[str, ...] = ()  # ids of the rules that hold and are only watched
    excepted: dict[str, str] = {}  # rule id -> the exception that softened it
    missing: dict[str, tuple[str, ...]] = {}  # rule id -> the names that it reads and that nothing is known of
    scores: dict[str, float] = {}  # scorecard id -> dB, rounded to 0.01
    evidence: dict[str, dict[str, float]] = {}  # scorecard id -> evidence id -> dB that counted, rounded to 0.01
    campaign: dict[str, float] = {}  # scorecard id -> dB of the account's campaign by itself
    together: dict[str, dict[str, float]] = {}  # scorecard id -> evidence id -> dB that counted of the campaign
    readings: dict[str, float] = {}  # what the policy read of the account's past, rounded to 0.001
    draws: tuple[Draw, ...] = ()  # what acting will ask of the limits
    input: int = 0  # tokens expected of the prompt
    output: int = 0  # tokens expected of the answer
    owed: int = 0  # tokens that work done out of our sight (a batch, in the background) is charged
    batch: Observation | None = None  # what the file of this batch holds: rules and limits went by it
    error: str = ""  # the type of an exception inside judging; `on_error` decided


class Reflection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the rules of `phase: response` said of an answer. They can only tag."""

    tags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    missing: dict[str, tuple[str, ...]] = {}


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a request ended."""

    end: End
    status: int = 0  # as the client saw it; 0 = no answer began
    upstream_status: int = 0
    usage: Usage = Usage()
    limits: tuple[Reading, ...] = ()  # what the limits answered; they were charged unless one refused
    settled: dict[str, int] = {}  # limit id -> actual minus reserved
    store: Store = "memory"  # whose limits answered
    at: int = 0  # µs: the shared store's own time, by which it drew; 0 = the limits went by the row's time
    error: str = ""  # low-cardinality type
    pending: bool = False  # the model server works on in the background; its answer was an acknowledgement
    file: str | None = None  # the id that an upload was given
    folded: Observation | None = None  # the sum of an upload's lines


class AccountState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of an account between requests."""

    first: int = 0  # µs
    last: int = 0  # µs
    requests: int = 0
    refused: int = 0
    proven: bool = False  # the model server has accepted this caller's key at least once
    paces: dict[str, Pace] = {}
    files: dict[str, Observation] = {}
    limits: tuple[Reading, ...] = ()
    sanctions: dict[str, Sanction] = {}  # rule id -> what lasts of it
    signals: bytes = b""  # the row of `gateway/panel.py`; empty = nothing seen yet


NO_REFLECTION = Reflection()


def judge(
    policy: Policy, state: AccountState, facts: Facts, now: int, given: Mapping[str, Any] | None = None
) -> tuple[AccountState, Verdict]:
    """The verdict on one request, and the state that remembers it. `given`: values by name, of a policy's test."""
    seen = facts.seen
    batch = state.files.get(seen.file) if seen.file is not None else None
    work = seen if batch is None else _of_batch(seen, batch)
    if facts.rejected:
        slab = PANEL.malformed(state.signals, seen, facts.caller, now)
    else:
        slab = PANEL.asked(state.signals, work, facts.caller, now, facts.returned, facts.continued)
    after = msgspec.structs.replace(
        state,
        first=state.first or now,
        last=now,
        requests=state.requests + 1,
        signals=PANEL.pack(slab),
    )
    if facts.rejected:
        return _refused(after), Verdict("reject", "reject", refuse=facts.rejected)
    unread = seen.op == "opaque" or (seen.file is not None and batch is None)
    barred = unread and policy.opaque == "refuse"
    shadow = facts.kill or policy.mode == "shadow"
    if barred and not shadow:
        return _refused(after), Verdict("block", "block", refuse="path_not_allowed")
    op = "opaque" if unread else seen.op
    cost = _cost(policy, state, work, op)
    engine = policy.engine
    if engine is None or engine.empty:
        return after, Verdict(
            "block" if barred else "allow",
            draws=draws_for(policy, facts.caller, work.model, cost, now, shadow=shadow, campaign=_id(facts)),
            input=cost.input,
            output=cost.output,
            owed=_owed(cost, seen, batch),
            batch=work if batch is not None else None,
        )
    inputs = _inputs(policy, after, slab, facts, work, now, cost.input, cost.output)
    values = engine.values(inputs, given)
    scores = engine.score(values, facts.campaign, facts.membership, now, given)
    ruling = engine.rule(values, work, now, shadow=shadow, sanctions=state.sanctions)
    if ruling.sanctions or state.sanctions:
        after = msgspec.structs.replace(after, sanctions=ruling.sanctions)
    effects = ruling.effects
    draws: tuple[Draw, ...] = ()
    if effects.block:
        after = _refused(after)
    else:
        if effects.clamp:
            cost = _cost(policy, state, _clamped(work, effects.clamp), op)
        shares = effects.throttle or None
        draws = draws_for(
            policy, facts.caller, work.model, cost, now, shadow=shadow, shares=shares, campaign=_id(facts)
        )
    return after, Verdict(
        "block" if barred else ruling.verdict,
        ruling.action,
        effects,
        None if ruling.would == effects else ruling.would,
        effects.code,
        ruling.rules,
        ruling.shadow,
        ruling.excepted,
        ruling.missing,
        scores.scores,
        scores.evidence,
        scores.campaign,
        scores.together,
        engine.readings(values),
        draws,
        cost.input,
        cost.output,
        _owed(cost, seen, batch),
        work if batch is not None else None,
    )


def _id(facts: Facts) -> str | None:
    return facts.campaign.id if facts.campaign is not None else None


def _of_batch(seen: Observation, batch: Observation) -> Observation:
    """What a batch of an uploaded file asks for: the request itself, with what the file's lines add up to."""
    return msgspec.structs.replace(
        batch, dialect=seen.dialect, op=seen.op, route=seen.route, bytes=seen.bytes, file=seen.file
    )


def _owed(cost: Cost, seen: Observation, batch: Observation | None) -> int:
    """What is charged for an answer that nobody will see."""
    return cost.most if batch is not None or seen.op == "batch" or seen.background else 0


def _inputs(
    policy: Policy,
    state: AccountState,
    slab: Slab,
    facts: Facts,
    seen: Observation,
    now: int,
    input_: int,
    output: int,
) -> Inputs:
    caller = facts.caller
    plan = caller.plan
    return Inputs(
        caller,
        seen,
        plan if plan is not None and plan in policy.limits else policy.identity.plan,
        now,
        state.first,
        slab,
        facts.limits,
        input_,
        output,
        campaign=facts.campaign,
    )


def _clamped(seen: Observation, clamp: Mapping[str, Clamped]) -> Observation:
    """The observation of the request as it is sent on, as far as its cost and its answer depend on it."""
    changes: dict[str, Any] = {name: clamp[name][1] for name in ("n", "max_tokens") if name in clamp}
    if "n" in changes:
        changes["n"] *= seen.prompts
    return msgspec.structs.replace(seen, **changes) if changes else seen


def settle(
    policy: Policy, state: AccountState, facts: Facts, verdict: Verdict, outcome: Outcome, now: int
) -> tuple[AccountState, Reflection]:
    """The state after a request has ended, however it ended, and what the rules of its answer say."""
    used = _unseen(facts, verdict, outcome) or _read_too(facts, verdict, outcome.usage)
    sent = _clamped(facts.seen, verdict.effects.clamp)
    slab = PANEL.ended(state.signals, verdict.batch or sent, _ended(outcome, used), now)
    changes: dict[str, object] = {
        "last": max(state.last, now),
        "limits": outcome.limits,
        "signals": PANEL.pack(slab),
    }
    if outcome.end == "refused":
        changes["refused"] = state.refused + 1
    usage, seen = outcome.usage, facts.seen
    spoken = seen.op == SESSION and usage.input > 0  # Google's server looks at the key after its 101
    if spoken or (200 <= outcome.upstream_status < 300 and seen.op in READS):
        changes["proven"] = True
    if (usage.source == "upstream" or outcome.end == "client_abort") and seen.op in READS and seen.op != "batch":
        model = seen.model or ""
        paces = {name: pace for name, pace in state.paces.items() if name != model}
        while len(paces) >= MODELS:
            del paces[next(iter(paces))]
        paces[model] = learn(state.paces.get(model, Pace()), sent, usage, done=outcome.end == "done")
        changes["paces"] = paces
    if outcome.file is not None and outcome.folded is not None:
        files = dict(state.files)
        while len(files) >= FILES:
            del files[next(iter(files))]
        files[outcome.file] = outcome.folded
        changes["files"] = files
    after = msgspec.structs.replace(state, **changes)
    engine = policy.engine
    if engine is None or not engine.reflects or facts.rejected:
        return after, NO_REFLECTION
    work = verdict.batch or seen
    inputs = _inputs(policy, after, slab, facts, work, now, verdict.input, verdict.output)
    values = engine.values(inputs._replace(usage=usage, status=outcome.status, end=outcome.end))
    engine.score(values, facts.campaign, facts.membership, now)
    said = engine.reflect(values, now, shadow=facts.kill or policy.mode == "shadow")
    return after, Reflection(said.tags, said.rules, said.shadow, said.missing)


def _ended(outcome: Outcome, used: Usage) -> Ended:
    """The end of a request as signals look at it; of its limits, slots aside, the one that is nearest to its edge."""
    full = None
    for reading in outcome.limits:
        if reading.capacity and not reading.shadow and reading.unit != "concurrent":
            share = 1.0 - reading.left / reading.capacity
            full = share if full is None or share > full else full
    ok = 200 <= outcome.upstream_status < 300 or outcome.upstream_status == SWITCHED
    return Ended(ok, outcome.end == "refused", outcome.status, used.input, used.output, used.reasoning, full)


def actual(policy: Policy, facts: Facts, verdict: Verdict, outcome: Outcome, *, proven: bool = True) -> dict[str, int]:
    """What each limit's draw really cost: limit id -> units. A limit that isn't named stays as drawn.

    `proven`: whether the model server has ever accepted this account. Where it hasn't, and says no again, no quota
    keeps it: made-up keys leave nothing behind for a day or a month. Their rates are charged, and end by themselves.
    """
    answered = 200 <= outcome.upstream_status < 500 or outcome.upstream_status == SWITCHED
    ours = outcome.end in ("upstream_error", "timeout", "crash") or outcome.upstream_status >= 500
    unknown = outcome.upstream_status in REFUSES and not proven
    costs: dict[str, int] = {}
    for draw in verdict.draws:
        if draw.unit == "requests":
            # A 4xx stays charged, as OpenAI does; what the upstream broke is given back.
            if (not answered and ours) or (unknown and draw.kind == "quota"):
                costs[draw.limit] = 0
        elif draw.unit != "concurrent":
            spent = _spent(policy, facts, verdict, outcome, draw)
            if spent is not None:
                costs[draw.limit] = spent
    return costs


def _refused(state: AccountState) -> AccountState:
    return msgspec.structs.replace(state, refused=state.refused + 1)


def _is_unseen(facts: Facts, outcome: Outcome) -> bool:
    """Whether the answer is made out of our sight, after this one."""
    return facts.seen.op == "batch" or facts.seen.background or outcome.pending


def _unseen(facts: Facts, verdict: Verdict, outcome: Outcome) -> Usage | None:
    """What work that the model server has taken, and does out of our sight, counts as; None where there is none."""
    if not _is_unseen(facts, outcome) or not 200 <= outcome.upstream_status < 400:
        return None
    told = outcome.usage.source == "upstream" and outcome.usage.output > 0
    return outcome.usage if told else Usage(verdict.input, verdict.owed)


def _read_too(facts: Facts, verdict: Verdict, usage: Usage) -> Usage:
    """The usage, with what was read as estimated where only the answer could be counted: a stream that was left."""
    if usage.source != "counted" or usage.input:
        return usage
    least = int(facts.seen.chars * RATIO_ASCII)  # what was learned of an account never makes its text cheaper
    return msgspec.structs.replace(usage, input=max(verdict.input, least))


def _spent(policy: Policy, facts: Facts, verdict: Verdict, outcome: Outcome, draw: Draw) -> int | None:
    if _is_unseen(facts, outcome):
        if not outcome.upstream_status:  # it may have been taken or not: it stays as drawn
            return None
        owed = _unseen(facts, verdict, outcome)
        if owed is None:
            return 0
        return max(draw.cost, used(draw.unit, policy.tokens, owed))  # paid for when it is handed in
    spent = used(draw.unit, policy.tokens, _read_too(facts, verdict, outcome.usage))
    if outcome.end == "client_abort" and policy.abort == "charge_reserved":
        return max(draw.cost, spent)
    return spent


def _cost(policy: Policy, state: AccountState, seen: Observation, op: str) -> Cost:
    lines = max(1, seen.lines)
    if op == SESSION:  # held back for its next answer, whichever that is
        return Cost(choices=1)
    if op not in READS:
        return Cost(requests=lines)
    pace = state.paces.get(seen.model or "", Pace())
    ratio = pace.ratio_ascii if seen.ascii else pace.ratio_other
    text = int(seen.chars * ratio) + 1 + seen.token_ids
    prompt = text + seen.images * policy.tokens.image + PER_MESSAGE * seen.messages
    weight = policy.tokens.batch if op == "batch" else 1.0
    if op not in GENERATES:
        return Cost(requests=lines, input=int(prompt * weight))
    choices = max(1, seen.n)
    declared = None if seen.max_tokens is None else int(seen.max_tokens * choices * weight)
    guess = int(pace.p90 * choices * weight) if pace.answers >= WARM else None
    return Cost(lines, int(prompt * weight), guess, declared, int(choices * weight) or 1)
