"""One small policy and requests whose numbers are easy to work out by hand, for tests of `gauger explain`."""

from typing import Any

from gateway.decide import AccountState, Facts, Outcome, judge
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.ledger.record import Adopted, Opened, Ruled, Settled
from gateway.observe import Observation
from gateway.policy.model import Policy
from gateway.quotas import Reading
from gateway.usage import Usage
from tests.rig import policy_of

NOW = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z
DAY = 86_400_000_000
REQUEST = "01K5P0ABCDEFGHJKMNPQRSTVWX"

POLICY = """
gauger: 1
policy: {id: acme, version: "3"}
plans: {free: {requests: 600 requests/min, output: 8k tokens/min}}
limits:
  - {id: key-requests, by: [account], count: requests, rate: plan.requests, burst: 20 requests}
  - {id: acct-output, by: [account], count: tokens.output, rate: plan.output}
scorecards:
  - id: extraction
    prior: -30 dB
    families: {params: {ceiling: 20 dB, correlation: 50%}, content: 25 dB, account: 12 dB}
    needs: week.requests >= 20
    evidence:
      - {id: asks-logprobs, family: params, when: req.logprobs, points: 18 dB}
      - {id: many-choices, family: params, when: req.n >= 4, points: 15 dB}
      - {id: long-answers, family: content, when: day.output_tokens / day.input_tokens >= 5, points: 21 dB}
      - {id: newcomer, family: account, when: account.tenure < 3d, points: 3 dB}
      - {id: partner, family: account, when: '"partner" in account.labels', points: -6 dB}
rules:
  - {id: watch, when: score.extraction >= -10 dB, then: {tag: [watched]}}
  - id: slow-down
    when: score.extraction >= 0 dB
    then: {throttle: {limit: acct-output, to: 25%, for: 30 min}, clamp: {logprobs: false}}
  - id: stop
    when: score.extraction >= 10 dB and week.requests >= 100
    then: {block: {status: 403, for: 1h}}
    owner: trust
  - {id: worse, when: score.extraction >= 16 dB, then: {block: {status: 403, for: 1h}}, mode: shadow}
  - {id: long, phase: response, when: resp.output_tokens >= 500, then: {tag: [long-answer]}}
exceptions:
  - id: red-team
    silences: [stop]
    when: account.id == "acct_red"
    becomes: tag
    expires: 2026-12-31
    owner: security
    reason: "contracted test"
  - id: over
    silences: [stop]
    when: account.id == "acct_9"
    becomes: tag
    expires: 2026-01-31
    owner: security
    reason: "an old test"
"""


def policy(*changes: tuple[str, str]) -> Policy:
    """The policy, with texts in it replaced."""
    text = POLICY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return policy_of(text)


def state(requests: float = 399.0, output: float = 700_000.0) -> AccountState:
    """An account that was first seen a day ago, with its last week of counts as of now."""
    slab, volume = PANEL.fresh(), PANEL.signals["volume"]
    slab.times[0] = NOW
    counted = {"requests": requests, "input_tokens": 100_000.0, "output_tokens": output}
    for at, (name, _) in zip(volume.at, volume.counters, strict=True):
        slab.counts[at] = counted.get(name.partition(".")[2], 0.0)
    return AccountState(first=NOW - DAY, last=NOW, requests=int(requests), signals=PANEL.pack(slab))


def ruled(
    by: Policy, *, before: AccountState | None = None, kill: bool = False, account: str = "acct_9", **seen: Any
) -> Ruled:
    """A chat completion with log-probabilities and four choices, judged."""
    asked: dict[str, Any] = {"dialect": "openai_chat", "op": "chat", "route": "/v1/chat/completions", "model": "gpt-4o"}
    asked |= {"n": 4, "logprobs": 2, "chars": 400, "messages": 2} | seen
    facts = Facts(Caller(account, plan="free"), Observation(**asked), kill=kill)
    _, verdict = judge(by, before or state(), facts, NOW)
    return Ruled(3, NOW, REQUEST, by.digest, facts, verdict)


def settled(row: Ruled, **outcome: Any) -> Settled:
    """Its end: refused where the verdict refuses, else answered."""
    if row.verdict.refuse:
        end = Outcome("refused", row.verdict.effects.block, error=row.verdict.refuse)
    else:
        given: dict[str, Any] = {
            "limits": tuple(
                Reading(d.limit, d.unit, True, d.cost, d.capacity - d.cost, d.capacity) for d in row.verdict.draws
            ),
            "usage": Usage(100, 900, source="upstream"),
            "settled": {"acct-output": -100},
        } | outcome
        end = Outcome("done", 200, 200, **given)
    return Settled(4, NOW + 1_000_000, row.request, row.facts.caller.account, end)


def rows(by: Policy, row: Ruled, end: Settled) -> list[Any]:
    """A ledger of one request."""
    return [Opened(1, NOW, "0.1.0"), Adopted(2, NOW, by.digest, by.id, by.version, by.source, dict(by.files)), row, end]
