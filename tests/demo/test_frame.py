"""Pictures: every width and height, with and without colours, at every stage."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo.frame import WHOLE, Scene, moment, picture, since
from gateway.demo.plan import GROUPS
from tests.demo.scenes import line, linked, recognised, scene, tally_of

STYLE = re.compile(r"\x1b\[[\d;]*m")


def quiet() -> Scene:
    return scene(tally_of(), passed=0.0)


def course() -> Scene:
    tally = recognised()
    tally.take([line("a course, one template 1", campaign=linked("campaign-2", 18, -22.0))])
    return scene(tally)


def few() -> Scene:
    tally = recognised(3)
    tally.take([line("h0", campaign=linked(members=3, score=None)), line("people 1", "throttle")])
    return scene(tally, left_out=1_234)


STAGES = {"quiet": quiet(), "recognised": scene(recognised()), "with a course": course(), "few": few()}


@given(
    stage=st.sampled_from(sorted(STAGES)),
    width=st.integers(1, 200),
    height=st.integers(1, 80),
    colour=st.booleans(),
)
def test_a_picture_fits_the_terminal(stage: str, width: int, height: int, *, colour: bool) -> None:
    lines = picture(STAGES[stage], width, height, colour=colour)
    assert len(lines) <= height
    for each in lines:
        assert len(STYLE.sub("", each)) <= width
        assert STYLE.sub("", each).isprintable()
        assert colour or "\x1b" not in each


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_colours_change_no_word(stage: str) -> None:
    plain = picture(STAGES[stage], 79, 24, colour=False)
    coloured = picture(STAGES[stage], 79, 24, colour=True)
    assert [STYLE.sub("", each).rstrip() for each in coloured] == plain
    assert plain != coloured


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_what_is_styled_ends_in_its_line(stage: str) -> None:
    for each in picture(STAGES[stage], 60, 24, colour=True):
        codes = STYLE.findall(each)
        assert codes[1::2] == ["\x1b[0m"] * (len(codes) // 2)
        assert len(codes) % 2 == 0


def test_all_of_it_stands_on_a_terminal_of_80_by_24() -> None:
    lines = picture(course(), 79, 24, colour=False)
    text = "\n".join(lines)
    for name in (*GROUPS, "all customers"):
        assert re.search(rf"^{name} +\d", text, re.MULTILINE), name
    assert "clock: 1 s = 1 h   day 2 03:46" in lines[0]
    assert "18 accounts of `a course, one template` are linked too: -22.0 dB, left alone" in text
    assert re.search(r"^campaign-1: 40 accounts linked, found on day 1 09:30$", text, re.MULTILINE)
    assert re.search(r"\+1\.5 dB [=|-]+ tag -12 clamp -8 throttle -4 \(block \+10\)$", text, re.MULTILINE)
    assert "  of its pool: 2.9% at the first tag, 5.8% throttle, 8.6% refusal; 8.6% now" in text
    assert text.count("x  ") + text.count(" x\n") >= 38


def test_a_low_terminal_has_all_customers_in_one_row() -> None:
    lines = picture(course(), 79, WHOLE - 1, colour=False)
    assert not any(each.startswith("chat apps") for each in lines)
    assert any(each.startswith("all customers") for each in lines)
    assert any(each.startswith("campaign-1") for each in lines)
    assert "" not in lines


@pytest.mark.parametrize("heads", [1, 7, 40, 200])
def test_every_head_has_a_cell(heads: int) -> None:
    lines = picture(scene(tally_of(heads)), 79, 80, colour=False)
    at = next(at for at, each in enumerate(lines) if each.startswith("the hydra"))
    rows = "".join(each for each in lines[at + 1 :] if set(each) <= {" ", "."} and each)
    assert rows.count(".") == heads


def test_a_score_below_all_thresholds_is_left_alone_and_one_above_is_not_said_to_be() -> None:
    tally = recognised()
    tally.take([line("a course, one template 1", campaign=linked("campaign-2", 18, -11.0))])
    text = "\n".join(picture(scene(tally), 79, 24, colour=False))
    assert "-11.0 dB" in text
    assert "left alone" not in text


def test_before_it_begins_and_before_it_is_found() -> None:
    assert "it begins on day 1 08:00" in "\n".join(picture(quiet(), 79, 24, colour=False))
    assert "not linked yet" in "\n".join(picture(scene(tally_of(), passed=30_000.0), 79, 24, colour=False))


def test_times_are_told_in_days_of_the_traffic() -> None:
    assert moment(0.0) == "day 1 00:00"
    assert moment(2 * 86_400 - 1) == "day 2 23:59"
    assert since("2026-03-02T17:05:59.000000Z", "2026-02-28") == "day 3 17:05"
