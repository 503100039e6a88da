"""Every lint has something that it finds, and something alike that is meant."""

from pathlib import Path

import pytest

from gateway import trials
from gateway.documents import Finding
from gateway.policy import check as checks
from gateway.policy import lints
from gateway.policy.check import check, examine
from gateway.policy.lints import tried
from gateway.stores.memory import MemoryLimits

NOW = 1_780_272_000_000_000  # 2026-06-01
DAY = 86_400_000_000
BROKEN = Path(__file__).parent / "broken"

CARD = """
scorecards:
  - id: s
    prior: -30 dB
    families: {params: 20 dB, timing: 10 dB}
    MORE
    evidence:
      - {id: a, family: params, when: req.logprobs, points: 18 dB}
      - {id: b, family: params, when: req.background, points: 6 dB, ceiling: 25 dB}
      - {id: c, family: timing, read: day.requests, points: {10: -3 dB, 1k: 8 dB}}
"""
LIMITS = """
plans: {default: {r: 10 requests/s}, big: {r: BIG}}
identity: {unknown: "plan:big", anonymous: refuse}
limits: [{id: l, by: [BY], count: requests, rate: plan.r}]
"""


def rules(*items: str, head: str = "", tail: str = "") -> str:
    return f"gauger: 1\n{head}\nrules:\n" + "".join(f"  - {{{item}}}\n" for item in items) + tail


def one(when: str, then: str = "tag: [a]", more: str = "") -> str:
    return f"id: a, when: '{when}', then: {{{then}}}{more}"


def card(more: str = "", **replaced: str) -> str:
    text = CARD.replace("    MORE\n", f"    {more}\n" if more else "")
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def limits(big: str = "20 requests/s", by: str = "account") -> str:
    return LIMITS.replace("BIG", big).replace("BY", by)


def exception(more: str, then: str = "block: {code: odd}", expires: str = "2026-08-31") -> str:
    text = "exceptions:\n  - {id: e, silences: [a], when: account.known, owner: o, reason: r"
    return rules(one("req.n > 4", then, ", owner: o"), tail=f"{text}, expires: {expires}{more}}}\n")


def blocks(card_more: str, mode: str = "enforce", head: str = "") -> str:
    text = card(card_more).replace("1k: 8 dB", "1k: 9 dB")
    return rules(one("score.s >= -5 dB", "block: {code: odd}", f", owner: o, mode: {mode}"), head=head + text)


def two(first: str, second: str) -> str:
    return rules(f"id: a, {first}", f"id: b, {second}")


