"""A campaign's score, and what it means for a member: by hand, and what holds of all."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.campaigns import ACTS, GRACE, Campaign
from gateway.decide import AccountState, Facts, Verdict, judge
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.policy.jointly import JOINT, PERSONAL
from gateway.policy.model import Policy
from tests.campaigns.worlds import DAY, HOUR, T0
from tests.rig import policy_of

CHAT = Observation(op="chat", model="m", messages=1, chars=400, n=1)
NOW = T0 + 10 * DAY
CARD = """
gauger: 1
policy: {id: p}
scorecards:
  - id: x
    of: [account, campaign]
    prior: {account: -30 dB, campaign: -20 dB}
    families:
      content: {ceiling: 20 dB, correlation: 0.001%}
      params: {ceiling: 20 dB, correlation: 0.001%}
      response: {ceiling: 20 dB, correlation: 0.001%}
      timing: {ceiling: 20 dB, correlation: 0.001%}
      account: {ceiling: 20 dB, correlation: 0.001%}
      contract: {ceiling: 20 dB, correlation: 0.001%}
      campaign: {ceiling: 30 dB, correlation: 0.001%}
    evidence:
      - {id: elicits, family: content, read: elicitation_share, points: {0%: 0 dB, 100%: 10 dB}}
      - {id: wide, family: params, read: wide_share, points: {0%: 0 dB, 100%: 8 dB}}
      - {id: gain, family: response, read: output_per_input, points: {1: 0 dB, 4: 6 dB}}
      - {id: pace, family: timing, read: closed_loop_share, points: {0%: 0 dB, 100%: 9 dB}}
      - {id: pool, family: campaign, read: campaign.partition, points: {0: 0 dB, 40: 20 dB}}
      - {id: shared, family: campaign, read: campaign.exclusive_share, points: {0%: -5 dB, 100%: 5 dB}}
      - {id: many, family: campaign, when: campaign.members >= 100, points: 3 dB}
      - {id: lab, family: account, when: '"lab" in account.labels', points: -6 dB}
      - {id: suspect, family: account, when: '"suspect" in account.labels', points: 7 dB}
      - {id: paid, family: contract, when: '"paid" in account.labels', points: -4 dB}
rules:
  - {id: watch, when: score.x >= -10 dB, then: {tag: [watched]}}
  - {id: stop, when: score.x >= 0 dB, then: {block: {status: 403, code: no, for: 1h}}}
  - {id: large, when: campaign.members >= 50 and campaign.age < 30d, then: {tag: [large]}}
  - {id: alone, when: score.x.campaign >= 0 dB, then: {tag: [shared]}}
"""
POLICY = policy_of(CARD)
WHO = Caller("a1", "k1")
MANY = 1e9  # requests


def campaign(readings: dict[str, float], *, owners: int = 20, since: int = T0) -> Campaign:
    """A campaign of so many requests that what is read of them counts in full. Shares as they are named in the card."""
    made = {
        f"{name}.hits" if "_share" in name and "exclusive" not in name else name: at for name, at in readings.items()
    }
    made = {name: MANY * at if name.endswith(".hits") else at for name, at in made.items()}
    return Campaign("campaign-1", 1, 20, owners, since, readings={"week.requests": MANY, **made})


def say(
    found: Campaign | None, membership: float = 0.0, *labels: str, policy: Policy = POLICY, now: int = NOW, **more: Any
) -> Verdict:
    facts = Facts(msgspec.structs.replace(WHO, labels=labels), CHAT, campaign=found, membership=membership)
    return judge(policy, AccountState(), facts, now, more or None)[1]


STRONG = {"partition": 40.0, "exclusive_share": 1.0, "elicitation_share": 1.0}


def test_by_hand() -> None:
    """-20 + 10 of content + (20 + 5) of the campaign = 15 dB, which a full member has too."""
    verdict = say(campaign(STRONG))
    assert verdict.campaign == {"x": 15.0}
    assert verdict.together == {"x": {"elicits": 10.0, "pool": 20.0, "shared": 5.0}}
    assert verdict.scores == {"x": 15.0}
    assert "x" not in verdict.evidence or "pool" not in verdict.evidence["x"]
    assert set(verdict.rules) == {"watch", "stop", "alone"}


def test_who_is_in_no_campaign_has_its_own_score() -> None:
    verdict = say(None)
    assert (verdict.scores, verdict.campaign, verdict.together) == ({"x": -30.0}, {}, {})
    assert verdict.rules == ()


def test_membership_counts_less() -> None:
    assert say(campaign(STRONG), -3.01).scores == {"x": 11.99}
    assert say(campaign(STRONG), -3.01).campaign == {"x": 15.0}


def test_the_own_score_stays_where_it_is_larger() -> None:
    weak = campaign({"exclusive_share": 0.0})
    assert say(weak).campaign == {"x": -25.0}
    assert say(weak).scores == {"x": -25.0}
    assert say(weak, -10.0).scores == {"x": -30.0}  # its own


def test_what_speaks_for_an_account_speaks_for_it_in_a_campaign_too() -> None:
    assert say(campaign(STRONG), 0.0, "lab").scores == {"x": 9.0}
    assert say(campaign(STRONG), 0.0, "lab", "paid").scores == {"x": 5.0}
    assert say(campaign(STRONG), 0.0, "lab").campaign == {"x": 15.0}


def test_what_speaks_against_an_account_does_not_speak_against_its_campaign() -> None:
    assert say(campaign(STRONG), 0.0, "suspect").scores == {"x": 15.0}
    assert say(campaign(STRONG), 0.0, "suspect", "paid").scores == {"x": 11.0}
    assert say(None, 0.0, "suspect").scores == {"x": -23.0}


@pytest.mark.parametrize("owners", [ACTS - 1, ACTS])
def test_few_owners_have_no_score_together(owners: int) -> None:
    verdict = say(campaign(STRONG, owners=owners))
    assert bool(verdict.campaign) == (owners == ACTS)
    assert verdict.scores == {"x": 15.0 if owners == ACTS else -30.0}


@pytest.mark.parametrize("labels", [(), ("lab",)])
def test_a_recipe_of_the_last_three_days_blocks_nobody(labels: tuple[str, ...]) -> None:
    """The same score; but it is no corroboration until its recipe is old enough to be nobody's news."""
    for age, blocked in ((GRACE - 1, False), (GRACE, True)):
        verdict = say(campaign(STRONG, since=NOW - age), 0.0, *labels)
        assert verdict.scores == {"x": 15.0 - 6.0 * len(labels)}
        assert ("stop" in verdict.rules) is blocked, age


