"""Pure. What each scorecard added up, what would lower it, who looks alike without guilt, what argued against."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.decide import Verdict
from gateway.ledger.evidence_words import behaviour, cards_of, fading, reads, said
from gateway.ledger.explanation import Addend, Alike, CardSaid, FamilySaid, Lower, Silent, Turn
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.words import amount, plain
from gateway.policy.cards import REQUESTS
from gateway.policy.conditions.expressions import show
from gateway.policy.effects import STRENGTH
from gateway.policy.evidence import family as family_sum
from gateway.policy.model import Evidence, Scorecard
from gateway.policy.reach import ends

__all__ = ["STRONGEST", "scored"]

NO_BOUND = 1e9  # dB
STRONGEST = 3  # addends of a card that more is said of
HALVINGS = 10  # of hits, in search of a milder verdict


def scored(verdict: Verdict, judged: Rejudged | None) -> list[CardSaid]:
    """Every scorecard: as judged again where the policy is there, else as recorded."""
    if judged is None:
        return [
            CardSaid(plain(name), score, addends=_recorded(verdict.evidence.get(name, {})))
            for name, score in verdict.scores.items()
        ]
    return [_card(card.card, judged) for card in judged.engine.cards]


def _recorded(evidence: Mapping[str, float]) -> tuple[Addend, ...]:
    strongest = sorted(evidence.items(), key=lambda each: (-abs(each[1]), each[0]))
    return tuple(Addend(plain(name), db) for name, db in strongest)


def _card(card: Scorecard, judged: Rejudged) -> CardSaid:
    scores = judged.scores
    prior, score = card.prior.get("account", 0.0), scores.scores[card.id]
    if judged.known.get(f"score.{card.id}") is None:
        return CardSaid(card.id, score, prior, show(judged.engine.parsed[card.needs]) if card.needs else "nothing")
    counted, sums = scores.evidence.get(card.id, {}), scores.families.get(card.id, {})
    uncut = judged.uncut(card)
    families = []
    for name, db in sums.items():
        kind = card.families[name]
        pieces = [
            (counted[line.id], line.ceiling) for line in card.evidence if line.family == name and line.id in counted
        ]
        loose = family_sum(pieces, ceiling=NO_BOUND, correlation=kind.correlation, floor=-NO_BOUND)
        whole = round(sum(each for each, _ in pieces), 2)
        families.append(FamilySaid(name, db, whole, round(loose, 2), kind.ceiling))
    lines = sorted(
        (each for each in card.evidence if each.id in counted), key=lambda each: (-abs(counted[each.id]), each.id)
    )
    addends = tuple(_addend(line, counted[line.id], uncut.get(line.id), card, judged) for line in lines)
    raised = [line for line in lines if counted[line.id] > 0][:STRONGEST]
    return CardSaid(
        id=card.id,
        score=score,
        prior=prior,
        families=tuple(families),
        addends=addends,
        lower=tuple(_lower(line, card, judged) for line in raised),
        alike=_alike(raised, [line for line in lines if counted[line.id] < 0], judged),
        silent=tuple(_silent(card, counted, judged)),
    )


def _addend(line: Evidence, db: float, uncut: float | None, card: Scorecard, judged: Rejudged) -> Addend:
    score, ruling = judged.without(card, line.id)
    without = Turn(f"without `{line.id}`", (line.id,), ruling.verdict, ruling.action)
    return Addend(
        id=line.id,
        db=db,
        family=line.family,
        reads=reads(line, judged),
        uncut=uncut if uncut is not None and uncut > db + 0.01 else None,
        without=without if _milder(without, judged) else None,
        score=score,
        words=said(line, judged),
        unlifted=uncut if uncut is not None and uncut < db - 0.01 else None,
    )


def _lower(line: Evidence, card: Scorecard, judged: Rejudged) -> Lower:
    """What would make a line count less. Hits that cease are halved until the verdict is milder, else once."""
    score, ruling = judged.without(card, line.id)
    fades, half_life = fading(line, judged)
    gone = Turn(f"without `{line.id}`", (line.id,), ruling.verdict, ruling.action)
    made = Lower(line.id, score, gone, behaviour(line, judged), fades)
    if not half_life:
        return made
    left = [_after(halvings, half_life, line, card, judged) for halvings in range(1, HALVINGS + 1)]
    first = next((each for each in left if _milder(each[1], judged)), left[0])
    return msgspec.structs.replace(made, later=first[0], then=first[1])


def _after(halvings: int, half_life: str, line: Evidence, card: Scorecard, judged: Rejudged) -> tuple[float, Turn]:
    """Score and verdict so many half-lives after a share's hits have ceased, with as many other requests as before."""
    names = [name for name in (line.text, f"{line.text}.hits") if judged.known.get(name)]
    score, ruling = judged.scored_with(card, {name: judged.known[name] / 2**halvings for name in names})
    number, _, unit = half_life.partition(" ")
    text = f"{float(number) * halvings:.3g} {unit}"
    return score, Turn(text, (line.id,), ruling.verdict, ruling.action)


def _milder(turn: Turn, judged: Rejudged) -> bool:
    now = judged.ruling
    return STRENGTH[turn.verdict] < STRENGTH[now.verdict] or STRENGTH[turn.action] < STRENGTH[now.action]


def _alike(raised: Sequence[Evidence], lowered: Sequence[Evidence], judged: Rejudged) -> tuple[Alike, ...]:
    """The signals that the strongest lines read, and which lines that read them too speak for innocence."""
    found: dict[str, Alike] = {}
    for line in raised:
        for card in cards_of(line, judged):
            lines = (*found[card.file].lines, line.id) if card.file in found else (line.id,)
            speaks = tuple(each.id for each in lowered if card in cards_of(each, judged))
            found[card.file] = Alike(card.code, card.file, card.name, card.look_alikes, lines, speaks)
    return tuple(found.values())


def _silent(card: Scorecard, counted: Mapping[str, float], judged: Rejudged) -> list[Silent]:
    """The lines that count nothing and could have argued against."""
    requests = judged.known.get(REQUESTS) or 0.0
    found = []
    for line in card.evidence:
        least = max(ends(line)[0], line.floor)
        if line.id in counted or least >= 0:
            continue
        early = f"silent before {amount(line.after, 'requests')} of a week; " if requests < line.after else ""
        found.append(Silent(line.id, line.family, round(least, 2), f"{early}{said(line, judged)}"))
    return found
