"""Pure. The gateway's request lines, counted: by groups of accounts, by heads of the hydra, by campaigns found.

Nothing is counted here that the lines don't say but which account is of which group: that the simulation knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.demo.plan import GROUPS, HYDRA
from gateway.ledger.story_path import thresholds
from gateway.policy.conditions.syntax import Compare, Number
from gateway.policy.evidence import family
from gateway.policy.model import Policy, Scorecard
from gateway.policy.rounding import hundredths

__all__ = ["ACTED", "STATES", "Addend", "Count", "Found", "Mark", "State", "Tally", "marks_of"]

State = Literal["", "allow", "tag", "clamp", "throttle", "limit", "block"]
STATES: tuple[State, ...] = ("", "allow", "tag", "clamp", "throttle", "limit", "block")
"""What was done with an account's last request, by strength; "" = it has asked nothing yet."""
ACTED = frozenset({"clamp", "throttle", "limit", "block"})
"""What a caller feels. A tag is for the model server's eyes."""
ORDER = (*GROUPS, HYDRA)
STRONGEST = 3  # lines of a family that are named


class Mark(NamedTuple):
    """A score at which a rule begins to hold. `watched`: it is only written down."""

    word: str
    db: float
    watched: bool


class Addend(NamedTuple):
    """What a family adds to a campaign's score in dB, and its strongest lines; the prior is one without lines."""

    name: str
    db: float
    lines: tuple[str, ...]


class Count(msgspec.Struct):
    """A group's requests. `acted` and `tagged` are accounts, once each; `refused` are requests answered 429 or 403."""

    accounts: int
    asked: int = 0
    served: int = 0
    refused: int = 0
    failed: int = 0
    tagged: set[str] = msgspec.field(default_factory=set)
    acted: set[str] = msgspec.field(default_factory=set)


class Found(msgspec.Struct):
    """A campaign, as the newest line about it says. `at` is when the first one did; `of` counts members by group."""

    id: str
    at: str
    members: int = 0
    owners: int = 0
    score: float | None = None  # dB; None = too few owners for one
    lines: dict[str, float] = {}
    of: dict[str, set[str]] = msgspec.field(default_factory=dict)

    @property
    def group(self) -> str:
        """The group that most of its members are of."""
        return max(self.of, key=lambda name: (len(self.of[name]), name), default="")


