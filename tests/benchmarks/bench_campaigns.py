"""What linking accounts costs: a request, a slice of going through everything, and the tables at their bounds.

    python tests/benchmarks/bench_campaigns.py [--accounts N] [--owners N] [--heads N] [--days D]

The traffic is `gauger simulate`'s: benign owners, and a hydra. Beside it stands one step of an account's signals, which
every request takes as well, measured in the same run; the ratio says what linking adds.
"""

import argparse
import statistics
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from gateway.campaigns.tables import MEMORY, RECORD, Campaigns
from gateway.cli.raw import PUBLIC_PEPPER
from gateway.gauges import PANEL
from gateway.identity import Caller, network_of
from gateway.observe import Observation, Prints
from gateway.observe.wire import from_wire
from gateway.signals import Ended
from gateway.simulate.chance import dice_of
from gateway.simulate.knobs import Hydra
from gateway.simulate.people import Account
from gateway.simulate.world import BEGIN, Scenario, World

Event = tuple[Caller, Observation, int]
US = 1_000  # ns


def events(owners: int, heads: int, days: float) -> Iterator[Event]:
    """Who asks, what, and when (µs)."""
    prints = Prints(PUBLIC_PEPPER.current)
    ages: dict[str, int] = {}

    def opened(account: Account) -> None:
        ages[account.name] = int(BEGIN + account.created)

    hydras = (Hydra(accounts=heads, wording="reasoning"),)
    world = World(Scenario(days=days, benign=owners, hydras=hydras), dice_of(1), opened=opened)
    for sent in world.play():
        line = sent.line
        headers = [(b"content-type", b"application/json"), (b"user-agent", line.user_agent.encode())]
        seen = from_wire(line.method, line.path, headers, bytes(line.body), prints).seen
        network = network_of(PUBLIC_PEPPER.current, line.client_ip)
        yield Caller(line.account, created=ages[line.account], network=network), seen, round(line.t * 1e6)


def timed(played: list[Event]) -> None:
    """One request's share, and each slice's."""
    rows: dict[str, bytes] = {}
    tables = Campaigns(lambda account: rows.get(account, b""))
    plain: list[int] = []
    sliced: list[int] = []
    steps: list[int] = []
    for who, seen, now in played:
        before = perf_counter_ns()
        slab = PANEL.asked(rows.get(who.account, b""), seen, who, now)
        slab = PANEL.ended(PANEL.pack(slab), seen, Ended(True, False, 200, 100, 300), now)
        rows[who.account] = PANEL.pack(slab)
        steps.append(perf_counter_ns() - before)
        walking = tables.walking
        before = perf_counter_ns()
        tables.saw(who, seen, now)
        spent = perf_counter_ns() - before
        (sliced if walking else plain).append(spent)
    whole = sum(plain) + sum(sliced)
    print(f"{len(played):,} requests, {len(tables):,} accounts, {tables.epoch} times gone through")
    print(f"  signals of the account      median {statistics.median(steps) / US:6.1f} us")
    for name, found in (("linking, without a slice", plain), ("linking, with a slice", sliced)):
        if found:
            ranked = sorted(found)
            p99 = ranked[len(ranked) * 99 // 100] / US
            print(f"  {name:27} median {statistics.median(found) / US:6.1f} us, p99 {p99:.0f}, {len(found):,} of them")
    print(
        f"  linking, all in all         mean   {whole / len(played) / US:6.1f} us, {whole / sum(steps):.2f} x signals"
    )
    for each in tables.live:
        print(f"  {each.id}: {each.members} accounts, {'linked' if each.linked else 'cohort'}")


def bounds(accounts: int) -> None:
    """The tables, full: `accounts` that fill a frame each, a tenth of them one together."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tables = Campaigns(lambda account: b"", accounts * RECORD)
    now = 1_800_000_000_000_000
    for at in range(accounts):
        who = Caller(f"account-{at:08d}", network=f"{at * 2654435761 % 2**64:016x}")
        frame = 5 if at % 10 == 0 else 1000 + at
        for turn in range(3):
            now += 1000
            seen = Observation(
                3, op="chat", asks=(at << 8 | turn,), distinct=1, opening=frame, closing=frame, system=frame + 1,
                params=at, client="openai-python", words=(at % 256, turn, 7), pieces=(frame, at << 9 | turn),
            )  # fmt: skip
            tables.saw(who, seen, now)
    tables.settle()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{len(tables):,} accounts: {taken / 2**20:.1f} MiB, {taken / len(tables):.0f} bytes each")
    print(f"  GAUGER_CAMPAIGN_MEMORY of {MEMORY / 2**20:.0f} MiB holds {MEMORY // RECORD:,}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=61_000)
    parser.add_argument("--owners", type=int, default=400)
    parser.add_argument("--heads", type=int, default=200)
    parser.add_argument("--days", type=float, default=1.0)
    given = parser.parse_args()
    timed(list(events(given.owners, given.heads, given.days)))
    bounds(given.accounts)