def test_one_family_is_no_corroboration() -> None:
    """+5 dB by the campaign's family alone: nobody is blocked, however old it is."""
    verdict = say(campaign({"partition": 40.0, "exclusive_share": 1.0}, since=0))
    assert verdict.scores == {"x": 5.0}
    assert "stop" not in verdict.rules
    assert "watch" in verdict.rules


def test_a_clock_and_a_purse_are_each_one_s_own() -> None:
    """Of a campaign what is asked for and answered counts, and how the members stand to each other; no more."""
    assert say(campaign({**STRONG, "closed_loop_share": 1.0})).campaign == {"x": 15.0}
    assert {"timing", "account", "contract", "manner", "network"}.isdisjoint(JOINT)
    assert PERSONAL.isdisjoint(JOINT)


def test_conditions_read_it() -> None:
    large = msgspec.structs.replace(campaign(STRONG), members=50)
    assert "large" in say(large).rules
    assert "large" not in say(campaign(STRONG)).rules
    assert "large" not in say(large, now=T0 + 31 * DAY).rules
    assert "large" not in say(None).rules
    assert say(msgspec.structs.replace(large, members=100)).campaign == {"x": 18.0}


def test_a_card_of_accounts_alone_knows_no_campaign() -> None:
    text = CARD.replace("of: [account, campaign]", "of: [account]").replace(
        "prior: {account: -30 dB, campaign: -20 dB}", "prior: -30 dB"
    )
    lines = [
        line
        for line in text.splitlines()
        if "campaign." not in line and "score.x.campaign" not in line and "family: campaign" not in line
    ]
    policy = policy_of("\n".join(lines).replace(", campaign: 30 dB", ""))
    verdict = say(campaign(STRONG), policy=policy)
    assert (verdict.scores, verdict.campaign) == ({"x": -30.0}, {})


def test_members_that_come_one_after_the_other_are_scored_alike_and_campaigns_apart() -> None:
    """The last campaign's score is kept: by its snapshot, and never for another one, nor past its grace."""
    one, other = campaign(STRONG), campaign({"partition": 20.0})
    fresh = policy_of(CARD)
    seen = [say(each, policy=fresh, now=at).scores["x"] for each, at in
            ((one, NOW), (one, NOW), (other, NOW), (one, NOW), (None, NOW), (campaign(STRONG), NOW))]  # fmt: skip
    assert seen == [15.0, 15.0, -10.0, 15.0, -30.0, 15.0]
    young = campaign(STRONG, since=NOW - HOUR)
    assert "stop" not in say(young, policy=fresh).rules
    assert "stop" in say(young, policy=fresh, now=NOW + GRACE).rules


readings = st.fixed_dictionaries(
    {},
    optional={
        "partition": st.floats(0, 100),
        "exclusive_share": st.floats(0, 1),
        "elicitation_share": st.floats(0, 1),
        "wide_share": st.floats(0, 1),
        "output_per_input": st.floats(0, 20),
    },
)
LABELS = st.lists(st.sampled_from(["lab", "suspect", "paid"]), unique=True)


@settings(deadline=None, max_examples=200)
@given(readings, st.floats(-20, 0), LABELS, st.integers(3, 40))
def test_a_campaign_never_lowers_a_score_and_a_membership_never_raises_one(
    given_: dict[str, float], membership: float, labels: list[str], owners: int
) -> None:
    alone = say(None, 0.0, *labels)
    found = campaign(given_, owners=owners)
    full, part = say(found, 0.0, *labels), say(found, membership, *labels)
    assert alone.scores["x"] <= part.scores["x"] <= full.scores["x"]
    assert full.scores["x"] <= max(alone.scores["x"], full.campaign.get("x", -99.0))
    assert part.campaign == full.campaign  # what it is as a whole, it is for each
    assert say(found, membership, *labels) == part
