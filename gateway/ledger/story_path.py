"""Pure. A score's path through an account's rows: first, each crossing of a rule's threshold, highest, last.

A threshold is a comparison in a rule's condition that reads one score and nothing else. It is found by asking it, with
the recorded score, so how it is written doesn't matter. Where the policy's text is missing there are no thresholds, and
the lines that counted have no words. A campaign's own score has such a path too: what a member would cross whose use is
the recipe alone, and for whom nothing speaks.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from gateway.ledger.evidence_words import said
from gateway.ledger.line import timestamp
from gateway.ledger.record import Ruled
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.sides import Side, Sides
from gateway.ledger.words import plain
from gateway.policy.conditions.expressions import Compare, Node, names_in, show, walk
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.model import Policy, Scorecard

__all__ = ["MAX_STEPS", "Counted", "Path", "Step", "Threshold", "counted", "line_words", "thresholds"]

MAX_STEPS = 200  # crossings that are kept
MAX_CARDS = 64
KINDS: tuple[Literal["reached", "left"], ...] = ("reached", "left")

What = Literal["first", "reached", "left", "highest", "last"]
"""`reached`: a threshold's comparison begins to hold; `left`: it ceases to."""


class Counted(msgspec.Struct, frozen=True):
    """A line of a scorecard at one request, and what it read, in words. `campaign`: of all members together."""

    line: str
    db: float
    words: str = ""
    campaign: bool = False


class Step(msgspec.Struct, frozen=True):
    """A moment of a score's path: what it is, and which thresholds of which rules it crossed."""

    at: str
    request: str
    card: str
    score: float
    what: tuple[What, ...]
    crossed: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    addends: tuple[Counted, ...] = ()  # strongest first
    shared: bool | None = False  # whether the score was the account's campaign's; None = not told without the policy


class Threshold(msgspec.Struct, frozen=True):
    """A comparison of one score, and the rules whose conditions hold it."""

    card: str
    text: str
    node: Node
    rules: tuple[str, ...]


def thresholds(policy: Policy, *, joint: bool = False) -> tuple[Threshold, ...]:
    """Every threshold of the rules that judge requests, drafts aside, in the order of the rules.

    `joint`: of a campaign's own score, so those of `score.CARD.campaign` as well.
    """
    if policy.engine is None or policy.engine.empty:
        return ()
    parsed = policy.engine.parsed
    cards = {f"score.{card.id}": card.id for card in policy.scorecards}
    if joint:
        cards |= {f"score.{card.id}.campaign": card.id for card in policy.scorecards}
    found: dict[str, Threshold] = {}
    for rule in policy.rules:
        if rule.phase != "request" or rule.mode == "draft":
            continue
        for node, _ in walk(parsed[rule.when]):
            names = names_in(node)
            if not isinstance(node, Compare) or len(names) != 1 or names[0] not in cards:
                continue
            text = show(node)
            rules = (*found[text].rules, rule.id) if text in found else (rule.id,)
            found[text] = Threshold(cards[names[0]], text, node, tuple(dict.fromkeys(rules)))
    return tuple(found.values())


def counted(
    row: Ruled, card: str, policy: Policy | None, judged: Rejudged | None = None, *, joint: bool = False
) -> tuple[tuple[Counted, ...], bool | None]:
    """The lines that make up a score, as recorded, the strongest first; in words where the policy is there.

    Also whether they are the campaign's: then they are its lines, and those that speak for the account in it. None
    where the record alone doesn't tell, and both sides' lines are given. `joint`: of the campaign's own score.
    """
    verdict = row.verdict
    own, whole = verdict.evidence.get(card, {}), verdict.together.get(card, {})
    found = next((each for each in policy.scorecards if each.id == card), None) if policy is not None else None
    sides = None
    if policy is not None and found is not None and (own or whole):
        sides = Sides(judged or Rejudged(policy, row), found)
    campaign = verdict.campaign.get(card)
    if joint:
        return _counted(whole, sides.whole if sides is not None else None, found, campaign=True), True
    if campaign is None or verdict.scores.get(card, 0.0) > campaign + row.facts.membership + 0.005:
        return _counted(own, sides.own if sides is not None else None, found), False
    if sides is None:
        return _strongest((*_counted(whole, None, None, campaign=True), *_counted(own, None, None))), None
    if not sides.shared:
        return _counted(own, sides.own, found), False
    speaking = {} if not sides.speaks else {name: db for name, db in sides.mine.counted.items() if db < 0.0}
    mine = _counted(speaking, sides.mine if speaking else None, found)
    return _strongest((*_counted(whole, sides.whole, found, campaign=True), *mine)), True


def line_words(row: Ruled, card: str, line: str, policy: Policy | None, *, joint: bool) -> str:
    """What one line read at a request, of the account by itself or of its campaign; "" where nobody can tell."""
    found = next((each for each in policy.scorecards if each.id == card), None) if policy is not None else None
    if policy is None or found is None:
        return ""
    sides = Sides(Rejudged(policy, row), found)
    side = sides.whole if joint else sides.own
    each = next((each for each in found.evidence if each.id == line), None)
    return said(each, side) if side is not None and each is not None else ""


