"""Pure. From rules that hold to what is done: effects are merged on a fixed lattice, so order in a file never matters.

    tags      unite
    clamp     a field's strictest bound: the smallest number, `false` before any; only what changes the request counts
    throttle  a limit's smallest share; the longest pause
    block     any block blocks; status and code are those of the highest severity, then of the smallest id

There is no "allow wins": an exception softens a rule by naming it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from gateway.actions import Clamped, Effects
from gateway.observe import Observation
from gateway.policy.model import Then

__all__ = ["STRENGTH", "Part", "Word", "clamped", "merge", "soften", "strongest", "united"]

Word = Literal["allow", "tag", "clamp", "throttle", "block"]
STRENGTH: dict[str, int] = {"allow": 0, "tag": 1, "clamp": 2, "throttle": 3, "block": 4}

GENERATES = frozenset({"chat", "text_completion", "generate_content"})
"""Operations whose request has fields that can be clamped; a batch's lines pass as they were uploaded."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one rule contributes. A rule that only lasts (its throttle, its block) contributes just that."""

    rule: str
    then: Then
    severity: int = 0
    until: int = 0  # µs: end of its block


def soften(rule: str, then: Then, becomes: str) -> Then:
    """What is left of a rule's effects where an exception lets through nothing stronger than `becomes`."""
    left = STRENGTH[becomes]
    changes: dict[str, object] = {}
    if left < STRENGTH["block"] and then.block:
        changes |= {"block": 0, "code": "", "block_for": 0}
    if left < STRENGTH["throttle"]:
        changes |= {"limit": "", "to": 1.0, "delay": 0, "throttle_for": 0}
    if left < STRENGTH["clamp"]:
        changes["clamp"] = {}
    if left < STRENGTH["tag"]:
        changes["tags"] = ()
    elif left == STRENGTH["tag"] and not then.tags:
        changes["tags"] = (rule,)  # it is visible what would have been done
    return msgspec.structs.replace(then, **changes)


def merge(parts: Sequence[Part], seen: Observation) -> Effects:
    """The merged effects of some rules on one request."""
    if not parts:
        return NONE
    tags: set[str] = set()
    bounds: dict[str, float | bool] = {}
    throttle: dict[str, float] = {}
    delay = 0
    block: Part | None = None
    until = 0
    for part in parts:
        then = part.then
        tags.update(then.tags)
        for name, bound in then.clamp.items():
            bounds[name] = _stricter(bounds.get(name), bound)
        if then.limit:
            throttle[then.limit] = min(throttle.get(then.limit, 1.0), then.to)
        delay = max(delay, then.delay)
        if then.block:
            until = max(until, part.until)
            if block is None or (-part.severity, part.rule) < (-block.severity, block.rule):
                block = part
    return Effects(
        tags=tuple(sorted(tags)),
        clamp=clamped(bounds, seen),
        throttle={limit: throttle[limit] for limit in sorted(throttle)},
        delay=delay,
        block=block.then.block if block is not None else 0,
        code=block.then.code if block is not None else "",
        until=until,
    )


def strongest(effects: Effects) -> Word:
    """The word for these effects."""
    if effects.block:
        return "block"
    if effects.throttle or effects.delay:
        return "throttle"
    return "clamp" if effects.clamp else "tag" if effects.tags else "allow"


def clamped(bounds: Mapping[str, float | bool], seen: Observation) -> dict[str, Clamped]:
    """The fields of this request that these bounds change: name -> from, to. A bound that is met changes nothing.

    `n` is a prompt's, as it stands in the request. Where the request says nothing, the model server's own default
    counts: 1 choice, temperature and top_p of 1, no log-probabilities, and as many tokens as it likes.
    """
    if not bounds or seen.op not in GENERATES:
        return {}
    found: dict[str, Clamped] = {}
    for name in sorted(bounds):
        bound = bounds[name]
        if name in ("logprobs", "top_logprobs"):
            _logprobs(name, bound, seen, found)
            continue
        if bound is False:
            continue
        value: float | None = seen.n // max(1, seen.prompts) if name == "n" else getattr(seen, name)
        default = DEFAULTS[name]
        if (value if value is not None else default) > bound:
            found[name] = (value, int(bound) if name in WHOLE or float(bound).is_integer() else bound)
    return found


def _logprobs(name: str, bound: float | bool, seen: Observation, found: dict[str, Clamped]) -> None:
    asked = seen.logprobs
    if asked is None:
        return
    if name == "logprobs":
        if bound is False:
            found[name] = (True, False)
    elif "logprobs" not in found and asked > bound:
        found[name] = (asked, 0 if bound is False else int(bound))


def _stricter(old: float | bool | None, new: float | bool) -> float | bool:
    if old is None:
        return new
    if old is False or new is False:
        return False
    return min(old, new)


DEFAULTS = {"max_tokens": float("inf"), "n": 1.0, "temperature": 1.0, "top_p": 1.0}
WHOLE = frozenset({"n", "max_tokens"})
NONE = Effects()


def united(parts: Iterable[Part]) -> tuple[str, ...]:
    """The tags of some rules."""
    return tuple(sorted({tag for part in parts for tag in part.then.tags}))