SCORE = one("score.s >= -10 dB")
CASES: dict[str, list[tuple[str, str]]] = {
    "never-matches": [
        (rules(one("req.n > 4 and req.n < 2")), rules(one("req.n > 4 or req.n < 2"))),
        (rules(one("logprobs_share > 120%")), rules(one("logprobs_share > 20%"))),
        (exception(", becomes: tag").replace("account.known", "req.n > 4 and req.n < 4"), exception("")),
        (rules(SCORE, head=card("needs: week.requests < 0")), rules(SCORE, head=card("needs: week.requests > 0"))),
        (
            rules(SCORE, head=card().replace("when: req.background", 'when: req.op == "x" and req.op == "y"')),
            rules(SCORE, head=card().replace("when: req.background", 'when: req.op == "x" or req.op == "y"')),
        ),
    ],
    "always-matches": [
        (rules(one("req.n >= 0")), rules(one("req.n > 0"))),
        (rules(one("req.stream or not req.stream")), rules(one("true"))),
    ],
    "never-missing": [(rules(one("req.n > 4 or req.n is missing")), rules(one("req.n > 4 or req.model is missing")))],
    "same-condition": [
        (
            two("when: req.n > 1k, then: {tag: [a]}", "when: (req.n > 1000), then: {clamp: {n: 1}}"),
            two("when: req.n > 1k, then: {tag: [a]}", "when: (req.n >= 1000), then: {clamp: {n: 1}}"),
        ),
        (
            two("when: req.n > 4, then: {tag: [a, b]}", "when: req.n > 4, then: {tag: [b]}, mode: shadow"),
            two("when: req.n > 4, then: {tag: [a, b]}", "when: req.n > 4, then: {tag: [c]}, mode: shadow"),
        ),
        (
            two("when: req.n > 4, then: {clamp: {n: 4}}", "when: req.n > 4, then: {clamp: {n: 2}}"),
            two(
                "when: req.n > 4, then: {clamp: {n: 4}}",
                "when: req.n > 4, then: {clamp: {n: 2}}, active: {days: [mon]}",
            ),
        ),
        (
            two("when: req.n > 4, then: {tag: [a]}", "when: req.n > 4, then: {tag: [b]}"),
            two("when: req.n > 4, then: {tag: [a]}", "when: req.n > 4, then: {tag: [b]}, mode: draft"),
        ),
    ],
    "placebo": [
        (exception(", becomes: throttle", "throttle: {delay: 1 s}"), exception(", becomes: throttle")),
        (exception(", becomes: clamp", "tag: [a]"), exception(", becomes: allow", "tag: [a]")),
    ],
    "expired": [(exception("", expires="2026-05-31"), exception("", expires="2026-06-01"))],
    "long-exception": [(exception("", expires="2026-11-29"), exception("", expires="2026-11-28"))],
    "out-of-reach": [
        (rules(one("score.s >= -3 dB"), head=card()), rules(one("score.s >= -4 dB"), head=card())),
        (rules(one("score.s > -3.54 dB"), head=card()), rules(one("score.s >= -3.54 dB and req.n > 4"), head=card())),
        (rules(one("score.s.families >= 3"), head=card()), rules(one("score.s.families >= 2"), head=card())),
        (
            blocks("").replace("family: params", "family: timing").replace("-5 dB", "-25 dB"),
            blocks(""),
        ),
    ],
    "below-reach": [
        (rules(one("score.s >= -33 dB"), head=card()), rules(one("score.s > -33 dB"), head=card())),
        (
            rules(one("-40 dB < score.s and req.n > 4"), head=card()),
            rules(one("score.s < -40 dB or req.n > 4"), head=card()),
        ),
    ],
    "promise": [
        (rules(SCORE, head=card("promise: {tag: 1% of owners/month}")), rules(SCORE, head=card())),
    ],
    "unused-list": [
        (
            rules(one("req.n > 4"), head="lists: {p: {values: [x]}}"),
            rules(one("req.model in lists.p"), head="lists: {p: {values: [x]}}"),
        ),
        (
            rules(
                one("req.n > 4"), head="lists: {p: {values: [x]}, q: {values: [y]}}" + card("needs: req.op in lists.q")
            ),
            "gauger: 1\nlists: {p: {values: [x]}}",
        ),
    ],
    "unused-family": [
        (rules(SCORE, head=card().replace("params: 20", "params: 20 dB, content: 30")), rules(SCORE, head=card())),
    ],
    "unused-card": [
        (rules(one("req.n > 4"), head=card()), rules(one("score.s.families > 1"), head=card())),
    ],
    "block-code": [
        (
            rules(one("req.n > 4", "block: {}", ", owner: o")),
            rules(one("req.n > 4", "block: {code: odd}", ", owner: o")),
        ),
        (
            rules(one("req.n > 4", "block: {status: 429}", ", mode: shadow")),
            rules(one("req.n > 4", "block: {}", ", mode: draft")),
        ),
    ],
    "no-owner": [
        (
            rules(one("req.n > 4", "throttle: {delay: 1 s}")),
            rules(one("req.n > 4", "throttle: {delay: 1 s}", ", owner: o")),
        ),
        (
            rules(one("req.n > 4", "block: {code: odd}")),
            rules(one("req.n > 4", "block: {code: odd}", ", mode: shadow")),
        ),
        (rules(one("req.n > 4", "block: {code: odd}")), rules(one("req.n > 4", "clamp: {n: 1}"))),
    ],
    "throttle-unlimited": [
        (
            rules(one("req.n > 4", "throttle: {limit: l, to: 50%}", ", owner: o"), head=limits("unlimited")),
            rules(one("req.n > 4", "throttle: {limit: l, to: 50%}", ", owner: o"), head=limits()),
        )
    ],
    "throttle-shared": [
        (
            rules(one("req.n > 4", "throttle: {limit: l, to: 50%}", ", owner: o"), head=limits(by="org, model")),
            rules(one("req.n > 4", "throttle: {limit: l, to: 50%}", ", owner: o"), head=limits(by="org, key")),
        )
    ],
}


