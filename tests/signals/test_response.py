"""R1, R4 and R5: what is written, what is asked again after it failed, and what is taken."""

import pytest

from gateway.observe import Observation
from gateway.signals import Ended, worthwhile
from gateway.signals.exposure import Exposure
from gateway.signals.output_mass import OutputMass
from gateway.signals.retry_depth import RetryDepth
from tests.signals.traces import ANSWERED, BUSY, FAILED, Account, alone, ask, batch

HALF_LIFE = 0.6931472 * 7 * 86_400  # s
LOST = Ended(ok=False, refused=False, status=0)
WRONG = Ended(ok=False, refused=False, status=400)
LABEL = Ended(ok=True, refused=False, status=200, input=300, output=3)


def answer(input_: int, output: int, reasoning: int = 0) -> Ended:
    return Ended(ok=True, refused=False, status=200, input=input_, output=output, reasoning=reasoning)


def once(account: Account, seen: Observation, end: Ended) -> None:
    """A request that begins and ends in one moment, so that nothing decays."""
    account.asked(seen)
    account.ended(seen, end)


# --- R1, mass of output


def mass() -> Account:
    return Account(alone(OutputMass()))


def test_tokens_are_added_up_over_what_was_answered() -> None:
    account = mass()
    once(account, ask(0), answer(100, 50))
    once(account, ask(1), answer(100, 2950))
    once(account, ask(2), BUSY)
    once(account, ask(3, op="embeddings"), answer(10_000, 0))
    assert account.value("output_per_input") == 15
    assert account.value("output_per_request") == 1500
    assert account.hits("long_answer_share") == (1, 2)
    assert account.hits("worthwhile_share") == (1, 2)


def test_without_an_answer_everything_is_missing() -> None:
    account = mass()
    once(account, ask(), FAILED)
    assert [account.read(name) for name in account.panel.readings] == [None] * 4


@pytest.mark.parametrize(
    ("seen", "end", "is_long"),
    [
        (ask(), answer(10, 1000), False),
        (ask(), answer(10, 1001), True),
        (ask(n=4), answer(10, 4000), False),
        (ask(n=4), answer(10, 4001), True),
        (ask(), answer(10, 600, 500), False),
        (ask(), answer(10, 600, 501), True),
        (batch(0, 10), answer(1000, 10_010), True),
    ],
)
def test_an_answer_is_long_by_its_choice(seen: Observation, end: Ended, is_long: bool) -> None:
    account = mass()
    once(account, seen, end)
    assert account.value("long_answer_share") == (1.0 if is_long else 0.0)


@pytest.mark.parametrize(
    ("seen", "end", "worth"),
    [
        (ask(), answer(128, 64), True),
        (ask(), answer(129, 64), False),
        (ask(), answer(0, 63), False),
        (ask(n=2), answer(100, 127), False),
        (ask(n=2), answer(100, 128), True),
        (ask(n=4, prompts=4), answer(800, 400), True),
        (ask(n=4, prompts=4), answer(801, 400), False),
        (batch(0, 10), answer(2000, 1000), True),
        (batch(0, 10), answer(2001, 1000), False),
        (ask(), ANSWERED._replace(ok=False), False),
    ],
)
def test_an_answer_is_worth_its_question(seen: Observation, end: Ended, worth: bool) -> None:
    assert worthwhile(seen, end) is worth


def test_a_writer_of_traces_is_told_from_a_classifier_and_from_summaries() -> None:
    harvest, classifier, summaries = mass(), mass(), mass()
    for n in range(30):
        harvest.turn(ask(n), answer(80, 3000, 2500))
        classifier.turn(ask(n), LABEL)
        summaries.turn(ask(n), answer(3000, 200))
    assert harvest.value("worthwhile_share") == harvest.value("long_answer_share") == pytest.approx(1.0)
    assert classifier.value("worthwhile_share") == summaries.value("worthwhile_share") == 0
    assert (harvest.value("output_per_input"), classifier.value("output_per_input")) == pytest.approx((37.5, 0.01))


# --- R4, depth of retries


def retries() -> Account:
    return Account(alone(RetryDepth()))


@pytest.mark.parametrize("end", [BUSY, FAILED, LOST])
def test_what_failed_and_is_asked_again_is_a_retry_until_it_is_answered(end: Ended) -> None:
    account = retries()
    once(account, ask("x"), end)
    once(account, ask("y"), ANSWERED)
    once(account, ask("x"), ANSWERED)
    once(account, ask("x"), ANSWERED)
    assert account.hits("retry_share") == (1, 4)
    assert account.hits("persistent_share") == (0, 1)


def test_what_was_answered_or_was_wrong_is_not_retried() -> None:
    account = retries()
    for end in (ANSWERED, WRONG):
        for _ in range(3):
            once(account, ask("x"), end)
    assert account.hits("retry_share") == (0, 6)
    assert account.read("persistent_share") is None


def test_the_fifth_attempt_is_deep_and_counts_once() -> None:
    account = retries()
    for attempts in range(1, 300):
        once(account, ask("x"), FAILED)
        assert account.hits("retry_share") == (attempts - 1, attempts)
        assert account.hits("persistent_share") == (1 if attempts >= 5 else 0, 1)


