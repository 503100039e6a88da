"""Pure. Why a request was treated as it was: what was read, which rules held, and what would have changed it.

    explain(ruled, settled, policy) -> Explanation        `explain_text.to_text` writes it for people

Everything about the policy is worked out by judging the record again (`rejudge.py`), never by reading its text. Without
the policy's text there is only what the record itself holds, and a note says so. Numbers are those of the record:
dB rounded to 0.01, readings to 0.001.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.decide import Outcome, Verdict
from gateway.ledger.campaign_words import NOT_A_PERSON, doubts, how, member, spoken, taken
from gateway.ledger.evidence_words import change_words
from gateway.ledger.explanation import (
    CampaignSaid,
    Explanation,
    LimitSaid,
    Near,
    RuleSaid,
    State,
    Term,
    Turn,
    Value,
)
from gateway.ledger.line import timestamp
from gateway.ledger.record import Ruled, Settled
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.scored import scored
from gateway.ledger.steps import action_of, word_of
from gateway.ledger.words import (
    effects_words,
    most_words,
    plain,
    rate_words,
    span,
    then_words,
    unit_words,
    value_words,
)
from gateway.policy.conditions.expressions import Node, names_in, show, top_terms
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.nearest import Change, nearest
from gateway.policy.draws import Cost, draws_for
from gateway.policy.model import Policy, Rule

__all__ = ["explain"]

NEAR = 3.0  # dB: how far below its threshold a score nearly makes a rule hold
ANY_COST = Cost(1, 1, 1, 1, 1)  # draws from every limit


def explain(ruled: Ruled, settled: Settled | None, policy: Policy | None, notes: Iterable[str] = ()) -> Explanation:
    """`settled` None: the request's end isn't known. `policy` None: its text isn't; `notes` say why."""
    facts, verdict = ruled.facts, ruled.verdict
    caller, seen = facts.caller, verdict.batch or facts.seen
    outcome = settled.outcome if settled is not None else Outcome("crash")
    reflection = settled.reflection if settled is not None else None
    judged = None
    if policy is not None and policy.engine is not None and not policy.engine.empty and _was_judged(ruled):
        judged = Rejudged(policy, ruled)
    more = list(notes)
    if settled is None:
        more.append("Its end isn't there: it was still under way, or its row was lost.")
    if outcome.store == "degraded" and outcome.limits:
        share = "this process granted its share of each limit, or did what its `on_store_error` says"
        more.append(f"The shared store was away: {share}.")
    if judged is not None and policy is not None:
        more += _doubts(judged, policy)
    asked = [f"{seen.n} choices"] * (seen.n > 1) + ["streamed"] * seen.stream
    asked += [f"at most {seen.max_tokens:,} tokens"] if seen.max_tokens is not None else []
    asked += ["log-probabilities"] * (seen.logprobs is not None) + [f"{seen.lines:,} calls"] * bool(seen.lines)
    rules = [_rule(name, "request", verdict, judged, policy) for name in (*verdict.rules, *verdict.shadow)]
    missing = dict(verdict.missing)
    if reflection is not None:
        rules += [
            _answered(name, "watched" if name in reflection.shadow else "done", policy, ruled, outcome)
            for name in (*reflection.rules, *reflection.shadow)
        ]
        missing |= reflection.missing
    return Explanation(
        request=plain(ruled.request),
        at=timestamp(ruled.now),
        account=plain(caller.account),
        org=plain(caller.org or ""),
        plan=plain(caller.plan or (policy.identity.plan if policy is not None else "")),
        labels=tuple(map(plain, caller.labels)),
        route=plain(seen.route),
        op=plain(seen.op),
        model=plain(seen.model or ""),
        asked=", ".join(asked),
        policy=plain(" ".join(filter(None, (policy.id, policy.version)))) if policy is not None else "",
        digest=plain(ruled.policy),
        explained=policy is not None,
        verdict=word_of(verdict, outcome.limits),
        action=action_of(verdict, outcome.limits, reflection),
        ruled=(verdict.verdict, verdict.action),
        done=effects_words(verdict.effects),
        why=tuple(_why(ruled, outcome, policy)),
        rules=tuple(rules),
        cards=tuple(scored(ruled, judged)),
        near=tuple(_near(judged)) if judged is not None else (),
        missing={plain(rule): tuple(map(plain, names)) for rule, names in missing.items()},
        readings={plain(name): value for name, value in verdict.readings.items()},
        limits=tuple(_limits(ruled, outcome, policy)),
        usage=outcome.usage,
        end=outcome.end if settled is not None else "",
        status=outcome.status,
        settled_from=outcome.usage.source,
        notes=tuple(more),
        campaign=_campaign(ruled),
    )


