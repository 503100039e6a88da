"""Pure. One recorded request judged again from its own record, as often as one likes and with other values.

What a rule could read stands in the record: the facts, and the readings rounded as the conditions saw them. So the
record and the policy's text are enough, and nothing that came before has to be folded. Two things are not there: what
lasts of former requests (a rule that was at work and doesn't hold is one of those), and the estimates of a request
that was blocked or clamped, which are missing here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.actions import Effects
from gateway.decide import AccountState, Facts, Verdict, judge, settle
from gateway.gauges import PANEL
from gateway.ledger.record import Opened, Row, Ruled, Settled
from gateway.policy.cards import Card, Scores
from gateway.policy.conditions.compiler import Slots
from gateway.policy.effects import Part, Word, merge, soften, strongest
from gateway.policy.engine import Engine, Ruling
from gateway.policy.facts import Inputs
from gateway.policy.jointly import Jointly, apart
from gateway.policy.model import Policy, Sanction, Scorecard, Then

__all__ = ["Rejudged", "after", "under"]

ESTIMATES = ("req.input_est", "req.output_est")
NO_BOUND = 1e9  # dB
MAX_WAITING = 65_536  # requests of one account between their two rows
NOTHING = Then()
NO_CHANGE: Mapping[str, Any] = {}
FACETS = ("", ".families", ".corroborated", ".campaign")


class Rejudged:
    """A record and the policy that judges it. `known`: every value that the policy reads, scores included, by name."""

    def __init__(self, policy: Policy, ruled: Ruled) -> None:
        self.policy, self.ruled = policy, ruled
        self.engine: Engine = policy.engine.strict()  # a record may lack what a gateway always knows
        engine, verdict, facts = self.engine, ruled.verdict, ruled.facts
        self.shadow = facts.kill or policy.mode == "shadow"
        self._unscored = self._facts()
        values = engine.given(self._unscored)
        self.scores: Scores = engine.score(values, facts.campaign, facts.membership, ruled.now)
        self.known: dict[str, Any] = dict(zip(engine.slots, values, strict=True))
        self.seen = verdict.batch or facts.seen
        now = engine.rule(engine.given(self.known), self.seen, ruled.now)
        self.fresh = frozenset((*now.rules, *now.shadow))
        self._rules = {rule.id: rule for rule in policy.rules if rule.phase == "request" and rule.mode != "draft"}
        self.lasting: dict[str, Sanction] = {}
        for effects, ids in ((verdict.effects, verdict.rules), (verdict.would or verdict.effects, verdict.shadow)):
            for name in ids:
                then = self._rules[name].then if name in self._rules else NOTHING
                unread = name in now.missing and name not in verdict.missing  # it held, on what isn't in the record
                if name not in self.fresh and not unread and (then.throttle_for or then.block_for):
                    self.lasting[name] = self._lasts(name, effects.until, real=name in verdict.rules)
        self.ruling = self.ruling_with({})

    def ruling_with(self, changes: Mapping[str, Any]) -> Ruling:
        """What the rules say where some values are others. A score that is no change stays what it is."""
        known = {**self.known, **changes}
        engine, ruled = self.engine, self.ruled
        return engine.rule(
            engine.given(known), self.seen, ruled.now, shadow=self.shadow, sanctions=self.lasting or None
        )

    def without(self, card: Scorecard, line: str) -> tuple[float, Ruling]:
        """The card's score without one of its lines, and what the rules say then."""
        fewer = msgspec.structs.replace(card, evidence=tuple(each for each in card.evidence if each.id != line))
        scores, facets = self._score(fewer)
        return scores.scores[card.id], self.ruling_with(facets)

    def scored_with(self, card: Scorecard, changes: Mapping[str, Any]) -> tuple[float, Ruling]:
        """The card's score where some of what it reads is something else, and what the rules say then."""
        scores, facets = self._score(card, changes)
        return scores.scores[card.id], self.ruling_with({**changes, **facets})

    def uncut(self, card: Scorecard) -> dict[str, float]:
        """What each line of a card would count if it had no ceiling and no floor of its own, dB."""
        lines = tuple(msgspec.structs.replace(each, ceiling=NO_BOUND, floor=-NO_BOUND) for each in card.evidence)
        scores, _ = self._score(msgspec.structs.replace(card, evidence=lines))
        return scores.evidence.get(card.id, {})

    def softened(self, rule: str) -> tuple[Word, Word]:
        """Verdict and action, if an exception let through no more than a tag of one rule."""
        becomes = {each.id: each.becomes for each in self.policy.exceptions}
        words = []
        for names in ((*self.ruling.rules, *self.ruling.shadow), self.ruling.rules):
            parts = []
            for name in names:
                then = self._rules[name].then
                if name in self.lasting:
                    then = _longest(then)
                if name in self.ruling.excepted:
                    then = soften(name, then, becomes[self.ruling.excepted[name]])
                parts.append(Part(name, soften(name, then, "tag") if name == rule else then))
            words.append(strongest(merge(parts, self.seen)))
        return words[0], words[1]

    def _score(self, card: Scorecard, changes: Mapping[str, Any] = NO_CHANGE) -> tuple[Scores, dict[str, Any]]:
        engine = self.engine
        slots, facts = Slots(engine.names), self.ruled.facts
        made = Card(apart(card), slots, engine.names, self.policy.lists, engine.parsed)
        jointly = Jointly([card], engine.names, self.policy.lists, engine.parsed, slots)
        places = {name: slots.of(name) for name in (f"score.{card.id}{facet}" for facet in FACETS)}
        known = {**self._unscored, **changes} if changes else self._unscored
        values = [known.get(name) for name in slots.names]
        scores = Scores({}, {}, {}, {}, {})
        made.score(values, scores, "account")
        if facts.campaign is not None:
            jointly.score(values, scores, facts.campaign, facts.membership, self.ruled.now, changes, ())
        return scores, {name: values[place] for name, place in places.items()}

    def _facts(self) -> dict[str, Any]:
        """Every value but the scores."""
        engine, ruled = self.engine, self.ruled
        facts, verdict = ruled.facts, ruled.verdict
        plan = facts.caller.plan
        inputs = Inputs(
            facts.caller,
            verdict.batch or facts.seen,
            plan if plan is not None and plan in self.policy.limits else self.policy.identity.plan,
            ruled.now,
            ruled.now,
            PANEL.fresh(),
            facts.limits,
            verdict.input,
            verdict.output,
            campaign=facts.campaign,
        )
        given: dict[str, Any] = {}
        for name in engine.slots:
            if name in verdict.readings or (engine.names[name].level == "reading" and not name.startswith("limit.")):
                given[name] = verdict.readings.get(name)
        if verdict.effects.block or verdict.refuse:
            given |= dict.fromkeys(ESTIMATES)
        elif {"n", "max_tokens"} & verdict.effects.clamp.keys():
            given["req.output_est"] = None
        values = engine.values(inputs, given)
        scores = [name for name in engine.slots if engine.names[name].level == "score"]
        return dict(zip(engine.slots, values, strict=True)) | dict.fromkeys(scores)

    def _lasts(self, name: str, until: int, *, real: bool) -> Sanction:
        then, later = self._rules[name].then, self.ruled.now + 1
        throttle = later if then.throttle_for else 0
        block = max(until, later) if then.block_for else 0
        return Sanction(throttle, block, throttle if real else 0, block if real else 0)


