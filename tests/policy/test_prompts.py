"""Choices of several prompts: what is clamped is a prompt's, what is reserved is all of them."""

from gateway.decide import AccountState, Facts, judge
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Observation
from tests.rig import policy_of

NOW = 1_800_000_000_000_000
POLICY = policy_of("""
gauger: 1
limits: [{id: out, by: [account], count: tokens.output, rate: 100k tokens/min}]
rules: [{id: few, when: req.n > 1, then: {clamp: {n: 2}}}]
""")


def test_ten_prompts_of_one_choice_are_within_a_clamp_of_two() -> None:
    seen = Observation(op="text_completion", n=10, prompts=10, chars=100)
    _, verdict = judge(POLICY, AccountState(), Facts(Caller("a"), seen), NOW)
    assert verdict.effects.clamp == {}
    assert verdict.draws[0].cost == 10_000


def test_ten_prompts_of_five_choices_become_ten_of_two() -> None:
    seen = Observation(op="text_completion", n=50, prompts=10, chars=100, marks={"choices": 1})
    state, verdict = judge(POLICY, AccountState(), Facts(Caller("a"), seen), NOW)
    assert verdict.effects.clamp == {"n": (5, 2)}
    assert verdict.draws[0].cost == 20_000
    hits = PANEL.readings["choices_share"].hits
    assert hits is not None
    assert hits(PANEL.unpack(state.signals)) == 1
