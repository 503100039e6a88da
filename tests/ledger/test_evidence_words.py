"""A scorecard's lines in words, with the share of benign owners worked out by hand where a closed form is there."""

from collections.abc import Mapping

import pytest

from gateway.ledger.evidence_words import behaviour, cards_of, fading, gauge_of, owners, said
from gateway.ledger.rejudge import Rejudged
from gateway.ledger.sides import Side, Sides
from gateway.policy.model import Evidence
from tests.ledger.campaigned import POOLED, campaign
from tests.ledger.campaigned import judged as recorded
from tests.ledger.campaigned import policy as joint
from tests.ledger.swept import READ, policy, swept

SWEPT = policy()
JOINT = joint()
FLAT = (1.0, 1.0)
LOW, HIGH = (1.0, 9.0), (9.0, 1.0)


def rate(null: tuple[float, float], alternative: tuple[float, float] = HIGH) -> Evidence:
    return Evidence("x", "content", "rate", "template_share", 10.0, null=null, alternative=alternative)


def line(name: str) -> Evidence:
    return next(each for each in SWEPT.scorecards[0].evidence if each.id == name)


def judged(read: Mapping[str, float | None] = READ) -> Rejudged:
    return Rejudged(SWEPT, swept(SWEPT, read))


@pytest.mark.parametrize(
    ("null", "hits", "of", "words"),
    [
        (FLAT, 80.5, 100, "20 of 100 owners do"),  # a flat null: 1 - 80/100
        (FLAT, 99.5, 100, "10 of 1,000 owners do"),
        (FLAT, 40.5, 100, "most owners do as much"),
        (FLAT, 50.5, 100, "50 of 100 owners do"),
        ((1.0, 3.0), 80.5, 100, "8 of 1,000 owners do"),  # 0.2^3
        ((1.0, 5.0), 80.5, 100, "3 of 10,000 owners do"),  # 0.2^5 = 0.00032
        ((1.0, 9.0), 80.5, 100, "fewer than 1 in 10,000 owners do"),
        (FLAT, 100, 100, "5 of 1,000 owners do"),  # all of them: 1 - 99.5/100
        (FLAT, 0.01, 100, ""),  # nothing is left of it, and everybody has as much
        (FLAT, 0.3, 100, "most owners do as much"),
    ],
)
def test_the_owners_who_go_as_far(null: tuple[float, float], hits: float, of: float, words: str) -> None:
    assert owners(rate(null), hits, of) == words


@pytest.mark.parametrize(
    ("hits", "words"),
    [
        (19.5, "20 of 100 owners do as little"),
        (0, "5 of 1,000 owners do as little"),
        (70, "most owners do as little"),
        (100, ""),
    ],
)
def test_a_line_that_looks_for_a_low_share_counts_who_does_as_little(hits: float, words: str) -> None:
    assert owners(rate(FLAT, LOW), hits, 100) == words


@pytest.mark.parametrize(
    ("name", "read", "words"),
    [
        ("elicits", {}, "412 of 430 requests want the reasoning written out; fewer than 1 in 10,000 owners do"),
        (
            "elicits",
            {"elicitation_share.hits": 4.26, "elicitation_share.of": 9.94},
            "4.3 of 9.9 requests want the reasoning written out; 1 of 1,000 owners do",
        ),
        ("elicits", {"elicitation_share.hits": 0.04}, "none of 430 requests want the reasoning written out"),
        (
            "elicits",
            {"elicitation_share.of": 0.0},
            "no requests yet that could want the reasoning written out: elicitation_share is missing",
        ),
        ("output-heavy", {}, "tokens written: 1,200,000 (day.output_tokens)"),
        (
            "sweep",
            {"fresh_share": None},
            "template_share * fresh_share = missing (96.3% of requests fill one frame; fresh_share: missing)",
        ),
        (
            "sweep",
            {},
            "template_share * fresh_share = 0.944 (96.3% of requests fill one frame; 98% of requests ask what was not"
            " asked before)",
        ),
        ("newcomer", {}, "account.tenure < 3d: 1 d"),
        ("evaluator", {}, '"evaluator" in account.labels: account.labels []'),
    ],
)
def test_what_a_line_read_in_words(name: str, read: dict[str, float | None], words: str) -> None:
    assert said(line(name), judged(read)) == words


