"""Shell. The benchmark's machinery: the model server, the contestants that came up, one measurement at a time."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.proxy import wrk
from tests.benchmarks.proxy.bodies import KEYS, bodies
from tests.benchmarks.proxy.client import Plan
from tests.benchmarks.proxy.contestants import ROOT, Contestant, Launch, Site, environment
from tests.benchmarks.proxy.machine import cores
from tests.benchmarks.proxy.processes import Holder, NotReadyError, Process, Target, ask, exposed, free_port, ready
from tests.benchmarks.proxy.proxies import model_by_nginx

__all__ = ["Entry", "Rig"]

NOWHERE = Target(0)
COLD = 100
"""Requests whose CPU is called cold."""
SLOWER = 400.0
"""Requests a second below which our own generator drives, for it waits until what it asked is answered."""


@dataclass(slots=True)
class Entry:
    """A contestant of this run: what it is, where it listens, what became of it."""

    contestant: Contestant
    process: Process | None = None
    """None for the model server itself."""
    launch: Launch | None = None
    target: Target = NOWHERE
    rate: float = 1000.0
    """Requests a second, as far as known: it decides how long a measurement must be."""
    spent: float = 0.0
    """s of measuring so far."""
    missing: str | None = None
    failed: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Version, command, cold start, memory."""

    @property
    def name(self) -> str:
        return self.contestant.name

    @property
    def playing(self) -> bool:
        """Whether it can be measured."""
        return self.missing is None and self.failed is None and self.target.port != 0


