"""Room for an answer, by hand and on the wire."""

from typing import Any

import pytest

from gateway.signals.headroom import Headroom
from tests.signals.traces import Account, alone, ask, batch, mark
from tests.signals.wired import chat


def account() -> Account:
    return Account(alone(Headroom()))


def test_shares_of_bounded_and_of_roomy_requests() -> None:
    one = account()
    assert one.read("bounded_share") is None
    for seen in (mark(ask(1), bounded=1), mark(ask(2), roomy=1), mark(ask(3), roomy=1), ask(4)):
        one.asked(seen)
    assert one.value("bounded_share") == pytest.approx(1 / 4)
    assert one.value("roomy_share") == pytest.approx(2 / 4)
    one.asked(batch(10, 6, marks={"bounded": 6}))
    assert one.value("bounded_share") == pytest.approx(7 / 10)


@pytest.mark.parametrize(
    ("tokens", "marks"),
    [(1, {"bounded"}), (1024, {"bounded"}), (1025, set()), (4095, set()), (4096, {"roomy"}), (None, set())],
)
def test_what_the_declared_ceiling_says(tokens: int | None, marks: set[str]) -> None:
    given: dict[str, Any] = {} if tokens is None else {"max_tokens": tokens}
    seen = chat("Why is it so?", **given)
    assert {"bounded", "roomy"} & seen.marks.keys() == marks


def test_a_harvest_of_traces_leaves_room_and_a_product_bounds_its_answers() -> None:
    harvest, product = account(), account()
    for at in range(20):
        harvest.asked(chat(f"Question {at}?", max_tokens=16_384))
        product.asked(chat(f"Ticket {at}", max_tokens=400))
    assert (harvest.value("roomy_share"), harvest.value("bounded_share")) == (1, 0)
    assert (product.value("roomy_share"), product.value("bounded_share")) == (0, 1)
