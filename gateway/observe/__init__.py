"""Pure. Call -> Observation. Prompt text ends here: below this folder there are numbers, enums and keyed hashes.

`Caller` (who asks) and `Observation` (what one request looks like) are all that the rest of the gateway
learns of a request; both are written to the ledger, and replay needs nothing else.
"""

import msgspec

__all__ = ["Observation"]

VERSION = 1


class Observation(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The features of one request, or the bounded sum of a batch's lines. No text, no key."""

    v: int = VERSION
    dialect: str = "opaque"
    op: str = "opaque"
    route: str = "other"  # the path's template
    model: str | None = None  # as asked for; bounded to 128 safe characters
    stream: bool = False
    n: int = 1  # choices
    max_tokens: int | None = None  # declared output ceiling a choice, tokens
    messages: int = 0
    tools: int = 0
    images: int = 0
    audio: int = 0
    temperature: float | None = None
    top_p: float | None = None
    logprobs: int | None = None
    bytes: int = 0  # of the request body as received
    chars: int = 0  # of the text that the model reads
    ascii: bool = True  # whether that text is all ASCII (tokens per character differ)
    lines: int = 0  # calls in a batch; 0 = not a batch
    file: str | None = None  # keyed hash (16 hex digits) of the uploaded file that a batch works on
