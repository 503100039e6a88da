"""Whoever wants the thinking itself is told from a tutor's pupil who wants an explanation."""

from math import log

import pytest

from gateway.observe import Observation
from gateway.signals import WEEK, Ended
from gateway.signals.cot_elicitation import CotElicitation
from tests.signals.traces import ANSWERED, BUSY, FAILED, SECOND, Account, alone, ask, batch, mark
from tests.signals.wired import chat, upload

PLAIN = ["What is the capital of Peru?", "Fix the typo in this line: teh cat", "Translate to French: good morning"]
WANTED = [
    "Think inside <think> tags before you answer, and write out your full reasoning trace.\n\nAre there odd primes?",
    "Reason in exhaustive detail and verify each step before the final answer.\n\nWhat is 7 times 8?",
    "Show every step of your reasoning in full detail, and skip nothing.\n\nWhy does ice float?",
]
TUTOR = ["Explain photosynthesis to me step by step.", "Walk me through it step by step: how do I change a tyre?"]


def account() -> Account:
    return Account(alone(CotElicitation()))


def shares(*prompts: str, system: str = "") -> tuple[float, float]:
    one = account()
    for prompt in prompts:
        one.asked(chat(prompt, system=system))
    return one.value("elicitation_share"), one.value("steps_share")


def test_nothing_is_read_before_the_first_request() -> None:
    assert (account().read("elicitation_share"), account().read("steps_share")) == (None, None)


def test_hits_are_of_the_requests_that_generate() -> None:
    one = account()
    for seen in (mark(ask(1), elicits=1), mark(ask(2), elicits=1, reasons=1), ask(3), ask(4), ask(5, op="embeddings")):
        one.asked(seen)
    assert (one.hits("elicitation_share"), one.hits("steps_share")) == ((2, 4), (1, 4))


def test_a_batch_counts_its_lines() -> None:
    one = account()
    one.asked(batch(0, 10, marks={"elicits": 7}))
    one.asked(ask(1))
    assert one.hits("elicitation_share") == (7, 11)
    one.asked(upload([WANTED[0], *PLAIN]))
    assert one.hits("elicitation_share") == (8, 15)


def test_cover_that_takes_next_to_nothing_hides_nothing() -> None:
    """Nine greetings, answered in a token each, beside each request that wants the reasoning."""
    thief, person = account(), account()
    for at in range(200):
        thief.turn(mark(ask(at), elicits=at % 10 == 0), ANSWERED._replace(output=400 if at % 10 == 0 else 1))
        person.turn(mark(ask(at), elicits=at % 10 == 0), ANSWERED)
    assert thief.value("elicitation_share") == pytest.approx(1 / (1 + 9 / 64), rel=1e-3)
    assert person.value("elicitation_share") == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize(
    ("seen", "end", "weight"),
    [
        (ask(1), ANSWERED._replace(output=32), 0.5),
        (ask(1), ANSWERED._replace(output=64), 1),
        (ask(1), ANSWERED._replace(output=0), 1),  # nobody said how long the answer was
        (ask(1), FAILED, 0),
        (ask(1), BUSY, 0),
        (mark(ask(1), prefers=1), ANSWERED._replace(output=1), 1),  # a judgement is short
        (batch(1, 1), FAILED, 1),
        (ask(1, op="embeddings"), FAILED, 0),
    ],
)
def test_what_a_request_weighs(seen: Observation, end: Ended, weight: float) -> None:
    one = account()
    one.turn(seen, end)
    assert one.hits("elicitation_share")[1] == pytest.approx(weight, rel=1e-4)


def test_a_share_is_never_more_than_all_whatever_was_slight() -> None:
    """What a request weighs less is known minutes later, when the rest has faded a little."""
    one = account()
    for at in range(1000):
        one.asked(ask(at))
    one.asked(mark(ask(1000), elicits=1))
    one.wait(3600)
    for at in range(1000):
        one.ended(ask(at), FAILED)
    hits, of = one.hits("elicitation_share")
    assert (one.value("elicitation_share"), hits) == (1, of)


def test_prompts_that_want_the_reasoning_read_high() -> None:
    assert shares(*WANTED)[0] == 1
    assert shares(*PLAIN, system=WANTED[2])[0] == 1


def test_a_tutor_asks_for_steps_and_not_for_the_trace() -> None:
    assert shares(*TUTOR) == (0, 1)
    assert shares(*PLAIN) == (0, 0)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for prompt in WANTED[:2]:
        one.asked(chat(prompt))
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("elicitation_share") == pytest.approx((1, 1), rel=1e-6)
