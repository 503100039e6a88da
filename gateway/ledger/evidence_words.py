"""Pure. What a scorecard's lines read, and what would change that, in words.

    said(line, judged)        412 of 430 requests fill one frame; 3 of 1,000 owners do
    behaviour(line, judged)   fewer requests that fill one frame
    owners(line, hits, of)    3 of 1,000 owners do

Counts fade, so "412 requests" are what is left of them, as the card of their signal says. `owners` counts the line's
benign owners whose share is at least as high, or, where the line looks for a low share, at most as high. That is the
tail of its null (`policy/tail.py`), taken half a request on the safe side, since who shows a share of 1 in so many
requests may well have a little less.
"""

from gateway.catalogue import CARDS, Card, Gauge, fades
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.words import amount, value_words
from gateway.policy.conditions.expressions import names_in, show
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.nearest import Change, nearest
from gateway.policy.facts import FACETS
from gateway.policy.model import Evidence
from gateway.policy.tail import above

__all__ = ["behaviour", "cards_of", "change_words", "fading", "owners", "reads", "said"]

GAUGES: dict[str, tuple[Card, Gauge]] = {
    gauge.name: (card, gauge) for card in CARDS.values() for gauge in card.readings
}
NONE = 0.05  # hits: less is what has faded to nothing


def said(line: Evidence, judged: Rejudged) -> str:
    """What a line read, in words."""
    if line.kind == "rate":
        return _rate(line, judged)
    return reads(line, judged) if line.kind == "when" else _quantity(line, judged)


def _rate(line: Evidence, judged: Rejudged) -> str:
    hits, of = (judged.known.get(f"{line.text}{facet}") or 0.0 for facet in FACETS)
    words = GAUGES[line.text][1].words
    if of <= 0.0:
        return f"no requests yet that could {words}: {line.text} is missing"
    count = "none" if hits < NONE else _few(hits)
    told = owners(line, hits, of)
    return f"{count} of {_few(of)} requests {words}{f'; {told}' if told else ''}"


def owners(line: Evidence, hits: float, of: float) -> str:
    """How many of a `rate` line's benign owners go as far; "" where everybody does."""
    low = _looks_for_less(line)
    if hits > of - NONE if low else hits < NONE:
        return ""
    tail = 1.0 - above((hits + 0.5) / of, line.null) if low else above((hits - 0.5) / of, line.null)
    does = "do as little" if low else "do"
    if tail > 0.5:
        return "most owners do as little" if low else "most owners do as much"
    if tail < 0.0001:
        return f"fewer than 1 in 10,000 owners {does}"
    whole = 100 if tail >= 0.1 else 1_000 if tail >= 0.001 else 10_000
    return f"{round(tail * whole)} of {whole:,} owners {does}"


def _looks_for_less(line: Evidence) -> bool:
    """Whether what a `rate` line looks for has a lower share than benign use."""
    (a0, b0), (a1, b1) = line.null, line.alternative
    return a1 / (a1 + b1) < a0 / (a0 + b0)


def _quantity(line: Evidence, judged: Rejudged) -> str:
    """Of a `read` line: its value with its words, or with those of what it is made of."""
    node = judged.engine.parsed[line.text]
    names, text = names_in(node), show(node)
    if names == (text,):
        return f"{_reading(text, judged)} ({text})"
    value = value_words(evaluate(node, judged.known, judged.policy.lists))
    return f"{text} = {value} ({'; '.join(_reading(name, judged) for name in names)})"


def _reading(name: str, judged: Rejudged) -> str:
    """`96% of requests fill one frame`, `tokens read: 400`, `req.n: 4`."""
    value, unit = judged.known.get(name), judged.engine.names[name].unit
    if name not in GAUGES or value is None:
        return f"{name}: {value_words(value, unit)}"
    gauge = GAUGES[name][1]
    if gauge.share:
        return f"{amount(value, 'share')} of requests {gauge.words}"
    plain = "" if unit in ("requests", "tokens") and unit in gauge.words else unit
    return f"{gauge.words}: {value_words(value, plain)}"


