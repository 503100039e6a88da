"""Pure. What a pack is tuned by: each account at its highest score, and each line of evidence over the families."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from statistics import median

import msgspec

from gateway.decide import Verdict
from gateway.policy.conditions.expressions import names_in
from gateway.policy.model import Evidence, Policy
from tests.evaluation.metrics import RANKS, Case
from tests.evaluation.replaying import Track
from tests.evaluation.report import grid

__all__ = ["Account", "Line", "described", "lines_by_family", "told"]

BENIGN = 20  # of the highest scores


class Line(msgspec.Struct):
    """One line of evidence at an account's highest score, and the readings that it came from."""

    id: str
    db: float
    family: str
    read: dict[str, float]


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
    evidence: list[Line]  # at the highest score, strongest first
    ended: float  # dB, of the last request
    at_end: list[Line]


def described(policy: Policy, cases: Iterable[Case], tracks: Mapping[str, Track]) -> list[Account]:
    """Every account: extraction by family and falling score, then benign by falling score."""
    words = {rank: word for word, rank in RANKS.items() if word != "reject"}
    lines = {card.id: {line.id: line for line in card.evidence} for card in policy.scorecards}
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
                evidence=_evidence(policy, lines, track.verdict),
                ended=case.scores[-1],
                at_end=_evidence(policy, lines, track.last),
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
    """dB of each line of evidence at the highest score: the median over a family's accounts."""
    families: dict[tuple[bool, str], list[dict[str, float]]] = {}
    for each in found:
        families.setdefault((each.label == "benign", each.family), []).append({e.id: e.db for e in each.evidence})
    names = sorted({name for accounts in families.values() for account in accounts for name in account})
    rows = [["median dB of a line", *(str(at) for at in range(1, len(names) + 1))]]
    for (benign, family), accounts in sorted(families.items()):
        cells = (median(account.get(name, 0.0) for account in accounts) for name in names)
        rows.append([f"{family}{' (benign)' if benign else ''}", *(f"{db:.1f}" if db else "." for db in cells)])
    return "\n".join([*grid(rows), "", *(f"{at:3} {name}" for at, name in enumerate(names, 1))]) + "\n"


def _evidence(policy: Policy, lines: Mapping[str, Mapping[str, Evidence]], verdict: Verdict) -> list[Line]:
    """The lines of the card with the highest score."""
    if not verdict.scores:
        return []
    card = max(verdict.scores, key=lambda name: verdict.scores[name])
    found = []
    for name, db in verdict.evidence.get(card, {}).items():
        line = lines[card][name]
        if line.kind == "rate":
            names: Iterable[str] = (f"{line.text}.hits", f"{line.text}.of")
        else:
            names = names_in(policy.engine.parsed[line.text])
        readings = verdict.readings
        found.append(Line(name, db, line.family, {each: readings[each] for each in names if each in readings}))
    return sorted(found, key=lambda each: (-abs(each.db), each.id))


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
    told = f"{head}\n    {_lines(each.evidence)}"
    if each.label != "benign" and each.acted is None and each.judged is not None and each.at < each.requests:
        told += f"\n    at the end {each.ended:+.2f} dB: {_lines(each.at_end)}"
    return told


def _lines(lines: Sequence[Line]) -> str:
    return "; ".join(f"{line.id} {line.db:+.1f}{_read(line)}" for line in lines) or "no evidence"


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
