"""One frame with something changing in it, by hand and on the wire."""

from math import log
from random import Random

import pytest

from gateway.observe import Observation
from gateway.signals import WEEK
from gateway.signals.template_share import TemplateShare
from tests.signals.traces import SECOND, Account, alone, ask, batch, mark
from tests.signals.wired import chat
from tests.signals.wording import prose, sentence


def share(seen: list[Observation], gap: float = 0) -> float:
    one = Account(alone(TemplateShare()))
    for each in seen:
        one.asked(each)
        one.wait(gap)
    return one.value("template_share")


def test_nothing_is_read_before_the_first_request() -> None:
    assert Account(alone(TemplateShare())).read("template_share") is None


def test_the_commonest_beginning_or_end_counts() -> None:
    ours = [ask(at, frame="ours") for at in range(6)]
    assert share(ours) == 1
    assert share([*ours, ask(6), ask(7), ask(8)]) == pytest.approx(6 / 9)
    ends = [ask(at, tail=5) for at in range(6)]
    assert share([*ends, ask(6), ask(7), ask(8)]) == pytest.approx(6 / 9)


def test_a_fifth_frame_takes_one_of_each() -> None:
    """Misra and Gries with 4 slots: what finds no place costs the others as much."""
    assert share([*(ask(at, frame="ours") for at in range(6)), *(ask(at) for at in range(6, 10))]) == pytest.approx(0.5)


def test_requests_without_words_have_no_frame_and_lower_the_share() -> None:
    assert share([ask(1, frame="ours"), ask(2, frame="ours", head=0, tail=0)]) == pytest.approx(1 / 2)


def test_a_batch_counts_its_lines() -> None:
    assert share([batch(0, 6), ask(7), ask(8), ask(9)]) == pytest.approx(6 / 9)


def test_a_frame_on_the_wire_reads_high() -> None:
    rng = Random(1)
    assert share([chat(f"Translate into French: {sentence(rng)}") for _ in range(50)]) == 1
    assert share([chat(f"{sentence(rng)}\n\nAnswer in one word.") for _ in range(50)]) == 1


def test_a_frame_in_a_script_without_blanks_reads_high() -> None:
    words = "今天天气很好我们去公园散步吧他昨天买了三本书你喜欢喝茶还是咖啡"
    asked = [chat("请把下面的句子翻译成英文：" + words[at : at + 9] + "。") for at in range(20)]
    assert share(asked) == 1


def test_prompts_of_a_persons_own_read_low() -> None:
    """All the card's look-alikes have a frame, so what must read low is whoever has none."""
    rng = Random(1)
    assert share([chat(prose(rng, 2)) for _ in range(200)]) < 0.1


def test_ten_frames_in_turn_are_not_seen() -> None:
    """The evasion of the card."""
    rng = Random(1)
    frames = [(sentence(rng), sentence(rng)) for _ in range(10)]
    asked = [f"{frames[at % 10][0]}\n\n{prose(rng, 1)}\n\n{frames[at % 10][1]}" for at in range(100)]
    assert share(list(map(chat, asked))) < 0.2


def test_half_of_it_is_left_after_the_half_life_also_when_nothing_with_a_frame_comes() -> None:
    one = Account(alone(TemplateShare()))
    for at in range(6):
        one.asked(ask(at, frame="ours"))
    for at in range(6, 9):
        one.asked(ask(at))
    one.wait(WEEK / SECOND * log(2))
    assert one.hits("template_share") == pytest.approx((3, 4.5), rel=1e-6)
    one.asked(mark(ask(9, head=0, tail=0), one_shot=0))  # has no frame: the counts of frames aren't stepped
    assert one.hits("template_share") == pytest.approx((3, 5.5), rel=1e-6)
    one.asked(ask(10, frame="ours"))
    assert one.hits("template_share") == pytest.approx((4, 6.5), rel=1e-6)
