"""Pure. What each scorecard added up, what would lower it, who looks alike without guilt, what argued against.

Of an account in a campaign both sides are told (`sides.py`), and which of them is the score.
"""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.campaigns import ACTS
from gateway.ledger.evidence_words import behaviour, cards_of, fading, reads, said
from gateway.ledger.explanation import Addend, Alike, CardSaid, FamilySaid, Lower, Shared, Silent, Turn
from gateway.ledger.record import Ruled
from gateway.ledger.rejudge import NO_BOUND, Rejudged
from gateway.ledger.sides import Side, Sides, same
from gateway.ledger.words import amount, plain
from gateway.policy.cards import REQUESTS
from gateway.policy.conditions.expressions import show
from gateway.policy.effects import STRENGTH
from gateway.policy.evidence import family as family_sum
from gateway.policy.model import Evidence, Scorecard
from gateway.policy.reach import ends

__all__ = ["STRONGEST", "scored"]

STRONGEST = 3  # addends of a card that more is said of
HALVINGS = 10  # of hits, in search of a milder verdict


def scored(ruled: Ruled, judged: Rejudged | None) -> list[CardSaid]:
    """Every scorecard: as judged again where the policy is there, else as recorded."""
    if judged is None:
        return [_recorded(name, ruled) for name in ruled.verdict.scores]
    return [_card(card, judged) for card in judged.policy.scorecards]


def _recorded(name: str, ruled: Ruled) -> CardSaid:
    """What the record alone says of a card: lines and their dB. Which side decides isn't always in it."""
    verdict, membership = ruled.verdict, ruled.facts.membership
    score = verdict.scores[name]
    whole = verdict.campaign.get(name)
    shared = None
    if whole is not None:
        most = whole + membership  # and less where something speaks for the account
        told = f"The campaign's score is {amount(whole, 'dB')}, membership {amount(membership, 'dB')}"
        if same(score, most):
            decides, more = True, f"together {amount(most, 'dB')}, which is the score"
        elif score > most:
            decides, more = False, f"together {amount(most, 'dB')} or less: the score is the account's own"
        else:
            decides, more = None, "less what speaks for the account; whether that is the score only the policy tells"
        addends = _in_order(verdict.together.get(name, {}))
        shared = Shared(whole, membership, f"{told}: {more}.", decides=decides, addends=addends)
    return CardSaid(plain(name), score, addends=_in_order(verdict.evidence.get(name, {})), shared=shared)


def _in_order(evidence: Mapping[str, float]) -> tuple[Addend, ...]:
    strongest = sorted(evidence.items(), key=lambda each: (-abs(each[1]), each[0]))
    return tuple(Addend(plain(name), db) for name, db in strongest)


def _card(card: Scorecard, judged: Rejudged) -> CardSaid:
    sides = Sides(judged, card)
    own = sides.own
    score, prior = judged.scores.scores[card.id], card.prior.get("account", 0.0)
    raised = _raised(own)
    made = CardSaid(
        id=card.id,
        score=score,
        prior=prior,
        needs="" if own.score is not None else _needs(card, judged),
        families=_families(own),
        addends=tuple(_addends(own, card, judged)),
        alike=_alike(raised[:STRONGEST], own),
        silent=tuple(_silent(own)) if own.score is not None else (),
        own=own.score,
    )
    whole, deciding = sides.whole, own
    if whole is not None and sides.shared:
        deciding = whole
    if whole is not None:
        made = msgspec.structs.replace(made, shared=_shared(card, sides, whole, judged))
    strongest = _raised(deciding)[:STRONGEST]
    return msgspec.structs.replace(made, lower=tuple(_lower(line, card, deciding, judged) for line in strongest))


def _needs(card: Scorecard, judged: Rejudged) -> str:
    if "account" not in card.of:
        return "a campaign"
    return show(judged.engine.parsed[card.needs]) if card.needs else "nothing"


def _shared(card: Scorecard, sides: Sides, whole: Side, judged: Rejudged) -> Shared:
    campaign = judged.ruled.facts.campaign
    membership = sides.membership
    if whole.score is None or sides.total is None or campaign is None:
        why = (
            f"it has {campaign.owners} owners, and counts from {ACTS} on"
            if campaign is not None and campaign.owners < ACTS
            else f"it needs {_needs(card, judged)}"
        )
        return Shared(None, membership, f"The campaign has no score by this card: {why}.")
    raised = _raised(whole)
    told = [*raised[:STRONGEST], *(line for line in raised[STRONGEST:] if line.family == "campaign")]
    mine = {line.id: line for line in sides.mine.card.evidence if line.family in sides.speaks}
    speaking = [each for each in _addends(sides.mine, card, judged) if each.id in mine]
    return Shared(
        score=whole.score,
        membership=membership,
        sum=_sum(card, sides, whole.score, sides.total, whole.sums),
        prior=card.prior["campaign"],
        speaks=sides.speaks,
        speaking=tuple(speaking),
        total=sides.total,
        decides=sides.shared,
        families=_families(whole),
        addends=tuple(_addends(whole, card, judged)),
        alike=_alike(told, whole),
        silent=tuple(_silent(whole)),
    )


