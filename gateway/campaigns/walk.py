"""Pure. All records gone through once, in slices: the groups of accounts that are one, and on what grounds."""

from collections.abc import Collection, Generator
from typing import NamedTuple, Protocol

from gateway.campaigns import COUNTS
from gateway.campaigns.habits import KIND, PIECE, Habits
from gateway.campaigns.linking import AGREE, FRAME, PURE, Links, Turn, User, cohort, needed, pairs, weight
from gateway.campaigns.signals.shared_recipe import came_with
from gateway.signals import DAY

__all__ = ["Group", "Shelf", "walk"]

OF_AGE = 30 * DAY  # µs since it was made, as far as that is known
SEEN = 3 * DAY  # µs since it was first seen here, else
HUB = 20  # voters: a frame that so many independent owners use is public,
OF_HUB = 0.1  # if they are so large a share of those who do
ELDERS = 0.1  # share of a group that may have been here long before the others, and be none of them
AGED = 0.05  # share of a frame's users that may be voters where the rest is a cohort
USUAL, USUAL_OF = 3.0, 10.0  # users of shared frames that came with theirs: what is believed before any is seen
FEW = 4  # requests of an account that counts among all others
OTHERS = 20  # accounts that share nothing, from which these are asked
RANGE = (0.2, 0.9)  # what is believed of them at all
COMMON = 0.1  # share of a group's members that fill a frame of its recipe
LEAST = 3  # the same, members
UNPACKED, TESTED = 12, 10  # units of work: a row that is unpacked; a frame that is tested
SAMPLE = 256  # of times, to find the middle one

Slices = Generator[None, None, None]


class Shelf(Protocol):
    """Where the records stand."""

    started: int  # µs: when the first of them was made
    public: set[int]  # frames that are everybody's: said anew each time

    def records(self) -> Collection[Habits]: ...
    def is_shared(self, key: int) -> bool: ...
    def habits_of(self, record: Habits) -> dict[int, float]: ...


class Group(NamedTuple):
    """Accounts that are one, with the terms on which others enter: frames and other keys with their dB."""

    users: list[User]  # by the share of their most used frame of these
    frames: dict[int, float]  # the commonest first
    seconds: dict[int, float]
    need: float
    linked: bool  # by pairs; else by a cohort test alone
    since: int  # µs: when the first of them came


class _Frame(NamedTuple):
    """A frame that several owners fill. `born`: users that came with it; `pure`: users that do little else."""

    key: int
    users: list[User]
    owners: int
    born: list[User]
    pure: int
    votes: int
    worth: float  # dB


class _Shared(NamedTuple):
    """A frame that several accounts have taken up, and that isn't public."""

    records: list[Habits]
    votes: int
    since: int  # µs


class _Census(NamedTuple):
    """Who there is. `ages`: day from which an owner has a vote -> owners; `have`: voters with a key; `settled`:
    accounts of more than a few requests, `came`: those of them that came with theirs."""

    owners: int
    voters: int
    settled: int
    came: int
    ages: dict[int, int]
    have: dict[int, int]
    users: dict[int, list[Habits]]

    def weigh(self, key: int) -> float:
        """dB of agreeing on parameters, client or network."""
        return weight(AGREE[key & 7], self.have.get(key, 0), self.voters)


