"""Shell. What is remembered of accounts, in this process, in a fixed number of bytes.

A key that the model server has never accepted stays in a probation table with a sixteenth of the bytes, so made-up keys
push out each other and nobody else, and leave nothing behind. All others stand in four classes, by what forgetting them
would lose (`gateway/standing.py`). Each class has a quarter of the bytes to itself. When all is full, the one that goes
is the least recently used of the lowest class that takes more than its quarter: newcomers push out newcomers, and those
with evidence only as far as these had taken the newcomers' quarter. Who is idle for a week counts as a class lower, and
as one more with each further week, and has no quarter any more. All this is a fold over what was done, on the events'
own time: the same rows in the same order evict the same accounts.

Throttles and blocks that last live in tables of their own, apart for keys not yet proven: whoever floods the gateway
with keys can't have them forgotten, not even with keys that rules hold for, and neither can the account itself by going
quiet. When such a table is full, the one changed longest ago goes.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from gateway.decide import AccountState
from gateway.observe import Observation
from gateway.pace import Pace
from gateway.policy.model import Sanction
from gateway.signals import DAY, HOUR, WEEK
from gateway.standing import HIGHEST, standing

__all__ = ["MEMORY", "Held", "MemoryAccounts", "weight"]

T = TypeVar("T")
EMPTY = AccountState()

MEMORY = 268_435_456  # bytes
CLASSES = HIGHEST + 1
PROBATION = CLASSES  # place of the table of keys not yet proven, after the classes
PROBATION_SHARE = 16  # one in so many bytes is theirs
STEPS = 32  # requests between two looks at an account's standing; the first come more often

# bytes that CPython 3.11 on a 64-bit machine takes, measured by tracemalloc (`tests/stores/test_account_memory.py`)
ACCOUNT = 600  # the state, its place in a table, its name's head
ROW = 33  # head of a row
PACE = 350
LIMIT = 296  # an answer of a limit
FILE = 1500
MARK = 112  # of a file
PRINT = 40  # fingerprint or token id of a file


class MemoryAccounts:
    """account id -> AccountState. `update` is one critical section: nothing awaits inside.

    `memory` bounds the bytes that the states of all accounts take, as `weight` estimates them; 0 = no bound but by
    number. `capacity` and `probation` bound the numbers of proven accounts and of others.
    """

    def __init__(
        self, capacity: int = 100_000, probation: int = 4096, sanctioned: int = 65_536, memory: int = MEMORY
    ) -> None:
        least = memory // PROBATION_SHARE
        self._bounds = (capacity, probation)
        self._most = (memory - least, least) if memory else None
        self._tables: list[OrderedDict[str, AccountState]] = [OrderedDict() for _ in range(CLASSES + 1)]
        self._weights = [0] * (CLASSES + 1)
        self._now = 0  # µs: the latest event
        self._sanctions: dict[str, dict[str, Sanction]] = {}  # the one changed longest ago first
        self._sanctioned = sanctioned
        self._unproven: dict[str, dict[str, Sanction]] = {}  # sanctions too
        self.evicted = {"idle": 0, "live": 0, "evidence": 0}
        """Proven accounts that were evicted: last seen over a day before, within a day, within a day and of standing
        above 0."""
        self.evicted_sanctions = 0

    def __len__(self) -> int:
        return sum(map(len, self._tables))

    @property
    def proven(self) -> int:
        """Accounts that the model server has accepted at least once."""
        return len(self) - len(self._tables[PROBATION])

    @property
    def bytes(self) -> int:
        """What all states take, as estimated; throttles and blocks that last are bounded apart."""
        return sum(self._weights)

    def standing(self, account: str) -> int | None:
        """The class that an account is in, idle or not; None where it is not among the proven."""
        place = self._find(account)[0]
        return None if place == PROBATION else place

    def get(self, account: str) -> AccountState:
        """The state of an account; a fresh one where nothing is remembered."""
        return self._lasting(account, self._find(account)[1] or EMPTY)

    def update(self, account: str, transition: Callable[[AccountState], tuple[AccountState, T]]) -> T:
        """Replaces an account's state by what `transition` returns. If it raises, the old state stays."""
        place, before = self._find(account)
        after, result = transition(self._lasting(account, before or EMPTY))
        if not after.proven:
            rank = PROBATION
        elif before is None or place == PROBATION or _due(before, after):
            rank = standing(after.signals)
        else:
            rank = place
        if after.sanctions or self._sanctions or self._unproven:
            self._keep(account, after.sanctions, after.proven)
        if after.last > self._now:
            self._now = after.last
        if before is not None and rank == place:
            grown = _growth(before, after)
            self._weights[rank] += grown
            table = self._tables[rank]
            table[account] = after
            table.move_to_end(account)
            if grown <= 0:  # all had room before
                return result
        else:
            if before is not None:
                self._take(place, account)
            self._put(rank, account, after)
        if rank == PROBATION:
            self._fit_probation()
        else:
            self._fit()
        return result

    def held(self) -> "Held":
        """All of it at this moment, in about 10 ns an account. States are immutable: this is a copy."""
        tables = [(list(dict.keys(table)), list(dict.values(table))) for table in self._tables]
        lasting = [list(self._sanctions.items()), list(self._unproven.items())]
        return Held(self._now, dict(self.evicted), self.evicted_sanctions, tables, lasting)

    def put(self, place: int, account: str, state: AccountState) -> None:
        """One account that another process held, in the table where it was; `resume` puts them in order."""
        self._put(place, account, state)

    def hold(self, held: "Held") -> None:
        """The rest of what another process held."""
        self._now, self.evicted, self.evicted_sanctions = held.now, held.evicted, held.evicted_sanctions
        self._sanctions, self._unproven = map(dict, held.lasting)

    def forget(self, account: str) -> None:
        """Nothing is remembered of an account any more."""
        place, state = self._find(account)
        if state is not None:
            self._take(place, account)
        self._sanctions.pop(account, None)
        self._unproven.pop(account, None)

    def resume(self, capacity: int, probation: int, memory: int) -> None:
        """Goes on in these bounds, the least recently seen first: by the accounts' own times, whatever came between."""
        least = memory // PROBATION_SHARE
        self._bounds = (capacity, probation)
        self._most = (memory - least, least) if memory else None
        self.order()
        self._fit_probation()
        self._fit()

    def order(self) -> None:
        """Puts the least recently seen first."""
        for place, table in enumerate(self._tables):
            found = sorted(dict.items(table), key=lambda each: (each[1].last, each[0]))
            self._tables[place] = OrderedDict(found)

    def _find(self, account: str) -> tuple[int, AccountState | None]:
        """The table that an account is in, and its state; None where nothing is remembered."""
        for place, table in enumerate(self._tables):
            if account in table:
                return place, table[account]
        return PROBATION, None

    def _lasting(self, account: str, state: AccountState) -> AccountState:
        """The state with the throttles and blocks that last: its own may have been forgotten with it."""
        if self._sanctions or self._unproven:
            lasting = self._sanctions.get(account) or self._unproven.get(account)
            if lasting is not None and state.sanctions is not lasting:
                return msgspec.structs.replace(state, sanctions=lasting)
        return state

    def _put(self, place: int, account: str, state: AccountState) -> None:
        self._tables[place][account] = state
        self._weights[place] += weight(account, state)

    def _take(self, place: int, account: str) -> AccountState:
        state = self._tables[place].pop(account)
        self._weights[place] -= weight(account, state)
        return state

    def _fit_probation(self) -> None:
        table = self._tables[PROBATION]
        while len(table) > self._bounds[1] or (self._most is not None and self._weights[PROBATION] > self._most[1]):
            self._take(PROBATION, next(iter(table)))

    def _fit(self) -> None:
        """Evicts until the proven fit. Where all four quarters are not enough, one of them is passed: somebody goes."""
        weights, capacity = self._weights, self._bounds[0]
        while True:
            if self._most is not None and sum(weights[:CLASSES]) > self._most[0]:
                self._evict(weights, self._most[0])
            elif self.proven > capacity:
                self._evict([len(table) for table in self._tables], capacity)
            else:
                return

    def _evict(self, sizes: list[int], most: int) -> None:
        """Of each class that passes its quarter, or has an idle week, the oldest; of these the lowest, then the oldest.

        The oldest of a class is idle for longest, so none behind it has sunk deeper.
        """
        found = []
        for rank, table in enumerate(self._tables[:CLASSES]):
            if table:
                last = table[next(iter(table))].last
                weeks = (self._now - last) // WEEK
                if weeks or sizes[rank] * CLASSES > most:
                    found.append((max(0, rank - weeks), last, rank))
        _, last, rank = min(found)
        self._take(rank, next(iter(self._tables[rank])))
        live = self._now - last <= DAY
        self.evicted["idle" if not live else "evidence" if rank else "live"] += 1

    @property
    def sanctioned(self) -> int:
        """Accounts with a throttle or block that lasts, or lasted when they were last seen."""
        return len(self._sanctions) + len(self._unproven)

    def _keep(self, account: str, sanctions: dict[str, Sanction], proven: bool) -> None:
        """An account that was once proven, and forgotten since, keeps its place among the proven."""
        if proven or account in self._sanctions:
            self._unproven.pop(account, None)
            table, most = self._sanctions, self._sanctioned
        else:
            table, most = self._unproven, self._bounds[1]
        if not sanctions:
            table.pop(account, None)
        elif table.get(account) is not sanctions:
            table.pop(account, None)
            table[account] = sanctions
            if len(table) > most:
                del table[next(iter(table))]
                self.evicted_sanctions += 1


