"""What remembering accounts takes: bytes an account, estimated, traced and resident, and the time that evicting adds.

    python tests/benchmarks/bench_state.py [--accounts N] [--memory BYTES] [--answers N]

Each account asks and is answered once, by the gate's own steps; it then has the pace of an account of some age, and the
answers of four limits. Resident memory and times are of one process; a fifth of the accounts is traced in another.
"""

import argparse
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from gateway.decide import AccountState, Facts, Outcome, Verdict, judge, settle
from gateway.identity import Caller
from gateway.quotas import Reading
from gateway.stores.accounts import MEMORY, MemoryAccounts
from gateway.usage import Usage
from tests.rig import OPEN_POLICY, policy_of
from tests.signals.traces import SECOND, T0, ask, print_of

POLICY = policy_of(OPEN_POLICY)


def one(accounts: MemoryAccounts, at: int, answers: int) -> None:
    """A request of an account of its own, from its judging to its end."""
    name, now = f"key-{print_of(at):016x}", T0 + at * SECOND
    facts = Facts(Caller(name, name[4:], source="key"), ask(at))
    verdict: Verdict = accounts.update(name, lambda state: judge(POLICY, state, facts, now))
    limits = tuple(
        Reading(limit, "tokens.output", True, 400 + at, 9000 + at, 10_000 + at, reset=7_000_000 + at)
        for limit in ("requests", "input", "output", "live")
    )
    outcome = Outcome("done", 200, 200, Usage(50 + at % 50, 300 + at, source="upstream"), limits)

    def ended(state: AccountState) -> tuple[AccountState, None]:
        after, _ = settle(POLICY, state, facts, verdict, outcome, now + SECOND)
        aged = {model: msgspec.structs.replace(pace, recent=bytes(4 * answers)) for model, pace in after.paces.items()}
        return msgspec.structs.replace(after, paces=aged), None

    accounts.update(name, ended)


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def fill(given: argparse.Namespace) -> None:
    """Fills the table in this process and says what it took."""
    accounts = MemoryAccounts(given.accounts, memory=given.memory)
    one(MemoryAccounts(), 0, 1)
    if given.traced:
        tracemalloc.start()
    before, begun, full = resident(), time.process_time(), 0.0
    for at in range(given.accounts):
        one(accounts, at, given.answers)
        if not full and any(accounts.evicted.values()):
            full, there = time.process_time(), at
    kept = len(accounts)
    if given.traced:
        traced = tracemalloc.get_traced_memory()[0]
        print(f"traced     {traced / 2**20:8.1f} MiB  {traced / kept:8.0f} bytes an account")
        return
    ended, used = time.process_time(), resident() - before
    print(f"{given.accounts:,} accounts came, {kept:,} are kept; evicted: {accounts.evicted}")
    print(f"budget     {given.memory / 2**20:8.1f} MiB")
    print(f"estimated  {accounts.bytes / 2**20:8.1f} MiB  {accounts.bytes / kept:8.0f} bytes an account")
    print(f"resident   {used / 2**20:8.1f} MiB  {used / kept:8.0f} bytes an account")
    if full and there:
        filling, evicting = (full - begun) / there, (ended - full) / (given.accounts - there)
        print(f"a request  {filling * 1e6:8.1f} µs while there is room, {evicting * 1e6:.1f} µs where each evicts one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--memory", type=int, default=MEMORY)
    parser.add_argument("--answers", type=int, default=64)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        fill(given)
        return
    for more in ([], ["--traced", "--accounts", str(given.accounts // 5)]):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--here", *more], check=True)


if __name__ == "__main__":
    main()
