"""A policy whose scorecard reads signals, and a request of an account that sweeps a set of questions, as recorded."""

from collections.abc import Mapping

from gateway.decide import AccountState, Facts, judge
from gateway.identity import Caller
from gateway.ledger.record import Ruled
from gateway.observe import Observation
from gateway.policy.model import Policy
from tests.ledger.explained import DAY, NOW
from tests.rig import policy_of

POLICY = """
gauger: 1
policy: {id: swept, version: "1"}
plans: {default: {output: 40k tokens/min}}
limits:
  - {id: acct-output, by: [account], count: tokens.output, rate: plan.output}
scorecards:
  - id: extraction
    prior: -30 dB
    families: {content: {ceiling: 25 dB, correlation: 30%}, timing: 10 dB, account: 12 dB}
    needs: week.requests >= 20
    evidence:
      - {id: elicits, family: content, rate: elicitation_share, benign: {mean: 3%, rho: 0.09}}
      - {id: one-frame, family: content, rate: template_share, benign: {mean: 50%, rho: 0.4},
         alternative: {mean: 90%, rho: 0.2}, ceiling: 3 dB}
      - {id: sweep, family: content, read: template_share * fresh_share, after: 50 requests,
         points: {0%: -3 dB, 50%: 0 dB, 90%: 3 dB, 98%: 5 dB}}
      - {id: talks, family: content, rate: conversation_share, benign: {mean: 40%, rho: 0.4},
         alternative: {mean: 2%, rho: 0.2}, floor: -8 dB}
      - {id: judges, family: content, rate: preference_share, benign: {mean: 1%, rho: 0.2}, floor: 0 dB}
      - {id: output-heavy, family: timing, read: day.output_tokens, points: {10k: -2 dB, 1M: 8 dB}}
      - {id: newcomer, family: account, when: account.tenure < 3d, points: 3 dB}
      - {id: established, family: account, when: account.tenure >= 90d, points: -6 dB}
      - {id: evaluator, family: account, when: '"evaluator" in account.labels', points: -10 dB}
rules:
  - {id: watch, when: score.extraction >= -15 dB, then: {tag: [watched]}}
  - {id: slow-down, when: score.extraction >= -5 dB, then: {throttle: {limit: acct-output, to: 25%, for: 30 min}}}
  - {id: stop, when: score.extraction >= 0 dB, then: {block: {status: 403, for: 1h}}, owner: trust}
"""

READ: dict[str, float] = {
    "week.requests": 430.0,
    "day.output_tokens": 1_200_000.0,
    "elicitation_share": 0.958,
    "elicitation_share.hits": 412.0,
    "elicitation_share.of": 430.0,
    "template_share": 0.963,
    "template_share.hits": 414.0,
    "template_share.of": 430.0,
    "fresh_share": 0.98,
    "conversation_share": 0.07,
    "conversation_share.hits": 30.0,
    "conversation_share.of": 430.0,
    "preference_share": 0.0,
    "preference_share.hits": 0.0,
    "preference_share.of": 430.0,
}
"""Of the account's past, as the record holds it."""


def policy(*changes: tuple[str, str]) -> Policy:
    """The policy, with texts in it replaced."""
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return policy_of(text)


def swept(
    by: Policy,
    read: Mapping[str, float | None] = READ,
    *,
    now: int = NOW,
    request: str = "01K5P0ABCDEFGHJKMNPQRSTVWX",
) -> Ruled:
    """One of its requests, judged. `read`: readings that are others than usual, by name."""
    seen = Observation(dialect="openai_chat", op="chat", route="/v1/chat/completions", model="m", chars=900, messages=1)
    facts = Facts(Caller("acct_7"), seen)
    _, verdict = judge(by, AccountState(first=NOW - DAY, last=NOW), facts, now, {**READ, **read})
    return Ruled(3, now, request, by.digest, facts, verdict)
