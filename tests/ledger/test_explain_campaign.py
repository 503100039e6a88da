"""A score that is a campaign's is told as such: what that comes to, what speaks for the account, and the sum."""

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ledger.campaign_words import NOT_A_PERSON
from gateway.ledger.explain import explain
from gateway.ledger.explain_text import to_text
from gateway.ledger.explanation import CardSaid, Explanation, Shared
from gateway.ledger.line import Shown, encode, line
from gateway.ledger.record import Ruled
from gateway.ledger.unline import rows_of
from gateway.policy.model import Policy
from tests.ledger.campaigned import HOUR, NOW, POLICY, POOLED, campaign, ended, judged, policy

JOINT = policy()
STRONG: dict[str, float | None] = {"generation_share.hits": 90.0, "output_per_input": 9.0}


def told(row: Ruled, by: Policy = JOINT) -> Explanation:
    return explain(row, ended(row), by)


def card(row: Ruled, by: Policy = JOINT) -> CardSaid:
    return told(row, by).cards[0]


def shared(row: Ruled, by: Policy = JOINT) -> Shared:
    found = card(row, by).shared
    assert found is not None
    return found


def flat(row: Ruled, by: Policy = JOINT) -> str:
    return " ".join(to_text(told(row, by)).split())


def test_the_sum_by_hand() -> None:
    """-40 + 13 + 5.97 + (11.28 + 8.19 + 6.26) / 1.2 = 0.41; less 0.41 and 6 for an old customer is -6."""
    row = judged(JOINT, campaign(), old=True)
    found, whole = card(row), shared(row)
    assert {each.id: each.db for each in whole.families} == {"content": 13.0, "response": 5.97, "campaign": 21.44}
    assert (whole.prior, whole.score, whole.membership, whole.speaks) == (-40, 0.41, -0.41, {"account": -6.0})
    assert (whole.total, found.score, found.own, whole.decides) == (-6.0, -6.0, -28.08, True)
    assert whole.sum == (
        "campaign -40 prior + 13 content + 5.97 response + 21.44 campaign = 0.41 dB; membership -0.41 dB;"
        " account -6 dB (established); in all -6 dB: larger than its own -28.08 dB, so it is the score"
    )
    text = flat(row)
    assert whole.sum in text
    assert "Scorecard extraction: -6 dB, which is its campaign's" in text
    assert "marked-members: 12 of 40 members bear a mark; 55 of 1,000 shared recipes do" in text
    assert "3,000 of 3,980 requests of all members ask for material to train a model on" in text
    assert "generates: 10 of 100 requests ask for material" in text  # the account's own, below it


def test_the_campaign_itself_is_told_without_anybody_s_name() -> None:
    found = told(judged(JOINT, campaign())).campaign
    assert found is not None
    assert (found.id, found.members, found.owners, found.linked) == ("campaign-00000000aa", 40, 38, True)
    assert (found.since, found.age) == ("2026-09-16T14:13:20.000000Z", 5 * 86_400.0)
    assert found.member == "91% of this account's requests follow the recipe"
    assert found.taken == (
        "3,800 answers to new questions in the last week",
        "3.8 recipe units of 1,000 answers worth a training row, ever",
        "1,900,000 output tokens in the last week",
    )
    assert found.notes == (NOT_A_PERSON, "Accounts of one organisation count as one owner: 40 accounts have 38.")
    text = flat(judged(JOINT, campaign()))
    assert "and not about a person" in text
    assert "linked each account was linked to others of them" in text
    assert "linked by a test of all who fill one frame" in flat(judged(JOINT, campaign(linked=False)))


