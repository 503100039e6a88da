"""A verdict that a campaign took part in, from its record alone: replayed exactly, and rescored by another policy."""

import msgspec
import pytest

from gateway.campaigns import Campaign
from gateway.campaigns.tables import Campaigns
from gateway.decide import Facts, Outcome
from gateway.ledger.record import Adopted, Opened, Row, Ruled, Settled, decode, encode
from gateway.ledger.steps import Steps, refused
from gateway.usage import Usage
from tests.campaigns.worlds import SECOND, T0, called, fill
from tests.ledger.ledgers import fresh, policy_of, replayed

replace = msgspec.structs.replace

POLICY = """
gauger: 1
policy: {id: made}
limits:
  - {id: cup, by: [campaign], count: requests, rate: 30 requests/min, burst: 30 requests}
scorecards:
  - id: x
    of: [account, campaign]
    prior: {account: -30 dB, campaign: -20 dB}
    families: {campaign: 30 dB, content: 20 dB, account: 6 dB}
    evidence:
      - {id: shared, family: campaign, read: campaign.exclusive_share, points: {0%: 0 dB, 100%: 25 dB}}
      - {id: elicits, family: content, read: elicitation_share, points: {0%: 0 dB, 100%: 9 dB}}
      - {id: new, family: account, when: account.tenure < 3d, points: 2 dB}
rules:
  - {id: watch, when: score.x >= -12 dB, then: {tag: [watched]}}
  - {id: slow, when: score.x >= 0 dB and campaign.members >= 10, then: {throttle: {limit: cup, to: 50%}}}
"""
OTHER = POLICY.replace("100%: 25 dB", "100%: 5 dB").replace("id: made", "id: other")


class Live:
    """A gateway with tables, that writes rows."""

    def __init__(self, text: str = POLICY) -> None:
        self.policy = policy_of(text)
        opened = Opened(1, T0, "test")
        self.rows: list[Row] = [
            opened,
            Adopted(2, T0, self.policy.digest, self.policy.id, source="made.yaml", files={"made.yaml": text}),
        ]
        self.steps = Steps(*fresh(opened))
        self.tables = Campaigns(self.steps.row_of)
        self.now = T0

    def ask(self, account: str, frame: object, *, age: float = 0, **fields: object) -> None:
        """A request, and a second later its answer."""
        who, name = called(account, age=age), f"r{len(self.rows)}"
        seen = fill(frame, name, **fields)  # type: ignore[arg-type]
        facts = Facts(who, seen, self.steps.known(account), False, "", 0, False, *self.tables.look(account))
        self.now += SECOND
        verdict = self.steps.judge(self.policy, facts, self.now)
        self.rows.append(Ruled(len(self.rows) + 1, self.now, name, self.policy.digest, facts, verdict))
        drawn = self.steps.draw(name, verdict, self.now)
        end = refused(self.policy, facts, verdict, drawn)
        if end is None:
            assert drawn is not None
            self.now += SECOND
            end = Outcome("done", 200, 200, Usage(50, 200, source="upstream"), drawn.readings)
            self.tables.saw(who, seen, self.now)
        settled, reflection = self.steps.settle(self.policy, name, facts, verdict, end, self.now)
        end = replace(end, settled=settled)
        self.rows.append(Settled(len(self.rows) + 1, self.now, name, account, end, reflection))


@pytest.fixture(scope="module")
def live() -> Live:
    made = Live()
    for at in range(30):
        for _ in range(3):
            made.ask(f"old-{at}", f"own {at}", age=400)
    for turn in range(12):
        for at in range(12):
            made.ask(f"head-{at}", "hydra", params="rare", client="rare", marks=("one_shot", "elicits"))
        if turn == 3:
            made.tables.settle()
    return made


def linked(rows: list[Row]) -> list[Ruled]:
    return [row for row in rows if isinstance(row, Ruled) and row.facts.campaign is not None]


def test_a_campaign_took_part(live: Live) -> None:
    found = linked(live.rows)
    assert len(found) >= 12 * 7
    (first, *_), last = found, found[-1]
    campaign = first.facts.campaign
    assert campaign is not None
    assert campaign.linked
    assert last.facts.campaign is not None
    assert last.facts.campaign.members == 12
    lines = last.verdict.together["x"]
    assert last.verdict.campaign == {"x": pytest.approx(-20 + sum(lines.values()), abs=0.02)}
    assert last.verdict.scores == last.verdict.campaign
    assert {"watch", "slow"} == set(last.verdict.rules)
    assert {row.facts.caller.account for row in found} == {f"head-{at}" for at in range(12)}


