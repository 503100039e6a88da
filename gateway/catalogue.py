"""Pure. The catalogue of signals: each one's card, read from the docstring of its module.

    Pure. C6, elicitation of reasoning: what it is about, in one line.

    measures     a text, which goes on
                 in lines that are indented
    formula      ...

Every key of `KEYS` stands there once, and none else. `gauger signals` and the table in `policies/README.md` print the
cards; an explanation says who looks alike without guilt, and how fast a trace fades. Signals of accounts and those of
campaigns (`campaigns/signals/`) have the same kind of card; a campaign's readings are called `campaign.NAME`.
"""

import re
import sys
from collections.abc import Mapping

import msgspec

from gateway.campaigns.bonds import BONDS
from gateway.campaigns.signals import Bond
from gateway.gauges import PANEL
from gateway.signals import SPANS, Signal, Unit

__all__ = ["CARDS", "KEYS", "Card", "Gauge", "card_of", "fades", "in_order", "parse", "reference"]

KEYS = ("measures", "formula", "unit", "state", "half-life", "evasion", "look-alikes", "source")
FAMILIES = ("content", "params", "response", "timing", "account", "network", "campaign")
TITLE = re.compile(r"Pure\. (?P<code>[A-Z]\d+), (?P<title>\S.*\S)")
FIELD = re.compile(r"(?P<key>[a-z][a-z-]*) +(?P<text>\S.*)")
DURATION = re.compile(r"\d+(?:\.\d+)? (?:minutes?|hours?|days?|weeks?)")
SPAN_HALF = {"hour": "42 minutes", "day": "17 hours", "week": "4.9 days"}  # ln 2 of each of `SPANS`
assert SPAN_HALF.keys() == SPANS.keys()


class Gauge(msgspec.Struct, frozen=True):
    """One reading of a signal. `share`: it has hits and the requests that they are of, as names of their own."""

    name: str
    unit: Unit
    doc: str
    words: str
    share: bool
    missing: bool
    among: str = "requests"  # what a share is of


class Card(msgspec.Struct, frozen=True):
    """What is known of a signal. Texts are the card's, each in one line."""

    code: str  # of the catalogue, as "C6"
    file: str  # its module's name
    family: str
    title: str
    measures: str
    formula: str
    unit: str
    state: str
    half_life: str
    evasion: str
    look_alikes: str
    source: str
    readings: tuple[Gauge, ...]

    @property
    def name(self) -> str:
        """The title up to its colon."""
        return self.title.partition(":")[0]

    @property
    def path(self) -> str:
        """The file of its code."""
        return f"gateway/{'campaigns/' if self.family == 'campaign' else ''}signals/{self.file}.py"


def parse(text: str) -> tuple[str, str, dict[str, str]]:
    """Code, title and fields of a card. Raises ValueError for a text that is none."""
    first, *rest = text.strip().splitlines()
    head = TITLE.fullmatch(first.strip())
    if head is None:
        raise ValueError("a card begins as in `Pure. C6, elicitation of reasoning: what it is about`")
    fields: dict[str, str] = {}
    key = ""
    for line in rest:
        found = FIELD.fullmatch(line.rstrip())
        if found is not None:
            key = found["key"]
            if key not in KEYS or key in fields:
                raise ValueError(f"a card has no {key!r}, or has it twice")
            fields[key] = found["text"]
        elif line.strip():
            if not key or not line.startswith(" "):
                raise ValueError(f"a line of a card begins with a key or goes on with one: {line!r}")
            fields[key] += f" {line.strip()}"
    lacks = [each for each in KEYS if each not in fields]
    if lacks:
        raise ValueError(f"a card lacks {', '.join(lacks)}")
    return head["code"], head["title"].removesuffix("."), fields


def card_of(file: str, signal: Signal | type[Bond]) -> Card:
    """The card of an account's signal, or of a campaign's. Raises ValueError where its module's docstring is none, or
    says another code."""
    made = signal if isinstance(signal, type) else type(signal)
    code, title, fields = parse(sys.modules[made.__module__].__doc__ or "-")
    if code != signal.code:
        raise ValueError(f"{file}: its card says {code}, its class {signal.code}")
    if isinstance(signal, type):
        readings = [
            Gauge(f"campaign.{each.name}", each.unit, each.doc, each.words, each.share, True, "members")
            for each in signal.gauges
        ]
    else:
        readings = [
            Gauge(read.name, read.unit, read.doc, read.words, read.hits is not None, read.missing)
            for read in signal.readings()
        ]
    return Card(
        code,
        file,
        signal.family,
        title,
        fields["measures"],
        fields["formula"],
        fields["unit"],
        fields["state"],
        fields["half-life"],
        fields["evasion"],
        fields["look-alikes"],
        fields["source"],
        tuple(readings),
    )


def in_order(cards: Mapping[str, Card]) -> dict[str, Card]:
    """By family, as a score's families are usually listed, then by code."""

    def place(card: Card) -> tuple[int, str, int]:
        return FAMILIES.index(card.family), card.code[0], int(card.code[1:])

    return {card.file: card for card in sorted(cards.values(), key=place)}


assert PANEL.signals.keys().isdisjoint(BONDS)
CARDS = in_order(
    {file: card_of(file, signal) for file, signal in PANEL.signals.items()}
    | {file: card_of(file, bond) for file, bond in BONDS.items()}
)
"""File name -> card, of every signal that is there."""


def fades(card: Card, reading: str) -> str:
    """How long half of what a reading counts lasts after it stops, as in `4.9 days`; "" where no single time is said.

    A reading that is named after its span fades with that; others as their card says first.
    """
    span = SPAN_HALF.get(reading.removeprefix("campaign.").partition(".")[0])
    if span is not None:
        return span
    found = DURATION.match(card.half_life)
    return found[0] if found is not None else ""


def reference() -> str:
    """The table of all signals, as `policies/README.md` carries it."""
    rows = ["| family | code | signal | readings | who looks alike without guilt |", "|---|---|---|---|---|"]
    for card in CARDS.values():
        readings = ", ".join(f"`{each.name}`" for each in card.readings)
        cells = (card.family, card.code, card.title, readings, card.look_alikes)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"
