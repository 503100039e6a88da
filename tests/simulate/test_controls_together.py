"""All controls in one world: everybody has a name of his own."""

from gateway.simulate.benign import CONTROLS
from gateway.simulate.chance import dice_of
from gateway.simulate.world import Scenario, World


def test_all_controls_together_have_accounts_of_their_own() -> None:
    world = World(Scenario(days=1.0, benign=30, controls=tuple(CONTROLS)), dice_of(3))
    names = [account.name for account in world.accounts]
    assert len(names) == len(set(names)) > 250
