"""Items of public banks, and what their split says of the sweep."""

from math import log

import pytest

from gateway.banks import BANKS, HASHES, key
from gateway.observe.text import normal, pieces
from gateway.signals import WEEK
from gateway.signals.public_corpus import PublicCorpus
from tests.signals.traces import SECOND, Account, alone, ask, batch, mark
from tests.signals.wired import chat, upload

ITEM = "A mill grinds 12 sacks of oats on each working day, and the miller keeps one sack in ten for himself."
TRAIN = next(bank.id for bank in BANKS if bank.kind == "train")
SEED = next(bank.id for bank in BANKS if bank.kind == "seed")
TESTS = [bank.id for bank in BANKS if bank.kind == "test"]


def account() -> Account:
    return Account(alone(PublicCorpus()))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The bank that `ITEM` is listed under for now."""
    (piece,) = pieces(normal(ITEM))
    monkeypatch.setitem(HASHES, key(piece), request.param)
    return str(request.param)


def test_nothing_is_read_before_the_first_request_and_no_split_before_the_first_hit() -> None:
    one = account()
    assert one.read("bank_share") is None
    one.asked(ask(1))
    assert (one.read("bank_share"), one.read("bank_test_share")) == (0, None)


def test_hits_are_of_the_requests_that_generate_and_tests_of_the_hits() -> None:
    one = account()
    for seen in (mark(ask(1), banked=1), mark(ask(2), banked=1, tested=1), mark(ask(3), banked=1), ask(4), ask(5)):
        one.asked(seen)
    one.asked(mark(ask(6, op="embeddings"), banked=1, tested=1))
    assert (one.hits("bank_share"), one.hits("bank_test_share")) == ((3, 5), (1, 3))


@pytest.mark.parametrize("listed", [TRAIN, SEED], indirect=True)
def test_a_sweep_of_a_bank_reads_high(listed: str) -> None:
    one = account()
    for at in range(10):
        one.asked(chat(f"Solve this.\n\n{ITEM} How many are left after {at} days?"))
    assert (one.value("bank_share"), one.value("bank_test_share")) == (1, 0)


@pytest.mark.parametrize("listed", TESTS, indirect=True)
def test_an_evaluation_reads_as_one_whatever_its_name(listed: str) -> None:
    one = account()
    one.asked(chat(ITEM))
    assert (one.value("bank_share"), one.value("bank_test_share")) == (1, 1)


def test_other_questions_of_the_kind_read_low() -> None:
    one = account()
    one.asked(chat(ITEM))
    assert one.value("bank_share") == 0


@pytest.mark.parametrize("listed", [TRAIN], indirect=True)
def test_a_batch_counts_its_lines(listed: str) -> None:
    one = account()
    one.asked(batch(0, 10, marks={"banked": 7, "tested": 2}))
    one.asked(upload([ITEM, ITEM, "What is the capital of Peru?"]))
    assert one.hits("bank_share") == (9, 13)
    assert one.hits("bank_test_share") == (2, 9)


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for seen in (mark(ask(1), banked=1), mark(ask(2), banked=1), ask(3), ask(4)):
        one.asked(seen)
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("bank_share") == pytest.approx((1, 2), rel=1e-6)
