"""Pure. Tokens of one answer: what meters read, limits settle and records show."""

from typing import Literal

import msgspec

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Tokens of one answer. `input` includes what was read from or written to a cache; `output` includes reasoning."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    source: Literal["upstream", "counted", "none"] = "none"  # the model's own figures, our count, or nothing to count