class Held(NamedTuple):
    """What was remembered at one moment. In which order accounts were seen, their own times tell."""

    now: int
    evicted: dict[str, int]
    evicted_sanctions: int
    tables: list[tuple[list[str], list[AccountState]]]  # names and states, in the same order
    lasting: list[list[tuple[str, dict[str, Sanction]]]]  # of proven accounts, of others; changed longest ago first


def weight(account: str, state: AccountState) -> int:
    """Bytes that the state of an account takes, estimated from its numbers alone, so that a replay finds the same.

    It is at least what tracemalloc measures; what is shared with others (names of limits) is not in it.
    """
    name = len(account) if account.isascii() else 4 * len(account)
    held = ROW + len(state.signals) + LIMIT * len(state.limits)
    return ACCOUNT + name + held + _paces(state.paces) + _files(state.files)


def _growth(before: AccountState, after: AccountState) -> int:
    """The difference of their weights; what is the same object is not looked at."""
    found = len(after.signals) - len(before.signals)
    if after.limits is not before.limits:
        found += LIMIT * (len(after.limits) - len(before.limits))
    if after.paces is not before.paces:
        found += _paces(after.paces) - _paces(before.paces)
    if after.files is not before.files:
        found += _files(after.files) - _files(before.files)
    return found


def _paces(paces: dict[str, Pace]) -> int:
    return sum(PACE + len(name) + len(pace.recent) for name, pace in paces.items())


def _files(files: dict[str, Observation]) -> int:
    return sum(
        FILE + len(name) + MARK * len(seen.marks) + PRINT * (len(seen.asks) + len(seen.pieces) + len(seen.bias))
        for name, seen in files.items()
    )


def _due(before: AccountState, after: AccountState) -> bool:
    """Whether to look at an account's standing: each hour that it is seen in, and at requests 1, 2, 4, …, 32, 64."""
    count = after.requests
    if count != before.requests and (not count % STEPS or not count & (count - 1)):
        return True
    return before.last // HOUR != after.last // HOUR
