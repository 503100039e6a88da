"""Pure. Quantities as a policy writes them: `8k tokens/min`, `4 requests`, `50%`, `15 min`, `unlimited`.

    quantity := rate | amount | percent | duration | "unlimited"
    rate     := amount "/" period
    amount   := number scale? unit
    percent  := number "%"
    duration := number ("ms" | "s" | "m" | "min" | "h" | "d")
    decibels := ("+" | "-")? number "dB"
    promise  := percent "of owners/month"
    number   := digits ("." digits)?
    scale    := "k" | "M" | "B"                              10^3, 10^6, 10^9
    unit     := "request" | "requests" | "token" | "tokens"
    period   := "s" | "m" | "min" | "h" | "d" | "day" | "w" | "week" | "month"

Capitals matter: `m` is a minute and `M` a million, so `10m tokens` is a mistake with a hint and not a guess.
"""

import re
from decimal import Decimal
from typing import Literal, NoReturn

from gateway.documents import did_you_mean, shown
from gateway.policy.model import Period, Rate

__all__ = [
    "QuantityError",
    "amount_of",
    "clock_of",
    "decibel_of",
    "duration_of",
    "number_of",
    "pause_of",
    "promise_of",
    "rate_of",
    "share_of",
]

MOST = 10**15  # units
LONGEST = 366 * 86_400_000_000  # µs

SCALES = {"k": 10**3, "M": 10**6, "B": 10**9}
MEANT = {"K": "k", "m": "M", "b": "B", "G": "B", "g": "B", "bn": "B", "mn": "M", "mio": "M"}
UNITS: dict[str, Literal["requests", "tokens"]] = {
    "request": "requests",
    "requests": "requests",
    "token": "tokens",
    "tokens": "tokens",
}
PERIODS: dict[str, Period] = {
    "s": "s",
    "m": "min",
    "min": "min",
    "h": "h",
    "d": "day",
    "day": "day",
    "w": "week",
    "week": "week",
    "month": "month",
}
LONG_PERIODS = {
    "sec": "s",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "days": "day",
    "weeks": "week",
    "months": "month",
    "mo": "month",
}
DURATIONS = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
SHORT = {f"{unit[0]}p{per[0]}": f"{unit}/{per}" for unit in ("requests", "tokens") for per in ("s", "min", "h", "day")}
NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?(?![0-9.,_])")
DECIBELS = re.compile(r"\s*([+-]?[0-9]{1,4}(?:\.[0-9]{1,4})?)\s*dB\s*")
PROMISE = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%\s*of\s+owners\s*/\s*month\s*")
PLAIN = re.compile(r"\s*(-?[0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([A-Za-z%]*)(?:\s+(?:requests?|tokens?|bytes?))?\s*")
HOURS = re.compile(r"\s*([0-2][0-9]):([0-5][0-9])\s*-\s*([0-2][0-9]):([0-5][0-9])\s*")
NOTHING = re.compile(r"\s*0+(?:\.0+)?\s*(?:ms|s|m|min|h|d)\s*")
PART = re.compile(r"\s*([A-Za-z_]+|/|%|\S)")
EXAMPLE = {"requests": "60 requests/min", "tokens": "8k tokens/min"}


