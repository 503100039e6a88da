"""What a campaign's signals are stepped with: members' records, rows of signals, requests, all of a few numbers."""

from collections.abc import Iterable, Sequence

from gateway.campaigns.habits import CELLS, Habits
from gateway.campaigns.signals import Bond
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import DAY, WEEK, Slab
from tests.signals.traces import T0, Account, ask

__all__ = ["BIN", "DAY", "T0", "WEEK", "asks", "counted", "looked", "member", "row", "slab_of"]

BIN = 900_000_000  # µs


def member(
    account: str,
    *,
    share: float = 1.0,
    born: bool = False,
    made: int | None = None,
    started: int = T0,
    words: Sequence[int] = (),
) -> Habits:
    """An account's record, as tables hold it. `made`: µs before it was first seen here; None = nobody knows.
    `started`: when the gateway saw anybody first."""
    created = None if made is None else (T0 - made) // 1_000_000
    habits = Habits(account, Caller(account, created=created), T0, started)
    habits.share = share
    habits.born = (8,) if born else ()
    habits.cells = bytes(words) if words else bytes(CELLS)
    return habits


def slab_of(requests: int, marks: dict[str, int] | None = None) -> Slab:
    """The signals of an account with so many requests, the first of which bear these marks: mark -> how many."""
    account = Account(PANEL)
    for at in range(requests):
        bears = [name for name, count in (marks or {}).items() if at < count]
        account.turn(ask(at, marks=("one_shot", *bears)))
    return PANEL.read_at(account.row, account.now)


def row(bond: Bond, counts: Iterable[dict[str, int]], begin: int = T0) -> None:
    """Requests by quarter of an hour: for each of them account -> how many. Then the next one begins."""
    at = begin // BIN * BIN
    for each in counts:
        for account, count in each.items():
            for _ in range(count):
                bond.saw(account, Observation(), at)
        at += BIN
    bond.saw("-", Observation(), at)


def asks(bond: Bond, account: str, *prompts: int) -> None:
    """A member asks these prompts, each in a request of its own."""
    for prompt in prompts:
        bond.saw(account, Observation(asks=(prompt,)), T0)


def looked(bond: Bond, members: Iterable[Habits], slabs: Iterable[Slab | None] = ()) -> dict[str, float]:
    """The readings, once all members were gone through."""
    bond.begin()
    given = list(slabs)
    for at, each in enumerate(members):
        bond.member(each, given[at] if at < len(given) else None)
    return bond.read()


def counted(bond: Bond, accounts: Iterable[str]) -> dict[str, float]:
    """The readings, once the members of these names were gone through."""
    return looked(bond, [member(account) for account in sorted(accounts)])
