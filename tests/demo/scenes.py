"""Request lines as the gateway writes them, as far as the demo reads them, and scenes made of them."""

from pathlib import Path
from typing import Any

from gateway.demo.frame import Scene
from gateway.demo.plan import GROUPS, HYDRA, Plan
from gateway.demo.tally import Tally
from gateway.files import resolver
from gateway.policy.loader import load
from gateway.policy.model import Policy

DAY = "2026-03-01"
LINES = {"elicits": 13.0, "steps": 6.0, "shared-recipe": 11.7, "one-pool": 9.0, "output-gain": 5.0}


def policy() -> Policy:
    """The pack that the demo enforces."""
    text = b"gauger: 1\npolicy: {id: demo}\nuse: [packs/extraction-enforce.yaml]\n"
    return load(text, "demo.yaml", resolver(Path()))


def line(account: str, action: str = "allow", status: int = 200, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ts": f"{DAY}T09:30:00.000000Z",
        "request_id": f"{account} {action}",
        "account": {"id": account},
        "action": action,
        "http": {"status": status},
    }
    return {**made, **more}


def linked(
    name: str = "campaign-1", members: int = 4, score: float | None = 1.5, lines: dict[str, float] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {"id": name, "members": members, "owners": members}
    if score is not None:
        made["score"] = {"extraction": score}
        made["evidence"] = {"extraction": lines or LINES}
    return made


def tally_of(heads: int = 40, customers: int = 3) -> Tally:
    """Nobody has asked yet: heads h0, h1 …, and c0, c1 … of each group of customers."""
    groups = {f"{name} {at}": name for name in GROUPS for at in range(customers)}
    return Tally({**groups, **{f"h{at}": HYDRA for at in range(heads)}}, policy())


def recognised(heads: int = 40) -> Tally:
    """Customers were served, and most heads linked and slowed."""
    tally = tally_of(heads)
    tally.take(line(f"{name} 0") for name in GROUPS)
    tally.take(line(f"h{at}") for at in range(heads))
    tally.take(line(f"h{at}", "tag", effects={"tags": ["extraction-watch"]}) for at in range(heads))
    tally.take(line(f"h{at}", "throttle", campaign=linked(members=heads)) for at in range(1, heads))
    tally.take(line(f"h{at}", "limit", 429, campaign=linked(members=heads)) for at in range(2, heads))
    return tally


def scene(tally: Tally, **more: Any) -> Scene:
    plan = Plan(heads=len(tally.heads))
    return Scene(plan, tally, DAY, **{"passed": 100_000.0, "url": "http://127.0.0.1:65535", **more})
