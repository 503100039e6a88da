"""Shell. CPU time and memory of a whole process tree, from the scheduler's own counters.

The figure is each process's CPU clock (`clock_getcpuclockid(3)`): nanoseconds, with the threads that have ended.
Children that have ended and were waited for are in their parent's `cutime` and `cstime` (proc(5), ticks of 10 ms). The
tick counters of everything alive are summed beside it, as a check.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Reading", "Tree"]

PROC = Path("/proc")
TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # ns
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a tree has used until now."""

    cpu: int
    """ns on a core, user and system, of all that is alive or was waited for."""
    check: int
    """The same in ns from the tick counters: right to 10 ms a process."""
    rss: int
    """Bytes resident, of all that is alive; shared pages count once for each process."""
    processes: int
    lost: int
    """ns of processes that ended without anybody in the tree waiting for them, as far as they had been seen."""

    def agrees_with(self, before: "Reading") -> bool:
        """Whether both ways of counting say the same of the time since `before`, within their resolution."""
        own, other = self.cpu - before.cpu, self.check - before.check
        return abs(own - other) <= 0.03 * max(own, other) + 2 * TICK * max(1, self.processes)


@dataclass(frozen=True, slots=True)
class _Stat:
    pid: int
    state: str
    parent: int
    session: int
    own: int  # ns, from ticks
    reaped: int  # ns, from ticks
    born: int
    rss: int


class Tree:
    """A process that leads a session, and everything that it started."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self._seen: dict[tuple[int, int], int] = {}
        self._reaped = 0
        self._lost = 0

    def pids(self) -> list[int]:
        """Everybody who still runs: descendants, and whoever of the session has lost its parent."""
        return [stat.pid for stat in self._members() if stat.state not in "ZX"]

    def read(self) -> Reading:
        """The counters now."""
        members = self._members()
        clocks = {(stat.pid, stat.born): _clock(stat) for stat in members}
        reaped = sum(stat.reaped for stat in members)
        gone = [used for key, used in self._seen.items() if key not in clocks]
        orphaned = sum(gone) - (reaped - self._reaped)
        if gone and orphaned > TICK * (len(gone) + 1):
            self._lost += orphaned
        self._seen, self._reaped = clocks, reaped
        return Reading(
            cpu=sum(clocks.values()) + reaped + self._lost,
            check=sum(stat.own for stat in members) + reaped + self._lost,
            rss=sum(stat.rss for stat in members),
            processes=len(members),
            lost=self._lost,
        )

    def _members(self) -> list[_Stat]:
        stats = [stat for folder in PROC.iterdir() if folder.name.isdecimal() and (stat := _stat(int(folder.name)))]
        inside = {self.leader} | {stat.pid for stat in stats if stat.session == self.leader}
        grown = True
        while grown:
            more = {stat.pid for stat in stats if stat.parent in inside} - inside
            inside |= more
            grown = bool(more)
        return [stat for stat in stats if stat.pid in inside]


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:  # it has ended since
        return None
    fields = text.rpartition(")")[2].split()  # the name in front may hold blanks and brackets
    user, system, child_user, child_system = (int(field) for field in fields[11:15])
    return _Stat(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        own=(user + system) * TICK,
        reaped=(child_user + child_system) * TICK,
        born=int(fields[19]),
        rss=int(fields[21]) * PAGE,
    )


def _clock(stat: _Stat) -> int:
    """ns on a core of one process, all its threads, the ended ones too."""
    try:
        return time.clock_gettime_ns((~stat.pid << 3) | 2)  # what clock_getcpuclockid(3) makes of a pid
    except OSError:  # a zombie, or ended since
        return stat.own
