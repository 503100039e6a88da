"""A policy that scores accounts and campaigns, and requests of an account that is a member of one, as recorded."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.campaigns import Campaign
from gateway.decide import AccountState, Facts, Outcome, judge
from gateway.identity import Caller
from gateway.ledger.record import Adopted, Opened, Row, Ruled, Settled
from gateway.observe import Observation
from gateway.policy.model import Policy
from gateway.usage import Usage
from tests.rig import policy_of

NOW = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
HOUR = 3_600_000_000
DAY = 24 * HOUR
REQUEST = "01K5P0ABCDEFGHJKMNPQRSTVWX"
ID = "campaign-00000000aa"

POLICY = """
gauger: 1
policy: {id: joint, version: "1"}
plans: {default: {output: 40k tokens/min}}
limits:
  - {id: acct-output, by: [account], count: tokens.output, rate: plan.output}
scorecards:
  - id: extraction
    of: [account, campaign]
    prior: {account: -30 dB, campaign: -40 dB}
    families:
      content: {ceiling: 13 dB, correlation: 10%}
      response: {ceiling: 9 dB, correlation: 10%}
      timing: 4 dB
      account: 6 dB
      campaign: {ceiling: 24 dB, correlation: 10%}
    needs: week.requests >= 6
    evidence:
      - {id: generates, family: content, rate: generation_share, benign: {mean: 1%, rho: 0.12}, floor: 0 dB}
      - {id: old-matter, family: content, read: novel_share * coverage_growth, points: {40%: -6 dB, 80%: 0 dB}}
      - {id: output-gain, family: response, read: output_per_input, points: {1: 0 dB, 5: 8 dB}}
      - {id: newcomer, family: account, when: account.tenure < 3d and (account.age is missing or account.age < 3d),
         points: 2 dB}
      - {id: established, family: account, when: account.known and account.age >= 90d, points: -6 dB}
      - {id: even-pace, family: timing, rate: regular_share, benign: {mean: 8%, rho: 0.15}, ceiling: 3 dB, floor: 0 dB}
      - {id: one-pool, family: campaign, read: campaign.partition, points: {10: 0 dB, 30: 8 dB, 60: 15 dB}}
      - {id: load-balanced, family: campaign, read: campaign.balance,
         points: {0: 12 dB, 1.2: 4 dB, 1.7: 0 dB, 2.5: -3 dB}}
      - {id: marked-members, family: campaign, rate: campaign.marked, benign: {mean: 5%, rho: 0.3}, floor: 0 dB}
rules:
  - {id: watch, when: score.extraction >= -12 dB, then: {tag: [watched]}}
  - {id: slow-down, when: score.extraction >= -5 dB, then: {throttle: {limit: acct-output, to: 25%, for: 30 min}}}
  - {id: recipe, when: score.extraction.campaign >= 0 dB, then: {tag: [recipe]}}
  - {id: stop, when: score.extraction >= 10 dB, then: {block: {status: 403, for: 1h}}, mode: shadow}
"""

POOLED: dict[str, float] = {
    "week.requests": 3_980.0,
    "generation_share.hits": 3_000.0,
    "generation_share.of": 3_980.0,
    "novel_share.hits": 3_980.0,
    "novel_share.of": 3_980.0,
    "output_per_input": 4.0,
    "answers_taken": 3_800.4,
    "recipe_units": 3.801,
    "week.output_tokens": 1_900_000.0,
    "partition": 31.0,
    "overlap": 0.02,
    "dispersion": 1.1,
    "balance": 0.1,
    "exclusive_share": 0.95,
    "born_share.hits": 38.0,
    "born_share.of": 40.0,
    "marked.hits": 12.0,
    "marked.of": 40.0,
}
"""Of all members together."""
READ: dict[str, float] = {
    "week.requests": 100.0,
    "generation_share": 0.1,
    "generation_share.hits": 10.0,
    "generation_share.of": 100.0,
    "novel_share": 1.0,
    "coverage_growth": 1.0,
    "output_per_input": 4.0,
    "regular_share": 0.0,
    "regular_share.hits": 0.0,
    "regular_share.of": 100.0,
}
"""Of the account's past."""


def policy(*changes: tuple[str, str]) -> Policy:
    """The policy, with texts in it replaced."""
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return policy_of(text)


def campaign(readings: Mapping[str, float] = POOLED, **given: Any) -> Campaign:
    """Forty accounts of 38 owners, whose recipe came up five days ago."""
    made = Campaign(ID, 7, 40, 38, NOW - 5 * DAY, True, dict(readings))
    return msgspec.structs.replace(made, **given)


def judged(
    by: Policy,
    whole: Campaign | None,
    membership: float = -0.41,
    *,
    account: str = "acct_7",
    old: bool = False,
    read: Mapping[str, float | None] = READ,
    at: int = 0,
    request: str = REQUEST,
) -> Ruled:
    """A request of a member, judged. `old`: a customer of two hundred days."""
    now = NOW + at
    created = (now - 200 * DAY) // 1_000_000 if old else None
    caller = Caller(account, plan="default", created=created, known=old, key="k1")
    seen = Observation(dialect="openai_chat", op="chat", route="/v1/chat/completions", model="m", chars=90, messages=1)
    facts = Facts(caller, seen, campaign=whole, membership=membership if whole is not None else 0.0)
    _, verdict = judge(by, AccountState(first=now - 10 * DAY, last=now), facts, now, {**READ, **read})
    return Ruled(1, now, request, by.digest, facts, verdict)


def ended(row: Ruled, output: int = 500) -> Settled:
    """Its end: answered."""
    outcome = Outcome("done", 200, 200, usage=Usage(50, output, source="upstream"))
    return Settled(row.seq + 1, row.now + 1_000_000, row.request, row.facts.caller.account, outcome)


def begun(by: Policy) -> list[Row]:
    """How a ledger begins."""
    return [Opened(1, NOW, "0.1.0"), Adopted(2, NOW, by.digest, by.id, by.version, by.source, dict(by.files))]


def grown(by: Policy, accounts: int = 6, epochs: int = 5) -> list[Row]:
    """A ledger in which a campaign grows: its partition from 0 to 60 dB, its answers from 0 to 4,000.

    In each epoch each account asks once, an hour after the last. Before the first epoch one asks in no campaign.
    """
    rows = [*begun(by)]
    first = judged(by, None, account="a0", at=-HOUR, request="R-before")
    rows += [first, ended(first)]
    for epoch in range(epochs):
        part = epoch / max(1, epochs - 1)
        readings = {**POOLED, "partition": 60 * part, "answers_taken": 4_000 * part, "recipe_units": 4 * part}
        whole = campaign(readings, epoch=epoch + 1, members=accounts + epoch, owners=accounts + epoch)
        for number in range(accounts):
            at = epoch * HOUR + number * 1_000_000
            row = judged(by, whole, -number / 10, account=f"a{number}", at=at, request=f"R{epoch}-{number}")
            rows += [row, ended(row)]
    return rows