@pytest.mark.parametrize(
    ("name", "lower", "fades"),
    [
        ("elicits", "fewer requests that want the reasoning written out", "half of it is gone 4.9 days after it stops"),
        (
            "talks",
            "more requests that go on with a conversation",
            "what was before counts half as much 4.9 days later",
        ),
        (
            "sweep",
            "a lower template_share * fresh_share",
            "what was before counts half as much 4.9 days later",
        ),
        ("output-heavy", "a lower day.output_tokens", "what was before counts half as much 17 hours later"),
        ("newcomer", "account.tenure at least 3 d (2 d more)", ""),
        ("evaluator", 'not "evaluator" in account.labels', "at once, for a request of which that holds"),
    ],
)
def test_what_would_make_a_line_count_less_and_how_fast(name: str, lower: str, fades: str) -> None:
    by = judged()
    assert behaviour(line(name), by) == lower
    assert fading(line(name), by)[0] == fades


def test_a_curve_that_falls_asks_for_more() -> None:
    falling = Evidence("x", "timing", "read", "day.output_tokens", 10.0, points=((10_000.0, 5.0), (2e6, -2.0)))
    assert behaviour(falling, judged()) == "a higher day.output_tokens"


def test_the_signals_that_a_line_reads_facets_and_all() -> None:
    by = judged()
    assert [card.code for card in cards_of(line("sweep"), by)] == ["C1", "C2"]
    assert [card.code for card in cards_of(line("elicits"), by)] == ["C6"]
    assert cards_of(line("newcomer"), by) == []


# of a campaign


def whole(**readings: float) -> Side:
    made = Rejudged(JOINT, recorded(JOINT, campaign({**POOLED, **readings})))
    side = Sides(made, JOINT.scorecards[0]).whole
    assert side is not None
    return side


def joint_line(name: str) -> Evidence:
    return next(each for each in JOINT.scorecards[0].evidence if each.id == name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("generates", "3,000 of 3,980 requests of all members ask for material to train a model on; fewer than"),
        ("output-gain", "tokens written for each one read by all members: 4 (output_per_input)"),
        ("one-pool", "how surprising it is that members of one pool so seldom asked the same: 31 dB (campaign."),
        ("marked-members", "12 of 40 members bear a mark; 55 of 1,000 shared recipes do"),
    ],
)
def test_of_a_campaign_requests_are_all_members_and_shares_of_members_have_recipes(name: str, words: str) -> None:
    assert said(joint_line(name), whole()).startswith(words)


def test_what_lowers_a_line_of_a_campaign() -> None:
    assert behaviour(joint_line("marked-members"), whole()) == "fewer members that bear a mark"
    assert behaviour(joint_line("one-pool"), whole()) == "a lower campaign.partition"
    assert behaviour(joint_line("load-balanced"), whole()) == "a higher campaign.balance"
    assert fading(joint_line("marked-members"), whole())[1] == "4.9 days"
    assert fading(joint_line("one-pool"), whole())[1] == ""
    assert [card.code for card in cards_of(joint_line("load-balanced"), whole())] == ["X3"]


def test_an_account_s_reading_over_all_members_is_found_by_its_own_card() -> None:
    for name in ("campaign.generation_share", "campaign.generation_share.hits", "campaign.answers_taken"):
        found = gauge_of(name)
        assert found is not None
        assert found[1].among == "requests of all members"
    assert gauge_of("campaign.members") is None
    assert gauge_of("campaign.fresh_share") is None  # what a sketch tells doesn't add up


def test_what_a_campaign_can_t_read_is_not_said_to_be_silent() -> None:
    side = whole()
    assert not side.can_read(joint_line("old-matter"))  # coverage_growth is each account's own
    assert side.can_read(joint_line("generates")) and side.can_read(joint_line("one-pool"))