def nothing(name: str) -> bytes:
    raise FileNotFoundError(name)


def found(text: str, now: int | None = NOW) -> list[Finding]:
    return check(text, "a.yaml", nothing, now)


def ran(text: str) -> list[Finding]:
    """What the file's tests show."""
    findings, loaded = examine(text, "a.yaml", nothing, NOW)
    assert loaded.policy is not None, findings
    return tried(loaded, trials.run(loaded.policy, MemoryLimits))


@pytest.mark.parametrize(("code", "text"), [(code, case[0]) for code, cases in CASES.items() for case in cases])
def test_a_lint_finds_what_is_not_meant(code: str, text: str) -> None:
    assert code in [finding.code for finding in found(text)]


@pytest.mark.parametrize(("code", "text"), [(code, case[1]) for code, cases in CASES.items() for case in cases])
def test_a_lint_leaves_what_looks_alike(code: str, text: str) -> None:
    findings = found(text)
    assert code not in [finding.code for finding in findings]
    assert [str(finding) for finding in findings if finding.severity == "error"] == []


def test_every_lint_has_its_cases() -> None:
    assert set(CASES) | {"test-failed", "untested"} == set(lints.CODES)


def test_only_codes_that_are_listed_are_given() -> None:
    """Over the museum's warnings, and over everything here."""
    texts = [path.read_bytes() for path in sorted(BROKEN.glob("*.yaml"))]
    texts += [case[0].encode() for cases in CASES.values() for case in cases]
    given_codes = {
        each.code for text in texts for each in check(text, "a.yaml", nothing, NOW) if each.severity != "error"
    }
    assert given_codes <= {*checks.CODES, *lints.CODES}


def test_without_a_clock_nothing_is_said_of_expiry() -> None:
    assert found(exception("", expires="2020-01-01"), None) == []


def test_an_exception_that_has_ended_is_an_error() -> None:
    assert [each.severity for each in found(exception("", expires="2026-05-31"))] == ["error"]


def test_an_exception_ends_with_its_last_day_in_the_time_zone_of_the_policy() -> None:
    text = exception("", expires="2026-06-01").replace("gauger: 1", "gauger: 1\npolicy: {timezone: Asia/Tokyo}")
    assert found(text, NOW + 15 * 3_600_000_000 - 1) == []
    assert [each.code for each in found(text, NOW + 15 * 3_600_000_000)] == ["expired"]


def test_a_promise_that_a_block_in_force_needs_is_an_error() -> None:
    promise = "promise: {block: 0.1% of owners/month}"

    def of(text: str) -> list[tuple[str, str]]:
        return [(each.code, each.severity) for each in found(text) if each.code == "promise"]

    assert of(blocks(promise)) == [("promise", "error")]
    assert of(blocks(promise, "shadow")) == [("promise", "warning")]
    assert of(blocks(promise, "draft")) == [("promise", "warning")]
    assert of(blocks(promise, head="policy: {mode: shadow}\n")) == [("promise", "warning")]


def test_a_shadowed_rule_says_which_one_covers_it() -> None:
    text = two("when: req.n > 4, then: {clamp: {n: 2}}", "when: req.n > 4, then: {clamp: {n: 1}, tag: [b]}")
    (finding,) = found(text)
    assert (finding.line, finding.message) == (
        4,
        "this rule is shadowed: `b` at 5:10 has the same condition and does as much",
    )


@pytest.mark.parametrize(
    ("strong", "weak", "covered"),
    [
        ("throttle: {limit: l, to: 25%}", "throttle: {limit: l, to: 50%}", True),
        ("throttle: {limit: l, to: 50%}", "throttle: {limit: l, to: 25%}", False),
        ("throttle: {delay: 2 s}", "throttle: {delay: 1 s}", True),
        ("throttle: {delay: 2 s}", "throttle: {delay: 1 s, for: 1 h}", False),
        ("clamp: {logprobs: false}", "clamp: {logprobs: false}, tag: [a]", False),
        ("clamp: {top_logprobs: false}", "clamp: {top_logprobs: 2}", True),
        ("clamp: {top_logprobs: 2}", "clamp: {top_logprobs: false}", False),
        ("block: {code: odd}", "block: {code: odd}", True),
        ("block: {code: odd}", "block: {code: even}", False),
        ("block: {code: odd}", "tag: [a]", False),
    ],
)
def test_a_rule_covers_what_does_no_more(strong: str, weak: str, *, covered: bool) -> None:
    """The strong one is in force, so that the weak one, in shadow, can't cover it."""
    head = limits()
    text = rules(
        f"id: a, when: req.n > 4, then: {{{strong}}}, owner: o",
        f"id: b, when: req.n > 4, then: {{{weak}}}, mode: shadow",
        head=head,
    )
    shadowed = [each for each in found(text) if each.code == "same-condition"]
    assert bool(shadowed) is covered


