"""`check` is total: whatever the bytes, it gives findings inside the file, and never an exception."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.documents import Finding, render
from gateway.policy.check import check

ROOT = Path(__file__).parent.parent.parent
REAL = [
    (ROOT / "policies" / "default.yaml").read_text(),
    (ROOT / "policies" / "packs" / "extraction.yaml").read_text(),
    *re.findall(r"```yaml\n(.*?)```", (ROOT / "policies" / "README.md").read_text(), re.DOTALL),
]
WORDS = [
    "gauger",
    "plan.requests",
    "10m tokens",
    "unlimited",
    "[",
    "]",
    "{",
    "}",
    ":",
    " ",
    "- ",
    "&a ",
    "*a",
    "!x ",
    "é",
]
WORDS += ["score.extraction", "req.n", " and ", "not ", "is missing", "(", "30 dB", "30d", "50%", "block", "2026-02-30"]
WORDS += [
    "null",
    "~",
    "1e999",
    "\x00",
    "\u2028",
    "\ufeff",
    "campaign",
    "plan:",
    "1",
    "true",
    '"',
    "'",
    "|",
    "\r",
    "<<: ",
]


def anything(name: str) -> bytes:
    raise RuntimeError(name)


def assert_total(text: bytes | str) -> list[Finding]:
    findings = check(text, "a.yaml", anything)
    source = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    lines = re.split("\r\n?|\n", source.removeprefix("\ufeff"))
    for finding in findings:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 2
        assert finding.message
        shown = f"a.yaml:{finding.line}:{finding.column}: {finding.severity}"
        assert render(finding, source).startswith((f"{shown}: ", f"{shown} ({finding.code}): "))
    return findings


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_findings(data: bytes) -> None:
    assert_total(data)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_findings(text: str) -> None:
    assert_total(text)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(REAL), st.data())
def test_any_mutation_of_a_real_policy_gives_findings(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *WORDS])) + text[end:]
    assert_total(text)


@settings(deadline=None)
@given(st.sampled_from(REAL), st.integers(0, 5000), st.binary(min_size=1, max_size=3))
def test_any_damaged_byte_of_a_real_policy_gives_findings(text: str, at: int, byte: bytes) -> None:
    raw = text.encode()
    at = min(at, len(raw))
    assert_total(raw[:at] + byte + raw[at + 1 :])


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["a", "plan.a", "1 requests/s", "own", "50%"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "by",
                    "count",
                    "rate",
                    "burst",
                    "reserve",
                    "lease",
                    "a",
                    "extends",
                    "plan",
                    "jwt",
                    "trusted",
                    "unknown",
                    "values",
                    "file",
                    "when",
                    "then",
                    "tag",
                    "evidence",
                    "families",
                    "silences",
                    "given",
                    "expect",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "policy",
                "identity",
                "plans",
                "tokens",
                "limits",
                "lists",
                "use",
                "rules",
                "scorecards",
                "exceptions",
                "tests",
            ]
        ),
        VALUES,
    )
)
def test_any_shape_of_the_sections_gives_findings(sections: dict[str, object]) -> None:
    assert_total(json.dumps({"gauger": 1, **sections}))


@pytest.mark.parametrize(
    "text",
    [
        "gauger: 1\nlimits: [" + "a," * 90_000 + "]",
        "gauger: 1\nplans:\n" + "".join(f"  p{n}: {{extends: p{n + 1}}}\n" for n in range(3_000)),
        "gauger: 1\nplans: {a: {" + ",".join(f"r{n}: x" for n in range(40_000)) + "}}",
        "gauger: 1\n" + "".join(f"k{n}: 1\n" for n in range(40_000)),
        "gauger: 1\nlists: {a: {values: [" + "1," * 19_000 + "]}}",
        "gauger: 1\nplans: " + "[" * 500_000,
        "gauger: 1\nplans:\n"
        + "".join(f"  p{n}: {{r: 1 requests/s}}\n" for n in range(500))
        + "limits:\n"
        + "".join(f"  - {{id: l{n}, by: [key], count: tokens.input, rate: plan.r}}\n" for n in range(100)),
    ],
    ids=["items", "chain", "rates", "keys", "values", "depth", "product"],
)
def test_a_large_file_gives_few_findings(text: str) -> None:
    findings = assert_total(text)
    assert 1 <= len(findings) <= 101


def test_a_policy_with_an_error_has_no_warnings_yet() -> None:
    text = "gauger: 1\nplans: {default: {r: 1 requests/s}, p: {}}\npolicy: {mode: x}"
    assert [finding.severity for finding in check(text, "a.yaml", anything)] == ["error"]


@pytest.mark.parametrize(
    "text",
    [
        "limits: [{id: a, by: [account], count: tokens.output, rate: 60k tokens/min, burst: 2k tokens}]",
        "limits: [{id: a, by: [account], count: tokens.output, rate: 1k tokens/min, reserve: {at_most: 100%}}]",
        "limits: [{id: a, by: [account], count: requests, rate: 10 requests/s, burst: 10 requests}]",
        "limits: [{id: a, by: [account], count: requests, rate: 9 requests/day, window: calendar, retry: never}]",
        "identity: {anonymous: refuse}\nlimits: [{id: a, by: [key], count: requests, rate: 9 requests/s}]",
        "plans: {default: {}, pro: {}}\nidentity: {directory: accounts.yaml}",
        "plans: {default: {}, pro: {}}\nidentity: {unknown: plan:pro}",
        "plans: {default: {extends: pro}, pro: {}}",
    ],
)
def test_what_is_meant_has_no_warning(text: str) -> None:
    assert check(f"gauger: 1\n{text}", "a.yaml", anything) == []
