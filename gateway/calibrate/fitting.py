"""Pure. From owners' highest scores to a calibration: cohort, guard, thresholds, and who should be looked at.

A threshold is a tolerance limit: the (k+1)-th highest score of the cohort, with the largest k for which no more than
5 % of all samples would promise too much (`gateway/binomial.py`). Plain split conformal prediction, whose threshold
keeps its promise on the average of all samples, is not used: nearly half of those promise too much.

Guard: whoever extracts in the cohort makes thresholds too high, which keeps the promise and misses others. So the
highest 1 % are shown for review, and whom it finds to extract leaves the cohort; who wasn't reviewed stays.
"""

from collections.abc import Iterable, Sequence
from math import ceil, inf
from typing import Literal

import msgspec

from gateway import binomial
from gateway.calibrate.labels import Label, Labels
from gateway.calibrate.nulls import Fitted, Together, fitted, together
from gateway.calibrate.owners import TENURE, Owner, Owners
from gateway.errors import Mistake
from gateway.ledger.line import timestamp
from gateway.ledger.record import ENGINE
from gateway.policy.calibration import (
    LEVEL,
    MONTH,
    SCHEMA,
    Calibrated,
    Calibration,
    Cohort,
    Guard,
    Measured,
    Source,
    Stratum,
    percent,
    sealed,
)
from gateway.policy.model import Scorecard

__all__ = ["Made", "Options", "Rule", "Suspect", "calibrated", "cohort", "measured", "nobody", "suspect"]

Rule = Literal["trusted", "all", "labelled"]
TOP = 0.01  # share of the cohort that is to be reviewed
STEP = 0.01  # dB: scores are rounded to it, so a rule that acts from here on leaves out who lies a step below
STRATA = ("tenured", "new", "unknown", "extraction")


class Options(msgspec.Struct, frozen=True):
    """What was asked for."""

    rule: Rule = "trusted"
    labels: Labels | None = None
    reviewed: Labels | None = None
    experiment: bool = False
    version: str = ""  # of Gauger


class Suspect(msgspec.Struct, frozen=True):
    """An owner to review. Written as a line of JSON; with `label` filled in, it is what was found."""

    owner: str
    label: str  # benign, extraction, or "" = not reviewed
    card: str
    score: float  # dB, the highest of the window
    addends: dict[str, float]  # line -> dB, the strongest first
    request: str  # the id of the one that had that score
    requests: int
    accounts: tuple[str, ...]  # some of them


class Made(msgspec.Struct, frozen=True):
    """What a calibration found. Only `calibration` goes into its file."""

    calibration: Calibration
    review: tuple[Suspect, ...]
    nulls: tuple[Fitted, ...]
    together: tuple[Together, ...]


def calibrated(owners: Owners, options: Options) -> Made:
    """The calibration of the cards by which `owners` were judged. Raises Mistake where there is nobody to go by."""
    policy = owners.policy
    if policy is None or not owners.requests:
        raise Mistake("no request in this traffic was scored", hint="is it of accounts, and has the policy scorecards?")
    active = list(owners.active())
    kinds = {id_of(owner): stratum_of(owners, owner, options) for owner in active}
    candidates, benign = cohort(owners, options)
    if not benign:
        raise nobody(options.rule, len(active))
    cards, review, pairs = [], list[Suspect](), list[Together]()
    for card in policy.scorecards:
        one, suspects = _card(owners, card, active, kinds, candidates, benign, options)
        cards.append(one)
        review += suspects
        pairs += together(card, [owners.addends(owner, card.id) for owner in benign])
    made = Calibration(
        schema=SCHEMA,
        date=timestamp(owners.end)[:10],
        version=options.version,
        engine=ENGINE,
        policy=policy.id,
        source=Source(owners.requests, len(active), timestamp(owners.start), timestamp(owners.end), owners.digest()),
        window_days=owners.window,
        covered_days=owners.covered,
        experiment=options.experiment,
        cohort=Cohort(options.rule, len(benign)),
        cards=tuple(cards),
    )
    nulls = fitted(policy, [owners.counts(owner) for owner in benign])
    return Made(sealed(made), tuple(review), tuple(nulls), tuple(pairs))


def cohort(owners: Owners, options: Options) -> tuple[list[Owner], list[Owner]]:
    """Who may be of the cohort, and who is: without those whom a review found to extract."""
    candidates = [owner for owner in owners.active() if _is_candidate(owners, owner, options)]
    return candidates, [owner for owner in candidates if owners.label(owner, options.reviewed) != "extraction"]


def id_of(owner: Owner) -> tuple[bool, str]:
    return owner.is_org, owner.name


def stratum_of(owners: Owners, owner: Owner, options: Options) -> str:
    """Extraction where that is known; else by how long the owner has been known."""
    if _known(owners, owner, options) == "extraction":
        return "extraction"
    if owner.tenured:
        return "tenured"
    return "unknown" if owner.created is None else "new"


