"""Pure. All accounts' habits, and the campaigns among them: bounded, stepped with each answer, gone through in between.

Each answer that the model server gave steps the record of its account. From time to time all records are gone through:
which frames are shared, who speaks for them, which of their users are one, and what these do together. That is done in
slices of some 0.15 ms, one an answer, so that no request waits for it; where it takes many it is begun anew only when
four times as many answers have come. Nothing is taken over from the last time but a campaign's name, which goes to
whoever has most of its members: what isn't so any more is not linked any more.

Bounds. `memory` bytes for the records, at `RECORD` each (measured by tracemalloc); the least recently seen goes first.
Accounts without a habit have a tenth of the room to themselves, and push out each other: made-up accounts of a request
or two can't have anybody else forgotten. Once somebody with a habit was forgotten, nobody is taken for new by that he
was not seen before.
A counting filter of 1 MiB tells which frames several accounts fill (Fan et al., Summary cache, 2000): where two frames
fall together one is looked at that needn't be. At most `MOST` campaigns, the largest.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Generator
from math import log10

from gateway.campaigns import COUNTS, Campaign
from gateway.campaigns.habits import Habits, fingerprints, generates, seconds
from gateway.campaigns.linking import Turn
from gateway.campaigns.recipe import Recipe
from gateway.campaigns.walk import Group, walk
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import HOUR

__all__ = ["MEMORY", "RECORD", "Campaigns"]

MEMORY = 100_663_296  # bytes
RECORD = 1750
NEW = 0.1  # share of the room for accounts without a habit
FILTER = 1 << 20
FULL = 255
MOST = 256  # campaigns
EPOCH = HOUR  # µs after which all is gone through again, whatever has changed
PAUSE = 60_000_000  # µs between two times, at least
REST = 4  # answers for each slice, before all is gone through again
FEW = 500  # slices that need no rest
MANY = 6  # times that an account took up what a few others fill: reason enough to look before the hour is over
FARTHEST = 0.01  # share of use below which a membership says no less

RowOf = Callable[[str], bytes]
Slices = Generator[None, None, None]


class Campaigns:
    """account -> the campaign that it is in, if any. `row_of` gives the row of signals of an account, b"" for none."""

    def __init__(self, row_of: RowOf, memory: int = MEMORY) -> None:
        self._row_of = row_of
        self._most = memory // RECORD
        self._records: OrderedDict[str, Habits] = OrderedDict()
        self._new: OrderedDict[str, Habits] = OrderedDict()  # without a habit yet
        self._shared = bytearray(FILTER) if self._most else bytearray()
        self._recipes: dict[int, Recipe] = {}  # frame -> the campaign that it is of
        self._live: list[Recipe] = []
        self._walk: Slices | None = None
        self._now = self._begun = 0  # µs; when all was last gone through
        self._answers = self._slices = self._taken = self._asked = 0  # since then
        self.public: set[int] = set()  # frames that are everybody's, as of the last time
        self.started = 0
        self.epoch = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._records) + len(self._new)

    def __bool__(self) -> bool:
        """Whether anything is remembered at all."""
        return self._most > 0

    @property
    def walking(self) -> bool:
        """Whether everything is being gone through."""
        return self._walk is not None

    @property
    def live(self) -> list[Campaign]:
        """The campaigns that there are, as they were last looked at; the largest first."""
        return [each.snapshot for each in self._live if each.snapshot is not None]

    @property
    def linked(self) -> int:
        """Accounts that are members of one."""
        return sum(record.campaign is each for each in self._live for record in each.members)

    def members(self, campaign: str) -> list[str]:
        """The accounts of a campaign, in order."""
        found = next((each for each in self._live if each.id == campaign), None)
        return sorted(each.account for each in found.members if each.campaign is found) if found is not None else []

    def look(self, account: str) -> tuple[Campaign | None, float]:
        """The campaign of an account as it was last looked at, and how surely it is a member: dB, 0 or less."""
        record = self._records.get(account)
        recipe = record.campaign if record is not None else None
        if record is None or not isinstance(recipe, Recipe) or recipe.snapshot is None:
            return None, 0.0
        return recipe.snapshot, _membership(record.share)

    def meet(self, who: Caller, seen: Observation) -> tuple[Campaign | None, float]:
        """The same of an account with a request in its hand.

        Who fills a campaign's frame on the terms on which its members were linked is one from this request on, before
        it is a habit: a new key for every other request is met at its first.
        """
        found = self.look(who.account)
        if found[0] is not None or not self._recipes or not generates(seen):
            return found
        record = self._records.get(who.account) or self._new.get(who.account)
        record = record or Habits(who.account, who, self._now, self._since)
        share = 1.0 / (record.count + 1.0)
        recipe = self._filled(record, seen, who, share)
        return (recipe.snapshot, _membership(share)) if recipe is not None and recipe.snapshot is not None else found

    def _filled(self, record: Habits, seen: Observation, who: Caller, share: float) -> Recipe | None:
        """The campaign one of whose frames this request fills, on its terms."""
        for key in fingerprints(seen):
            recipe = self._recipes.get(key)
            if recipe is not None and recipe.meets(record, key, share, seconds(seen, who)):
                return recipe
        return None

    def saw(self, who: Caller, seen: Observation, now: int) -> None:
        """The model server has answered a request. `now` in µs."""
        if not self._most or not generates(seen):
            return
        self._now = now = max(now, self._now)
        record = self._record(who, now)
        prints = fingerprints(seen)
        before = record.frames
        new = record.step(seen, who, now, prints)
        if new:
            self._recount(before, record.frames)
            self._taken += any(self.is_shared(key) and key not in self.public for key in new)
            if not before and self._new.pop(who.account, None) is not None:
                self._records[who.account] = record
                self._fit()
        recipe = record.campaign
        if recipe is None and self._recipes:
            recipe = self._enter(record)
        if isinstance(recipe, Recipe):
            recipe.saw(record.account, seen, now, prints)
            self._asked += 1
        self._answers += 1
        self._turn(now)

    @property
    def _since(self) -> int:
        """Since when nobody with a habit is forgotten, µs; 0 = somebody was."""
        return self.started if not self.evicted else 0

    def _record(self, who: Caller, now: int) -> Habits:
        """The record of an account; a new one where nothing is known."""
        table = self._records
        record = table.get(who.account)
        if record is None:
            table = self._new
            record = table.get(who.account)
        if record is not None:
            table.move_to_end(who.account)
            return record
        self.started = self.started or now
        record = self._new[who.account] = Habits(who.account, who, now, self._since)
        self._fit()
        return record

    def _fit(self) -> None:
        """Forgets until all have room: of those without a habit, then of all others, who was seen longest ago."""
        room = max(1, int(NEW * self._most))
        while len(self._new) > room:
            self._new.popitem(last=False)
        while len(self._records) > self._most - room:
            _, record = self._records.popitem(last=False)
            self._recount(record.frames, ())
            record.frames = record.born = ()
            record.campaign = None
            self.evicted += 1

    def settle(self) -> None:
        """Goes through everything now, to the end: for those who have the time."""
        self._finish()
        self._begin(self._now)
        self._finish()

    def _finish(self) -> None:
        while self._walk is not None:
            self._slice()

    def records(self) -> Collection[Habits]:
        """All records as they are now, the least recently seen first."""
        return [*self._records.values(), *self._new.values()]

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

    def _turn(self, now: int) -> None:
        """One slice of going through everything, if it is time."""
        if self._walk is None:
            since = now - self._begun
            if self._answers < REST * (self._slices - FEW) or since < PAUSE:
                return
            grown = 4 * self._asked >= max(64.0, sum(each.requests for each in self._live))
            if since < EPOCH and self._taken < MANY and not grown:
                return
            self._begin(now)
        self._slice()

    def _begin(self, now: int) -> None:
        self._begun, self._answers, self._slices, self._taken, self._asked = now, 0, 0, 0, 0
        self._walk = self._through(now)

    def _slice(self) -> None:
        if self._walk is not None:
            self._slices += 1
            try:
                next(self._walk)
            except StopIteration:
                self._walk = None

    def _through(self, now: int) -> Slices:
        turn = Turn()
        self.public = set()
        groups = yield from walk(self, now, turn)
        self.epoch += 1
        yield from self._commit(groups[:MOST], turn)
        for recipe in self._live:
            yield from recipe.look(self._row_of, self.epoch, now, turn)

    def _commit(self, groups: list[Group], turn: Turn) -> Slices:
        """The groups become the campaigns. Each takes over the one that most of its members were in."""
        left = {recipe.id: recipe for recipe in self._live}
        live: list[Recipe] = []
        for group in groups:
            before: dict[str, int] = {}
            for user in group.users:
                recipe = user.habits.campaign
                if isinstance(recipe, Recipe) and recipe.id in left:
                    before[recipe.id] = before.get(recipe.id, 0) + 1
                if turn.ends(1):
                    yield
            name = max(before, key=lambda each: (before[each], each), default="")
            live.append(left.pop(name) if name else Recipe(self._name(group, [*left, *[each.id for each in live]])))
        for recipe in left.values():
            recipe.leave()
        self._live, self._recipes = live, {}
        for recipe, group in zip(live, groups, strict=True):
            yield from recipe.regroup(group, turn)
            for key in recipe.frames:
                self._recipes.setdefault(key, recipe)

    def _name(self, group: Group, taken: list[str]) -> str:
        """After its commonest frame, whose fingerprint is keyed: it tells nothing."""
        key = next(iter(group.frames)) >> 3
        name = f"campaign-{key & 0xFFFFFFFFFF:010x}"
        while name in taken:
            key += 1
            name = f"campaign-{key & 0xFFFFFFFFFF:010x}"
        return name

    def _recount(self, before: tuple[int, ...], after: tuple[int, ...]) -> None:
        """Counts which frames an account has taken up and left. A full counter stays full."""
        shared = self._shared
        for key in before:
            if key not in after and 0 < shared[_place(key)] < FULL:
                shared[_place(key)] -= 1
        for key in after:
            if key not in before and shared[_place(key)] < FULL:
                shared[_place(key)] += 1

    def _enter(self, record: Habits) -> Recipe | None:
        """The campaign that an account enters between two times, on the terms on which the others were linked."""
        found = [key for key in record.frames if key in self._recipes]
        if not found:
            return None
        shares = self.habits_of(record)
        for key in found:
            recipe, share = self._recipes[key], shares.get(key, 0.0)
            if recipe.takes(record, key, share):
                record.campaign, record.share = recipe, share
                recipe.members.append(record)
                if len(recipe.members) > 2 * len(self._records):
                    recipe.compact()
                return recipe
        return None


def _place(key: int) -> int:
    """Where a frame is counted: its lowest three bits tell its kind."""
    return (key >> 3) % FILTER


def _membership(share: float) -> float:
    """dB of being one with whose campaign so much of an account's use is."""
    return round(10.0 * log10(min(1.0, max(FARTHEST, share))), 2)
