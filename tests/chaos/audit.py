"""After all scenes: has each request one line and two rows, do the ledgers agree with themselves, do the counts?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gateway.ledger.record import Gap, Ruled, Settled
from gateway.stores.segments import ledgers, read_rows
from tests.chaos.callers import Ask
from tests.chaos.host import Kill
from tests.chaos.records import Records
from tests.soak.audit import fails

__all__ = ["LINE", "audit", "cut"]

LINE = 1.0
"""s before a kill -9 in which a line may have been taken and not written: lines are written by a thread, in batches."""
ROW = 0.25
"""s before it in which a request's caller may have its last byte, and the request its last row not yet."""
LONGEST = 600  # s of a replay


def audit(
    folder: Path, asks: Iterable[Ask], records: Records, kills: Sequence[Kill]
) -> tuple[list[str], dict[str, int]]:
    """What is wrong with the records of these requests, in words, and what a kill took away.

    A request that was answered has a line, and two rows in one ledger, which the line names. Of one that broke off
    there may be all of that or nothing; of one that a kill cut short, a `ruled` row alone.
    """
    wrong = [*records.strange[:3]]
    known = {ask.name: ask for ask in asks}
    if records.twice:
        wrong.append(f"{len(records.twice)} requests have two lines, as {records.twice[0]}")
    if records.half > len(kills):
        wrong.append(f"{records.half} lines are half, {len(kills)} kills were there")
    if strangers := records.by_name.keys() - known.keys():
        wrong.append(f"{len(strangers)} lines are of no request, as {sorted(strangers)[0]!r}")
    lost: Counter[str] = Counter()
    for ask in (ask for ask in known.values() if ask.whole and ask.name not in records.by_name):
        if _cut(ask, kills, LINE):
            lost["lines"] += 1
        else:
            wrong.append(f"an answered request has no line: {ask}")
    rows, ids = _rows(folder, wrong)
    for record in records.by_name.values():
        ruled, settled = record.seq
        asked = known.get(record.name)
        for kind, seq in (("ruled", ruled), ("settled", settled)):
            if rows.pop((kind, record.worker, record.id), None) == seq:
                continue
            if kind == "settled" and asked is not None and _cut(asked, kills, ROW):
                lost["rows"] += 1
            else:
                wrong.append(f"the row `{kind}` of {record} is not in its ledger")
    for kind, worker, id_ in rows:
        if ids[id_] == 2:
            lost["lines, and the rows are there"] += kind == "ruled"
        elif kind == "settled":
            wrong.append(f"worker {worker} settled {id_}, and never ruled it")
        else:
            lost["lines, and the second row"] += 1
    short = sum(not ask.whole or _cut(ask, kills, LINE) for ask in known.values())
    unsaid = lost["lines, and the rows are there"] + lost["lines, and the second row"]
    if not lost["lines"] <= unsaid <= short:
        wrong.append(f"{dict(lost)}, and {short} requests were cut short: an answered one has no row, or others no end")
    with ThreadPoolExecutor() as both:
        wrong += [
            said for said in both.map(lambda command: fails(folder, command, LONGEST), ("verify", "replay")) if said
        ]
    return wrong, dict(lost)


def _rows(folder: Path, wrong: list[str]) -> tuple[dict[tuple[str, int, str], int], Counter[str]]:
    """(kind, worker, request) -> number of the row; and how many rows each request has."""
    found: dict[tuple[str, int, str], int] = {}
    ids: Counter[str] = Counter()
    for each in ledgers(folder / "ledger"):
        worker = int(each.name.removeprefix("worker-"))
        for row in read_rows(each):
            if isinstance(row, Gap):
                wrong.append(f"a gap of {row.lost} rows: {row.why}")
            elif isinstance(row, Ruled | Settled):
                kind = "ruled" if isinstance(row, Ruled) else "settled"
                if (kind, worker, row.request) in found:
                    wrong.append(f"{row.request} was {kind} twice")
                found[kind, worker, row.request] = row.seq
                ids[row.request] += 1
    if odd := [id_ for id_, count in ids.items() if count > 2]:
        wrong.append(f"{len(odd)} requests are in two ledgers, as {odd[0]}")
    return found, ids


def cut(ask: Ask, kill: Kill, after: float) -> bool:
    """Whether a kill came while this request was under way, or so many seconds after its end."""
    return ask.began <= kill.at <= ask.ended + after


def _cut(ask: Ask, kills: Sequence[Kill], after: float) -> bool:
    return any(cut(ask, kill, after) for kill in kills)
