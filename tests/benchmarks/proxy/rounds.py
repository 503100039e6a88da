"""Shell. What is measured, in which order: round by round, and within a round contestant by contestant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.proxy.contestants import Contestant
from tests.benchmarks.proxy.figures import spread
from tests.benchmarks.proxy.rig import Entry, Rig

__all__ = ["Options", "whole"]

SIZES = (2048, 32_768)
REFERENCE = 16
"""Connections of the figure that everything else is compared by."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    work: Path
    rounds: int = 3
    seconds: float = 3.0
    connections: Sequence[int] = (1, 16, 64, 256)
    sizes: Sequence[int] = SIZES
    open_loop: bool = True
    streams: bool = True
    limit: float = 900.0
    """s that one contestant may be measured for."""
    fastest: float = 5_000.0
    """Requests a second that our own generator can keep up with beside the model server."""
    warm: float = 1.0
    """s of load before everything that is measured but the cold start."""
    held: int = 1000
    """Streams open at once where memory is measured."""


Say = Callable[[str], None]


def whole(chosen: Sequence[Contestant], options: Options, say: Say, report: dict[str, Any]) -> None:
    """Everything: the contestants with what was found out about them, and every row of every round.

    They go into the report as they come, so that a run which is broken off has what it had.
    """
    rows: list[dict[str, Any]] = report.setdefault("rows", [])
    contestants: dict[str, dict[str, Any]] = report.setdefault("contestants", {})
    for streams in (False, True) if options.streams else (False,):
        with Rig(options.work, streams=streams, limit=options.limit, warm=options.warm) as rig:
            entries = []
            for contestant in chosen:
                entry = rig.admit(contestant)
                entries.append(entry)
                say(f"{contestant.name}: {entry.missing or entry.failed or 'ready'}")
            try:
                if streams:
                    _streams(rig, entries, options, rows, say)
                else:
                    _json(rig, entries, options, rows, say)
            finally:
                for entry in entries:
                    _note(contestants, entry, streams)


def _note(contestants: dict[str, dict[str, Any]], entry: Entry, streams: bool) -> None:
    about = contestants.setdefault(entry.name, {"what": entry.contestant.what, "install": entry.contestant.install})
    cold = entry.facts.pop("cold", None)
    about.update(entry.facts)
    if cold is not None:
        about.setdefault("cold", []).append(cold)
    if entry.missing is not None:
        about["missing"] = entry.missing
    if entry.failed is not None:
        about["failed_streams" if streams else "failed"] = entry.failed


def _json(rig: Rig, entries: Sequence[Entry], options: Options, rows: list[dict[str, Any]], say: Say) -> None:
    small, *larger = options.sizes
    cases = [(small, connections) for connections in options.connections] + [(size, REFERENCE) for size in larger]
    for at in range(options.rounds):
        for size, connections in cases:
            say(f"round {at + 1} of {options.rounds}: {size} bytes, {connections} connections")
            for entry in entries:
                if entry.playing:
                    row = rig.closed(entry, size, connections, options.seconds)
                    rows.append(
                        {"case": "closed", "name": entry.name, "round": at, "size": size, "c": connections, **row}
                    )
    if options.open_loop:
        _open_loop(rig, entries, options, rows, say)
    for entry in entries:
        if entry.process is not None and entry.playing:
            entry.facts["rss_after"] = entry.process.tree.read().rss


def _open_loop(rig: Rig, entries: Sequence[Entry], options: Options, rows: list[dict[str, Any]], say: Say) -> None:
    """Half of what a contestant can do, and the model server alone at the same rate just before."""
    direct = next((entry for entry in entries if entry.name == "direct"), None)
    for at in range(options.rounds):
        say(f"round {at + 1} of {options.rounds}: at half of what each can do")
        for entry in entries:
            if entry is direct or not entry.playing:
                continue
            best = spread(_best(rows, entry.name))
            if best is None:
                continue
            rate = min(options.fastest, best.median / 2)
            seconds = min(20.0, max(options.seconds, 100 / rate))
            for who in (direct, entry):
                if who is None or not who.playing:
                    continue
                plan = rig.plan(who, options.sizes[0], 256, seconds, mode="open", rate=rate, seed=at)
                row = rig.measure(who, plan)
                about = {
                    "case": "open",
                    "name": who.name,
                    "round": at,
                    "size": options.sizes[0],
                    "rate": round(rate, 1),
                }
                rows.append({**about, "for": entry.name, "capped": rate == options.fastest, **row})


def _best(rows: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Requests a second by round, at the number of connections that suits the contestant best."""
    by_round: dict[int, float] = {}
    for row in rows:
        if row["case"] == "closed" and row["name"] == name and row["size"] == SIZES[0]:
            by_round[row["round"]] = max(row["rps"], by_round.get(row["round"], 0.0))
    return list(by_round.values())


def _streams(rig: Rig, entries: Sequence[Entry], options: Options, rows: list[dict[str, Any]], say: Say) -> None:
    say(f"{options.held} streams held open")
    rows += [
        {"case": "held", "name": entry.name, "round": 0, **rig.hold(entry, options.held)}
        for entry in entries
        if entry.playing and entry.process is not None
    ]
    paced = round(options.seconds * 50)
    cases = {
        "first": (1, "Pace: 1 chunks, 0 ms."),
        "flat": (16, "Pace: 200 chunks, 0 ms."),
        "paced": (100, f"Pace: {paced} chunks, 20 ms."),
    }
    for at in range(options.rounds):
        for case, (connections, pace) in cases.items():
            say(f"round {at + 1} of {options.rounds}: streams, {case}")
            for entry in entries:
                if not entry.playing:
                    continue
                seconds = 0.0 if case == "paced" else options.seconds  # paced: one stream a connection
                more = {"mode": "streams", "stream": pace, "grace": options.seconds + 20.0}
                row = rig.measure(entry, rig.plan(entry, SIZES[0], connections, seconds, **more))
                if row.get("chunks") and "cpu_ns" in row:
                    row["cpu_us_chunk"] = round(row["cpu_ns"] / 1e3 / row["chunks"], 2)
                rows.append({"case": case, "name": entry.name, "round": at, "c": connections, **row})