def _counted(
    evidence: Mapping[str, float], side: Side | None, card: Scorecard | None, *, campaign: bool = False
) -> tuple[Counted, ...]:
    lines = {line.id: line for line in card.evidence} if card is not None and side is not None else {}
    return _strongest(
        Counted(plain(name), db, said(lines[name], side) if side is not None and name in lines else "", campaign)
        for name, db in evidence.items()
    )


def _strongest(lines: Iterable[Counted]) -> tuple[Counted, ...]:
    return tuple(sorted(lines, key=lambda each: (-abs(each.db), each.line)))


class _Seen(msgspec.Struct):
    """A row, its policy, and the score of one card."""

    row: Ruled
    policy: Policy | None
    score: float


class Path:
    """Takes the rows of one account in order, and keeps a bounded number of steps.

    `joint`: the rows are those of a campaign's members, and the path that of its own score.
    """

    def __init__(self, *, joint: bool = False) -> None:
        self._joint = joint
        self._first: dict[str, _Seen] = {}
        self._highest: dict[str, _Seen] = {}
        self._last: dict[str, _Seen] = {}
        self._held: dict[str, bool] = {}  # threshold -> whether the score was beyond it
        self._thresholds: dict[str, tuple[Threshold, ...]] = {}  # by digest
        self._crossings: list[tuple[Ruled, Step]] = []
        self.more = 0  # crossings that were not kept

    def add(self, row: Ruled, policy: Policy | None) -> None:
        """One more judged request, and the policy that judged it, if its text is there."""
        for card, score in (row.verdict.campaign if self._joint else row.verdict.scores).items():
            before = self._last.get(card)
            if before is None and len(self._last) >= MAX_CARDS:
                continue
            seen = _Seen(row, policy, score)
            self._last[card] = seen
            self._first.setdefault(card, seen)
            if card not in self._highest or score > self._highest[card].score:
                self._highest[card] = seen
            if policy is not None and (before is None or before.score != score or before.row.policy != row.policy):
                self._cross(card, score, row, policy)

    def _cross(self, card: str, score: float, row: Ruled, policy: Policy) -> None:
        if row.policy not in self._thresholds:
            self._thresholds = {row.policy: thresholds(policy, joint=self._joint)}
            self._held = {each.text: self._held.get(each.text, False) for each in self._thresholds[row.policy]}
        own = [each for each in self._thresholds[row.policy] if each.card == card]
        turned = self._turned(own, score, policy)
        if not turned:
            return
        judged = Rejudged(policy, row)
        if (
            not self._joint and judged.known.get(f"score.{card}") is None
        ):  # below what the card needs: recorded as its prior, and missing
            turned = self._turned(own, None, policy)
        for kind in KINDS:
            crossed = [each for each in turned if self._held.get(each.text, False) is (kind == "left")]
            if not crossed:
                continue
            if len(self._crossings) >= MAX_STEPS:
                self.more += 1
                continue
            lines, shared = counted(row, card, policy, judged, joint=self._joint)
            step = Step(
                timestamp(row.now),
                plain(row.request),
                plain(card),
                score,
                (kind,),
                tuple(each.text for each in crossed),
                tuple(dict.fromkeys(name for each in crossed for name in each.rules)),
                lines,
                shared,
            )
            self._crossings.append((row, step))
        for each in turned:
            self._held[each.text] = not self._held.get(each.text, False)

    def _turned(self, own: Iterable[Threshold], score: float | None, policy: Policy) -> list[Threshold]:
        """The thresholds on whose other side the score is now."""
        found = []
        for each in own:
            known = dict.fromkeys((f"score.{each.card}", f"score.{each.card}.campaign"), score)
            beyond = evaluate(each.node, known, policy.lists) is True
            if beyond is not self._held.get(each.text, False):
                found.append(each)
        return found

    def steps(self) -> tuple[Step, ...]:
        """All steps in the order of the rows. What one request is several of stands there once."""
        tables: tuple[tuple[What, dict[str, _Seen]], ...] = (
            ("first", self._first),
            ("highest", self._highest),
            ("last", self._last),
        )
        steps: list[tuple[Ruled, Step]] = []
        for what, table in tables:
            for card, seen in table.items():
                row = seen.row
                lines, shared = counted(row, card, seen.policy, joint=self._joint)
                at, request = timestamp(row.now), plain(row.request)
                steps.append((row, Step(at, request, plain(card), seen.score, (what,), addends=lines, shared=shared)))
        found: dict[tuple[str, str], tuple[int, Step]] = {}
        for row, step in (*steps, *self._crossings):
            key = (step.request, step.card)
            other = found[key][1] if key in found else None
            if other is not None:
                rules = tuple(dict.fromkeys((*other.rules, *step.rules)))
                step = msgspec.structs.replace(
                    other,
                    what=tuple(dict.fromkeys((*other.what, *step.what))),
                    crossed=(*other.crossed, *step.crossed),
                    rules=rules,
                )
            found[key] = row.seq, step
        return tuple(step for _, step in sorted(found.values(), key=lambda each: (each[1].at, each[0])))
