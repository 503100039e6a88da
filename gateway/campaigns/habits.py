"""Pure. What an account does every time: the frames that it fills, its parameters, its client, where it calls from.

A record is a few numbers and a row of 34 slots, each a fingerprint with a decayed count. A newcomer takes the place of
the least counted of its kind, of equals that of the next in turn: what has come twice before six others did stays,
whatever comes between, and its count is exact from then on.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import exp
from struct import Struct
from typing import NamedTuple

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import GENERATES, HOUR, WEEK

__all__ = [
    "CELLS",
    "CLIENT",
    "END",
    "FIRST",
    "FRAMES",
    "FULL",
    "MAX_FRAMES",
    "NETWORK",
    "OFTEN",
    "PARAMS",
    "ROW",
    "SHARE",
    "SLOTS",
    "YOUNG",
    "Habits",
    "Part",
    "fingerprints",
    "generates",
    "most",
    "name_print",
    "seconds",
]

SYSTEM, OPENING, CLOSING, BANK, PIECE, PARAMS, CLIENT, NETWORK = range(8)
"""Kinds of fingerprints: five that tell a recipe, and three that tell how it is run, and from where. A key of the
tables is a fingerprint with its kind in the lowest three bits, so that two kinds are never equal."""
KIND = 7
FIRST = (0, 6, 12, 18, 20, 28, 30, 32)  # kind -> its first slot in the row
END = (6, 12, 18, 20, 28, 30, 32, 34)
ONES = ((28, 29), (30, 31), (32, 33))  # slots of parameters, client, network
SLOTS = 34
FRAMES = 28  # of them, the first, are of frames
ROW = Struct(f"<{SLOTS}Q{SLOTS}f")
EMPTY = bytes(ROW.size)
CELLS = 32  # of words
FULL = 255

YOUNG = 20  # requests: what an account does among its first so many it was born with
LEAST = 2.0  # requests: once is a coincidence
SHARE = 0.25  # of an account's requests: who does it less often has other business here
OFTEN = 8.0  # requests that are a habit whatever their share
LEFT = 0.5  # of either, below which it is a habit no more
MAX_FRAMES = 12  # remembered of an account
FADES = HOUR  # µs between two looks at how much has faded


@lru_cache(1024)
def name_print(word: str) -> int:
    """A number of 53 bits for a word that is no text of a prompt: a client's product, a bank."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 11 or 1


def fingerprints(seen: Observation) -> list[int]:
    """The keys of every frame of a request."""
    found = []
    if seen.system:
        found.append(seen.system << 3)
    if seen.opening:
        found.append(seen.opening << 3 | OPENING)
    if seen.closing:
        found.append(seen.closing << 3 | CLOSING)
    if seen.bank:
        found.append(name_print(seen.bank) << 3 | BANK)
    if seen.pieces != seen.asks[:1] and seen.lines <= 1:  # a text of no sentence gives itself
        found += [piece << 3 | PIECE for piece in seen.pieces]
    return found


def seconds(seen: Observation, who: Caller) -> list[int]:
    """The keys of how a request is made, and from where."""
    found = []
    if seen.params:
        found.append(seen.params << 3 | PARAMS)
    if seen.client:
        found.append(name_print(seen.client) << 3 | CLIENT)
    if who.network:
        found.append(int(who.network, 16) >> 11 << 3 | NETWORK)
    return found


class Part(NamedTuple):
    """What another worker has told of an account: all that it has seen of it itself, and nothing that it has heard."""

    worker: str
    at: int  # µs: when it was told, by the teller's clock
    name: int  # of the campaign that it is in there; 0 = in none
    habits: bytes  # as `form.habits_of` reads them
    counted: bytes  # of its row of signals; b"" = it was in no campaign and alone
    bonds: tuple[bytes, ...] = ()  # what the signals of its campaign remember of it, in their order

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return 300 + len(self.habits) + len(self.counted) + sum(map(len, self.bonds))


