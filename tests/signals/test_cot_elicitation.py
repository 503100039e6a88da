"""Whoever wants the thinking itself is told from a tutor's pupil who wants an explanation."""

from math import log

import pytest

from gateway.signals import WEEK
from gateway.signals.cot_elicitation import CotElicitation
from tests.signals.traces import SECOND, Account, alone, ask, batch, mark
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
