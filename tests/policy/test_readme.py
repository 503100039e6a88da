"""policies/README.md and the shipped files say what the loader does.

`python -m tests.policy.test_readme` writes the page's tables of names and of signals anew.
"""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.accounts import KNOWN as ACCOUNT_KEYS
from gateway.accounts import check_accounts
from gateway.catalogue import reference as signals
from gateway.documents import parse, render
from gateway.files import resolver
from gateway.policy import check as checks
from gateway.policy import lints
from gateway.policy.check import check
from gateway.policy.facts import reference
from gateway.policy.file import schema, schema_text
from gateway.policy.loader import load
from gateway.stores.memory import MemoryLimits
from gateway.trials import run

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "policies" / "README.md"
README = PAGE.read_text()
TABLES = {"names": reference, "signals": signals}
DEFAULT = (ROOT / "policies" / "default.yaml").read_text()
shipped = resolver(ROOT / "policies")
BLOCKS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def nothing(name: str) -> bytes:
    raise FileNotFoundError(name)


def keys_of(node: Any) -> set[str]:
    """Every key that a schema knows."""
    if isinstance(node, list):
        return {key for child in node for key in keys_of(child)}
    if not isinstance(node, dict):
        return set()
    own = set(node["properties"]) if isinstance(node.get("properties"), dict) else set()
    return own | {key for child in node.values() for key in keys_of(child)}


def test_the_readme_has_examples() -> None:
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_of_the_readme_is_right(block: str) -> None:
    assert [str(finding) for finding in check(block, "README.md", shipped)] == []
    jsonschema.validate(parse(block, "README.md").data, schema())


def test_every_key_of_the_schema_is_explained() -> None:
    flags = re.MULTILINE | re.IGNORECASE
    assert {key for key in keys_of(schema()) if not re.search(rf"`{key}`|^###? {key}$", README, flags)} == set()


def test_every_key_of_the_accounts_file_is_explained() -> None:
    assert [key for key in ACCOUNT_KEYS if f"`{key}`" not in README] == []


def table_of(name: str) -> tuple[int, int]:
    """Where a table of the page begins and ends."""
    begin = README.index(f"<!-- {name}: begin")
    return README.index("\n", begin) + 1, README.index(f"<!-- {name}: end")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_the_programs(name: str) -> None:
    begin, end = table_of(name)
    assert README[begin:end] == TABLES[name](), "run: python -m tests.policy.test_readme"


def test_every_example_of_the_readme_keeps_its_own_tests() -> None:
    results = [result for block in BLOCKS for result in run(load(block, "README.md", shipped), MemoryLimits)]
    assert len(results) >= 6
    assert [(result.example.name, result.failures) for result in results if not result.ok] == []


def test_the_error_in_the_readme_is_the_one_that_is_shown() -> None:
    lines = ["gauger: 1"] + ["# a comment"] * 7
    lines += ["plans:", "  free: {requests: 60 requests/min, output: 10m tokens/min}"]
    source = "\n".join(lines)
    (finding,) = check(source, "policy.yaml", nothing)
    assert f"```\n{render(finding, source)}\n```" in README


def test_the_grammar_of_the_readme_is_the_loaders() -> None:
    from gateway.policy import quantities

    grammar = re.findall(r"^    (\w+ +:= .*)$", quantities.__doc__ or "", re.MULTILINE)
    assert len(grammar) == 11
    assert "\n".join(grammar) in README


def test_every_warning_is_explained() -> None:
    section = README[README.index("## Errors and warnings") :]
    table = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", section, re.MULTILINE)
    assert sorted(table) == sorted([*checks.CODES, *lints.CODES])


def test_the_default_policy_has_nothing_to_complain_about() -> None:
    assert [str(finding) for finding in check(DEFAULT, "default.yaml", shipped)] == []
    jsonschema.validate(parse(DEFAULT, "default.yaml").data, schema())


def test_the_default_policy_limits_callers_without_a_key() -> None:
    limits = load(DEFAULT, "default.yaml", shipped).limits_of(None)
    assert [(limit.id, limit.by, limit.burst) for limit in limits] == [
        ("extraction-pace", ("account",), 2_000_000_000),  # of the pack: felt where it is throttled
        ("campaign-pace", ("campaign",), 2_000_000_000),
        ("requests", ("account",), 100),
        ("input", ("account",), 2_000_000),
        ("output", ("account",), 200_000),
        ("live", ("account",), 64),
    ]


def test_the_quota_that_the_default_policy_keeps_in_a_comment_works() -> None:
    text = DEFAULT.replace("# daily:", "daily:").replace("# - {id: daily", "- {id: daily")
    assert check(text, "default.yaml", shipped) == []
    assert [limit.id for limit in load(text, "default.yaml", shipped).limits_of(None)][-1] == "daily"


def test_the_example_of_accounts_is_right() -> None:
    text = (ROOT / "policies" / "accounts.example.yaml").read_text()
    assert check_accounts(text, "accounts.example.yaml", {"default"}) == []


def test_the_schema_file_is_what_the_models_say() -> None:
    """Write it anew: python -c 'from gateway.policy.facts import reference
    from gateway.policy.file import schema_text; print(schema_text(), end="")'."""
    assert (ROOT / "gateway" / "policy" / "schema.json").read_text() == schema_text()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "text",
    [
        "gauger: 2",
        "gauger: 1\nrules: [{id: a, when: req.n > 1}]",
        "gauger: 1\nrules: [{id: a, when: req.n > 1, then: {block: {status: 409}}}]",
        "gauger: 1\nplans: {free: {requests: 10m tokens}}",
        "gauger: 1\nlimits: [{id: a, by: [tenant], count: requests, rate: 1 requests/s}]",
        "gauger: 1\npolicy: {mode: off}",
        "gauger: 1\nidentity: {unknown: reject}",
        "gauger: 1\nlimits: [{id: a, by: [key], count: concurrent, rate: plan.live, lease: 900}]",
    ],
)
def test_an_editor_and_the_loader_refuse_alike(text: str) -> None:
    assert check(text, "a.yaml", nothing) != []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse(text, "a.yaml").data, schema())


if __name__ == "__main__":
    for name, written in TABLES.items():
        begin, end = table_of(name)
        README = README[:begin] + written() + README[end:]
    PAGE.write_text(README)
