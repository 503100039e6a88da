"""Pure. What a scorecard promises, against what its calibration supports: the lint `promise`.

A promise is of an action: `throttle: 0.1% of owners/month` speaks of every rule that slows down by this score. It is
kept where a calibration of this very card supports it, and no such rule acts below the threshold that was calibrated.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from math import inf
from typing import NamedTuple

import msgspec

from gateway.observe import VERSION
from gateway.policy.calibration import Calibrated, Calibration, Measured, percent
from gateway.policy.conditions.expressions import Compare, Node, Number, Ref, lists_in, names_in, show, walk
from gateway.policy.conditions.ranges import least
from gateway.policy.model import ListOf, Rule, Scorecard, Then
from gateway.policy.names import Name

__all__ = ["Doubt", "card_digest", "doubts", "thresholds", "words_of"]

STEP = 0.01  # dB: scores are rounded to it
COMMAND = "`gauger calibrate TRAFFIC --policy FILE --out NAME.json`"
MAKE = f"{COMMAND} makes one; the card then says `calibration: NAME.json`"


class Doubt(NamedTuple):
    """Why a promise isn't kept. `rule`: the id of the one that breaks it; "" = the promise itself lacks support."""

    action: str
    message: str
    hint: str
    rule: str = ""


def card_digest(card: Scorecard, parsed: Mapping[str, Node], lists: Mapping[str, ListOf]) -> str:
    """16 hex digits of SHA-256 over all that a score of this card depends on: its lines, the lists that they look
    into, and the version of what is observed. What it promises, and how its conditions are spaced, is no part."""

    def plain(text: str) -> str:
        if text not in parsed:
            return text  # the name of a share
        used.update(lists_in(parsed[text]))
        return show(parsed[text])

    used: set[str] = set()
    content = msgspec.to_builtins(msgspec.structs.replace(card, promise={}, needs=plain(card.needs)))
    del content["promise"]
    for line in content["evidence"]:
        line["text"] = plain(line["text"])
    content["lists"] = {name: [sorted(lists[name].values), list(lists[name].globs)] for name in sorted(used)}
    content["observed"] = VERSION
    return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:16]


def doubts(
    card: Scorecard,
    digest: str,
    calibration: Calibration | None,
    rules: Sequence[Rule],
    parsed: Mapping[str, Node],
    names: Mapping[str, Name],
) -> Iterator[Doubt]:
    """Everything that keeps this card's promises from being kept. `rules`: all of the policy's."""
    found = calibration.card(card.id) if calibration is not None else None
    for action, alpha in card.promise.items():
        said = f"`{action}: {percent(alpha)} of owners/month`"
        if calibration is None:
            yield Doubt(action, "no calibration supports this promise", MAKE)
        elif found is None or found.digest != digest:
            what = "speaks of other cards" if found is None else "was made with another version of this card"
            yield Doubt(action, f"the promise {said} is not supported: its calibration {what}", f"{COMMAND} anew")
        else:
            yield from _measured(action, alpha, said, found, rules, card, parsed, names)


def _measured(
    action: str,
    alpha: float,
    said: str,
    found: Calibrated,
    rules: Sequence[Rule],
    card: Scorecard,
    parsed: Mapping[str, Node],
    names: Mapping[str, Name],
) -> Iterator[Doubt]:
    held = support(found, alpha)
    if held is None or held.threshold_db is None:
        known = next((each for each in found.promises if each.action == action and each.alpha <= alpha), None)
        why = known.why if known is not None else "its calibration was made for other promises"
        hint = f"promise less, or gather more and run {COMMAND}"
        yield Doubt(action, f"the promise {said} is not supported: {why}", hint)
        return
    name = f"score.{card.id}"
    for rule in rules:
        if rule.mode == "draft" or action not in words_of(rule.then):
            continue
        node = parsed[rule.when]
        start, alone = _start(node, name, names), least(node, name, names).value == -inf
        if alone and f"{name}.campaign" in names_in(node):
            message = f"the promise {said} is not measured: this rule acts by the score of the account's campaign alone"
            yield Doubt(action, message, f"add `and {name} >= {held.threshold_db:g} dB`: that counts both", rule.id)
        elif start is not None and start < held.threshold_db - STEP / 2:
            message = (
                f"the promise {said} is not kept: this rule acts from {start:g} dB on, and its calibration "
                f"supports it from {held.threshold_db:g} dB on"
            )
            yield Doubt(action, message, f"take `{name} >= {held.threshold_db:g} dB`, or promise less", rule.id)


def support(found: Calibrated, alpha: float) -> Measured | None:
    """What supports a promise of `alpha` best: the lowest threshold of those that no more owners pass."""
    fit = [each for each in found.promises if each.supported and each.alpha <= alpha and each.threshold_db is not None]
    return min(fit, key=lambda each: each.threshold_db or 0.0) if fit else None


def words_of(then: Then) -> frozenset[str]:
    """Every action that a rule does, not its strongest alone."""
    done = {"tag": then.tags, "clamp": then.clamp, "throttle": then.limit or then.delay, "block": then.block}
    return frozenset(word for word, what in done.items() if what)


def _start(node: Node, name: str, names: Mapping[str, Name]) -> float | None:
    """The least score, as it is printed, from which a condition can hold by it; None where there is no such."""
    bounds = [value if inclusive else value + STEP for _, value, inclusive in thresholds(node, name)]
    if not bounds:
        return None
    found = least(node, name, names)
    if found.value in (inf, -inf):
        return None if found.value == inf else min(bounds)
    return found.value if found.inclusive else found.value + STEP


def thresholds(node: Node, name: str) -> Iterator[tuple[Node, float, bool]]:
    """The comparisons that a name passes from some constant on: with the constant, and whether it passes as well."""
    for each, _ in walk(node):
        if isinstance(each, Compare) and each.op in ("<", "<=", ">", ">="):
            left, right = (each.left, each.right) if each.op[0] == ">" else (each.right, each.left)
            if isinstance(left, Ref) and left.name == name and isinstance(right, Number):
                yield each, right.value, each.op[1:] == "="
