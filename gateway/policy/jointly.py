"""Pure. A campaign's score, and what it means for a member.

The same card scores both. Of an account every family counts but `campaign`; of a campaign those of what is asked for
and answered, over all members together, and `campaign`. A member's score is the larger of its own and

    campaign's + membership + what speaks for the account itself

in dB: membership is 0 or less, and for it speak the families `account` and `contract` as far as they are below 0. A
customer of long standing, or with a contract, doesn't lose that because others use the same recipe.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from gateway.campaigns import ACTS, GRACE, Campaign
from gateway.campaigns.readings import NAMES, read
from gateway.policy.cards import Scores
from gateway.policy.conditions.emit import Slots
from gateway.policy.conditions.expressions import Node
from gateway.policy.model import ListOf, Scorecard
from gateway.policy.names import Name
from gateway.policy.rounding import hundredths
from gateway.policy.scoring import Scorer

__all__ = ["JOINT", "PERSONAL", "Jointly", "apart", "personal", "reader", "together"]

JOINT = frozenset({"content", "params", "response", "campaign"})
"""Families that count of a campaign: what its members ask for and get. A clock, a purse, an age are each one's own."""
PERSONAL = frozenset({"account", "contract"})
"""Families that, below 0, speak for a member whatever its campaign does."""
PREFIX = "campaign."
REMEMBERED = 64  # campaigns whose score is kept while their snapshot is the same

Values = list[Any]
Reader = Callable[[Campaign | None, int, Mapping[str, Any]], Any]


def apart(card: Scorecard) -> Scorecard:
    """The card as it counts of an account by itself."""
    return _only(card, lambda family: family != "campaign")


def together(card: Scorecard) -> Scorecard:
    """The card as it counts of a campaign."""
    return _only(card, JOINT.__contains__)


def personal(card: Scorecard) -> Scorecard:
    """The card with what may speak for a member, whatever its campaign does."""
    made = _only(card, PERSONAL.__contains__)
    lines = tuple(msgspec.structs.replace(line, after=0.0) for line in made.evidence)
    return msgspec.structs.replace(made, needs="", evidence=lines)


def _only(card: Scorecard, wanted: Callable[[str], bool]) -> Scorecard:
    evidence = tuple(line for line in card.evidence if wanted(line.family))
    return card if len(evidence) == len(card.evidence) else msgspec.structs.replace(card, evidence=evidence)


class Jointly:
    """The scorecards of campaigns, compiled. `slots`: where the account's values and scores stand."""

    def __init__(
        self,
        cards: Sequence[Scorecard],
        names: Mapping[str, Name],
        lists: Mapping[str, ListOf],
        parsed: Mapping[str, Node],
        slots: Slots,
    ) -> None:
        self._cards = [card for card in cards if "campaign" in card.of]
        unsure = {name: entry._replace(missing=True) for name, entry in names.items()}
        self._slots = Slots(unsure)
        self._joint = [Scorer(together(card), self._slots, unsure, lists, parsed) for card in self._cards]
        self._own = [Scorer(personal(card), slots, names, lists, parsed) for card in self._cards]
        self._places = [
            tuple(slots.of(f"score.{card.id}{facet}") for facet in ("", ".families", ".corroborated", ".campaign"))
            for card in self._cards
        ]
        self._inner = [
            tuple(self._slots.of(f"score.{card.id}{facet}") for facet in ("", ".families", ".corroborated"))
            for card in self._cards
        ]
        self._read = [reader(name) for name in self._slots.names]
        self._timed = f"{PREFIX}age" in self._slots.names
        self._known: dict[str, tuple[Campaign, bool, list[tuple[float, int, bool] | None], Scores]] = {}

    def given(self, values: Values) -> frozenset[str]:
        """The cards whose score a test has given."""
        return frozenset(
            card.id for card, places in zip(self._cards, self._places, strict=True) if values[places[0]] is not None
        )

    def score(
        self,
        values: Values,
        scores: Scores,
        campaign: Campaign | None,
        membership: float,
        now: int,
        given: Mapping[str, Any],
        fixed: Collection[str],
    ) -> None:
        """Adds what the campaign scores, and raises the account's scores to it where it is larger."""
        if not self._cards:
            return
        found, said = self._whole(campaign, now, given)
        for at, card in enumerate(self._cards):
            whole = found[at]
            if whole is None:
                continue
            score, families, corroborated = whole
            place, strong, witness, alone = self._places[at]
            scores.campaign[card.id] = values[alone] = score
            if card.id in said.evidence:
                scores.together[card.id] = said.evidence[card.id]
            if card.id in fixed:
                continue
            joint = hundredths(score + membership + self._speaks(at, values))
            if values[place] is None or joint > values[place]:
                values[place] = scores.scores[card.id] = joint
                values[strong], values[witness] = families, corroborated

    def _speaks(self, at: int, values: Values) -> float:
        """dB, 0 or less: what speaks for the account itself."""
        place, strong, witness, _ = self._places[at]
        kept = values[place], values[strong], values[witness]
        values[place] = None
        found = Scores({}, {}, {})
        self._own[at].score(values, found, "account")
        values[place], values[strong], values[witness] = kept
        return sum(min(0.0, db) for db in found.families.get(self._cards[at].id, {}).values())

    def _whole(
        self, campaign: Campaign | None, now: int, given: Mapping[str, Any]
    ) -> tuple[list[tuple[float, int, bool] | None], Scores]:
        """(score, strong families, corroborated) of the campaign by each card; None where it has none.

        The members of a campaign come with the same snapshot until it is looked at anew: that of the last few is kept.
        """
        old = campaign is not None and now - campaign.since >= GRACE
        last = self._known.get(campaign.id) if campaign is not None and not given else None
        if last is not None and (last[0] is campaign or last[0] == campaign) and last[1] == old:
            return last[2], last[3]
        values = [each(campaign, now, given) for each in self._read]
        said = Scores({}, {}, {})
        found: list[tuple[float, int, bool] | None] = []
        owners = campaign.owners if campaign is not None else given.get("campaign.owners") or 0
        age = given.get("campaign.age")
        settled = old or (age is not None and age * 1_000_000 >= GRACE)
        for scorer, places in zip(self._joint, self._inner, strict=True):
            if owners >= ACTS:
                scorer.score(values, said, "campaign")
            score, strong, witness = (values[place] for place in places)
            found.append(None if score is None else (score, strong, witness and settled))
        if campaign is not None and not given and not self._timed:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[campaign.id] = campaign, old, found, said
        return found, said


def reader(name: str) -> Reader:
    """Where a value of a campaign comes from: its snapshot, or what a test gives of it. All else isn't a campaign's."""
    own = name.removeprefix(PREFIX) if name.startswith(PREFIX) else name
    if name.startswith("score."):
        return lambda campaign, now, given: None
    if own not in NAMES or not (name.startswith(PREFIX) or NAMES[own].pooled):
        return lambda campaign, now, given: None
    key = PREFIX + own

    def value(campaign: Campaign | None, now: int, given: Mapping[str, Any]) -> float | None:
        found = given.get(key) if given else None
        return found if found is not None else read(campaign, own, now)

    return value
