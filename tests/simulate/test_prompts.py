"""The package's own prompts: many, different, and the same ones every time."""

import re

import pytest

from gateway.observe import Prints
from gateway.simulate.matter import Schema, passage
from gateway.simulate.prompts import CAPACITY, SCHEMAS, prompt
from gateway.simulate.wording import PUBLIC, SPOKEN, Frame, frame, instructions, public, reworded

MANY = 30_000


def test_thirty_thousand_prompts_are_thirty_thousand_questions() -> None:
    made = [prompt(at) for at in range(MANY)]
    assert len(set(made)) == MANY
    # also to whoever takes all figures for alike, and passes over case and blanks
    assert len({re.sub(r"\W+", "", re.sub(r"\d+", "0", text)).lower() for text in made}) > 0.97 * MANY
    assert made[:3] == [prompt(at) for at in range(3)]
    assert CAPACITY > 3_600_000


def test_they_are_varied_and_no_slot_is_left_open() -> None:
    made = [prompt(at) for at in range(3_000)]
    assert len({text[:12].lower() for text in made}) > 300
    assert all("{" not in text and "}" not in text and 30 < len(text) < 1_000 for text in made)
    assert max(len(text) for text in made) > 3 * min(len(text) for text in made)


@pytest.mark.parametrize("schema", SCHEMAS[:6])
def test_a_schema_gives_each_number_a_text_of_its_own(schema: Schema) -> None:
    assert len({schema.text(at) for at in range(5_000)}) == 5_000


def test_a_draw_can_be_repeated() -> None:
    text = Schema("{name} and {place} and {=0}").text(7)
    first, _, last = text.split(" and ")
    assert first == last


def test_passages_are_as_long_as_asked() -> None:
    assert passage(3, 1) in passage(3, 4)
    assert len(passage(3, 8)) > 4 * len(passage(3, 1))


@pytest.mark.parametrize("speech", SPOKEN)
def test_frames_differ_by_number_and_by_wording(speech: str) -> None:
    assert len({frame(at, 0, speech) for at in range(500)}) == 500
    wordings = {frame(5, at, speech) for at in range(400)}
    assert len(wordings) > 380


def test_a_frame_stands_where_it_says() -> None:
    places = {(bool(each.system), bool(each.before), bool(each.after)) for each in map(frame, range(60))}
    assert places == {(True, False, False), (False, True, False), (False, True, True)}
    assert Frame("s", "b ", " a").around("p") == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "b p a"},
    ]
    assert Frame().around("p") == [{"role": "user", "content": "p"}]


def test_other_words_for_a_prompt_are_another_ask() -> None:
    prints = Prints(b"test")
    assert reworded("How high is it?", 0) == "How high is it?"
    variants = {reworded("How high is it?", at) for at in range(1, 300)}
    assert len({prints.of(text.encode()) for text in variants}) > 200
    assert all("How high is it?" in text for text in variants)


def test_public_frames_are_some_dozens_and_products_have_their_own_instructions() -> None:
    assert len({public(at) for at in range(PUBLIC)}) == PUBLIC >= 36
    assert len({instructions(at) for at in range(1_000)}) == 1_000
