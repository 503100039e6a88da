"""After a soak: is there one line and one pair of rows for each request, and does the ledger agree with itself?"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from gateway.ledger.record import Gap, Ruled, Settled
from gateway.stores.segments import read_rows
from tests.soak.host import ROOT, Lines

__all__ = ["audit", "fails"]

LONGEST = 3600  # s of a replay


def audit(folder: Path, lines: Lines, asked: int) -> list[str]:
    """What is wrong with the records of `asked` requests, in words; nothing, if nothing is.

    A request whose head was refused has a line and no rows; all others have two rows, which their line names.
    """
    wrong = list(lines.strange[:5])
    if lines.count != asked:
        wrong.append(f"{lines.count} request lines for {asked} requests")
    if len(lines.ids) != lines.count:
        wrong.append(f"{lines.count - len(lines.ids)} ids stand in more than one line")
    ruled: dict[int, str] = {}
    settled: dict[int, str] = {}
    ids: Counter[str] = Counter()
    for row in read_rows(folder / "ledger"):
        if isinstance(row, Ruled):
            ruled[row.seq] = row.request
        elif isinstance(row, Settled):
            settled[row.seq] = row.request
        elif isinstance(row, Gap):
            wrong.append(f"a gap of {row.lost} rows: {row.why}")
            continue
        else:
            continue
        ids[row.request] += 1
    if odd := [request for request, count in ids.items() if count != 2]:
        wrong.append(f"{len(odd)} requests have not two rows, as {odd[0]}")
    if strangers := [request for request in ids if request.encode() not in lines.ids]:
        wrong.append(f"{len(strangers)} requests of the ledger have no line, as {strangers[0]}")
    for name, told, found in (("ruled", lines.ruled, ruled), ("settled", lines.settled, settled)):
        if set(told) != set(found):
            wrong.append(f"{len(set(told) ^ set(found))} rows `{name}` stand in the lines or in the ledger alone")
    return wrong + [said for command in ("verify", "replay") if (said := fails(folder, command, LONGEST))]


def fails(folder: Path, command: str, longest: float) -> str:
    """What a command says of the ledgers in a folder where it finds fault with them, within so many seconds."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")}
    argv = [sys.executable, "-m", "gateway", command, str(folder / "ledger")]
    env = clean | {"GAUGER_STATE_DIR": str(folder)}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=longest, check=False)
    if not done.returncode:
        return ""
    return f"gauger {command} ends with {done.returncode}: " + " | ".join(
        (done.stdout + done.stderr).splitlines()[-12:]
    )