def under(policy: Policy, ruled: Ruled) -> Ruled:
    """The record as another policy judges it from the record alone: what it reads and the record lacks is missing."""
    old = ruled.verdict
    bare = Verdict(
        draws=old.draws, readings=old.readings, input=old.input, output=old.output, owed=old.owed, batch=old.batch
    )
    if old.effects.block or old.effects.clamp:
        bare = msgspec.structs.replace(bare, effects=old.effects)
    if policy.engine is None or policy.engine.empty or ruled.facts.rejected or old.error:
        verdict = old if ruled.facts.rejected or old.error else msgspec.structs.replace(bare, effects=Effects())
        return msgspec.structs.replace(ruled, policy=policy.digest, verdict=verdict)
    judged = Rejudged(policy, msgspec.structs.replace(ruled, verdict=bare))
    said = judged.ruling
    verdict = msgspec.structs.replace(
        bare,
        verdict=said.verdict,
        action=said.action,
        effects=said.effects,
        would=None if said.would == said.effects else said.would,
        refuse=said.effects.code,
        rules=said.rules,
        shadow=said.shadow,
        excepted=said.excepted,
        missing=said.missing,
        scores=judged.scores.scores,
        evidence=judged.scores.evidence,
        campaign=judged.scores.campaign,
        together=judged.scores.together,
    )
    return msgspec.structs.replace(ruled, policy=policy.digest, verdict=verdict)


def after(policy: Policy, rows: Iterable[Row], ruled: Ruled) -> Ruled:
    """The record as another policy judges it after all that came before: `rows` are the account's, in order, and the
    starts of processes. Evictions and gaps are not seen; the limits' answers are those of the record."""
    state, waiting = AccountState(), dict[str, tuple[Facts, Verdict]]()
    for row in rows:
        if isinstance(row, Opened):
            state, waiting = AccountState(), {}
        elif isinstance(row, Ruled) and row.request == ruled.request:
            break
        elif isinstance(row, Ruled):
            state, verdict = judge(policy, state, row.facts, row.now)
            waiting[row.request] = row.facts, verdict
            if len(waiting) > MAX_WAITING:
                del waiting[next(iter(waiting))]
        elif isinstance(row, Settled) and row.request in waiting:
            state, _ = settle(policy, state, *waiting.pop(row.request), row.outcome, row.now)
    _, verdict = judge(policy, state, ruled.facts, ruled.now)
    verdict = msgspec.structs.replace(verdict, draws=ruled.verdict.draws)
    return msgspec.structs.replace(ruled, policy=policy.digest, verdict=verdict)


def _longest(then: Then) -> Then:
    """The parts of a rule's effects that outlast the request that they began with."""
    then = msgspec.structs.replace(then, tags=(), clamp={})
    if not then.throttle_for:
        then = msgspec.structs.replace(then, limit="", to=1.0, delay=0)
    return then if then.block_for else msgspec.structs.replace(then, block=0, code="")
