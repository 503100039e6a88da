"""Single questions, and what is none: conversations, tools, images, an end user, an empty request."""

from math import log
from typing import Any

import pytest

from gateway.observe import Observation
from gateway.signals import WEEK
from gateway.signals.context_independence import ContextIndependence
from tests.signals.traces import SECOND, Account, alone, ask, batch
from tests.signals.wired import chat, talk, upload

NAMES = ("one_shot_share", "conversation_share", "tool_share", "named_share", "streamed_share", "empty_share")
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
PICTURE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]


def read(*seen: Observation) -> dict[str, float]:
    """The shares that aren't 0."""
    one = Account(alone(ContextIndependence()))
    for each in seen:
        one.asked(each)
    return {name: value for name in NAMES if (value := one.value(name))}


def test_nothing_is_read_before_the_first_request() -> None:
    one = Account(alone(ContextIndependence()))
    assert [one.read(name) for name in NAMES] == [None] * len(NAMES)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (chat("Why is the sky blue?"), {"one_shot_share"}),
        (chat("Why is the sky blue?", system="You are brief."), {"one_shot_share"}),
        (talk("Why is the sky blue?", "It scatters.", "Why?"), {"conversation_share"}),
        (talk("Why is the sky blue?", "It"), {"one_shot_share"}),  # the answer's beginning, given by the caller
        (talk("Hi", "Hello", "Look it up", tools=TOOLS), {"conversation_share"}),
        (chat("Look it up", tools=TOOLS), {"tool_share"}),
        (chat("Why?", user="anna"), {"one_shot_share", "named_share"}),
        (chat("Why?", stream=True), {"one_shot_share", "streamed_share"}),
        (chat(" \n\t"), {"empty_share"}),
        (chat("", system="You are brief."), {"empty_share"}),
        (talk(), {"empty_share"}),
    ],
)
def test_each_kind_of_request_counts_as_what_it_is(seen: Observation, found: set[str]) -> None:
    assert read(seen) == dict.fromkeys(found, 1)


def test_what_comes_with_a_picture_does_not_stand_alone() -> None:
    picture: Any = PICTURE
    assert read(chat(picture)) == {}


def test_shares_are_of_the_requests_that_generate() -> None:
    found = read(*[chat("Why?")] * 3, talk("Why?", "So.", "Why so?"), ask(1, op="embeddings"))
    assert found == {"one_shot_share": 3 / 4, "conversation_share": 1 / 4}


def test_a_batch_counts_its_lines() -> None:
    assert read(batch(0, 30, marks={"one_shot": 20, "works": 10}), chat("Why?")) == pytest.approx(
        {"one_shot_share": 21 / 31, "tool_share": 10 / 31}
    )
    assert read(upload(["Why?"] * 7), talk("Why?", "So.", "Why so?")) == pytest.approx(
        {"one_shot_share": 7 / 8, "conversation_share": 1 / 8}
    )


def test_of_histories_that_can_be_looked_up_those_that_were_served_here_count() -> None:
    """A made-up history has an answer that was never given; a short one is everybody's."""
    answer = "The blue of the sky is light that the air has scattered."
    one = Account(alone(ContextIndependence()))
    assert one.read("served_history_share") is None
    for at in range(4):
        seen = talk("Why is the sky blue?", answer, f"Are there more? {'x' * at}")
        one.row = one.panel.pack(one.panel.asked(one.row, seen, one.who, one.now, continued=at > 0))
    one.asked(talk("Why?", "So.", "Why so?"))
    assert one.hits("served_history_share") == (3, 4)


def test_a_harvest_reads_high_and_conversations_read_low() -> None:
    """Batch work reads as a harvest does, says the card; a chat with its history doesn't."""
    history = ["Why is the sky blue?"]
    chats = [chat(history[0])]
    for at in range(9):
        history += [f"Because of reason {at}.", f"And why {at}?"]
        chats.append(talk(*history))
    assert read(*chats) == pytest.approx({"one_shot_share": 1 / 10, "conversation_share": 9 / 10})
    assert read(*[chat(f"Problem {'x' * at}") for at in range(10)]) == {"one_shot_share": 1}


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = Account(alone(ContextIndependence()))
    for seen in [chat("Why?")] * 3 + [talk("Why?", "So.", "Why so?")]:
        one.asked(seen)
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("one_shot_share") == pytest.approx((1.5, 2), rel=1e-6)
    assert one.value("one_shot_share") == pytest.approx(3 / 4)
