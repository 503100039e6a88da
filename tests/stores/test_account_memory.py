"""What an account is said to weigh is what it takes, by tracemalloc: of usual accounts, and of the largest."""

import gc
import tracemalloc
from collections.abc import Callable

import msgspec
import pytest

from gateway.decide import FILES, MODELS, AccountState
from gateway.gauges import PANEL
from gateway.observe import Observation
from gateway.pace import ANSWERS, Pace
from gateway.quotas import Reading
from gateway.stores.accounts import MemoryAccounts

T0 = 1_800_000_000_000_000


def plain(at: int) -> AccountState:
    """Seen once, with no number that is shared with another account."""
    row = PANEL.pack(PANEL.fresh())
    return AccountState(
        first=T0 + at, last=T0 + 2 * at, requests=1000 + at, refused=1000 + at, proven=True, signals=row
    )


def pace(at: int) -> Pace:
    return Pace(bytes(4 * ANSWERS), 1000 + at, 1000 + at, 0.1 * at, 0.2 * at)


def limits(at: int, count: int) -> tuple[Reading, ...]:
    return tuple(
        Reading("output", "tokens.output", True, 1000 + at, 2000 + at, 3000 + at, reset=T0 + at) for _ in range(count)
    )


def usual(at: int) -> AccountState:
    """One model and four limits."""
    return msgspec.structs.replace(plain(at), paces={"m": pace(at)}, limits=limits(at, 4))


def many_models(at: int) -> AccountState:
    paces = {f"model-{at}-{model}": pace(at + model) for model in range(MODELS)}
    return msgspec.structs.replace(plain(at), paces=paces, limits=limits(at, 8))


def upload(at: int, *, marks: int, bias: int) -> Observation:
    return Observation(
        op="batch",
        model=f"model-{at}",
        n=1000 + at,
        max_tokens=1000 + at,
        messages=1000 + at,
        bytes=1_000_000 + at,
        chars=1_000_000 + at,
        lines=1000 + at,
        marks={f"mark-{at}-{mark}": 1000 + at for mark in range(marks)},
        asks=tuple(T0 + at + each for each in range(16)),
        distinct=1000 + at,
        pieces=tuple(T0 + at + each for each in range(4)),
        head=T0 + at,
        tail=T0 + 2 * at,
        system=T0 + 3 * at,
        params=T0 + 4 * at,
        said=T0 + 5 * at,
        user=T0 + 6 * at,
        spelled=1000 + at,
        fresh=1_000_000 + at,
        bias=tuple(1000 + at + each for each in range(bias)),
    )


def one_file(at: int) -> AccountState:
    return msgspec.structs.replace(usual(at), files={f"file-{at}": upload(at, marks=5, bias=0)})


def many_files(at: int) -> AccountState:
    files = {f"file-{at}-{file}": upload(at + file, marks=30, bias=64) for file in range(FILES)}
    return msgspec.structs.replace(many_models(at), files=files)


def put(accounts: MemoryAccounts, account: str, state: AccountState) -> None:
    accounts.update(account, lambda _: (state, None))


@pytest.mark.parametrize(
    ("made", "count"), [(plain, 3000), (usual, 3000), (many_models, 500), (one_file, 1000), (many_files, 50)]
)
def test_the_estimate_is_what_it_takes_and_a_little_more(made: Callable[[int], AccountState], count: int) -> None:
    accounts = MemoryAccounts()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for at in range(1, count + 1):
        put(accounts, f"key-{at:016x}", made(at))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert accounts.proven == count
    assert taken <= accounts.bytes <= 1.2 * taken


def test_a_usual_account_takes_four_kilobytes() -> None:
    accounts = MemoryAccounts()
    put(accounts, "key-0123456789abcdef", usual(1))
    assert 3000 < accounts.bytes <= 4500


def test_large_accounts_are_fewer() -> None:
    memory = 4 << 20
    for made, least, most in ((plain, 1000, 2000), (many_files, 10, 20)):
        accounts = MemoryAccounts(memory=memory)
        for at in range(2000):
            put(accounts, f"a{at}", made(at))
            assert accounts.bytes <= memory
        assert least < accounts.proven < most