def walk(shelf: Shelf, now: int, turn: Turn) -> Generator[None, None, list[Group]]:
    """Goes through all records; at its end the groups, the largest first."""
    census = yield from _census(shelf, now, turn)
    shared: dict[int, _Shared] = {}
    shares: dict[str, dict[int, float]] = {}  # account -> its frames
    for key, records in census.users.items():
        found = yield from _shared(key, records, shelf, now, turn)
        if found is not None:
            shared[key] = found
            for record in records:
                if record.account not in shares:
                    shares[record.account] = shelf.habits_of(record)
                    if turn.ends(UNPACKED):
                        yield
    totals: dict[str, float] = {}
    for account, mine in shares.items():
        totals[account] = _total(mine, shared)
        if turn.ends(4):
            yield
    need = needed(census.owners)
    links = Links()
    frames: dict[int, _Frame] = {}
    tested: list[_Frame] = []
    came, inside = 0, set[str]()
    for key, found in shared.items():
        frame = yield from _frame(key, found, shares, totals, census, turn)
        if frame is None:
            continue
        made = yield from pairs(frame.users, frame.worth, census.weigh, need, links, turn)
        if made:
            frames[key] = frame
        tested.append(frame)
        for user in frame.users:
            if user.habits.account not in inside:
                inside.add(user.habits.account)
                came += came_with(user.habits)
            if turn.ends(1):
                yield
    # how many of those who share nothing came with what they do: what a frame that spreads by itself would find
    others, theirs = census.settled - len(inside), census.came - came
    if others < OTHERS:  # hardly anybody is left to tell: then of all
        others, theirs = census.settled, census.came
    usual = (USUAL + theirs) / (USUAL_OF + others)
    usual = min(RANGE[1], max(RANGE[0], usual))
    cohorts: dict[int, _Frame] = {}
    for frame in tested:
        if turn.ends(TESTED):
            yield
        one, all_ = frame.born, len(frame.users)
        if frame.votes > AGED * all_ or not cohort(frame.owners, len(one), frame.pure, all_, usual):
            continue
        if frame.key not in frames:
            frames[frame.key] = cohorts[frame.key] = frame
        for user in one:
            links.join(one[0].habits.account, user.habits.account)
            if turn.ends(1):
                yield
    return (yield from _groups(links, frames, cohorts, census, need, turn))


def _census(shelf: Shelf, now: int, turn: Turn) -> Generator[None, None, _Census]:
    ages: dict[int, int] = {}
    have: dict[int, int] = {}
    users: dict[int, list[Habits]] = {}
    owners: set[str] = set()
    today = now // DAY
    settled = came = 0
    for record in shelf.records():
        if record.frames or record.requests >= FEW:  # who asked once or twice makes nothing rarer
            settled += 1
            came += came_with(record)
            if record.owner not in owners:
                owners.add(record.owner)
                day = _votes_from(record) // DAY
                ages[day] = ages.get(day, 0) + 1
                if day <= today:
                    for key in record.seconds:
                        if key:
                            have[key] = have.get(key, 0) + 1
        for key in record.frames:
            if shelf.is_shared(key):
                users.setdefault(key, []).append(record)
        if turn.ends(2):
            yield
    voters = sum(count for day, count in ages.items() if day <= today)
    return _Census(len(owners), voters, settled, came, ages, have, users)


