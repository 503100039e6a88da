"""`gauger test`."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from click.testing import Result

Run = Callable[..., Result]

POLICY = """gauger: 1
rules:
  - {id: many, when: req.n > 2, then: {tag: [many]}}
  - {id: never, when: req.n > 9, then: {tag: [never]}}
tests:
  - {name: three are many, given: {req: {n: 3}}, expect: {tags: [many]}}
  - {name: two <are> few, given: {req: {n: 2}}, expect: {tags: []}}
"""


def test_what_passes_and_what_is_shown_from_one_side_only(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(POLICY)
    result = run("test", str(file))
    assert result.exit_code == 0
    assert result.stdout == f"{file}: 2 passed, 0 failed\n  these rules hold in no test: never\n"
    assert "  ok    three are many\n" in run("test", "-v", str(file)).stdout


def test_a_failure_has_its_place_and_what_came_and_junit_says_the_same(run: Run, tmp_path: Path) -> None:
    file, junit = tmp_path / "p.yaml", tmp_path / "out.xml"
    file.write_text(POLICY.replace("tags: []", "tags: [some]"))
    result = run("test", str(file), "--junit", str(junit))
    assert result.exit_code == 1
    assert f"{file}:7:12: FAIL  two <are> few\n      tags: expected [some], got []\n" in result.stdout
    suite = ElementTree.parse(junit).getroot()[0]  # our own file
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    (failure,) = suite.iter("failure")
    assert failure.text == "tags: expected [some], got []"
    assert [case.get("name") for case in suite] == ["three are many", "two <are> few"]


def test_only_some_tests_are_run(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(POLICY)
    assert run("test", str(file), "--only", "three").stdout == f"{file}: 1 passed, 0 failed\n"


def test_a_policy_with_errors_is_not_tested(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(POLICY.replace("req.n > 2", "req.m > 2"))
    result = run("test", str(file))
    assert result.exit_code == 1
    assert "p.yaml:3:22: error: unknown name `req.m`" in result.stdout


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    assert run("test", str(tmp_path / "none.yaml")).exit_code == 2


def test_the_shipped_policies_pass_their_own_tests(run: Run) -> None:
    policies = Path(__file__).parent.parent.parent / "policies"
    files = [policies / "default.yaml", *sorted((policies / "packs").glob("*.yaml"))]
    result = run("test", *map(str, files))
    assert result.exit_code == 0, result.stdout
    assert result.stdout.count("0 failed") == len(files)
    assert "hold in" not in result.stdout


def test_a_test_s_name_is_shown_as_one_printable_line_and_the_xml_stays_xml(run: Run, tmp_path: Path) -> None:
    file, junit = tmp_path / "p.yaml", tmp_path / "out.xml"
    name = r'"]]> \u0001\e[31m\n::error::\u202e\ufffe"'
    file.write_text(POLICY.replace("tags: []", "tags: [some]").replace("two <are> few", name))
    result = run("test", str(file), "--junit", str(junit))
    assert "FAIL  ]]> ··[31m·::error::··\n" in result.stdout
    (failed,) = (case for case in ElementTree.parse(junit).getroot()[0] if len(case))  # our own file
    assert failed.get("name") == "]]> ··[31m\n::error::\u202e·"
