"""Effects are merged on a lattice: order never matters, and more rules never do less."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import Effects
from gateway.observe import Observation
from gateway.policy.effects import STRENGTH, Part, clamped, merge, soften, strongest, united
from gateway.policy.model import Then

CHAT = Observation(op="chat", n=4, max_tokens=8000, temperature=0.7, logprobs=5)

thens = st.builds(
    Then,
    tags=st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
    clamp=st.dictionaries(st.sampled_from(["n", "max_tokens", "temperature"]), st.integers(1, 9000), max_size=2),
    limit=st.sampled_from(["", "x", "y"]),
    to=st.floats(0.01, 1),
    delay=st.integers(0, 30_000_000),
    block=st.sampled_from([0, 0, 403, 429]),
    code=st.sampled_from(["one", "two"]),
)


def parts_of(found: list[Then]) -> list[Part]:
    return [Part(f"r{at}", then, at % 3) for at, then in enumerate(found)]


def weaker(a: Effects, b: Effects) -> bool:
    """Whether `a` does no more than `b`."""
    return (
        set(a.tags) <= set(b.tags)
        and all(name in b.clamp and float(b.clamp[name][1] or 0) <= float(to or 0) for name, (_, to) in a.clamp.items())
        and all(b.throttle.get(name, 1.0) <= share for name, share in a.throttle.items())
        and a.delay <= b.delay
        and (not a.block or bool(b.block))
    )


@given(st.lists(thens, max_size=4))
def test_order_never_matters(found: list[Then]) -> None:
    parts = parts_of(found)
    assert len({repr(merge(list(order), CHAT)) for order in permutations(parts)}) == 1


@given(st.lists(thens, max_size=4), thens)
def test_one_more_rule_never_does_less(found: list[Then], more: Then) -> None:
    before = merge(parts_of(found), CHAT)
    after = merge([*parts_of(found), Part("z", more)], CHAT)
    assert weaker(before, after)
    assert STRENGTH[strongest(before)] <= STRENGTH[strongest(after)]


@given(thens, st.sampled_from(["allow", "tag", "clamp", "throttle"]))
def test_softened_effects_are_no_stronger_than_asked(then: Then, becomes: str) -> None:
    left = merge([Part("r", soften("r", then, becomes))], CHAT)
    assert STRENGTH[strongest(left)] <= STRENGTH[becomes]
    assert weaker(msgspec.structs.replace(left, tags=()), merge([Part("r", then)], CHAT))


def test_a_rule_that_is_softened_to_a_tag_leaves_its_id() -> None:
    assert soften("stop", Then(block=403, code="x", block_for=5), "tag") == Then(tags=("stop",))
    assert soften("stop", Then(tags=("own",), block=403), "tag") == Then(tags=("own",))
    assert soften("stop", Then(tags=("own",), block=403), "allow") == Then()


def test_the_hardest_block_is_that_of_the_highest_severity_then_the_first_id() -> None:
    def block(rule: str, severity: int, status: int) -> Part:
        return Part(rule, Then(block=status, code=rule), severity, until=severity)

    merged = merge([block("b", 1, 404), block("a", 1, 451), block("c", 0, 403)], CHAT)
    assert (merged.block, merged.code, merged.until) == (451, "a", 1)
    assert merge([block("b", 1, 404), block("z", 2, 429)], CHAT).code == "z"


@pytest.mark.parametrize(
    "bounds, seen, expected",
    [
        ({"n": 1}, {"n": 4}, {"n": (4, 1)}),
        ({"n": 4}, {"n": 4}, {}),
        ({"max_tokens": 2000}, {"max_tokens": None}, {"max_tokens": (None, 2000)}),
        ({"max_tokens": 2000}, {"max_tokens": 2001}, {"max_tokens": (2001, 2000)}),
        ({"max_tokens": 2000}, {"max_tokens": 12}, {}),
        ({"temperature": 0.5}, {"temperature": None}, {"temperature": (None, 0.5)}),
        ({"temperature": 1}, {"temperature": None}, {}),
        ({"temperature": 0.5}, {"temperature": 0.2}, {}),
        ({"logprobs": False}, {"logprobs": None}, {}),
        ({"logprobs": False}, {"logprobs": 0}, {"logprobs": (True, False)}),
        ({"logprobs": False, "top_logprobs": 2}, {"logprobs": 5}, {"logprobs": (True, False)}),
        ({"top_logprobs": 2}, {"logprobs": 5}, {"top_logprobs": (5, 2)}),
        ({"top_logprobs": 5}, {"logprobs": 5}, {}),
        ({"n": 1}, {"n": 4, "op": "batch"}, {}),
        ({"n": 1}, {"n": 4, "op": "embeddings"}, {}),
    ],
)
def test_a_clamp_names_only_what_it_changes(
    bounds: dict[str, Any], seen: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert clamped(bounds, Observation(**{"op": "chat", **seen})) == expected


def test_false_is_stricter_than_any_number() -> None:
    two = [Part("a", Then(clamp={"top_logprobs": 2})), Part("b", Then(clamp={"top_logprobs": False}))]
    assert merge(two, CHAT).clamp == {"top_logprobs": (5, 0)}


def test_nothing_is_nothing() -> None:
    assert merge([], CHAT) == Effects()
    assert strongest(Effects()) == "allow"
    assert united([Part("a", Then(tags=("y", "x"))), Part("b", Then(tags=("x",)))]) == ("x", "y")
