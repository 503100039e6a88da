"""Who is forgotten when the memory for accounts is full: compared with a plain model, and under floods of keys."""

from functools import cache
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decide import AccountState
from gateway.gauges import PANEL
from gateway.signals import DAY, HOUR, WEEK
from gateway.standing import standing
from gateway.stores.accounts import MemoryAccounts, weight
from tests.signals.traces import T0, Account, ask

SHARES = 4  # of the bytes, one for each class
MARKED = (0, 4, 21, 102)  # requests with a mark that make a standing


@cache
def row_of(rank: int) -> bytes:
    """The row of an account of this standing."""
    account = Account(PANEL)
    for at in range(max(1, MARKED[rank])):
        account.turn(ask(at, marks=("one_shot", "elicits") if rank else ("one_shot",)), took=0.05, then=0.05)
    assert standing(account.row) == rank
    return account.row


def seen(accounts: MemoryAccounts, account: str, rank: int, now: int, *, proven: bool = True) -> None:
    """A request that leaves the account with a row of this standing."""

    def transition(state: AccountState) -> tuple[AccountState, None]:
        made = msgspec.structs.replace(
            state,
            requests=state.requests + 1,
            last=max(now, state.last),
            proven=state.proven or proven,
            signals=row_of(rank),
        )
        return made, None

    accounts.update(account, transition)


ONE = weight("a", AccountState(signals=row_of(0)))