class Habits:
    """The record of one account. Times in µs.

    Where other workers have told of it, the record is the sum: `others` are their parts, and `own` is what this worker
    has seen itself, None where it has seen nothing. Without others the record is this worker's own.
    """

    __slots__ = (
        "account",
        "born",
        "campaign",
        "cells",
        "count",
        "faded",
        "first",
        "frames",
        "fresh",
        "known",
        "last",
        "others",
        "own",
        "owner",
        "requests",
        "row",
        "seconds",
        "share",
        "since",
    )

    def __init__(self, account: str, who: Caller, now: int, started: int = 0) -> None:
        """`started`: since when nobody is forgotten. Whoever is first seen more than a week later is new here whatever
        his age is said to be, and what he begins with he came with; 0 = he may have been here, and forgotten."""
        self.account = account
        self.owner = account if who.org is None else f"org {who.org}"
        self.since = now  # when it was first seen here
        self.known = who.created is not None
        self.first = min(now, who.created * 1_000_000) if who.created is not None else now  # when it was made
        self.fresh = self.since - self.first < WEEK or (started > 0 and self.since - started >= WEEK)
        self.last = now
        self.faded = now
        self.requests = 0
        self.count = 0.0  # of them, decayed over a week
        self.row = EMPTY
        self.cells = bytes(CELLS)  # of the words of what it asks
        self.frames: tuple[int, ...] = ()  # that fill a good part of what it asks
        self.born: tuple[int, ...] = ()  # of those, the ones among its first requests
        self.seconds: tuple[int, ...] = (0, 0, 0)  # parameters, client, network of most of its requests; 0 = none
        self.campaign: object | None = None
        self.share = 0.0  # of its requests that fill a frame of its campaign
        self.own: Habits | None = None
        self.others: tuple[Part, ...] = ()

    @property
    def mine(self) -> "Habits | None":
        """What this worker has seen itself."""
        return self.own if self.others else self

    def step(self, seen: Observation, who: Caller, now: int, prints: list[int], elsewhere: int = 0) -> list[int]:
        """One more request, that fills these frames; those among them that are a habit from now on.

        `elsewhere`: requests that other workers are known to have seen.
        """
        weight = float(seen.lines or 1)
        values = ROW.unpack(self.row)
        keys, counts = list(values[:SLOTS]), list(values[SLOTS:])
        if now - self.faded >= FADES:
            left = exp((self.faded - now) / WEEK)
            self.faded = now
            self.count *= left
            counts = [each * left for each in counts]
        if now > self.last:
            self.last = now
        self.requests += seen.lines or 1
        self.count = total = self.count + weight
        new = []
        frames, enough, turn = self.frames, min(SHARE * total, OFTEN), self.requests
        for key in prints:
            count = _add(keys, counts, key, weight, turn)
            if count >= LEAST and count >= enough and key not in frames:
                new.append(key)
        for key in seconds(seen, who):
            _add(keys, counts, key, weight, turn)
        self.row = ROW.pack(*keys, *counts)
        self.seconds = most(keys, counts, total)
        if seen.words:
            self._count(seen.words)
        if new:
            new = new[: MAX_FRAMES - len(frames)]
            self.frames = (*frames, *new)
            if self.requests + elsewhere <= YOUNG + (seen.lines or 1):
                self.born = (*self.born, *new)
        return new

    def shares(self) -> dict[int, float]:
        """Frame -> the share of this account's requests that fill it. Frames that are a habit no more are dropped."""
        if not self.count:
            return {}
        values = ROW.unpack(self.row)
        found = {}
        for key in self.frames:
            at = values.index(key, 0, SLOTS) if key in values[:SLOTS] else -1
            if at >= 0 and values[SLOTS + at] >= LEFT * min(SHARE * self.count, OFTEN):
                found[key] = min(1.0, values[SLOTS + at] / self.count)
        if len(found) < len(self.frames):
            self.frames = tuple(found)
            self.born = tuple([key for key in self.born if key in found])
        return found

    def _count(self, words: tuple[int, ...]) -> None:
        cells = bytearray(self.cells)
        for word in words:
            at = word % CELLS
            if cells[at] == FULL:
                cells = bytearray([each >> 1 for each in cells])
            cells[at] += 1
        self.cells = bytes(cells)


def most(keys: Sequence[int], counts: Sequence[float], total: float) -> tuple[int, ...]:
    """Parameters, client and network of most of the requests; 0 = none."""
    half = 0.5 * total
    return tuple(
        [keys[one] if counts[one] >= half else keys[other] if counts[other] >= half else 0 for one, other in ONES]
    )


def generates(seen: Observation) -> bool:
    """Whether a request is of those that habits are told by."""
    return seen.op in GENERATES


def _add(keys: list[int], counts: list[float], key: int, weight: float, turn: int) -> float:
    """One more of this key in the slots of its kind; its count. `turn`: which of equal ones leaves."""
    kind = key & KIND
    first, end = FIRST[kind], END[kind]
    if key in keys:
        at = keys.index(key, first, end)
        counts[at] = count = counts[at] + weight
        return count
    if end - first == 2:
        least = first if counts[first] <= counts[first + 1] else first + 1
    else:
        own = counts[first:end]
        lowest = min(own)
        start = turn % len(own)
        least = first + (own.index(lowest, start) if lowest in own[start:] else own.index(lowest))
    keys[least], counts[least] = key, weight
    return weight
