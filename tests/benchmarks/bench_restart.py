"""How long a gateway takes to be ready again, and what a snapshot costs while it runs.

    python tests/benchmarks/bench_restart.py [--requests N] [--accounts N] [--folder DIR]

A ledger is made as a gateway makes it, without sockets: requests of many accounts (a few ask much, most little), judged
by the shipped extraction pack, drawn, settled, linked, written. Then a snapshot is taken while a task of the same event
loop looks at the clock all the time: its longest wait is the stop. Then the gateway is built again and again: from the
snapshot alone, from it and a tail of rows that grows, and from rows alone. Times are of one run; what is built
listens to nothing, so this is the time before it does. About 0.3 KB of disk a request, and 3 KB of memory an
account.
"""

import argparse
import asyncio
import gc
import random
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).parents[2]))

from pydantic import SecretStr

from gateway.app import build_core
from gateway.decide import Facts, Outcome, Verdict
from gateway.edge.core import Core
from gateway.identity import Caller
from gateway.ledger.record import Ruled, Settled
from gateway.ledger.steps import Steps, refused
from gateway.observe import Observation
from gateway.settings import Settings
from gateway.stores.memory import MemoryLimits
from gateway.stores.snapshot import discard
from gateway.usage import Usage

ROOT = Path(__file__).parents[2]
PACKS = ROOT / "policies" / "packs"
POLICY = """
gauger: 1
policy: {id: restart}
use: [packs/extraction-enforce.yaml]
limits:
  - {id: requests, by: [account], count: requests, rate: 1M requests/min}
  - {id: output, by: [account, model], count: tokens.output, rate: 100M tokens/min}
  - {id: daily, by: [account], count: tokens.total, rate: 1B tokens/day, window: calendar}
  - {id: live, by: [account], count: concurrent, rate: 1000 requests, lease: 2 min}
"""
TAILS = (0, 1000, 10_000, 100_000)
STEP = 40_000  # µs between two requests
LATENCY = 20  # requests that come before one ends
SPREAD = 0x9E3779B97F4A7C15
MARKS = ("one_shot", "elicits", "generates", "wide", "roomy")


class Traffic:
    """The same requests for the same seed, whatever came between."""

    def __init__(self, accounts: int) -> None:
        self.chance = random.Random(1)
        self.accounts = accounts
        self.count = 0
        self.now = 1_790_000_000_000_000

    def next(self) -> tuple[Caller, Observation]:
        chance = self.chance
        self.count += 1
        self.now += STEP
        at = int(self.accounts * chance.random() ** 3) if self.count > self.accounts else self.count
        ask, frame = chance.getrandbits(53), at % 5000 if at % 3 else self.count
        seen = Observation(
            dialect="openai_chat",
            op="chat",
            route="/v1/chat/completions",
            model=f"model-{at % 3}",
            bytes=2048,
            chars=1900,
            messages=2,
            max_tokens=256,
            temperature=0.7,
            system=frame << 20 | 1,
            params=at % 400 + 1,
            client=f"client-{at % 9}",
            asks=(ask,),
            distinct=1,
            pieces=(ask, chance.getrandbits(53)),
            marks={chance.choice(MARKS): 1},
        )
        return Caller(
            f"acct_{at:08d}", f"{at:016x}", known=True, source="key", network=f"{at * SPREAD % 2**64:016x}"
        ), seen


