"""YAML text as plain data that knows its place."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import documents
from gateway.documents import Document, DocumentErrors, Finding, Mark, did_you_mean, in_order, parse, render, shown


def findings_of(text: bytes | str, **options: Any) -> list[Finding]:
    with pytest.raises(DocumentErrors) as caught:
        parse(text, "a.yaml", **options)
    return caught.value.findings


@pytest.mark.parametrize(
    "text, value",
    [
        ("on", "on"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("1.2.3", "1.2.3"),
        ("0b11", "0b11"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.10", 1.1),
        ("12", 12),
        ("-7", -7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'true'", "true"),
        ('"12"', "12"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("plan:free", "plan:free"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    found = parse(f"k: {text}\n", "a.yaml").data["k"]
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_has_its_place() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: d, e: [f]}\n", "a.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": "d", "e": ["f"]}]}
    assert document.value(()) == Mark(1, 1)
    assert (document.key(("a",)), document.value(("a",))) == (Mark(1, 1), Mark(1, 4))
    assert (document.key(("b",)), document.value(("b",))) == (Mark(2, 1), Mark(3, 3))
    assert document.value(("b", 0)) == Mark(3, 5)
    assert document.key(("b", 1, "e")) == Mark(4, 12)
    assert document.value(("b", 1, "e", 0)) == Mark(4, 16)


def test_steps_that_lead_nowhere_are_skipped() -> None:
    document = parse("a: {b: 1}", "a.yaml")
    assert document.value(("a", "tag-of-a-union", "b")) == Mark(1, 8)
    assert document.value(("a", "missing")) == Mark(1, 4)
    assert document.key(("a", "b", "[key]")) == Mark(1, 5)


def test_columns_count_characters_and_lines_count_every_line_break() -> None:
    assert parse("é: {ü: x}", "a.yaml").value(("é", "ü")) == Mark(1, 8)
    assert parse("a: 1\r\nb: 2\rc: 3\nd: 4", "a.yaml").key(("d",)) == Mark(4, 1)
    assert parse("\ufeffa: 1".encode(), "a.yaml").key(("a",)) == Mark(1, 1)


@pytest.mark.parametrize(
    "text, place, code",
    [
        (b"a: \xff", (1, 4), "yaml-encoding"),
        ("\ufeffa: 1".encode("utf-16"), (1, 1), "yaml-encoding"),
        ("a: \ud800", (1, 4), "yaml-encoding"),
        ("a: 1\nb: \x07", (2, 4), "yaml-character"),
        ("a: 1\u2028b: 2", (1, 5), "yaml-character"),
        ("a:\tb", (1, 3), "yaml-tab"),
        ("a: !!str 1", (1, 4), "yaml-tag"),
        ("a: ! 1", (1, 4), "yaml-tag"),
        ("a: !<tag:yaml.org,2002:str> 1", (1, 4), "yaml-tag"),
        ("a: !!python/name:os.system x", (1, 4), "yaml-tag"),
        ("!!map {a: 1}", (1, 1), "yaml-tag"),
        ("a: &x 1", (1, 4), "yaml-anchor"),
        ("a: *x", (1, 4), "yaml-alias"),
        ("*x : 1", (1, 1), "yaml-alias"),
        ("<<: {a: 1}", (1, 1), "yaml-merge"),
        ("a: 1\na: 2", (2, 1), "yaml-duplicate"),
        ("a: {b: 1, b: 2}", (1, 11), "yaml-duplicate"),
        ('a: 1\n"a": 2', (2, 1), "yaml-duplicate"),
        ("true: a", (1, 1), "yaml-key"),
        ("~: a", (1, 1), "yaml-key"),
        ("? [a]\n: b", (1, 3), "yaml-key"),
        ("a: 1\n---\nb: 1", (2, 1), "yaml-documents"),
        ("%YAML 1.1\n---\na: 1", (1, 1), "yaml-directive"),
        ("%TAG !e! tag:e,2026:\n---\na: 1", (1, 1), "yaml-directive"),
        ("a: .nan", (1, 4), "yaml-number"),
        ("a: -.INF", (1, 4), "yaml-number"),
        ("a: 1e999", (1, 4), "yaml-number"),
        ("a: " + "9" * 5000, (1, 4), "yaml-number"),
        ("[" * 41 + "]" * 41, (1, 41), "yaml-depth"),
        ("a: 'b", (1, 4), "yaml-syntax"),
        ("a: b: c", (1, 5), "yaml-syntax"),
        ("[", (1, 2), "yaml-syntax"),
    ],
)
def test_what_is_not_spoken_here_is_found_in_its_place(text: bytes | str, place: tuple[int, int], code: str) -> None:
    finding = findings_of(text)[0]
    assert (finding.line, finding.column, finding.code) == (*place, code)


def test_yaml_1_2_may_be_named_and_depth_40_is_enough() -> None:
    assert parse("%YAML 1.2\n---\na: 1\n", "a.yaml").data == {"a": 1}
    assert parse("[" * 40 + "]" * 40, "a.yaml").data != []
    assert parse("'<<': 1", "a.yaml").data == {"<<": 1}


def test_what_need_not_stop_is_collected() -> None:
    codes = [finding.code for finding in findings_of("a: &x 1\nb: *x\nb: !!int 2\ntrue: 2\n")]
    assert codes == ["yaml-anchor", "yaml-alias", "yaml-duplicate", "yaml-tag", "yaml-key"]


def test_a_number_is_a_key_as_it_is_written() -> None:
    assert parse("1: a\n1.0: b\n0x1: c\n", "a.yaml").data == {"1": "a", "1.0": "b", "0x1": "c"}
    assert findings_of("10: a\n10: b")[0].code == "yaml-duplicate"


def test_a_duplicate_names_the_first_place() -> None:
    assert findings_of("x:\n  key: 1\n  key: 2\n")[0].message == "the key `key` is here twice; the first is at 2:3"


def test_size_is_bounded_before_anything_is_built() -> None:
    assert findings_of("a" * 1_048_577)[0].code == "yaml-size"
    assert findings_of("[" + "a," * 100_000 + "]")[0].code == "yaml-size"
    assert findings_of("abcdef: 1", max_bytes=8)[0].message == "the file is larger than 0 KiB"
    assert len(parse("[" + "a," * 50_000 + "]", "a.yaml").data) == 50_000


def test_after_a_hundred_findings_only_their_number() -> None:
    many = [Finding("a", line, 1, "m") for line in range(150, 0, -1)]
    shown_ones = in_order(many)
    assert len(shown_ones) == 101
    assert (shown_ones[0].line, shown_ones[-1].message) == (1, "50 more findings")


def test_a_private_file_shows_nothing_and_its_values_are_text() -> None:
    document = parse("k: [12e45, 0123, true, ~]", "a.yaml", private=True)
    assert document.data == {"k": ["12e45", "0123", "true", None]}
    source = "sk-secret: !sk-secret 1\nsk-secret: *sk-secret"
    findings = findings_of(source, private=True)
    assert len(findings) == 3
    for finding in findings:
        assert "secret" not in render(finding, source)
        assert "secret" not in str(finding)


def test_a_finding_is_shown_with_its_line_a_caret_and_a_hint() -> None:
    finding = Finding("p.yaml", 2, 4, "this is wrong", "do that")
    assert render(finding, "a: 1\nb: 2\n") == (
        "p.yaml:2:4: error: this is wrong\n  2 | b: 2\n    |    ^\n  hint: do that"
    )


def test_a_caret_stands_under_its_character() -> None:
    wide = render(Finding("p", 1, 4, "m"), "漢字: x").splitlines()
    assert wide[2] == "    | " + " " * 5 + "^"
    line = "x" * 500
    long = render(Finding("p", 1, 400, "m"), line).splitlines()
    assert len(long[1]) < 130
    assert long[2].index("^") < len(long[1])


def test_what_would_move_the_terminals_cursor_is_not_shown() -> None:
    assert "\x1b" not in render(Finding("p", 1, 1, "m"), "a\x1b[2J")
    assert "\x1b" not in shown("a\x1b[2J")


def test_a_place_outside_the_source_is_shown_without_a_line() -> None:
    assert render(Finding("p", 9, 1, "m"), "a") == "p:9:1: error: m"


@pytest.mark.parametrize("word, hint", [("polcy", "did you mean `policy`?"), ("zzz", ""), ("", ""), (3, "")])
def test_the_nearest_known_word_is_offered(word: object, hint: str) -> None:
    assert did_you_mean(word, ["policy", "plans"]) == hint


def test_both_parsers_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: {b: [1, 'x', ~]}\nc: |\n  t\n"
    fast = parse(text, "a.yaml")
    monkeypatch.setattr(documents, "LOADER", yaml.SafeLoader)
    assert parse(text, "a.yaml") == fast


def paths(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(deeper for step, child in children for deeper in paths(child, (*path, step)))]


@settings(deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.text("ab:{}[]#&*!|>'\"%@` \n", max_size=8)
        ),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text("abc: #", max_size=4), inner)),
        max_leaves=20,
    ),
    st.booleans(),
)
def test_what_was_written_is_read_back_and_every_place_is_in_the_file(data: Any, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True, width=60)
    document = parse(text, "a.yaml")
    assert document.data == data
    lines = text.split("\n")
    for path in paths(data):
        for mark in (document.key(path), document.value(path)):
            assert 1 <= mark.line <= len(lines)
            assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_bytes_give_data_or_findings(text: bytes | str) -> None:
    try:
        found: Document | list[Finding] = parse(text, "a.yaml")
    except DocumentErrors as error:
        found = error.findings
    assert found != []
