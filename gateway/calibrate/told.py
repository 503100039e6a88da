"""Pure. A calibration for people: what is promised, what it rests on, and what it doesn't say."""

from collections.abc import Iterable, Iterator, Sequence

from gateway import binomial
from gateway.calibrate.drift import Drifted
from gateway.calibrate.fitting import Made, Suspect
from gateway.calibrate.nulls import Fitted, Together
from gateway.ledger.words import plain
from gateway.policy.calibration import Calibrated, Calibration, Stratum, percent

__all__ = ["drift_text", "file_text", "made_text", "null_text"]

RULES = {
    "trusted": "owners known for more than 90 days",
    "all": "every owner, trusted or not (a trial: attackers and newcomers are among them)",
    "labelled": "owners with the label benign",
}
SHOWN = 30  # owners to review
ADDENDS = 4


def made_text(made: Made, source: str) -> str:
    """All that a calibration found."""
    lines = [f"{plain(source)}: {made.calibration.source.requests:,} scored requests", *_head(made.calibration)]
    for card in made.calibration.cards:
        lines += ["", *_card(card, made.calibration.cohort.rule)]
        lines += ["", *_nulls([each for each in made.nulls if each.card == card.id])]
        lines += _together([each for each in made.together if each.card == card.id])
        lines += ["", *_review([each for each in made.review if each.card == card.id], card)]
    return _printed(lines)


def file_text(found: Calibration) -> str:
    """What stands in a file."""
    lines = [f"calibration of {found.date} for the policy {plain(found.policy)}, by gauger {plain(found.version)}"]
    lines += [f"digest {found.digest}: the content is as it was made", *_head(found)]
    for card in found.cards:
        lines += ["", *_card(card, found.cohort.rule), "", *_guard(card)]
    return _printed(lines)


def drift_text(found: Sequence[Drifted], calibration: Calibration, days: int) -> str:
    """What has become of the level, card by card."""
    lines = [f"against the calibration of {calibration.date}, over the last {days} days"]
    for each in found:
        lines += [
            "",
            f"card {plain(each.card)}: {each.above:,} of {each.owners:,} owners are at {_db(each.threshold_db)}",
        ]
        lines[-1] += f" or above: {percent(each.share)}, at 95 % at least {percent(each.lower95)}"
        lines[-1] += f" and at most {percent(each.upper95)}"
        if each.drifted:
            lines.append(
                f"  DRIFT: more than {percent(each.alpha)}, beyond chance. Either benign use has changed (a new client,"
            )
            lines.append("  model or framework: calibrate anew), or these are no benign owners: look at them")
        else:
            lines.append(f"  no more than {percent(each.alpha)} can be told from this: its promises stand")
        lines += _suspects(each.highest)
    return _printed(lines)


def null_text(fits: Sequence[Fitted], pairs: Sequence[Together], use: Sequence[str], overlay: str) -> str:
    """A pack that puts fitted nulls in the place of those of the packs that it uses; correlations as comments."""
    lines = ["# Nulls fitted on benign owners by `gauger calibrate`. Use it after the packs whose cards it changes;"]
    lines += ["# then calibrate anew: the thresholds of the former nulls are none of these.", "gauger: 1"]
    lines += [f"use: [{', '.join(use)}]"] if use else []
    for each in pairs:
        if each.measured is not None:
            known = f"{each.measured:.0%} measured over {each.pairs} pairs of lines, {each.assumed:.0%} assumed"
            lines.append(f"# {each.card}, family {each.family}: correlation {known}")
    owners = max((each.owners for each in fits), default=0)
    lines.append(f"# {owners:,} owners at most a line")
    return "\n".join(lines) + overlay


def _head(found: Calibration) -> Iterator[str]:
    source = found.source
    yield f"traffic {source.start} to {source.end}: {source.owners:,} owners, {found.covered_days} days"
    yield f"cohort: {RULES.get(found.cohort.rule, plain(found.cohort.rule))}: {found.cohort.owners:,}"
    if found.experiment:
        yield f"an experiment: the window is {found.window_days:g} days, so that nothing a month is supported"
    elif found.covered_days < found.window_days:
        yield f"{found.covered_days} days of traffic say too little of a month: nothing is supported"


