"""Pure. The attacker's report in words."""

from collections.abc import Sequence

from gateway.simulate.attack import Report, Try
from gateway.simulate.knobs import Hydra, differs

__all__ = ["HEAD", "row_of", "to_text"]

HEAD = f"{'':>4} {'$/1,000':>9} {'$':>9} {'useful':>7} {'asked':>7} {'refused':>8} {'accounts':>9}  ended    knobs"


def row_of(each: Try) -> str:
    """One point as a line of a table."""
    spent = each.spent
    price = f"{each.per_1000:,.2f}" if each.per_1000 is not None else "-"
    return (
        f"{each.number:>4} {price:>9} {each.cost:>9,.2f} {spent.useful:>7,} {spent.requests:>7,} {spent.refused:>8,}"
        f" {spent.accounts:>9,}  {each.ended:8} {_knobs(each.knobs)}"
    )


def to_text(report: Report) -> str:
    """What came of it; the points are lines of `row_of`."""
    lines = [f"policy {report.policy} ({report.digest}), goal {report.goal}, {report.target:,} useful answers"]
    lines.append(f"undefended        ${report.undefended.per_1000:,.2f} per 1,000 useful answers")
    naive = report.naive
    if naive.reached:
        lines.append(f"the same, here    ${naive.per_1000:,.2f} per 1,000: the policy doesn't stop it")
    else:
        lines.append(f"the same, here    {_stopped(naive)}")
    best = report.best
    if best is None:
        lines.append(f"cheapest evasion  none in {len(report.tries)} tries")
        lines += _leads(report.tries)
    else:
        lines.append(f"cheapest evasion  ${best.per_1000:,.2f} per 1,000: {_knobs(best.knobs)}")
        spent = best.spent
        lines.append(
            f"                  {spent.requests:,} requests ({spent.filler:,} filler, {spent.refused:,} refused,"
            f" {spent.shortened:,} shortened), {spent.accounts:,} accounts, {spent.days:,.1f} days"
        )
        if report.again is not None:
            price = report.again.per_1000
            said = f"${price:,.2f} per 1,000" if report.again.reached and price is not None else _stopped(report.again)
            lines.append(f"in another world  {said}")
        lines.append(f"multiplier        {report.multiplier:,.1f} × what it costs undefended")
    return "\n".join(lines) + "\n"


def _stopped(each: Try) -> str:
    return f"stopped after {each.spent.useful:,} useful answers ({each.ended})"


def _leads(tries: Sequence[Try]) -> list[str]:
    nearest = max(tries, key=lambda each: each.spent.useful, default=None)
    return [f"nearest           {_stopped(nearest)}: {_knobs(nearest.knobs)}"] if nearest is not None else []


def _knobs(knobs: Hydra) -> str:
    return ",".join(
        f"{name}={value}" for name, value in differs(knobs).items() if name not in ("id", "pool", "wording")
    )