class Rig:
    """Everything that runs for one section of the benchmark. Use it as a context manager: it ends what it started."""

    def __init__(self, work: Path, *, streams: bool, limit: float, warm: float = 1.0) -> None:
        self.work = work / ("streams" if streams else "json")
        self.tools = work / "tools"
        self.streams = streams
        self.limit = limit
        """s that one contestant may be measured for, in all."""
        self.warm = warm
        """s of load that comes before everything that is measured but the cold start."""
        self.cores = cores()
        self.taken: set[int] = set()
        self.processes: list[Process] = []
        self.model = 0
        self.entries: list[Entry] = []
        self.keys = self.work / "keys"

    def __enter__(self) -> "Rig":
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.keys.write_text("\n".join(KEYS))
        self.model = free_port(self.taken)
        folder = self._folder("model")
        if shutil.which("nginx") and not self.streams:
            argv = model_by_nginx(folder, self.model)
        else:
            argv = [sys.executable, "-m", "tests.benchmarks.proxy.model", str(self.model)]
        try:
            server = self._start(argv, self.cores.model, folder / "log", env=environment())
            ready(server, Target(self.model), bodies(2048, 1)[0], 10.0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process, the last first, and removes what grew."""
        while self.processes:
            self.processes.pop().stop()
        for entry in self.entries:
            for file in entry.launch.logs if entry.launch else ():
                file.unlink(missing_ok=True)
            shutil.rmtree(self.work / entry.name / "ledger", ignore_errors=True)

    def _folder(self, name: str) -> Path:
        folder = self.work / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _start(self, argv: Sequence[str], where: frozenset[int], log: Path, **more: Any) -> Process:
        process = Process(argv, where, log, cwd=more.pop("cwd", ROOT), **more)
        self.processes.append(process)
        return process

    def bodies(self, size: int, stream: str = "") -> Path:
        """The file with the bodies of a size, one a line."""
        file = self.work / f"bodies-{size}-{stream.replace(' ', '')}.jsonl"
        if not file.exists():
            file.write_bytes(b"\n".join(bodies(size, stream=stream)))
        return file

    def admit(self, contestant: Contestant) -> Entry:
        """Starts a contestant, measures how it does so, warms it up. What goes wrong stands in the entry."""
        entry = Entry(contestant)
        self.entries.append(entry)
        if contestant.name == "direct":
            entry.target = Target(self.model)
            entry.rate = 10_000.0
            return entry
        entry.missing = contestant.missing(self.tools)
        if entry.missing is None:
            entry.facts["version"] = contestant.version(self.tools)
            if self.streams and contestant.streams is not None:
                entry.failed = contestant.streams
                return entry
            try:
                self._begin(entry)
            except (OSError, NotReadyError) as error:
                entry.failed = self._without_paths(str(error))
                if entry.process is not None:
                    entry.process.stop()
        return entry

    def _begin(self, entry: Entry) -> None:
        folder = self._folder(entry.name)
        site = Site(folder, self.tools, self.model, free_port(self.taken), free_port(self.taken), self.streams)
        launch = entry.launch = entry.contestant.launch(site)
        entry.facts["command"] = self._without_paths(" ".join(launch.argv))
        given = {
            name: self._without_paths(value) for name, value in launch.env.items() if os.environ.get(name) != value
        }
        entry.facts["environment"] = given
        process = entry.process = self._start(
            launch.argv,
            self.cores.contestant,
            folder / "log",
            env=launch.env or environment(),
            cwd=folder,
            out=launch.out,
        )
        target = Target(site.port, launch.path, launch.headers)
        asks = bodies(2048, COLD + 1)
        first = ready(process, target, asks[0], launch.patience)
        if exposed(site.port):
            raise NotReadyError("it listens at an address that others could reach")
        start = process.tree.read()
        answers = ask(target, asks[1:])
        cold = process.tree.read()
        odd = [status for status, _ in answers if status != 200]
        if odd:
            raise NotReadyError(f"{len(odd)} of {COLD} answers were not 200 but {odd[0]}")
        entry.facts["cold"] = {
            "first_answer": round(first, 3),
            "start_cpu": round(start.cpu / 1e9, 3),
            "cpu": round((cold.cpu - start.cpu) / 1e3 / COLD, 1),
            "rss": cold.rss,
        }
        entry.target = target
        warm = self._load(entry, self.plan(entry, 2048, 16, self.warm), own=True)
        entry.rate = max(1.0, warm["rps"])
        self._blame(entry, warm)

    def _without_paths(self, text: str) -> str:
        """A command or a message as others can read it: without the places of this machine."""
        for place, name in (
            (sys.executable, "python"),
            (f"{ROOT}/", ""),
            (str(ROOT), "."),
            (f"{self.work.parent}/", ""),
        ):
            text = text.replace(place, name)
        return text

    def plan(self, entry: Entry, size: int, connections: int, seconds: float, **more: Any) -> Plan:
        """A closed loop, or what `more` makes of it."""
        mode = more.pop("mode", "closed")
        stream = more.pop("stream", "")
        return Plan(
            mode=mode,
            port=entry.target.port,
            path=entry.target.path,
            bodies=str(self.bodies(size, stream)),
            connections=connections,
            seconds=seconds,
            headers=dict(entry.target.headers or {}),
            **more,
        )

    def closed(self, entry: Entry, size: int, connections: int, seconds: float) -> dict[str, Any]:
        """One measurement of a closed loop: long enough for four turns of each connection, 20 s at most."""
        slow = entry.rate < SLOWER
        seconds = min(20.0, max(seconds, 4 * connections / entry.rate))
        row = self.measure(entry, self.plan(entry, size, connections, seconds), own=slow)
        if row["n"]:
            row["cpu_us"] = None if entry.process is None else round(row["cpu_ns"] / 1e3 / row["n"], 2)
        return row

    def measure(self, entry: Entry, plan: Plan, *, own: bool = True) -> dict[str, Any]:
        """Runs a plan against a contestant, with the CPU of its whole tree and its memory. Fails it if it must."""
        tree = entry.process.tree if entry.process is not None else None
        before = tree.read() if tree else None
        row = self._load(entry, plan, own=own)
        after = tree.read() if tree else None
        if before is not None and after is not None:
            row["cpu_ns"] = after.cpu - before.cpu
            row["cpu_check_ns"] = after.check - before.check
            row["busy"] = round(row["cpu_ns"] / 1e9 / row["seconds"], 3) if row["seconds"] else 0.0
            row["cpu_agrees"] = after.agrees_with(before)
            row["rss"] = after.rss
            if after.lost > before.lost:
                row["cpu_lost_ns"] = after.lost - before.lost
        self._blame(entry, row)
        for file in entry.launch.logs if entry.launch else ():
            if file.exists():
                os.truncate(file, 0)
        return row

    def _blame(self, entry: Entry, row: dict[str, Any]) -> None:
        if row["bad"] or not row["n"]:
            entry.failed = f"not every answer was 200: {self._without_paths(_words(row))}, of {row['n']} answers"
        elif entry.process is not None and not entry.process.running:
            entry.failed = f"it ended: {self._without_paths(entry.process.last_words())}"
        elif entry.spent > self.limit:
            entry.failed = f"its {self.limit:.0f} s are over"
        if entry.failed is not None and entry.process is not None:
            entry.process.stop()

    def _load(self, entry: Entry, plan: Plan, *, own: bool) -> dict[str, Any]:
        driver = "load" if own or not shutil.which("wrk") else "wrk"
        argv: Sequence[str]
        if driver == "wrk":
            argv = wrk.command(plan, str(self.keys))
        else:
            argv = [sys.executable, "-m", "tests.benchmarks.proxy.load", msgspec.json.encode(plan).decode()]
        start = time.monotonic()
        output, error = self._run(argv, plan.seconds + plan.grace + 15)
        entry.spent += time.monotonic() - start
        try:
            row = wrk.parse(output) if driver == "wrk" else json.loads(output)
        except ValueError:
            row = {
                "n": 0,
                "bad": 1,
                "why": {f"the load generator said {(output + error).strip().splitlines()[-1:]}": 1},
            }
            row |= {"seconds": plan.seconds, "rps": 0.0}
        return {"driver": driver, **row}

    def hold(self, entry: Entry, count: int) -> dict[str, Any]:
        """Memory of each open stream in bytes: what the tree grew by when `count` of them had had their first chunk."""
        assert entry.process is not None
        plan = self.plan(entry, 2048, count, 30.0, mode="hold", stream="Pace: 20 chunks, 5000 ms.")
        before = entry.process.tree.read()
        argv = [sys.executable, "-m", "tests.benchmarks.proxy.load", msgspec.json.encode(plan).decode()]
        holder = Holder(argv, self.cores.load, environment(), ROOT)
        try:
            opened = holder.opened(plan.seconds + 15)
            after = entry.process.tree.read()
            row = holder.figures(20.0)
        finally:
            holder.close()
        row["rss_stream"] = round((after.rss - before.rss) / count) if opened and not row["bad"] else None
        if row["rss_stream"] is None:
            entry.facts["held"] = f"{count} streams at once weren't to be had: {_words(row)}"
        return row

    def _run(self, argv: Sequence[str], patience: float) -> tuple[str, str]:
        """Runs the load to its end on its core; what it says on both outputs. Ends it when the time is over."""
        log, out = self.work / "load.log", self.work / "load.out"
        out.write_bytes(b"")
        process = self._start(argv, self.cores.load, log, env=environment(), out=out)
        try:
            process.popen.wait(patience)
        except subprocess.TimeoutExpired:
            return "", f"no end after {patience:.0f} s"
        finally:
            process.stop()
            self.processes.remove(process)
        return out.read_text(), log.read_text(errors="replace")


def _words(row: dict[str, Any]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in row["why"].items()) or "no answer at all"