def _campaign(ruled: Ruled) -> CampaignSaid | None:
    """The campaign that the verdict knew."""
    campaign, membership = ruled.facts.campaign, ruled.facts.membership
    if campaign is None:
        return None
    return CampaignSaid(
        id=plain(campaign.id),
        members=campaign.members,
        owners=campaign.owners,
        since=timestamp(campaign.since),
        age=max(0, ruled.now - campaign.since) / 1_000_000,
        epoch=campaign.epoch,
        linked=campaign.linked,
        how=how(campaign.linked),
        membership=membership,
        member=member(membership),
        taken=taken(campaign.readings),
        notes=(NOT_A_PERSON, *doubts(campaign, ruled.now)),
        spoken=spoken(campaign, ruled.now),
        readings={plain(name): value for name, value in campaign.readings.items()},
    )


def _was_judged(ruled: Ruled) -> bool:
    return not ruled.facts.rejected and not ruled.verdict.error and ruled.verdict.refuse != "path_not_allowed"


def _doubts(judged: Rejudged, policy: Policy) -> list[str]:
    """Where judging the record again gives something else than it says."""
    ruled, found = judged.ruled, []
    if policy.digest != ruled.policy:
        return []
    if judged.scores.scores != ruled.verdict.scores:
        found.append("Judged again, the scores are others than recorded: this version counts differently.")
    elif judged.ruling.verdict != ruled.verdict.verdict:
        found.append(
            f"Judged again from the record alone the verdict is {judged.ruling.verdict}: what a rule read isn't in it."
        )
    return found


def _why(ruled: Ruled, outcome: Outcome, policy: Policy | None) -> list[str]:
    """Why this was done, and why it is something else than the policy's word."""
    facts, verdict, found = ruled.facts, ruled.verdict, []
    if facts.rejected:
        return [f"It was refused before it was judged: {plain(facts.rejected)}."]
    if verdict.error:
        said = "let it pass" if verdict.action == "allow" else "blocked it"
        return [f"Judging it failed ({plain(verdict.error)}), and the policy's `on_error` {said}."]
    if verdict.refuse == "path_not_allowed":
        return ["No dialect reads this path, and the policy's `opaque: refuse` lets no such request pass."]
    rules = {rule.id: rule for rule in policy.rules} if policy is not None else {}
    if verdict.rules:
        found.append(f"Done by {_listed(verdict.rules)}.")
    if facts.kill:
        found.append("The kill switch was on: everything was watched and nothing enforced.")
    elif policy is not None and policy.mode == "shadow":
        found.append("The whole policy is in shadow mode: everything is watched and nothing enforced.")
    elif verdict.shadow:
        shadow = [name for name in verdict.shadow if name not in rules or rules[name].mode == "shadow"]
        began = [name for name in verdict.shadow if name not in shadow]
        if shadow:
            found.append(f"Only watched, in shadow mode: {_listed(shadow)}.")
        if began:
            found.append(f"Only watched, because it began in shadow mode and lasts: {_listed(began)}.")
    exceptions = {each.id: each for each in policy.exceptions} if policy is not None else {}
    for rule, name in verdict.excepted.items():
        each = exceptions.get(name)
        more = f' to {each.becomes}: "{plain(each.reason)}" ({plain(each.owner)})' if each is not None else ""
        ends = f", until {timestamp(each.expires)}" if each is not None else ""
        found.append(f"`{plain(rule)}` is softened by exception `{plain(name)}`{more}{ends}.")
    closed = _closed(ruled, outcome, policy)
    for reading in outcome.limits:
        if reading.limit in closed and not reading.ok:
            found.append(f"Limit `{plain(reading.limit)}` refuses while the store is away (`on_store_error: closed`).")
        elif not reading.ok:
            wait = "; waiting never helps" if reading.wait < 0 else f"; it passes in {span(reading.wait)}"
            watched = "; only watched" if reading.shadow else ""
            asked = f"{reading.cost:,} {unit_words(reading.unit, reading.cost)} asked, {reading.left:,} left"
            found.append(f"Limit `{plain(reading.limit)}` refuses: {asked}{wait if reading.wait else ''}{watched}.")
    return found or ["No rule held, and no limit refused."]


