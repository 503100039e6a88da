"""What conditions cost, in µs, beside Google's CEL runtime in the same run.

By hand: python tests/benchmarks/bench_conditions.py
Each figure is the median of nine runs. A load of 100 conditions has six terms each, over 40 names that may be missing.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.policy.conditions.compiler import Slots, condition, quantity, ruleset
from gateway.policy.conditions.expressions import parse
from gateway.policy.conditions.interpreter import evaluate
from gateway.policy.conditions.ranges import verdict_of
from gateway.policy.conditions.typecheck import check
from gateway.policy.model import ListOf
from gateway.policy.names import Name

NAMES = {
    "score.extraction": Name("number", "", "dB", missing=True, level="score"),
    "account.age": Name("number", "", "duration"),
    "account.id": Name("text", ""),
    "account.tags": Name("texts", ""),
    "day.output_tokens": Name("number", "", "tokens", missing=True),
    "day.input_tokens": Name("number", "", "tokens", missing=True),
    "hour.template_share": Name("number", "", "share", missing=True),
    "req.model": Name("text", "", missing=True),
    **{f"x.n{index}": Name("number", "", "share", missing=True) for index in range(40)},
}
LISTS = {
    "frontier": ListOf("frontier", globs=("gpt-*", "claude-opus-*", "gemini-*-pro")),
    "partners": ListOf("partners", values=frozenset(f"acct_{index}" for index in range(1000))),
}
SIX = (
    "score.extraction >= 3 dB and account.age < 30d and day.output_tokens > 2M"
    " and day.output_tokens / day.input_tokens > 4 and hour.template_share >= 60% and account.id not in lists.partners"
)
PLAIN = " and ".join(f"x.n{index} > {index + 1}%" for index in range(6))
GLOB = "req.model in lists.frontier"
IN_CEL = (
    "score >= 3.0 && age < 2592000.0 && output > 2000000.0"
    " && output / input > 4.0 && share >= 0.6 && !(account in partners)"
)
VALUES = {
    "score.extraction": 4.5,
    "account.age": 86_400.0,
    "account.id": "acct_x",
    "account.tags": ("lab",),
    "day.output_tokens": 9_000_000,
    "day.input_tokens": 1_000_000,
    "hour.template_share": 0.9,
    "req.model": "gemini-3-pro",
    **{f"x.n{index}": 0.9 for index in range(40)},
}


def micros(call: Callable[[], object], number: int = 5_000) -> float:
    """The median over nine runs of what one call takes, in µs."""
    found = []
    for _ in range(9):
        start = time.perf_counter()
        for _ in range(number):
            call()
        found.append((time.perf_counter() - start) / number * 1e6)
    return statistics.median(found)


def row(what: str, cost: float) -> None:
    print(f"{what:<72}{cost:>10.2f} µs")


def one(text: str, answer: bool | None = True, **changed: Any) -> Callable[[], object]:
    """A condition over the values above, some of them changed; it must come to `answer`."""
    node, slots = parse(text), Slots(NAMES)
    check(node, NAMES, LISTS)
    call = condition(node, slots, NAMES, LISTS)
    values = [{**VALUES, **changed}[name] for name in slots.names]
    if call(values) is not answer:
        raise SystemExit(f"{text} is {call(values)}, not {answer}: another path would be measured")
    return lambda: call(values)


def rules(dice: random.Random, terms: int = 6) -> list[str]:
    """A hundred conditions of six terms; every second one has a name against a name or a quotient among them."""
    found = []
    for index in range(100):
        some = [f"x.n{n} > {dice.randrange(20, 90)}%" for n in dice.sample(range(40), terms)]
        if index % 2:
            a, b = dice.sample(range(40), 2)
            some[3] = f"x.n{a} / x.n{b} > 0.7" if index % 4 == 1 else f"x.n{a} >= x.n{b}"
        found.append(" and ".join(some) if index % 5 else f"({' or '.join(some[:3])}) and {' and '.join(some[3:])}")
    return found


def many() -> None:
    dice = random.Random(1)
    nodes = [parse(text) for text in rules(dice)]
    slots = Slots(NAMES)
    start = time.perf_counter()
    call = ruleset(nodes, slots, NAMES, LISTS)
    took = (time.perf_counter() - start) * 1e6
    for what, share, value in (
        ("all known, chance values", 0.0, None),
        ("half of the readings missing", 0.5, None),
        ("all readings missing", 1.0, None),
        ("all known, every term true", 0.0, 0.99),
        ("half missing, every other term true", 0.5, 0.99),
    ):
        values = [None if dice.random() < share else (dice.random() if value is None else value) for _ in slots.names]
        holds, missing = call(values)
        said = dict(zip(slots.names, values, strict=True))
        answers = [evaluate(node, said, LISTS) for node in nodes]
        if [answers.count(True), answers.count(None)] != [len(holds), len(missing)]:
            raise SystemExit("the ruleset differs from the reference interpreter")
        cost = micros(partial(call, values), 500)
        row(f"ruleset of 100: {what} ({len(holds)} hold, {len(missing)} missing)", cost)
    row("ruleset of 100: to compile it", took)


def in_cel() -> None:
    try:
        from cel_expr_python import cel  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        print("cel-expr-python is not installed")
        return
    double = cel.Type.DOUBLE
    types = dict.fromkeys(("score", "age", "output", "input", "share"), double)
    texts = {"account": cel.Type.STRING, "partners": cel.Type.List(cel.Type.STRING)}
    env = cel.NewEnv(variables={**types, **texts})
    compiled = env.compile(IN_CEL)
    data = {"score": 4.5, "age": 86400.0, "output": 9e6, "input": 1e6, "share": 0.9, "account": "acct_x"}
    partners = [f"acct_{index}" for index in range(10)]
    ten: dict[str, object] = {**data, "partners": partners}
    ready = env.Activation(ten)
    if compiled.eval(data=ten).plain_value() is not True:
        raise SystemExit("CEL gives another answer")
    slots = Slots(NAMES)
    short = {"partners": ListOf("partners", values=frozenset(partners))}
    ours = condition(parse(SIX), slots, NAMES, short)
    values = [VALUES[name] for name in slots.names]
    row("ours: the same six terms, the same list of ten", micros(lambda: ours(values), 2_000))
    row("CEL (Google's, C++): six terms, a list of ten", micros(lambda: compiled.eval(data=ten), 2_000))
    row("CEL: the same, values handed over beforehand", micros(lambda: compiled.eval(activation=ready), 2_000))
    row("CEL: to compile it", micros(lambda: env.compile(IN_CEL), 50))


def main() -> None:
    node = parse(SIX)
    row("six terms, a quotient and a list of a thousand: true", micros(one(SIX)))
    row("six terms: false at the first", micros(one(SIX, False, **{"score.extraction": -3.0})))
    row("six terms: false at the last", micros(one(SIX, False, **{"account.id": "acct_7"})))
    row("six terms: the first missing, else true", micros(one(SIX, None, **{"score.extraction": None})))
    row("six terms: a divisor missing", micros(one(SIX, None, **{"day.input_tokens": None})))
    row("six plain comparisons: true", micros(one(PLAIN)))
    row("a list of three globs: the last matches", micros(one(GLOB)))
    slots = Slots(NAMES)
    amount = quantity(parse("hour.template_share * x.n1 + x.n2"), slots, NAMES, LISTS)
    values = [VALUES[name] for name in slots.names]
    row("a quantity: one product, one sum", micros(lambda: amount(values)))
    row("six terms in the reference interpreter", micros(lambda: evaluate(node, VALUES, LISTS), 500))
    row("six terms: to parse", micros(lambda: parse(SIX), 200))
    row("six terms: to check", micros(lambda: check(node, NAMES, LISTS), 200))
    row("six terms: to compile", micros(lambda: condition(node, Slots(NAMES), NAMES, LISTS), 100))
    row("six terms: what it can come to", micros(lambda: verdict_of(node, NAMES), 200))
    many()
    in_cel()


if __name__ == "__main__":
    main()
