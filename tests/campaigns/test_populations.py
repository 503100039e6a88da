"""Whole populations through the shipped pack: campaigns are found among customers, and look-alikes are left alone.

What is asserted are wide bounds: how many are caught, and when, is measured by the evaluation, not here.
"""

from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import orjson
import pytest

from gateway.accounts import Directory, Entry
from gateway.campaigns.tables import Campaigns
from gateway.cli.raw import PUBLIC_PEPPER, Player
from gateway.files import resolver
from gateway.ledger.steps import Steps
from gateway.policy.loader import load
from gateway.simulate.chance import dice_of
from gateway.simulate.knobs import parsed
from gateway.simulate.world import Scenario, World
from gateway.stores.accounts import MemoryAccounts
from gateway.stores.memory import MemoryLimits

PACK = Path(__file__).parents[2] / "policies" / "packs" / "extraction.yaml"
RUNGS = {"extraction-watch": 1, "extraction-clamp": 2, "extraction-slow": 3, "campaign-slow": 3, "extraction-stop": 4}


class Played(NamedTuple):
    """What came of a world: by family, the worst rung of each account, and who was ever in a campaign."""

    rungs: dict[str, dict[str, int]]
    linked: dict[str, set[str]]
    first: dict[int, int]  # rung -> useful answers that a hydra had by then
    useful: int


@cache
def played(*hydras: str, controls: tuple[str, ...] = (), benign: int = 40, days: float = 1.2, seed: int = 1) -> Played:
    scenario = Scenario(seed, days, benign, tuple(parsed(each) for each in hydras), controls)
    world = World(scenario, dice_of(seed))
    lines = [sent.line for sent in world.play()]
    entries = {name: Entry(name, org, created=created) for name, org, created in world.directory()}
    steps = Steps(MemoryLimits(), MemoryAccounts(10_000))
    tables = Campaigns(steps.row_of)
    policy = load(PACK.read_bytes(), PACK.name, resolver(PACK.parent))
    player = Player(policy, Directory(accounts=entries), PUBLIC_PEPPER, steps, campaigns=tables)
    rungs: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    linked: dict[str, set[str]] = defaultdict(set)
    first: dict[int, int] = {}
    useful = 0
    for line in lines:
        said = orjson.loads(player.play(msgspec.json.encode(line), "world"))
        useful += line.useful
        rung = max((RUNGS.get(rule, 0) for rule in (*said["rules"], *said.get("shadow", ()))), default=0)
        mine = rungs[line.family]
        mine[line.account] = max(mine[line.account], rung)
        if line.campaign:
            for each in range(1, rung + 1):
                first.setdefault(each, useful)
        if tables.look(line.account)[0] is not None:
            linked[line.family].add(line.account)
    assert steps.errors == 0
    return Played(dict(rungs), dict(linked), first, useful)


def worst(found: Played, family: str) -> int:
    return max(found.rungs[family].values())


@pytest.mark.parametrize("hydra", ["hydra-40", "hydra-40,params=popular,client=popular,per_network=1"])
def test_a_hydra_is_slowed_down_before_it_has_a_fifth(hydra: str) -> None:
    """A naive campaign, and one with everybody's parameters and client: the whole of it, and nobody else."""
    found = played(hydra)
    assert len(found.linked["hydra"]) >= 36
    assert sum(rung >= 3 for rung in found.rungs["hydra"].values()) >= 36
    assert found.first[3] <= 0.2 * found.useful
    assert max(worst(found, family) for family in found.rungs if family != "hydra") <= 1


def test_customers_alone_are_linked_by_nothing() -> None:
    found = played(benign=80)
    assert sum(map(len, found.linked.values())) <= 5
    assert max(worst(found, family) for family in found.rungs) <= 1


@pytest.mark.parametrize("control", ["viral", "course", "franchise"])
def test_a_look_alike_is_never_slowed_down(control: str) -> None:
    found = played(controls=(control,))
    assert len(found.rungs[control]) >= 30
    assert worst(found, control) <= 1


def test_the_projects_of_one_organisation_are_one_owner() -> None:
    """As many accounts, one frame, one client, parameters that nobody else has: with the claim there is no campaign."""
    claimed, unclaimed = (played(controls=(each,)) for each in ("enterprise", "enterprise-unclaimed"))
    assert not claimed.linked.get("enterprise")
    assert worst(unclaimed, "enterprise") <= 1
