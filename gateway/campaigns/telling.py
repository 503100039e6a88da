"""Pure. What other workers have yet to be told of the accounts that were seen here.

Again told is a record with a frame that it had not, with twice the requests (a quarter more of a campaign's member),
in another campaign than before, and one that has changed at all within an hour; and every third day it is told that it
is still there. A busy account costs a few records a day, a quiet one two a week. Names are queued, not records: what is
told is what is known by then, and there is nothing that could pile up.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.campaigns.habits import Habits
from gateway.signals import DAY, HOUR

__all__ = ["Telling"]

GROWN, GROWN_MEMBER = 2.0, 1.25
LATER = HOUR  # µs
STILL = 3 * DAY  # µs


class _Said(NamedTuple):
    at: int  # µs
    requests: int
    frames: tuple[int, ...]
    name: int  # of its campaign


class Telling:
    """Which accounts are due."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, _Said] = OrderedDict()  # longest ago first
        # ordered ones, because they are taken from the front: a plain dictionary looks for it behind all that left
        self._due: OrderedDict[str, None] = OrderedDict()  # with a habit
        self._few: OrderedDict[str, None] = OrderedDict()  # without one: when there is time
        self._later: OrderedDict[str, int] = OrderedDict()  # account -> when it is due at the latest; in that order
        self._again: Iterator[str] = iter(())
        self.left = 0  # of those that are told anew

    def __len__(self) -> int:
        """Accounts that are due, or told anew."""
        return len(self._due) + len(self._few) + self.left

    def note(self, record: Habits, name: int, now: int) -> None:
        """An account was seen, or has come into a campaign (its number; 0 = it is in none). `record`: its own."""
        account = record.account
        said = self._said.get(account)
        if said is None or said.name != name or said.frames is not record.frames:
            self._queue(account, bool(record.frames))
        elif record.requests >= (GROWN_MEMBER if name else GROWN) * said.requests:
            self._queue(account, True)
        elif record.requests > said.requests and account not in self._later:
            self._later[account] = now + LATER

    def anew(self, accounts: list[str]) -> None:
        """All of these accounts are to be told as if nothing had been."""
        self._said.clear()
        self._later.clear()
        self._again, self.left = iter(accounts), len(accounts)

    def missed(self, accounts: Iterable[str]) -> None:
        """These were not told after all."""
        for account in accounts:
            if self._said.pop(account, None) is not None:
                self._queue(account, True)

    def said(self, record: Habits, name: int, now: int) -> None:
        """An account was told."""
        account = record.account
        self._said[account] = _Said(now, record.requests, record.frames, name)
        self._said.move_to_end(account)
        self._later.pop(account, None)
        self._due.pop(account, None)
        self._few.pop(account, None)

    def forget(self, account: str) -> None:
        """An account is remembered no more."""
        for names in (self._said, self._due, self._few, self._later):
            names.pop(account, None)

    def _queue(self, account: str, first: bool) -> None:
        if first:
            self._few.pop(account, None)
            self._due[account] = None
        elif account not in self._due:
            self._few[account] = None

    def next(self, now: int) -> str | None:
        """The next account that is due, if any: it stays so until it was `said`, or is forgotten."""
        for names in (self._due, self._few):
            for account in names:
                return account
        for account in self._again:
            self.left -= 1
            if account not in self._said:
                return account
        for account, due in self._later.items():
            if due <= now:
                return account
            break
        for account, said in self._said.items():
            if said.at + STILL <= now:
                return account
            break
        return None
