"""The caret of a finding inside a text: quotes, escapes, blocks and lines that are folded."""

import pytest

from gateway.documents import Finding
from gateway.policy.check import check


def nothing(name: str) -> bytes:
    raise FileNotFoundError(name)


def found(text: str) -> list[Finding]:
    return check(text, "a.yaml", nothing)


@pytest.mark.parametrize(
    "when",
    [
        "req.n > 4 or req.n is missing",
        "'req.n > 4 or req.n is missing'",
        '"req.n > 4 or req.n is missing"',
        """'req.op == ''x'' or req.n is missing'""",
        r'"\x72eq.n > 4 or req.n is missing"',
        r'"req.op == \"x\" or req.n is missing"',
    ],
)
def test_the_caret_stands_under_the_character_that_is_meant(when: str) -> None:
    text = f"gauger: 1\nrules:\n  - id: a\n    when: {when}\n    then: {{tag: [a]}}\n"
    (finding,) = found(text)
    assert (finding.code, finding.line) == ("never-missing", 4)
    assert text.splitlines()[3][finding.column - 1 :].startswith("req.n is missing")


@pytest.mark.parametrize("when", [">\n        req.n > 4 or req.n is missing", "req.n > 4\n        or req.n is missing"])
def test_in_a_condition_of_several_lines_the_caret_stands_at_its_beginning(when: str) -> None:
    (finding,) = found(f"gauger: 1\nrules:\n  - id: a\n    when: {when}\n    then: {{tag: [a]}}\n")
    assert (finding.line, finding.column) == (4, 11)


def test_a_quantity_in_quotes_has_its_caret_as_well() -> None:
    text = "gauger: 1\nplans: {default: {r: '10m tokens/min'}}\n"
    (finding,) = found(text)
    assert text.splitlines()[1][finding.column - 1 :].startswith("m tokens")