class QuantityError(ValueError):
    """A text that is no quantity. `offset` is the character at fault, counted from 0."""

    def __init__(self, message: str, hint: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = offset


def rate_of(value: object) -> Rate | None:
    """`8k tokens/min` as a Rate, `4 requests` as one without a period, `unlimited` as None."""
    if value == "unlimited":
        return None
    text = _text(value, "write `60 requests/min`, `8k tokens/min`, `4 requests` or `unlimited`")
    number, parts = _split(text)
    if not parts and text.strip().isalpha():
        _fail(f"{shown(text)} is no quantity", did_you_mean(text, ("unlimited",)) or _example(None))
    amount, unit, rest = _amount(text, number, parts)
    if not rest:
        return Rate(amount, unit)
    slash, where = rest[0]
    if slash != "/":
        _fail("a `/` and a period should follow the unit", _example(unit), where)
    if len(rest) < 2:
        _fail("a period is missing after `/`", "s, min, h, day, week or month", where + 1)
    period, where = rest[1]
    if period not in PERIODS:
        short = LONG_PERIODS.get(period.lower()) or (period.lower() if period.lower() in PERIODS else "")
        hint = f"did you mean `{short}`?" if short else "the periods are s, min, h, day, week, month"
        _fail(f"{shown(period)} is no period", hint, where)
    if len(rest) > 2:
        _fail("nothing may follow the period", _example(unit), rest[2][1])
    return Rate(amount, unit, PERIODS[period])


def amount_of(value: object, unit: Literal["requests", "tokens"] | None = None) -> Rate:
    """`20 requests` or `1k tokens`: a number of units with no period. With a `unit`, only of that one."""
    example = "1k tokens" if unit == "tokens" else "20 requests"
    text = _text(value, f"write `{value} {unit or 'requests'}`" if isinstance(value, int) else f"as in `{example}`")
    number, parts = _split(text)
    amount, found, rest = _amount(text, number, parts)
    if rest:
        _fail("an amount has no period", f"as in `{example}`", rest[0][1])
    if unit is not None and found != unit:
        _fail(f"this counts {unit}, not {found}", f"as in `{example}`", parts[-1][1])
    return Rate(amount, found)


def share_of(value: object) -> float:
    """`50%` as 0.5: more than 0 and at most 100 %."""
    hint = "as in `50%`"
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f"write `{value * 100:g}%`" if 0 < value <= 1 else f"write `{value:g}%`"
    text = _text(value, hint)
    number, parts = _split(text, "as in `50%`")
    if [part for part, _ in parts] != ["%"]:
        _fail(f"{shown(text)} is no percentage", "as in `50%`", parts[0][1] if parts else 0)
    if not 0 < number <= 100:
        _fail("a share is more than 0% and at most 100%", "as in `50%`")
    return float(number / 100)


def duration_of(value: object) -> int:
    """`15 min` as 900,000,000 µs: more than 0 and at most 366 days."""
    text = _text(value, f"write `{value} s`" if isinstance(value, int) else "as in `15 min`")
    number, parts = _split(text, "as in `15 min`")
    if len(parts) != 1:
        _fail(f"{shown(text)} is no duration", "as in `15 min`", parts[1][1] if parts else 0)
    word, where = parts[0]
    if word not in DURATIONS:
        short = LONG_PERIODS.get(word.lower().removesuffix("s"), "")
        hint = f"did you mean `{short}`?" if short in DURATIONS else "the units are ms, s, min, h, d"
        _fail(f"{shown(word)} is no unit of time", hint, where)
    micros = number * DURATIONS[word]
    if not 1 <= micros <= LONGEST:
        _fail("a duration is more than 0 and at most 366 days", "as in `15 min`")
    return int(micros)


def pause_of(value: object) -> int:
    """A duration in µs that may be none: `0 s`."""
    return 0 if isinstance(value, str) and NOTHING.fullmatch(value) else duration_of(value)


def decibel_of(value: object) -> float:
    """`-3 dB` as -3.0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        _fail("a number alone says no unit", f"write `{value:g} dB`")
    text = _text(value, "as in `-3 dB`")
    found = DECIBELS.fullmatch(text)
    if found is None:
        hint = "did you mean `dB`?" if re.search(r"[0-9]\s*(db|DB|Db)\s*$", text) else "as in `-3 dB`"
        _fail(f"{shown(text)} is no number of decibans", hint)
    return float(found[1])


def promise_of(value: object) -> float:
    """`0.1% of owners/month` as 0.001."""
    text = _text(value, "as in `0.1% of owners/month`")
    found = PROMISE.fullmatch(text)
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        _fail(f"{shown(text)} is no promise", "as in `0.1% of owners/month`")
    return share


def number_of(value: object) -> float:
    """A value on a curve: `50%` as 0.5, `2M` as 2,000,000, `30 min` as 1,800 (seconds), a plain number as it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = _text(value, "as in `50%`, `2M` or `30 min`")
    found = PLAIN.fullmatch(text)
    if found is None:
        _fail(f"{shown(text)} is no number", "as in `50%`, `2M` or `30 min`")
    number, unit = float(found[1]), found[2]
    if unit in ("", "requests", "request", "tokens", "token", "bytes", "byte"):
        return number
    if unit == "%":
        return number / 100
    if unit in SCALES:
        return number * SCALES[unit]
    if unit not in DURATIONS:
        _fail(
            f"{shown(unit)} is no unit",
            did_you_mean(unit, ("k", "M", "B", *DURATIONS)) or "k, M, B, %, ms, s, min, h, d",
        )
    return number * DURATIONS[unit] / 1_000_000


def clock_of(value: object) -> tuple[int, int]:
    """`22:00-06:00` as minutes of a day (1320, 360); `24:00` is the end of a day."""
    text = _text(value, 'as in "22:00-06:00"')
    found = HOURS.fullmatch(text)
    start, end = (int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])) if found else (-1, -1)
    if not (0 <= start < 1440 and 0 <= end <= 1440):
        _fail(f"{shown(text)} are no hours", 'as in "22:00-06:00"')
    if start == end:
        _fail("these hours are empty", "leave `hours` out for the whole day")
    return start, end


