"""Findings for machines."""

import json
import re
from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st

from gateway.documents import Finding
from gateway.policy.findings import as_json, github, sarif

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)
FINDINGS = st.lists(
    st.builds(
        Finding,
        file=WORDS.filter(bool),
        line=st.integers(1, 9999),
        column=st.integers(1, 9999),
        message=WORDS,
        hint=WORDS,
        severity=st.sampled_from(["error", "warning"]),
        code=st.sampled_from(["a", "b", "yaml-tag"]),
    ),
    max_size=4,
)
ONE = Finding("a/b.yaml", 3, 9, "`a` is wrong: 50%", "did you mean `b`?", "warning", "unused-rate")


def test_github_s_annotations() -> None:
    assert github([ONE]) == (
        "::warning file=a/b.yaml,line=3,col=9,title=gauger unused-rate::`a` is wrong: 50%25%0Ahint: did you mean `b`?\n"
    )
    assert github([]) == ""


def test_what_would_end_a_property_is_escaped() -> None:
    (line,) = github([Finding("C:\\x,y%.yaml", 1, 2, "one\r\ntwo")]).splitlines()
    assert line == "::error file=C%3A\\x%2Cy%25.yaml,line=1,col=2,title=gauger error::one%0D%0Atwo"


@given(FINDINGS)
def test_an_annotation_is_one_line_and_says_the_same(findings: list[Finding]) -> None:
    lines = github(findings).split("\n")[:-1]
    assert len(lines) == len(findings)
    for line, finding in zip(lines, findings, strict=True):
        head, message = re.fullmatch(r"::(?:error|warning) ([^:]*)::(.*)", line, re.DOTALL).groups()  # type: ignore[union-attr]
        properties = dict(part.split("=", 1) for part in head.split(","))
        assert unquote(properties["file"]) == finding.file
        assert (int(properties["line"]), int(properties["col"])) == (finding.line, finding.column)
        assert unquote(message).split("\nhint: ")[0] == finding.message or "\nhint: " in finding.message
        assert "\n" not in line and "\r" not in line


def test_json_is_a_list_of_all_that_is_known() -> None:
    assert json.loads(as_json([ONE])) == [
        {
            "file": "a/b.yaml",
            "line": 3,
            "column": 9,
            "severity": "warning",
            "code": "unused-rate",
            "message": "`a` is wrong: 50%",
            "hint": "did you mean `b`?",
        }
    ]
    assert json.loads(as_json([])) == []


@given(FINDINGS)
def test_a_sarif_log_has_what_the_specification_demands(findings: list[Finding]) -> None:
    """Of sections 3.13, 3.14, 3.18, 3.19, 3.27 to 3.30, 3.49: what is required, and what a value may be."""
    log = json.loads(sarif(findings, "1.2.3"))
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert set(run) == {"tool", "columnKind", "results"}
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("gauger", "1.2.3")
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    assert set(ids) == {finding.code for finding in findings}
    assert len(run["results"]) == len(findings)
    for result, finding in zip(run["results"], findings, strict=True):
        assert ids[result["ruleIndex"]] == result["ruleId"] == finding.code
        assert result["level"] == finding.severity
        assert result["message"]["text"].startswith(finding.message)
        place = _place(result)
        assert place["region"] == {"startLine": finding.line, "startColumn": finding.column}
        assert re.fullmatch(r"(file://)?[A-Za-z0-9._~/%-]+", place["artifactLocation"]["uri"])


def _place(result: Any) -> Any:
    (location,) = result["locations"]
    return location["physicalLocation"]


def test_a_file_below_the_current_folder_has_a_relative_uri() -> None:
    (one, other) = json.loads(sarif([ONE, Finding("/etc/a b.yaml", 1, 1, "x")], "1"))["runs"][0]["results"]
    assert _place(one)["artifactLocation"] == {"uri": "a/b.yaml", "uriBaseId": "%SRCROOT%"}
    assert _place(other)["artifactLocation"] == {"uri": "file:///etc/a%20b.yaml"}
