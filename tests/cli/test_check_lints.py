"""`gauger check` runs a file's own tests, and knows what day it is."""

from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli.check import command

RULES = """gauger: 1
rules:
  - {id: many, when: req.n > 4, then: {tag: [many]}}
"""
TESTS = """tests:
  - {name: five, given: {req.n: 5}, expect: {rules: [many]}}
  - {name: four, given: {req.n: 4}, expect: {rules: [many]}}
"""
EXCEPTION = """exceptions:
  - {id: lab, silences: [many], when: account.known, becomes: allow, expires: 2020-01-01, owner: o, reason: r}
"""


def checked(folder: Path, text: str) -> Result:
    (folder / "p.yaml").write_text(text)
    return CliRunner().invoke(command, [str(folder / "p.yaml")])


def test_a_test_that_fails_is_an_error(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES + TESTS)
    assert result.exit_code == 1
    assert "p.yaml:6:12: error: this test fails: rules: expected [many], got []" in result.output
    fixed = checked(
        tmp_path, RULES + TESTS.replace("req.n: 4}, expect: {rules: [many]}", "req.n: 4}, expect: {rules: []}")
    )
    assert (fixed.exit_code, fixed.output.endswith("p.yaml: fine\n")) == (0, True)


def test_a_rule_that_no_test_tries_is_a_warning(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES)
    assert result.exit_code == 0
    assert "p.yaml:3:10: warning (untested): no test tries this rule" in result.output


def test_an_exception_that_has_ended_is_an_error_by_the_clock(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES + EXCEPTION + TESTS)
    assert result.exit_code == 1
    assert "error: this exception has ended: its last day was 2020-01-01" in result.output
    assert "this test fails" not in result.output


def test_the_tests_of_a_file_with_an_error_are_not_run(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES.replace("req.n > 4", "req.m > 4") + TESTS)
    assert result.output.count("error: ") == 1


def test_the_accounts_file_is_read_along_and_no_line_of_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("accounts:\n  - {id: a1, keys: [sk-secret], plan: gold}\n")
    head = "identity: {directory: a.yaml}\nplans: {default: {}}\n"
    result = checked(tmp_path, RULES + head)
    assert result.exit_code == 1
    assert f"{tmp_path / 'a.yaml'}:2:21: error: this is no digest" in result.output
    assert "sk-secret" not in result.output
    (tmp_path / "a.yaml").write_text("accounts:\n  - {id: a1, plan: gold}\n")
    result = checked(tmp_path, RULES + head)
    assert (result.exit_code, "a.yaml:2:20: warning (unknown-plan): " in result.output) == (0, True)


def test_an_accounts_file_that_is_elsewhere_is_a_warning(tmp_path: Path) -> None:
    result = checked(tmp_path, RULES + "identity: {directory: a.yaml}\n")
    assert result.exit_code == 0
    assert "p.yaml:4:23: warning (no-accounts): the accounts file `a.yaml` can't be read: No such" in result.output
