"""`gauger check` for machines, several files and packs; `gauger schema`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway.files import default_policy
from gateway.policy.file import schema_text

Run = Callable[..., Result]

FINE = "gauger: 1\nlimits:\n  - {id: few, by: [account], count: requests, rate: 5 requests/min}\n"
WRONG = FINE.replace("requests/min", "parsecs/min")
WARNED = FINE + "plans: {default: {}, nobody: {}}\n"
PACK = default_policy().parent / "packs" / "extraction.yaml"


@pytest.fixture(autouse=True)
def written(tmp_path: Path, bare: None) -> None:
    for name, text in {"fine": FINE, "wrong": WRONG, "warned": WARNED}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "sub" / "packs").mkdir(parents=True)
    (tmp_path / "sub" / "packs" / "core.yaml").write_text(WRONG)
    for name in ("one", "two"):
        (tmp_path / "sub" / f"{name}.yaml").write_text("gauger: 1\nuse: [packs/core.yaml]\n")


def test_several_files_are_checked_one_after_the_other(run: Run) -> None:
    result = run("check", "fine.yaml", "wrong.yaml", "warned.yaml", "fine.yaml")
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if ".yaml: " in line]
    assert lines == ["fine.yaml: fine", "wrong.yaml: 1 error(s), 0 warning(s)", "warned.yaml: 0 error(s), 1 warning(s)"]
    assert run("check", "fine.yaml", "warned.yaml").exit_code == 0
    assert run("check", "fine.yaml", "warned.yaml", "--strict").exit_code == 1


def test_a_file_that_is_not_there_is_said_before_anything_else(run: Run) -> None:
    result = run("check", "wrong.yaml", "nothing.yaml", "--format", "json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("gauger: nothing.yaml: No such file")


def test_a_dash_is_standard_input(run: Run) -> None:
    result = run("check", "-", given=WRONG)
    assert result.exit_code == 1
    assert result.stdout.startswith("<stdin>:3:55: error: `parsecs` is no unit\n  3 |   - {id: few")
    assert run("check", "-", given=FINE).stdout == "<stdin>: fine\n"
    assert run("check", "-", given=b"\xff").exit_code == 1
    assert run("check", "-", given="gauger: 1\nuse: [sub/packs/core.yaml]").stdout.startswith(
        "sub/packs/core.yaml:3:55: "
    )


def test_a_finding_in_a_pack_shows_the_pack_s_line(run: Run) -> None:
    path = str(Path("sub") / "packs" / "core.yaml")
    result = run("check", "sub/one.yaml")
    assert result.stdout.startswith(f"{path}:3:55: error: `parsecs` is no unit\n  3 |   - {{id: few, by: [account]")
    assert result.stdout.endswith("sub/one.yaml: 1 error(s), 0 warning(s)\n")


def test_a_finding_in_a_shipped_pack_has_its_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "gauger: 1\nuse: [packs/extraction.yaml]\nscorecards: [{id: extraction, set: {needs: 1 +}}]\n"
        "rules: [{id: extraction-watch, when: score.extraction >= 1 dB, then: {tag: [x]}}]\n"
    )
    result = run("check", "p.yaml")
    assert result.exit_code == 1
    assert "the rule `extraction-watch` is also at packs/extraction.yaml:" in result.stdout
    (tmp_path / "p.yaml").write_text("gauger: 1\nuse: [packs/extraction.yaml]\n")
    assert run("check", "p.yaml").stdout == "p.yaml: fine\n"


@pytest.mark.parametrize("form", ["github", "sarif", "json"])
def test_what_two_policies_share_has_its_mistakes_once(run: Run, form: str) -> None:
    result = run("check", "sub/one.yaml", "sub/two.yaml", "--format", form)
    assert result.exit_code == 1
    assert result.stdout.count("is no unit") == 1


def test_annotations_for_github(run: Run) -> None:
    result = run("check", "fine.yaml", "wrong.yaml", "warned.yaml", "--format", "github")
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith("::error file=wrong.yaml,line=3,col=55,title=gauger value::`parsecs` is no unit%0Ahint: ")
    assert second.startswith("::warning file=warned.yaml,line=4,col=22,title=gauger unused-plan::")
    fine = run("check", "fine.yaml", "--format", "github")
    assert (fine.exit_code, fine.stdout) == (0, "")


def test_json_is_a_list(run: Run) -> None:
    (found,) = json.loads(run("check", "sub/one.yaml", "--format", "json").stdout)
    assert (found["file"], found["line"], found["column"]) == (str(Path("sub") / "packs" / "core.yaml"), 3, 55)
    assert (found["severity"], found["code"]) == ("error", "value")
    fine = run("check", "fine.yaml", "--format", "json")
    assert (fine.exit_code, json.loads(fine.stdout)) == (0, [])


def test_sarif_is_a_log_also_where_nothing_is_wrong(run: Run) -> None:
    log = json.loads(run("check", "wrong.yaml", "warned.yaml", "--format", "sarif").stdout)
    (first, second) = log["runs"][0]["results"]
    assert (first["ruleId"], first["level"], second["ruleId"], second["level"]) == (
        "value",
        "error",
        "unused-plan",
        "warning",
    )
    fine = run("check", "fine.yaml", "--format", "sarif")
    assert (fine.exit_code, json.loads(fine.stdout)["runs"][0]["results"]) == (0, [])


def test_a_format_that_is_not_known_is_code_2(run: Run) -> None:
    assert run("check", "fine.yaml", "--format", "xml").exit_code == 2


def test_the_schema_is_printed(run: Run) -> None:
    result = run("schema")
    assert (result.exit_code, result.stdout) == (0, schema_text())
