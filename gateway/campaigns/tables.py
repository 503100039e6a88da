"""Pure. All accounts' habits, and the campaigns among them: bounded, stepped with each answer, gone through in between.

Each answer that the model server gave steps the record of its account. From time to time all records are gone through:
which frames are shared, who speaks for them, which of their users are one, and what these do together. That is done in
slices of some 0.15 ms, one an answer, so that no request waits for it; where it takes many it is begun anew only when
four times as many answers have come. Nothing is taken over from the last time but a campaign's name, which goes to
whoever has most of its members: what isn't so any more is not linked any more.

Where other workers see accounts too, they tell each other their records (`changed`, `hear`), and each finds what one
process would. A record that was heard stands among the others, and what several have seen of one account is added up.

Bounds: `campaigns/room.py`. At most `MOST` campaigns, the largest.
"""

from collections.abc import Callable, Collection, Generator, Iterable

from gateway.campaigns import Campaign
from gateway.campaigns.form import OtherVersion, Unreadable, packed, read
from gateway.campaigns.form import record as told_record
from gateway.campaigns.habits import Habits, Part, fingerprints, generates, seconds
from gateway.campaigns.linking import Turn
from gateway.campaigns.recipe import Recipe, membership, number_of
from gateway.campaigns.room import RECORD, Room
from gateway.campaigns.telling import Telling
from gateway.campaigns.walk import Group, walk
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.signals import HOUR

__all__ = ["MEMORY", "RECORD", "Campaigns"]

MEMORY = 100_663_296  # bytes
MOST = 256  # campaigns
EPOCH = HOUR  # µs after which all is gone through again, whatever has changed
PAUSE = 60_000_000  # µs between two times, at least
REST = 4  # answers for each slice, before all is gone through again
FEW = 500  # slices that need no rest
MANY = 6  # times that an account took up what a few others fill: reason enough to look before the hour is over
NAMES = (1 << 40) - 1  # numbers of campaigns

RowOf = Callable[[str], bytes]
Slices = Generator[None, None, None]


