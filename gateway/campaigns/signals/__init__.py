"""Pure. Signals of campaigns: one file of this folder = one signal, found by its name, with its card as its docstring.

A campaign has an object of each. It is stepped when a member has filled one of the campaign's frames (`saw`), and read
when the tables are gone through: `begin`, then for each member `heard` of every other worker that told of it, and
`member`, then `read`. Bounded, whatever comes.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from gateway.campaigns.habits import Habits
from gateway.observe import Observation
from gateway.signals import Slab, Unit

__all__ = ["Bond", "Gauge"]


class Gauge(NamedTuple):
    """One reading of a campaign, as conditions know it: `campaign.NAME`. A share has `.hits` and `.of` as well.

    `words` is how an explanation says it: "12 of 40 members WORDS", or "WORDS: 3.2".
    """

    name: str
    doc: str
    unit: Unit = ""
    words: str = ""
    share: bool = False


class Bond(ABC):
    """One signal of one campaign."""

    code: ClassVar[str]  # of the catalogue, as "X2"
    family: ClassVar[str] = "campaign"
    gauges: ClassVar[tuple[Gauge, ...]]

    def saw(self, account: str, seen: Observation, now: int) -> None:  # noqa: B027 - some are read of members alone
        """A member has filled one of the campaign's frames. `now` in µs."""

    def begin(self) -> None:  # noqa: B027 - some keep nothing of their members
        """The members follow, one after the other."""

    def member(self, habits: Habits, slab: Slab | None) -> None:  # noqa: B027
        """One member. `slab`: its signals as they stand now; None where nothing is remembered of it."""

    def remembered(self, account: str) -> bytes:
        """What other workers have to know of a member, as it asked here; at most some 500 bytes."""
        return b""

    def heard(self, account: str, told: bytes, at: int) -> None:  # noqa: B027
        """What another worker remembered of the next member at `at`, µs. Bytes that are nothing change nothing."""

    def forget(self, account: str) -> None:  # noqa: B027
        """An account is a member no more, and its id is not to be kept."""

    def kept(self) -> Any:
        """What has to outlast the process, as plain values that nothing changes any more; None = nothing."""
        return None

    def keep(self, state: Any) -> None:  # noqa: B027
        """Goes on from what `kept` gave, through MessagePack: tuples are lists now. For the beginning alone."""

    @abstractmethod
    def read(self) -> dict[str, float]:
        """The readings by name, as far as there are any."""
