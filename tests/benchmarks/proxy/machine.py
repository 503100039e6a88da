"""Shell. What the figures were measured on, and which cores who gets."""

import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Cores", "cores", "machine"]


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: a set of core numbers each, empty for anywhere."""

    contestant: frozenset[int]
    load: frozenset[int]
    model: frozenset[int]

    def words(self) -> str:
        """The same for people."""
        if not self.contestant:
            return "one core only: contestant, load and model server share it, so requests/s and latency say little"
        contestant, load, model = (",".join(map(str, sorted(who))) for who in (self.contestant, self.load, self.model))
        apart = f"load on core {load}, model server on core {model}"
        return f"contestant on core {contestant}, " + (
            apart if load != model else f"load and model server on core {load}"
        )


@cache
def cores() -> Cores:
    """The first core for the contestant, the second for the load, a third for the model server if there is one.

    Of those that this process had when it was asked first.
    """
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Cores(frozenset(), frozenset(), frozenset())
    return Cores(frozenset(allowed[:1]), frozenset(allowed[1:2]), frozenset(allowed[min(2, len(allowed) - 1) :][:1]))


def machine() -> dict[str, Any]:
    """CPU model, cores, kernel, Python, memory in bytes, and the load average of the last minute at the start."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "pinned": {who: sorted(where) for who, where in asdict(cores()).items()},
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