def _closed(ruled: Ruled, outcome: Outcome, policy: Policy | None) -> set[str]:
    """Limits that refuse while the shared store is away, of a request that was decided then."""
    if outcome.store != "degraded" or policy is None:
        return set()
    return {limit.id for limit in policy.limits_of(ruled.facts.caller.plan) if limit.on_store_error == "closed"}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{plain(name)}`" for name in names)


def _rule(name: str, phase: str, verdict: Verdict, judged: Rejudged | None, policy: Policy | None) -> RuleSaid:
    """A rule of the request."""
    watched = name in verdict.shadow
    rule = judged.engine.rules.get(name) if judged is not None else None
    softened = plain(verdict.excepted.get(name, ""))
    if judged is None or rule is None or policy is None:
        return RuleSaid(plain(name), "watched" if watched else "done", phase, softened=softened, known=False)
    lasts = name in judged.lasting
    state: State = ("lasts, watched" if watched else "lasts") if lasts else ("watched" if watched else "done")
    turns = [] if lasts else _turns(judged, judged.engine.parsed[rule.when], False)
    less = judged.softened(name)
    helps = not softened and less != (judged.ruling.verdict, judged.ruling.action)
    return RuleSaid(
        id=name,
        state=state,
        mode=rule.mode,
        owner=plain(rule.owner),
        then=then_words(rule.then),
        when=rule.when,
        terms=_terms(judged.engine.parsed[rule.when], judged.known, judged),
        softened=softened,
        excepted=Turn(f"an exception that softens `{name}` to a tag", (name,), *less) if helps else None,
        exceptions=tuple(_helpless(judged, rule)) if not softened else (),
        turns=tuple(turns),
    )


def _answered(name: str, state: State, policy: Policy | None, ruled: Ruled, outcome: Outcome) -> RuleSaid:
    """A rule of the answer. What it read of the account's past at that time is not in the record."""
    rule = next((each for each in policy.rules if each.id == name), None) if policy is not None else None
    if rule is None or policy is None:
        return RuleSaid(plain(name), state, "response", known=False)
    usage = outcome.usage
    known = {
        "resp.status": outcome.status,
        "resp.end": outcome.end,
        "resp.input_tokens": usage.input,
        "resp.output_tokens": usage.output,
        "resp.reasoning_tokens": usage.reasoning,
        "resp.cached_tokens": usage.cache_read,
    }
    node = policy.engine.parsed[rule.when]
    names = policy.engine.names
    values = [
        Value(each, known[each], value_words(known[each], names[each].unit)) for each in names_in(node) if each in known
    ]
    terms = (Term(show(node), True, tuple(values)),)
    return RuleSaid(name, state, "response", rule.mode, plain(rule.owner), then_words(rule.then), rule.when, terms)


def _terms(node: Node, known: Mapping[str, Any], judged: Rejudged) -> tuple[Term, ...]:
    names, lists = judged.engine.names, judged.policy.lists
    found = []
    for term in top_terms(node):
        read = [Value(name, known.get(name), value_words(known.get(name), names[name].unit)) for name in names_in(term)]
        found.append(Term(show(term), evaluate(term, known, lists), tuple(read)))
    return tuple(found)


def _turns(judged: Rejudged, node: Node, want: bool) -> list[Turn]:
    """What would have made a condition hold, or not, and what the request would have got then."""
    found = []
    for way in nearest(node, want, judged.known, judged.engine.names, judged.policy.lists):
        ruling = judged.ruling_with({change.name: change.value for change in way})
        text = " and ".join(change_words(judged, change) for change in way)
        found.append(Turn(text, tuple(change.name for change in way), ruling.verdict, ruling.action))
    return found


def _helpless(judged: Rejudged, rule: Rule) -> list[str]:
    """The exceptions that name a rule, and why they didn't soften it."""
    found = []
    for each in judged.policy.exceptions:
        if rule.id not in each.silences:
            continue
        if judged.ruled.now >= each.expires:
            found.append(f"exception `{each.id}` names it, and ended {timestamp(each.expires)}")
            continue
        node = judged.engine.parsed[each.when]
        ways = nearest(node, True, judged.known, judged.engine.names, judged.policy.lists)
        lacks = " and ".join(change_words(judged, change) for change in ways[0]) if ways else show(node)
        found.append(f"exception `{each.id}` names it, and would need {lacks}")
    return found


def _near(judged: Rejudged) -> list[Near]:
    """Rules that don't hold, and would if a score were a little higher, or had its second witness."""
    found = []
    for rule in judged.policy.rules:
        if rule.phase != "request" or rule.mode == "draft" or rule.id in judged.fresh or rule.id in judged.lasting:
            continue
        node = judged.engine.parsed[rule.when]
        ways = nearest(node, True, judged.known, judged.engine.names, judged.policy.lists)
        if ways and all(_close(judged, change) for change in ways[0]):
            turns = _turns(judged, node, True)[:1]
            found.append(Near(rule.id, rule.mode, then_words(rule.then), tuple(turns)))
    return found


def _close(judged: Rejudged, change: Change) -> bool:
    if judged.engine.names[change.name].level != "score":
        return False
    old = judged.known.get(change.name)
    if judged.engine.names[change.name].unit != "dB":
        return old is not None
    return old is not None and abs(change.bound - old) <= NEAR


def _limits(ruled: Ruled, outcome: Outcome, policy: Policy | None) -> list[LimitSaid]:
    """What the limits answered. A request line has no draws: the policy of the time says what they were."""
    verdict, draws = ruled.verdict, ruled.verdict.draws
    if not draws and policy is not None and policy.digest == ruled.policy:
        shares = verdict.effects.throttle or None
        model = (verdict.batch or ruled.facts.seen).model
        draws = draws_for(policy, ruled.facts.caller, model, ANY_COST, ruled.now, shares=shares)
    drawn, closed = {draw.limit: draw for draw in draws}, _closed(ruled, outcome, policy)
    found = []
    for each in outcome.limits:
        draw = drawn.get(each.limit)
        settled = outcome.settled.get(each.limit)
        found.append(
            LimitSaid(
                id=plain(each.limit),
                ok=each.ok,
                drawn=each.cost,
                left=each.left,
                unit=plain(each.unit or (draw.unit if draw is not None else "")),
                capacity=each.capacity or (draw.capacity if draw is not None else 0),
                shadow=each.shadow,
                reset=each.reset,
                wait=each.wait,
                rate=rate_words(draw) if draw is not None else "",
                most=most_words(draw) if draw is not None else "",
                throttled=verdict.effects.throttle.get(each.limit),
                actual=each.cost + settled if settled is not None else None,
                closed=not each.ok and each.limit in closed,
            )
        )
    return found
