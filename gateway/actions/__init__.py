"""Pure. Effects: what a verdict asks the edge to do. One file of this folder = one action of the policy language."""

from collections.abc import Mapping

import msgspec

__all__ = ["Clamped", "Effects", "Value"]

Value = int | float | bool | None
Clamped = tuple[Value, Value]
"""(what the request said, or None where it said nothing; what is sent on, or None for a field that goes)."""


class Effects(msgspec.Struct, frozen=True, omit_defaults=True):
    """The merged effects of a verdict. Empty = allow."""

    tags: tuple[str, ...] = ()  # sorted
    clamp: Mapping[str, Clamped] = {}  # plain field name -> from, to; only fields that change
    throttle: Mapping[str, float] = {}  # limit id -> share of its rate
    delay: int = 0  # µs
    block: int = 0  # HTTP status; 0 = not blocked
    code: str = ""  # of the block
    until: int = 0  # µs since the epoch: end of a block that lasts; 0 = this request alone
