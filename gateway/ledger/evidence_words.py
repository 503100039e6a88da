"""Pure. What a scorecard's lines read, and what would change that, in words.

    said(line, judged)        412 of 430 requests fill one frame; 3 of 1,000 owners do
    behaviour(line, judged)   fewer requests that fill one frame
    owners(line, hits, of)    3 of 1,000 owners do

Counts fade, so "412 requests" are what is left of them, as the card of their signal says. `owners` counts the line's
benign owners whose share is at least as high, or, where the line looks for a low share, at most as high. That is the
tail of its null (`policy/tail.py`), taken half a request on the safe side, since who shows a share of 1 in so many
requests may well have a little less. Of a campaign (`Side`) requests are those of all members; a share of members has
shared recipes in the place of owners.
"""

import msgspec

from gateway.campaigns.pool import POOLED
from gateway.catalogue import CARDS, Card, Gauge, fades
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.sides import Side
from gateway.ledger.words import amount, value_words
from gateway.policy.conditions.expressions import names_in, show
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.nearest import Change, nearest
from gateway.policy.facts import FACETS
from gateway.policy.model import Evidence
from gateway.policy.tail import above

__all__ = [
    "behaviour",
    "cards_of",
    "change_words",
    "fading",
    "gauge_of",
    "owners",
    "reading_words",
    "reads",
    "said",
]

GAUGES: dict[str, tuple[Card, Gauge]] = {
    gauge.name: (card, gauge) for card in CARDS.values() for gauge in card.readings
}
NONE = 0.05  # hits: less is what has faded to nothing
CAMPAIGN = "campaign."
ALL = "requests of all members"

Judged = Rejudged | Side


def gauge_of(name: str) -> tuple[Card, Gauge] | None:
    """The card and the reading of a name, if it is one; `campaign.NAME` may be an account's, of all members."""
    bare = _bare(name)
    found = GAUGES.get(bare)
    own = bare.removeprefix(CAMPAIGN)
    if found is None and own != bare and own in POOLED and own in GAUGES:
        card, gauge = GAUGES[own]
        return card, msgspec.structs.replace(gauge, name=bare, among=ALL)
    return found


def _gauge(name: str, judged: Judged) -> Gauge | None:
    """The same, with what its share is of: of a campaign, the requests of all members."""
    found = gauge_of(name)
    if found is None:
        return None
    gauge = found[1]
    pooled = isinstance(judged, Side) and judged.joint and not name.startswith(CAMPAIGN)
    return msgspec.structs.replace(gauge, among=ALL) if pooled else gauge


def said(line: Evidence, judged: Judged) -> str:
    """What a line read, in words."""
    if line.kind == "rate":
        return _rate(line, judged)
    return reads(line, judged) if line.kind == "when" else _quantity(line, judged)


def _rate(line: Evidence, judged: Judged) -> str:
    hits, of = (judged.known.get(f"{line.text}{facet}") or 0.0 for facet in FACETS)
    gauge = _gauge(line.text, judged)
    words, among = (gauge.words, gauge.among) if gauge is not None else (line.text, "requests")
    if of <= 0.0:
        return f"no {among} yet that could {words}: {line.text} is missing"
    count = "none" if hits < NONE else _few(hits)
    told = owners(line, hits, of, "shared recipes" if among == "members" else "owners")
    return f"{count} of {_few(of)} {among} {words}{f'; {told}' if told else ''}"


def owners(line: Evidence, hits: float, of: float, who: str = "owners") -> str:
    """How many of a `rate` line's benign owners (or what else `who` names) go as far; "" where everybody does."""
    low = _looks_for_less(line)
    if hits > of - NONE if low else hits < NONE:
        return ""
    tail = 1.0 - above((hits + 0.5) / of, line.null) if low else above((hits - 0.5) / of, line.null)
    does = "do as little" if low else "do"
    if tail > 0.5:
        return f"most {who} do as little" if low else f"most {who} do as much"
    if tail < 0.0001:
        return f"fewer than 1 in 10,000 {who} {does}"
    whole = 100 if tail >= 0.1 else 1_000 if tail >= 0.001 else 10_000
    return f"{round(tail * whole)} of {whole:,} {who} {does}"


def _looks_for_less(line: Evidence) -> bool:
    """Whether what a `rate` line looks for has a lower share than benign use."""
    (a0, b0), (a1, b1) = line.null, line.alternative
    return a1 / (a1 + b1) < a0 / (a0 + b0)


def _quantity(line: Evidence, judged: Judged) -> str:
    """Of a `read` line: its value with its words, or with those of what it is made of."""
    node = judged.engine.parsed[line.text]
    names, text = names_in(node), show(node)
    if names == (text,):
        return f"{_reading(text, judged)} ({text})"
    value = value_words(evaluate(node, judged.known, judged.policy.lists))
    return f"{text} = {value} ({'; '.join(_reading(name, judged) for name in names)})"


def _reading(name: str, judged: Judged) -> str:
    """`96% of requests fill one frame`, `tokens read: 400`, `req.n: 4`."""
    value, unit = judged.known.get(name), judged.engine.names[name].unit
    gauge = _gauge(name, judged)
    if gauge is None or gauge.name != name or value is None:
        return f"{name}: {value_words(value, unit)}"
    return reading_words(gauge, value)


def reading_words(gauge: Gauge, value: float) -> str:
    """A reading in words: `96% of requests fill one frame`, `tokens read: 400`."""
    if gauge.share:
        return f"{amount(value, 'share')} of {gauge.among} {gauge.words}"
    pooled = " by all members" if gauge.among == ALL else ""
    plain = gauge.unit in ("requests", "tokens") and gauge.unit in gauge.words
    return f"{gauge.words}{pooled}: {amount(value, '' if plain else gauge.unit)}"


def reads(line: Evidence, judged: Judged) -> str:
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


def behaviour(line: Evidence, judged: Judged) -> str:
    """What makes a line that raises the score count less."""
    if line.kind == "rate":
        gauge = _gauge(line.text, judged)
        among, words = (gauge.among, gauge.words) if gauge is not None else ("requests", line.text)
        return f"{'more' if _looks_for_less(line) else 'fewer'} {among} that {words}"
    node = judged.engine.parsed[line.text]
    if line.kind == "when":
        ways = nearest(node, False, judged.known, judged.engine.names, judged.policy.lists)
        return " and ".join(change_words(judged, change) for change in ways[0]) if ways else f"not {show(node)}"
    value = evaluate(node, judged.known, judged.policy.lists) or 0.0
    lower = [db for x, db in line.points if x < value]
    higher = [db for x, db in line.points if x >= value]
    return f"a {'higher' if min(higher, default=0.0) < min(lower, default=0.0) else 'lower'} {show(node)}"


def fading(line: Evidence, judged: Judged) -> tuple[str, str]:
    """How fast that takes effect: the sentence, and the half-life (as `4.9 days`) of hits that would cease, or ""."""
    names = [line.text] if line.kind == "rate" else names_in(judged.engine.parsed[line.text])
    read = [found for found in map(gauge_of, names) if found is not None]
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


def cards_of(line: Evidence, judged: Judged) -> list[Card]:
    """The cards of the signals that a line reads."""
    names = [line.text] if line.kind == "rate" else names_in(judged.engine.parsed[line.text])
    return list(dict.fromkeys(found[0] for found in map(gauge_of, names) if found is not None))


def change_words(judged: Judged, change: Change) -> str:
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