def reads(line: Evidence, judged: Rejudged) -> str:
    """The same with the policy's own names: hits of requests, a quantity's value, or a condition with its values."""
    known, engine = judged.known, judged.engine
    if line.kind == "rate":
        hits, of = (known.get(f"{line.text}{facet}") or 0.0 for facet in FACETS)
        return f"{line.text} {amount(hits)} of {amount(of, 'requests')}"
    node = engine.parsed[line.text]
    names, text = names_in(node), show(node)
    read = [f"{name} {value_words(known.get(name), engine.names[name].unit)}" for name in names]
    if len(names) == 1 and text.startswith(names[0]):  # the name stands there already
        value = value_words(known.get(names[0]), engine.names[names[0]].unit)
        return f"{text} {value}" if text == names[0] else f"{text}: {value}"
    if line.kind == "when":
        return f"{text}: {', '.join(read)}"
    return f"{text} = {value_words(evaluate(node, known, judged.policy.lists))}: {', '.join(read)}"


def behaviour(line: Evidence, judged: Rejudged) -> str:
    """What makes a line that raises the score count less."""
    if line.kind == "rate":
        return f"{'more' if _looks_for_less(line) else 'fewer'} requests that {GAUGES[line.text][1].words}"
    node = judged.engine.parsed[line.text]
    if line.kind == "when":
        ways = nearest(node, False, judged.known, judged.engine.names, judged.policy.lists)
        return " and ".join(change_words(judged, change) for change in ways[0]) if ways else f"not {show(node)}"
    value = evaluate(node, judged.known, judged.policy.lists) or 0.0
    lower = [db for x, db in line.points if x < value]
    higher = [db for x, db in line.points if x >= value]
    return f"a {'higher' if min(higher, default=0.0) < min(lower, default=0.0) else 'lower'} {show(node)}"


def fading(line: Evidence, judged: Rejudged) -> tuple[str, str]:
    """How fast that takes effect: the sentence, and the half-life (as `4.9 days`) of hits that would cease, or ""."""
    names = [line.text] if line.kind == "rate" else names_in(judged.engine.parsed[line.text])
    read = [GAUGES[name] for name in map(_bare, names) if name in GAUGES]
    if not read:
        facts = all(judged.engine.names[name].level == "fact" for name in names)
        return "at once, for a request of which that holds" if facts else "", ""
    halves = list(dict.fromkeys(fades(card, gauge.name) for card, gauge in read))
    if len(halves) > 1 or not halves[0]:
        told = [f"{card.code} {card.half_life}" for card in dict.fromkeys(card for card, _ in read)]
        return f"half-life: {'; '.join(told)}", ""
    if line.kind == "rate" and not _looks_for_less(line):
        return f"half of it is gone {halves[0]} after it stops", halves[0]
    return f"what was before counts half as much {halves[0]} later", ""


def cards_of(line: Evidence, judged: Rejudged) -> list[Card]:
    """The cards of the signals that a line reads."""
    names = [line.text] if line.kind == "rate" else names_in(judged.engine.parsed[line.text])
    return list(dict.fromkeys(GAUGES[name][0] for name in map(_bare, names) if name in GAUGES))


def change_words(judged: Rejudged, change: Change) -> str:
    """`score.extraction below 10 dB (2.3 dB less)`."""
    name, side, bound, _ = change
    unit = judged.engine.names[name].unit
    if side in ("known", "missing"):
        return f"{name} {side}"
    text = f"{name} {side} {value_words(bound, unit)}"
    old = judged.known.get(name)
    if side in ("is not", "is") or isinstance(bound, str | bool) or old is None:
        return text
    away = round(bound - old, 3)
    return text if not away else f"{text} ({amount(abs(away), unit)} {'less' if away <= 0 else 'more'})"


def _bare(name: str) -> str:
    """A share's own name, of its facets."""
    for facet in FACETS:
        name = name.removesuffix(facet)
    return name


def _few(count: float) -> str:
    """A faded count: whole from ten on."""
    return f"{round(count):,}" if count >= 9.95 else amount(round(count, 1))
