"""Pure. How well accounts are told apart: what was caught, how early, and who was met by mistake.

An account is judged as a whole: its score is its highest one, and it is caught by the first request that meets a
throttle or more. What was served until then includes that request. Whom nothing meets was served all.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from math import floor, inf, sqrt
from statistics import median

import msgspec

__all__ = ["RANKS", "THROTTLE", "AtFpr", "Case", "Family", "Summary", "Totals", "auc", "summary", "threshold", "wilson"]

RANKS = {"allow": 0, "tag": 1, "clamp": 2, "throttle": 3, "block": 4, "reject": 0}
"""Strength of an action. What is no request at all is refused for that, and no account is caught by it."""
THROTTLE = RANKS["throttle"]
FPRS = (0.001, 0.01)
EARLY = (0.05, 0.10)  # shares of an account's output tokens
Z = 1.96  # 95 %


class Case(msgspec.Struct, frozen=True):
    """One account, request by request in order. `tokens`: output tokens, 0 where a request is not to be counted."""

    account: str
    label: str  # benign or extraction
    family: str
    scores: Sequence[float]
    ranks: Sequence[int]
    tokens: Sequence[int]

    @property
    def score(self) -> float:
        return max(self.scores)

    @property
    def tagged(self) -> bool:
        """Whether anything was done, if only a tag."""
        return any(self.ranks)

    @property
    def first(self) -> int | None:
        """The first request that met a throttle or more, counted from 1."""
        return next((at for at, rank in enumerate(self.ranks, 1) if rank >= THROTTLE), None)

    @property
    def total(self) -> int:
        return sum(self.tokens)

    @property
    def served(self) -> int:
        """Output tokens up to the first action."""
        return sum(self.tokens[: self.first])

    @property
    def share(self) -> float:
        """The same of all of its tokens; of none at all, whether it was met."""
        return self.served / self.total if self.total else float(self.first is None)


class Family(msgspec.Struct):
    """The accounts of one family. Medians are over all of them; None where the middle one was never met."""

    family: str
    accounts: int
    requests: int
    tagged: int
    acted: int
    median_requests: float | None  # up to the first action
    median_share: float  # of output tokens, up to the first action
    median_score: float
    top_score: float


class AtFpr(msgspec.Struct):
    """What scores above the threshold find that lets at most a share `fpr` of benign accounts lie above it."""

    fpr: float
    threshold: float
    false_alarms: int
    tpr: float
    interval: tuple[float, float]


class Totals(msgspec.Struct):
    """Over all accounts. Intervals are Wilson's, 95 %."""

    extraction: int
    caught: int
    tpr: float
    tpr_interval: tuple[float, float]
    benign: int
    false_alarms: int
    fpr: float
    fpr_interval: tuple[float, float]
    benign_tagged: int
    tokens_served: float  # share of all extraction output tokens
    tokens_served_median: float  # the median account's share
    early: dict[str, float]  # "5%" -> share of extraction accounts caught before
    early_of_caught: dict[str, float | None]
    auc: float
    at_fpr: list[AtFpr]


class Summary(msgspec.Struct):
    """Families in the order of their names, and totals."""

    extraction: list[Family]
    benign: list[Family]
    totals: Totals


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson, JASA 22, 1927); nothing is known of none."""
    if not of:
        return 0.0, 1.0
    share, more = hits / of, Z * Z / of
    middle = share + more / 2
    half = Z * sqrt(share * (1 - share) / of + more / (4 * of))
    return max(0.0, (middle - half) / (1 + more)), min(1.0, (middle + half) / (1 + more))


def auc(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Share of pairs in the right order, ties half (Mann and Whitney's U); 0.5 where there are no pairs."""
    if not positives or not negatives:
        return 0.5
    below = sorted(negatives)
    right = sum(bisect_left(below, score) + bisect_right(below, score) for score in positives)
    return right / (2 * len(positives) * len(negatives))


def threshold(negatives: Iterable[float], fpr: float) -> float:
    """The lowest score that at most a share `fpr` of the benign lie above; what lies above it is flagged."""
    highest = sorted(negatives, reverse=True)
    allowed = floor(fpr * len(highest) + 1e-9)
    return highest[allowed] if allowed < len(highest) else -inf


def summary(cases: Iterable[Case]) -> Summary:
    """All that is counted, of one way to judge."""
    ordered = sorted(cases, key=lambda case: (case.family, case.account))
    extraction = [case for case in ordered if case.label == "extraction"]
    benign = [case for case in ordered if case.label != "extraction"]
    return Summary(_families(extraction), _families(benign), _totals(extraction, benign))


def _families(cases: Sequence[Case]) -> list[Family]:
    return [_family(name, list(found)) for name, found in groupby(cases, key=lambda case: case.family)]


def _family(name: str, cases: Sequence[Case]) -> Family:
    middle = median(inf if case.first is None else case.first for case in cases)
    scores = [case.score for case in cases]
    return Family(
        family=name,
        accounts=len(cases),
        requests=sum(len(case.scores) for case in cases),
        tagged=sum(case.tagged for case in cases),
        acted=sum(case.first is not None for case in cases),
        median_requests=None if middle == inf else float(middle),
        median_share=median(case.share for case in cases),
        median_score=median(scores),
        top_score=max(scores),
    )


def _totals(extraction: Sequence[Case], benign: Sequence[Case]) -> Totals:
    caught = [case for case in extraction if case.first is not None]
    alarms = sum(case.first is not None for case in benign)
    positives, negatives = [case.score for case in extraction], [case.score for case in benign]
    shares = [case.share for case in caught]
    return Totals(
        extraction=len(extraction),
        caught=len(caught),
        tpr=_share(len(caught), len(extraction)),
        tpr_interval=wilson(len(caught), len(extraction)),
        benign=len(benign),
        false_alarms=alarms,
        fpr=_share(alarms, len(benign)),
        fpr_interval=wilson(alarms, len(benign)),
        benign_tagged=sum(case.tagged for case in benign),
        tokens_served=_share(sum(case.served for case in extraction), sum(case.total for case in extraction)),
        tokens_served_median=median([case.share for case in extraction] or [0.0]),
        early={f"{part:.0%}": _share(_before(shares, part), len(extraction)) for part in EARLY},
        early_of_caught={f"{part:.0%}": _before(shares, part) / len(caught) if caught else None for part in EARLY},
        auc=auc(positives, negatives),
        at_fpr=[_at_fpr(positives, negatives, fpr) for fpr in FPRS],
    )


def _at_fpr(positives: Sequence[float], negatives: Sequence[float], fpr: float) -> AtFpr:
    least = threshold(negatives, fpr)
    above: Callable[[Sequence[float]], int] = lambda scores: sum(score > least for score in scores)  # noqa: E731
    hits = above(positives)
    return AtFpr(fpr, least, above(negatives), _share(hits, len(positives)), wilson(hits, len(positives)))


def _before(shares: Iterable[float], part: float) -> int:
    return sum(share <= part for share in shares)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
