"""Pure. Effects: what a verdict asks the edge to do. One file of this folder = one action; they come with the rules."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Effects"]


class Effects(msgspec.Struct, frozen=True, omit_defaults=True):
    """The merged effects of a verdict. Empty = allow."""

    tags: tuple[str, ...] = ()
    clamp: Mapping[str, Any] = {}  # plain field name -> value
    throttle: Mapping[str, float] = {}  # limit id -> share of its rate
    delay: int = 0  # µs
    block: int = 0  # HTTP status; 0 = not blocked
    code: str = ""  # of the block
