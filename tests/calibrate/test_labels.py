"""Labels: read line by line, and every mistake in them at its place."""

import pytest

from gateway.calibrate import labels as module
from gateway.calibrate.labels import Labels, read_labels
from gateway.errors import Mistake


def test_accounts_and_owners_have_labels_and_other_fields_are_passed_over() -> None:
    text = b'{"account":"a","label":"benign","family":"chat","owner":"x"}\n\n{"owner":"o","label":"extraction"}\n'
    assert read_labels(text, "l.jsonl") == Labels({"a": "benign"}, {"o": "extraction"})


def test_a_label_that_is_yet_to_be_filled_in_says_nothing() -> None:
    assert len(read_labels(b'{"owner":"o","label":""}\n', "l.jsonl")) == 0


def test_the_same_twice_is_once() -> None:
    assert len(read_labels(b'{"account":"a","label":"benign"}\n' * 2, "l.jsonl")) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"account":"a","label":"evil"}', "`evil` is no label"),
        (b'{"account":"a"}', "this is no label: Object missing required field `label`"),
        (b'{"label":"benign"}', "whose label is this?"),
        (b"no json", "this is no label"),
        (b'{"account":"\xff","label":"benign"}', "this is no label"),
        (b"[" * 100_000, "this is no label"),
        (b'{"account":"a","label":"extraction"}', "`a` has two labels"),
    ],
)
def test_a_mistake_has_its_place(line: bytes, said: str) -> None:
    with pytest.raises(Mistake) as caught:
        read_labels(b'{"account":"a","label":"benign"}\n' + line + b"\n", "l.jsonl")
    assert said in str(caught.value)
    assert caught.value.place == "l.jsonl:2"
    assert caught.value.hint


def test_lines_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    with pytest.raises(Mistake, match="more than 1 lines"):
        read_labels(b'{"account":"a","label":"benign"}\n' * 2, "l.jsonl")
