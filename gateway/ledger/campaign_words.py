"""Pure. What is known of a campaign, in words: how it was linked, what it has taken, what speaks for its members.

A campaign is a recipe and the accounts that follow it. Nothing here says who they are, nor that they are one person:
`NOT_A_PERSON` stands beside whatever is said of one.
"""

from collections.abc import Mapping

import msgspec

from gateway.campaigns import ACTS, GRACE, Campaign
from gateway.campaigns.readings import NAMES, read
from gateway.campaigns.signals.marked import MARKS, OF_THE_FRAME
from gateway.campaigns.signals.partition import SEVERAL
from gateway.ledger.evidence_words import gauge_of, reading_words
from gateway.ledger.words import amount, span

__all__ = ["NOT_A_PERSON", "Spoken", "doubts", "grown", "how", "member", "spoken", "taken"]

NOT_A_PERSON = (
    "This is evidence about a recipe that accounts share, and not about a person: whoever follows the same recipe"
    " for reasons of their own is in it too."
)
LINKED = (
    "each account was linked to others of them: they fill the same frame, which hardly any independent owner filled"
    " before, and agree on parameters, client or network"
)
COHORT = (
    "by a test of all who fill one frame: nearly all of them came with it and do nothing else, unlike the users of"
    " other new frames; parameters, client and network did not link them"
)
RECIPE = 1000  # answers of a unit
CROWD = 0.25  # correlation of two members' requests up to which they are people of one rhythm, and no lock-step


class Spoken(msgspec.Struct, frozen=True):
    """A reading that can speak for a campaign's members. `speaks`: here it does."""

    name: str
    value: float
    speaks: bool
    words: str


def how(linked: bool) -> str:
    """How its accounts were linked."""
    return LINKED if linked else COHORT


def member(membership: float) -> str:
    """How much of an account's use the recipe is. `membership`: dB, 0 or less."""
    share = 10.0 ** (membership / 10.0)
    upto = "at most " if share <= 0.0101 else ""
    return f"{upto}{amount(round(share, 3), 'share')} of this account's requests follow the recipe"


def taken(readings: Mapping[str, float]) -> tuple[str, ...]:
    """What all members together have taken, as far as it is known."""
    answers, units, output = (readings.get(name) for name in ("answers_taken", "recipe_units", "week.output_tokens"))
    found = [f"{round(answers):,} answers to new questions in the last week"] if answers is not None else []
    if units is not None:
        found.append(f"{amount(round(units, 2))} recipe units of {RECIPE:,} answers worth a training row, ever")
    return (*found, *([f"{round(output):,} output tokens in the last week"] if output is not None else []))


def doubts(campaign: Campaign, now: int) -> tuple[str, ...]:
    """What bounds what may be made of it at a moment, µs."""
    found = []
    if campaign.owners < ACTS:
        found.append(f"A campaign has a score from {ACTS} owners on, and this one has {campaign.owners}: it has none.")
    if now - campaign.since < GRACE:
        age = span(max(0, now - campaign.since))
        found.append(
            f"Its recipe was first seen {age} before: before it is {span(GRACE)} old it never corroborates a block."
        )
    if campaign.owners < campaign.members:
        counted = f"{campaign.members:,} accounts have {campaign.owners:,}"
        found.append(f"Accounts of one organisation count as one owner: {counted}.")
    return tuple(found)


def spoken(campaign: Campaign, now: int) -> tuple[Spoken, ...]:
    """The readings that are known and can speak for the members, each with what it says here."""
    found = []
    for name, (least, most, does, not_) in INNOCENT.items():
        value = read(campaign, name, now)
        if name == "marked" and any((read(campaign, mark, now) or 0.0) >= OF_THE_FRAME for mark in MARKS):
            continue  # what the frame itself bears is counted with all requests, and not by members
        if value is not None:
            if name == "balance":  # the ratio grows with a crowd: 1 + correlation * (members - 1)
                most = 1.0 + CROWD * (campaign.members - 1)
            speaks = least <= value <= most
            unit = NAMES[name].unit
            found.append(
                Spoken(f"campaign.{name}", value, speaks, f"{does if speaks else not_}; here {amount(value, unit)}")
            )
    return tuple(found)


INNOCENT: dict[str, tuple[float, float, str, str]] = {
    "overlap": (
        0.5,
        float("inf"),
        "members asked what others of them had asked, no less often than people who choose for themselves do",
        "members hardly ever asked what another of them had asked; people who each choose for themselves do (1)",
    ),
    "dispersion": (
        SEVERAL,
        float("inf"),
        "the members' words differ as those of customers with matter of their own do",
        f"the members' words differ little; those of customers with matter of their own do, from {SEVERAL}",
    ),
    "balance": (
        1.7,
        float("inf"),
        "the members are busy and quiet together as people of one time zone are",
        "the members are not busy and quiet together as people are, from 1.7 on and not in lock-step",
    ),
    "exclusive_share": (
        0.0,
        0.5,
        "the members have much other business, and the recipe is a part of it",
        "the members do little else than follow the recipe",
    ),
    "born_share": (
        0.0,
        0.5,
        "most members were customers before they took up the recipe",
        "most members came with the recipe",
    ),
    "marked": (
        0.0,
        0.05,
        "hardly any member asks for anything that tells of training data, reasoning or judgements",
        "some members ask for what tells of training data, reasoning or judgements",
    ),
    "conversation_share": (
        0.2,
        1.0,
        "the members go on with what they were answered, as people do",
        "the members hardly ever go on with what they were answered",
    ),
}
"""Name -> least and most at which it speaks for them, and what it says if it does and if not. By the signals' cards."""


def grown(now: Campaign, was: Campaign, name: str) -> str:
    """A reading of a campaign in words, and what it was at first; "" where there is none."""
    value, first = read(now, name, now.since), read(was, name, was.since)
    found = gauge_of(f"campaign.{name}")
    if value is None or found is None:
        return ""
    unit = NAMES[name].unit
    hits, of = (read(now, f"{name}{facet}", now.since) for facet in (".hits", ".of"))
    counted = f" ({hits:,.0f} of {of:,.0f})" if hits is not None and of is not None else ""
    then = "" if first is None or first == value else f"; at first {amount(first, unit)}"
    return f"{reading_words(found[1], value)}{counted}{then}"