def test_a_threshold_says_what_the_card_can_reach() -> None:
    (finding,) = found(rules(one("req.n > 1 and score.s >= 80 dB"), head=card()))
    assert finding.message == "this rule needs 80 dB, and the card can reach -3.54 dB"


TESTED = rules(
    "id: a, when: req.n > 4, then: {block: {code: odd}}, owner: o",
    "id: b, when: req.n > 100, then: {tag: [b]}, mode: shadow",
    tail="""
exceptions:
  - {id: e, silences: [a], when: account.known, expires: 2026-08-31, owner: o, reason: r}
tests:
  - {name: many, given: {req.n: 5, account.known: false}, expect: {action: block, rules: [a]}}
  - {name: many of one who is known, given: {req.n: 5, account.known: true}, expect: {action: tag, excepted: [a]}}
  - {name: few, given: {req.n: 4}, expect: {action: allow, rules: []}}
""",
)


def only(text: str, *left: str) -> str:
    """The same policy with only those of its tests."""
    head, _, tail = text.partition("tests:\n")
    kept = [line for line in tail.splitlines() if any(f"name: {name}," in line for name in left)]
    return head + ("tests:\n" + "\n".join(kept) + "\n" if kept else "")


def test_a_policy_whose_tests_show_both_sides_has_nothing_to_complain_about() -> None:
    assert found(TESTED) == []
    assert ran(TESTED) == []


@pytest.mark.parametrize(
    ("left", "messages"),
    [
        ((), {"no test tries this rule", "this exception softens nothing in any test"}),
        (("few",), {"this rule holds in no test", "this exception softens nothing in any test"}),
        (("many", "few"), {"this exception softens nothing in any test"}),
        (("many of one who is known",), {"this rule holds in every test"}),
        (("many of one who is known", "few"), set()),
    ],
)
def test_what_no_test_shows_is_said(left: tuple[str, ...], messages: set[str]) -> None:
    assert {each.message for each in ran(only(TESTED, *left))} == messages


def test_a_rule_in_shadow_needs_no_test() -> None:
    assert "b" not in {each.message for each in ran(only(TESTED))}
    assert [each.line for each in ran(only(TESTED)) if each.code == "untested"] == [4]


def test_a_test_that_fails_is_an_error_at_its_name() -> None:
    (finding,) = ran(TESTED.replace("{req.n: 4}, expect: {action: allow", "{req.n: 4}, expect: {action: tag"))
    assert (finding.code, finding.severity) == ("test-failed", "error")
    assert finding.message == "this test fails: action: expected tag, got allow"
    assert TESTED.splitlines()[finding.line - 1][finding.column - 1 :].startswith("few")


def test_the_tests_and_lists_of_a_pack_are_its_own() -> None:
    pack = TESTED.replace("gauger: 1", "gauger: 1\nlists: {unread: {values: [x]}}").encode()
    findings, loaded = examine("gauger: 1\nuse: [p.yaml]\n", "a.yaml", lambda _: pack, NOW)
    assert findings == []
    assert loaded.policy is not None
    assert tried(loaded, trials.run(loaded.policy, MemoryLimits)) == []
    assert [each.code for each in found(pack.decode())] == ["unused-list"]


def test_a_finding_about_a_rule_of_a_pack_names_the_pack() -> None:
    pack = rules(one("req.n > 4", "block: {}")).encode()
    findings = check("gauger: 1\nuse: [p.yaml]\n", "a.yaml", lambda _: pack, NOW)
    assert {(each.file, each.code) for each in findings} == {("p.yaml", "block-code"), ("p.yaml", "no-owner")}
