"""Pure. A policy's scorecards, rules and exceptions, compiled: what they say of one request, in microseconds.

    values(inputs)         one value a slot: only what the policy reads, readings rounded as the record prints them
    score(values)          dB of each scorecard, and writes `score.*` into its slots
    rule(values, …)        which rules hold, what exceptions soften, and the merged effects
    reflect(values, …)     the same for the rules of an answer

Conditions see exactly the numbers that the record shows, so a verdict can be checked by hand.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec

from gateway.actions import Effects
from gateway.campaigns import Campaign
from gateway.observe import Observation
from gateway.policy.cards import Scores
from gateway.policy.conditions.compiler import Slots, condition, ruleset
from gateway.policy.conditions.expressions import Node, names_in
from gateway.policy.effects import STRENGTH, Part, Word, merge, soften, strongest, united
from gateway.policy.facts import Inputs, Row
from gateway.policy.jointly import Jointly, apart
from gateway.policy.model import Exemption, ListOf, Rule, Sanction, Scorecard
from gateway.policy.names import Name
from gateway.policy.reading import values_of
from gateway.policy.schedule import awake
from gateway.policy.scoring import Scorer

__all__ = ["Engine", "Reflected", "Ruling"]

MAX_SANCTIONS = 32  # that last for one account; the newest are kept
REMEMBERED = 256  # sets of missing names
Values = list[Any]


class Ruling(msgspec.Struct, frozen=True):
    """What the rules say of one request."""

    verdict: Word  # under full enforcement
    action: Word
    effects: Effects
    would: Effects
    rules: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    excepted: dict[str, str] = {}
    missing: dict[str, tuple[str, ...]] = {}
    sanctions: dict[str, Sanction] = {}


class Reflected(msgspec.Struct, frozen=True):
    """What the rules of `phase: response` say of an answer."""

    tags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    shadow: tuple[str, ...] = ()
    missing: dict[str, tuple[str, ...]] = {}


class _Set:
    """The rules of one phase, and the one function that says which of them hold."""

    def __init__(self, rules: Sequence[tuple[Rule, Node]], slots: Slots, names: Any, lists: Any) -> None:
        self.rules = [rule for rule, _ in rules]
        self.at = {rule.id: at for at, rule in enumerate(self.rules)}
        self.nodes = [node for _, node in rules]
        self.run: Callable[[Values], tuple[list[int], list[int]]] = ruleset(self.nodes, slots, names, lists)
        self.read = [[(name, slots.of(name)) for name in names_in(node) if names[name].missing] for node in self.nodes]
        self._may_be_missing = sorted({slot for read in self.read for _, slot in read})
        self._told: dict[tuple[Any, ...], dict[str, tuple[str, ...]]] = {}
        self.timed = any(rule.active is not None for rule in self.rules)
        self.lenient = any(rule.on_missing == "match" for rule in self.rules)

    def holding(self, values: Values, now: int) -> tuple[list[Rule], dict[str, tuple[str, ...]]]:
        """The rules that hold, and those of which something is missing, with its names."""
        rules = self.rules
        hold, absent = self.run(values)
        if self.timed:
            hold, absent = ([at for at in found if self._awake(rules[at], now)] for found in (hold, absent))
        if not absent:
            return [rules[at] for at in hold], {}
        missing = self._missing(absent, values)
        if self.lenient:
            hold = sorted(hold + [at for at in absent if rules[at].on_missing == "match"])
        return [rules[at] for at in hold], missing

    def _missing(self, absent: list[int], values: Values) -> dict[str, tuple[str, ...]]:
        """The names that are missing, by rule. The same few sets come again and again: that saves time, no value."""
        key = (*absent, None, *[values[slot] is None for slot in self._may_be_missing])
        told = self._told.get(key)
        if told is None:
            if len(self._told) >= REMEMBERED:
                self._told.clear()
            told = self._told[key] = {
                self.rules[at].id: tuple([name for name, slot in self.read[at] if values[slot] is None])
                for at in absent
            }
        return told

    @staticmethod
    def _awake(rule: Rule, now: int) -> bool:
        return rule.active is None or awake(rule.active, now)


class Engine:
    """Everything of a policy that judges. `parsed` holds the syntax tree of every condition by its text.

    `strict` treats every name as one that may be missing: the policy's own tests name all that is known.
    """

    def __init__(
        self,
        *,
        scorecards: Sequence[Scorecard],
        rules: Sequence[Rule],
        exceptions: Sequence[Exemption],
        rows: Mapping[str, Row],
        scores: Mapping[str, Name],
        lists: Mapping[str, ListOf],
        parsed: Mapping[str, Node],
        strict: bool = False,
    ) -> None:
        self._made_of: dict[str, Any] = {
            "scorecards": scorecards,
            "rules": rules,
            "exceptions": exceptions,
            "rows": rows,
            "scores": scores,
            "lists": lists,
            "parsed": parsed,
        }
        self._strict: Engine | None = self if strict else None
        names: dict[str, Name] = {name: row[0] for name, row in rows.items()} | dict(scores)
        if strict:
            names = {name: entry._replace(missing=True) for name, entry in names.items()}
        self.names = names
        self.parsed = parsed
        self.rules = {rule.id: rule for rule in rules}
        slots = Slots(names)
        self.cards = [Scorer(apart(card), slots, names, lists, parsed) for card in scorecards]
        self._jointly = Jointly(scorecards, names, lists, parsed, slots)
        live = [rule for rule in rules if rule.mode != "draft"]
        self._asked = _Set([(r, parsed[r.when]) for r in live if r.phase == "request"], slots, names, lists)
        self._answered = _Set([(r, parsed[r.when]) for r in live if r.phase == "response"], slots, names, lists)
        self._exceptions = [(each, condition(parsed[each.when], slots, names, lists)) for each in exceptions]
        self._silenced = frozenset(rule for each in exceptions for rule in each.silences)
        self.slots: tuple[str, ...] = tuple(slots.names)
        self._values = values_of(slots, names, rows)
        recorded = {name: at for at, name in enumerate(self.slots) if names[name].level == "reading" and name in rows}
        self._recorded = dict.fromkeys(recorded, 0.0)
        self._told = _picked(tuple(recorded.values()))
        self._may_be_absent = [name for name in recorded if names[name].missing]
        self._absent = _picked([recorded[name] for name in self._may_be_absent])
        self.reflects = bool(self._answered.rules)
        self.judges = bool(self.cards or self._asked.rules)
        self.empty = not (self.judges or self.reflects)

    def strict(self) -> "Engine":
        """The same policy for its own tests, where a name that isn't given is missing."""
        if self._strict is None:
            self._strict = Engine(**self._made_of, strict=True)
        return self._strict

    def values(self, inputs: Inputs, given: Mapping[str, Any] | None = None) -> Values:
        """What the policy reads, by slot; None = missing. Scores are not there yet. `given` overrides by name."""
        values = self._values(inputs)
        if given:
            values = [given.get(name, value) for name, value in zip(self.slots, values, strict=True)]
        return values

    def given(self, known: Mapping[str, Any]) -> Values:
        """The same from a test: what is known by name."""
        return [known.get(name) for name in self.slots]

    def readings(self, values: Values) -> dict[str, float]:
        """The readings among the values, for the record."""
        told = self._recorded.copy()
        told.update(zip(self._recorded, self._told(values), strict=True))
        absent = self._absent(values)
        if None in absent:
            for name, value in zip(self._may_be_absent, absent, strict=True):
                if value is None:
                    del told[name]
        return told

    def score(
        self,
        values: Values,
        campaign: Campaign | None = None,
        membership: float = 0.0,
        now: int = 0,
        given: Mapping[str, Any] | None = None,
    ) -> Scores:
        """Every scorecard's score, of the account or of its campaign, whichever is larger.

        What a test has `given` stays as it is; of a campaign it may give the readings.
        """
        scores = Scores({}, {}, {}, {}, {})
        fixed = self._jointly.given(values) if given else ()
        for card in self.cards:
            card.score(values, scores, "account")
        if campaign is not None or given:
            self._jointly.score(values, scores, campaign, membership, now, given or {}, fixed)
        return scores

    def rule(
        self,
        values: Values,
        seen: Observation,
        now: int,
        *,
        shadow: bool = False,
        sanctions: Mapping[str, Sanction] | None = None,
    ) -> Ruling:
        """What the rules of a request say. `shadow` watches all of them; `sanctions` is what lasts of former ones."""
        held, missing = self._asked.holding(values, now)
        lasting = self._lasting(sanctions, held, now) if sanctions else []
        if not held and not lasting:
            return QUIET if not missing else msgspec.structs.replace(QUIET, missing=missing)
        softer = self._softer(values, now) if self._silenced else {}
        excepted: dict[str, str] = {}
        done: list[Part] = []
        all_of: list[Part] = []
        enforced: list[str] = []
        watched: list[str] = []
        kept = dict(sanctions) if sanctions else {}
        for rule in held:
            then = rule.then
            exception = softer.get(rule.id)
            if exception is not None:
                then, excepted[rule.id] = soften(rule.id, then, exception.becomes), exception.id
            real = rule.mode == "enforce" and not shadow
            (enforced if real else watched).append(rule.id)
            until = now + then.block_for if then.block_for else 0
            part = Part(rule.id, then, rule.severity, until)
            all_of.append(part)
            if real:
                done.append(part)
            if then.throttle_for or then.block_for:
                kept[rule.id] = _extended(kept.pop(rule.id, NO_SANCTION), then.throttle_for, then.block_for, now, real)
        for rule, sanction in lasting:
            softened = softer.get(rule.id)
            becomes = softened.becomes if softened is not None else "block"
            if softened is not None:
                excepted[rule.id] = softened.id
            part = _left(rule, becomes, sanction.throttle, sanction.block, now)
            all_of.append(part)
            real = rule.mode == "enforce" and not shadow and max(sanction.throttled, sanction.blocked) > now
            (enforced if real else watched).append(rule.id)
            if real:
                done.append(_left(rule, becomes, sanction.throttled, sanction.blocked, now))
        would = merge(all_of, seen)
        effects = would if len(done) == len(all_of) and not lasting else merge(done, seen)
        return Ruling(
            verdict=strongest(would),
            action=strongest(effects),
            effects=effects,
            would=would,
            rules=tuple(sorted(enforced)),
            shadow=tuple(sorted(watched)),
            excepted=excepted,
            missing=missing,
            sanctions=_current(kept, now) if kept else {},
        )

    def reflect(self, values: Values, now: int, *, shadow: bool = False) -> Reflected:
        """What the rules of an answer say; they can only tag."""
        held, missing = self._answered.holding(values, now)
        if not held and not missing:
            return NOTHING_SAID
        softer = self._softer(values, now) if self._silenced else {}
        real = [rule for rule in held if rule.mode == "enforce" and not shadow]
        parts = [Part(r.id, soften(r.id, r.then, softer[r.id].becomes) if r.id in softer else r.then) for r in real]
        return Reflected(
            united(parts),
            tuple(sorted(rule.id for rule in real)),
            tuple(sorted(rule.id for rule in held if rule not in real)),
            missing,
        )

    def _lasting(
        self, sanctions: Mapping[str, Sanction], held: Sequence[Rule], now: int
    ) -> list[tuple[Rule, Sanction]]:
        """Rules that don't hold now, and whose throttle or block lasts. A rule that is gone, or a draft, is over."""
        holding = {rule.id for rule in held}
        found = []
        for name, sanction in sanctions.items():
            at = self._asked.at.get(name)
            if at is not None and name not in holding and max(sanction.throttle, sanction.block) > now:
                found.append((self._asked.rules[at], sanction))
        return found

    def _softer(self, values: Values, now: int) -> dict[str, Exemption]:
        """For each silenced rule the exception that holds; of several the one that leaves least, then by id."""
        found: dict[str, Exemption] = {}
        for each, holds in self._exceptions:
            if now < each.expires and holds(values):
                for rule in each.silences:
                    other = found.get(rule)
                    if other is None or STRENGTH[each.becomes] < STRENGTH[other.becomes]:
                        found[rule] = each
        return found


