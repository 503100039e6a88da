"""A campaign's story counts what its rows say, tells both sides, and its tables have bounds; so does a member's own."""

from itertools import pairwise
from typing import Any

import msgspec

from gateway.decide import Facts, Verdict
from gateway.identity import Caller
from gateway.ledger import campaign_story, story_campaigns, story_path
from gateway.ledger.campaign_story import Campaigned, CampaignStory
from gateway.ledger.campaign_text import to_text
from gateway.ledger.campaign_words import NOT_A_PERSON
from gateway.ledger.record import Erased, Gap, Opened, Row, Ruled
from gateway.ledger.story import Story, Teller
from gateway.ledger.story_text import to_text as story_text
from gateway.policy.model import Policy
from tests.ledger.campaigned import DAY, HOUR, ID, NOW, POOLED, campaign, ended, grown, judged, policy

JOINT = policy()
CALM = {**POOLED, "partition": 0.0, "generation_share.hits": 0.0, "balance": 2.5, "marked.hits": 0.0}


def told(rows: list[Row], by: Policy | None = JOINT, name: str = ID) -> CampaignStory:
    teller = Campaigned(name, None, {by.digest: by} if by is not None else {})
    for row in rows:
        teller.add(row)
    made = teller.story()
    assert made is not None
    return made


def account(rows: list[Row], name: str, by: Policy | None = JOINT) -> Story:
    teller = Teller(name, None, {by.digest: by} if by is not None else {})
    for row in rows:
        teller.add(row)
    made = teller.story()
    assert made is not None
    return made


def test_who_when_and_how_much_is_counted_from_the_rows() -> None:
    """Six accounts, five epochs, 500 tokens each; one request before anybody was linked isn't the campaign's."""
    made = told(grown(JOINT))
    assert (made.accounts, made.owners, made.requests, made.unfinished) == (6, 6, 30, 0)
    assert (made.input, made.output) == (1_500, 15_000)
    assert (made.first[:19], made.last[:19]) == ("2026-09-21T14:13:20", "2026-09-21T18:13:25")
    assert [(each.account, each.requests, each.output) for each in made.members] == [
        (f"a{number}", 5, 2_500) for number in range(6)
    ]
    assert made.members[3].membership == -0.3
    assert sum(made.actions.values()) == sum(sum(each.actions.values()) for each in made.members) == 30


def test_snapshots_scores_and_thresholds_over_time() -> None:
    """Without a partition -40 + 13 + 5.97 + (11.28 + 6.26) / 1.1 = -5.09; what 60 dB add brings it above 0."""
    made = told(grown(JOINT))
    assert [(each.epoch, each.members, each.answers_taken) for each in made.looks] == [
        (epoch + 1, 6 + epoch, 1000.0 * epoch) for epoch in range(5)
    ]
    scores = [each.scores["extraction"] for each in made.looks]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1] > 0) == (-5.09, True)
    assert made.scores == {"extraction": scores[-1]}
    assert made.highest["extraction"][0] == scores[-1]
    crossed = [(step.crossed, step.request) for step in made.path if "reached" in step.what]
    first = next(at for at, score in enumerate(scores) if score >= 0)
    assert (("score.extraction >= -12 dB",), "R0-0") in crossed
    assert (("score.extraction.campaign >= 0 dB",), f"R{first}-0") in crossed
    assert all(each.campaign for step in made.path for each in step.addends)
    assert any("that members of one pool so seldom asked the same: 60 dB" in each.words for each in made.peaks)


def test_exposure_before_and_after_the_first_action() -> None:
    made = told(grown(JOINT))
    tag = made.firsts[0]
    assert (tag.action, tag.done, tag.account, tag.request) == ("tag", True, "a0", "R0-0")
    slow = next(each for each in made.firsts if each.action == "throttle")
    assert slow.requests_before + slow.requests_after == 30
    assert slow.output_before + slow.output_after == 15_000
    assert (slow.look.answers_taken, slow.look.recipe_units) == (1000.0, 1.0)
    text = " ".join(to_text(made).split())
    assert f"{slow.requests_before} requests and {slow.output_before:,} output tokens as members before it" in text
    assert "until then: 1,000 answers of the last week, 4,000 at the end; 1 recipe units, 4 at the end" in text


