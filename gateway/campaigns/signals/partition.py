"""Pure. X2, a partition: the members ask out of one pool, and none asks what another has asked.

measures     how surprising it is that so few of the members' prompts are the same, if each had drawn from the
             pool for itself; and whether it is one pool at all: whether the words of the members' prompts
             differ no more between members than draws from one pool do
formula      partition = -10 log10 P(Poisson(x) <= o) dB, o pairs of members with one prompt in common,
             x = ((sum m)^2 - sum m^2) / (2 * 10 * sum m) the pairs to expect of a pool ten times as large as
             what was seen; nothing is claimed of more than one pool: times 1 up to a dispersion of 1.6,
             times 0 from 2.6 on. Of members whose prompts are sampled more coarsely than others' x counts the
             pairs that both samples would show. dispersion = chi^2 / df of members by 32 cells of words, among
             members with one frame each, so that its own words tell nobody apart. overlap = o / x
unit         dB; a ratio; a ratio
state        512 prompts with at most 4 members each, 32 cells of words a member and for each of 64 frames; other
             workers are told 64 prompts of a member
half-life    none: the sample of prompts grows coarser as more come
evasion      one prompt in twenty asked twice, on purpose: a twentieth more to pay for, and it shows as overlap;
             a paraphrase of each prompt an account leaves the words as they are
look-alikes  one company's shards of one job (declare the organisation); an evaluation shares its prompts: full
             overlap; customers with data of their own: their words differ
source       the overlap of independent samples: Poisson's limit of the birthday problem; Pearson's chi-square
             test of homogeneity (1900)
"""

from typing import Any, ClassVar

from gateway.campaigns.habits import CELLS, Habits
from gateway.campaigns.signals import Bond, Gauge
from gateway.observe import Observation
from gateway.odds import rare
from gateway.signals import Slab

__all__ = ["Partition"]

PROMPTS = 512  # in the sample
TELLERS = 4  # members remembered of each
TOLD = 64  # prompts of a member that other workers are told
COARSEST = 40  # zero bits
PROMPT = 7  # bytes
POOL = 10.0  # times as large as what was seen
WORDS = 16  # of a member, from which it is looked at
LOOKED = 400  # members that are looked at for their words
LEAST = 30  # prompts in the sample
LEAST_MEMBERS = 3  # with one frame, whose words are compared
FRAMES = 64  # that are looked at apart
ONE, SEVERAL = 1.6, 2.6  # dispersion up to which it is one pool, from which it is not


class Partition(Bond):
    """See the module's card."""

    code = "X2"
    gauges: ClassVar[tuple[Gauge, ...]] = (
        Gauge(
            "partition",
            "how surprising it is that members of one pool never ask the same",
            "dB",
            "how surprising it is that members of one pool so seldom asked the same",
        ),
        Gauge(
            "overlap",
            "pairs of members with a prompt in common, by those of a pool ten times as large",
            words="how often two members asked the same, where 1 is each drawing from a pool ten times as large",
        ),
        Gauge(
            "dispersion",
            "how much more the members' words differ than draws from one pool do: 1 = one pool",
            words="how much the members' words differ, where 1 is draws from one pool",
        ),
    )

    def __init__(self) -> None:
        self.here = self.all = _Sample()  # as asked here; as asked anywhere
        self.begin()

    def saw(self, account: str, seen: Observation, now: int) -> None:
        for ask in seen.asks:
            self.here.add(ask, account)

    def remembered(self, account: str) -> bytes:
        level = self.here.level
        prompts = [ask for ask, who in self.here.tellers.items() if account in who]
        while len(prompts) > TOLD:
            level += 1
            prompts = [ask for ask in prompts if not ask & (1 << level) - 1]
        return bytes((level,)) + b"".join([ask.to_bytes(PROMPT, "little") for ask in prompts]) if prompts else b""

    def heard(self, account: str, told: bytes, at: int) -> None:
        if len(told) % PROMPT != 1 or told[0] > COARSEST:
            return
        if self.all is self.here:
            self.all = self.here.copied()
        self.levels[account] = max(told[0], self.levels.get(account, 0))
        for place in range(1, len(told), PROMPT):
            self.all.add(int.from_bytes(told[place : place + PROMPT], "little"), account)

    def forget(self, account: str) -> None:
        for ask, who in list(self.here.tellers.items()):
            if account in who:
                self.here.tellers[ask] = tuple([each for each in who if each != account])

    def kept(self) -> Any:
        return (self.here.level, dict(self.here.tellers))

    def keep(self, state: Any) -> None:
        self.here.level = state[0]
        self.here.tellers = {ask: tuple(who) for ask, who in state[1].items()}

    def begin(self) -> None:
        self.all = self.here
        self.levels: dict[str, int] = {}  # member -> zero bits of the prompts that others have told of it
        self.looked = 0
        self.words: dict[int, _Words] = {}  # first frame of the member -> what members with it are about

    def member(self, habits: Habits, slab: Slab | None) -> None:
        cells = habits.cells
        words = sum(cells)
        if words < WORDS or self.looked >= LOOKED:
            return
        frame = habits.frames[0] if habits.frames else 0
        found = self.words.get(frame)
        if found is None:
            if len(self.words) == FRAMES:
                return
            found = self.words[frame] = _Words()
        self.looked += 1
        found.add(cells, words)

    def read(self) -> dict[str, float]:
        by: dict[str, int] = {}
        levels, least = self.levels, self.all.level
        same = 0
        for who in self._askers() if levels else self.all.tellers.values():
            same += len(who) * (len(who) - 1) // 2
            for account in who:
                by[account] = by.get(account, 0) + 1
        asked = sum(by.values())
        made: dict[str, float] = {}
        dispersion = self._dispersion()
        if dispersion is not None:
            made["dispersion"] = dispersion
        if asked >= LEAST:
            expected = _pairs({who: (max(least, levels.get(who, 0)), count) for who, count in by.items()})
            if expected > 0.0:
                made["overlap"] = same / expected
                made["partition"] = rare(same, expected) * self._one_pool(dispersion)
        return made

    def _askers(self) -> list[tuple[str, ...]]:
        """Who asked each prompt, without those in whose coarser sample it is not."""
        levels = self.levels
        return [
            tuple([each for each in who if not ask & (1 << levels.get(each, 0)) - 1])
            for ask, who in self.all.tellers.items()
        ]

    def _dispersion(self) -> float | None:
        """Within each frame, whose own words are the same for all who fill it."""
        chi = df = 0.0
        for each in self.words.values():
            square, free = each.chi()
            chi, df = chi + square, df + free
        return max(0.0, chi / df) if df else None

    @staticmethod
    def _one_pool(dispersion: float | None) -> float:
        if dispersion is None:
            return 0.0
        return min(1.0, max(0.0, (SEVERAL - dispersion) / (SEVERAL - ONE)))