class Campaigns:
    """account -> the campaign that it is in, if any. `row_of` gives the row of signals of an account, b"" for none."""

    def __init__(self, row_of: RowOf, memory: int = MEMORY) -> None:
        self._row_of = row_of
        self._telling = Telling()
        self._sharing = False
        self._room = Room(memory, self._telling.forget)
        self._recipes: dict[int, Recipe] = {}  # frame -> the campaign that it is of
        self._live: list[Recipe] = []
        self._walk: Slices | None = None
        self._now = self._begun = 0  # µs; when all was last gone through
        self._answers = self._slices = self._taken = self._asked = 0  # since then
        self.epoch = 0
        self.still = False  # nothing is gone through meanwhile: a snapshot is taken
        self.heard = self.told = self.unreadable = self.of_other_versions = 0  # records

    def __len__(self) -> int:
        return len(self._room)

    def __bool__(self) -> bool:
        """Whether anything is remembered at all."""
        return bool(self._room)

    @property
    def evicted(self) -> int:
        """Accounts with a habit that were seen here, and forgotten for want of room."""
        return self._room.evicted

    @property
    def foreign(self) -> int:
        """Accounts that only other workers have seen."""
        return self._room.foreign

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
        record = self._room.habitual(account)
        recipe = record.campaign if record is not None else None
        if record is None or not isinstance(recipe, Recipe) or recipe.snapshot is None:
            return None, 0.0
        return recipe.snapshot, membership(record.share)

    def meet(self, who: Caller, seen: Observation) -> tuple[Campaign | None, float]:
        """The same of an account with a request in its hand.

        Who fills a campaign's frame on the terms on which its members were linked is one from this request on, before
        it is a habit: a new key for every other request is met at its first.
        """
        found = self.look(who.account)
        if found[0] is not None or not self._recipes or not generates(seen):
            return found
        record = self._room.get(who.account) or Habits(who.account, who, self._now, self._room.since)
        share = 1.0 / (record.count + 1.0)
        recipe = self._filled(record, seen, who, share)
        return (recipe.snapshot, membership(share)) if recipe is not None and recipe.snapshot is not None else found

    def _filled(self, record: Habits, seen: Observation, who: Caller, share: float) -> Recipe | None:
        """The campaign one of whose frames this request fills, on its terms."""
        for key in fingerprints(seen):
            recipe = self._recipes.get(key)
            if recipe is not None and recipe.meets(record, key, share, seconds(seen, who)):
                return recipe
        return None

    def saw(self, who: Caller, seen: Observation, now: int) -> None:
        """The model server has answered a request. `now` in µs."""
        room = self._room
        if not room or not generates(seen):
            return
        self._now = now = max(now, self._now)
        record = room.seen(who, now)
        prints = fingerprints(seen)
        before = record.frames
        new = record.step(seen, who, now, prints)
        if record.own is not None:
            record.own.step(seen, who, now, prints, record.requests - record.own.requests - (seen.lines or 1))
        if new:
            room.took_up(record, before)
            self._taken += any(room.is_shared(key) and key not in room.public for key in new)
        recipe = record.campaign
        if recipe is None and self._recipes:
            recipe = self._enter(record)
        if isinstance(recipe, Recipe):
            recipe.saw(record.account, seen, now, prints)
            self._asked += 1
        self._note(record)
        self._answers += 1
        self._turn(now)

    def share(self) -> None:
        """There are other workers: from now on `changed` says what they have to be told, of all that was seen here."""
        self._sharing = True
        self._telling.anew(self._room.own())

    @property
    def untold(self) -> int:
        """Accounts that other workers are to be told of."""
        return len(self._telling)

    def changed(self, now: int, most: int = 8) -> list[tuple[str, bytes]]:
        """At most so many accounts that other workers are to be told of, each with its record: some 20 µs each.

        They count as told, unless `missed` says that they were not. `now` in µs. Without `share` there are none.
        """
        found: list[tuple[str, bytes]] = []
        telling = self._telling
        while self._sharing and len(found) < most and (account := telling.next(now)) is not None:
            record = self._room.get(account)
            mine = record.mine if record is not None else None
            if record is None or mine is None:
                telling.forget(account)
                continue
            mine.shares()
            name = number_of(record)
            counted = b""
            bonds: tuple[bytes, ...] = ()
            if name or any(self.is_shared(key) and key not in self._room.public for key in record.frames):
                counted = PANEL.counted(self._row_of(account))
            if isinstance(record.campaign, Recipe):
                bonds = record.campaign.remembered(account)
            found.append((account, told_record(account, now, packed(mine), name, counted, bonds)))
            telling.said(mine, name, now)
        self.told += len(found)
        return found

    def missed(self, accounts: Iterable[str]) -> None:
        """The records of these accounts did not reach the others."""
        self._telling.missed(accounts)

    def hear(self, data: bytes, worker: str, now: int) -> bool:
        """What another worker has told of an account; whether it could be read. `now` in µs; its clock may differ.

        It takes some 60 µs, and 40 more for each worker that has seen this account as well.
        """
        if not self._room:
            return False
        found = self._read(data, worker, now)
        if found is None:
            return False
        told, part = found
        before = self._room.get(told.account)
        requests, frames = (before.requests, before.frames) if before is not None else (0, ())
        record = self._room.hear(told, part)
        if record is None:
            return True
        room = self._room
        self._taken += any(
            key not in frames and room.is_shared(key) and key not in room.public for key in record.frames
        )
        if record.campaign is None and self._recipes:
            self._enter(record)
        if record.campaign is not None:
            self._asked += max(0, record.requests - requests)
        return True

    def adopt(self, data: bytes, now: int) -> bool:
        """What a former process of this worker has told of an account becomes what was seen here; whether it could be
        read. For the start alone, each record once, and before anything is told.
        """
        found = self._read(data, "", now) if self._room else None
        if found is None:
            return False
        told, part = found
        before = self._room.get(told.account)
        mine = before.mine if before is not None else None
        if mine is not None and mine.since <= told.since:  # of a snapshot: what was told is in it
            self._telling.said(told, part.name, part.at)
            return True
        new = mine is None
        record = self._room.adopt(told)
        if record is not None and new:
            self._telling.said(record.mine or record, part.name, part.at)
        return True

    def _read(self, data: bytes, worker: str, now: int) -> tuple[Habits, Part] | None:
        """A record that was told, no later than now."""
        try:
            told, part = read(data, worker)
        except OtherVersion:
            self.of_other_versions += 1
            return None
        except Unreadable:
            self.unreadable += 1
            return None
        self._now = now = max(now, self._now)
        told.since, told.first, told.last, told.faded = (
            min(each, now) for each in (told.since, told.first, told.last, told.faded)
        )
        self.heard += 1
        return told, part._replace(at=min(part.at, now))

    def turn(self) -> None:
        """One slice of going through everything, if it is time: where much is heard and little is asked."""
        self._answers += 1
        self._turn(self._now)

    def _note(self, record: Habits) -> None:
        if self._sharing and (mine := record.mine) is not None:
            self._telling.note(mine, number_of(record), self._now)

    def go_on(self) -> None:
        """One slice of going through everything, if that has begun."""
        self._slice()

    def settle(self) -> None:
        """Goes through everything now, to the end: for those who have the time."""
        self._finish()
        self._begin(self._now)
        self._finish()

    def _finish(self) -> None:
        while self._walk is not None:
            self._slice()

    def records(self) -> Collection[Habits]:
        """All records as they are now: those that are only heard of first, then the least recently seen."""
        return self._room.records()

    def is_shared(self, key: int) -> bool:
        """Whether at least three accounts fill a frame; it may be said of one that fewer do."""
        return self._room.is_shared(key)

    def _turn(self, now: int) -> None:
        """One slice of going through everything, if it is time."""
        if self.still:
            return
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
        self._room.public = set()
        groups = yield from walk(self._room, now, turn)
        self.epoch += 1
        yield from self._commit(groups[:MOST], turn)
        for recipe in self._live:
            yield from recipe.look(self._row_of, self.epoch, now, turn)
        for recipe in self._live:
            for record in recipe.members:
                self._note(record)
                if turn.ends(2):
                    yield

    def _commit(self, groups: list[Group], turn: Turn) -> Slices:
        """The groups become the campaigns. Each takes over the one that most of its members were in.

        Its name is what most of its members are said to be in, each by the worker that sees it: all workers hear the
        same, and so they come to the same name, whoever found the campaign first.
        """
        left = list(self._live)
        live: list[Recipe] = []
        taken: set[int] = set()
        names: list[int] = []
        for group in groups:
            here: dict[Recipe, int] = {}  # members that are in it
            said: dict[int, int] = {}  # number -> members that are in it where they are seen
            for user in group.users:
                recipe = user.habits.campaign
                if isinstance(recipe, Recipe):
                    here[recipe] = here.get(recipe, 0) + 1
                    if user.habits.mine is not None:
                        said[recipe.number] = said.get(recipe.number, 0) + 1
                for part in user.habits.others:
                    if part.name:
                        said[part.name] = said.get(part.name, 0) + 1
                if turn.ends(1):
                    yield
            before = {recipe: count for recipe, count in here.items() if recipe in left}
            votes = {recipe.number: (said.get(recipe.number, 0), count) for recipe, count in before.items()}
            votes = {name: (count, 0) for name, count in said.items()} | votes
            name = max(votes.keys() - taken, key=lambda each: (votes[each], each), default=0)
            if not name:
                name = self._name(group, taken | {recipe.number for recipe in left})
            taken.add(name)
            names.append(name)
            recipe = max(before, key=lambda each: (before[each], each.number), default=None)
            if recipe is None:
                recipe = Recipe(name)
            else:
                left.remove(recipe)
            live.append(recipe)
        for recipe in left:
            recipe.leave()
        self._live, self._recipes = live, {}
        for recipe, name, group in zip(live, names, groups, strict=True):
            recipe.number = name
            yield from recipe.regroup(group, turn)
            for key in recipe.frames:
                self._recipes.setdefault(key, recipe)

    def _name(self, group: Group, taken: Collection[int]) -> int:
        """After its commonest frame, whose fingerprint is keyed: it tells nothing."""
        key = next(iter(group.frames)) >> 3
        while (key & NAMES or 1) in taken:
            key += 1
        return key & NAMES or 1

    def _enter(self, record: Habits) -> Recipe | None:
        """The campaign that an account enters between two times, on the terms on which the others were linked."""
        found = [key for key in record.frames if key in self._recipes]
        if not found:
            return None
        shares = self._room.habits_of(record)
        for key in found:
            recipe, share = self._recipes[key], shares.get(key, 0.0)
            if recipe.takes(record, key, share):
                record.campaign, record.share = recipe, share
                recipe.members.append(record)
                if len(recipe.members) > 2 * len(self._room):
                    recipe.compact()
                return recipe
        return None
