"""Pure. What may be read of a campaign, by the names that conditions and scorecards know."""

from typing import NamedTuple

from gateway.campaigns import Campaign
from gateway.campaigns.bonds import BONDS
from gateway.campaigns.pool import NUMBERS, SHARES
from gateway.gauges import PANEL
from gateway.signals import Unit

__all__ = ["NAMES", "Known", "read"]


class Known(NamedTuple):
    """A number of a campaign. `pooled`: the reading of an account, over all members."""

    doc: str
    unit: Unit = ""
    pooled: bool = False


def _names() -> dict[str, Known]:
    found = {
        "members": Known("accounts that follow the recipe"),
        "owners": Known("of these, organisations, or accounts without one"),
        "age": Known("time since the recipe was first seen here", "duration"),
    }
    for bond in BONDS.values():
        for gauge in bond.gauges:
            found[gauge.name] = Known(gauge.doc, gauge.unit)
            if gauge.share:
                found[f"{gauge.name}.hits"] = Known("how many of them did")
                found[f"{gauge.name}.of"] = Known("the members that it is a share of")
    for name in (*NUMBERS, *SHARES, "template_share"):
        found[name] = Known(f"`{name}` of all members together", PANEL.readings[name].unit, True)
    for name in SHARES:
        found[f"{name}.hits"] = Known("how many of them did", "requests", True)
        found[f"{name}.of"] = Known("the requests that it is a share of", "requests", True)
    return found


NAMES: dict[str, Known] = _names()
"""Name, without `campaign.` before it -> what it says."""

_SHARES = frozenset((*SHARES, *[gauge.name for bond in BONDS.values() for gauge in bond.gauges if gauge.share]))
_DEFAULTS = {f"{name}.hits" for name in SHARES}


def read(campaign: Campaign | None, name: str, now: int) -> float | None:
    """A reading of a campaign; None = nothing known. `now` in µs."""
    if campaign is None:
        return None
    if name == "members":
        return campaign.members
    if name == "owners":
        return campaign.owners
    if name == "age":
        return max(0, now - campaign.since) / 1_000_000
    readings = campaign.readings
    found = readings.get(name)
    if found is not None:
        return found
    if name in _SHARES:
        hits, of = read(campaign, f"{name}.hits", now), read(campaign, f"{name}.of", now)
        return round(hits / of, 3) if hits is not None and of else None
    if name in _DEFAULTS:
        return 0.0 if "week.requests" in readings else None
    if name.removesuffix(".of") in SHARES and name.endswith(".of"):
        return readings.get("week.requests")
    return None
