"""Answers compared, told from one answer graded."""

from math import log

import pytest

from gateway.signals import WEEK
from gateway.signals.preference_harvest import PreferenceHarvest
from tests.signals.traces import SECOND, Account, alone, ask, batch, mark
from tests.signals.wired import chat, upload

PLAIN = ["What is the capital of Peru?", "Fix the typo in this line: teh cat", "Translate to French: good morning"]
PAIRS = [
    "Compare response 1 and response 2, and say which one is better.\n\nResponse 1: it rains\n\nResponse 2: it pours",
    "[Start of Assistant A's answer]\nIt rains.\n[End]\n\n[Start of Assistant B's answer]\nIt pours.\n[End]\n\n"
    "Which one is better? End with [[A]] or [[B]].",
]
GRADED = ["Rate the following answer on a scale of 1 to 10.\n\nAnswer: It rains.", "Grade the answer from 1 to 5: rain"]


def account() -> Account:
    return Account(alone(PreferenceHarvest()))


def shares(*prompts: str) -> tuple[float, float]:
    one = account()
    for prompt in prompts:
        one.asked(chat(prompt))
    return one.value("preference_share"), one.value("grading_share")


def test_nothing_is_read_before_the_first_request() -> None:
    assert (account().read("preference_share"), account().read("grading_share")) == (None, None)


def test_hits_are_of_the_requests_that_generate() -> None:
    one = account()
    for seen in (mark(ask(1), prefers=1), mark(ask(2), grades=1), ask(3), mark(ask(4), grades=1), ask(5)):
        one.asked(seen)
    one.asked(mark(ask(6, op="embeddings"), prefers=1))
    assert (one.hits("preference_share"), one.hits("grading_share")) == ((1, 5), (2, 5))


def test_a_batch_counts_its_lines() -> None:
    one = account()
    one.asked(batch(0, 10, marks={"prefers": 7}))
    one.asked(upload([*PAIRS, *PLAIN]))
    assert one.hits("preference_share") == (9, 15)


def test_comparisons_read_high() -> None:
    assert shares(*PAIRS)[0] == 1


def test_a_team_that_grades_its_own_bot_compares_nothing() -> None:
    assert shares(*GRADED) == (0, 1)
    assert shares(*PLAIN) == (0, 0)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for prompt in PAIRS:
        one.asked(chat(prompt))
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("preference_share") == pytest.approx((1, 1), rel=1e-6)
