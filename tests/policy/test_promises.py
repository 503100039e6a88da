"""The lint `promise`: what a calibration supports, what it doesn't, and which rule breaks a promise that it does."""

import pytest

from gateway.calibrate.fitting import Options, calibrated
from gateway.documents import Finding
from gateway.policy.calibration import write
from gateway.policy.check import check
from gateway.policy.loader import load
from gateway.policy.model import Then
from gateway.policy.promises import card_digest, words_of
from tests.calibrate.scored import CARD, judged, month, nothing, owners

NAMED = CARD.replace("promise: PROMISE", "promise: PROMISE\n    calibration: c.json")
SCORES = [-20.0 + at / 100 for at in range(400)]  # at most -16.01: the threshold of all that is supported is -16
BLOCK = "  - {id: stop, when: score.theft >= X dB, then: {block: {code: theft}}, owner: us, mode: MODE}\n"


def calibration(text: str, count: int = 400) -> bytes:
    bare = load(text.replace("    calibration: c.json\n", ""), "made.yaml", nothing)
    return write(calibrated(owners(month(SCORES[:count]), by=bare), Options()).calibration)


def found(text: str, content: bytes) -> list[Finding]:
    return [each for each in check(text, "made.yaml", lambda name: content) if each.code == "promise"]


def policy(promise: str, more: str = "") -> str:
    return NAMED.replace("PROMISE", promise) + more


def test_a_promise_that_is_supported_and_kept_is_quiet() -> None:
    text = policy("{tag: 5% of owners/month, throttle: 1% of owners/month}")
    assert found(text, calibration(text)) == []


def test_a_promise_that_is_not_supported_says_what_is() -> None:
    text = policy("{throttle: 0.1% of owners/month}")
    (finding,) = found(text, calibration(text, 200))
    assert finding.message == (
        "the promise `throttle: 0.1% of owners/month` is not supported: "
        "200 owners support at most 1.49% (1 in 67) at 95 %; 0.1% needs 2,995"
    )
    assert "gauger calibrate" in finding.hint
    assert finding.severity == "warning"


def test_a_rule_that_acts_below_the_threshold_breaks_the_promise() -> None:
    text = policy("{throttle: 1% of owners/month}").replace("score.theft >= 2 dB", "score.theft >= -17 dB")
    (finding,) = found(text, calibration(text))
    assert finding.message == (
        "the promise `throttle: 1% of owners/month` is not kept: this rule acts from -17 dB on, and its calibration "
        "supports it from -16 dB on"
    )
    assert finding.hint.startswith("take `score.theft >= -16 dB`")
    assert "score.theft >= -17 dB" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    ("condition", "broken"),
    [
        ("score.theft >= -16 dB", False),
        ("score.theft >= -16.01 dB", True),
        ("score.theft > -16.01 dB", False),
        ("score.theft > -16.02 dB", True),
        ("-16 dB <= score.theft", False),
        ("score.theft >= -20 dB and score.theft >= -10 dB", False),
        ("score.theft >= -10 dB or score.theft >= -20 dB", True),
        ("score.theft >= -20 dB or req.n > 1", True),
        ("score.theft >= -10 dB or req.n > 1", False),
        ("score.theft < -20 dB", False),
        ("score.theft.families >= 1", False),
        ("req.n > 1", False),
    ],
)
def test_from_which_score_on_a_rule_acts(condition: str, broken: bool) -> None:
    text = policy("{throttle: 1% of owners/month}").replace("score.theft >= 2 dB", condition)
    assert bool(found(text, calibration(text))) is broken


@pytest.mark.parametrize(
    ("condition", "measured"),
    [
        ("score.theft.campaign >= 5 dB", False),
        ("score.theft >= 2 dB or score.theft.campaign >= 5 dB", False),
        ("score.theft >= 2 dB and score.theft.campaign >= 5 dB", True),
    ],
)
def test_a_rule_that_acts_by_the_campaign_s_score_alone_is_not_measured(condition: str, measured: bool) -> None:
    text = policy("{throttle: 1% of owners/month}").replace("score.theft >= 2 dB", condition)
    text = text.replace("prior: -30 dB", "of: [account, campaign]\n    prior: -30 dB")
    assert [("is not measured" in each.message) for each in found(text, calibration(text))] == [True] * (not measured)


@pytest.mark.parametrize(("mode", "broken"), [("enforce", True), ("shadow", True), ("draft", False)])
def test_a_rule_in_shadow_breaks_it_too_and_a_draft_does_not(mode: str, broken: bool) -> None:
    text = policy("{throttle: 1% of owners/month}").replace("owner: us", f"owner: us, mode: {mode}")
    text = text.replace("score.theft >= 2 dB", "score.theft >= -17 dB")
    assert bool(found(text, calibration(text))) is broken


