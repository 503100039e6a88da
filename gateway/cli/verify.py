"""Shell. `gauger verify DIR`: proves that no row of a ledger was changed, removed, moved or put in."""

import re
import sys
from pathlib import Path

import click
import msgspec

from gateway.errors import Mistake
from gateway.ledger.line import timestamp
from gateway.stores.proof import Report, verify
from gateway.stores.segments import ledgers

__all__ = ["command"]


@click.command("verify")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--head", metavar="HASH", help="a head that was kept elsewhere: all up to it must still be as it was")
@click.option("--json", "as_json", is_flag=True, help="the report as one JSON object a ledger")
def command(folder: Path, head: str | None, as_json: bool) -> None:
    """Prove a ledger: no row was changed, removed, moved or put in. Of several workers each one's own is proven.

    Keep the printed head where whoever may write the ledger can't: without one, cutting off its end, or writing all of
    it anew, can't be told. The log's `segment closed` events carry heads too.

    Exit code 0: proven. 1: broken, with file, line and what is wrong there. 2: it can't be read.
    """
    if head is not None and not re.fullmatch("[0-9a-fA-F]{64}", head):
        raise Mistake("a head has 64 hex digits", hint="an earlier `gauger verify DIR` has printed it")
    found = _ledgers(folder)
    if head is not None and len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise Mistake(f"there are {len(found)} ledgers, each with heads of its own", hint=f"name one: {names}")
    proven = True
    for each in found:
        report = verify(each, head)
        proven = proven and report.proven
        if as_json:
            click.echo(msgspec.json.encode({"proven": report.proven, **msgspec.to_builtins(report)}).decode())
        else:
            click.echo("\n".join([f"{each}:"] * (len(found) > 1) + _told(report)))
    sys.exit(0 if proven else 1)


def _ledgers(folder: Path) -> list[Path]:
    try:
        return ledgers(folder)
    except OSError:
        return [folder]  # `verify` says what is wrong with it


def _told(report: Report) -> list[str]:
    broken = report.broken
    lines = ["proven"] if broken is None else [f"{broken.file}:{broken.line}: {broken.why}", "proven up to there:"]
    on = f", {report.resumed} of which went on with what was remembered," if report.resumed else ""
    lines.append(f"  {report.rows} rows of {report.runs} starts{on} in {report.segments} segments")
    if report.rows:
        lines.append(f"  from {timestamp(report.first_time)} to {timestamp(report.last_time)}")
    if report.begins > 1:
        lines.append(f"  begins at segment {report.begins}, after {report.after}: earlier ones were removed")
    if report.erased:
        lines.append(f"  {report.erased} rows were erased with their account")
    if report.gaps:
        lines.append(f"  {report.gaps} gaps, in which {report.lost} rows could not be written")
    if report.unnumbered:
        lines.append(f"  {report.unnumbered} places where the rows' numbers jump without a gap that says why")
    if report.recovered:
        lines.append(f"  {report.recovered} segments were left open by a crash, and closed by the next start")
    if not report.closed and broken is None:
        half = ", and its last line is half" if report.half else ""
        lines.append(f"  the last segment is open{half}: a gateway writes it, or one crashed")
    if report.known:
        lines.append(f"  the remembered head is at {report.known}; {report.beyond} rows came after it")
    return [*lines, f"head {report.head}"]
