"""What a shared store is told of a policy's limits."""

from gateway.policy.sharing import sharing_of
from tests.rig import policy_of

POLICY = """
gauger: 1
policy: {id: shared, mode: enforce}
plans:
  default: {requests: 60 requests/min}
  paid: {requests: unlimited}
limits:
  - {id: of-key, by: [key, model], count: requests, rate: plan.requests, on_store_error: closed}
  - {id: of-org, by: [org], count: requests, rate: 600 requests/min}
  - {id: of-model, by: [model], count: tokens.total, rate: 1M tokens/min, on_store_error: open}
  - {id: of-campaign, by: [campaign, model], count: tokens.output, rate: 20M tokens/day}
"""


def test_a_limit_that_names_no_owner_crosses_owners() -> None:
    assert sharing_of(policy_of(POLICY)).crossing == {"of-model", "of-campaign"}


def test_each_limit_says_what_holds_while_the_store_is_away() -> None:
    stances = sharing_of(policy_of(POLICY)).stances
    assert stances == {"of-key": "closed", "of-org": "local", "of-model": "open", "of-campaign": "local"}


def test_a_policy_without_limits_shares_nothing() -> None:
    found = sharing_of(policy_of("gauger: 1\npolicy: {id: open, mode: enforce}\n"))
    assert not found.stances and not found.crossing
