"""The benchmark beside other gateways: that it counts, reports what is missing, and leaves nothing running."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks.proxy import __main__ as bench
from tests.benchmarks.proxy import wrk
from tests.benchmarks.proxy.bodies import ANSWER, bodies
from tests.benchmarks.proxy.client import Plan
from tests.benchmarks.proxy.contestants import ROOT, Contestant, Launch, Site, environment
from tests.benchmarks.proxy.cpu import Tree
from tests.benchmarks.proxy.field import DIRECT, everybody
from tests.benchmarks.proxy.figures import Spread, percentile, ratios, spread
from tests.benchmarks.proxy.load import open_loop
from tests.benchmarks.proxy.plot import plot
from tests.benchmarks.proxy.processes import Process, exposed
from tests.benchmarks.proxy.rig import Rig
from tests.benchmarks.proxy.rounds import Options, whole
from tests.benchmarks.proxy.table import tables

WRK = """\
Running 1s test @ http://127.0.0.1:24713/v1/chat/completions
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     7.05ms    1.20ms  12.40ms   71.00%%
    Req/Sec     2.12k   120.00     2.30k    70.00%%
  2120 requests in 1.00s, 3.40MB read
Requests/sec:   2119.04
Transfer/sec:      3.40MB
figures {"n": 2120, "micros": 1000451, "status": %d, "connect": 0, "read": 0, "write": 0, "timeout": %d, \
"p50": 7051.0, "p90": 9000.0, "p99": 12400.0, "max": 13000.0}
"""


def row(name: str, at: int, cpu: float, **more: Any) -> dict[str, Any]:
    known = {"case": "closed", "size": 2048, "c": 16, "n": 1000, "bad": 0, "seconds": 1.0, "rps": 1000.0}
    return {**known, "name": name, "round": at, "cpu_us": cpu, "busy": 1.0, "p50": 900.0, "p99": 2000.0, **more}


SAMPLE = {
    "schema": bench.SCHEMA,
    "machine": {"cpu": "A <CPU>", "cores": 2, "kernel": "Linux", "python": "3.11"},
    "contestants": {
        "nginx": {"what": "a proxy", "install": ""},
        "gauger": {"what": "this one", "install": ""},
        "envoy": {"what": "a proxy", "install": "setup envoy", "missing": "it is not installed"},
        "other": {"what": "breaks", "install": "", "failed": "20 × 500"},
    },
    "rows": [
        row("nginx", 0, 20.0),
        row("gauger", 0, 100.0),
        row("nginx", 1, 40.0),
        row("gauger", 1, 240.0),
        row("nginx", 2, 20.0),
        row("gauger", 2, 80.0),
        row("other", 0, 1.0, bad=20),
    ],
}


def test_wrk_is_read_from_the_line_that_the_script_writes() -> None:
    found = wrk.parse(WRK % (0, 0))
    assert found["n"] == 2120
    assert found["bad"] == 0
    assert found["p99"] == 12400.0
    assert found["rps"] == pytest.approx(2119.0, abs=0.1)
    assert wrk.parse(WRK % (7, 2))["why"] == {"timeout": 2, "not 2xx": 7}
    with pytest.raises(ValueError, match="unable to connect"):
        wrk.parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_percentiles_are_values_that_were_measured() -> None:
    sample = [float(value) for value in range(1, 101)]
    assert [percentile(sample, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]
    assert percentile([3.0], 0.99) == 3.0
    with pytest.raises(ValueError, match="empty"):
        percentile([], 0.5)


def test_ratios_are_taken_round_by_round() -> None:
    assert spread([None, 3.0, 1.0]) == Spread(2.0, 1.0, 3.0, 2)
    assert spread([None]) is None
    # The second round was slow for both: the ratio of the medians would say 5 to 6, and a range of 2 to 12.
    assert ratios({0: 100.0, 1: 240.0, 2: 80.0, 3: 1.0}, {0: 20.0, 1: 40.0, 2: 20.0}) == Spread(5.0, 4.0, 6.0, 3)


BURN = """
import os, sys, threading, time
def burn():
    while time.thread_time() < 0.2: pass
{setup}
print('done', flush=True)
sys.stdin.readline()
"""
IN_A_THREAD = "thread = threading.Thread(target=burn); thread.start(); thread.join()"
IN_A_CHILD = "pid = os.fork()\nif pid == 0: burn(); os._exit(0)\nos.waitpid(pid, 0)"
UNWAITED = """import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0: burn(); print('burnt', flush=True); time.sleep(0.5); os._exit(0)"""


def burning(setup: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BURN.format(setup=setup)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("setup", [IN_A_THREAD, IN_A_CHILD], ids=["thread", "child"])
def test_what_has_ended_is_counted(setup: str) -> None:
    with burning(setup) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        reading = Tree(process.pid).read()
        process.kill()
    assert reading.cpu >= 190_000_000  # ticks of 10 ms
    assert reading.check >= 180_000_000
    assert reading.processes == 1


def test_what_nobody_waited_for_is_not_lost_silently() -> None:
    with burning(UNWAITED) as process:
        assert process.stdout is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        assert sorted(said) == ["burnt\n", "done\n"]
        tree = Tree(process.pid)
        before = tree.read()
        assert before.processes == 2
        while len(tree.pids()) > 1:
            time.sleep(0.02)
        after = tree.read()
        process.kill()
    assert after.cpu >= before.cpu
    assert after.lost >= 150_000_000


def test_the_table_has_medians_ratios_and_what_went_wrong() -> None:
    text = tables(SAMPLE)
    line = next(line for line in text.splitlines() if line.startswith("gauger "))
    assert line.split()[1:3] == ["100", "(80.0–240)"]
    assert "5.00 (4.00–6.00)" in line
    assert "envoy: MISSING: it is not installed. To install it: setup envoy" in text
    assert "other: FAILED: 20 × 500" in text
    assert not any(line.startswith("other ") for line in text.splitlines())


def test_the_plot_is_a_picture_with_the_leanest_on_top() -> None:
    root = ElementTree.fromstring(plot(SAMPLE))
    words = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.index("nginx") < words.index("gauger")
    assert "100 µs, 5.00×" in words
    assert any("A <CPU>" in text for text in words)
    bars = {node.get("class"): float(node.get("width", 0)) for node in root.iter("{http://www.w3.org/2000/svg}rect")}
    assert 0 < bars["bar"] < bars["own"]
    with pytest.raises(ValueError, match="nothing was measured"):
        plot({**SAMPLE, "rows": []})


def test_a_result_is_drawn_again_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, picture = tmp_path / "result.json", tmp_path / "plot.svg"
    saved.write_text(json.dumps(SAMPLE))
    assert bench.main(["--plot", str(saved), "--svg", str(picture)]) == 1  # one of them had failed
    assert picture.read_text() == plot(SAMPLE)
    assert "5.00 (4.00–6.00)" in capsys.readouterr().out
    assert json.loads(bench._json(SAMPLE)) == SAMPLE
    saved.write_text("{}")
    assert bench.main(["--plot", str(saved)]) == 2
    assert "is no result of this benchmark" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(["--only", "ngnix"])
    assert stopped.value.code == 2
    assert "there is no ngnix" in capsys.readouterr().err


def test_who_is_missing_says_how_to_come(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--list", "--work", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for contestant in everybody():
        assert contestant.name in said
    assert "not installed: litellm[proxy]" in said
    assert "python -m tests.benchmarks.proxy setup litellm" in said


def test_prompts_are_distinct_and_of_their_size() -> None:
    for size, stream in ((2048, ""), (32_768, ""), (2048, "Pace: 10 chunks, 5 ms.")):
        made = bodies(size, 64, stream=stream)
        assert len(set(made)) == 64
        assert all(abs(len(body) - size) <= 2 for body in made)
        assert all(json.loads(body).get("stream", False) is bool(stream) for body in made)
    with pytest.raises(ValueError, match="no room"):
        bodies(200, 2)


async def test_a_stall_counts_for_everybody_who_was_due(tmp_path: Path) -> None:
    """The first answer is held back for 0.4 s. One request was under way, but all that were due meanwhile waited."""
    held = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal held
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
                if not held:
                    held = True
                    await asyncio.sleep(0.4)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()

    (tmp_path / "bodies").write_bytes(b"\n".join(bodies(2048, 4)))
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        plan = Plan("open", port, "/", str(tmp_path / "bodies"), connections=1, seconds=0.4, rate=100.0, seed=1)
        found = await open_loop(plan)
        server.close()
    assert found["n"] == 40
    assert found["bad"] == 0
    assert found["max"] >= 390_000
    assert found["p50"] >= 100_000  # a closed loop would have seen one slow answer and 39 quick ones


def runs(pid: int) -> bool:
    """Whether a process is there, and not only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def tiny(
    program: Callable[[Site], list[str]], name: str = "tiny", *, missing: str | None = None, streams: str | None = None
) -> Contestant:
    def launch(site: Site) -> Launch:
        return Launch(program(site), environment(PYTHONPATH=str(ROOT)), patience=20.0)

    return Contestant(name, "stands in for a proxy", lambda _: missing, "install it", lambda _: "1", launch, streams)


