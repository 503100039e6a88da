"""The museum: every broken file of tests/policy/broken, and exactly what is said about it."""

from pathlib import Path

import pytest
import yaml

from gateway import documents
from gateway.documents import render
from gateway.policy.check import check

NOW = 1_780_272_000_000_000  # 2026-06-01
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))


def missing(name: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", name)


def said_about(path: Path) -> str:
    source = path.read_bytes()
    findings = check(source, path.name, missing, NOW)
    return "".join(render(finding, source.decode("utf-8", "replace")) + "\n" for finding in findings)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_mistake_has_its_place_and_its_words(path: Path) -> None:
    expected = path.with_suffix(".expected").read_text()
    assert expected != ""
    assert said_about(path) == expected


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_slow_parser_says_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LOADER", yaml.SafeLoader)
    assert said_about(path) == path.with_suffix(".expected").read_text()


def test_the_museum_is_not_empty() -> None:
    assert len(BROKEN) >= 180