def test_the_row_holds_the_snapshot_whole(live: Live) -> None:
    for row in linked(live.rows):
        again = decode(encode(row))
        assert isinstance(again, Ruled)
        assert again.facts.campaign == row.facts.campaign
        assert again.verdict == row.verdict


def test_the_same_policy_agrees_on_every_row(live: Live) -> None:
    replay, judged = replayed(live.rows)
    assert (replay.tally.differences, replay.tally.compared) == (0, sum(isinstance(row, Ruled) for row in live.rows))
    assert len(judged) == replay.tally.compared


def test_a_snapshot_that_was_changed_is_found(live: Live) -> None:
    rows = list(live.rows)
    at = next(at for at, row in enumerate(rows) if isinstance(row, Ruled) and row.facts.campaign is not None)
    row = rows[at]
    assert isinstance(row, Ruled)
    campaign = row.facts.campaign
    assert campaign is not None
    softer = replace(campaign, readings={**campaign.readings, "exclusive_share": 0.1})
    rows[at] = replace(row, facts=replace(row.facts, campaign=softer))
    assert replayed(rows)[0].tally.differences >= 1


def test_another_policy_scores_the_snapshot_anew(live: Live) -> None:
    """What was 25 dB is 5: the campaign's score falls by 20 dB, for each of its members, and nobody else's changes."""
    _, judged = replayed(live.rows, policy_of(OTHER))
    assert len(judged) == sum(isinstance(row, Ruled) for row in live.rows)
    for each in judged:
        was, now = each.ruled.verdict, each.verdict
        if each.ruled.facts.campaign is None:
            assert (now.scores, now.campaign) == (was.scores, {})
        else:
            worth = each.ruled.verdict.together["x"]["shared"]
            assert now.together["x"]["shared"] == pytest.approx(worth / 5, abs=0.02)
            assert now.campaign["x"] == pytest.approx(was.campaign["x"] - 0.8 * worth, abs=0.05)
            assert "slow" not in now.rules


def test_a_replay_links_nobody(live: Live) -> None:
    """Without the snapshots there are no campaigns: judging never reads the tables."""
    rows = [
        replace(row, facts=replace(row.facts, campaign=None, membership=0.0)) if isinstance(row, Ruled) else row
        for row in live.rows
    ]
    _, judged = replayed(rows, policy_of(OTHER))
    assert all(not each.verdict.campaign for each in judged)


def test_an_old_row_knows_no_campaign() -> None:
    made = Live()
    made.ask("a", "frame")
    row = made.rows[2]
    assert isinstance(row, Ruled)
    assert (row.facts.campaign, row.facts.membership) == (None, 0.0)
    assert b"campaign" not in encode(row)
    assert isinstance(decode(encode(row)), Ruled)


def test_a_campaign_s_limit_is_one_cell_for_all_its_members() -> None:
    """A cup of 30 a minute, halved: twelve heads that ask once a second together are let in as one."""
    made = Live()
    for at in range(30):
        for _ in range(3):
            made.ask(f"old-{at}", f"own {at}", age=400)
    for _ in range(4):
        for at in range(12):
            made.ask(f"head-{at}", "hydra", params="rare", client="rare", marks=("one_shot", "elicits"))
    made.tables.settle()
    begun, start = len(made.rows), made.now
    while made.now < start + 300 * SECOND:
        made.ask(f"head-{len(made.rows) // 2 % 12}", "hydra", params="rare", client="rare")
    ends = [row for row in made.rows[begun:] if isinstance(row, Settled)]
    served = sum(row.outcome.end == "done" for row in ends)
    ruled = linked(made.rows[begun:])
    cells = {draw.key for row in ruled for draw in row.verdict.draws if draw.limit == "cup"}
    assert len({row.facts.caller.account for row in ruled}) == 12
    assert len(cells) == 1
    campaign = ruled[0].facts.campaign
    assert isinstance(campaign, Campaign)
    assert campaign.id in next(iter(cells))
    assert 0 < served <= 15 + 5 * 15 + 1  # the burst, and five minutes of a half
    assert len(ends) - served > 50
    for at in range(3):  # whoever is in no campaign doesn't meet it
        made.ask(f"old-{at}", f"own {at}", age=400)
    last = made.rows[-2]
    assert isinstance(last, Ruled)
    assert not [draw for draw in last.verdict.draws if draw.limit == "cup"]
