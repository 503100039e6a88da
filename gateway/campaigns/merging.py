"""Pure. One account that several workers have seen: their records, added up.

Each has counted other requests than the others, so counts add up, decayed to one moment. Nothing is counted twice: a
worker tells what it has seen itself and nothing that it has heard, and a later telling takes the place of the one
before. A request whose frame came once to each of several workers is there in all of them, unless six others pushed it
out of one; so what is a habit of all together is found, as it would be in one process.
"""

from collections.abc import Sequence
from math import exp
from operator import add

from gateway.campaigns.habits import (
    CELLS,
    END,
    FIRST,
    FRAMES,
    FULL,
    KIND,
    MAX_FRAMES,
    OFTEN,
    ROW,
    SHARE,
    SLOTS,
    YOUNG,
    Habits,
    most,
)
from gateway.signals import WEEK

__all__ = ["copied", "merge", "take"]

ONCE = 1.0  # what once is worth at most; twice, a few hours ago, is less than 2
COPIED = ("born", "cells", "count", "faded", "first", "frames", "fresh", "known", "last", "owner", "requests", "row")
MORE = ("seconds", "since")


def copied(record: Habits) -> Habits:
    """Another record of the same account, with the same in it; it is in no campaign."""
    made = Habits.__new__(Habits)
    made.account, made.campaign, made.share, made.own, made.others = record.account, None, 0.0, None, ()
    take(made, record)
    return made


def take(into: Habits, record: Habits) -> None:
    """Everything of a record but whose it is and what campaign it is in."""
    for name in (*COPIED, *MORE):
        setattr(into, name, getattr(record, name))


def merge(into: Habits, parts: Sequence[Habits]) -> None:
    """The sum of the parts takes the place of what `into` held. Whoever saw the account first knows whether it was new.

    A frame is a habit where it is one of a part, or of all together. The account was born with it if a part says so
    (who takes a frame up knows of the others' requests), or if all together are its first few; then it stays so.
    """
    if len(parts) == 1:
        take(into, parts[0])
        return
    first = min(parts, key=lambda part: part.since)
    latest = max(parts, key=lambda part: part.last)
    faded = max([part.faded for part in parts])
    counts: list[dict[int, float]] = [{} for _ in FIRST]
    cells = [0] * CELLS
    total, requests = 0.0, 0
    frames: dict[int, None] = {}
    born = set(into.born)
    for part in parts:
        left = exp((part.faded - faded) / WEEK)
        values = ROW.unpack(part.row)
        for key, count in zip(values[:SLOTS], values[SLOTS:], strict=True):
            if key:
                kind = counts[key & KIND]
                kind[key] = kind.get(key, 0.0) + count * left
        total += part.count * left
        requests += part.requests
        frames.update(dict.fromkeys(part.frames))
        born.update(part.born)
        cells = list(map(add, cells, part.cells))
    row, sums = [0] * SLOTS, [0.0] * SLOTS
    enough = min(SHARE * total, OFTEN)
    for kind, own in enumerate(counts):
        best = sorted(own, key=lambda key: (-own[key], key))[: END[kind] - FIRST[kind]]
        for slot, key in enumerate(best, FIRST[kind]):
            row[slot], sums[slot] = key, own[key]
            if slot < FRAMES and own[key] > ONCE and own[key] >= enough and key not in frames:
                frames[key] = None
                if requests <= YOUNG:
                    born.add(key)
    while max(cells) > FULL:
        cells = [count >> 1 for count in cells]
    known = [part.first for part in parts if part.known]
    into.since, into.fresh, into.owner, into.last = first.since, first.fresh, latest.owner, latest.last
    into.known, into.first = bool(known), min(known or [first.first])
    into.faded, into.count, into.requests, into.cells = faded, total, requests, bytes(cells)
    into.row = ROW.pack(*row, *sums)
    into.seconds = most(row, sums, total)
    into.frames = tuple(frames)
    into.born = tuple([key for key in frames if key in born])
    into.shares()
    into.frames = into.frames[:MAX_FRAMES]
    into.born = tuple([key for key in into.born if key in into.frames])
