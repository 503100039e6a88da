"""Pure. One campaign while it lives: its members, the terms on which others enter, and what it does over time."""

from collections.abc import Callable, Generator, Sequence
from math import log10
from typing import Any, Protocol

from gateway.campaigns import Campaign
from gateway.campaigns.bonds import BONDS
from gateway.campaigns.habits import Habits
from gateway.campaigns.linking import Turn
from gateway.campaigns.pool import PLACES, Pool
from gateway.campaigns.signals.shared_recipe import came_with
from gateway.campaigns.walk import Group
from gateway.observe import Observation

__all__ = ["Recipe", "membership", "number_of"]

ADDED = 40  # units of work: a member's row of signals is unpacked and added, its words are compared
FARTHEST = 0.01  # share of use below which a membership says no less
ENTERS = 0.5  # share of an account's requests, where the campaign is a cohort


class Terms(Protocol):
    """What is kept of a campaign beside its members."""

    frames: dict[int, float]
    seconds: dict[int, float]
    need: float
    linked: bool
    since: int
    snapshot: Campaign | None
    bonds: list[Any]


class Recipe:
    """A campaign. What it is like changes only when all is gone through; members come in between, too."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.members: list[Habits] = []
        self.frames: dict[int, float] = {}  # key -> dB
        self.seconds: dict[int, float] = {}  # the same of parameters, client and network
        self.need = 0.0  # dB
        self.linked = True
        self.since = 0
        self.snapshot: Campaign | None = None
        self._bonds = [made() for made in BONDS.values()]

    @classmethod
    def of(cls, number: int, terms: Terms) -> "Recipe":
        """A campaign of a former process, without its members."""
        made = cls(number)
        made.frames, made.seconds, made.need = terms.frames, terms.seconds, terms.need
        made.linked, made.since, made.snapshot = terms.linked, terms.since, terms.snapshot
        for bond, state in zip(made._bonds, terms.bonds, strict=True):
            bond.keep(state)
        return made

    def kept(self) -> list[Any]:
        """What its signals remember, as plain values."""
        return [bond.kept() for bond in self._bonds]

    def regroup(self, group: Group, turn: Turn) -> Generator[None, None, None]:
        """Takes a group's members and terms."""
        for record in self.members:
            if record.campaign is self:
                record.campaign = None
            if turn.ends(1):
                yield
        self.members = []
        self.frames, self.seconds, self.need = group.frames, group.seconds, group.need
        self.linked = group.linked
        self.since = min(self.since or group.since, group.since)
        for user in group.users:
            user.habits.campaign, user.habits.share = self, user.share
            self.members.append(user.habits)
            if turn.ends(1):
                yield

    @property
    def requests(self) -> float:
        """The week's requests of all members, when it was last looked at."""
        return self.snapshot.readings.get("week.requests", 0.0) if self.snapshot is not None else 0.0

    @property
    def id(self) -> str:
        """What operators and limits call it."""
        return f"campaign-{self.number:010x}"

    def leave(self) -> None:
        """It is none any more."""
        for record in self.members:
            if record.campaign is self:
                record.campaign = None
        self.members, self.snapshot = [], None

    def compact(self) -> None:
        """Lets go of members that were forgotten."""
        self.members = [record for record in self.members if record.campaign is self]

    def forget(self, account: str) -> None:
        """Lets go of a member."""
        self.members = [record for record in self.members if record.account != account]
        for bond in self._bonds:
            bond.forget(account)

    def takes(self, record: Habits, key: int, share: float) -> bool:
        """Whether an account enters that fills one of the frames in this share of its requests."""
        if not self.linked:
            return share >= ENTERS and came_with(record)
        return self._agrees(key, share, record.seconds)

    def meets(self, record: Habits, key: int, share: float, seconds: Sequence[int]) -> bool:
        """Whether a request that fills one of the frames is a member's, of an account without a habit so far."""
        if not self.linked:
            return share >= ENTERS and record.fresh and not record.frames
        return self._agrees(key, share, seconds)

    def _agrees(self, key: int, share: float, seconds: Sequence[int]) -> bool:
        more = sum(self.seconds.get(second, 0.0) for second in seconds)
        return more > 0.0 and self.frames[key] * share + more >= self.need

    def saw(self, account: str, seen: Observation, now: int, prints: list[int]) -> None:
        """A member's request was answered, that fills these frames."""
        for key in prints:
            if key in self.frames:
                for bond in self._bonds:
                    bond.saw(account, seen, now)
                return

    def remembered(self, account: str) -> tuple[bytes, ...]:
        """What its signals remember of a member, for other workers."""
        return tuple([bond.remembered(account) for bond in self._bonds])

    def look(self, row_of: Callable[[str], bytes], epoch: int, now: int, turn: Turn) -> Generator[None, None, None]:
        """Makes the snapshot anew."""
        pool = Pool(now)
        for bond in self._bonds:
            bond.begin()
        self.compact()
        members, owners = self.members, set[str]()
        for record in members:
            owners.add(record.owner)
            heard = [part.counted for part in record.others if part.counted]
            slab = pool.add(row_of(record.account), heard)
            for at, bond in enumerate(self._bonds):
                for part in record.others:
                    if at < len(part.bonds):
                        bond.heard(record.account, part.bonds[at], part.at)
                bond.member(record, slab)
            if turn.ends(ADDED * (1 + len(record.others))):
                yield
        yield
        made: dict[str, float] = {}
        for bond in self._bonds:
            for name, value in bond.read().items():
                made[name] = round(value, PLACES)
        readings = pool.read(made.get("exclusive_share"))
        self.snapshot = Campaign(self.id, epoch, len(members), len(owners), self.since, self.linked, readings | made)
        yield


def number_of(record: Habits) -> int:
    """The number of the campaign that an account is in; 0 = in none."""
    return record.campaign.number if isinstance(record.campaign, Recipe) else 0


def membership(share: float) -> float:
    """dB of being one with whose campaign so much of an account's use is."""
    return round(10.0 * log10(min(1.0, max(FARTHEST, share))), 2)
