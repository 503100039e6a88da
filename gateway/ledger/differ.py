"""Pure. Two values that should be the same: the first field in which they differ, by its dotted name."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ["difference"]

MAX_SHOWN = 120  # characters of a value
NOTHING = object()


def difference(name: str, recorded: object, now: object) -> str:
    """As in `verdict.scores.extraction: 3.1 recorded, 3.2 now`. Fields in the order of the struct, keys sorted.

    Where no field differs (the caller was wrong, or a value is unlike itself, as NaN is) the whole is named.
    """
    found = _first(name, recorded, now) or (name, recorded, now)
    return f"{found[0]}: {_shown(found[1])} recorded, {_shown(found[2])} now"


def _first(name: str, recorded: Any, now: Any) -> tuple[str, Any, Any] | None:
    if recorded == now and type(recorded) is type(now):
        return None
    if isinstance(recorded, msgspec.Struct) and type(recorded) is type(now):
        for field in recorded.__struct_fields__:
            found = _first(f"{name}.{field}", getattr(recorded, field), getattr(now, field))
            if found is not None:
                return found
        return None
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        for key in sorted(recorded.keys() | now.keys()):
            found = _first(f"{name}.{key}", recorded.get(key, NOTHING), now.get(key, NOTHING))
            if found is not None:
                return found
        return None
    if _is_list(recorded) and _is_list(now) and len(recorded) == len(now):
        for at, (old, new) in enumerate(zip(recorded, now, strict=True)):
            found = _first(f"{name}.{at}", old, new)
            if found is not None:
                return found
        return None
    return None if recorded == now else (name, recorded, now)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _shown(value: object) -> str:
    if value is NOTHING:
        return "nothing"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = "".join(letter if letter.isprintable() else "?" for letter in text) or '""'
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