def test_rules_at_work_are_told_with_the_first_member_they_met() -> None:
    made = told(grown(JOINT))
    watch = next(each for each in made.rules if each.rule == "watch")
    assert (watch.requests, watch.request, watch.account) == (30, "R0-0", "a0")
    assert {each.rule for each in made.rules} == {"watch", "slow-down", "recipe"}


def test_what_speaks_for_the_members_and_what_does_not() -> None:
    rows: list[Row] = [judged(JOINT, campaign(CALM))]
    made = told(rows)
    assert {each.name.removeprefix("campaign."): each.speaks for each in made.spoken} == {
        "overlap": False,
        "dispersion": False,
        "balance": True,
        "exclusive_share": False,
        "born_share": False,
        "marked": True,
        "conversation_share": False,
    }
    text = to_text(made)
    for_, against = text.index("What speaks for its members"), text.index("What could speak for them")
    assert for_ < text.index("as people of one time zone are; here 2.5") < against
    assert against < text.index("the members do little else than follow the recipe; here 95%")
    assert "-3.00 dB  load-balanced" not in text[: text.index("argued against by")]
    assert [each.line for each in made.against] == ["load-balanced"]
    assert list(made.alike) == [
        "X1 a recipe that is shared",
        "X2 a partition",
        "X3 load balancing or lock-step",
        "X7 weak evidence, pooled",
    ]
    assert NOT_A_PERSON in made.notes


def test_readings_are_told_at_last_and_at_first() -> None:
    made = told(grown(JOINT))
    assert any(each.endswith("asked the same: 60 dB; at first 0 dB") for each in made.readings)
    assert "30% of members bear a mark (12 of 40)" in made.readings


def test_a_campaign_that_no_card_scores_is_told_all_the_same() -> None:
    made = told([judged(JOINT, campaign(owners=4))])
    assert (made.scores, made.path, made.highest) == ({}, (), {})
    text = to_text(made)
    assert "No scorecard counts of it" in text
    assert "this one has 4: it has none" in " ".join(text.split())


def test_without_the_policy_s_text_numbers_stay_and_words_go() -> None:
    made = told(grown(JOINT), None)
    assert made.highest == told(grown(JOINT)).highest
    assert [step.what for step in made.path] == [("first",), ("highest",), ("last",)]
    assert {each.words for each in made.peaks} == {""}
    assert to_text(made)


def test_what_interrupts_it_is_told_and_other_campaigns_are_not_its() -> None:
    rows: list[Row] = [*grown(JOINT), Opened(1, NOW, "0"), Gap(2, NOW, 5), Erased(3, NOW, "ruled", "00")]
    rows.append(judged(JOINT, campaign(id="campaign-other")))
    made = told(rows)
    assert (made.starts, made.gaps, made.erased, made.requests) == (1, 1, 1, 30)
    assert Campaigned("campaign-nobody").story() is None
    assert told(rows, name="campaign-other").requests == 1


def test_every_table_has_a_bound(monkeypatch: Any) -> None:
    for name in ("MAX_MEMBERS", "MAX_SHOTS", "MAX_NAMES", "MAX_OPEN"):
        monkeypatch.setattr(campaign_story, name, 4)
    monkeypatch.setattr(story_path, "MAX_CARDS", 4)
    rows: list[Row] = []
    for number in range(60):
        lines = {"c": {f"e{number}": 1.0, f"f{number}": -1.0}}
        verdict = Verdict(rules=(f"r{number}",), campaign={f"c{number}": 1.0 * number}, together=lines)
        facts = Facts(Caller(f"a{number}"), judged(JOINT, None).facts.seen, campaign=campaign(epoch=number))
        rows.append(Ruled(number, NOW + number, f"R{number}", f"d{number}", facts, verdict))
    made = told(rows, None)
    assert (made.requests, made.further) == (60, 56)
    tables = (made.members, made.rules, made.policies, made.peaks, made.against, made.highest)
    assert max(map(len, tables)) <= 4
    assert made.unfinished <= 4
    epochs = [each.epoch for each in made.looks]
    assert len(epochs) <= 6
    assert (epochs[0], epochs[-1]) == (0, 59)  # the first and the last are always there
    assert "56 requests of further accounts" in to_text(made)


