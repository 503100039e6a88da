"""A program that ends when whoever started it is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from gateway.workers import leash

DEADLINE = 20.0
PARENT = (
    "import json, os, subprocess, sys; "
    "subprocess.run([word.replace('PID', str(os.getpid())) for word in json.loads(sys.argv[1])])"
)
WATCH = (
    f"import runpy, sys; watch = runpy.run_path({leash.__file__!r})['watch']; "
    "sys.exit(watch(int(sys.argv[1]), sys.argv[2:]))"
)
WAYS = {"become": [leash.__file__], "watch": ["-c", WATCH]}
ways = pytest.mark.parametrize(
    "way",
    [
        pytest.param("become", marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")),
        "watch",
    ],
)


@contextmanager
def started(way: str) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """A process that started a program on a leash, and the program."""
    words = [sys.executable, "-I", "-S", *WAYS[way], "PID", "/bin/sleep", "60"]
    with subprocess.Popen([sys.executable, "-c", PARENT, json.dumps(words)]) as parent:
        try:
            yield parent, _program(parent)
        finally:
            parent.kill()


def _program(parent: subprocess.Popen[bytes]) -> psutil.Process:
    for _ in range(2000):
        for each in psutil.Process(parent.pid).children(recursive=True):
            if each.name() == "sleep":
                return each
        psutil.wait_procs([psutil.Process(parent.pid)], timeout=0.01)
    raise AssertionError("the program was not started")


@ways
def test_it_is_killed_with_its_parent(way: str) -> None:
    with started(way) as (parent, program):
        parent.kill()
        gone, _ = psutil.wait_procs([program], timeout=DEADLINE)
        assert gone == [program]


@ways
def test_it_is_asked_to_end_through_its_leash(way: str) -> None:
    with started(way) as (parent, program):
        (leashed,) = psutil.Process(parent.pid).children()
        leashed.terminate()
        assert parent.wait(DEADLINE) == 0
        assert not program.is_running()


def test_nothing_is_started_for_a_parent_that_is_gone() -> None:
    words = [sys.executable, "-I", "-S", leash.__file__, "1", "/bin/echo", "here"]
    done = subprocess.run(words, stdout=subprocess.PIPE, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (1, b"")