@settings(deadline=None, max_examples=30)
@given(
    partition=st.floats(0, 100),
    balance=st.floats(0, 30),
    hits=st.integers(0, 3980),
    marked=st.integers(0, 40),
    owners=st.integers(3, 9),
    membership=st.floats(-20, 0).map(lambda x: round(x, 2)),
    own=st.integers(0, 100),
    gain=st.floats(0, 9),
    requests=st.sampled_from((1.0, 100.0)),
    old=st.booleans(),
)
def test_both_sides_add_up_and_the_larger_is_the_score(
    partition: float,
    balance: float,
    hits: int,
    marked: int,
    owners: int,
    membership: float,
    own: int,
    gain: float,
    requests: float,
    old: bool,
) -> None:
    given = {"partition": partition, "balance": balance, "generation_share.hits": hits, "marked.hits": marked}
    row = judged(
        JOINT,
        campaign({**POOLED, **given}, owners=owners),
        membership,
        old=old,
        read={"generation_share.hits": own, "output_per_input": gain, "week.requests": requests},
    )
    found, whole = card(row), shared(row)
    verdict = row.verdict
    assert found.score == verdict.scores["extraction"]
    assert {each.id: each.db for each in found.addends} == verdict.evidence.get("extraction", {})
    assert whole.score == verdict.campaign.get("extraction")
    assert {each.id: each.db for each in whole.addends} == verdict.together.get("extraction", {})
    assert (found.own is None) == (requests < 6)
    if found.own is not None and found.prior is not None:
        assert found.prior + sum(each.db for each in found.families) == pytest.approx(found.own, abs=0.005)
    if whole.score is None:
        assert (owners < 5, whole.decides) == (True, False)
        return
    assert whole.prior is not None and whole.total is not None
    assert whole.prior + sum(each.db for each in whole.families) == pytest.approx(whole.score, abs=0.005)
    assert whole.score + membership + sum(whole.speaks.values()) == pytest.approx(whole.total, abs=0.006)
    assert whole.decides == (found.own is None or whole.total > found.own)
    assert found.score == (whole.total if whole.decides else found.own)


@pytest.mark.parametrize("name", ["generates", "one-pool", "load-balanced", "marked-members", "output-gain"])
def test_without_a_line_both_sides_are_without_it(name: str) -> None:
    """What is said of a line's absence is what a policy without that line says of the same record."""
    row = judged(JOINT, campaign())
    written = re.search(rf"      - \{{id: {name},.*?\}}\n(?=      - |rules)", POLICY, re.DOTALL)
    assert written is not None
    by = policy((written[0], ""))
    really = judged(by, campaign()).verdict
    said = next(each for each in shared(row).addends if each.id == name)
    assert said.score == really.scores["extraction"] < row.verdict.scores["extraction"]
    if said.without is not None:
        assert (said.without.verdict, said.without.action) == (really.verdict, really.action)
    else:
        assert (really.verdict, really.action) == (row.verdict.verdict, row.verdict.action)


def test_what_would_lower_the_score_is_of_the_side_that_decides() -> None:
    row = judged(JOINT, campaign())
    assert [each.id for each in card(row).lower] == ["generates", "load-balanced", "one-pool"]
    assert card(row).lower[0].behaviour == "fewer requests of all members that ask for material to train a model on"
    assert "half as much of the recipe in this account's own use: 3 dB less" in flat(row)
    own = judged(JOINT, campaign(), -20.0, read=STRONG)
    assert [each.id for each in card(own).lower] == ["generates", "output-gain"]
    assert card(own).lower[0].behaviour == "fewer requests that ask for material to train a model on"


def test_hits_of_all_members_that_cease_bring_the_score_down_as_it_is_said() -> None:
    row = judged(JOINT, campaign())
    lower = card(row).lower[0]
    assert lower.then is not None
    halvings = round(float(lower.then.text.split()[0]) / 4.9)
    left = 0.5**halvings
    fewer = campaign({**POOLED, "generation_share.hits": 3_000 * left})
    really = judged(JOINT, fewer, read={"generation_share.hits": 10.0 * left, "generation_share": 0.1 * left}).verdict
    assert (lower.later, lower.then.verdict) == (really.scores["extraction"], really.verdict)


def test_who_looks_alike_is_told_of_every_line_between_the_members() -> None:
    alike = {each.code: each.lines for each in shared(judged(JOINT, campaign())).alike}
    assert alike == {
        "C7": ("generates",),
        "X3": ("load-balanced",),
        "X2": ("one-pool",),
        "X7": ("marked-members",),
    }
    assert "(declare the organisation)" in flat(judged(JOINT, campaign()))


def test_what_speaks_for_the_members_is_told() -> None:
    crowd = campaign({**POOLED, "balance": 2.6, "overlap": 1.1, "born_share.hits": 2.0})
    row = judged(JOINT, crowd)
    text = flat(row)
    assert "For its members speaks: the members are busy and quiet together as people of one time zone are" in text
    assert "For its members speaks: members asked what others of them had asked" in text
    assert "For its members speaks: most members were customers before they took up the recipe; here 5%" in text
    assert "-3.00 dB load-balanced: how the members' requests vary together" in text  # what argued against
    assert "For its members speaks" not in flat(judged(JOINT, campaign()))


def test_a_large_crowd_is_still_one_and_lock_step_is_none() -> None:
    """The ratio is 1 + correlation * (members - 1): 50 is a crowd of a thousand, and forty in lock-step."""
    for members, value, speaks in ((1000, 50.0, True), (40, 20.0, False), (40, 1.0, False), (3, 2.9, False)):
        row = judged(JOINT, campaign({**POOLED, "balance": value}, members=members))
        found = told(row).campaign
        assert found is not None
        (said,) = [each for each in found.spoken if each.name == "campaign.balance"]
        assert said.speaks is speaks


