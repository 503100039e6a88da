"""`gauger diff`: what differs between two policies."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

OLD = "gauger: 1\nlimits:\n  - {id: few, by: [account], count: requests, rate: 5 requests/min}\n"
NEW = OLD.replace("5 requests", "6 requests") + "tokens: {batch: 0.5}\n"
SAME = "gauger: 1 # cut in two\nuse: [old.yaml]\n"


@pytest.fixture(autouse=True)
def written(tmp_path: Path, bare: None) -> None:
    for name, text in {"old": OLD, "new": NEW, "same": SAME, "wrong": "gauger: 1\nx: 1\n"}.items():
        (tmp_path / f"{name}.yaml").write_text(text)


def test_policies_that_say_the_same_are_code_0(run: Run) -> None:
    result = run("diff", "old.yaml", "same.yaml")
    assert (result.exit_code, result.stdout) == (0, "no difference\n")


def test_what_differs_is_code_1(run: Run) -> None:
    result = run("diff", "old.yaml", "new.yaml")
    assert result.exit_code == 1
    assert result.stdout == ("~ limits few\n    ~ rate: 5 requests/min -> 6 requests/min\n+ tokens\n    + batch: 0.5\n")


def test_for_machines_each_side_has_its_digest(run: Run) -> None:
    result = run("diff", "--json", "new.yaml", "same.yaml")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["old"]["file"] == "new.yaml"
    assert found["old"]["digest"] != found["new"]["digest"]
    assert found["changes"] == [
        {
            "section": "limits",
            "id": "few",
            "kind": "changed",
            "fields": [{"path": "rate", "kind": "changed", "old": "6 requests/min", "new": "5 requests/min"}],
        },
        {
            "section": "tokens",
            "id": "",
            "kind": "removed",
            "fields": [{"path": "batch", "kind": "removed", "old": 0.5, "new": None}],
        },
    ]
    same = run("diff", "--json", "old.yaml", "same.yaml")
    assert (same.exit_code, json.loads(same.stdout)["changes"]) == (0, [])


def test_one_side_may_come_from_standard_input(run: Run) -> None:
    assert run("diff", "-", "new.yaml", given=NEW).exit_code == 0


@pytest.mark.parametrize("name", ["nothing.yaml", "wrong.yaml"])
def test_what_can_not_be_read_is_code_2(run: Run, name: str) -> None:
    for arguments in (("old.yaml", name), (name, "old.yaml")):
        result = run("diff", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert name in result.stderr
        assert "hint: " in result.stderr
