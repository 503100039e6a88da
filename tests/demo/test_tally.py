"""What is counted of the gateway's lines."""

import pytest

from gateway.demo.plan import HYDRA
from gateway.demo.tally import marks_of
from gateway.policy.loader import load
from tests.demo.scenes import DAY, line, linked, policy, recognised, tally_of


def test_each_group_has_its_own_counts() -> None:
    tally = tally_of()
    tally.take([line("people 0"), line("people 0"), line("people 1", "limit", 429), line("chat apps 2", status=502)])
    people = tally.groups["people"]
    assert (people.accounts, people.asked, people.served, people.refused, people.failed) == (3, 3, 2, 1, 0)
    assert people.acted == {"people 1"}
    everybody = tally.benign()
    assert (everybody.accounts, everybody.asked, everybody.served) == (30, 4, 2)
    assert (everybody.refused, everybody.failed, everybody.acted) == (1, 1, {"people 1"})


def test_a_stranger_is_a_line_and_nothing_else() -> None:
    tally = tally_of()
    tally.take([line("somebody")])
    assert (tally.lines, tally.benign().asked, tally.groups[HYDRA].asked) == (1, 0, 0)


@pytest.mark.parametrize("action", ["clamp", "throttle", "limit", "block"])
def test_whoever_feels_something_was_acted_on(action: str) -> None:
    tally = tally_of()
    tally.take([line("people 0", action)])
    assert tally.benign().acted == {"people 0"}


def test_a_tag_is_no_act() -> None:
    tally = tally_of()
    tally.take([line("people 0", "tag", effects={"tags": ["extraction-watch"]})])
    assert tally.benign().tagged == {"people 0"}
    assert not tally.benign().acted


def test_a_heads_cell_is_what_was_done_last() -> None:
    tally = tally_of(heads=2)
    assert tally.heads == {"h0": "", "h1": ""}
    tally.take([line("h0"), line("h1", "tag"), line("h0", "throttle"), line("h1", "allow")])
    assert tally.heads == {"h0": "throttle", "h1": "allow"}
    assert tally.states()["throttle"] == 1
    assert tally.slowed() == 1


def test_what_was_served_before_the_first_of_each_action() -> None:
    tally = tally_of(heads=2)
    tally.take([line("h0"), line("h1"), line("h0", "tag"), line("h1", "tag"), line("h1", "limit", 429)])
    assert tally.firsts["tag"] == (f"{DAY}T09:30:00.000000Z", 2)
    assert tally.firsts["limit"] == (f"{DAY}T09:30:00.000000Z", 4)
    assert "throttle" not in tally.firsts


def test_campaigns_are_told_apart_by_whose_accounts_are_in_them() -> None:
    tally = tally_of(heads=3)
    of_course = linked("campaign-2", 18, -22.0)
    tally.take([line("a course, one template 0", campaign=of_course), line("h0", campaign=linked(members=3))])
    assert tally.hydra is not None
    assert (tally.hydra.id, tally.hydra.members, tally.hydra.score) == ("campaign-1", 3, 1.5)
    (other,) = tally.others
    assert (other.id, other.group, other.score) == ("campaign-2", "a course, one template", -22.0)


def test_an_account_is_in_one_campaign_and_leaves_it() -> None:
    tally = tally_of(heads=2)
    tally.take([line("h0", campaign=linked("campaign-1")), line("h0", campaign=linked("campaign-2"))])
    assert tally.found["campaign-1"].of[HYDRA] == set()
    assert tally.hydra is not None
    assert tally.hydra.id == "campaign-2"
    tally.take([line("h0")])
    assert tally.hydra is None


def test_a_campaigns_score_is_the_sum_of_what_is_shown() -> None:
    """The gateway's own arithmetic, of a line that it wrote: -40 + 17.27 + 12.58 + 15.79 = 5.64 dB."""
    tally = tally_of(heads=1)
    lines = {
        "elicits": 13.0,
        "steps": 6.0,
        "training-rows": 6.0,
        "output-gain": 4.95,
        "haul": 4.15,
        "shared-recipe": 11.77,
        "one-pool": 8.89,
        "load-balanced": -2.99,
    }
    tally.take([line("h0", campaign=linked(score=5.64, lines=lines))])
    assert tally.hydra is not None
    addends = tally.addends(tally.hydra)
    assert addends[0].name == "prior"
    assert sum(each.db for each in addends) == pytest.approx(5.64, abs=0.02)
    assert {each.name for each in addends} == {"prior", "content", "response", "campaign"}


def test_the_example_is_a_refused_request_where_there_is_one() -> None:
    tally = tally_of(heads=2)
    tally.take([line("h0", "throttle", campaign=linked())])
    assert tally.example == "h0 throttle"
    tally.take([line("h1", "limit", 429, campaign=linked()), line("h0", "throttle", campaign=linked())])
    assert tally.example == "h1 limit"


def test_nobodys_campaign_makes_no_example() -> None:
    tally = tally_of(heads=1)
    tally.take([line("h0", "limit", 429), line("people 0", "limit", 429, campaign=linked())])
    assert tally.example == ""


def test_marks_are_the_rules_own_thresholds() -> None:
    marks = {mark.word: (mark.db, mark.watched) for mark in marks_of(policy(), "extraction")}
    assert set(marks) == {"tag", "clamp", "throttle", "block"}
    assert marks["tag"][0] < marks["throttle"][0] < marks["block"][0]
    assert not marks["throttle"][1]
    assert marks["block"][1]


def test_a_rule_in_force_marks_before_one_that_is_watched() -> None:
    text = """
gauger: 1
policy: {id: two}
scorecards:
  - id: s
    of: [account]
    prior: -30 dB
    families: {f: 40 dB}
    evidence: [{id: e, family: f, when: req.n > 1, points: 9 dB}]
rules:
  - {id: one, when: score.s >= -25 dB, then: {tag: [a]}, mode: shadow}
  - {id: two, when: score.s >= -22 dB, then: {tag: [b]}}
"""
    (mark,) = marks_of(load(text, "two.yaml", lambda name: b""), "s")
    assert mark == ("tag", -22.0, False)


def test_a_hydra_that_was_found_counts_all_of_its_heads() -> None:
    tally = recognised()
    assert tally.states() == {"": 0, "allow": 0, "tag": 1, "clamp": 0, "throttle": 1, "limit": 38, "block": 0}
    assert tally.slowed() == 39
