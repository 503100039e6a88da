"""Pure. What a clamp may say: the fields of a request that can be bounded, and their bounds."""

import re
from typing import Annotated, Any, Literal

from pydantic import PlainValidator, WithJsonSchema

from gateway.documents import shown
from gateway.policy.kinds import wrong
from gateway.policy.quantities import QuantityError, amount_of

__all__ = ["ClampValue", "Clampable", "ExpectedClamp"]

UNIT = re.compile("[a-zA-Z]{2}")


def _clamp(value: object) -> float | bool:
    """The value of a clamp: a number, an amount of tokens, or `false`."""
    if value is True:
        raise wrong("a clamp can only switch off", "write `false`, or leave the field out")
    if value is False:
        return False
    if isinstance(value, int | float) and 0 <= value <= 10**12:
        return value
    if isinstance(value, str) and value.strip()[:1].isdigit():
        try:
            return amount_of(value if UNIT.search(value) else f"{value} tokens", "tokens").amount
        except QuantityError as error:
            raise wrong(error.message, error.hint, error.offset) from None
    raise wrong(f"{shown(value)} is no bound", "a number, an amount of tokens as in `2k`, or `false`")


CLAMP_SCHEMA: list[dict[str, Any]] = [{"const": False}, {"type": "number", "minimum": 0}, {"type": "string"}]
ClampValue = Annotated[float | bool, PlainValidator(_clamp), WithJsonSchema({"anyOf": CLAMP_SCHEMA})]
ExpectedClamp = Annotated[
    float | bool | None,
    PlainValidator(lambda value: None if value is None else _clamp(value)),
    WithJsonSchema({"anyOf": [*CLAMP_SCHEMA, {"type": "null"}]}),
]
Clampable = Literal["logprobs", "max_tokens", "n", "temperature", "top_logprobs", "top_p"]
"""The plain names of the request fields that dialects can clamp."""