def room_for(count: int) -> int:
    """The setting that leaves room for so many proven accounts with names of one letter."""
    return -(-count * ONE * 16 // 15) + 16


class Kept(NamedTuple):
    rank: int
    turn: int  # the order in its class
    state: AccountState


class Model:
    """The same, as plainly as can be: no totals are kept, and whatever is the least is looked for anew."""

    def __init__(self, capacity: int, most: int) -> None:
        self.capacity, self.most = capacity, most
        self.kept: dict[str, Kept] = {}
        self.evicted = {"idle": 0, "live": 0, "evidence": 0}
        self.turn = self.now = 0

    def see(self, account: str, rank: int, now: int) -> None:
        self.turn += 1
        self.now = max(self.now, now)
        before = self.kept.get(account)
        old = before.state if before else AccountState()
        state = AccountState(last=max(now, old.last), requests=old.requests + 1, proven=True, signals=row_of(rank))
        looked = before is None or state.requests in (1, 2, 4, 8, 16, 32, 64, 96, 128)
        if before is not None and not looked and old.last // HOUR == state.last // HOUR:
            rank = before.rank
        self.kept[account] = Kept(rank, self.turn, state)
        while len(self.kept) > self.capacity or self.bytes(self.kept) > self.most:
            self.evict(by_bytes=self.bytes(self.kept) > self.most)

    def bytes(self, names: "dict[str, Kept] | list[str]") -> int:
        return sum(weight(name, self.kept[name].state) for name in names)

    def of(self, rank: int) -> list[str]:
        return sorted((n for n, kept in self.kept.items() if kept.rank == rank), key=lambda n: self.kept[n].turn)

    def evict(self, *, by_bytes: bool) -> None:
        ways = []
        for rank in range(4):
            names = self.of(rank)
            full = self.bytes(names) * SHARES > self.most if by_bytes else len(names) * SHARES > self.capacity
            for name in names:
                last = self.kept[name].state.last
                weeks = (self.now - last) // WEEK
                if full or weeks:
                    ways.append((max(0, rank - weeks), last, rank, self.kept[name].turn, name))
        gone = self.kept.pop(min(ways)[-1])
        live = self.now - gone.state.last <= DAY
        self.evicted["idle" if not live else "evidence" if gone.rank else "live"] += 1


STEP = st.tuples(
    st.sampled_from("abcdefghijklmnop"), st.sampled_from((0, 0, 0, 1, 2, 3)), st.sampled_from((0, 1, HOUR, DAY, WEEK))
)


@given(st.lists(STEP, max_size=120), st.sampled_from((3, 8, 100)), st.sampled_from((4, 7, 100)))
@settings(max_examples=150, deadline=None)
def test_it_does_what_the_plain_model_does(steps: list[tuple[str, int, int]], capacity: int, room: int) -> None:
    memory = room_for(room)
    accounts, model, now = MemoryAccounts(capacity, memory=memory), Model(capacity, memory - memory // 16), T0
    for account, rank, later in steps:
        now += later
        seen(accounts, account, rank, now)
        model.see(account, rank, now)
        assert {name: accounts.standing(name) for name in "abcdefghijklmnop"} == {
            name: kept.rank if (kept := model.kept.get(name)) else None for name in "abcdefghijklmnop"
        }
        assert accounts.evicted == model.evicted
        assert accounts.bytes == model.bytes(model.kept) <= memory
        assert len(accounts) == accounts.proven == len(model.kept) <= capacity


def test_a_flood_of_accepted_keys_pushes_out_none_with_evidence() -> None:
    memory = 2 << 20
    accounts = MemoryAccounts(memory=memory)
    for at in range(100):
        seen(accounts, f"thief-{at}", 1 + at % 3, T0 + at)
    for at in range(50_000):
        seen(accounts, f"fresh-{at}", 0, T0 + 1000 + at)
        assert accounts.bytes <= memory
    assert [accounts.standing(f"thief-{at}") for at in range(100)] == [1 + at % 3 for at in range(100)]
    assert accounts.evicted == {"idle": 0, "live": 50_100 - accounts.proven, "evidence": 0}
    assert accounts.standing("fresh-49999") == 0
    assert accounts.standing("fresh-0") is None


def test_a_flood_of_refused_keys_leaves_nothing_behind() -> None:
    memory = 2 << 20
    accounts = MemoryAccounts(memory=memory)
    for at in range(100):
        seen(accounts, f"honest-{at}", 0, T0)
    before = accounts.bytes
    for at in range(50_000):
        seen(accounts, f"made-up-{at}", 3, T0 + at, proven=False)
        assert accounts.bytes - before <= memory // 16
    assert accounts.proven == 100
    assert sum(accounts.evicted.values()) == 0
    assert accounts.get("made-up-0") == AccountState()
    assert accounts.get("made-up-49999").signals == row_of(3)  # as long as there is room among its like


def test_probation_is_bounded_by_number_too() -> None:
    accounts = MemoryAccounts(probation=10)
    for at in range(50):
        seen(accounts, f"made-up-{at}", 0, T0, proven=False)
    assert (len(accounts), accounts.proven) == (10, 0)


def test_newcomers_have_a_quarter_when_evidence_fills_the_rest() -> None:
    accounts = MemoryAccounts(memory=room_for(40))
    for at in range(40):
        seen(accounts, chr(0x41 + at), 3, T0)
    assert accounts.proven == 40
    for at in range(200):
        seen(accounts, chr(0x61 + at % 20), 0, T0 + 1)
    newcomers = [at for at in range(20) if accounts.standing(chr(0x61 + at)) == 0]
    assert newcomers == list(range(10, 20))
    assert accounts.proven == 40


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("weeks", [0, 1, 2, 3, 9])
def test_evidence_that_nobody_adds_to_counts_as_a_class_less_each_week(rank: int, weeks: int) -> None:
    accounts = MemoryAccounts(memory=room_for(8))
    seen(accounts, "a", rank, T0)
    for at in range(3):
        seen(accounts, f"{at}", 0, T0 + weeks * WEEK)
    for at in range(5):
        seen(accounts, "ABCDE"[at], 3, T0 + weeks * WEEK)
    gone = "a" if weeks >= rank else "0"  # as low as the newcomers, who pass their quarter, and older than they
    assert [name for name in "a012ABCDE" if accounts.standing(name) is None] == [gone]


def test_an_idle_week_less_is_not_enough() -> None:
    accounts = MemoryAccounts(memory=room_for(8))
    seen(accounts, "b", 1, T0)
    for at in range(12):
        seen(accounts, "ABCDEFGHIJKL"[at], 0, T0 + WEEK - 1)
    assert (accounts.standing("b"), accounts.proven) == (1, 8)
    seen(accounts, "M", 0, T0 + WEEK)
    assert (accounts.standing("b"), accounts.proven) == (None, 8)


def test_who_comes_back_is_as_safe_as_before() -> None:
    accounts = MemoryAccounts(memory=room_for(8))
    seen(accounts, "b", 1, T0)
    seen(accounts, "b", 1, T0 + WEEK)
    for at in range(12):
        seen(accounts, "ABCDEFGHIJKL"[at], 0, T0 + WEEK + at)
    assert (accounts.standing("b"), accounts.proven) == (1, 8)


def test_a_live_account_is_one_that_was_seen_within_a_day() -> None:
    accounts = MemoryAccounts(capacity=1)
    for now, account in ((T0, "a"), (T0 + DAY, "b"), (T0 + 2 * DAY + 1, "c")):
        seen(accounts, account, 0, now)
    assert accounts.evicted == {"idle": 1, "live": 1, "evidence": 0}
    seen(accounts, "d", 2, T0 + 3 * DAY)
    seen(accounts, "e", 2, T0 + 3 * DAY)
    assert accounts.evicted == {"idle": 1, "live": 2, "evidence": 1}


def test_without_a_bound_in_bytes_the_number_alone_counts() -> None:
    accounts = MemoryAccounts(capacity=500, memory=0)
    for at in range(600):
        seen(accounts, f"a{at}", 0, T0)
        seen(accounts, f"p{at}", 0, T0, proven=False)
    assert (accounts.proven, len(accounts)) == (500, 1100)
