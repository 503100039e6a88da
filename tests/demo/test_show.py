"""The whole of it in a process of its own: a gateway, a crowd, and what is shown; ended by itself and by a signal."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.demo.plan import Plan
from gateway.demo.screen import ENTER, LEAVE
from gateway.ledger.record import Ruled
from gateway.stores.segments import read_rows
from tests.demo.terminal import DEADLINE, ROOT, Played, pictures

SMALL = Plan(seconds=6, hours=16, owners=14, course=False, heads=10, pace=90, begins=1, late=60)
TINY = Plan(seconds=1, hours=3, owners=10, course=False, heads=4, pace=90, begins=1)  # too short to find anything
LONG = Plan(seconds=300, limit=400, hours=300, owners=14, course=False, heads=10, pace=90, begins=1)
PLAY = """
import sys
from pathlib import Path

import msgspec
import uvloop

from gateway.demo.plan import Plan
from gateway.demo.show import play

sys.exit(uvloop.run(play(msgspec.json.decode(sys.argv[1], type=Plan), Path(sys.argv[2]), sys.stdout)))
"""


def arguments(plan: Plan, folder: Path) -> list[str]:
    return ["-c", PLAY, msgspec.json.encode(plan).decode(), str(folder)]


def run(plan: Plan, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    called = [sys.executable, *arguments(plan, folder)]
    return subprocess.run(called, cwd=ROOT, env=env, capture_output=True, text=True, timeout=DEADLINE, check=False)


@contextmanager
def played(plan: Plan, folder: Path, **more: Any) -> Iterator[Played]:
    found = Played(arguments(plan, folder), **more)
    with closing(found):
        yield found


def test_without_a_terminal_it_prints_lines_and_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = run(SMALL, folder, GAUGER_ENFORCE="false", GAUGER_LEDGER=str(tmp_path / "other"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert re.match(r"day 1 \d\d:\d\d  customers: ", lines[0])
    assert "As it should be." in lines
    assert "Why one of its accounts was slowed, in the words of `gauger explain`:" in lines
    assert re.search(r"explain account acct-\w+ --ledger \S+$", done.stdout, re.MULTILINE)
    assert re.search(r"explain campaign campaign-\w+ --ledger \S+$", done.stdout, re.MULTILINE)
    found = re.search(r"explain record (\S+) --ledger (\S+)", done.stdout)
    assert found is not None
    assert f"request  {found[1]}" in lines
    assert all(len(each) <= 100 for each in lines if not each.startswith("  ") and "customers:" not in each)
    assert not (tmp_path / "other").exists()  # no setting of whoever plays it counts
    counts = re.search(r"Real: the gateway, its pack, its model, ([\d,]+) requests", done.stdout)
    rows = [row for row in read_rows(folder / "ledger") if isinstance(row, Ruled)]
    assert counts is not None
    assert len(rows) == int(counts[1].replace(",", ""))
    assert {row.facts.caller.known for row in rows} == {True}
    assert (rows[-1].now - rows[0].now) / 3.6e9 > 10  # hours that the gateway lived through
    assert (folder / "events.jsonl").read_text() == ""


def test_its_ledger_can_be_looked_at_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = run(TINY, folder)
    assert first.returncode == 1
    assert "! the hydra was not recognised" in first.stdout
    env = {name: value for name, value in os.environ.items() if not name.startswith("GAUGER_")}
    for command in ("verify", "replay"):
        looked = subprocess.run(
            [sys.executable, "-m", "gateway", command, str(folder / "ledger")],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert looked.returncode == 0, looked.stdout + looked.stderr
    before = len([row for row in read_rows(folder / "ledger") if isinstance(row, Ruled)])
    assert run(TINY, folder).returncode == 1
    assert len([row for row in read_rows(folder / "ledger") if isinstance(row, Ruled)]) < 2 * before


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    called = [sys.executable, "-m", "gateway.demo", "--folder", str(tmp_path)]
    done = subprocess.run(called, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"demo: {tmp_path}: this folder holds something else than a demo's files\n"
        "  hint: name one that is empty, or isn't there, with --folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (46, 15)])
def test_on_a_terminal_whole_pictures_are_drawn_and_it_is_given_back(tmp_path: Path, columns: int, lines: int) -> None:
    with played(SMALL, tmp_path / "demo", columns=columns, lines=lines) as terminal:
        text = terminal.read()
        code = terminal.process.wait(DEADLINE)
    assert code == 0, text[-3000:]
    assert text.startswith(ENTER)
    assert text.count(ENTER) == text.count(LEAVE) == 1
    drawn, after = text.split(LEAVE)
    assert "?25l" not in after
    shown = list(pictures(drawn, columns, lines))
    assert len(shown) > 1
    for screen in shown:
        text_of = "\n".join(screen)
        assert "clock: 1 s = 2.67 h" in screen[0]
        assert "all customers" in text_of
        assert "the hydra: 10 accounts" in text_of
        assert "silent" in text_of
    assert shown[-1][0] != shown[0][0]
    last = "\n".join(shown[-1])
    assert re.search(r"^campaign-\w+: 10 accounts linked", last, re.MULTILINE)
    assert "As it should be." in after
    plain = re.sub(r"\x1b\[[\d;]*m", "", after)
    commands = plain[plain.index("To look further:") :]
    assert all(len(each) <= columns for each in plain.removesuffix(commands).split("\r\n"))


def test_no_color_is_respected(tmp_path: Path) -> None:
    with played(TINY, tmp_path / "demo", NO_COLOR="1") as terminal:
        text = terminal.read()
        assert terminal.process.wait(DEADLINE) == 1
    assert text.startswith(ENTER)
    assert re.findall(r"\x1b\[[\d;]*m", text.replace(LEAVE, "")) == []
    assert "Not as it should be:" in text


def test_a_terminal_that_can_only_print_gets_lines(tmp_path: Path) -> None:
    with played(TINY, tmp_path / "demo", TERM="dumb") as terminal:
        text = terminal.read()
        assert terminal.process.wait(DEADLINE) == 1
    assert "\x1b" not in text
    assert text.startswith("day 1 ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with played(LONG, tmp_path / "demo") as terminal:
        terminal.read("all customers")
        url = re.search(r"http://127\.0\.0\.1:(\d+)", terminal.read(":"))
        assert url is not None
        terminal.process.send_signal(number)
        text = terminal.read()
        assert terminal.process.wait(DEADLINE) == 130
    assert text.count(ENTER) == text.count(LEAVE) == 1
    assert text.endswith(f"{LEAVE}stopped\r\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(url[1])), timeout=DEADLINE)
    assert [row for row in read_rows(tmp_path / "demo" / "ledger") if isinstance(row, Ruled)] != []


def test_time_that_is_over_ends_it_with_what_there_is(tmp_path: Path) -> None:
    done = run(Plan(seconds=300, limit=8, hours=300, owners=14, course=False, heads=10, begins=1), tmp_path / "demo")
    assert done.returncode == 1
    assert "Not as it should be:" in done.stdout
    assert done.stderr == ""


def test_nobody_who_reads_is_said_once(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway.demo", "--folder", str(tmp_path / "demo")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == "demo: nobody reads on\n"
        assert process.wait(DEADLINE) == 2
