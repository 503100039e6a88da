"""Pure. Whether a calibration still holds: how many owners pass its 1 % level now.

A promise of 0.1 % shows itself broken after months, the level of 1 % within days. The window is the one that the level
was taken from, and the owners are chosen by the rule of the calibration, so that like is compared with like.
"""

import msgspec

from gateway import binomial
from gateway.calibrate.fitting import Options, Suspect, cohort, nobody, suspect
from gateway.calibrate.owners import Owners
from gateway.errors import Mistake
from gateway.policy.calibration import Calibration

__all__ = ["Drifted", "drift", "window_of"]

SHOWN = 20  # owners above the level


class Drifted(msgspec.Struct, frozen=True):
    """One card. Shares are of owners; the bounds are one-sided, each at 95 %."""

    card: str
    threshold_db: float
    alpha: float
    owners: int
    above: int
    share: float
    lower95: float
    upper95: float
    drifted: bool  # more than the level, beyond chance
    highest: tuple[Suspect, ...]  # of those above it


def window_of(calibration: Calibration) -> int:
    """Days that the calibration's highest scores were looked for in."""
    return max(1, min(int(calibration.window_days), calibration.covered_days))


def drift(owners: Owners, calibration: Calibration, options: Options) -> list[Drifted]:
    """Every card of the calibration that these owners were judged by. Raises Mistake where they can't be compared."""
    if owners.policy is None or not owners.requests:
        raise Mistake("no request in this traffic was scored")
    _, found = cohort(owners, options)
    if not found:
        raise nobody(options.rule, sum(1 for _ in owners.active()))
    made = []
    for card in calibration.cards:
        if owners.digests.get(card.id) != card.digest:
            hint = "judge by the policy that it was made for (`--policy`), or calibrate anew"
            raise Mistake(f"the calibration was made with another version of the card {card.id}", hint=hint)
        level = card.level
        if not level.supported or level.threshold_db is None:
            raise Mistake(f"the calibration has no level for the card {card.id}: {level.why}")
        threshold = level.threshold_db
        above = [owner for owner in found if owners.highest(owner, card.id) >= threshold - 0.005]
        above.sort(key=lambda owner: (-owners.highest(owner, card.id), owner.name))
        n, k = len(found), len(above)
        least = binomial.lower(k, n)
        made.append(
            Drifted(
                card=card.id,
                threshold_db=threshold,
                alpha=level.alpha,
                owners=n,
                above=k,
                share=k / n,
                lower95=least,
                upper95=binomial.upper(k, n),
                drifted=least > level.alpha,
                highest=tuple(suspect(owners, owner, card.id, options) for owner in above[:SHOWN]),
            )
        )
    return made
