"""Pure. What the scripts of `*.lua` are told and what they answer: key names, arguments, readings.

A script decides and stores; the words of its answer (readings) are made here, by the same functions as in memory, from
the states that it met. Costs and capacities are µs that Python has computed; a script adds and compares them.

**Keys** are `gauger:{=OWNER}` + `r|`, `q|`, `l|` + the cell's key (rate, quota, lease) or `o|` + the request (what it
reserved). The braces are the hash tag of clusters: all that a request draws from is in one slot. `{`, `}` and `%` of an
owner are percent-encoded, so that no owner's name ends a tag, and no two owners share one.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.quotas import (
    Draw,
    Drawn,
    Reading,
    capacity_us,
    charge_quota,
    charge_rate,
    cost_us,
    draw_lease,
    draw_quota,
    draw_rate,
)

__all__ = ["Place", "charge_args", "charged", "draw_args", "drawn", "owe_args", "renew_args", "settle_args", "tag_of"]

HOLD = 3_600_000  # ms that a reservation, or a tombstone, lasts
STEPS = 16  # as in quotas.py: marks that are nearer than this part of a capacity become one
MOST = 1 << 52  # what a script can count with exactly, and add to once
NEVER = -1  # a cost that doesn't fit; a use that isn't known
KINDS = {"rate": 1, "quota": 2, "lease": 3}

encode = msgspec.msgpack.Encoder().encode
Met = Sequence[Any]  # for each key what the script met there, the reservation's place being the time


class Place(msgspec.Struct, frozen=True):
    """Where a request's draws live: its keys (the reservation's first), and for each draw its place among them."""

    request: str
    draws: tuple[Draw, ...]
    keys: tuple[str, ...]
    at: tuple[int, ...]  # from 1, as Lua counts

    @classmethod
    def of(cls, request: str, draws: Sequence[Draw], owner: str) -> "Place":
        prefix = f"gauger:{tag_of(owner)}"
        keys = {f"{prefix}o|{request}": 1}
        at = [keys.setdefault(f"{prefix}{draw.kind[0]}|{draw.key}", len(keys) + 1) for draw in draws]
        return cls(request, tuple(draws), tuple(keys), tuple(at))


def tag_of(owner: str) -> str:
    """The hash tag of an owner's keys."""
    if "{" in owner or "}" in owner or "%" in owner:
        owner = owner.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
    return f"{{={owner}}}"


def draw_args(place: Place, now: int = 0) -> bytes:
    """The argument of draw.lua. `now` is for tests; 0 is the server's own time."""
    told: list[tuple[object, ...]] = []
    for number, (draw, at) in enumerate(zip(place.draws, place.at, strict=True), 1):
        if draw.kind == "rate":
            full = min(capacity_us(draw), MOST) if draw.amount > 0 else 0
            fits = draw.amount > 0 and draw.cost <= draw.capacity
            cost = min(cost_us(draw, draw.cost), full) if fits else NEVER
            told.append((1, at, number, cost, full, full // STEPS, draw.shadow))
        elif draw.kind == "quota":
            closes = draw.window + draw.period
            told.append((2, at, number, draw.cost, draw.capacity, closes, draw.period, draw.shadow))
        else:
            told.append((3, at, number, draw.capacity, draw.period, draw.shadow))
    return encode((now, HOLD, place.request, told))


def drawn(place: Place, met: Met) -> tuple[Drawn, tuple[Draw, ...]]:
    """What draw.lua has answered: (the request's answer, the draws that were charged)."""
    code, now = met[0], met[1]
    held: dict[int, Any] = {}
    readings: list[Reading] = []
    taken: list[Draw] = []
    for draw, at in zip(place.draws, place.at, strict=True):
        old = held.get(at, met[at])
        reading, new = _draw(draw, old, now)
        readings.append(reading)
        if reading.ok:
            if draw.kind != "lease" or at not in held:
                held[at] = new
            taken.append(draw)
        elif not code and not draw.shadow:  # as if nothing had been drawn
            answers = [
                _draw(each, met[key], now, charge=False)[0] for each, key in zip(place.draws, place.at, strict=True)
            ]
            answers[len(readings) - 1] = reading
            return Drawn(False, now, tuple(answers), "valkey"), ()
    return Drawn(True, now, tuple(readings), "valkey"), tuple(taken)


def _draw(draw: Draw, old: Any, now: int, *, charge: bool = True) -> tuple[Reading, Any]:
    if draw.kind == "rate":
        tat, reading = draw_rate(old, draw, now, charge=charge)
        return reading, tat
    if draw.kind == "quota":
        end, used, reading = draw_quota(old[0], old[1], draw, now, charge=charge)
        return reading, (end, used)
    return draw_lease(old, draw, charge=charge), old + 1


def settle_args(place: Place, actual: dict[str, int], now: int = 0, *, lost: bool = False) -> bytes:
    """The argument of settle.lua. `lost`: whether the draw was done isn't known; `actual` is then 0 for every limit."""
    told: list[tuple[object, ...]] = []
    for number, (draw, at) in enumerate(zip(place.draws, place.at, strict=True), 1):
        units = actual.get(draw.limit)
        if draw.kind == "rate" and draw.amount > 0:
            full = min(capacity_us(draw), MOST)
            spent = NEVER if units is None else min(cost_us(draw, max(0, units)), MOST)
            reserved = min(cost_us(draw, draw.cost), full)
            told.append((1, at, number, reserved, full, full // STEPS, draw.period, spent))
        elif draw.kind == "quota":
            used = NEVER if units is None else max(0, units)
            told.append((2, at, number, draw.cost, draw.capacity, draw.window + draw.period, used))
        elif draw.kind == "lease":
            told.append((3, at, number))
    return encode((now, HOLD, place.request, told, len(place.draws), lost))


def charge_args(place: Place, used: dict[str, int], now: int = 0, *, elsewhere: bool = False) -> bytes:
    """The argument of charge.lua: limit id -> units since the draw, all in all."""
    told: list[tuple[object, ...]] = []
    for number, (draw, at) in enumerate(zip(place.draws, place.at, strict=True), 1):
        units = used.get(draw.limit, 0)
        if units <= 0:
            continue
        if draw.kind == "rate" and draw.amount > 0:
            full = min(capacity_us(draw), MOST)
            cost, most = min(cost_us(draw, units), MOST), min(cost_us(draw, draw.capacity), MOST)
            told.append((1, at, number, units, cost, full, full // STEPS, draw.period, most))
        elif draw.kind == "quota":
            told.append((2, at, number, units, draw.capacity, draw.window + draw.period, draw.period))
    return encode((now, HOLD, place.request, told, len(place.draws), elsewhere))


def owe_args(place: Place, units: int, now: int = 0) -> bytes:
    """The argument of charge.lua for units of one cell that were used elsewhere."""
    return charge_args(place, {place.draws[0].limit: units}, now, elsewhere=True)


def charged(place: Place, answer: Sequence[Any]) -> tuple[Reading, ...]:
    """What charge.lua has answered."""
    readings = []
    for number, units, *old in answer[1:]:
        draw = place.draws[number - 1]
        if draw.kind == "rate":
            readings.append(charge_rate(old[0], draw, units, answer[0])[1])
        else:
            readings.append(charge_quota(old[0], old[1], draw, units, answer[0])[2])
    return tuple(readings)


def renew_args(place: Place, now: int = 0) -> bytes:
    """The argument of renew.lua."""
    told = [
        (KINDS[draw.kind], at, number, draw.period)
        for number, (draw, at) in enumerate(zip(place.draws, place.at, strict=True), 1)
    ]
    return encode((now, HOLD, place.request, told))
