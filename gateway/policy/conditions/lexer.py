"""Pure. The text of a condition -> tokens: names, keywords, signs, texts, and numbers with their unit.

number := digits ["." digits] ["%" | [k|M|B] [request(s)|token(s)|byte(s)] | ms|s|m|min|h|d|w | dB]
text   := '…' or "…"; the quote itself is written twice, a backslash is a character like any other
name   := ident ("." part)*; from the second part on, a `-` before a letter or digit belongs to the name

A space may stand between a number and its unit. Scales are decimal (k = 1,000), durations are in seconds.
"""

import re
from decimal import Decimal
from typing import Literal, NamedTuple, NoReturn

from gateway.documents import shown
from gateway.policy.names import Unit

__all__ = ["DURATIONS", "KEYWORDS", "SCALES", "ExpressionError", "Token", "tokens"]

MAX_LENGTH = 2_000  # characters of a condition
MAX_DIGITS = 48  # characters of a number
MOST = 10**18  # of any number, after its scale

KEYWORDS = frozenset({"and", "or", "not", "in", "is", "true", "false"})
SCALES = {"k": 10**3, "M": 10**6, "B": 10**9}
DURATIONS = {  # seconds
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "min": Decimal(60),
    "h": Decimal(3_600),
    "d": Decimal(86_400),
    "w": Decimal(604_800),
}
COUNTS: dict[str, Unit] = {
    "request": "requests",
    "requests": "requests",
    "token": "tokens",
    "tokens": "tokens",
    "byte": "bytes",
    "bytes": "bytes",
}
MEANT = {  # what people write -> how it is written here
    **dict.fromkeys(("K", "thousand"), "k"),
    **dict.fromkeys(("mn", "mio", "million"), "M"),
    **dict.fromkeys(("b", "bn", "g", "G", "billion"), "B"),
    **dict.fromkeys(("D", "day", "days"), "d"),
    **dict.fromkeys(("H", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("mins", "minute", "minutes", "Min", "MIN"), "min"),
    **dict.fromkeys(("S", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("W", "week", "weeks"), "w"),
    **dict.fromkeys(("msec", "millis", "milliseconds", "MS"), "ms"),
    **dict.fromkeys(("db", "DB", "Db", "decibel", "decibels", "deciban", "decibans"), " dB"),
    **dict.fromkeys(("percent", "pct"), "%"),
    **dict.fromkeys(("kB", "KB", "kb"), "k bytes"),
    **dict.fromkeys(("MB", "Mb", "mb"), "M bytes"),
    **dict.fromkeys(("GB", "Gb", "gb"), "B bytes"),
    **dict.fromkeys(("req", "reqs", "Requests"), " requests"),
    **dict.fromkeys(("tok", "toks", "Tokens"), " tokens"),
    "Bytes": " bytes",
}
UNITS = "k, M, B, %, ms, s, min, h, d, w, dB, requests, tokens, bytes"

SPACE = re.compile(r"[ \t\r\n]+")
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+(?:-[A-Za-z0-9][A-Za-z0-9_]*)*)*")
SUFFIX = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*+)(?!\.[A-Za-z0-9_])(?![ \t]*\()")
PERCENT = re.compile(r"[ \t]*%")
SIGN = re.compile(r"[<>=!]=|[-<>+*/()\[\],]")
STRANGE = re.compile(r"===|=>|=<|=~|<>|&&?|\|\|?|!(?!=)|=(?!=)|\*\*|//|\.[0-9]+|[^-<>=!+*/()\[\],]")
"""What some other language has; looked for before the signs."""
HINTS = {
    "===": "write `==`",
    "=": "to compare, write `==`",
    "=>": "write `>=`",
    "=<": "write `<=`",
    "<>": "write `!=`",
    "=~": "for a pattern write `matches_glob(name, 'a*')`",
    "~": "for a pattern write `matches_glob(name, 'a*')`",
    "&": "write `and`",
    "&&": "write `and`",
    "|": "write `or`",
    "||": "write `or`",
    "!": "write `not`",
    "**": "there are no powers",
    "//": "write `/`",
    "%": "`%` stands right after a number, as in `25%`",
    "?": "there is no choice between two values here: write two conditions",
    ":": "units stand after the number, names have dots",
    ".": "a name can't begin or end with a dot",
    "{": "a list has square brackets",
    "}": "a list has square brackets",
    "$": "write the name alone",
    "@": "a list is written `lists.NAME`",
    **dict.fromkeys("“”„‘’‚«»`´", "use plain quotes: \" or '"),
}


class ExpressionError(ValueError):
    """A condition that can't be understood. `offset` is the character at fault, counted from 0."""

    def __init__(self, message: str, hint: str = "", offset: int = 0) -> None:
        super().__init__(_one_line(message))
        self.message = _one_line(message)
        self.hint = _one_line(hint)
        self.offset = offset


class Token(NamedTuple):
    """One word of a condition. `text` is what was written; of a text and a number, `value` is what it means."""

    kind: Literal["number", "text", "name", "keyword", "sign", "end"]
    text: str
    at: int
    value: int | float | str = 0
    unit: Unit = ""  # of a number


def tokens(text: str) -> list[Token]:
    """All tokens, the last one of kind `end`. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        _fail(f"this is longer than {MAX_LENGTH} characters", "split it into several rules, or use a list", MAX_LENGTH)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if space := SPACE.match(text, at):
            at = space.end()
            continue
        if name := NAME.match(text, at):
            word = name.group()
            found.append(Token("keyword" if word in KEYWORDS else "name", word, at))
            at = name.end()
        elif NUMBER.match(text, at):
            token = _number(text, at)
            found.append(token)
            at += len(token.text)
        elif text[at] in "'\"":
            token = _text(text, at)
            found.append(token)
            at += len(token.text)
        elif strange := STRANGE.match(text, at):
            word = strange.group()
            hint = f"write `0{word}`" if word[0] == "." and len(word) > 1 else HINTS.get(word, "")
            if not hint and word.isalpha():
                hint = "names are made of ASCII letters, digits, `_` and dots"
            _fail(f"{shown(word)} is not expected here", hint, at)
        elif sign := SIGN.match(text, at):
            found.append(Token("sign", sign.group(), at))
            at = sign.end()
        else:  # only for a reader of the two patterns: together they match every character
            _fail(f"{shown(text[at])} is not expected here", "", at)
    found.append(Token("end", "", len(text.rstrip(" \t\r\n"))))
    return found


def _text(text: str, at: int) -> Token:
    quote = text[at]
    end = text.find(quote, at + 1)
    while end != -1 and text[end + 1 : end + 2] == quote:
        end = text.find(quote, end + 2)
    inside = text[at + 1 : end]
    if end == -1 or "\n" in inside or "\r" in inside:
        _fail("this text does not end", f"close it with {quote}", at)
    return Token("text", text[at : end + 1], at, inside.replace(quote * 2, quote))


def _number(text: str, at: int) -> Token:
    match = NUMBER.match(text, at)
    digits = match.group() if match else ""
    end = at + len(digits)
    if len(digits) > MAX_DIGITS or text[end : end + 1] == ".":
        _fail("this number can't be read", "digits and one point: 1000, 2.5, or 2k", at)
    amount = Decimal(digits)
    unit: Unit = ""
    if percent := PERCENT.match(text, end):
        amount, unit, end = amount / 100, "share", percent.end()
    elif (word := _suffix(text, end)) is not None:
        scaled = word[1] in SCALES
        if scaled:
            amount *= SCALES[word[1]]
            end = word.end()
            if PERCENT.match(text, end):
                _fail("a percentage has no scale", f"write `{digits}%`", end)
            word = _suffix(text, end)
        if word is not None:
            amount, unit = _with_unit(text, at, amount, word, scaled)
            end = word.end()
    if amount > MOST:
        _fail("this number is too large", "at most 10^18", at)
    whole = amount == int(amount) or float(amount).is_integer()  # also what a float can't tell from a whole number
    value: int | float = int(amount if amount == int(amount) else float(amount)) if whole else float(amount)
    return Token("number", text[at:end], at, value, unit)


def _with_unit(text: str, at: int, amount: Decimal, word: re.Match[str], scaled: bool) -> tuple[Decimal, Unit]:
    unit, where = word[1], word.start(1)
    written = text[at:where].rstrip()
    if unit in COUNTS:
        return amount, COUNTS[unit]
    if not scaled and unit == "dB":
        return amount, "dB"
    if not scaled and unit in DURATIONS:
        after = _suffix(text, word.end())
        if after is not None and after[1] in COUNTS:
            hint = f"did you mean `{written}M {after[1]}`?" if unit == "m" else f"write `{written} {after[1]}`"
            _fail(f"{shown(written + unit)} is a duration, not a number of {COUNTS[after[1]]}", hint, where)
        return amount * DURATIONS[unit], "duration"
    hint = f"the units are {UNITS}"
    if unit in MEANT and not scaled:
        hint = f"did you mean `{written}{MEANT[unit]}`?"
    elif unit[0] in SCALES and unit[1:] in COUNTS and not scaled:
        hint = f"did you mean `{written}{unit[0]} {unit[1:]}`?"
    elif unit.lower() in {"month", "months", "mo", "year", "years", "y"}:
        hint = "write it in days, as in `30d`"
    elif re.fullmatch(r"[eE][0-9]*", unit):
        hint = "write it out, or with k, M or B"
    elif unit[0] == "_":
        hint = "digits only: 1000, or 1k"
    elif unit.lower() in KEYWORDS:
        hint = f"write `{unit.lower()}`"
    raise ExpressionError(f"{shown(unit)} is no unit", hint, where)


def _suffix(text: str, at: int) -> re.Match[str] | None:
    """The word after a number, unless it belongs to what follows: a keyword, a dotted name, a function."""
    word = SUFFIX.match(text, at)
    return None if word is None or word[1] in KEYWORDS else word


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text)


def _fail(message: str, hint: str, offset: int) -> NoReturn:
    raise ExpressionError(message, hint, offset)