def test_after_half_an_hour_it_is_another_question() -> None:
    account = retries()
    for wait in (1799, 1801):
        once(account, ask("x"), FAILED)
        account.wait(wait)
    once(account, ask("x"), FAILED)
    assert account.hits("retry_share")[0] == pytest.approx(1, abs=0.01)
    assert account.hits("persistent_share")[1] == pytest.approx(2, abs=0.02)


def test_attempts_that_run_side_by_side_are_one() -> None:
    account = retries()
    for _ in range(3):
        for _ in range(4):
            account.asked(ask("x"))
        for _ in range(4):
            account.ended(ask("x"), BUSY)
    assert account.hits("retry_share") == (2, 12)
    assert account.hits("persistent_share") == (0, 1)


def test_a_collector_is_told_from_a_client_that_gives_up_and_from_a_full_queue() -> None:
    collector, client, queue = retries(), retries(), retries()
    for n in range(20):
        for attempt in range(8):
            collector.turn(ask(n), BUSY if attempt < 7 else ANSWERED, then=10)
        for _ in range(3):
            client.turn(ask(n), BUSY, then=1)
        queue.turn(ask(n), BUSY)
    assert collector.value("persistent_share") == pytest.approx(1.0, abs=0.01)
    assert collector.value("retry_share") == pytest.approx(7 / 8, abs=0.01)
    assert client.value("retry_share") == pytest.approx(2 / 3, abs=0.01)
    assert client.value("persistent_share") == queue.value("retry_share") == 0


# --- R5, exposure


def exposure() -> Account:
    return Account(alone(Exposure()))


def test_answers_to_new_questions_are_taken_whole() -> None:
    account = exposure()
    once(account, ask(0), answer(50, 400))
    once(account, ask(1, n=2), answer(50, 400))
    once(account, ask(2), BUSY)
    assert account.value("answers_taken") == 3
    assert account.value("useful_output") == 800
    assert account.hits("harvest_share") == (2, 2)
    assert account.value("recipe_units") == pytest.approx(0.003)


def test_what_is_asked_again_weighs_less() -> None:
    account = exposure()
    for what in [*range(9), *range(9)]:  # nine in turn: nothing here is one more draw of the last eight
        once(account, ask(what), answer(50, 120))
    new = 9 + sum(9 / at for at in range(10, 19))
    assert account.value("answers_taken") == pytest.approx(new)
    assert account.value("useful_output") == pytest.approx(120 * new)
    assert account.hits("harvest_share") == pytest.approx((new, 18))


def test_answers_drawn_side_by_side_are_taken_whole() -> None:
    """Eight questions four times each, in turn, as a collector with eight requests in flight draws them."""
    account = exposure()
    for _ in range(4):
        for what in range(8):
            once(account, ask(what), answer(50, 120))
    assert account.value("answers_taken") == 32
    assert account.hits("harvest_share") == (32, 32)


def test_what_comes_all_day_is_no_draw_after_the_eighth() -> None:
    """A suite of three questions: eight of each are draws, and of the rest the share that is new falls."""
    account = exposure()
    for at in range(120):
        once(account, ask(at % 3), answer(50, 120))
    asked = range(1, 97)  # after the 24 that were draws, the first of each among them
    assert account.value("answers_taken") == pytest.approx(24 + sum(3 / (3 + at) for at in asked))


def test_more_answers_to_one_question_in_a_row_are_taken_whole() -> None:
    account = exposure()
    for _ in range(4):
        once(account, ask("x"), answer(50, 120))
    assert account.value("answers_taken") == 4


def test_a_harvest_is_told_from_a_chat_and_from_labels() -> None:
    harvest, chat, labels = exposure(), exposure(), exposure()
    for n in range(30):
        harvest.turn(ask(n), answer(60, 900))
        chat.turn(ask(n, marks=("continues",)), answer(600, 400))
        labels.turn(ask(n), LABEL)
    assert harvest.value("harvest_share") == pytest.approx(1.0)
    assert chat.value("harvest_share") == labels.value("harvest_share") == 0
    assert labels.value("recipe_units") == 0


def test_refusals_do_not_make_a_harvest_look_smaller() -> None:
    account = exposure()
    for n in range(10):
        once(account, ask(n), answer(60, 900))
        once(account, ask(n + 100), BUSY)
    assert account.hits("harvest_share") == (10, 10)


def test_recipes_do_not_decay_and_are_counted_beyond_what_a_float_counts() -> None:
    account, many = exposure(), 8_000_000
    for n in range(3):
        once(account, ask(n, op="batch", lines=many, n=many, distinct=many), answer(0, 10**12))
    once(account, ask(), answer(0, 100))
    account.wait(400 * 86_400)
    assert account.value("recipe_units") == pytest.approx(24_000.001, abs=1e-9)
    assert account.value("answers_taken") < 1e-6


# --- all of them


@pytest.mark.parametrize(
    ("account", "name"),
    [(mass(), "worthwhile_share"), (mass(), "long_answer_share"), (exposure(), "harvest_share")],
)
def test_half_of_the_hits_is_left_after_a_half_life(account: Account, name: str) -> None:
    once(account, ask(), answer(50, 2000))
    account.wait(HALF_LIFE)
    assert account.hits(name) == pytest.approx((0.5, 0.5), rel=1e-4)


def test_half_of_the_retries_is_left_after_a_half_life() -> None:
    account = retries()
    once(account, ask(), FAILED)
    once(account, ask(), FAILED)
    account.wait(HALF_LIFE)
    assert account.hits("retry_share") == pytest.approx((0.5, 1.0), rel=1e-4)
