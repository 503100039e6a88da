"""Owners that are scored by hand: requests at their end, with the scores that a judge would have given them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from gateway.calibrate.owners import DAY, Owners
from gateway.decide import Facts, Reflection, Verdict
from gateway.identity import Caller
from gateway.ledger.record import Ruled
from gateway.ledger.replay import Judged
from gateway.observe import Observation
from gateway.policy.loader import load
from gateway.policy.model import Policy

START = 1_700_000_000_000_000  # µs
CARD = """
gauger: 1
policy: {id: made}
scorecards:
  - id: theft
    prior: -30 dB
    families: {params: 30 dB, content: 30 dB}
    promise: PROMISE
    evidence:
      - {id: streams, family: params, rate: streamed_share, benign: {mean: 2%, rho: 0.2}}
      - {id: probs, family: params, when: req.logprobs, points: 9 dB}
      - {id: many, family: content, when: req.n > 1, points: 12 dB}
rules:
  - {id: look, when: score.theft >= -12 dB, then: {tag: [look]}}
  - {id: slow, when: score.theft >= 2 dB, then: {throttle: {delay: 1 s}}, owner: us}
"""
_NUMBERS = count(1)


def nothing(name: str) -> bytes:
    raise FileNotFoundError(2, "there is no such file", name)


def policy(promise: str = "{throttle: 1% of owners/month}", text: str = CARD) -> Policy:
    return load(text.replace("PROMISE", promise), "made.yaml", nothing)


def judged(
    account: str,
    score: float,
    day: float = 0.0,
    *,
    org: str | None = None,
    created: float | None = None,
    evidence: Mapping[str, float] | None = None,
    readings: Mapping[str, float] | None = None,
    **more: Any,
) -> Judged:
    """One request. `day` since the start, `created` days before it."""
    now = START + round(day * DAY)
    made = None if created is None else round((START - created * DAY) / 1e6)
    caller = Caller(account, org=org, created=made, known=True)
    counted = {"many": 1.0} if evidence is None else dict(evidence)
    verdict = Verdict(
        scores={"theft": score},
        evidence={"theft": counted} if counted else {},
        readings=dict(readings or {}),
        **more,
    )
    name = f"r{next(_NUMBERS)}"
    ruled = Ruled(0, now, name, "", Facts(caller, Observation()), verdict)
    return Judged(ruled, None, verdict, (), Reflection())


def owners(requests: Iterable[Judged], window: int = 30, by: Policy | None = None) -> Owners:
    made = Owners(window)
    made.adopt(by or policy())
    for each in requests:
        made.add(each)
    return made


def month(scores: Sequence[float], created: float | None = 200, prefix: str = "a") -> list[Judged]:
    """An owner a score, and thirty days of traffic of the first one."""
    found = [judged(f"{prefix}{at:04}", score, created=created) for at, score in enumerate(scores)]
    return found + [judged(f"{prefix}0000", -30.0, day, created=created) for day in range(30)]
