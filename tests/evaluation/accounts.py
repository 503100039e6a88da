"""Pure. What a pack is tuned by: each account at its highest score, and each line of evidence over the families."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from statistics import median

import msgspec

from gateway.decide import Verdict
from gateway.policy.conditions.expressions import names_in
from gateway.policy.evidence import family
from gateway.policy.model import Policy, Scorecard
from tests.evaluation.metrics import RANKS, Case
from tests.evaluation.replaying import Track
from tests.evaluation.report import grid

__all__ = ["Account", "Line", "Score", "described", "lines_by_family", "told"]

BENIGN = 20  # of the highest scores


class Line(msgspec.Struct):
    """One line of evidence, and the readings that it came from."""

    id: str
    db: float
    family: str
    read: dict[str, float]


class Score(msgspec.Struct):
    """What a score was made of."""

    families: dict[str, float]  # dB that each counted, the strongest first
    evidence: list[Line]  # the strongest first


class Account(msgspec.Struct):
    """One account. Requests are counted from 1; None = never."""

    account: str
    label: str
    family: str
    requests: int
    score: float  # dB, the highest
    judged: float | None  # the highest that came of evidence: it may be below the prior
    at: int  # the first request with that
    tagged: int | None  # the first request that met anything
    acted: int | None  # the first that met a throttle or more
    action: str  # what that was
    share: float  # of output tokens, until then
    limited: int  # requests that a limit refused
    highest: Score
    ended: float  # dB, of the last request
    at_end: Score


def described(policy: Policy, cases: Iterable[Case], tracks: Mapping[str, Track]) -> list[Account]:
    """Every account: extraction by family and falling score, then benign by falling score."""
    words = {rank: word for word, rank in RANKS.items() if word != "reject"}
    cards = {card.id: card for card in policy.scorecards}
    found = []
    for case in cases:
        track, first = tracks[case.account], case.first
        found.append(
            Account(
                account=case.account,
                label=case.label,
                family=case.family,
                requests=len(case.scores),
                score=case.score,
                judged=track.score if track.peak else None,
                at=track.peak,
                tagged=next((at for at, rank in enumerate(case.ranks, 1) if rank), None),
                acted=first,
                action="" if first is None else words[case.ranks[first - 1]],
                share=case.share,
                limited=track.limited,
                highest=_score(policy, cards, track.verdict),
                ended=case.scores[-1],
                at_end=_score(policy, cards, track.last),
            )
        )
    return sorted(
        found,
        key=lambda each: (each.label == "benign", each.family if each.label != "benign" else "", *_falling(each)),
    )


def told(found: Sequence[Account]) -> str:
    """The extraction accounts, and the benign ones that come nearest; of what was missed, its end too."""
    benign = [each for each in found if each.label == "benign"][:BENIGN]
    extraction = [each for each in found if each.label != "benign"]
    parts = [f"EXTRACTION ACCOUNTS ({len(extraction)}), each at its highest score"]
    parts += map(_told, extraction)
    parts.append(f"\nBENIGN ACCOUNTS with the highest scores ({len(benign)})")
    parts += map(_told, benign)
    return "\n".join(parts) + "\n"


def lines_by_family(found: Iterable[Account]) -> str:
    """dB of each line of evidence at the highest score: the median over those of a family that were scored at all."""
    families: dict[tuple[bool, str], list[dict[str, float]]] = {}
    for each in found:
        if each.judged is not None:
            at_highest = {line.id: line.db for line in each.highest.evidence}
            families.setdefault((each.label == "benign", each.family), []).append(at_highest)
    names = sorted({name for accounts in families.values() for account in accounts for name in account})
    rows = [["median dB of a line", "scored", *(str(at) for at in range(1, len(names) + 1))]]
    for (benign, kind), accounts in sorted(families.items()):
        cells = (median(account.get(name, 0.0) for account in accounts) for name in names)
        known = [f"{kind}{' (benign)' if benign else ''}", str(len(accounts))]
        rows.append([*known, *(f"{db:.1f}" if db else "." for db in cells)])
    return "\n".join([*grid(rows), "", *(f"{at:3} {name}" for at, name in enumerate(names, 1))]) + "\n"


def _score(policy: Policy, cards: Mapping[str, Scorecard], verdict: Verdict) -> Score:
    """Of the card with the highest score."""
    if not verdict.scores:
        return Score({}, [])
    card = cards[max(verdict.scores, key=lambda name: verdict.scores[name])]
    counted = verdict.evidence.get(card.id, {})
    found, pieces = [], dict[str, list[tuple[float, float]]]()
    for line in card.evidence:
        db = counted.get(line.id)
        if db is None:
            continue
        names = {f"{line.text}.hits", f"{line.text}.of"}
        if line.kind != "rate":
            names = set(names_in(policy.engine.parsed[line.text]))
        found.append(Line(line.id, db, line.family, {k: v for k, v in verdict.readings.items() if k in names}))
        pieces.setdefault(line.family, []).append((db, line.ceiling))
    sums = {
        name: round(family(each, ceiling=card.families[name].ceiling, correlation=card.families[name].correlation), 2)
        for name, each in pieces.items()
    }
    return Score(
        dict(sorted(sums.items(), key=lambda pair: -pair[1])), sorted(found, key=lambda each: (-each.db, each.id))
    )


def _falling(each: Account) -> tuple[float, float, str]:
    return -each.score, inf if each.judged is None else -each.judged, each.account


def _told(each: Account) -> str:
    done = "nothing done" if each.tagged is None else f"first tagged or more at #{each.tagged}"
    if each.acted is not None:
        done += f", {each.action} at #{each.acted} ({each.share:.1%} of its tokens)"
    if each.limited:
        done += f", {each.limited} refused by limits"
    score = "not scored" if each.judged is None else f"{each.judged:+7.2f} dB at #{each.at}"
    head = f"{each.account}  {each.family:16} {each.requests:5} requests  {score}; {done}"
    told = [head, *_lines(each.highest)]
    if each.label != "benign" and each.acted is None and each.judged is not None and each.at < each.requests:
        told += [f"    {each.ended:+.2f} dB at the end", *_lines(each.at_end)]
    return "\n".join(told)


def _lines(score: Score) -> list[str]:
    """A family a line: what speaks for it with its readings, and what speaks against it."""
    told = []
    for name, db in score.families.items():
        own = [line for line in score.evidence if line.family == name]
        raised = [f"{line.id} {line.db:+.1f}{_read(line)}" for line in own if line.db > 0]
        lowered = [f"{line.id} {line.db:.1f}" for line in own if line.db <= 0]
        told.append(f"    {name:10} {db:+6.1f}  {', '.join([*raised, *reversed(lowered)])}")
    return told


def _read(line: Line) -> str:
    if not line.read:
        return ""
    of = next((value for name, value in line.read.items() if name.endswith(".of")), None)
    hits = next((value for name, value in line.read.items() if name.endswith(".hits")), None)
    if hits is not None and of is not None:
        return f" ({_short(hits)} of {_short(of)})"
    return f" ({', '.join(f'{name} {_short(value)}' for name, value in line.read.items())})"


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.1f}{unit}"
    return f"{value:.4g}"
