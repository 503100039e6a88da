"""Pure. A calibration file: what a card's promises rest on. JSON, read by the loader, written by `gauger calibrate`.

It holds counts and thresholds, and no name of an owner: a policy's files are copied into every ledger. Its digest is
the SHA-256 of its own content, so that a file which was changed by hand is known; and since anybody can work out a
digest anew, what it claims is worked out again from its counts as well.
"""

from hashlib import sha256
from typing import Any

import msgspec

from gateway import binomial

__all__ = [
    "LEVEL",
    "MAX_BYTES",
    "MONTH",
    "SCHEMA",
    "Broken",
    "Calibrated",
    "Calibration",
    "Cohort",
    "Guard",
    "Measured",
    "Source",
    "Stratum",
    "percent",
    "read",
    "sealed",
    "write",
]

SCHEMA = "gauger.calibration/1"
MAX_BYTES = 1_048_576
MONTH = 30  # days, of every promise "a month"
LEVEL = 0.01  # share of owners: so many pass it that a change shows within days
SLACK = 1e-9


class Broken(ValueError):
    """What is wrong with a calibration file. `hint`: the next step."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Measured(_Part, frozen=True):
    """A share of owners that may pass a threshold, and what the cohort says of it."""

    action: str  # of the promise; "" = the level that drift is watched at
    alpha: float  # the share of owners a month that is promised at most
    owners: int  # of the cohort
    allowed: int | None  # how many of them may pass it; None: there are too few owners
    exceedances: int  # how many do
    upper95: float  # share of all owners that may pass it, at 95 %
    threshold_db: float | None  # the least score that a rule may act from; None: there are no owners
    supported: bool
    why: str = ""  # it is not


class Stratum(_Part, frozen=True):
    """Owners of one kind, of the cohort or not. Those that are known to extract are a kind of their own."""

    name: str  # tenured, new, unknown (age), extraction
    owners: int
    silent: int  # of whom the card never had evidence
    highest_db: float | None
    above: dict[str, int]  # action of a promise, or "level" -> owners that pass its threshold


class Guard(_Part, frozen=True):
    """Against extraction in the cohort: its highest scores are to be looked at. Who wasn't stays in."""

    top: int  # owners to review, 1 % of the cohort
    reviewed: int  # of those
    benign: int  # found so
    removed: int  # found to be extraction, and taken out of the cohort
    unreviewed: int


class Calibrated(_Part, frozen=True):
    """One scorecard."""

    id: str
    digest: str  # of what the card is made of (`promises.card_digest`)
    promises: tuple[Measured, ...]
    level: Measured
    strata: tuple[Stratum, ...]
    guard: Guard


class Source(_Part, frozen=True):
    """The traffic."""

    requests: int  # that were scored
    owners: int
    start: str  # of the first and last request, RFC 3339, UTC
    end: str
    scores: str  # SHA-256 of every owner's highest scores, without their names


class Cohort(_Part, frozen=True):
    """Who the benign owners are."""

    rule: str  # trusted, all, labelled
    owners: int


class Calibration(_Part, frozen=True):
    """The whole file."""

    schema: str
    date: str  # of the last request, so that the same traffic gives the same file
    version: str  # of Gauger
    engine: int  # of the core's arithmetic
    policy: str  # id
    source: Source
    window_days: float  # in which an owner's highest score is looked for
    covered_days: int  # with traffic in them
    experiment: bool  # a window that was chosen for a trial: nothing is supported
    cohort: Cohort
    cards: tuple[Calibrated, ...]
    digest: str = ""

    def card(self, name: str) -> Calibrated | None:
        return next((each for each in self.cards if each.id == name), None)


_DECODER = msgspec.json.Decoder(Calibration)


def sealed(made: Calibration) -> Calibration:
    """The calibration with its digest: 64 hex digits of SHA-256 over its canonical JSON without the digest."""
    same = _DECODER.decode(msgspec.json.encode(made))  # as a reader has it: where it says float, 30 is 30.0
    content: dict[str, Any] = msgspec.to_builtins(same)
    del content["digest"]
    return msgspec.structs.replace(same, digest=sha256(msgspec.json.encode(content, order="sorted")).hexdigest())


def write(made: Calibration) -> bytes:
    """The file, digest included."""
    return msgspec.json.format(msgspec.json.encode(sealed(made)), indent=1) + b"\n"


def read(text: bytes | str) -> Calibration:
    """The calibration in a file's text. Raises Broken for what is none, was changed, or claims more than it counts."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    again = "make it anew with `gauger calibrate`"
    if len(data) > MAX_BYTES:
        raise Broken(f"larger than {MAX_BYTES // 1_048_576} MiB", again)
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(f"this is no calibration: {error}", "`gauger calibrate … --out FILE` makes one") from None
    if found.schema != SCHEMA:
        raise Broken(f"this is no calibration that is known here: its schema is {found.schema[:64]!r}", again)
    if sealed(found).digest != found.digest:
        raise Broken("it was changed after it was made: its digest is not that of its content", again)
    for card in found.cards:
        for each in (*card.promises, card.level):
            if each.supported and not _holds(found, each):
                raise Broken(f"it claims more than it counts: {card.id}, {each.action or 'level'}", again)
    return found


def _holds(found: Calibration, each: Measured) -> bool:
    """Whether a promise that is said to be supported is so by its counts."""
    month = found.window_days >= MONTH and found.covered_days >= MONTH and not found.experiment
    k = each.allowed
    return (
        (month or not each.action)
        and each.threshold_db is not None
        and k is not None
        and 0 <= each.exceedances <= k <= each.owners
        and 0 < each.alpha <= 1
        and binomial.upper(k, each.owners) <= each.alpha + SLACK
    )


def percent(share: float) -> str:
    """A share as people write it, in three digits: `0.1%`, `1.49%`."""
    return f"{share * 100:.3g}%"
