"""Shell. The list of all contestants, in the order of the tables."""

from tests.benchmarks.proxy.contestants import Contestant, Launch, Site, gaugers
from tests.benchmarks.proxy.peers import granian, peers
from tests.benchmarks.proxy.proxies import proxies

__all__ = ["everybody"]


def _never(_: Site) -> Launch:
    raise AssertionError("the model server is started by the rig")


DIRECT = Contestant(
    "direct", "the model server alone, without anything before it", lambda _: None, "", lambda _: "", _never
)


def everybody() -> list[Contestant]:
    """Everybody, the model server itself first."""
    return [DIRECT, *proxies(), *gaugers(), granian(), *peers()]