def test_an_account_whose_own_score_is_larger_is_told_so() -> None:
    row = judged(JOINT, campaign(), -20.0)
    assert (card(row).own, card(row).score, shared(row).decides) == (-22.08, -19.59, True)
    row = judged(JOINT, campaign(), -20.0, read=STRONG)
    assert shared(row).decides is False
    text = flat(row)
    assert "Scorecard extraction: -10.33 dB, its own" in text
    assert "in all -19.59 dB: not larger than its own -10.33 dB, so the score is its own" in text
    assert "The account by itself" not in text
    assert "The campaign: 0.41 dB" in text


def test_below_what_it_needs_an_account_has_its_campaigns_score_alone() -> None:
    row = judged(JOINT, campaign(), read={"week.requests": 2.0})
    assert (card(row).own, card(row).score) == (None, 0.0)
    assert "the account has no score of its own, so that is the score" in flat(row)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"owners": 4}, "The campaign has no score by this card: it has 4 owners, and counts from 5 on."),
        ({"readings": {"week.requests": 3.0}}, "The campaign has no score by this card: it needs week.requests >= 6."),
        ({"since": NOW - 20 * HOUR}, "Its recipe was first seen 20 h before: before it is 3 d old it never"),
    ],
)
def test_what_bounds_it_is_said(given: dict[str, object], said: str) -> None:
    assert said in flat(judged(JOINT, msgspec.structs.replace(campaign(), **given)))


def test_a_membership_at_its_floor_says_at_most() -> None:
    assert "at most 1% of this account's requests follow the recipe: membership -20 dB" in flat(
        judged(JOINT, campaign(), -20.0)
    )


def test_of_an_account_in_no_campaign_nothing_is_said_of_one() -> None:
    row = judged(JOINT, None)
    assert (told(row).campaign, card(row).shared, card(row).own) == (None, None, card(row).score)
    text = to_text(told(row))
    assert "ampaign" not in text.replace("score.extraction.campaign", "")
    assert "load-balanced" not in text


def test_a_card_of_accounts_alone_says_nothing_of_campaigns() -> None:
    by = policy(("of: [account, campaign]\n    prior: {account: -30 dB, campaign: -40 dB}", "prior: -30 dB"))
    row = judged(by, campaign())
    assert card(row, by).shared is None
    assert told(row, by).campaign is not None


def test_a_card_of_campaigns_alone_has_no_side_of_the_account() -> None:
    by = policy(("[account, campaign]", "[campaign]"), ("{account: -30 dB, campaign: -40 dB}", "-40 dB"))
    row = judged(by, campaign())
    assert (card(row, by).own, card(row, by).score, shared(row, by).decides) == (None, 0.0, True)
    assert to_text(told(row, by))


@pytest.mark.parametrize(
    ("old", "membership", "read", "decides", "said"),
    [
        (False, -0.41, {}, True, "together 0 dB, which is the score"),
        (False, -20.0, STRONG, False, "the score is the account's own"),
        (True, -0.41, {}, None, "whether that is the score only the policy tells"),
    ],
)
def test_without_the_policy_s_text_the_record_says_as_much_as_it_knows(
    old: bool, membership: float, read: dict[str, float | None], decides: bool | None, said: str
) -> None:
    row = judged(JOINT, campaign(), membership, old=old, read=read)
    found = explain(row, ended(row), None)
    whole = found.cards[0].shared
    assert whole is not None
    assert (whole.decides, whole.score) == (decides, 0.41)
    assert [each.id for each in whole.addends] == [
        "generates",
        "load-balanced",
        "one-pool",
        "marked-members",
        "output-gain",
    ]
    assert said in " ".join(to_text(found).split())


def test_a_request_line_explains_itself_as_the_rows_do() -> None:
    row = judged(JOINT, campaign(), old=True)
    again, end = rows_of(msgspec.json.decode(encode(line(row, ended(row), Shown(JOINT)))), JOINT)
    found, other = explain(again, end, JOINT), told(row)
    assert found.campaign == other.campaign
    assert found.cards == other.cards


def test_lines_are_at_most_a_hundred_columns_and_nothing_foreign_moves_the_cursor() -> None:
    row = judged(JOINT, campaign(id="campaign-\x1b[31m"), old=True)
    text = to_text(told(row))
    assert max(map(len, text.splitlines())) <= 100
    assert all(letter.isprintable() or letter == "\n" for letter in text)
