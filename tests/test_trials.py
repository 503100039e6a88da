"""A policy's own tests: what they can say, and that a wrong expectation fails with what came out."""

import pytest

from gateway.policy.loader import PolicyErrors
from gateway.stores.memory import MemoryLimits
from gateway.trials import Result, run
from tests.rig import policy_of

HEAD = """
gauger: 1
policy: {id: t, timezone: Europe/Berlin}
plans:
  free: {requests: 60 requests/min, output: 1k tokens/min, live: 2 requests, daily: 5 requests/day}
  pro: {extends: free, requests: 600 requests/min, live: unlimited, daily: unlimited}
identity: {plan: free}
limits:
  - {id: req, by: [key], count: requests, rate: plan.requests, burst: 20 requests}
  - {id: out, by: [account], count: tokens.output, rate: plan.output, reserve: {first: 100 tokens}}
  - {id: live, by: [account], count: concurrent, rate: plan.live}
  - {id: daily, by: [org], count: requests, rate: plan.daily, window: calendar, retry: never, status: 402}
scorecards:
  - id: x
    prior: -10 dB
    families: {params: 20 dB, content: 20 dB}
    evidence:
      - {id: probs, family: params, rate: logprobs_share, benign: {mean: 3%, rho: 0.1}}
      - {id: lab, family: content, when: '"lab" in account.labels', points: 15 dB}
rules:
  - {id: watch, when: score.x >= 0 dB, then: {tag: [w]}}
  - {id: many, when: req.n > 2, then: {clamp: {n: 2}}}
  - {id: busy, when: hour.requests > 30, then: {throttle: {limit: req, to: 50%}}}
  - {id: stop, when: score.x >= 10 dB, then: {block: {code: no}}, mode: shadow}
  - {id: night, when: req.n >= 1, then: {tag: [night]}, active: {hours: "22:00-06:00"}}
  - {id: young, when: account.age < 1d, then: {block: {code: too_young}}}
  - {id: long, phase: response, when: resp.output_tokens > 500, then: {tag: [long]}}
  - {id: sent-off, phase: response, when: resp.status == 429, then: {tag: [sent-off]}}
  - {id: paid, phase: response, when: resp.status == 402, then: {tag: [paid]}}
  - {id: slow, phase: response, when: resp.end == "timeout", then: {tag: [slow]}, mode: shadow}
exceptions:
  - {id: deal, silences: [young], when: account.id == "vip", expires: 2026-03-31, owner: me, reason: a deal}
tests:
"""


def results(tests: str) -> list[Result]:
    return run(policy_of(HEAD + tests), MemoryLimits)


GOOD = [
    "{name: t, given: {score: {x: 3 dB}}, expect: {action: tag, rules: [watch], tags: [w], score: {x: 3 dB}}}",
    "{name: t, given: {score.x: 12 dB}, expect: {action: tag, verdict: tag, shadow: []}}",
    "{name: t, given: {score.x: 12 dB, score.x.families: 2}, expect: {verdict: block, shadow: [stop], action: tag}}",
    "{name: t, given: {account: {labels: [lab]}}, expect: {score: {x: 5 dB}, rules: [watch]}}",
    "{name: t, given: {logprobs_share: {hits: 0, of: 0}}, expect: {score: {x: -10 dB}}}",
    "{name: t, given: {req: {n: 5}}, expect: {action: clamp, clamp: {n: 2}, rules: [many]}}",
    "{name: t, given: {req.n: 2}, expect: {action: allow, clamp: {n: null}}}",
    "{name: t, given: {hour: {requests: 31}}, expect: {action: throttle, throttle: {req: 50%}}}",
    "{name: t, expect: {action: allow, missing: [req.n, hour.requests], missing: [young]}}".replace(
        ", missing: [young]", ""
    ),
    "{name: t, given: {req: {n: 1}}, at: 2026-11-01T23:30:00, expect: {tags: [night]}}",
    "{name: t, given: {req: {n: 1}}, at: '2026-11-01T21:30:00Z', expect: {tags: [night]}}",
    "{name: t, given: {req: {n: 1}}, at: 2026-11-01T12:00:00, expect: {tags: []}}",
    "{name: t, given: {account: {age: 2h}}, expect: {action: block, status: 403}}",
    "{name: t, given: {account: {id: vip, age: 2h}}, expect: {action: tag, excepted: [young], tags: [young]}}",
    "{name: t, given: {account: {id: vip, age: 2h}}, at: 2026-04-01T00:00:00, expect: {action: block, excepted: []}}",
    "{name: t, send: {times: 21}, expect: {allowed: 10, first_refused: {at: 11, limit: out, status: 429}}}",
    "{name: t, send: {times: 21, usage: {output: 0}}, expect: {action: limit, allowed: 20,"
    " first_refused: {at: 21, limit: req, retry_after: 1 s, code: rate_limit_exceeded}}}",
    "{name: t, send: {times: 3, finish: never}, expect: {allowed: 2, first_refused: {limit: live}}}",
    "{name: t, given: {account: {plan: pro}}, send: {times: 9, finish: never}, expect: {allowed: 9}}",
    "{name: t, send: {times: 3, every: 1 s, finish: 2 s, usage: {output: 1}}, expect: {allowed: 3}}",
    "{name: t, send: {times: 40, every: 10 s, usage: {output: 1}}, expect: {action: throttle, rules: [busy]}}",
    "{name: t, given: {account: {org: o}}, send: {times: 6, every: 1h, usage: {output: 1}},"
    " expect: {first_refused: {at: 6, limit: daily, code: quota_exhausted}}}",
    "{name: t, given: {account: {age: 2h}}, send: {times: 2}, expect: {allowed: 0, action: block,"
    " first_refused: {at: 1, status: 403, code: too_young}}}",
    "{name: t, given: {req: {n: 4}}, send: {times: 1}, expect: {action: clamp, allowed: 1, clamp: {n: 2}}}",
    "{name: t, given: {resp: {output_tokens: 501}}, expect: {action: tag, rules: [long], tags: [long], shadow: [],"
    " missing: [slow]}}",
    "{name: t, given: {resp: {output_tokens: 500, end: timeout}}, expect: {action: allow, verdict: tag, rules: [],"
    " shadow: [slow]}}",
    "{name: t, given: {req.n: 5, resp.output_tokens: 600}, expect: {action: clamp, rules: [long, many], tags: [long]}}",
    "{name: t, send: {times: 2, usage: {output: 501}}, expect: {action: tag, rules: [long], tags: [long]}}",
    "{name: t, send: {times: 2, finish: 9 s, usage: {output: 501}}, expect: {action: tag, rules: [long]}}",
    "{name: t, send: {times: 2, finish: never, usage: {output: 501}}, expect: {action: allow, rules: []}}",
    "{name: t, given: {req.n: 1}, expect: {action: allow, rules: []}}",
    "{name: t, send: {times: 21, usage: {output: 0}}, expect: {action: limit, rules: [sent-off]}}",
    "{name: t, given: {account.org: o}, send: {times: 6, usage: {output: 0}}, expect: {action: limit, rules: [paid]}}",
]


