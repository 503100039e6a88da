"""Pure. X1, a recipe that is shared: how much of the members' use it is, and whether they came with it.

measures     the mean share of a member's requests that fill one of the campaign's frames, and the members
             that are young and had the frame among their first twenty requests. A product's customer has
             other business too, and had it before; an account that was made for a harvest has not
formula      mean of e; b / m, where e is the share of a member's requests with its most used frame of the
             campaign, and b counts the members that had it among their first requests, and were new then:
             made within a week before, or never seen in a gateway that had run for a week
unit         share of requests, share of members
state        16 bytes a campaign, beside the members' own records
half-life    4.9 days
evasion      half of the requests spent on other matters, and accounts that have had other use first: cover is
             paid for like everything else, and an age without use doesn't help
look-alikes  customers of one new framework, tenants of one product, a course with a starter template, the
             projects of one company: alone it never reaches a throttle
source       Fellegi and Sunter, A theory for record linkage, JASA 64 (1969); the care about popular values
             is that of W. E. Winkler's frequency-based matching (2000)
"""

from typing import ClassVar

from gateway.campaigns.habits import Habits
from gateway.campaigns.signals import Bond, Gauge
from gateway.signals import Slab

__all__ = ["SharedRecipe"]


class SharedRecipe(Bond):
    """See the module's card."""

    code = "X1"
    gauges: ClassVar[tuple[Gauge, ...]] = (
        Gauge(
            "exclusive_share",
            "of a member's requests those that fill the shared frame, on average",
            "share",
            "share of a member's requests that fills the shared frame, on average",
        ),
        Gauge("born_share", "of the members those that came with the frame", "share", "came with the frame", True),
    )

    def __init__(self) -> None:
        self.members = self.born = 0
        self.share = 0.0

    def begin(self) -> None:
        self.members = self.born = 0
        self.share = 0.0

    def member(self, habits: Habits, slab: Slab | None) -> None:
        self.members += 1
        self.share += habits.share
        self.born += came_with(habits)

    def read(self) -> dict[str, float]:
        if not self.members:
            return {}
        return {
            "exclusive_share": self.share / self.members,
            "born_share.hits": float(self.born),
            "born_share.of": float(self.members),
        }


def came_with(habits: Habits) -> bool:
    """Whether an account came with one of its frames: new here, it had it among its first requests."""
    return bool(habits.born) and habits.fresh