def answering(site: Site) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.proxy.model", str(site.port)]


def refusing(site: Site) -> list[str]:
    """Fine until a hundred and some were answered, then no more."""
    program = (
        "import http.server\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    protocol_version, count = 'HTTP/1.1', 0\n"
        "    def do_POST(self):\n"
        "        Handler.count += 1\n"
        "        self.rfile.read(int(self.headers['content-length']))\n"
        "        self.send_response(200 if Handler.count < 110 else 429)\n"
        "        self.send_header('content-length', '0')\n"
        "        self.end_headers()\n"
        "    def log_message(self, *_): pass\n"
        f"http.server.ThreadingHTTPServer(('127.0.0.1', {site.port}), Handler).serve_forever()\n"
    )
    return [sys.executable, "-c", program]


def test_a_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With our own generator and model server, as where neither wrk nor nginx is installed."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    field = [
        DIRECT,
        tiny(answering),
        tiny(answering, "absent", missing="it isn't there"),
        tiny(lambda _: [sys.executable, "-c", f"raise SystemExit('no luck in {tmp_path}/x')"], "dead"),
        tiny(refusing, "refusing", streams="it has none"),
    ]
    options = Options(tmp_path, rounds=1, seconds=0.1, connections=[2], sizes=[2048], held=20, warm=0.1)
    report: dict[str, Any] = {}
    whole(field, options, lambda _: None, report)

    own = {found["case"]: found for found in report["rows"] if found["name"] == "tiny"}
    assert set(own) == {"closed", "open", "held", "first", "flat", "paced"}
    for found in own.values():
        assert found["bad"] == 0
        assert found["n"] > 0
    assert own["closed"]["cpu_us"] > 0
    assert own["paced"]["chunks"] == 100 * (5 + 2)  # and the two that say why it ended, and what it used
    assert own["held"]["n"] == 20
    about = report["contestants"]
    assert about["tiny"]["version"] == "1"
    assert len(about["tiny"]["cold"]) == 2
    assert about["absent"]["missing"] == "it isn't there"
    assert about["dead"]["failed"].startswith("it ended with 1: no luck in ")
    assert "× 429" in about["refusing"]["failed"]
    assert about["refusing"]["failed_streams"] == "it has none"
    text = tables(report)
    assert "absent: MISSING: it isn't there. To install it: install it" in text
    assert str(ROOT) not in json.dumps(report)
    assert str(tmp_path) not in json.dumps(about["tiny"])


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed: apt-get install wrk")
def test_wrk_sends_the_pool_of_bodies(tmp_path: Path) -> None:
    with Rig(tmp_path, streams=True, limit=60.0, warm=0.1) as rig:
        entry = rig.admit(tiny(answering))
        assert entry.failed is None
        entry.rate = 10_000.0
        found = rig.closed(entry, 2048, 4, 1.0)
    assert found["driver"] == "wrk"
    assert found["n"] > 100
    assert found["bad"] == 0


