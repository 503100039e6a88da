"""What an answer would have used, had something else been done to its request."""

import pytest

from gateway.actions import Effects
from gateway.decide import Facts, Verdict
from gateway.identity import Caller
from gateway.ledger.record import Opened
from gateway.ledger.steps import Steps, instead
from gateway.observe import Observation
from gateway.usage import Usage
from tests.ledger.ledgers import fresh

FREE = Verdict()
ONE, TWO = (Verdict(effects=Effects(clamp={"n": (4, most)})) for most in (1, 2))


@pytest.mark.parametrize(
    ("done", "says", "output", "reasoning"),
    [(FREE, FREE, 801, 40), (FREE, ONE, 200, 10), (FREE, TWO, 400, 20), (TWO, ONE, 400, 20), (ONE, FREE, 3204, 160)],
)
def test_choices_that_a_clamp_takes_or_leaves(done: Verdict, says: Verdict, output: int, reasoning: int) -> None:
    """Four choices of each of two prompts: eight in all."""
    facts = Facts(Caller("a1", "k1"), Observation(op="text_completion", n=8, prompts=2))
    used = instead(Usage(90, 801, reasoning=40, source="upstream"), facts, done, says)
    assert used == Usage(90, output, reasoning=reasoning, source="upstream")


def test_a_silence_of_ages_is_not_bridged_step_by_step() -> None:
    """A row of the year 148,000 had a replay renew leases for ever."""
    steps = Steps(*fresh(Opened(0, 0, "")))
    drawn = steps.draw("r", Verdict(), 1)
    assert drawn is not None
    assert drawn.ok
    steps.keep(60_000_000)
    steps.keep(2**62)
    steps.keep(2**62 + 1)
