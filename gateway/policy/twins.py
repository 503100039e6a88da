"""Pure. Rules of one condition: which of them could be one, and which another one makes superfluous."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.policy.model import Rule, Then

__all__ = ["Twin", "covers", "twins"]


class Twin(NamedTuple):
    """A rule, another one of the same condition, and whether that one does all that the first does."""

    rule: str
    other: str
    shadowed: bool


def twins(rules: Sequence[Rule], canonical: Mapping[str, str]) -> list[Twin]:
    """At most one for each rule. `rules` in the order of the file; `canonical`: id -> text of its condition."""
    found: list[Twin] = []
    alike: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        if rule.mode == "draft":
            continue
        before = alike.setdefault((rule.phase, canonical[rule.id]), [])
        twin = next(filter(None, (_compared(rule, other) for other in before)), None)
        if twin is not None:
            found.append(twin)
        before.append(rule)
    return found


def _compared(rule: Rule, other: Rule) -> Twin | None:
    if covers(other, rule):
        return Twin(rule.id, other.id, True)
    if covers(rule, other):
        return Twin(other.id, rule.id, True)
    together = (other.mode, other.active, other.on_missing) == (rule.mode, rule.active, rule.on_missing)
    return Twin(rule.id, other.id, False) if together else None


def covers(over: Rule, under: Rule) -> bool:
    """Whether one rule of the same condition does all that another one does, whenever that one does."""
    if (over.mode != "enforce" and over.mode != under.mode) or over.active not in (None, under.active):
        return False
    if over.on_missing != under.on_missing and over.on_missing != "match":
        return False
    one, other = over.then, under.then
    if other.block:
        same = (one.block, one.code) == (other.block, other.code)
        if not one.block or not (same or over.severity > under.severity):
            return False
    return _does(one, other)


def _does(over: Then, under: Then) -> bool:
    if not set(under.tags) <= set(over.tags) or over.delay < under.delay:
        return False
    for name, bound in under.clamp.items():
        stricter = over.clamp.get(name)
        if stricter is None or (stricter is not False and (bound is False or stricter > bound)):
            return False
    if under.limit and (over.limit != under.limit or over.to > under.to):
        return False
    return over.throttle_for >= under.throttle_for and over.block_for >= under.block_for
