"""What is said where nothing is drawn, and at the end."""

import pytest

from gateway.demo.words import brief, missed, progress, summary
from gateway.ledger.explain_text import fold
from tests.demo.scenes import line, linked, recognised, scene, tally_of

TOLD = """request  R1
action   limit: slowed

Rules that held
  campaign-slow

Campaign campaign-1
  accounts  40

Scorecard extraction: 1.5 dB
""" + "\n".join(f"  line {at}" for at in range(40))


def test_one_line_says_where_it_stands() -> None:
    said = progress(scene(recognised()))
    assert said.startswith("day 2 03:46  customers: 10 asked, 10 served, 0 acted on | hydra: 157 asked, 119 served")
    assert said.endswith("heads: 1 tag, 1 throttle, 38 limit; 40 linked as campaign-1 at +1.5 dB")
    assert "\n" not in said


def test_a_quiet_begin_is_said_too() -> None:
    assert progress(scene(tally_of(), passed=0.0)).endswith("heads: silent; not linked")


def test_all_went_as_it_should() -> None:
    assert missed(scene(recognised())) == []


def test_a_hydra_that_nobody_noticed_is_a_miss() -> None:
    tally = tally_of()
    tally.take(line(f"h{at}") for at in range(40))
    assert [each.split(":")[0] for each in missed(scene(tally))] == [
        "the hydra was not recognised",
        "the hydra was not slowed",
    ]


@pytest.mark.parametrize(("slowed", "misses"), [(19, 1), (20, 0)])
def test_half_of_its_heads_must_be_slowed(slowed: int, misses: int) -> None:
    tally = tally_of()
    tally.take(line(f"h{at}", "throttle" if at < slowed else "allow", campaign=linked()) for at in range(40))
    assert len(missed(scene(tally))) == misses


def test_a_customer_who_was_acted_on_is_a_miss_and_is_named() -> None:
    tally = recognised()
    tally.take([line("people 1", "throttle")])
    (said,) = missed(scene(tally))
    assert said == "customers were acted on: 1 of `people` (people 1)"


def test_the_end_has_the_picture_the_reason_the_facts_and_the_commands() -> None:
    text = summary(scene(recognised(), left_out=7), TOLD, ["gauger verify ledger"], 90, colour=False)
    at = [
        text.index(part)
        for part in ("Gauger: a hydra of 40", "Why one of its accounts", "As it should be.", "To look further:")
    ]
    assert at == sorted(at)
    assert "30 customers' accounts asked 10 times: 10 served, 0 accounts tagged, 0 acted on." in " ".join(text.split())
    assert "The gateway's clock ran 3,600 times as fast as yours: 1 s was 1 h." in text
    assert "7 benign requests were left out" in text
    assert text.endswith("  gauger verify ledger\n")
    assert all(len(each) <= 90 for each in text.splitlines())


def test_what_went_wrong_stands_there() -> None:
    text = summary(scene(tally_of()), "", [], 90, colour=False)
    assert "Not as it should be:" in text
    assert "! the hydra was not recognised: 0 of its 40 accounts were linked" in text
    assert "Why one" not in text
    assert "To look further" not in text


def test_of_an_explanation_the_main_parts_are_shown() -> None:
    lines = brief(TOLD, 80)
    assert lines[:2] == ["request  R1", "action   limit: slowed"]
    assert "Campaign campaign-1" in lines
    assert "Rules that held" not in lines
    assert lines[-1] == "    ..."
    assert "  line 39" not in lines


def test_an_explanation_of_another_shape_is_shown_from_its_begin() -> None:
    assert brief("something else\nmore\n\nthe rest", 80) == ["something else", "more"]


def test_lines_that_are_too_long_are_folded_where_they_stand() -> None:
    lines = brief("request  R1\n  " + "word " * 40, 40)
    assert all(len(each) <= 40 for each in lines)
    assert lines[1].startswith("  word")
    assert lines[2].startswith("      word")


def test_what_the_explanation_folded_is_folded_anew() -> None:
    sentence = "  linked    " + "each account was linked to others of them, and agrees with them on a client " * 2
    folded = fold(sentence, 12)
    assert len(folded) == 2
    told = "\n".join(["Campaign c", *folded, "  share     100%"])
    assert brief(told, 100) == told.split("\n")
    lines = brief(told, 60)
    assert " ".join(" ".join(lines).split()) == " ".join(told.split())
    assert [each[:12] for each in lines[2:-1]] == [" " * 12] * len(lines[2:-1])
    assert all(45 < len(each) <= 60 for each in lines[1:-2])
    assert lines[-1] == "  share     100%"