def _sum(card: Scorecard, sides: Sides, score: float, total: float, sums: Mapping[str, float]) -> str:
    """The addition in one sentence, its two sums and the comparison included."""
    pieces = [f"{amount(card.prior['campaign'])} prior", *(_signed(db, family) for family, db in sums.items())]
    text = f"campaign {' '.join(pieces)} = {amount(score, 'dB')}; membership {amount(sides.membership, 'dB')}"
    for family, db in sides.speaks.items():
        own = [line.id for line in sides.mine.card.evidence if line.family == family and line.id in sides.mine.counted]
        text += f"; {family} {amount(db, 'dB')} ({', '.join(own)})"
    text += f"; in all {amount(total, 'dB')}"
    if sides.own.score is None:
        return f"{text}: the account has no score of its own, so that is the score"
    own_ = amount(sides.own.score, "dB")
    return f"{text}: " + (
        f"larger than its own {own_}, so it is the score"
        if sides.shared
        else f"not larger than its own {own_}, so the score is its own"
    )


def _signed(db: float, family: str) -> str:
    return f"{'-' if db < 0 else '+'} {amount(abs(db))} {family}"


def _families(side: Side) -> tuple[FamilySaid, ...]:
    found = []
    for name, db in side.sums.items():
        kind = side.card.families[name]
        pieces = [
            (side.counted[line.id], line.ceiling)
            for line in side.card.evidence
            if line.family == name and line.id in side.counted
        ]
        loose = family_sum(pieces, ceiling=NO_BOUND, correlation=kind.correlation, floor=-NO_BOUND)
        whole = round(sum(each for each, _ in pieces), 2)
        found.append(FamilySaid(name, db, whole, round(loose, 2), kind.ceiling))
    return tuple(found)


def _lines(side: Side) -> list[Evidence]:
    """The lines that counted, the strongest first."""
    counted = side.counted
    return sorted(
        (each for each in side.card.evidence if each.id in counted), key=lambda each: (-abs(counted[each.id]), each.id)
    )


def _raised(side: Side) -> list[Evidence]:
    return [line for line in _lines(side) if side.counted[line.id] > 0]


def _addends(side: Side, card: Scorecard, judged: Rejudged) -> list[Addend]:
    """What a side's lines counted. Without one of them means without it on both sides."""
    uncut, found = side.uncut(), []
    for line in _lines(side):
        db, loose = side.counted[line.id], uncut.get(line.id)
        score, ruling = judged.without(card, line.id)
        without = Turn(f"without `{line.id}`", (line.id,), ruling.verdict, ruling.action)
        made = Addend(
            id=line.id,
            db=db,
            family=line.family,
            reads=reads(line, side),
            uncut=loose if loose is not None and loose > db + 0.01 else None,
            without=without if _milder(without, judged) else None,
            score=score,
            words=said(line, side),
            unlifted=loose if loose is not None and loose < db - 0.01 else None,
        )
        found.append(made)
    return found


def _lower(line: Evidence, card: Scorecard, side: Side, judged: Rejudged) -> Lower:
    """What would make a line count less. Hits that cease are halved until the verdict is milder, else once."""
    score, ruling = judged.without(card, line.id)
    fades, half_life = fading(line, side)
    gone = Turn(f"without `{line.id}`", (line.id,), ruling.verdict, ruling.action)
    made = Lower(line.id, score, gone, behaviour(line, side), fades)
    if not half_life:
        return made
    left = [_after(halvings, half_life, line, card, side, judged) for halvings in range(1, HALVINGS + 1)]
    first = next((each for each in left if _milder(each[1], judged)), left[0])
    return msgspec.structs.replace(made, later=first[0], then=first[1])


def _after(
    halvings: int, half_life: str, line: Evidence, card: Scorecard, side: Side, judged: Rejudged
) -> tuple[float, Turn]:
    """Score and verdict so many half-lives after a share's hits have ceased, with as many other requests as before.

    Of a campaign all members' hits cease, the account's among them.
    """
    names = (line.text, f"{line.text}.hits")
    changes = {name: judged.known[name] / 2**halvings for name in names if judged.known.get(name)}
    if side.joint:
        of_all = {f"campaign.{name.removeprefix('campaign.')}": side.known.get(name) for name in names}
        changes |= {name: value / 2**halvings for name, value in of_all.items() if value}
    score, ruling = judged.scored_with(card, changes)
    number, _, unit = half_life.partition(" ")
    text = f"{float(number) * halvings:.3g} {unit}"
    return score, Turn(text, (line.id,), ruling.verdict, ruling.action)


def _milder(turn: Turn, judged: Rejudged) -> bool:
    now = judged.ruling
    return STRENGTH[turn.verdict] < STRENGTH[now.verdict] or STRENGTH[turn.action] < STRENGTH[now.action]


def _alike(raised: Sequence[Evidence], side: Side) -> tuple[Alike, ...]:
    """The signals that the strongest lines read, and which lines that read them too speak for innocence."""
    lowered = [line for line in _lines(side) if side.counted[line.id] < 0]
    found: dict[str, Alike] = {}
    for line in raised:
        for card in cards_of(line, side):
            lines = (*found[card.file].lines, line.id) if card.file in found else (line.id,)
            speaks = tuple(each.id for each in lowered if card in cards_of(each, side))
            found[card.file] = Alike(card.code, card.file, card.name, card.look_alikes, lines, speaks)
    return tuple(found.values())


def _silent(side: Side) -> list[Silent]:
    """The lines that count nothing and could have argued against."""
    requests = side.known.get(REQUESTS) or 0.0
    found = []
    for line in side.card.evidence:
        least = max(ends(line)[0], line.floor)
        if line.id in side.counted or least >= 0 or not side.can_read(line):
            continue
        early = f"silent before {amount(line.after, 'requests')} of a week; " if requests < line.after else ""
        found.append(Silent(line.id, line.family, round(least, 2), f"{early}{said(line, side)}"))
    return found