def test_snapshots_in_between_are_spread_over_the_whole_time() -> None:
    rows: list[Row] = [judged(JOINT, campaign(epoch=number), at=number * HOUR) for number in range(1000)]
    epochs = [each.epoch for each in told(rows).looks]
    assert 30 <= len(epochs) <= campaign_story.MAX_SHOTS + 1
    assert len({after - before for before, after in pairwise(epochs[:-1])}) == 1


def test_nothing_that_a_terminal_could_obey_passes_and_lines_are_short() -> None:
    rows = grown(JOINT)
    assert max(map(len, to_text(told(rows)).splitlines())) <= 100
    facts = msgspec.structs.replace(judged(JOINT, None).facts, campaign=campaign(id="c\x1b[2J"))
    bad = Verdict(rules=("r\x9b",), campaign={"c\x07": 1.0}, together={"c\x07": {"e\u202e": 1.0}})
    text = to_text(told([Ruled(1, NOW, "R\x1b", "d\x1b", facts, bad)], None, "c\x1b[2J"))
    assert all(letter.isprintable() or letter == "\n" for letter in text)


# a member's own story


def test_a_members_story_says_from_when_to_when_and_what_its_campaign_came_to() -> None:
    made = account(grown(JOINT), "a3")
    (whole,) = made.campaigns
    assert (whole.id, whole.requests, whole.members, whole.membership) == (ID, 5, 10, -0.3)
    assert (whole.first[:19], whole.last[:19]) == ("2026-09-21T14:13:23", "2026-09-21T18:13:23")
    text = " ".join(story_text(made).split())
    assert f"Campaign {ID}: in 5 of its 5 requests" in text
    assert "93.3% of this account's requests follow the recipe: membership -0.3 dB" in text
    assert f"gauger explain campaign {ID} tells of it as a whole" in text
    assert NOT_A_PERSON in text
    assert account(grown(JOINT), "a0").requests == 6  # one of them before


def test_the_path_tells_whose_score_it_was() -> None:
    """The account's own, then its campaign's, which speaks with all members' lines and the account's own excuse."""
    rows: list[Row] = [
        judged(JOINT, None, old=True, request="R0"),
        judged(JOINT, campaign(), old=True, request="R1", at=HOUR),
        judged(JOINT, campaign(), -20.0, old=False, request="R2", at=2 * HOUR, read={"generation_share.hits": 90.0}),
    ]
    made = account(rows, "acct_7")
    steps = {step.request: step for step in made.path}
    assert [steps[name].shared for name in ("R0", "R1", "R2")] == [False, True, False]
    assert {each.line for each in steps["R1"].addends if each.campaign} == {
        "generates",
        "output-gain",
        "one-pool",
        "load-balanced",
        "marked-members",
    }
    assert [(each.line, each.db) for each in steps["R1"].addends if not each.campaign] == [("established", -6.0)]
    assert not any(each.campaign for each in steps["R2"].addends)
    text = story_text(made)
    reached = "-6 dB, its campaign's: highest; reaches score.extraction >= -12 dB (watch) (in R1)"
    assert reached in " ".join(text.split())
    assert "(generates, of all members)" in text
    assert "one-pool of its campaign, in R1" in text


def test_without_the_policy_both_sides_lines_are_listed_where_the_record_does_not_tell() -> None:
    made = account([judged(JOINT, campaign(), old=True)], "acct_7", None)
    (step,) = made.path
    assert step.shared is None
    assert {each.line for each in step.addends if not each.campaign} == {"generates", "output-gain", "established"}
    assert "-6 dB, its own or its campaign's: first" in story_text(made)


def test_campaigns_of_an_account_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(story_campaigns, "MAX_CAMPAIGNS", 2)
    rows: list[Row] = [judged(JOINT, campaign(id=f"c{number}"), at=number * DAY) for number in range(5)]
    made = account(rows, "acct_7")
    assert ([each.id for each in made.campaigns], made.more_campaigned) == (["c0", "c1"], 3)
    assert "and 3 requests with further ones" in story_text(made)


def test_an_account_in_no_campaign_has_nothing_of_one_in_its_story() -> None:
    rows: list[Row] = [row := judged(JOINT, None), ended(row)]
    made = account(rows, "acct_7")
    assert made.campaigns == ()
    assert "ampaign" not in story_text(made)
