"""Small traces: observations as `observe` makes them, and an account that asks them one after the other."""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from msgspec import structs

from gateway.identity import Caller
from gateway.observe import Observation
from gateway.panel import Panel
from gateway.signals import Ended, Signal, Slab

__all__ = ["ANSWERED", "BUSY", "FAILED", "SECOND", "T0", "Account", "alone", "ask", "batch", "mark", "print_of"]

SECOND = 1_000_000  # µs
T0 = 1_800_000_000 * SECOND  # a Friday in 2027
WHO = Caller("acct", key="0123456789abcdef", source="key", network="fedcba9876543210")

ANSWERED = Ended(ok=True, refused=False, status=200, input=50, output=400)
BUSY = Ended(ok=False, refused=True, status=429)  # by a limit of this gateway
FAILED = Ended(ok=False, refused=False, status=503)  # by the model server


def print_of(*of: object) -> int:
    """The fingerprint (53 bits, never 0) of anything: the same for the same words."""
    return int.from_bytes(blake2b(repr(of).encode(), digest_size=8).digest(), "big") >> 11 or 1


def ask(
    what: object = 0, /, frame: object = None, *, marks: Iterable[str] = ("one_shot",), **fields: Any
) -> Observation:
    """A chat request that asks question `what`; in a frame, its first and last words are those of the frame.

    `fields`: of the observation, as they shall be. Streams and choices bring their marks along.
    """
    framed = what if frame is None else frame
    made: dict[str, Any] = {
        "dialect": "openai_chat",
        "op": "chat",
        "route": "/v1/chat/completions",
        "model": "m",
        "messages": 1,
        "bytes": 400,
        "chars": 200,
        "fresh": 200,
        "client": "python-client",
        "asks": (print_of("ask", what),),
        "distinct": 1,
        "pieces": tuple(sorted(print_of("piece", what, at) for at in range(3))),
        "head": print_of("head", framed),
        "tail": print_of("tail", framed),
        "params": print_of("params"),
        **fields,
    }
    found = dict.fromkeys(marks, 1)
    if made.get("stream"):
        found["streamed"] = 1
    if made.get("n", 1) > made.get("prompts", 1):
        found["choices"] = 1
    return Observation(marks=found, **made)


def batch(first: int, lines: int, *, marks: Mapping[str, int] | None = None, **fields: Any) -> Observation:
    """An upload of so many lines, each a different question from number `first` on; `marks` count lines."""
    asks = sorted(print_of("ask", first + at) for at in range(lines))
    made: dict[str, Any] = {
        "dialect": "openai_files",
        "op": "batch",
        "route": "/v1/files",
        "model": "m",
        "n": lines,
        "lines": lines,
        "messages": lines,
        "bytes": 400 * lines,
        "chars": 200 * lines,
        "fresh": 200 * lines,
        "asks": tuple(asks[:16]),
        "distinct": lines,
        "pieces": tuple(asks[:4]),
        "head": print_of("head", first),
        "tail": print_of("tail", first),
        "params": print_of("params"),
        **fields,
    }
    return Observation(marks=dict({"one_shot": lines} if marks is None else marks), **made)


def mark(seen: Observation, **marks: int) -> Observation:
    """The same request with these marks besides; 0 takes one away."""
    found = {name: count for name, count in (seen.marks | marks).items() if count}
    return structs.replace(seen, marks=found)


def alone(signal: Signal) -> Panel:
    """A panel with one signal only."""
    return Panel({"alone": signal})


class Account:
    """One account on one panel: a row of bytes, and a clock that its steps move on."""

    def __init__(self, panel: Panel, now: int = T0, who: Caller = WHO) -> None:
        self.panel, self.now, self.who = panel, now, who
        self.row = b""

    def wait(self, seconds: float) -> "Account":
        """Time goes by."""
        self.now += round(seconds * SECOND)
        return self

    def asked(self, seen: Observation, returned: int = 0, *, continued: bool = False) -> Slab:
        """A request begins, now."""
        return self._keep(self.panel.asked(self.row, seen, self.who, self.now, returned, continued))

    def malformed(self, seen: Observation) -> Slab:
        """A request is refused unread, now."""
        return self._keep(self.panel.malformed(self.row, seen, self.who, self.now))

    def ended(self, seen: Observation, end: Ended = ANSWERED) -> Slab:
        """A request ends, now."""
        return self._keep(self.panel.ended(self.row, seen, end, self.now))

    def turn(self, seen: Observation, end: Ended = ANSWERED, took: float = 2.0, then: float = 3.0) -> Slab:
        """A request begins, takes so many seconds, ends; and so many go by before the next one."""
        self.asked(seen)
        self.wait(took)
        slab = self.ended(seen, end)
        self.wait(then)
        return slab

    def read(self, name: str) -> float | None:
        """A reading as it stands now."""
        return self.panel.readings[name].get(self._slab())

    def value(self, name: str) -> float:
        """A reading that must not be missing."""
        found = self.read(name)
        assert found is not None, name
        return found

    def hits(self, name: str) -> tuple[float, float]:
        """A share's hits, and the requests that they are of."""
        read = self.panel.readings[name]
        assert read.hits is not None and read.of is not None, name
        slab = self._slab()
        return read.hits(slab), read.of(slab)

    def _keep(self, slab: Slab) -> Slab:
        self.row = self.panel.pack(slab)
        return slab

    def _slab(self) -> Slab:
        """The row, decayed to now and not kept: reading moves nothing on."""
        slab = self.panel.at(self.row, self.now)
        self.panel._share(slab)
        return slab