@pytest.mark.parametrize("test", GOOD)
def test_what_comes_out_can_be_said(test: str) -> None:
    assert [result.failures for result in results(f"  - {test}")] == [()]


BAD = {
    "{name: t, given: {score: {x: 3 dB}}, expect: {action: block}}": "action: expected block, got tag",
    "{name: t, given: {score: {x: 3 dB}}, expect: {rules: []}}": "rules: expected [], got [watch]",
    "{name: t, given: {account: {labels: [lab]}}, expect: {score: {x: 9 dB}}}": (
        "score.x: expected 9 dB, got 5 dB (lab +15)"
    ),
    "{name: t, given: {score: {x: 3 dB}}, expect: {missing: [score.x]}}": (
        "missing: expected `score.x` among [account.age, hour.requests, req.n]"
    ),
    "{name: t, given: {req: {n: 5}}, expect: {clamp: {n: 1}}}": "clamp.n: expected 1, got 2",
    "{name: t, expect: {throttle: {req: 50%}}}": "throttle.req: expected 0.5, got 1",
    "{name: t, expect: {status: 403}}": "status: expected 403, got 200",
    "{name: t, send: {times: 1}, expect: {first_refused: {at: 2}}}": (
        "first_refused: expected a refusal, and nothing was refused"
    ),
    "{name: t, send: {times: 21, usage: {output: 0}}, expect: {first_refused: {retry_after: 9 s}}}": (
        "first_refused.retry_after: expected 9 s, got 1 s"
    ),
    "{name: t, send: {times: 21, usage: {output: 0}}, expect: {first_refused: {limit: out}}}": (
        "first_refused.limit: expected out, got req"
    ),
    "{name: t, send: {times: 2}, expect: {allowed: 1}}": "allowed: expected 1, got 2",
}


@pytest.mark.parametrize("test, failure", BAD.items())
def test_a_wrong_expectation_says_what_came(test: str, failure: str) -> None:
    (result,) = results(f"  - {test}")
    assert result.failures == (failure,)
    assert not result.ok


def test_each_test_begins_afresh() -> None:
    one = "{name: NAME, send: {times: 20, usage: {output: 0}}, expect: {allowed: 20}}"
    assert all(result.ok for result in results("".join(f"  - {one.replace('NAME', name)}\n" for name in "abc")))


def test_a_result_names_the_rules_that_held_in_any_mode_and_the_exceptions_used() -> None:
    first, second = results(
        "  - {name: a, given: {score.x: 12 dB, score.x.families: 2}, expect: {}}\n"
        "  - {name: b, given: {account: {id: vip, age: 2h}}, expect: {}}\n"
    )
    assert first.rules == ("stop", "watch")
    assert second.excepted == ("deal",)


def test_with_send_the_rules_of_every_request_count() -> None:
    (result,) = results("  - {name: a, send: {times: 40, every: 10 s, usage: {output: 1}}, expect: {}}\n")
    assert result.rules == ("busy",)
    (result,) = results(
        "  - {name: a, given: {req: {n: 3}}, send: {times: 2, every: 24h, usage: {output: 1}}, expect: {}}\n"
    )
    assert result.rules == ("many",)


def test_the_requests_of_all_tests_are_bounded() -> None:
    one = "  - {name: NAME, send: {times: 60000}, expect: {}}\n"
    with pytest.raises(PolicyErrors) as caught:
        results(one.replace("NAME", "a") + one.replace("NAME", "b"))
    assert [finding.message for finding in caught.value.findings] == ["the tests send more than 100000 requests in all"]
