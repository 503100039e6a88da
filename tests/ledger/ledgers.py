"""Ledgers made by hand: requests and their ends in any order, stepped as a gateway steps them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.decide import Facts, Outcome, Verdict
from gateway.identity import Caller
from gateway.ledger.record import Adopted, Opened, Row, Ruled, Settled, decode, encode
from gateway.ledger.replay import Judged, Replay
from gateway.ledger.steps import Accounts, Limits, Steps, refused
from gateway.observe import Observation
from gateway.policy.loader import load
from gateway.policy.model import Policy
from gateway.quotas import Drawn
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits
from gateway.usage import Usage

START = 1_700_000_000_000_000  # µs
SECOND = 1_000_000

POLICY = """
gauger: 1
policy: {id: made}
limits:
  - {id: few, by: [account], count: requests, rate: 60 requests/min, burst: 4 requests}
  - {id: output, by: [account], count: tokens.output, rate: 6k tokens/min}
  - {id: live, by: [account], count: concurrent, rate: 2 requests, lease: 2 min}
rules:
  - {id: choices, when: req.n > 1, then: {tag: [many]}}
  - {id: warm, when: req.temperature > 1.5, then: {tag: [warm]}, mode: shadow}
"""


def nothing(name: str) -> bytes:
    raise FileNotFoundError(2, "there is no such file", name)


def policy_of(text: str) -> Policy:
    return load(text, "made.yaml", nothing)


def fresh(row: Opened) -> tuple[Limits, Accounts]:
    return MemoryLimits(row.cells), MemoryAccounts(row.accounts, row.probation, memory=row.memory)


def adopted(row: Adopted) -> Policy:
    return policy_of(row.files[row.source])


@dataclass
class Written:
    """A gateway that writes rows and answers nothing. Times in seconds since its start."""

    text: str = POLICY
    bounds: dict[str, Any] = field(default_factory=dict)  # of the state, as its header has them
    rows: list[Row] = field(default_factory=list)
    open: dict[str, tuple[Facts, Verdict, Drawn | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policy = policy_of(self.text)
        self.begin(0)

    def begin(self, at: float) -> None:
        """A process begins."""
        now = START + round(at * SECOND)
        opened = Opened(1, now, "test", **self.bounds)
        self.steps = Steps(*fresh(opened))
        self.rows.append(opened)
        self.seq = 1
        files = {"made.yaml": self.text}
        self.put(Adopted(self.next(), now, self.policy.digest, self.policy.id, source="made.yaml", files=files))

    def next(self) -> int:
        self.seq += 1
        return self.seq

    def put(self, row: Row) -> None:
        self.rows.append(row)

    def ask(self, name: str, at: float, account: str = "a", **seen: object) -> Drawn | None:
        now = START + round(at * SECOND)
        self.steps.keep(now)
        shown = {"dialect": "openai_chat", "op": "chat", "route": "/v1/chat/completions", "model": "m", "chars": 400}
        facts = Facts(
            Caller(account, "0" * 16, known=True, source="key"),
            Observation(**{**shown, **seen}),  # type: ignore[arg-type]
            self.steps.known(account),
        )
        verdict = self.steps.judge(self.policy, facts, now)
        self.put(Ruled(self.next(), now, name, self.policy.digest, facts, verdict))
        drawn = self.steps.draw(name, verdict, now)
        self.open[name] = (facts, verdict, drawn)
        end = refused(self.policy, facts, verdict, drawn)
        if end is not None:
            self.end(name, at, outcome=end)
        return drawn

    def end(self, name: str, at: float, output: int = 100, outcome: Outcome | None = None) -> None:
        now = START + round(at * SECOND)
        self.steps.keep(now)
        facts, verdict, drawn = self.open.pop(name)
        readings = drawn.readings if drawn is not None else ()
        usage = Usage(100, output, source="upstream")
        outcome = outcome or Outcome("done", 200, 200, usage, readings)
        settled, reflection = self.steps.settle(self.policy, name, facts, verdict, outcome, now)
        outcome = msgspec.structs.replace(outcome, settled=settled)
        self.put(Settled(self.next(), now, name, facts.caller.account, outcome, reflection))

    def call(self, name: str, at: float, account: str = "a", output: int = 100, **seen: object) -> None:
        """A request that takes half a second, if it is let in."""
        drawn = self.ask(name, at, account, **seen)
        if drawn is not None and drawn.ok:
            self.end(name, at + 0.5, output)


def busy() -> Written:
    """Two accounts, overlapping requests, some refused, tags, and times that differ."""
    made = Written()
    for at in range(12):
        made.ask(f"x{at}", at * 0.3, "a", n=1 + at % 2)
        made.ask(f"y{at}", at * 0.3 + 0.1, "b", temperature=float(at % 3))
        for name in (f"x{at - 1}", f"y{at - 2}"):
            if name in made.open:
                made.end(name, at * 0.3 + 0.2, output=50 * at)
    for name in list(made.open):
        made.end(name, 10)
    made.call("last", 60, "a", output=1234)
    return made


def replayed(rows: list[Row], policy: Policy | None = None) -> tuple[Replay, list[Judged]]:
    """The rows through their bytes and the fold."""
    replay = Replay(policy, adopted, fresh)
    judged = [each for row in rows if (each := replay.step(decode(encode(row)))) is not None]
    return replay, [*judged, *replay.finish()]


def steady(count: int) -> Iterator[Row]:
    """A long stream of a hundred accounts, made as it is read."""
    made = Written()
    for at in range(count):
        made.call(f"r{at}", at, f"a{at % 100}")
        yield from made.rows
        made.rows.clear()
