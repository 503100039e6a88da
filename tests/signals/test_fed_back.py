"""An answer comes back as a fresh prompt; an agent that goes on with it is something else."""

from math import log

import pytest

from gateway.signals import WEEK
from gateway.signals.fed_back import FedBack
from tests.signals.traces import SECOND, Account, alone, ask, batch
from tests.signals.wired import chat, talk


def account() -> Account:
    return Account(alone(FedBack()))


def test_nothing_is_read_before_the_first_request() -> None:
    assert account().read("fed_back_share") is None


def test_single_questions_about_what_was_served_count() -> None:
    one = account()
    for at in range(8):
        one.asked(ask(at), returned=at % 4)  # pieces; one in four has none
    assert one.hits("fed_back_share") == (6, 8)


def test_an_evolving_chain_reads_high_and_an_agent_that_pastes_output_low() -> None:
    chain, agent = account(), account()
    for at in range(10):
        chain.asked(chat(f"Make this harder: what is the {at}th prime?"), returned=1 if at else 0)
        agent.asked(talk("Write a test.", "assert True", "It fails with: assert True"), returned=1)
    assert chain.value("fed_back_share") == pytest.approx(9 / 10)
    assert agent.value("fed_back_share") == 0


def test_of_a_batch_as_large_a_share_of_its_questions_as_of_its_pieces() -> None:
    one = account()
    one.asked(batch(0, 40, marks={"one_shot": 30, "works": 10}), returned=2)  # of 4 pieces
    assert one.hits("fed_back_share") == (15, 40)


def test_what_does_not_generate_is_not_counted() -> None:
    one = account()
    one.asked(ask(1))
    one.asked(ask(2, op="embeddings"), returned=3)
    assert one.hits("fed_back_share") == (0, 1)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for at in range(4):
        one.asked(ask(at), returned=at % 2)
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("fed_back_share") == pytest.approx((1, 2), rel=1e-6)
