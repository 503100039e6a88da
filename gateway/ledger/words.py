"""Pure. Numbers, effects and limits in plain words, for people who read a record. Nothing foreign passes unescaped."""

from collections.abc import Collection
from typing import Any

from gateway.actions import Effects
from gateway.ledger.line import timestamp
from gateway.policy.model import Then
from gateway.policy.names import Unit
from gateway.quotas import Draw

__all__ = [
    "amount",
    "effects_words",
    "most_words",
    "plain",
    "rate_words",
    "span",
    "then_words",
    "unit_words",
    "value_words",
]

SECONDS = ((604_800, "w"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
PERIODS = {  # µs -> word
    1_000_000: "second",
    60_000_000: "minute",
    3_600_000_000: "hour",
    86_400_000_000: "day",
    604_800_000_000: "week",
    2_592_000_000_000: "30 days",
}
UNITS = {
    "requests": "requests",
    "tokens.input": "input tokens",
    "tokens.output": "output tokens",
    "tokens.total": "tokens",
    "concurrent": "requests at once",
}
MAX_TEXT = 128  # characters of a name


def plain(value: object, most: int = MAX_TEXT) -> str:
    """A text as one printable line: what a terminal could obey, or a reader could be misled by, is a dot."""
    text = "".join(letter if letter.isprintable() else "·" for letter in str(value)[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def amount(value: float, unit: Unit = "") -> str:
    """A number with its unit: `12.3 dB`, `25%`, `2.5 d`, `1,234 requests`."""
    if unit == "dB":
        return f"{_number(round(value, 2))} dB"
    if unit == "share":
        if 0.0 < abs(value) < 0.0001:  # a throttle may leave a hundred-thousandth
            return f"{value * 100:.6f}".rstrip("0") + "%"
        return f"{_number(round(value * 100, 2))}%"
    if unit == "duration":
        return span(round(value * 1_000_000))
    text = _number(round(value, 3))
    return f"{text} {unit[:-1] if unit and value == 1 else unit}".rstrip()


def span(micros: int) -> str:
    """A time in µs in its largest unit: `1.5 h`, `20 s`."""
    seconds = micros / 1_000_000
    for size, word in SECONDS:
        if abs(seconds) >= size:
            return f"{_number(round(seconds / size, 2))} {word}"
    return f"{_number(round(seconds * 1000, 3))} ms" if micros else "0 s"


def value_words(value: Any, unit: Unit = "") -> str:
    """A value of any kind; None is what isn't known."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return amount(value, unit)
    if isinstance(value, str):
        return f'"{plain(value)}"'
    if isinstance(value, Collection):
        return f"[{plain(', '.join(map(str, value)))}]"
    return plain(value)


def then_words(then: Then) -> str:
    """What a rule does, as a policy says it."""
    found = []
    if then.block:
        found.append(f"block with {then.block}{_for(then.block_for)}")
    if then.limit:
        found.append(f"throttle {then.limit} to {amount(then.to, 'share')}{_for(then.throttle_for)}")
    if then.delay:
        found.append(f"delay by {span(then.delay)}{'' if then.limit else _for(then.throttle_for)}")
    if then.clamp:
        found.append(f"clamp {', '.join(_bound(name, bound) for name, bound in sorted(then.clamp.items()))}")
    if then.tags:
        found.append(f"tag {', '.join(then.tags)}")
    return "; ".join(found) or "nothing"


def effects_words(effects: Effects) -> str:
    """What was done to one request."""
    found = []
    if effects.block:
        until = f" until {timestamp(effects.until)}" if effects.until else ""
        found.append(f"blocked with {effects.block}{f' {plain(effects.code)}' if effects.code else ''}{until}")
    found += [f"{plain(limit)} throttled to {amount(to, 'share')}" for limit, to in effects.throttle.items()]
    if effects.delay:
        found.append(f"delayed by {span(effects.delay)}")
    for name, (before, after) in effects.clamp.items():
        was = "nothing said" if before is None else value_words(before)
        found.append(f"{plain(name)} clamped from {was} to {'nothing' if after is None else value_words(after)}")
    if effects.tags:
        found.append(f"tagged {plain(', '.join(effects.tags))}")
    return "; ".join(found)


def unit_words(unit: str, count: int = 2) -> str:
    """`tokens.output` as `output tokens`."""
    words = UNITS.get(unit, plain(unit))
    return words if count != 1 else words.replace("requests", "request").replace("tokens", "token")


def rate_words(draw: Draw) -> str:
    """A limit as it was drawn from: `600 requests a minute, 20 at one instant`."""
    if draw.kind == "lease":
        return f"{draw.capacity:,} {unit_words(draw.unit, draw.capacity)}"
    word = PERIODS.get(draw.period, "")
    period = f"every {_period(draw.period)}" if " " in word or not word else f"{'an' if word == 'hour' else 'a'} {word}"
    if draw.kind == "quota":
        return f"{draw.capacity:,} {unit_words(draw.unit, draw.capacity)} {period} of the calendar"
    return f"{draw.amount:,} {unit_words(draw.unit, draw.amount)} {period}, {draw.capacity:,} at one instant"


def most_words(draw: Draw) -> str:
    """The most that may pass: a rate lets its burst and then its rate through (`quotas.py`)."""
    if draw.kind == "rate":
        return f"at most {draw.amount + draw.capacity:,} in any {_period(draw.period)}"
    if draw.kind == "quota":
        return f"at most {draw.capacity:,} from {timestamp(draw.window)} to {timestamp(draw.window + draw.period)}"
    return f"at most {draw.capacity:,} at once"


def _period(micros: int) -> str:
    return PERIODS.get(micros) or span(micros)


def _number(value: float) -> str:
    if value != value or abs(value) >= 1e15:
        return f"{value:g}"
    text = f"{value:,.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _for(micros: int) -> str:
    return f" for {span(micros)}" if micros else ""


def _bound(name: str, bound: float | bool) -> str:
    return f"{name} off" if bound is False else f"{name} to {_number(bound)}"
