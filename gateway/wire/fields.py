"""Pure. Fields of a request read strictly: of one type, spelled in one way, else 400 with the field's name.

Refusals name the field as we know it, never as it was sent, and never its value.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import orjson

from gateway.errors import Refusal

__all__ = [
    "MAX_CHOICES",
    "Names",
    "Object",
    "compact",
    "count",
    "flag",
    "items",
    "largest",
    "number",
    "obj",
    "text",
    "word",
    "wrong",
]

Object = dict[str, Any]

LARGEST = 2**31  # of a count of tokens
MAX_CHOICES = 128  # OpenAI's own bound of `n`
MAX_WORD = 256  # characters of a model's name


def wrong(param: str, must: str, code: str = "invalid_type") -> NoReturn:
    """Refuses a field: `must` says what it must be."""
    raise Refusal("bad_request", 400, code, f"{param} must be {must}.", param=param)


class Names:
    """The fields of an object that we read. A spelling that differs in case only is refused.

    Some servers (Go's encoding/json) match names without case, and let the last spelling win.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._folded = {name.casefold(): name for name in self._names}

    def check(self, value: Object) -> None:
        """Raises Refusal (400, `ambiguous_field`) for such a spelling."""
        if self._names.issuperset(value):  # the usual case, and no set is made for it
            return
        for key in value.keys() - self._names:
            name = self._folded.get(key.casefold())
            if name is not None:
                raise Refusal(
                    "bad_request", 400, "ambiguous_field", f"{name} is spelled in an ambiguous way.", param=name
                )


def obj(value: Any, param: str) -> Object:
    """An object; an empty one for null."""
    if type(value) is dict:
        return value
    if value is not None:
        wrong(param, "an object")
    return {}


def items(value: Any, param: str) -> list[Any]:
    """An array; an empty one for null."""
    if type(value) is list:
        return value
    if value is not None:
        wrong(param, "an array")
    return []


def text(value: Any, param: str) -> str:
    """A string; an empty one for null."""
    if type(value) is str:
        return value
    if value is not None:
        wrong(param, "a string")
    return ""


def word(value: Any, param: str) -> str | None:
    """A name: at most 256 printable ASCII characters. None for null and for an empty one."""
    if value is None:
        return None
    if type(value) is not str or len(value) > MAX_WORD or not value.isascii() or not value.isprintable():
        wrong(param, f"a string of at most {MAX_WORD} printable ASCII characters")
    return value or None


def flag(value: Any, param: str) -> bool:
    """A boolean; False for null."""
    if type(value) is bool:
        return value
    if value is not None:
        wrong(param, "true or false")
    return False


def count(value: Any, param: str, least: int = 0, most: int = LARGEST) -> int | None:
    """A whole number within bounds, spelled as an integer; None for null."""
    if value is None:
        return None
    if type(value) is not int:
        wrong(param, "an integer")
    if not least <= value <= most:
        wrong(param, f"an integer from {least} to {most}", "invalid_value")
    return value


def largest(body: Mapping[str, Any], names: Iterable[str], least: int = 0, most: int = LARGEST) -> int | None:
    """The largest of several fields that mean the same; None where all are absent."""
    found = None
    for name in names:
        value = body.get(name)
        if value is not None:
            number_ = count(value, name, least, most)
            if number_ is not None and (found is None or number_ > found):
                found = number_
    return found


def number(value: Any, param: str) -> float | None:
    """A number; None for null."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    if value is not None:
        wrong(param, "a number")
    return None


def compact(value: Any) -> str:
    """A JSON value as text without blanks, as a prompt template would show it to the model; "" where it is too deep.

    What `wire.json.parse` lets through never is; an answer, which nothing bounds, may be.
    """
    if not value:
        return ""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return ""
