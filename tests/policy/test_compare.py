"""What differs between two policies, and what doesn't count as a difference."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.compare import Change, Difference, as_text, compare
from gateway.policy.loader import read

BASE = """
gauger: 1
policy: {id: p, mode: shadow}
plans: {default: {requests: 60 requests/min}, pro: {extends: default}}
identity: {plan: default, unknown: plan:pro}
limits:
  - {id: a, by: [key, model], count: requests, rate: plan.requests}
  - {id: b, by: [account], count: tokens.output, rate: 5k tokens/min, reserve: {first: 1k tokens, at_most: 50%}}
lists: {l: {values: [x, y]}}
"""


def data(text: str, **files: str) -> dict[str, Any]:
    loaded = read(text, "main.yaml", lambda name: files[name.replace(".", "_")].encode())
    assert loaded.findings == []
    return loaded.data


def between(old: str, new: str, **files: str) -> list[Change]:
    return compare(data(old, **files), data(new, **files))


def test_order_comments_and_the_form_of_the_yaml_do_not_count() -> None:
    other = """# another
lists: {l: {values: [y, x]}}
limits:
  - id: b # of the answer
    reserve: {at_most: 50%, first: 1k tokens}
    by: [account]
    count: tokens.output
    rate: 5k tokens/min
  - {id: a, count: requests, rate: plan.requests, by: [model, key]}
identity: {unknown: "plan:pro", plan: default}
plans: {pro: {extends: default}, default: {requests: 60 requests/min}}
policy: {mode: shadow, id: p}
gauger: 1
"""
    assert between(BASE, other) == []
    assert as_text([]) == ""


def test_a_changed_value_has_its_dotted_path() -> None:
    new = BASE.replace("first: 1k", "first: 2k").replace("mode: shadow", "mode: enforce").replace("60 req", "90 req")
    assert between(BASE, new) == [
        Change("policy", "", "changed", (Difference("mode", "changed", "shadow", "enforce"),)),
        Change(
            "plans", "default", "changed", (Difference("requests", "changed", "60 requests/min", "90 requests/min"),)
        ),
        Change("limits", "b", "changed", (Difference("reserve.first", "changed", "1k tokens", "2k tokens"),)),
    ]


def test_keys_that_come_and_go() -> None:
    new = BASE.replace("mode: shadow", "timezone: Asia/Tokyo").replace(", at_most: 50%", "")
    assert between(BASE, new) == [
        Change(
            "policy",
            "",
            "changed",
            (Difference("timezone", "added", new="Asia/Tokyo"), Difference("mode", "removed", old="shadow")),
        ),
        Change("limits", "b", "changed", (Difference("reserve.at_most", "removed", old="50%"),)),
    ]


def test_objects_that_come_and_go() -> None:
    new = BASE.replace("lists: {l: {values: [x, y]}}", "lists: {m: {globs: [x*]}}")
    assert between(BASE, new) == [
        Change("lists", "m", "added", (Difference("globs", "added", new="x*"),)),
        Change(
            "lists",
            "l",
            "removed",
            (Difference("values", "removed", old="x"), Difference("values", "removed", old="y")),
        ),
    ]


def test_a_list_is_compared_by_what_it_holds() -> None:
    (change,) = between(BASE, BASE.replace("[x, y]", "[z, y, y]"))
    assert change.fields == (
        Difference("values", "added", new="z"),
        Difference("values", "added", new="y"),
        Difference("values", "removed", old="x"),
    )


def test_packs_and_lists_are_resolved_first() -> None:
    inner = BASE.replace("lists: {l: {values: [x, y]}}", "use: [pack.yaml]")
    pack = "gauger: 1\nlists: {l: {file: l.txt}}"
    assert between(BASE, inner, pack_yaml=pack, l_txt="y\nx\n") == []
    (change,) = between(BASE, inner, pack_yaml=pack, l_txt="y\n")
    assert change.fields == (Difference("values", "removed", old="x"),)


def test_inner_items_are_told_apart_by_id_by_name_or_by_place() -> None:
    def card(*evidence: dict[str, Any]) -> dict[str, Any]:
        return {
            "scorecards": [{"id": "c", "evidence": list(evidence)}],
            "tests": [{"name": "t", "send": [{"a": 1}, {"a": 2}]}],
        }

    one, two = {"id": "x", "db": 1}, {"id": "y", "db": 2}
    assert compare(card(one, two), card(two, one)) == []
    (change,) = compare(card(one, two), card({**two, "db": 3}, one))
    assert change.fields == (Difference("evidence.y.db", "changed", 2, 3),)
    other = card(one, two) | {"tests": [{"name": "t", "send": [{"a": 2}, {"a": 1}]}]}
    (change,) = compare(card(one, two), other)
    assert [field.path for field in change.fields] == ["send.0.a", "send.1.a"]


@pytest.mark.parametrize(("old", "new"), [(1, True), (1, 1.0), (0, False), ("1", 1), (None, ""), ({}, []), ([], None)])
def test_values_of_different_types_differ(old: Any, new: Any) -> None:
    assert compare({"a": {"x": old}}, {"a": {"x": new}}) == [
        Change("a", "", "changed", (Difference("x", "changed", old, new),))
    ]


def test_the_text_for_people() -> None:
    new = BASE.replace("mode: shadow", "version: v2").replace("[x, y]", f"[y, {', '.join(f'v{n}' for n in range(22))}]")
    new = new.replace("reserve: {first: 1k tokens, at_most: 50%}", "mode: shadow").replace("60 req", "61 req")
    values = "".join(f"    + values: v{n}\n" for n in range(20))
    assert as_text(between(BASE, new)) == (
        "~ policy\n    + version: v2\n    - mode: shadow\n"
        "~ plans default\n    ~ requests: 60 requests/min -> 61 requests/min\n"
        "~ limits b\n    + mode: shadow\n    - reserve.first: 1k tokens\n    - reserve.at_most: 50%\n"
        f"~ lists l\n{values}    - values: x\n    + values: 2 more\n"
    )


def test_the_text_stays_in_its_line() -> None:
    text = as_text(compare({"a": {"x": "one\ntwo"}}, {"a": {"x": "y" * 600, "z": {}, "e": ""}}))
    assert text.splitlines() == ["~ a", f"    ~ x: one·two -> {'y' * 39}…", "    + z: {}", '    + e: ""']


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
NODES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "x", "y"]), inner),
    max_leaves=10,
)
DATA = st.dictionaries(st.sampled_from(["limits", "plans", "policy", "tests"]), NODES)


@given(DATA)
def test_nothing_differs_from_itself(one: dict[str, Any]) -> None:
    assert compare(one, one) == []


@given(DATA, DATA)
def test_the_other_way_round_says_the_opposite(one: dict[str, Any], two: dict[str, Any]) -> None:
    turned = {"added": "removed", "removed": "added", "changed": "changed"}

    def plain(changes: list[Change], *, turn: bool) -> list[Any]:
        rows: list[Any] = []
        for change in changes:
            kind = turned[change.kind] if turn else change.kind
            fields = [
                (each.path, turned[each.kind], repr(each.new), repr(each.old))
                if turn
                else (each.path, each.kind, repr(each.old), repr(each.new))
                for each in change.fields
            ]
            rows.append((change.section, change.id, kind, sorted(fields)))
        return sorted(rows)

    assert plain(compare(one, two), turn=False) == plain(compare(two, one), turn=True)
    msgspec.json.encode(compare(one, two))
    assert len(as_text(compare(one, two)).splitlines()) >= len(compare(one, two))