def test_every_action_of_a_rule_counts_and_not_its_strongest_alone() -> None:
    text = policy("{clamp: 1% of owners/month}").replace("then: {tag: [look]}", "then: {tag: [look], clamp: {n: 1}}")
    assert found(text, calibration(text)) == []
    (finding,) = found(text.replace("-12 dB", "-17 dB"), calibration(text))
    assert "clamp: 1%" in finding.message
    assert words_of(Then(tags=("a",), delay=1, block=403)) == {"tag", "throttle", "block"}
    assert words_of(Then()) == frozenset()


def test_a_changed_card_is_no_longer_what_was_calibrated() -> None:
    text = policy("{throttle: 1% of owners/month}")
    content = calibration(text)
    (finding,) = found(text.replace("points: 9 dB", "points: 8 dB"), content)
    assert "its calibration was made with another version of this card" in finding.message
    (finding,) = found(text.replace("id: theft", "id: other").replace("score.theft", "score.other"), content)
    assert "its calibration speaks of other cards" in finding.message


def test_a_weaker_promise_is_supported_by_a_stronger_one_and_a_stronger_one_is_not() -> None:
    content = calibration(policy("{throttle: 1% of owners/month}"))
    assert found(policy("{throttle: 2% of owners/month, tag: 5% of owners/month}"), content) == []
    (finding,) = found(policy("{throttle: 0.9% of owners/month}"), content)
    assert finding.message.endswith("its calibration was made for other promises")


def test_three_days_support_nothing() -> None:
    text = policy("{throttle: 1% of owners/month}")
    bare = load(text.replace("    calibration: c.json\n", ""), "made.yaml", nothing)
    traffic = [judged(f"a{at}", -20.0, at % 3, created=200) for at in range(400)]
    content = write(calibrated(owners(traffic, by=bare), Options()).calibration)
    (finding,) = found(text, content)
    assert finding.message.endswith("3 days of traffic say too little of a month: 30 are needed")


@pytest.mark.parametrize(
    ("mode", "threshold", "count", "severities"),
    [
        ("enforce", "0", 400, []),
        ("enforce", "-17", 400, ["error"]),
        ("shadow", "-17", 400, ["warning"]),
        ("enforce", "0", 200, ["error"]),
        ("shadow", "0", 200, ["warning"]),
        ("draft", "0", 200, ["warning"]),
    ],
)
def test_a_block_in_force_makes_it_an_error(mode: str, threshold: str, count: int, severities: list[str]) -> None:
    text = policy("{block: 1% of owners/month}", BLOCK.replace("X", threshold).replace("MODE", mode))
    assert [each.severity for each in found(text, calibration(text, count))] == severities
    watched = text.replace("{id: made}", "{id: made, mode: shadow}")
    assert {each.severity for each in found(watched, calibration(text, count))} <= {"warning"}


def test_a_block_on_a_card_that_promises_nothing_is_as_before() -> None:
    text = policy("{}", BLOCK.replace("X", "0").replace("MODE", "enforce"))
    assert found(text, calibration(text)) == []
    assert found(text.replace("    calibration: c.json\n", ""), b"") == []


def test_the_digest_of_a_card_is_of_what_its_score_depends_on() -> None:
    def digest(text: str) -> str:
        made = load(text, "made.yaml", nothing)
        return card_digest(made.scorecards[0], made.engine.parsed, made.lists)

    listed = "lists: {m: {values: [a, b]}, other: {values: [x]}}\n"
    plain = (
        CARD.replace("PROMISE", "{}").replace("when: req.n > 1", "when: req.n > 1 and req.model in lists.m") + listed
    )
    same = [
        ("promise: {}", "promise: {tag: 1% of owners/month}"),
        ("req.n > 1 and", "(req.n>1)  and"),
        ("score.theft >= 2 dB", "score.theft >= 3 dB"),
        ("values: [x]", "values: [y]"),
        ("values: [a, b]", "values: [b, a]"),
        ("{id: made}", "{id: another}"),
    ]
    other = [
        ("prior: -30 dB", "prior: -31 dB"),
        ("mean: 2%", "mean: 3%"),
        ("points: 12 dB", "points: 11 dB"),
        ("req.n > 1 and", "req.n > 2 and"),
        ("params: 30 dB", "params: 29 dB"),
        ("values: [a, b]", "values: [a, c]"),
        ("    evidence:", "    needs: week.requests >= 6\n    evidence:"),
    ]
    assert {digest(plain.replace(*pair)) for pair in same} == {digest(plain)}
    assert len({digest(plain.replace(*pair)) for pair in other} | {digest(plain)}) == len(other) + 1