def drive(core: Core, traffic: Traffic, requests: int) -> None:
    """So many requests, as the gate would step them."""
    assert isinstance(core.limits, MemoryLimits)
    assert core.campaigns is not None
    steps, journal, policy = Steps(core.limits, core.accounts), core.journal, core.policy
    waiting: list[tuple[Ruled, Facts, Verdict, Outcome]] = []
    for at in range(requests + LATENCY):
        if at < requests:
            caller, seen = traffic.next()
            facts = Facts(
                caller, seen, steps.known(caller.account), False, "", 0, False, *core.campaigns.meet(caller, seen)
            )
            verdict = steps.judge(policy, facts, traffic.now)
            name = f"01{traffic.count:024d}"
            ruled = Ruled(journal.next(), traffic.now, name, policy.digest, facts, verdict)
            journal.append(ruled)
            drawn = steps.draw(name, verdict, traffic.now)
            readings = drawn.readings if drawn is not None else ()
            usage = Usage(430, traffic.chance.randrange(20, 400), source="upstream")
            end = refused(policy, facts, verdict, drawn) or Outcome("done", 200, 200, usage, readings)
            waiting.append((ruled, facts, verdict, end))
        if waiting and (len(waiting) > LATENCY or at >= requests):
            ruled, facts, verdict, end = waiting.pop(0)
            now = traffic.now + LATENCY * 1000
            if end.end == "done":
                core.served.add((traffic.chance.getrandbits(53),) * 1, now, facts.seen.pieces)
            settled, reflection = steps.settle(policy, ruled.request, facts, verdict, end, now)
            if end.end == "done":
                core.campaigns.saw(facts.caller, facts.seen, now)
            end = Outcome(end.end, end.status, end.upstream_status, end.usage, end.limits, settled, error=end.error)
            journal.append(Settled(journal.next(), now, ruled.request, facts.caller.account, end, reflection))


def closed(core: Core) -> None:
    """The process ends without a last snapshot, and its memory is free."""
    assert core.ledger is not None
    core.ledger.close(60)
    core.lines.close()


def begin(settings: Settings) -> tuple[Core, float, float]:
    """A process begins: seconds until it could listen, and of CPU."""
    gc.collect()
    began, spent = perf_counter(), process_time()
    core = build_core(settings)
    return core, perf_counter() - began, process_time() - spent


async def snapshot(core: Core) -> dict[str, float]:
    """Takes one, and looks at the clock meanwhile: the longest that the loop gave nobody a turn."""
    assert core.snapshots is not None
    longest, over = 0.0, False

    async def look() -> None:
        nonlocal longest
        before = perf_counter()
        while not over:
            await asyncio.sleep(0)
            now = perf_counter()
            longest, before = max(longest, now - before), now

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.5)
    idle, longest, began = longest, 0.0, perf_counter()
    path = await core.snapshots.take()
    took = perf_counter() - began
    over = True
    await looking
    assert path is not None
    return {"bytes": path.stat().st_size, "s": took, "taken": core.snapshots.stopped, "longest": longest, "idle": idle}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    sys.setswitchinterval(0.001)  # as in a gateway
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, policy = Path(name), Path(name, "policy.yaml")
        (folder / "packs").symlink_to(PACKS)
        policy.write_text(POLICY)
        settings = Settings(
            state_dir=folder,
            ledger=folder / "ledger",
            policy=policy,
            pepper=SecretStr("a pepper for benchmarks only"),
            state_memory=1 << 30,
            log_level="error",
        )
        measure(settings, given.requests, Traffic(given.accounts))


def measure(settings: Settings, requests: int, traffic: Traffic) -> None:
    core, took, spent = begin(settings)
    print(f"an empty start            {took:7.2f} s")
    began = perf_counter()
    drive(core, traffic, requests)
    assert core.ledger is not None
    core.ledger.flush(60)
    took = perf_counter() - began
    print(
        f"{requests:,} requests were made in {took:.0f} s; {len(core.accounts):,} accounts, {core.limits.cells:,} cells"
    )
    found = asyncio.run(snapshot(core))
    print(f"a snapshot                {found['s']:7.2f} s, {found['bytes'] / 1e6:.1f} MB")
    print(
        f"  stops of the loop       {found['taken'] * 1e3:7.1f} ms to take it, {found['longest'] * 1e3:.1f} ms at most"
    )
    print(f"                          {found['idle'] * 1e3:7.1f} ms at most without one")
    done = 0
    for tail in TAILS:
        drive(core, traffic, tail - done)
        done = tail
        closed(core)
        del core
        core, took, spent = begin(settings)
        print(f"snapshot, {tail:7,} requests {took:7.2f} s, {spent:.2f} of CPU")
    closed(core)
    del core
    assert settings.ledger is not None
    discard(settings.ledger)
    core, took, spent = begin(settings)
    print(f"rows alone                {took:7.2f} s, {spent:.2f} of CPU: {(requests + done) / spent:,.0f} requests/s")
    closed(core)
    size = sum(path.stat().st_size for path in settings.ledger.iterdir())
    print(f"the ledger                {size / 1e6:7.0f} MB")


if __name__ == "__main__":
    main()
