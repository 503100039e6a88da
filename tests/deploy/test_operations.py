"""The operations page can't go stale: its tables are what the program prints. `python -m tests.deploy.test_operations`
writes them anew."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.config import markdown as settings_markdown
from gateway.ledger.fields import fields_markdown
from gateway.ledger.mapping import mapping_markdown
from gateway.settings import Settings
from gateway.telemetry import metrics

PAGE = Path(__file__).parents[2] / "deploy" / "README.md"
TABLES: dict[str, Callable[[], str]] = {
    "fields": fields_markdown,
    "mapping": mapping_markdown,
    "settings": settings_markdown,
}


def written(text: str) -> str:
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        assert found, f"the page has lost its mark {name}"
        text = before + begin + table().strip() + "\n" + end + after
    return text


def test_the_tables_are_what_the_program_prints() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), "run: python -m tests.deploy.test_operations"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(gauger_[a-z_]+)", PAGE.read_text()))))
def test_every_metric_that_the_page_names_exists(name: str) -> None:
    base = name.removesuffix("_total")
    page = metrics.Metrics()
    for watched in (*metrics.GAUGES, *metrics.COUNTED):
        page.watch(watched, lambda: 0)
    page.policy("p", "", "0")
    page.policy_reload("loaded")
    assert f"# HELP {base}" in page.render().decode()


def test_every_setting_that_the_page_names_exists() -> None:
    known = {f"GAUGER_{name.upper()}" for name in Settings.model_fields} | {"GAUGER_CONFIG", "GAUGER_"}
    assert set(re.findall(r"GAUGER_[A-Z_]*", PAGE.read_text())) <= known


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