@pytest.mark.parametrize("name", ["nginx", "nginx-log", "haproxy", "envoy", "gauger", "gauger-limits"])
def test_a_contestant_of_the_field_answers(name: str, tmp_path: Path) -> None:
    """One of each kind is started in earnest, and stays on loopback."""
    (tmp_path / "tools").symlink_to(ROOT / ".bench" / "tools")
    contestant = next(contestant for contestant in everybody() if contestant.name == name)
    if missing := contestant.missing(tmp_path / "tools"):
        pytest.skip(f"{missing}; {contestant.install}")
    with Rig(tmp_path, streams=True, limit=60.0, warm=0.1) as rig:
        site = Site(tmp_path, tmp_path / "tools", rig.model, 0, 0, streams=True)
        assert contestant.version(site.tools) not in ("", "unknown")
        entry = rig.admit(contestant)
        assert entry.failed is None
        assert rig.measure(entry, rig.plan(entry, 2048, 2, 0.1))["bad"] == 0
        assert entry.process is not None
        alive = entry.process.tree.pids()
    assert alive
    assert not any(runs(pid) for pid in alive)


def test_an_open_door_is_seen() -> None:
    import socket

    with socket.socket() as inside, socket.socket() as outside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        assert not exposed(inside.getsockname()[1])
        outside.bind(("0.0.0.0", 0))
        outside.listen()
        assert exposed(outside.getsockname()[1])


def test_a_stubborn_tree_is_ended_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.proxy.processes.PATIENCE", 0.3)
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.fork()\n"
        "print('up', flush=True)\n"
        "time.sleep(60)"
    )
    process = Process([sys.executable, "-c", program], (), tmp_path / "log")
    while (tmp_path / "log").read_text().count("up") < 2:
        time.sleep(0.02)
    alive = process.tree.pids()
    assert len(alive) == 2
    process.stop()
    assert not any(runs(pid) for pid in alive)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed: apt-get install nginx-light")
def test_broken_off_it_leaves_nothing_running(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.benchmarks.proxy", "--only", "nginx", "--quick", "--seconds", "5"]
    with subprocess.Popen(
        [*argv, "--work", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 1" in line:
                break
        begun = Tree(process.pid).pids()
        assert len(begun) > 2  # itself, the model server, the contestant
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert "broken off" in rest
    assert process.returncode == 1
    end = time.monotonic() + 10
    while any(runs(pid) for pid in begun):  # who has lost his parent is waited for by the system, soon
        assert time.monotonic() < end, "something still runs"
        time.sleep(0.01)


def test_the_answer_is_a_chat_completion() -> None:
    assert json.loads(ANSWER)["usage"]["total_tokens"] == 670
