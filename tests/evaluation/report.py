"""Pure. What was measured, as one table."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from tests.evaluation.metrics import AtFpr, Family, Summary, Totals
from tests.evaluation.nulls import Fitted

__all__ = ["Column", "grid", "nulls", "table"]

NEVER = "-"
LEGEND = """\
acted    accounts that met a throttle or a block: caught where they extract, a false alarm where they are benign
first    requests up to the first such action, the median account's
tokens   share of an account's output tokens that it was served until then, the median account's
median   of the accounts' highest scores, and the highest of all, in dB
fitted   on one half of the benign owners, by a hash of the account; measured on the other half and all that extract
others   act above the highest score of any benign account of this very traffic: an advantage that nobody has"""


class Column(msgspec.Struct, frozen=True):
    """One way to judge, and what it came to. `gauger`: it has tags, and scores in dB."""

    name: str
    summary: Summary
    gauger: bool = False


class _Group(msgspec.Struct, frozen=True):
    """Columns under one title."""

    title: str
    heads: tuple[str, ...]
    cells: Callable[[Family], tuple[str, ...]]


def table(columns: Sequence[Column]) -> str:
    """Families, one a row, then totals; what each way to judge made of them side by side."""
    groups = [_group(column) for column in columns]
    rows = [["", *(head for group in groups for head in group.heads)]]
    for label in ("extraction", "benign"):
        found = [{each.family: each for each in _families(column.summary, label)} for column in columns]
        rows.append([label.upper()])
        for name in sorted({name for families in found for name in families}):
            row = [name]
            for group, families in zip(groups, found, strict=True):
                row += group.cells(families[name]) if name in families else [""] * len(group.heads)
            rows.append(row)
    widths = _widths(rows)
    at, over = 1, [" " * widths[0]]
    for group in groups:
        own = widths[at : at + len(group.heads)]
        own[0] += max(0, len(group.title) - sum(own) - 2 * (len(own) - 1))
        widths[at : at + len(own)] = own
        over.append(group.title.ljust(sum(own) + 2 * (len(own) - 1)))
        at += len(own)
    lines = ["  ".join(over).rstrip(), *_lines(rows, widths), "", *_totals(columns), "", LEGEND]
    return "\n".join(lines) + "\n"


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells that stand below each other: the first of a row to the left, the others to the right."""
    return _lines(rows, _widths(rows))


def nulls(lines: Iterable[Fitted]) -> str:
    """Fitted beside shipped."""
    rows = [["null of a line", "mean shipped", "fitted", "rho shipped", "fitted", "owners", "that ever did it"]]
    for each in lines:
        shipped, fitted = each.shipped, each.fitted
        means, rhos = (f"{shipped.mean:.2%}", f"{fitted.mean:.2%}"), (f"{shipped.rho:.3f}", f"{fitted.rho:.3f}")
        rows.append([f"{each.card}.{each.line}", *means, *rhos, str(each.owners), str(each.hitting)])
    return "\n".join(grid(rows)) + "\n"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[at]) for row in rows if at < len(row)) for at in range(max(map(len, rows)))]


def _lines(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    return [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        ).rstrip()
        for row in rows
    ]


def _families(summary: Summary, label: str) -> list[Family]:
    return summary.extraction if label == "extraction" else summary.benign


def _group(column: Column) -> _Group:
    if column.gauger:
        return _Group(column.name, ("accounts", "tagged", "acted", "first", "tokens", "median", "highest"), _cells)
    return _Group(column.name, ("acted", "first", "tokens"), _acted)


def _cells(family: Family) -> tuple[str, ...]:
    scores = f"{family.median_score:.1f}", f"{family.top_score:.1f}"
    return str(family.accounts), str(family.tagged), *_acted(family), *scores


def _acted(family: Family) -> tuple[str, ...]:
    if not family.acted:
        return "0", NEVER, NEVER
    first = NEVER if family.median_requests is None else f"{family.median_requests:g}"
    return str(family.acted), first, f"{family.median_share:.0%}"


def _totals(columns: Sequence[Column]) -> list[str]:
    """One measure a row. A threshold by score is another one in each column."""
    rows = [["TOTAL", *(column.name for column in columns)]]
    found = [column.summary.totals for column in columns]

    def row(name: str, cell: Callable[[Totals], str]) -> None:
        rows.append([name, *map(cell, found)])

    row("extraction accounts caught", lambda t: f"{t.caught} of {t.extraction}")
    row("  TPR", lambda t: _rate(t.tpr, t.tpr_interval))
    row("benign accounts acted on", lambda t: f"{t.false_alarms} of {t.benign}")
    row("  FPR", lambda t: _rate(t.fpr, t.fpr_interval))
    row("benign accounts tagged", lambda t: str(t.benign_tagged))
    row("extraction tokens served until then", lambda t: f"{t.tokens_served:.1%}")
    row("  the median account's", lambda t: f"{t.tokens_served_median:.1%}")
    for part in found[0].early:
        row(f"caught before {part} of their tokens", _early(part))
    row("AUC of the highest score", lambda t: f"{t.auc:.3f}")
    for at, each in enumerate(found[0].at_fpr):
        row(f"TPR by score at FPR <= {each.fpr:.1%}", _by_score(at))
    return grid(rows)


def _early(part: str) -> Callable[[Totals], str]:
    def cell(totals: Totals) -> str:
        of_caught = totals.early_of_caught[part]
        return f"{totals.early[part]:.1%}" + ("" if of_caught is None else f" ({of_caught:.1%} of caught)")

    return cell


def _by_score(at: int) -> Callable[[Totals], str]:
    def cell(totals: Totals) -> str:
        found: AtFpr = totals.at_fpr[at]
        return f"{_rate(found.tpr, found.interval)} above {found.threshold:.4g}"

    return cell


def _rate(rate: float, interval: tuple[float, float]) -> str:
    return f"{rate:.1%} ({interval[0]:.1%}-{interval[1]:.1%})"
