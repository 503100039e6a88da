"""Pure. A replay's findings as a table for a terminal, and as JSON with stable keys."""

from collections.abc import Iterable, Sequence

import msgspec

from gateway.ledger.drift import Example, Found
from gateway.ledger.line import timestamp
from gateway.ledger.replay import Tally
from gateway.ledger.words import plain

__all__ = ["CAMPAIGNS", "Report", "campaign_rows", "ends", "notes", "reasons", "to_json", "to_text"]

LONGEST = 10_000  # characters of a line
CAMPAIGNS = ("campaign", "changed", "accounts", "newly refused", "newly allowed", "score dB")
SHOWN = 20  # rules and accounts of the table; JSON and HTML have all that are kept


class Report(msgspec.Struct):
    """What `gauger replay` says. `drift` is None where every row was judged by its own policy."""

    schema: str
    source: str
    policy: str  # id of the one that judged; "" = each row's own
    digest: str
    tally: Tally
    drift: Found | None = None
    raw: bool = False  # made from raw traffic: before it, nothing was decided
    bad: int = 0  # lines of raw traffic that could not be read as a request


def to_json(report: Report) -> bytes:
    """One JSON document, indented. Keys are the names of the structs' fields."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def to_text(report: Report) -> str:
    """What a person reads."""
    tally, found = report.tally, report.drift
    lines = [f"{report.source}: {tally.requests:,} requests" + ("" if report.raw else f", {tally.rows:,} rows")]
    if not report.raw and tally.compared:
        if tally.first is not None:
            first = tally.first
            lines.append(f"{tally.differences:,} of {tally.compared:,} requests differ; the first:")
            lines.append(f"  row {first.seq}, {timestamp(first.now)}, request {first.request}, account {first.account}")
            lines.append(f"  {first.what}")
        else:
            lines.append(f"all {tally.compared:,} requests agree with the policy that they were judged by")
    lines += [f"note: {note}" for note in notes(report)]
    if found is None:
        return _printed(lines)
    lines.append("")
    changed, moved = found.requests - found.same, found.moved()
    others = f", {changed - moved:,} more only their rules or effects" if changed > moved else ""
    lines.append(f"policy {report.policy} ({report.digest}): {moved:,} requests change their action{others}")
    lines.append("")
    lines += _table(
        ("before", "now", "requests", "tokens"),
        [(move.before, move.after, f"{move.requests:,}", f"{move.tokens:,}") for move in found.moves],
    )
    lines.append("")
    lines.append(f"refused in all: {found.refused.requests:,} requests, {found.refused.tokens:,} tokens")
    lines.append(f"newly refused:  {found.newly_refused.requests:,} requests, {found.newly_refused.tokens:,} tokens")
    lines.append(f"newly allowed:  {found.newly_allowed.requests:,} requests, {found.newly_allowed.tokens:,} tokens")
    rules = [rule for rule in found.rules if rule.newly or rule.no_longer]
    if rules:
        lines.append("")
        lines += _table(
            ("rule", "newly", "no longer", "still"),
            [(rule.rule, f"{rule.newly:,}", f"{rule.no_longer:,}", f"{rule.still:,}") for rule in rules[:SHOWN]],
        )
        lines += _more(len(rules) - SHOWN, "rules")
    if found.accounts:
        lines.append("")
        lines += _table(
            ("account", "changed", "newly refused", "newly allowed", "tokens refused", "score dB"),
            [
                (
                    each.account,
                    ("≤ " if each.over else "") + f"{each.changed:,}",
                    f"{each.newly_refused:,}",
                    f"{each.newly_allowed:,}",
                    f"{each.tokens_refused:,}",
                    "" if each.score is None else f"{each.score:g}",
                )
                for each in found.accounts[:SHOWN]
            ],
        )
        lines += _more(len(found.accounts) - SHOWN, "accounts")
    if found.campaigns:
        lines.append("")
        lines += _table(CAMPAIGNS, campaign_rows(found)[:SHOWN])
        lines += _more(len(found.campaigns) - SHOWN, "campaigns")
    for example in found.examples:
        lines.append("")
        lines += _example(example)
    return _printed(lines)


def notes(report: Report) -> list[str]:
    """What a reader has to know to read the rest right."""
    tally, found = report.tally, report.drift
    made = []
    if tally.gaps:
        made.append(
            f"rows are missing at {tally.gaps:,} places (at least {tally.lost:,}): the state after them is not "
            f"comparable until a process begins anew; {tally.after_gap:,} requests differ there"
        )
    if tally.erased:
        made.append(f"{tally.erased:,} rows were erased with their accounts; what they shared with others is not known")
    if tally.engines:
        engines = ", ".join(map(str, tally.engines))
        made.append(f"rows of another engine ({engines}) are judged by this one; what differs may differ by engine")
    if tally.stores:
        made.append(f"limits of {tally.stores:,} requests were answered by another store, and are not compared")
    if tally.unmatched:
        made.append(f"{tally.unmatched:,} ends have no beginning in these rows")
    if tally.unsettled:
        made.append(f"{tally.unsettled:,} requests have no end in these rows")
    if tally.errors:
        made.append(f"judging or settling failed {tally.errors:,} times; the verdicts say with what")
    if report.bad:
        made.append(f"{report.bad:,} lines could not be read as a request, and are decided as a gateway would: refused")
    if tally.guessed:
        made.append(
            f"{tally.guessed:,} requests that were refused pass now: their answers are a guess, at their reservation"
        )
    if found is not None and found.campaigns:
        changed = sum(each.changed for each in found.campaigns)
        made.append(
            f"{changed:,} of the {found.moved():,} requests that change their action are of members of campaigns: a "
            "campaign's score is all its accounts', so they are few judgements and not many"
        )
    if found is not None and found.accounts_dropped:
        made.append(f"{found.accounts_dropped:,} accounts with fewer changes are not listed")
    return made


def campaign_rows(found: Found) -> list[tuple[str, ...]]:
    """The rows of the table of campaigns, the most changed first."""
    return [
        (
            each.campaign,
            f"{each.changed:,}",
            f"{each.accounts:,}",
            f"{each.newly_refused:,}",
            f"{each.newly_allowed:,}",
            "" if each.score is None else f"{each.score:g}",
        )
        for each in found.campaigns
    ]


def ends(report: Report) -> int:
    """The exit code: 1 where the same policy does not agree with its own records."""
    return 1 if report.tally.first is not None else 0


def reasons(example: Example) -> list[str]:
    """Why a request is decided as it is now, one reason a line."""
    made = [f"limit {limit} is spent" for limit in example.limits]
    for name, rules in (("rule", example.rules), ("rule in shadow", example.shadow)):
        for rule in rules:
            when = example.when.get(rule, "")
            made.append(f"{name} {rule}" + (f": {when}" if when else ""))
    gone = sorted({*example.rules_before} - {*example.rules})
    if gone:
        made.append(f"no longer: {', '.join(gone)}")
    made += [f"rule {rule} is softened by exception {by}" for rule, by in sorted(example.excepted.items())]
    for card, score in sorted(example.campaign_scores.items()):
        joint = f"{score:g} dB, membership {example.membership + 0.0:g} dB"
        made.append(f"campaign {example.campaign}: {card} {joint}; the larger of that and its own is the account's")
    for card in sorted({*example.evidence, *example.together}):
        own = " of the account by itself" if card in example.campaign_scores else ""
        for whose, items in ((own, example.evidence.get(card)), (" of its campaign", example.together.get(card))):
            ranked = sorted((items or {}).items(), key=lambda item: (-abs(item[1]), item[0]))
            if ranked:
                counted = ", ".join(f"{name} {value:+g} dB" for name, value in ranked[:8])
                made.append(f"evidence of {card}{whose}: {counted}")
    if example.readings:
        made.append("readings: " + ", ".join(f"{name} {value:g}" for name, value in sorted(example.readings.items())))
    return made


def _example(example: Example) -> list[str]:
    return [
        f"{example.account}  {timestamp(example.now)}  {example.request}  {example.before} -> {example.after}  "
        f"score {example.score:g} dB  {example.tokens:,} tokens" + ("  (guessed)" if example.guessed else ""),
        *(f"    {reason}" for reason in reasons(example)),
    ]


def _printed(lines: Iterable[str]) -> str:
    """The lines as text. Names of accounts and rules are what somebody wrote: none of them may move the cursor."""
    return "".join(f"{plain(line, LONGEST)}\n" for line in lines)


def _more(count: int, what: str) -> list[str]:
    return [f"… and {count:,} more {what}"] if count > 0 else []


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell; numbers to the right."""
    cells = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    right = [at > 0 and all(row[at][-1:].isdigit() for row in cells[1:]) and len(cells) > 1 for at in range(len(head))]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]
