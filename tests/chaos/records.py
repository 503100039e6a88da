"""What a gateway wrote of the requests that callers made: one line each, by the name that the caller gave it."""

import asyncio
import re
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tests.chaos.callers import Ask

__all__ = ["Record", "Records"]

PATIENCE = 10.0  # s that a line may take to be in the file
WORKER = re.compile(r"/worker-(\d+)$")


class Record(msgspec.Struct, frozen=True):
    """What is looked at of a line."""

    id: str
    name: str  # the caller's
    at: float  # s of the wall: when it was judged
    life: int
    worker: int
    store: str
    status: int
    upstream: int
    end: str
    draw: int  # µs; 0 = it drew nothing
    seq: tuple[int, int]
    left: dict[str, int]  # limit -> units left, as the draw said
    readings: dict[str, Any]

    @property
    def decided(self) -> float:
        """s of the wall: when its draw was over."""
        return self.at + self.draw / 1e6


class Records:
    """All lines of all lives so far. `half` counts lines that a kill cut off; `twice` are names with two lines."""

    def __init__(self) -> None:
        self.by_name: dict[str, Record] = {}
        self.lines = 0
        self.twice: list[str] = []
        self.strange: list[str] = []
        self.half = 0
        self._read: dict[Path, int] = {}

    def read(self, lives: Iterable[Path]) -> None:
        """Takes what has been written since."""
        for number, folder in enumerate(lives):
            path = folder / "stdout"
            at = self._read.get(path, 0)
            with path.open("rb") as source:
                source.seek(at)
                data = source.read()
            whole = data.rfind(b"\n") + 1
            self._read[path] = at + whole
            for line in data[:whole].splitlines():
                self._take(number, line)

    def finish(self, lives: Iterable[Path]) -> None:
        """No life writes any more: what is left of a file is half a line."""
        lives = list(lives)
        self.read(lives)
        self.half += sum((folder / "stdout").stat().st_size > self._read[folder / "stdout"] for folder in lives)

    async def of(self, asks: Iterable[Ask], lives: list[Path]) -> list[Record]:
        """The records of requests that were answered, once they are there; those that never come are left out."""
        names = [ask.name for ask in asks if ask.whole]
        end = time.monotonic() + PATIENCE
        while True:
            self.read(lives)
            if all(name in self.by_name for name in names) or time.monotonic() > end:
                return [self.by_name[name] for name in names if name in self.by_name]
            await asyncio.sleep(0.05)

    def _take(self, life: int, line: bytes) -> None:
        try:
            made = orjson.loads(line)
            worker = WORKER.search(made["service"]["instance"])
            record = Record(
                made["request_id"],
                made.get("client_request_id", ""),
                datetime.fromisoformat(made["ts"]).timestamp(),
                life,
                int(worker[1]) if worker else -1,
                made["store"],
                made["http"]["status"],
                made["http"]["upstream_status"],
                made["end"],
                made["t"].get("limit_us", 0),
                (made["seq"]["ruled"], made["seq"]["settled"]),
                {each["id"]: each["left"] for each in made.get("limits", ())},
                made.get("readings", {}),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.strange.append(f"{type(error).__name__}: {line[:120]!r}")
            return
        self.lines += 1
        if record.name in self.by_name:
            self.twice.append(record.name)
        self.by_name[record.name] = record
