"""Shell. `gauger signals`: the cards of the signals, what each measures, what evades it, and who looks alike."""

from collections.abc import Iterable
from textwrap import wrap

import click
import msgspec

from gateway.catalogue import CARDS, KEYS, Card
from gateway.documents import did_you_mean, shown
from gateway.errors import Mistake
from gateway.ledger.explain_text import WIDTH
from gateway.ledger.line import encode

__all__ = ["command"]

SCHEMA = "gauger.signals/1"
INDENT = 15  # columns before a field's text


@click.command("signals")
@click.argument("name", required=False, metavar="[CODE|FILE|READING]")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def command(name: str | None, as_json: bool) -> None:
    """What is measured of an account or a campaign: the card of each signal, or of one.

    \b
    gauger signals                       all of them, by family
    gauger signals C6                    one, by its code,
    gauger signals cot_elicitation       by its file's name,
    gauger signals campaign.partition    or by the name that a condition or scorecard reads

    A card says what is measured and how, how fast it fades, what it costs to evade, and who looks alike without guilt.
    """
    cards = list(CARDS.values()) if name is None else [_one(name)]
    if as_json:
        click.echo(encode({"schema": SCHEMA, "signals": msgspec.to_builtins(cards)}), nl=False)
    else:
        click.echo("\n".join("".join(f"{line}\n" for line in _text(card)) for card in cards), nl=False)


def _one(name: str) -> Card:
    """The card of a code, file or reading. Raises Mistake."""
    known: dict[str, Card] = {}
    for card in CARDS.values():
        known |= dict.fromkeys((card.code, card.file), card)
        for gauge in card.readings:
            facets = (f"{gauge.name}.hits", f"{gauge.name}.of") if gauge.share else ()
            known |= dict.fromkeys((gauge.name, gauge.name.removeprefix("campaign."), *facets), card)
    found = known.get(name) or known.get(name.upper()) or known.get(name.removesuffix(".py"))
    if found is None:
        hint = did_you_mean(name, known) or "`gauger signals` prints all of them"
        raise Mistake(f"there is no signal or reading {shown(name)}", hint=hint)
    return found


def _text(card: Card) -> Iterable[str]:
    yield from wrap(f"{card.code}  {card.title}", WIDTH, subsequent_indent="    ")
    yield from _field("family", f"{card.family}; {card.path}")
    for key in KEYS:
        yield from _field(key, getattr(card, key.replace("-", "_")))
    for at, gauge in enumerate(card.readings):
        unit = f" ({gauge.unit})" if gauge.unit else ""
        absent = "; may be missing" if gauge.missing else ""
        yield from _field("" if at else "readings", f"{gauge.name}{unit}: {gauge.doc}{absent}", deeper=2)


def _field(key: str, text: str, deeper: int = 0) -> list[str]:
    first = f"  {key:<{INDENT - 2}}"
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * (INDENT + deeper), break_on_hyphens=False)