def _card(card: Calibrated, rule: str) -> Iterator[str]:
    yield f"card {plain(card.id)} ({card.digest})"
    rows = [("promise", "owners", "may pass", "pass", "at most, at 95 %", "act from", "")]
    for each in (*card.promises, card.level):
        name = f"{each.action} {percent(each.alpha)}" if each.action else f"(level for drift, {percent(each.alpha)})"
        may = "too few" if each.allowed is None else f"{each.allowed:,}"
        word = "supported" if each.supported else "NOT SUPPORTED"
        shown = _db(each.threshold_db)
        rows.append((name, f"{each.owners:,}", may, f"{each.exceedances:,}", percent(each.upper95), shown, word))
    yield from _table(rows)
    for each in (*card.promises, card.level):
        if not each.supported:
            yield f"  {each.action or 'level'}: {each.why}"
    if not card.promises:
        yield "  the card promises nothing; as in `promise: {throttle: 0.1% of owners/month}`"
    n = card.level.owners
    if n:
        least = binomial.upper(0, n)
        yield f"  {n:,} owners support no promise below {percent(least)} (1 in {int(1 / least):,}) at 95 %"
    yield ""
    yield from _strata(card.strata, [each.action for each in card.promises])
    if rule == "trusted" and len(card.strata) > 1:
        yield "  promises are of the tenured: of the others this is what is known, and nothing is promised to them"


def _strata(strata: Sequence[Stratum], actions: Sequence[str]) -> Iterator[str]:
    names = [*actions, "level"]
    rows = [("owners", "", "never scored", "highest", *(f"{name} meets" for name in names))]
    for each in strata:
        top = "none" if each.highest_db is None else _db(each.highest_db)
        cells = [_share(each.above[name], each.owners) if name in each.above else "" for name in names]
        rows.append((each.name, f"{each.owners:,}", f"{each.silent:,}", top, *cells))
    yield from _table(rows)


def _nulls(fits: Sequence[Fitted]) -> Iterator[str]:
    rows = [("line", "mean", "fitted", "rho", "fitted", "owners", "hitting")]
    for each in fits:
        old, new = each.shipped, each.fitted
        means, rhos = (f"{old.mean:.2%}", f"{new.mean:.2%}"), (f"{old.rho:.2f}", f"{new.rho:.2f}")
        rows.append((plain(each.line), *means, *rhos, f"{each.owners:,}", f"{each.hitting:,}"))
    yield "nulls: the card's mean and dispersion (rho) of each share over owners, and what the cohort has"
    yield from _table(rows)


def _together(pairs: Sequence[Together]) -> Iterator[str]:
    rows = [("family", "correlation", "measured", "pairs")]
    for each in pairs:
        measured = "none" if each.measured is None else f"{each.measured:.0%}"
        rows.append((plain(each.family), f"{each.assumed:.0%}", measured, str(each.pairs)))
    if pairs:
        yield ""
        yield "what goes together in a family, at each owner's highest score"
        yield from _table(rows)


def _review(suspects: Sequence[Suspect], card: Calibrated) -> Iterator[str]:
    yield from _guard(card)
    yield from _suspects(suspects[:SHOWN])
    if len(suspects) > SHOWN:
        yield f"  and {len(suspects) - SHOWN:,} more: `--review FILE` writes all of them"


def _guard(card: Calibrated) -> Iterator[str]:
    guard = card.guard
    yield f"review: the highest 1 % of the cohort, {guard.top:,} owners: {guard.reviewed:,} were reviewed"
    if guard.removed:
        yield f"  {guard.removed:,} found to extract were taken out of the cohort"
    if guard.unreviewed:
        yield f"  {guard.unreviewed:,} were not, and stay: who extracts among them only makes thresholds higher"


def _suspects(found: Iterable[Suspect]) -> Iterator[str]:
    for each in found:
        strongest = [f"{line} {db:+g}" for line, db in each.addends.items() if db > 0][:ADDENDS]
        said = f" [{each.label}]" if each.label else ""
        yield f"  {_db(each.score):>10}  {plain(each.owner)}{said}: {', '.join(strongest) or 'no evidence'}"


def _db(value: float | None) -> str:
    return "nowhere" if value is None else f"{value:.2f} dB"


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.1%})" if of else "0"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.ljust(width) if at in (0, len(row) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _printed(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
