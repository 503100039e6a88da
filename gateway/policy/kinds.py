"""Pure. The kinds of values in a policy file that several sections share, as pydantic and editors read them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.policy.model import Rate
from gateway.policy.quantities import QuantityError, amount_of, duration_of, rate_of, share_of

__all__ = [
    "Amount",
    "Duration",
    "Mode",
    "Name",
    "RATE",
    "RateText",
    "Section",
    "Share",
    "Text",
    "Tokens",
    "Weight",
    "quantity",
    "text_of",
    "wrong",
]

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
RATE = r"^ *([0-9]+(\.[0-9]+)? *[kMB]? *(requests?|tokens?)( */ *(s|m|min|h|d|day|w|week|month))?|unlimited) *$"
AMOUNT = r"^ *[0-9]+(\.[0-9]+)? *[kMB]? *(requests?|tokens?) *$"


def wrong(message: str, hint: str = "", offset: int = 0) -> PydanticCustomError:
    """The error of a value, in our own words. `offset`: the character at fault, counted from 0."""
    # the message is handed over as data: as a template, a brace that the file's author wrote would be read
    return PydanticCustomError("gauger", "{message}", {"message": message, "hint": hint, "offset": offset})


def quantity(parse: Any) -> PlainValidator:
    """Has a value read by `parse`, which may raise QuantityError."""

    def validate(value: object) -> object:
        try:
            return parse(value)
        except QuantityError as error:
            raise wrong(error.message, error.hint, error.offset) from None

    return PlainValidator(validate)


def text_of(value: object, hint: str = "") -> str:
    """A text that isn't empty."""
    if not isinstance(value, str) or not value:
        raise wrong("this must be text", hint)
    return value


RateText = Annotated[Rate | None, quantity(rate_of), WithJsonSchema({"type": "string", "pattern": RATE})]
Amount = Annotated[Rate, quantity(amount_of), WithJsonSchema({"type": "string", "pattern": AMOUNT})]
Tokens = Annotated[
    Rate, quantity(lambda value: amount_of(value, "tokens")), WithJsonSchema({"type": "string", "pattern": AMOUNT})
]
Share = Annotated[
    float, quantity(share_of), WithJsonSchema({"type": "string", "pattern": r"^ *[0-9]+(\.[0-9]+)? *% *$"})
]
Duration = Annotated[
    int,
    quantity(duration_of),
    WithJsonSchema({"type": "string", "pattern": r"^ *[0-9]+(\.[0-9]+)? *(ms|s|m|min|h|d) *$"}),
]
Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Weight = Annotated[float, Field(ge=0, le=100)]
Mode = Literal["enforce", "shadow"]


class Section(BaseModel):
    """A mapping of the file: no unknown key, no guessing of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
