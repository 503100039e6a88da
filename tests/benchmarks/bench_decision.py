"""What a decision costs: µs a scorecard, and a whole judgement with 10 and with 100 rules.

    python tests/benchmarks/bench_decision.py

Everything is measured in one run on one core; the draw from the limits and the record's encoding are not in it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from gateway.decide import AccountState, Facts, judge
from gateway.identity import Caller
from gateway.observe import Observation
from gateway.policy.loader import load
from gateway.policy.model import Policy

NOW = 1_800_000_000_000_000
CHAT = Observation(op="chat", model="m", messages=3, chars=2000, n=1, max_tokens=800, temperature=0.7)
KNOWN = Caller("a1", "k1", created=1_700_000_000, known=True, labels=("evaluator",))
STRANGER = Caller("key-0123456789abcdef", "k1")
LIMITS = """
plans: {free: {output: 8k tokens/min}}
limits: [{id: out, by: [account], count: tokens.output, rate: plan.output}]
"""
CARD = """
scorecards:
  - id: x
    prior: -30 dB
    families: {params: 20 dB, account: 12 dB, timing: 10 dB}
    evidence:
      - {id: probs, family: params, rate: logprobs_share, benign: {mean: 3%, rho: 0.1}}
      - {id: many, family: params, rate: choices_share, benign: {mean: 4%, rho: 0.1}}
      - {id: heavy, family: timing, read: day.output_tokens / day.input_tokens, points: {1: -2 dB, 3: 0 dB, 10: 3 dB}}
      - {id: busy, family: timing, read: day.requests, points: {200: 0 dB, 2k: 3 dB, 20k: 5 dB}}
      - {id: new, family: account, when: account.tenure < 3d, points: 3 dB}
      - {id: known, family: account, when: account.known and account.age >= 90d, points: -6 dB}
"""
FULL = {
    "week.requests": 400.0,
    "day.requests": 390.0,
    "day.output_tokens": 9e5,
    "day.input_tokens": 1e5,
    "logprobs_share.hits": 300.0,
    "logprobs_share.of": 400.0,
    "choices_share.hits": 3.0,
    "choices_share.of": 400.0,
    "account.tenure": 1e4,
    "account.known": True,
    "account.age": 1e7,
}


def rules(count: int) -> str:
    """Six terms each; a quarter of them asks for what a new account lacks, none of them holds."""
    lines = ["rules:"]
    for at in range(count):
        when = (
            f"hour.requests > {10_000 + at} and day.output_tokens > 2M and score.x >= {10 + at} dB "
            f"and account.age < {30 + at}d and req.n > 1 and account.plan == 'free'"
        )
        if at % 4 == 1:
            when = (
                f"account.age < {30 + at}d and account.org == 'o{at}' and limit.out.used > 50% "
                f"and score.x < {at} dB and req.n > 1 and hour.requests > 3"
            )
        if at % 4 == 2:
            when = (
                f"(req.temperature > 2 or hour.requests > 10k or req.n > {at + 9}) "
                "and (req.logprobs or req.stream or req.tools > 5)"
            )
        lines.append(f'  - {{id: r{at}, when: "{when}", then: {{tag: [t{at}]}}}}')
    return "\n".join(lines)


def policy(text: str) -> Policy:
    return load(f"gauger: 1\n{LIMITS}{text}", "bench.yaml", lambda name: b"")


def measure(what: Callable[[], object], rounds: int = 1000) -> float:
    """µs a call: the best of seven runs."""
    best = float("inf")
    for _ in range(7):
        began = perf_counter_ns()
        for _ in range(rounds):
            what()
        best = min(best, (perf_counter_ns() - began) / rounds / 1000)
    return best


def main() -> None:
    plain, card_only = policy(""), policy(CARD)
    state = AccountState()
    for _ in range(50):
        state, _ = judge(card_only, state, Facts(KNOWN, CHAT), NOW)
    known, stranger = Facts(KNOWN, CHAT), Facts(STRANGER, CHAT)
    base = measure(lambda: judge(plain, state, known, NOW))
    print(f"judge, 1 limit, no rules                          {base:6.1f} µs")
    for count in (10, 100):
        found = policy(CARD + rules(count))
        engine = found.engine
        strict = engine.strict()
        nothing = strict.given({})

        def judged(facts: Facts, found: Policy = found) -> Callable[[], object]:
            return lambda: judge(found, state, facts, NOW)

        print(f"judge, 6-line card and {count:3} rules, known account   {measure(judged(known), 300):6.1f} µs")
        print(f"judge, the same, what a new account lacks missing {measure(judged(stranger), 300):6.1f} µs")
        missing = measure(lambda strict=strict, nothing=nothing: strict.rule(nothing, CHAT, NOW), 300)  # type: ignore[misc]
        print(f"the rules alone, everything missing               {missing:6.1f} µs")
    engine = card_only.engine.strict()
    values = engine.given(FULL)
    print(f"a scorecard of 6 lines, all of them counting      {measure(lambda: engine.score(list(values))):6.1f} µs")


if __name__ == "__main__":
    main()
