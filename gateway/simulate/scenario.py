"""Pure. Scenarios: by name, or out of a YAML file."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from gateway.documents import did_you_mean, parse, shown
from gateway.errors import Mistake
from gateway.simulate.benign import CONTROLS
from gateway.simulate.knobs import PRESETS, Hydra, hydra_of
from gateway.simulate.world import Scenario

__all__ = ["BOUNDS", "SCENARIOS", "Written", "controls_of", "written"]

BOUNDS: Mapping[str, tuple[float, float]] = {"days": (0.01, 366), "benign": (0, 100_000), "seed": (0, 2**53)}
MOST = 100  # campaigns

SCENARIOS: Mapping[str, Scenario] = {
    "mixed": Scenario(hydras=(PRESETS["hydra-40"],)),
    "quiet": Scenario(),
    "controls": Scenario(days=4, controls=("viral", "enterprise", "course", "franchise")),
    "hydras": Scenario(
        days=3,
        benign=500,
        hydras=tuple(
            msgspec.structs.replace(PRESETS[name], id=name)
            for name in ("hydra-20", "hydra-40", "slow", "paraphrased", "covered", "popular-client", "rotating")
        ),
        controls=("viral", "enterprise", "course", "franchise"),
    ),
    "large": Scenario(benign=1_000, hydras=(PRESETS["hydra-2000"],)),
}
"""Scenarios by name; the first is the default."""


class Written(NamedTuple):
    """What a scenario's file says: the scenario, and the file of prompts that it names, as written."""

    scenario: Scenario
    prompts: str | None = None


def controls_of(names: Iterable[str], place: str = "--control") -> tuple[str, ...]:
    """The controls of these names, each once. Raises Mistake for one that is unknown."""
    found: dict[str, None] = {}
    for name in names:
        if name not in CONTROLS:
            hint = did_you_mean(name, CONTROLS) or f"known: {', '.join(CONTROLS)}"
            raise Mistake(f"there is no control {shown(name)}", place=place, hint=hint)
        found[name] = None
    return tuple(found)


def written(text: bytes, source: str) -> Written:
    """The scenario in a YAML file's text. Raises Mistake, or DocumentErrors for what is no YAML."""
    data = parse(text, source).data
    if not isinstance(data, dict):
        raise Mistake("a scenario is a mapping", place=source, hint="as in `benign: 200`, a line each")
    known = ("seed", "days", "benign", "hydras", "controls", "prompts")
    for name in data:
        if name not in known:
            hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
            raise Mistake(f"unknown key {shown(name)}", place=source, hint=hint)
    changes: dict[str, Any] = {}
    for name, (low, high) in BOUNDS.items():
        if name in data:
            value = data[name]
            fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
            if not fits or (name != "days" and not isinstance(value, int)):
                hint = f"a number from {low:,} to {high:,}"
                raise Mistake(f"`{name}` can't be {shown(value)}", place=source, hint=hint)
            changes[name] = value
    hydras = [_hydra(each, f"{source}: hydras[{at}]") for at, each in enumerate(_list(data, "hydras", source))]
    if len(hydras) > MOST:
        raise Mistake(f"more than {MOST} campaigns", place=source)
    changes["hydras"] = tuple(hydras)
    names = [str(each) for each in _list(data, "controls", source)]
    changes["controls"] = controls_of(names, f"{source}: controls")
    prompts = data.get("prompts")
    if prompts is not None and not isinstance(prompts, str):
        raise Mistake("`prompts` must be a file's name", place=source)
    return Written(Scenario(**changes), prompts)


def _hydra(given: object, place: str) -> Hydra:
    if isinstance(given, str):
        return hydra_of({"preset": given}, place)
    if not isinstance(given, dict):
        raise Mistake("a campaign is a mapping of knobs, or a preset's name", place=place)
    return hydra_of(given, place)


def _list(data: Mapping[str, Any], name: str, source: str) -> list[Any]:
    value = data.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Mistake(f"`{name}` must be a list", place=source)
    return value
