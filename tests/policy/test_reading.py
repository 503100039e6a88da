"""What a policy reads, in one function: each name's own getter says the same, and the record holds what is there."""

from collections.abc import Callable
from typing import Any

import pytest

from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.policy.conditions.compiler import Slots
from gateway.policy.facts import FACTS, Inputs, score_names
from gateway.policy.reading import values_of
from gateway.signals import Ended, Slab
from tests.rig import policy_of
from tests.signals.traces import SECOND, T0, ask

NAMES = {name: row[0] for name, row in FACTS.items()} | score_names(["x"])
CALLER = Caller("a1", "k1", created=1_700_000_000, known=True)


def grown(requests: int) -> Slab:
    """An account's counts after some requests, and what came of them."""
    row = b""
    for at in range(requests):
        seen = ask(at % 7, marks=("one_shot", "elicits", "logprobs")[at % 3 :])
        row = PANEL.pack(PANEL.asked(row, seen, CALLER, T0 + 37 * at * SECOND))
        row = PANEL.pack(PANEL.ended(row, seen, Ended(True, False, 200, 90, 333 + at), T0 + (37 * at + 5) * SECOND))
    return PANEL.read(row)


@pytest.mark.parametrize("requests", [0, 1, 40])
@pytest.mark.parametrize("pick", [lambda names: names, lambda names: names[::3], lambda names: names[:1]])
def test_every_name_reads_as_its_getter_does(requests: int, pick: Callable[[list[str]], list[str]]) -> None:
    slots = Slots(NAMES)
    for name in pick(sorted(NAMES)):
        slots.of(name)
    seen = ask(3)
    inputs = Inputs(CALLER, seen, "free", T0 + 1500 * SECOND, T0, grown(requests), (), 12, 1000)
    found = dict(zip(slots.names, values_of(slots, NAMES, FACTS)(inputs), strict=True))
    for name, value in found.items():
        expected: Any = FACTS[name][1](inputs) if name in FACTS else None
        if NAMES[name].level == "reading" and expected is not None:
            expected = round(expected, 3)
        assert value == expected and type(value) in (type(expected), float), name
    assert requests == 0 or found.get("week.requests", 1) != 0


def test_the_record_holds_what_is_there_in_the_order_of_the_policy() -> None:
    """Two of these are missing where nothing was asked, and come where they stood."""
    text = (
        "gauger: 1\npolicy: {id: p}\nrules:\n  - {id: r, then: {tag: [t]}, when: greedy_share > 1% or "
        "hour.requests > 5 or elicitation_share > 1% or day.requests > 5}\n"
    )
    engine = policy_of(text).engine
    names = ("greedy_share", "hour.requests", "elicitation_share", "day.requests")
    for requests, told, hour in (
        (0, names[1::2], 0.0),
        (1, names, 0.984),
    ):  # five seconds of it have passed, and one step of 57 in which it decays
        values = engine.values(Inputs(CALLER, ask(3), "", T0, T0, grown(requests)))
        readings = engine.readings(values)
        assert tuple(readings) == told
        assert readings["hour.requests"] == hour