class Tally:
    """All that was seen so far. `groups`: account -> group."""

    def __init__(self, groups: Mapping[str, str], policy: Policy) -> None:
        self.card = next((card for card in policy.scorecards if "campaign" in card.of), None)
        self.marks = marks_of(policy, self.card.id) if self.card is not None else ()
        self.groups: dict[str, Count] = {}
        self.heads: dict[str, State] = {}
        self.found: dict[str, Found] = {}
        self.lines = 0
        self.firsts: dict[str, tuple[str, int]] = {}  # of the hydra: action -> when, and what it was served before
        self.example = ""  # the newest request of a head that was acted on for its campaign, a refused one at the best
        self._refused = False  # whether that one was
        self._group = dict(groups)
        self._in: dict[str, str] = {}  # account -> campaign
        for account, group in sorted(groups.items(), key=lambda each: ORDER.index(each[1])):
            self.groups.setdefault(group, Count(0)).accounts += 1
            if group == HYDRA:
                self.heads[account] = ""

    def take(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Counts some more lines, in their order. Those of strangers only count as lines."""
        for record in records:
            self.lines += 1
            account = record["account"]["id"]
            group = self._group.get(account)
            if group is not None:
                self._count(record, account, group)

    @property
    def hydra(self) -> Found | None:
        """The campaign with the most of the hydra's heads."""
        found = [each for each in self.found.values() if each.of.get(HYDRA)]
        return max(found, key=lambda each: (len(each.of[HYDRA]), each.id), default=None)

    @property
    def others(self) -> list[Found]:
        """Campaigns of anybody else, the largest first."""
        found = [each for each in self.found.values() if any(each.of.values()) and not each.of.get(HYDRA)]
        return sorted(found, key=lambda each: (-each.members, each.id))

    def benign(self) -> Count:
        """All groups but the hydra's, together."""
        made = Count(0)
        for name, count in self.groups.items():
            if name != HYDRA:
                made.accounts += count.accounts
                made.asked += count.asked
                made.served += count.served
                made.refused += count.refused
                made.failed += count.failed
                made.tagged |= count.tagged
                made.acted |= count.acted
        return made

    def states(self) -> dict[State, int]:
        """How many heads are in which state."""
        heads = list(self.heads.values())
        return {state: heads.count(state) for state in STATES}

    def slowed(self) -> int:
        """Heads that were throttled, or more, at any time."""
        return len(self.groups[HYDRA].acted) if HYDRA in self.groups else 0

    def addends(self, found: Found) -> list[Addend]:
        """What a campaign's score is the sum of: its prior and each family's worth, the strongest first."""
        if self.card is None or found.score is None:
            return []
        return [Addend("prior", self.card.prior.get("campaign", 0.0), ()), *_families(self.card, found.lines)]

    def _count(self, record: Mapping[str, Any], account: str, group: str) -> None:
        action, status, count = record["action"], record["http"]["status"], self.groups[group]
        count.asked += 1
        if 200 <= status < 300:
            count.served += 1
        elif status in (403, 429):
            count.refused += 1
        else:
            count.failed += 1
        if action == "tag" or record.get("effects", {}).get("tags"):
            count.tagged.add(account)
        if action in ACTED:
            count.acted.add(account)
        linked = record.get("campaign")
        before = self._in.pop(account, "")
        if before:
            self.found[before].of[group].discard(account)
        if linked is not None:
            self._link(linked, record["ts"], account, group)
        if group == HYDRA:
            self.heads[account] = action if action in STATES else "block"
            served = count.served - (200 <= status < 300)
            self.firsts.setdefault(action, (record["ts"], served))
            refused = action in ("limit", "block")
            if linked is not None and action in ACTED and "score" in linked and (refused or not self._refused):
                self.example, self._refused = record["request_id"], refused

    def _link(self, linked: Mapping[str, Any], ts: str, account: str, group: str) -> None:
        found = self.found.get(linked["id"])
        if found is None:
            found = self.found[linked["id"]] = Found(linked["id"], ts)
        self._in[account] = found.id
        found.of.setdefault(group, set()).add(account)
        found.members, found.owners = linked["members"], linked["owners"]
        if self.card is not None:
            found.score = linked.get("score", {}).get(self.card.id)
            found.lines = linked.get("evidence", {}).get(self.card.id, {})


def _families(card: Scorecard, lines: Mapping[str, float]) -> list[Addend]:
    """Each family's worth as the card adds it up (`policy/evidence.py`), the strongest first."""
    ceilings = {line.id: (line.family, line.ceiling) for line in card.evidence}
    parts: dict[str, list[tuple[float, str]]] = {}
    for name, db in lines.items():
        if name in ceilings:
            parts.setdefault(ceilings[name][0], []).append((db, name))
    made = []
    for name, found in parts.items():
        kind = card.families[name]
        worth = family(
            [(db, ceilings[line][1]) for db, line in found], ceiling=kind.ceiling, correlation=kind.correlation
        )
        strongest = sorted(found, key=lambda each: (-abs(each[0]), each[1]))
        made.append(Addend(name, hundredths(worth), tuple(line for _, line in strongest[:STRONGEST])))
    return sorted(made, key=lambda each: (-each.db, each.name))


def marks_of(policy: Policy, card: str) -> tuple[Mark, ...]:
    """The least score at which each kind of effect begins, by the rules' own thresholds, rising."""
    rules = {rule.id: rule for rule in policy.rules}
    found: dict[str, Mark] = {}
    for each in thresholds(policy):
        node = each.node
        if each.card != card or not isinstance(node, Compare) or node.op not in (">=", ">"):
            continue
        if not isinstance(node.right, Number):
            continue
        for name in each.rules:
            rule = rules[name]
            mark = Mark(rule.then.word, float(node.right.value), rule.mode != "enforce")
            before = found.get(mark.word)
            if before is None or (mark.watched, mark.db) < (before.watched, before.db):
                found[mark.word] = mark
    return tuple(sorted(found.values(), key=lambda mark: (mark.db, mark.word)))