class _Sample:
    """Prompts whose fingerprint has so many zero bits at its end, and who asked them."""

    __slots__ = ("level", "tellers")

    def __init__(self) -> None:
        self.level = 0
        self.tellers: dict[int, tuple[str, ...]] = {}

    def add(self, ask: int, account: str) -> None:
        """One prompt more, if it is of the sample."""
        if ask & (1 << self.level) - 1:
            return
        found = self.tellers.get(ask)
        if found is None:
            self.tellers[ask] = (account,)
            while len(self.tellers) > PROMPTS:
                self.level += 1
                mask = (1 << self.level) - 1
                self.tellers = {each: who for each, who in self.tellers.items() if not each & mask}
        elif len(found) < TELLERS and account not in found:
            self.tellers[ask] = (*found, account)

    def copied(self) -> "_Sample":
        """Another one with the same in it."""
        made = _Sample()
        made.level, made.tellers = self.level, dict(self.tellers)
        return made


def _pairs(members: dict[str, tuple[int, int]]) -> float:
    """Pairs to expect of a pool `POOL` times as large as all that was asked: member -> zero bits of its sample, and how
    many prompts are in that. A pair is seen where it is in the coarser sample of both."""
    sums: dict[int, tuple[float, float]] = {}  # zero bits -> prompts asked, and their squares
    for level, count in members.values():
        asked, squares = sums.get(level, (0.0, 0.0))
        each = float(count << level)
        sums[level] = (asked + each, squares + each * each)
    pairs = finer = 0.0
    for level, (asked, squares) in sorted(sums.items()):
        pairs += 0.5**level * (finer * asked + 0.5 * (asked * asked - squares))
        finer += asked
    return pairs / (POOL * finer) if finer else 0.0


class _Words:
    """What members with one frame are about: words by cell, and the squares of each member's by the member's sum."""

    __slots__ = ("cells", "members", "squares")

    def __init__(self) -> None:
        self.members = 0
        self.cells = [0.0] * CELLS
        self.squares = [0.0] * CELLS

    def add(self, cells: bytes, words: int) -> None:
        """One member more."""
        self.members += 1
        for at, count in enumerate(cells):
            if count:
                self.cells[at] += count
                self.squares[at] += count * count / words

    def chi(self) -> tuple[float, int]:
        """Pearson's chi-square of members by cells, and its degrees of freedom; of less than three members none."""
        used = [at for at, count in enumerate(self.cells) if count]
        if self.members < LEAST_MEMBERS or len(used) < 2:
            return 0.0, 0
        words = sum(self.cells)
        square = sum(self.squares[at] * words / self.cells[at] for at in used) - words
        return square, (self.members - 1) * (len(used) - 1)