def _amount(
    text: str, number: Decimal, parts: list[tuple[str, int]]
) -> tuple[int, Literal["requests", "tokens"], list[tuple[str, int]]]:
    """Whole units, their name, and what follows."""
    scale, left = 1, parts
    if left and left[0][0] in SCALES:
        scale, left = SCALES[left[0][0]], left[1:]
    elif left and (left[0][0] in MEANT or left[0][0].lower() in MEANT):
        word, where = left[0]
        meant = MEANT.get(word) or MEANT[word.lower()]
        _fail(f"{shown(word)} is no scale", f"did you mean {text[:where].strip()}{meant}?", where)
    if not left:
        _fail("the unit is missing", f"write `{text.strip()} requests` or `{text.strip()} tokens`", len(text.rstrip()))
    word, where = left[0]
    if word not in UNITS:
        if word[:1] in SCALES and word[1:] in UNITS:
            hint = f"did you mean `{text[:where].strip()}{word[0]} {word[1:]}`?"
        elif word.lower() in SHORT:
            hint = f"write `{text[:where].strip()} {SHORT[word.lower()]}`"
        elif word in DURATIONS or word in PERIODS:
            hint = _example(None)
        else:
            near = UNITS.get(word.lower().rpartition("_")[2])
            hint = f"did you mean `{near}`?" if near else did_you_mean(word, UNITS)
        _fail(f"{shown(word)} is no unit", hint or "the units are requests and tokens", where)
    amount = number * scale
    if amount != int(amount):
        _fail("this is no whole number of units", "take a longer period, as in `30 requests/h`")
    if not 1 <= amount <= MOST:
        _fail("a limit is at least 1" if amount < 1 else "this number is too large", "for no limit say `unlimited`")
    return int(amount), UNITS[word], left[1:]


def _split(text: str, example: str = "") -> tuple[Decimal, list[tuple[str, int]]]:
    """The number, and the words and signs after it with their offsets."""
    begin = len(text) - len(text.lstrip())
    number = NUMBER.match(text, begin)
    if number is None:
        if text.strip().isalpha():
            return Decimal(0), []
        if text[begin : begin + 1] in tuple("0123456789"):
            _fail("this number can't be read", "digits and one point: 1000, 2.5, or 2k", begin)
        _fail(f"{shown(text)} does not begin with a number", example or _example(None), begin)
    return Decimal(number.group()), [(part[1], part.start(1)) for part in PART.finditer(text, number.end())]


def _text(value: object, hint: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        _fail("a number alone says no unit", hint)
    if not isinstance(value, str):
        _fail(f"{shown(value)} is no quantity", hint)
    if not value.strip() or len(value) > 100:
        _fail("an empty text is no quantity" if not value.strip() else "this is too long for a quantity", hint)
    return value


def _example(unit: str | None) -> str:
    return f"as in `{EXAMPLE[unit or 'requests']}`"


def _fail(message: str, hint: str = "", offset: int = 0) -> NoReturn:
    raise QuantityError(message, hint, offset)