def _known(owners: Owners, owner: Owner, options: Options) -> Label | None:
    """What a review found outranks what a label says."""
    return owners.label(owner, options.reviewed) or owners.label(owner, options.labels)


def _is_candidate(owners: Owners, owner: Owner, options: Options) -> bool:
    label = owners.label(owner, options.labels)
    if options.rule == "labelled":
        return label == "benign"
    return label != "extraction" and (options.rule == "all" or owner.tenured)


def nobody(rule: Rule, owners: int) -> Mistake:
    """There is no cohort."""
    if rule == "labelled":
        return Mistake(f"none of the {owners:,} owners in this traffic has the label benign")
    if rule == "trusted":
        hint = "give `created` in the accounts file, or label them (`--labels`); `--cohort all` trusts everybody"
        return Mistake(f"none of the {owners:,} owners in this traffic is known for more than {TENURE} days", hint=hint)
    return Mistake("no owner is left to go by")


def _card(
    owners: Owners,
    card: Scorecard,
    active: Sequence[Owner],
    kinds: dict[tuple[bool, str], str],
    candidates: Sequence[Owner],
    benign: Sequence[Owner],
    options: Options,
) -> tuple[Calibrated, list[Suspect]]:
    scores = sorted((owners.highest(owner, card.id) for owner in benign), reverse=True)
    doubt = _no_month(owners, options)
    promises = [measured(action, alpha, scores, doubt) for action, alpha in card.promise.items()]
    level = measured("", LEVEL, scores)
    marks = {each.action or "level": each.threshold_db for each in (*promises, level) if each.threshold_db is not None}
    strata = []
    for kind in STRATA:
        found = [owner for owner in active if kinds[id_of(owner)] == kind]
        if found:
            strata.append(_stratum(owners, card.id, kind, found, marks))
    ranked = sorted(candidates, key=lambda owner: (-owners.highest(owner, card.id), owner.name))
    top = ranked[: ceil(TOP * len(candidates))]
    review = [suspect(owners, owner, card.id, options) for owner in top]
    looked = [each.label for each in review if each.label]
    guard = Guard(
        top=len(top),
        reviewed=len(looked),
        benign=looked.count("benign"),
        removed=len(candidates) - len(benign),
        unreviewed=len(top) - len(looked),
    )
    digest = owners.digests[card.id]
    return Calibrated(card.id, digest, tuple(promises), level, tuple(strata), guard), review


def measured(action: str, alpha: float, scores: Sequence[float], doubt: str = "") -> Measured:
    """What a cohort's highest scores, falling, say of a promise. `doubt`: why it can't be kept, whatever they say."""
    n = len(scores)
    k = binomial.allowed(n, alpha)
    why = []
    if k is None:
        least = binomial.upper(0, n) if n else 1.0
        some = f"{n:,} {'owner supports' if n == 1 else 'owners support'} at most {percent(least)}"
        why.append(f"{some} (1 in {int(1 / least):,}) at 95 %; {percent(alpha)} needs {binomial.needed(alpha):,}")
    if doubt:
        why.append(doubt)
    at = min(k or 0, n - 1)
    threshold = round(scores[at] + STEP, 2) if n and scores[at] > -inf else None
    return Measured(
        action=action,
        alpha=alpha,
        owners=n,
        allowed=k,
        exceedances=0 if threshold is None else _above(scores, threshold),
        upper95=binomial.upper(k or 0, n),
        threshold_db=threshold,
        supported=not why and threshold is not None,
        why="; ".join(why),
    )


def _no_month(owners: Owners, options: Options) -> str:
    if options.experiment:
        return f"a window of {owners.window} days is an experiment"
    if owners.covered < MONTH:
        return f"{owners.covered} days of traffic say too little of a month: {MONTH} are needed"
    return ""


def _stratum(owners: Owners, card: str, kind: str, found: Sequence[Owner], marks: dict[str, float]) -> Stratum:
    scores = [owners.highest(owner, card) for owner in found]
    highest = max(scores)
    return Stratum(
        name=kind,
        owners=len(found),
        silent=sum(card not in owner.peaks or not owner.peaks[card].scored for owner in found),
        highest_db=None if highest == -inf else highest,
        above={name: _above(scores, mark) for name, mark in marks.items()},
    )


def _above(scores: Iterable[float], threshold: float) -> int:
    """How many a rule meets that acts from this threshold on; half a step, since floats are not hundredths."""
    return sum(score >= threshold - STEP / 2 for score in scores)


def suspect(owners: Owners, owner: Owner, card: str, options: Options) -> Suspect:
    """An owner to look at, with what his highest score was made of."""
    addends = owners.addends(owner, card)
    return Suspect(
        owner=owner.name,
        label=owners.label(owner, options.reviewed) or "",
        card=card,
        score=owners.highest(owner, card),
        addends=dict(sorted(addends.items(), key=lambda pair: (-pair[1], pair[0]))),
        request=owner.peaks[card].request if addends else "",
        requests=owner.requests,
        accounts=tuple(sorted(owner.accounts)[:5]),
    )
