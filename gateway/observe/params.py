"""Pure. The parameters of a request: which are given, to what, and how many of them at their documented default.

A tool leaves its mark here: some clients send every default spelled out, others nothing at all. As a fingerprint it
links accounts that are run by one program; it is no guilt, since every program has one.
"""

from collections.abc import Mapping
from heapq import nsmallest
from typing import Any

__all__ = ["spelled", "vector"]

CONTENT = frozenset(
    (
        *("messages", "input", "prompt", "suffix", "system", "instructions", "contents", "content", "requests"),
        *("systemInstruction", "system_instruction", "generateContentRequest", "generate_content_request"),
        *("user", "safety_identifier", "prompt_cache_key", "metadata", "logit_bias", "prediction"),
        *("previous_response_id", "conversation", "store"),
    )
)
"""Fields that say what is asked, by whom, or where it is kept: no parameters."""

DEFAULTS: Mapping[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "n": 1,
    "best_of": 1,
    "temperature": 1,
    "top_p": 1,
    "logprobs": False,
    "stream": False,
    "echo": False,
}
"""OpenAI's documented defaults; a field that is null says the same as none."""

SHORT = frozenset({bool, int, float, type(None)})  # at most 24 characters: integers have 64 bits (`wire/json.py`)
MAX_NAMES = 64
MAX_VALUE = 64  # characters of a value or a name


def vector(body: Mapping[str, Any]) -> bytes:
    """Names and values of the parameters, sorted; of what is nested, the names one level down, and plain values."""
    parts: list[str] = []
    for name in _first(body):
        if name in CONTENT:
            continue
        value = body[name]
        kind = type(value)
        if kind is dict:
            names = [key for key in _first(value) if key not in CONTENT]
            inner = ",".join([f"{key[:MAX_VALUE]}={_plain(value[key])}" for key in names])
            parts.append(f"{name[:MAX_VALUE]}{{{inner}}}")
        elif kind in SHORT:
            parts.append(f"{name[:MAX_VALUE]}={value!r}")
        else:
            parts.append(f"{name[:MAX_VALUE]}={_plain(value)}")
    return ";".join(parts).encode("utf-8", "surrogatepass")


def spelled(body: Mapping[str, Any]) -> int:
    """How many parameters are given and change nothing."""
    found = 0
    for name, value in body.items():
        if value is None or (name in DEFAULTS and value == DEFAULTS[name]):
            found += 1
    return found


def _first(value: Mapping[str, Any]) -> list[str]:
    """The names that stand first in order; some bodies have a hundred thousand."""
    return sorted(value) if len(value) <= MAX_NAMES else nsmallest(MAX_NAMES, value)


def _plain(value: Any) -> str:
    """A plain value as it is, a list by its length, an object by its names."""
    if type(value) is list:
        return f"[{len(value)}]"
    if type(value) is dict:
        return f"{{{','.join([key[:MAX_VALUE] for key in _first(value)])[:MAX_VALUE]}}}"
    return repr(value[:MAX_VALUE] if type(value) is str else value)[:MAX_VALUE]
