"""What forgetting an account would lose: each step of the ladder, and what is no step on it."""

import pytest

from gateway.gauges import PANEL
from gateway.standing import standing
from tests.signals.traces import ANSWERED, Account, ask

SHORT = ANSWERED._replace(output=5)  # tokens: no training row


def asking(count: int, *marks: str, others: int = 0, worth: bool = False) -> bytes:
    """The row of an account that asked so much with these marks, and then went on without, within a minute or two."""
    account = Account(PANEL)
    for at in range(count):
        account.turn(ask(at, marks=("one_shot", *marks)), ANSWERED if worth else SHORT, took=0.05, then=0.05)
    for at in range(others):
        account.turn(ask(count + at, marks=("continues",)), ANSWERED, took=0.05, then=0.05)
    return account.row


@pytest.mark.parametrize(("count", "expected"), [(0, 0), (2, 0), (4, 1), (19, 1), (21, 2), (99, 2), (102, 3)])
def test_marked_requests_lift_an_account(count: int, expected: int) -> None:
    assert standing(asking(count, "elicits")) == expected


@pytest.mark.parametrize("mark", ["elicits", "generates", "prefers", "banked"])
def test_each_mark_counts(mark: str) -> None:
    assert standing(asking(21, mark)) == 2
    assert standing(asking(21)) == 0


def test_two_marks_are_not_added_up() -> None:
    account = Account(PANEL)
    for at in range(36):
        account.turn(ask(at, marks=("one_shot", "elicits" if at % 2 else "prefers")), SHORT, took=0.05, then=0.05)
    assert standing(account.row) == 1


def test_a_mark_on_one_request_in_sixty_is_a_coincidence() -> None:
    assert standing(asking(25, "elicits", others=1000)) == 2
    assert standing(asking(25, "elicits", others=1475)) == 1  # for its requests alone


@pytest.mark.parametrize(("count", "expected"), [(30, 0), (42, 1), (199, 1), (203, 2)])
def test_rows_taken_lift_an_account_without_a_mark(count: int, expected: int) -> None:
    assert standing(asking(count, worth=True)) == expected


def test_nothing_seen_is_nothing_lost() -> None:
    assert standing(b"") == 0
    assert standing(PANEL.pack(PANEL.fresh())) == 0


def test_a_row_of_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="another layout"):
        standing(b"\xff" * PANEL.size)
