"""Pure. How long one account's answers are, and how many tokens its characters make: what reservations are made by."""

from struct import unpack

import msgspec

from gateway.observe import Observation
from gateway.usage import Usage

__all__ = ["RATIO_ASCII", "RATIO_OTHER", "Pace", "learn"]

ANSWERS = 64  # recent answers a model that the p90 is taken over
RATIO_ASCII = 0.25  # tokens a character; the vendors' own rule of thumb for English
RATIO_OTHER = 0.6  # tokens a character for other scripts, where one character is often one token
RATIO_GAIN = 0.1  # weight of the newest answer in the moving average of tokens a character


class Pace(msgspec.Struct, frozen=True):
    """What is known of one account's answers from one model."""

    recent: bytes = b""  # output tokens a choice, oldest first: 32-bit, little-endian (as a tuple 40 bytes each)
    answers: int = 0
    p90: int = 0
    ratio_ascii: float = RATIO_ASCII
    ratio_other: float = RATIO_OTHER


def learn(pace: Pace, seen: Observation, usage: Usage, *, done: bool) -> Pace:
    """Folds one answer in. Of an aborted stream only that it was longer than usual says anything."""
    changes: dict[str, object] = {}
    if usage.output and (done or usage.output // max(1, seen.n) > pace.p90):
        recent = (pace.recent + min(usage.output // max(1, seen.n), 0xFFFFFFFF).to_bytes(4, "little"))[-4 * ANSWERS :]
        ranked = sorted(unpack(f"<{len(recent) // 4}I", recent))
        changes = {"recent": recent, "answers": pace.answers + 1, "p90": ranked[(len(ranked) * 9) // 10]}
    if seen.chars >= 40 and usage.input and not (seen.images or seen.audio or seen.token_ids):
        name = "ratio_ascii" if seen.ascii else "ratio_other"
        old: float = getattr(pace, name)
        observed = min(4.0, max(0.05, usage.input / seen.chars))
        changes[name] = old + RATIO_GAIN * (observed - old)
    return msgspec.structs.replace(pace, **changes) if changes else pace
