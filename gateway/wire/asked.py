"""Pure. What requests ask for, read from values that may be anything: users, formats, efforts, biased tokens."""

from collections.abc import Mapping
from typing import Any

__all__ = ["MAX_BIAS", "biased", "is_json", "member", "thinks", "user_of"]

MAX_BIAS = 1024  # token ids of a logit bias; OpenAI takes 300


def biased(value: Any) -> tuple[int, ...]:
    """The token ids of a `logit_bias` (token id, as text, -> bias); what is no token id is left out."""
    if type(value) is not dict:
        return ()
    return tuple([int(key) for key in value if len(key) < 10 and key.isascii() and key.isdigit()][:MAX_BIAS])


def member(value: Any, name: str) -> Any:
    """A field of what may be no object; None where it isn't one."""
    return value.get(name) if type(value) is dict else None


def thinks(effort: Any) -> bool:
    """Whether an OpenAI body's effort is one at which the model reasons."""
    return type(effort) is str and effort not in ("", "none", "minimal")


def is_json(wanted: Any) -> bool:
    """Whether a response format asks for JSON."""
    return member(wanted, "type") in ("json_object", "json_schema")


def user_of(body: Mapping[str, Any]) -> str:
    """The end user whom an OpenAI body names; "" where it names none. It is hashed before anything is kept of it."""
    for name in ("safety_identifier", "user"):
        value = body.get(name)
        if type(value) is str and value:
            return value
    return ""
