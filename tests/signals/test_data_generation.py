"""Prompts that make prompts, told from a quiz maker's."""

from math import log

import pytest

from gateway.signals import WEEK
from gateway.signals.data_generation import DataGeneration
from tests.signals.traces import SECOND, Account, alone, ask, batch, mark
from tests.signals.wired import chat, upload

PLAIN = ["What is the capital of Peru?", "Fix the typo in this line: teh cat", "Translate to French: good morning"]
MADE = [
    "Come up with a set of 20 diverse task instructions for a language model.",
    "#Given Prompt#:\nWrite a poem about rain\n#Rewritten Prompt#:",
    "Generate 10 question-answer pairs to fine-tune a language model on this text: rain falls.",
]
QUIZ = ["Write 5 trivia questions about rivers for a pub quiz.", "Write 12 trivia questions about jazz for a pub quiz."]


def account() -> Account:
    return Account(alone(DataGeneration()))


def shares(*prompts: str) -> tuple[float, float]:
    one = account()
    for prompt in prompts:
        one.asked(chat(prompt))
    return one.value("generation_share"), one.value("invention_share")


def test_nothing_is_read_before_the_first_request() -> None:
    assert (account().read("generation_share"), account().read("invention_share")) == (None, None)


def test_hits_are_of_the_requests_that_generate() -> None:
    one = account()
    for seen in (mark(ask(1), generates=1), mark(ask(2), invents=1), ask(3), mark(ask(4), invents=1), ask(5)):
        one.asked(seen)
    one.asked(mark(ask(6, op="embeddings"), generates=1))
    assert (one.hits("generation_share"), one.hits("invention_share")) == ((1, 5), (2, 5))


def test_a_batch_counts_its_lines() -> None:
    one = account()
    one.asked(batch(0, 10, marks={"generates": 7}))
    one.asked(upload([*MADE, *PLAIN]))
    assert one.hits("generation_share") == (10, 16)


def test_prompts_that_make_training_material_read_high() -> None:
    assert shares(*MADE)[0] == 1


def test_a_quiz_maker_invents_and_nothing_else() -> None:
    assert shares(*QUIZ) == (0, 1)
    assert shares(*PLAIN) == (0, 0)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for prompt in MADE[:2]:
        one.asked(chat(prompt))
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("generation_share") == pytest.approx((1, 1), rel=1e-6)
