"""Pure. Campaigns as a snapshot keeps them: what `tables.py`, `room.py` and `recipe.py` hold, as plain values and back.

`take` gives what must be of one moment at once: the campaigns, and which records there are. The records themselves
change with each answer and are many, so they are copied by and by (`copies`), each with the number of the row up to
which it is: whoever folds the rows after the snapshot leaves out those that a record has seen (`put_back`).
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from gateway.campaigns import Campaign
from gateway.campaigns.form import Unreadable, habits_of, packed
from gateway.campaigns.habits import Habits, Part
from gateway.campaigns.merging import copied
from gateway.campaigns.recipe import Recipe, number_of
from gateway.campaigns.tables import Campaigns

__all__ = [
    "Copy",
    "KeptRecipe",
    "KeptRecord",
    "KeptTables",
    "Taken",
    "copies",
    "copy",
    "forget",
    "kept",
    "put_back",
    "take",
]


class KeptRecord(msgspec.Struct, array_like=True):
    """A record. `own`: what was seen here, where others have told of the account too; b"" = nothing."""

    account: str
    seq: int
    habits: bytes
    own: bytes
    others: list[Part]
    campaign: int  # its number; 0 = in none
    share: float
    habitual: bool


class KeptRecipe(msgspec.Struct, array_like=True):
    """A campaign, without its members: their records name it."""

    number: int
    frames: dict[int, float]
    seconds: dict[int, float]
    need: float
    linked: bool
    since: int
    snapshot: Campaign | None
    bonds: list[Any]  # of its signals, in their order


class KeptTables(msgspec.Struct, array_like=True):
    """What is there once."""

    now: int
    begun: int
    answers: int
    slices: int
    taken: int
    asked: int
    epoch: int
    started: int
    lapsed: int
    evicted: int
    public: list[int]
    recipes: list[KeptRecipe]


class Taken(NamedTuple):
    """What is of one moment. `records`: the records that there are, and whether they have a habit."""

    tables: KeptTables
    records: list[tuple[list[Habits], bool]]


class Copy(NamedTuple):
    """A record as it was behind a row."""

    record: Habits  # in no campaign
    own: Habits | None
    others: tuple[Part, ...]
    campaign: int
    share: float
    habitual: bool
    seq: int


def take(campaigns: Campaigns) -> Taken:
    """What is there now; it is not to be gone through. Some 10 ns a record, and 1 µs a member of a campaign."""
    room = campaigns._room
    recipes = [
        KeptRecipe(
            each.number,
            dict(each.frames),
            dict(each.seconds),
            each.need,
            each.linked,
            each.since,
            each.snapshot,
            each.kept(),
        )
        for each in campaigns._live
    ]
    tables = KeptTables(
        campaigns._now,
        campaigns._begun,
        campaigns._answers,
        campaigns._slices,
        campaigns._taken,
        campaigns._asked,
        campaigns.epoch,
        room.started,
        room._lapsed,
        room.evicted,
        sorted(room.public),
        recipes,
    )
    habitual = [room._heard, room._records]
    others = [room._heard_new, room._new]
    records = [(list(dict.values(table)), True) for table in habitual]
    return Taken(tables, [*records, *[(list(dict.values(table)), False) for table in others]])


def copies(taken: Taken, count: int) -> Iterator[list[tuple[Habits, bool]]]:
    """The records to copy, so many at a time."""
    for records, habitual in taken.records:
        it = iter(records)
        while some := list(islice(it, count)):
            yield [(record, habitual or bool(record.frames)) for record in some]


def copy(record: Habits, seq: int, *, habitual: bool) -> Copy:
    """A record as it is behind row `seq`."""
    own = copied(record.own) if record.own is not None else None
    return Copy(copied(record), own, record.others, number_of(record), record.share, habitual, seq)


def kept(found: Copy) -> KeptRecord:
    """A copy as plain values."""
    own = packed(found.own) if found.own is not None else b""
    account, others = found.record.account, list(found.others)
    return KeptRecord(
        account, found.seq, packed(found.record), own, others, found.campaign, found.share, found.habitual
    )


def forget(campaigns: Campaigns, account: str) -> None:
    """Nothing is remembered of an account any more."""
    for recipe in campaigns._live:
        recipe.forget(account)
    campaigns._room.drop(account)


def put_back(campaigns: Campaigns, tables: KeptTables, records: list[KeptRecord]) -> dict[str, int]:
    """Goes on from what a snapshot has; account -> number of the row up to which its record is. Where a record can't be
    read, nothing is known of its account."""
    room = campaigns._room
    live = {each.number: Recipe.of(each.number, each) for each in tables.recipes}
    made = []
    for each in records:
        try:
            record = habits_of(each.account, each.habits)
            record.own = habits_of(each.account, each.own) if each.own else None
        except Unreadable:
            continue
        record.others = tuple(each.others)
        recipe = live.get(each.campaign)
        if recipe is not None:
            record.campaign, record.share = recipe, each.share
            recipe.members.append(record)
        made.append((record, each.habitual))
    made.sort(key=lambda each: (each[0].last, each[0].account))
    campaigns._now, campaigns._begun, campaigns._answers = tables.now, tables.begun, tables.answers
    campaigns._slices, campaigns._taken, campaigns._asked = tables.slices, tables.taken, tables.asked
    campaigns.epoch = tables.epoch
    campaigns._live = list(live.values())
    for recipe in campaigns._live:
        for key in recipe.frames:
            campaigns._recipes.setdefault(key, recipe)
    room.started, room._lapsed, room.evicted = tables.started, tables.lapsed, tables.evicted
    room.public = set(tables.public)
    room.fill(made)
    return {each.account: each.seq for each in records}
