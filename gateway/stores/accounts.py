"""Shell. What is remembered of accounts, in this process: a bounded table, and a small one for keys not yet proven.

A key that the model server has never accepted stays in the probation table, so made-up keys can push out each other
and nobody else. Both tables evict the least recently used account; the same rows in the same order evict the same.

Throttles and blocks that last live in tables of their own, apart for keys not yet proven: whoever floods the gateway
with keys can't have them forgotten, not even with keys that rules hold for, and neither can the account itself by going
quiet. When such a table is full, the one changed longest ago goes.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import msgspec

from gateway.decide import AccountState
from gateway.policy.model import Sanction

__all__ = ["MemoryAccounts"]

T = TypeVar("T")
EMPTY = AccountState()


class MemoryAccounts:
    """account id -> AccountState. `update` is one critical section: nothing awaits inside."""

    def __init__(self, capacity: int = 100_000, probation: int = 4096, sanctioned: int = 65_536) -> None:
        self._capacity = capacity
        self._probation_capacity = probation
        self._accounts: OrderedDict[str, AccountState] = OrderedDict()
        self._probation: OrderedDict[str, AccountState] = OrderedDict()
        self._sanctions: OrderedDict[str, dict[str, Sanction]] = OrderedDict()
        self._sanctioned = sanctioned
        self._unproven: OrderedDict[str, dict[str, Sanction]] = OrderedDict()  # sanctions too
        self.evicted = 0
        self.evicted_sanctions = 0

    def __len__(self) -> int:
        return len(self._accounts) + len(self._probation)

    @property
    def proven(self) -> int:
        """Accounts that the model server has accepted at least once."""
        return len(self._accounts)

    def get(self, account: str) -> AccountState:
        """The state of an account; a fresh one where nothing is remembered."""
        state = self._accounts.get(account) or self._probation.get(account) or EMPTY
        if self._sanctions or self._unproven:
            lasting = self._sanctions.get(account) or self._unproven.get(account)
            if lasting is not None and state.sanctions is not lasting:
                return msgspec.structs.replace(state, sanctions=lasting)
        return state

    def update(self, account: str, transition: Callable[[AccountState], tuple[AccountState, T]]) -> T:
        """Replaces an account's state by what `transition` returns. If it raises, the old state stays."""
        after, result = transition(self.get(account))
        if after.sanctions or self._sanctions or self._unproven:
            self._keep(account, after.sanctions, after.proven)
        if after.proven:
            self._probation.pop(account, None)
            self._accounts[account] = after
            self._accounts.move_to_end(account)
            if len(self._accounts) > self._capacity:
                self._accounts.popitem(last=False)
                self.evicted += 1
        else:
            self._probation[account] = after
            self._probation.move_to_end(account)
            if len(self._probation) > self._probation_capacity:
                self._probation.popitem(last=False)
        return result

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
            table, most = self._unproven, self._probation_capacity
        if not sanctions:
            table.pop(account, None)
        elif table.get(account) is not sanctions:
            table[account] = sanctions
            table.move_to_end(account)
            if len(table) > most:
                table.popitem(last=False)
                self.evicted_sanctions += 1