def _picked(places: Sequence[int]) -> Callable[[Values], tuple[Any, ...]]:
    """A function that picks these places of a list."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[at] for at in places])


def _extended(old: Sanction, throttle_for: int, block_for: int, now: int, real: bool) -> Sanction:
    """What lasts of a rule that holds at `now`. A part that is only watched leaves the enforced one as it was."""
    throttle = max(old.throttle, now + throttle_for) if throttle_for else old.throttle
    block = max(old.block, now + block_for) if block_for else old.block
    return Sanction(
        throttle,
        block,
        max(old.throttled, now + throttle_for) if real and throttle_for else old.throttled,
        max(old.blocked, now + block_for) if real and block_for else old.blocked,
    )


def _left(rule: Rule, becomes: str, throttle: int, block: int, now: int) -> Part:
    """The parts of a rule that last until after `now`."""
    then = msgspec.structs.replace(rule.then, tags=(), clamp={})
    if block <= now:
        then = msgspec.structs.replace(then, block=0, code="", block_for=0)
    if throttle <= now:
        then = msgspec.structs.replace(then, limit="", to=1.0, delay=0, throttle_for=0)
    if becomes != "block":
        then = soften(rule.id, then, becomes)
    return Part(rule.id, then, rule.severity, block if then.block else 0)


def _current(sanctions: Mapping[str, Sanction], now: int) -> dict[str, Sanction]:
    """Without those that are over; at most the newest few."""
    left = {name: each for name, each in sanctions.items() if max(each.throttle, each.block) > now}
    while len(left) > MAX_SANCTIONS:
        del left[next(iter(left))]
    return left


NO_SANCTION = Sanction()
QUIET = Ruling("allow", "allow", Effects(), Effects())
NOTHING_SAID = Reflected()
