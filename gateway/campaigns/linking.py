"""Pure. Which accounts that fill one frame are one operator's: two tests, by pairs and of the whole population.

Pairs (Fellegi and Sunter 1969). Two accounts agree on a frame, and on parameters, client or network; what an agreement
is worth depends on how rare the value is,

    w = 10 log10(m / u) dB,   u = (o + 1) / (O + 1)

with o of O independent owners having it. Which owners are counted is what it all hangs on: plain frequencies can't tell
a campaign of a thousand accounts from a popular framework (J. Linacre et al., Splink, issue 2035). So only owners have
a vote who were there before the frame was: of age, and with other business before. A public frame has such users, a
campaign's has none. Linked are accounts whose weights, the frame's times the smaller of their shares of use, add up to

    10 log10 N + 10 dB

of N owners: a prior of one in N for each pair, and nine to one after it. The frame alone never suffices.

Cohort. A campaign with the commonest client and parameters escapes the pairs. But the users of a new frame that spreads
by itself are of all ages, and most had other business before. So where a frame has ten owners and no voter, the share
of those who came with it is held against the same share among the users of other new frames: a beta-binomial with a
correlation within a frame, since frames differ; and so is the share of those who do nothing else.
"""

from collections.abc import Callable, Generator, Sequence
from math import log10
from typing import NamedTuple

from gateway.campaigns.habits import CLIENT, NETWORK, PARAMS, Habits
from gateway.odds import beta_of, weigher

__all__ = ["PURE", "Links", "Turn", "User", "cohort", "needed", "pairs", "weight"]

AGREE = {PARAMS: 0.8, CLIENT: 0.6, NETWORK: 0.3}  # kind of a key -> how often one operator's accounts agree on it
FRAME = 0.9  # the same of a frame
UNITS = 128  # of work in a turn

COHORT = 10  # owners
STRONG = 20.0  # dB of both tests together
BORN = 10.0  # dB of the first alone
PURE = 0.8  # share of an account's requests: it does nothing else
SPREAD = 0.15  # correlation within a frame of whether its users came with it
PURITY, PURITY_SPREAD = 0.5, 0.25  # users of a shared frame that do nothing else, and their correlation
MOST = (9.0, 1.0)  # the alternative: nearly all


class User(NamedTuple):
    """An account that fills a frame. `share`: of its requests."""

    habits: Habits
    share: float


class Turn:
    """How much has been done since others had their turn. A unit takes about a microsecond."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = UNITS

    def ends(self, units: int) -> bool:
        """Whether it is time to stop, after so much more."""
        self._left -= units
        if self._left > 0:
            return False
        self._left = UNITS
        return True


class Links:
    """Accounts that are one, by union-find over their names. `weights`: the least weight that held one there, dB."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, account: str) -> str:
        """The name that stands for all that this account is one with."""
        parent = self._parent
        root = account
        while (up := parent.get(root, root)) != root:
            root = up
        while (up := parent.get(account, account)) != root:
            parent[account] = root
            account = up
        return root

    def join(self, one: str, other: str) -> None:
        """These two are one."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parent.setdefault(first, first)
        self._parent[second] = first

    def __contains__(self, account: object) -> bool:
        return account in self._parent


def weight(agree: float, have: float, owners: float) -> float:
    """dB of an agreement on a value that `have` of `owners` voters have; never below 0."""
    return max(0.0, 10.0 * log10(agree * (owners + 1.0) / (have + 1.0)))


def needed(owners: int) -> float:
    """dB at which two accounts among those of so many owners are linked."""
    return 10.0 * log10(max(owners, 1)) + 10.0


def pairs(
    users: Sequence[User], frame: float, weigh: Callable[[int], float], need: float, links: Links, turn: Turn
) -> Generator[None, None, int]:
    """Links the users of one frame; how many links were made. `frame`: what agreeing on it is worth, `weigh`: the same
    of another key, dB. Users are grouped by what else they agree on; the one with the largest share stands for a group.
    """
    made = 0
    for places in ((0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)):
        groups: dict[tuple[int, ...], list[User]] = {}
        heads: dict[tuple[int, ...], User] = {}
        for user in users:
            keys = tuple([user.habits.seconds[place] for place in places])
            if all(keys):
                groups.setdefault(keys, []).append(user)
                head = heads.get(keys)
                if head is None or (user.share, user.habits.account) > (head.share, head.habits.account):
                    heads[keys] = user
            if turn.ends(1):
                yield
        for keys, group in groups.items():
            if turn.ends(1):
                yield
            if len(group) < 2:
                continue
            more = sum(map(weigh, keys))
            if more <= 0.0 or frame + more < need:
                continue
            head = heads[keys]
            for user in group:
                if user is not head and frame * user.share + more >= need:
                    links.join(head.habits.account, user.habits.account)
                    made += 1
                if turn.ends(1):
                    yield
    return made


def cohort(owners: int, born: int, pure: int, of: int, usual: float) -> bool:
    """Whether those of a frame's users that came with it are a cohort, and not a population that comes by itself.

    Of `of` users, of so many owners, `born` came with the frame and `pure` do little else. `usual`: the share of the
    users of other shared frames that came with theirs.
    """
    if owners < COHORT:
        return False
    came = weigher(beta_of(usual, SPREAD), MOST)(float(born), float(of))
    only = weigher(beta_of(PURITY, PURITY_SPREAD), MOST)(float(pure), float(of))
    return came >= BORN and came + only >= STRONG
