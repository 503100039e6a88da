"""Pure. What the messages of a session have in common: usage that adds up, and what is seen before it is told.

A message is scanned for a few marks and parsed only where one is in it: most of them are sound, in base64. Within a
JSON string a quote is escaped, so a mark with its quotes never stands in what somebody says.
"""

from math import ceil

import msgspec

from gateway.usage import Usage
from gateway.wire.meters import CHARACTERS, MAX_TOKENS

__all__ = ["Message", "Sum", "bytes_in", "characters", "sound"]

Message = str | bytes

WIDE = 2.4  # characters of English that one of another script weighs, as everywhere
MAX_OPEN = 64  # answers under way that are told apart
BASE64 = 0.75  # bytes a character


class Sum:
    """What a session has used: `told` by the model server, and tokens seen of answers that it has not told yet.

    An answer that is broken off is never told. Its name tells it from others that are under way; of more than 64, the
    rest share one.
    """

    __slots__ = ("_open", "told")

    def __init__(self) -> None:
        self.told = Usage()
        self._open: dict[str, float] = {}

    def tell(self, usage: Usage) -> None:
        """Adds what an answer used."""
        told = self.told
        if usage.input or usage.output or told.source == "none":
            self.told = Usage(
                min(MAX_TOKENS, told.input + usage.input),
                min(MAX_TOKENS, told.output + usage.output),
                min(MAX_TOKENS, told.cache_read + usage.cache_read),
                reasoning=min(MAX_TOKENS, told.reasoning + usage.reasoning),
                source="upstream",
            )

    def see(self, answer: str, tokens: float) -> None:
        """Adds tokens that were seen of an answer under way."""
        if answer not in self._open and len(self._open) >= MAX_OPEN:
            answer = ""
        self._open[answer] = self._open.get(answer, 0.0) + tokens

    def close(self, answer: str) -> None:
        """The answer has been told: what was seen of it is in there."""
        self._open.pop(answer, None)

    def total(self) -> Usage:
        """All of it, at the end."""
        seen = ceil(sum(self._open.values()))
        if not seen:
            return self.told
        return msgspec.structs.replace(self.told, output=min(MAX_TOKENS, self.told.output + seen), source="counted")


def bytes_in(message: Message) -> bytes:
    """A message's bytes on the wire."""
    return message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message


def characters(piece: object) -> float:
    """Tokens that a piece of text is about; what is no text is none."""
    if not isinstance(piece, str):
        return 0.0
    return len(piece) * (1.0 if piece.isascii() else WIDE) / CHARACTERS


def sound(message: bytes, bytes_a_token: int) -> float:
    """Tokens of the sound in a message that holds little else, in base64."""
    return len(message) * BASE64 / bytes_a_token
