"""Pure. X3, load balancing or lock-step: the members' requests add up to something that no crowd's do.

measures     whether requests that fill the campaign's frames come more evenly, or more together, than those of
             independent people would
formula      VR = Var(sum of x) / sum of Var(x), x a member's requests in 15 minutes, over the bins since it was
             found, the last 96 (a day) at most, at least 48; after a day without any it begins anew, and where
             other workers have to tell of theirs, the last 5 don't count. Independent accounts without a rhythm:
             1. One stream that is dealt out to many: near 0. People of one time zone: above 1.7, and the more the
             larger the crowd: VR = 1 + r (m - 1) of m members whose counts go together by r. So lock-step is told
             by r = (VR - 1) / (m - 1): people of one time zone come to 0.15 at most, forty accounts that start
             together to 0.5 (simulated)
unit         ratio; correlation
state        3 bytes for each quarter of an hour in which a member asked, 312 at most
half-life    a day
evasion      schedules of their own for each account, drawn at random: free, but slower, and at 1 still more
             even than people are; a mix with other traffic doesn't help: only the frame's requests count
look-alikes  cron jobs of many customers on the hour (lock-step), a vendor's queue in front of its tenants
source       the variance ratio of community ecology (Schluter, Ecology 65, 1984)
"""

from typing import Any, ClassVar

from gateway.campaigns.habits import Habits
from gateway.campaigns.signals import Bond, Gauge
from gateway.observe import Observation
from gateway.signals import Slab

__all__ = ["Balance"]

BIN = 900_000_000  # µs
BINS = 96
LEAST = 48  # bins that say anything: the ratio of independent accounts is then 1, give or take 0.2
ENOUGH = 60  # requests in them
LAG = 5  # bins that others may not have told of yet: an hour, and a quarter
ENTRY = 3  # bytes: a bin's number, in two, and its requests
ENTRIES = BINS + LAG + 3
FULL = 255
WRAP = 0xFFFF  # bins that are told apart: 682 days


class Balance(Bond):
    """See the module's card."""

    code = "X3"
    gauges: ClassVar[tuple[Gauge, ...]] = (
        Gauge(
            "balance",
            "variance of all members' requests together, by the sum of each one's: 1 = independent",
            words="how the members' requests vary together, where 1 is independent and 0 one stream dealt out",
        ),
        Gauge(
            "lockstep",
            "correlation of two members' requests by the quarter of an hour",
            words="how far two members' busy quarters of an hour are the same ones",
        ),
    )

    def __init__(self) -> None:
        self.value: tuple[float, float] | None = None  # as long as nothing newer can be said
        self.bin = self.since = self.turned = 0  # the latest, and the first; since when `old` isn't added to
        self.young: dict[str, bytearray] = {}  # member -> a bin and its requests, three bytes each, in their order
        self.old: dict[str, bytearray] = {}
        self.late = self.latest = self.lag = 0  # what is known of other workers: their first bin, and the last told
        self.begin()

    def saw(self, account: str, seen: Observation, now: int) -> None:
        found = max(now // BIN, self.bin)
        if found - self.bin >= BINS:  # a day without any: it begins anew
            self.since = found
        self.bin = found
        if found - self.turned >= BINS:
            self.old, self.young, self.turned = self.young if found - self.turned < 2 * BINS else {}, {}, found
        trail = self.young.get(account)
        if trail is None:
            trail = self.young[account] = self.old.pop(account, bytearray())
        place = found & WRAP
        if trail and trail[-1] < FULL and trail[-3] | trail[-2] << 8 == place:
            trail[-1] += 1
            return
        trail += bytes((place & 255, place >> 8, 1))
        if len(trail) > ENTRIES * ENTRY:
            del trail[:ENTRY]

    def remembered(self, account: str) -> bytes:
        trail = self.young.get(account) or self.old.get(account)
        return (self.since & WRAP).to_bytes(2, "little") + trail if trail else b""

    def heard(self, account: str, told: bytes, at: int) -> None:
        if len(told) % ENTRY != 2:
            return
        latest = at // BIN
        self.latest = max(self.latest, latest)
        self.late = max(self.late, latest - (latest - (told[0] | told[1] << 8) & WRAP))
        self.lag = LAG
        self.told += told[2:]

    def forget(self, account: str) -> None:
        self.young.pop(account, None)
        self.old.pop(account, None)

    def kept(self) -> Any:
        trails = [{who: bytes(trail) for who, trail in each.items()} for each in (self.young, self.old)]
        return (self.value, self.bin, self.since, self.turned, *trails)

    def keep(self, state: Any) -> None:
        value, self.bin, self.since, self.turned, young, old = state
        self.value = (value[0], value[1]) if value is not None else None
        self.young, self.old = ({who: bytearray(trail) for who, trail in each.items()} for each in (young, old))

    def begin(self) -> None:
        self.end = max(self.bin, self.latest) - self.lag
        self.start = max(self.since, self.late, self.end - BINS)
        self.late = self.lag = 0
        self.told = b""  # of the next member
        self.sums: dict[int, int] = {}  # bins before the end -> requests
        self.squares = self.whole = self.members = 0  # of requests in a bin; of a member's; who has any

    def member(self, habits: Habits, slab: Slab | None) -> None:
        trail = self.young.get(habits.account) or self.old.get(habits.account)
        told = bytes(trail) + self.told if trail else self.told
        self.told = b""
        own: dict[int, int] = {}
        end, bins = self.end, self.end - self.start
        for place in range(0, len(told), ENTRY):
            before = end - (told[place] | told[place + 1] << 8) & WRAP
            if 0 < before <= bins:
                own[before] = own.get(before, 0) + told[place + 2]
        if own:
            self.members += 1
            self.whole += sum(own.values()) ** 2
            for before, count in own.items():
                self.squares += count * count
                self.sums[before] = self.sums.get(before, 0) + count

    def read(self) -> dict[str, float]:
        self.value = value = self._ratio() or self.value
        return {} if value is None else {"balance": value[0], "lockstep": value[1]}

    def _ratio(self) -> tuple[float, float] | None:
        """The ratio, and the correlation that it is made of."""
        bins, whole = self.end - self.start, sum(self.sums.values())
        if bins < LEAST or whole < ENOUGH:
            return None
        mean = whole / bins
        together = sum((self.sums.get(before, 0) - mean) ** 2 for before in range(1, bins + 1)) / bins
        apart = self.squares / bins - self.whole / (bins * bins)
        if apart <= 0.0:
            return None
        ratio = together / apart
        return ratio, max(0.0, ratio - 1.0) / max(1, self.members - 1)
