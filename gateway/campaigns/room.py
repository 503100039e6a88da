"""Pure. Where the records stand, and who has to go when there is no more room.

`memory` bytes for the records, at `RECORD` each (measured by tracemalloc), and what others have told at its size. Who
was seen here goes last: first to go is what other workers have told of accounts that were never seen here, the longest
unheard of first; then the least recently seen. Accounts without a habit have a tenth of the room to themselves, and
push out each other: made-up accounts of a request or two can't have anybody else forgotten. Once somebody with a habit
was forgotten, nobody is taken for new by that he was not seen before.

What others have told goes after a week without a word, too: they say again what they know every third day.

A counting filter of 1 MiB tells which frames several accounts fill (Fan et al., Summary cache, 2000): where two frames
fall together one is looked at that needn't be.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from itertools import chain

from gateway.campaigns import COUNTS
from gateway.campaigns.form import habits_of
from gateway.campaigns.habits import Habits, Part
from gateway.campaigns.merging import copied, merge, take
from gateway.identity import Caller
from gateway.signals import WEEK

__all__ = ["RECORD", "Room"]

RECORD = 1750
NEW = 0.1  # share of the room for accounts without a habit
FILTER = 1 << 20
FULL = 255
WORKERS = 64  # whose parts of one account are kept: those told last
LAPSES = 4  # records that are looked at for their age each time that one is heard

Table = OrderedDict[str, Habits]


class Room:
    """account -> its record. `started`: since when accounts are remembered, µs."""

    def __init__(self, memory: int, forgotten: Callable[[str], object]) -> None:
        """`forgotten` is told of each account that had a record."""
        self._most = memory // RECORD
        self._forgotten = forgotten
        self._records: Table = OrderedDict()  # the least recently seen first
        self._new: Table = OrderedDict()  # without a habit yet
        self._heard: Table = OrderedDict()  # never seen here; the longest unheard of first
        self._heard_new: Table = OrderedDict()
        self._more = 0  # bytes beyond one record each
        self._shared = bytearray(FILTER) if self._most else bytearray()
        self._lapsed = 0  # µs: when somebody was last forgotten of whom only others knew
        self.public: set[int] = set()  # frames that are everybody's: said when all is gone through
        self.started = 0
        self.evicted = 0  # with a habit, that were seen here

    def __len__(self) -> int:
        return len(self._records) + len(self._new) + self.foreign

    def __bool__(self) -> bool:
        return self._most > 0

    @property
    def foreign(self) -> int:
        """Accounts that only other workers have seen."""
        return len(self._heard) + len(self._heard_new)

    @property
    def since(self) -> int:
        """Since when nobody with a habit is forgotten, µs; 0 = somebody was."""
        return max(self.started, self._lapsed) if not self.evicted else 0

    def records(self) -> Collection[Habits]:
        """All records as they are now: those that are only heard of first, then the least recently seen."""
        tables = (self._heard, self._records, self._heard_new, self._new)
        return list(chain.from_iterable([table.values() for table in tables]))

    def own(self) -> list[str]:
        """The accounts that were seen here."""
        return [*self._records, *self._new]

    def get(self, account: str) -> Habits | None:
        """The record of an account, as far as there is one."""
        return self.habitual(account) or self._new.get(account) or self._heard_new.get(account)

    def habitual(self, account: str) -> Habits | None:
        """The same, of those with a habit."""
        return self._records.get(account) or self._heard.get(account)

    def seen(self, who: Caller, now: int) -> Habits:
        """The record of who was seen just now; a new one where nothing is known."""
        account = who.account
        for table in (self._records, self._new):
            record = table.get(account)
            if record is not None:
                table.move_to_end(account)
                return record
        self.started = self.started or now
        record = self._heard.pop(account, None) or self._heard_new.pop(account, None)
        if record is None:
            record = self._new[account] = Habits(account, who, now, self.since)
        else:
            own = record.own = Habits(account, who, now, self.since)
            own.since, own.fresh = min(now, record.since), record.fresh
            self._more += RECORD
            (self._records if record.frames else self._new)[account] = record
        self._fit()
        return record

    def took_up(self, record: Habits, before: tuple[int, ...]) -> None:
        """The frames of a record have changed."""
        self._recount(before, record.frames)
        if record.frames and not before:
            for new, table in ((self._new, self._records), (self._heard_new, self._heard)):
                if new.pop(record.account, None) is not None:
                    table[record.account] = record
                    self._fit()

    def hear(self, told: Habits, part: Part) -> Habits | None:
        """The record of an account after another worker has told its part; None where it told a later one before, or
        there is no room. `told` is the same part, and taken over.
        """
        account = told.account
        self.started = min(self.started or told.since, told.since)
        self._lapse(part.at - WEEK)
        record = self.get(account)
        if record is None:
            table = self._heard if told.frames else self._heard_new
            table[account] = told
            told.others = (part,)
            self._more += part.size
            self._recount((), told.frames)
            self._fit()
            return told if account in table else None
        others = {each.worker: each for each in record.others if each.at >= part.at - WEEK}
        if part.worker in others and others[part.worker].at > part.at:
            return None
        others[part.worker] = part
        kept = sorted(others.values(), key=lambda each: (-each.at, each.worker))[:WORKERS]
        if not record.others:  # all that is known of it was seen here
            record.own = copied(record)
            self._more += RECORD
        self._more += sum([each.size for each in kept]) - sum([each.size for each in record.others])
        record.others = tuple(kept)
        before = record.frames
        parts = [told if each is part else habits_of(account, each.habits) for each in kept]
        merge(record, parts if record.own is None else [record.own, *parts])
        for table in (self._heard, self._heard_new):
            if account in table:
                table.move_to_end(account)
        self.took_up(record, before)
        self._fit()
        return record

    def adopt(self, told: Habits) -> Habits | None:
        """The record of an account after a former process of this worker has told its part: as if it had been seen
        here. None where there is no room. `told` is taken over.
        """
        account = told.account
        self.started = min(self.started or told.since, told.since)
        record = self.get(account)
        if record is None:
            (self._records if told.frames else self._new)[account] = told
            self._recount((), told.frames)
        else:
            before, mine = record.frames, record.mine
            if mine is not None:
                merge(told, [copied(mine), told])
            if record.others:
                self._more += RECORD if mine is None else 0
                record.own = told
                merge(record, [told, *[habits_of(account, each.habits) for each in record.others]])
            else:
                take(record, told)
            for heard in (self._heard, self._heard_new):
                if heard.pop(account, None) is not None:
                    (self._records if before else self._new)[account] = record
            self.took_up(record, before)
        self._fit()
        return self.get(account)

    def drop(self, account: str) -> None:
        """Forgets an account, whatever is known of it."""
        for table in (self._heard, self._heard_new, self._records, self._new):
            if account in table:
                table.move_to_end(account, last=False)
                self._forget(table)

    def fill(self, records: Iterable[tuple[Habits, bool]]) -> None:
        """Takes the records of a former process, the least recently seen first, each with whether it has a habit."""
        for record, habitual in records:
            if record.mine is None:
                table = self._heard if habitual else self._heard_new
            else:
                table = self._records if habitual else self._new
            table[record.account] = record
            self._more += sum([part.size for part in record.others]) + (RECORD if record.own is not None else 0)
            self._recount((), record.frames)
        self._fit()

    def is_shared(self, key: int) -> bool:
        """Whether at least three accounts fill a frame; it may be said of one that fewer do."""
        return self._shared[_place(key)] >= COUNTS

    def habits_of(self, record: Habits) -> dict[int, float]:
        """The frames that an account still fills, with their shares."""
        before = record.frames
        shares = record.shares()
        if record.frames != before:
            self._recount(before, record.frames)
        return shares

    def _fit(self) -> None:
        """Forgets until all have room: of those without a habit, then of all others, who was seen longest ago."""
        room = max(1, int(NEW * self._most))
        while len(self._new) + len(self._heard_new) > room:
            self._forget(self._heard_new if self._heard_new else self._new)
        while len(self._records) + len(self._heard) - (-self._more // RECORD) > self._most - room:
            table = next(each for each in (self._heard, self._heard_new, self._records, self._new) if each)
            self.evicted += table is self._records
            self._forget(table)

    def _lapse(self, before: int) -> None:
        """Forgets what nobody has told anything of since then."""
        for table in (self._heard, self._heard_new):
            for _ in range(LAPSES):
                record = next(iter(table.values()), None)
                if record is None or max([part.at for part in record.others]) >= before:
                    break
                self._forget(table)

    def _forget(self, table: Table) -> None:
        account, record = table.popitem(last=False)
        self._forgotten(account)
        self._recount(record.frames, ())
        self._more -= sum([part.size for part in record.others]) + (RECORD if record.own is not None else 0)
        if table is self._heard:
            self._lapsed = max(self._lapsed, record.last)
        record.frames = record.born = record.others = ()
        record.campaign = record.own = None

    def _recount(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        """Counts which frames an account has taken up and left. A full counter stays full."""
        shared = self._shared
        for key in before:
            if key not in after and 0 < shared[_place(key)] < FULL:
                shared[_place(key)] -= 1
        for key in after:
            if key not in before and shared[_place(key)] < FULL:
                shared[_place(key)] += 1


def _place(key: int) -> int:
    """Where a frame is counted: its lowest three bits tell its kind."""
    return (key >> 3) % FILTER
