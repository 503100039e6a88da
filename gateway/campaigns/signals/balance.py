"""Pure. X3, load balancing or lock-step: the members' requests add up to something that no crowd's do.

measures     whether requests that fill the campaign's frames come more evenly, or more together, than those of
             independent people would
formula      VR = Var(sum of x) / sum of Var(x), x a member's requests in 15 minutes, over the bins since it was
             found, at most 96 (a day), at least 48; then it begins anew. Independent accounts without a
             rhythm: 1. One stream that is dealt out to many: near 0. People of one time zone: above 1.7, and
             the more the larger the crowd: VR = 1 + r (m - 1) of m members whose counts go together by r. So
             lock-step is told by r = (VR - 1) / (m - 1): people of one time zone come to 0.15 at most, forty
             accounts that start together to 0.5 (simulated)
unit         ratio; correlation
state        a number a member, 96 sums
half-life    a day
evasion      schedules of their own for each account, drawn at random: free, but slower, and at 1 still more
             even than people are; a mix with other traffic doesn't help: only the frame's requests count
look-alikes  cron jobs of many customers on the hour (lock-step), a vendor's queue in front of its tenants
source       the variance ratio of community ecology (Schluter, Ecology 65, 1984)
"""

from typing import ClassVar

from gateway.campaigns.signals import Bond, Gauge
from gateway.observe import Observation

__all__ = ["Balance"]

BIN = 900_000_000  # µs
BINS = 96
LEAST = 48  # bins that say anything: the ratio of independent accounts is then 1, give or take 0.2
ENOUGH = 60  # requests in them


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
        self.value: tuple[float, float] | None = None  # of the last whole window
        self._open(0)

    def _open(self, now: int) -> None:
        self.bin = now
        self.sums: list[int] = []  # of the bins that are over
        self.squares = 0.0  # of each member's requests in a bin, over those bins
        self.here: dict[str, int] = {}
        self.all: dict[str, int] = {}
        self.started = False

    def saw(self, account: str, seen: Observation, now: int) -> None:
        found = now // BIN
        if not self.started:
            self.bin, self.started = found, True
        elif found > self.bin:
            self._close(found)
        self.here[account] = self.here.get(account, 0) + 1

    def read(self) -> dict[str, float]:
        now = self._ratio()
        value = now if now is not None else self.value
        return {} if value is None else {"balance": value[0], "lockstep": value[1]}

    def _close(self, found: int) -> None:
        self.sums.append(sum(self.here.values()))
        for account, count in self.here.items():
            self.squares += count * count
            self.all[account] = self.all.get(account, 0) + count
        self.here = {}
        self.sums += [0] * min(BINS, found - self.bin - 1)
        self.bin = found
        if len(self.sums) >= BINS:
            self.value = self._ratio()
            self._open(found)
            self.started = True

    def _ratio(self) -> tuple[float, float] | None:
        """The ratio, and the correlation that it is made of."""
        bins, whole = len(self.sums), sum(self.sums)
        if bins < LEAST or whole < ENOUGH:
            return None
        mean = whole / bins
        together = sum((each - mean) ** 2 for each in self.sums) / bins
        apart = self.squares / bins - sum(count * count for count in self.all.values()) / (bins * bins)
        if apart <= 0.0:
            return None
        ratio = together / apart
        return ratio, max(0.0, ratio - 1.0) / max(1, len(self.all) - 1)