def _shared(
    key: int, records: list[Habits], shelf: Shelf, now: int, turn: Turn
) -> Generator[None, None, _Shared | None]:
    """Who speaks for a frame; None where it is public, or too few have taken it up."""
    if turn.ends(4):
        yield
    if len(records) < COUNTS:
        return None
    came = [record.since for record in records[:: 1 + len(records) // SAMPLE] if key in record.born]
    since = _middle(came) if came else now
    votes: set[str] = set()
    public = max(HUB, OF_HUB * len(records))
    for record in records:
        if _votes(record, key, since, shelf.started):
            votes.add(record.owner)
            if len(votes) >= public:
                shelf.public.add(key)
                return None
        if turn.ends(1):
            yield
    return _Shared(records, len(votes), since)


def _total(mine: dict[int, float], shared: dict[int, _Shared]) -> float:
    """How much of an account's use fills frames that are shared, and not public: those who take turns with several do
    as little else as those with one. Frames of one kind exclude each other, those of different kinds go together."""
    sums: dict[int, float] = {}
    for key, share in mine.items():
        if key in shared:
            kind = key & KIND
            sums[kind] = max(sums.get(kind, 0.0), share) if kind == PIECE else sums.get(kind, 0.0) + share
    return min(1.0, max(sums.values(), default=0.0))


def _frame(
    key: int,
    found: _Shared,
    shares: dict[str, dict[int, float]],
    totals: dict[str, float],
    census: _Census,
    turn: Turn,
) -> Generator[None, None, _Frame | None]:
    """What is known of a frame; None where its owners are too few."""
    users: list[User] = []
    born: list[User] = []
    owners: set[str] = set()
    pure = 0
    for record in found.records:
        if key in shares[record.account]:
            user = User(record, totals[record.account])
            users.append(user)
            owners.add(record.owner)
            pure += user.share >= PURE
            if key in record.born and came_with(record):
                born.append(user)
        if turn.ends(1):
            yield
    if len(owners) < COUNTS:
        return None
    older = sum(count for day, count in census.ages.items() if day <= found.since // DAY)
    worth = weight(FRAME, found.votes, older)
    return _Frame(key, users, len(owners), born, pure, found.votes, worth)


def _middle(times: list[int]) -> int:
    """When the middle one of a sample of those came who came with a frame: a single old user says nothing of it.

    Else whoever copies the prompt of the oldest customer would have a frame that nobody is older than.
    """
    return sorted(times)[len(times) // 2]


def _votes_from(record: Habits) -> int:
    """From when on an account counts as one that was there before, µs."""
    return record.first + OF_AGE if record.known else record.since + SEEN


def _votes(record: Habits, key: int, since: int, started: int) -> bool:
    """Whether an account speaks for a frame: it is older than the frame, and had other business before.

    What was there when the gateway began is new to the gateway alone: for a day the age that is known suffices.
    """
    if _votes_from(record) > since:
        return False
    return key not in record.born or (record.known and record.since < started + DAY)


def _groups(
    links: Links, frames: dict[int, _Frame], cohorts: dict[int, _Frame], census: _Census, need: float, turn: Turn
) -> Generator[None, None, list[Group]]:
    members: dict[str, dict[str, User]] = {}  # root -> account -> it, by its largest share
    filled: dict[str, dict[int, int]] = {}  # root -> frame -> members that fill it
    for key, frame in frames.items():
        for user in frame.users:
            account = user.habits.account
            if account in links:
                root = links.find(account)
                mine = members.setdefault(root, {})
                if account not in mine or mine[account].share < user.share:
                    mine[account] = user
                counts = filled.setdefault(root, {})
                counts[key] = counts.get(key, 0) + 1
            if turn.ends(2):
                yield
    found = []
    for root, mine in members.items():
        if turn.ends(TESTED):
            yield
        group = yield from _group(mine, filled[root], frames, cohorts, census, need, turn)
        if group is not None:
            found.append(group)
    found.sort(key=lambda group: (-len(group.users), group.users[0].habits.account))
    return found


def _group(
    mine: dict[str, User],
    filled: dict[int, int],
    frames: dict[int, _Frame],
    cohorts: dict[int, _Frame],
    census: _Census,
    need: float,
    turn: Turn,
) -> Generator[None, None, Group | None]:
    """The accounts that are one, without those that only seem to be; None where too few are left."""
    least = max(LEAST, COMMON * len(mine))
    keys = sorted([key for key, count in filled.items() if count >= least], key=lambda key: (-filled[key], key))
    recipe = frozenset(keys)
    users: list[User] = []
    owners: set[str] = set()
    seconds: dict[int, int] = {}
    every = 1 + len(mine) // SAMPLE
    middle = _middle([user.habits.since for user in list(mine.values())[::every]])
    elders: set[str] = set()
    for user in mine.values():
        if _votes_from(user.habits) <= middle:
            elders.add(user.habits.account)
        if turn.ends(1):
            yield
    if len(elders) > max(1, int(ELDERS * len(mine))):  # no few whose prompt was copied, but a campaign that lasts
        elders.clear()
    since = 0
    for user in mine.values():
        # whoever hangs on by a frame that hardly anybody else of the group fills was chained to it, not linked
        if not recipe.isdisjoint(user.habits.frames) and user.habits.account not in elders:
            users.append(user)
            owners.add(user.habits.owner)
            since = min(since or user.habits.since, user.habits.since)
            for key in user.habits.seconds:
                if key:
                    seconds[key] = seconds.get(key, 0) + 1
        if turn.ends(2):
            yield
    if len(owners) < COUNTS:
        return None
    terms = {key: census.weigh(key) for key, count in seconds.items() if count >= max(2, COMMON * len(users))}
    worth = {key: frames[key].worth for key in keys}
    return Group(users, worth, terms, need, not cohorts.keys() >= recipe, since)
