"""How fast new matter comes in: a swept pool stays new, passages recur, and a frame is no matter."""

from math import log
from random import Random

import pytest

from gateway.observe import Observation
from gateway.signals import WEEK
from gateway.signals.coverage_growth import CoverageGrowth
from tests.signals.traces import SECOND, Account, alone, ask, batch
from tests.signals.wired import chat, talk, upload
from tests.signals.wording import prose, sentence

DAYS = 86_400


def account() -> Account:
    return Account(alone(CoverageGrowth()))


def growth(seen: list[Observation], gap: float = 0) -> float:
    one = account()
    for each in seen:
        one.asked(each)
        one.wait(gap)
    return one.value("coverage_growth")


def retrieval(count: int) -> list[Observation]:
    """New questions to three of forty passages."""
    rng = Random(1)
    passages = [prose(rng, 3) for _ in range(40)]
    return [
        chat("Answer from the context.\n\n" + "\n\n".join(rng.sample(passages, 3)) + f"\n\nQuestion: {sentence(rng)}?")
        for _ in range(count)
    ]


def sweep(count: int) -> list[Observation]:
    """New problems in one frame."""
    rng = Random(2)
    frame = "Solve the problem below. Think about each step before you write the answer in a box.\n\n"
    return [chat(frame + prose(rng, 3)) for _ in range(count)]


def test_nothing_is_read_before_the_first_sentence() -> None:
    one = account()
    one.asked(ask(1, pieces=()))
    assert one.read("coverage_growth") is None


def test_a_sentence_that_came_before_is_not_new() -> None:
    """Ten questions, the first of them again: 1 of 11 requests brings nothing."""
    assert growth([ask(at) for at in range(10)]) == pytest.approx(1)
    assert growth([*(ask(at) for at in range(10)), ask(0)]) == pytest.approx(10 / 11)


def test_each_request_counts_once_however_many_sentences_it_has() -> None:
    """Four requests; the last has one new sentence and three of the first, one for each, each new then."""
    old = (ask(0).pieces[0], ask(1).pieces[0], ask(2).pieces[0])
    mixed = ask(3, pieces=(*old, 99 << 20))
    assert growth([ask(0), ask(1), ask(2), mixed]) == pytest.approx((3 + 1 / 4) / 4)


def test_what_stands_in_two_of_five_requests_is_a_frame_and_left_out() -> None:
    """1 + 9 halves of new sentences; the other halves, the frame's, are of no account."""
    framed = [ask(at, pieces=(5 << 30, ask(at).pieces[0])) for at in range(10)]
    assert growth(framed) == 1


def test_a_batch_counts_its_lines() -> None:
    one = account()
    one.asked(batch(0, 9))
    assert one.hits("coverage_growth") == pytest.approx((9, 9))
    one.asked(ask(100))
    assert one.hits("coverage_growth") == pytest.approx((10, 10))


def test_retrieval_reads_low_and_a_swept_bank_high() -> None:
    assert growth(retrieval(300), gap=60) < 0.4
    assert growth(sweep(300), gap=60) > 0.95
    assert growth([upload([f"{sentence(Random(at))}." for at in range(30)])]) == 1


def test_retrieval_stays_low_when_the_sketch_turns() -> None:
    assert growth(retrieval(600), gap=DAYS / 20) < 0.35


def test_frames_in_turn_hide_some_of_it_and_not_all() -> None:
    """Ten frames, each in one of ten requests, are no frames: their sentences recur, as decoys would."""
    rng = Random(3)
    frames = [f"{prose(rng, 1)}\n\n%s" for _ in range(10)]
    found = growth([chat(frames[at % 10] % prose(rng, 2)) for at in range(300)], gap=60)
    assert 0.4 < found < 0.9


def test_of_a_conversation_only_the_new_turn_counts() -> None:
    rng = Random(4)
    history = [sentence(rng)]
    seen = [talk(*history)]
    for _ in range(20):
        history += [sentence(rng), sentence(rng)]
        seen.append(talk(*history))
    assert growth(seen) == 1


def test_half_of_it_is_left_after_the_half_life() -> None:
    one = account()
    for seen in [*(ask(at) for at in range(10)), ask(0)]:
        one.asked(seen)
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("coverage_growth") == pytest.approx((5, 5.5), rel=1e-6)
