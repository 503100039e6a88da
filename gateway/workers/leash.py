"""Shell. Runs a program that ends when whoever started it does: `python leash.py PID PROGRAM ARGUMENTS…`.

On Linux this process becomes the program, and the kernel kills it with its parent (prctl(2), PR_SET_PDEATHSIG).
Elsewhere it stays beside it and looks, a few times a second, who its own parent is. Imports nothing of ours: it is run
by its path, so that it starts in no time.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

__all__ = ["become", "main", "watch"]

PR_SET_PDEATHSIG = 1
LOOK = 0.2  # s


def main(arguments: Sequence[str]) -> int:
    """Runs what the arguments say, for the process whose number is the first of them."""
    parent, program = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        become(parent, program)
    return watch(parent, program)


def become(parent: int, program: list[str]) -> None:
    """Returns only where the parent is gone already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it died before the line above
        os.execv(program[0], program)  # noqa: S606


def watch(parent: int, program: list[str]) -> int:
    """Runs the program until it ends or the parent is gone; SIGTERM is passed on. Returns its exit code."""
    if os.getppid() != parent:
        return 1
    child = subprocess.Popen(program)  # noqa: S603
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(LOOK)
    return child.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
