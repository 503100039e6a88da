"""A policy that is made of packs: what is merged, what is refused, and where."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents import Finding, parse
from gateway.policy.check import check
from gateway.policy.file import schema
from gateway.policy.loader import load
from gateway.policy.model import Policy
from gateway.policy.packs import joined, merge

LIMIT = "{id: few, by: [account], count: requests, rate: 5 requests/min, burst: 5 requests}"
CORE = f"gauger: 1\npolicy: {{id: core, version: '3', mode: shadow}}\nlimits:\n  - {LIMIT}\n"
CARD = (
    "gauger: 1\nscorecards:\n  - id: card\n    evidence:\n      - {id: a.b, ceiling: 3 dB, points: {0%: 1 dB}}\n"
    "    families: {params: 20 dB}\n"
)


def files(**texts: str) -> Any:
    """A resolver of these texts; `__` in a name stands for `/`."""
    known = {f"{name.replace('__', '/')}.yaml": text.encode() for name, text in texts.items()}

    def resolve(name: str) -> bytes:
        if name not in known:
            raise FileNotFoundError(2, "No such file or directory", name)
        return known[name]

    return resolve


def policy(text: str, **texts: str) -> Policy:
    return load(f"gauger: 1\n{text}", "main.yaml", files(**texts))


def said(text: str, **texts: str) -> list[str]:
    """What is wrong, as one line a finding."""
    return [str(finding) for finding in check(f"gauger: 1\n{text}", "main.yaml", files(**texts))]


def merged(text: str, **texts: str) -> Any:
    """The merged data of what need not be a whole policy. Raises AssertionError where there are findings."""
    document, findings = merge(parse(text, "main.yaml"), text, files(**texts))
    assert findings == []
    return document


def test_a_pack_s_limits_come_before_the_file_s_own() -> None:
    made = policy(
        "use: [packs/core.yaml]\nlimits: [{id: own, by: [key], count: requests, rate: 1 requests/s}]", packs__core=CORE
    )
    assert [limit.id for limit in made.limits_of(None)] == ["few", "own"]


def test_of_a_pack_s_policy_section_nothing_holds() -> None:
    made = policy("use: [core.yaml]\npolicy: {id: mine}", core=CORE)
    assert (made.id, made.version, made.mode, made.source) == ("mine", "", "enforce", "main.yaml")


def test_a_pack_is_a_policy_of_its_own() -> None:
    assert load(CORE, "core.yaml", files()).mode == "shadow"


def test_a_pack_s_tests_stay_with_it() -> None:
    assert "tests" not in merged("gauger: 1\nuse: [a.yaml]", a="gauger: 1\ntests: [{name: x}]").data


def test_how_a_policy_is_cut_into_files_does_not_change_its_digest() -> None:
    whole = policy(f"limits:\n  - {LIMIT}\nlists: {{a: {{values: [x]}}}}")
    cut = policy("use: [a.yaml, b.yaml]", a=CORE, b="gauger: 1\nlists: {a: {values: [x]}}")
    assert whole.digest == cut.digest
    assert whole.digest != policy("use: [a.yaml]", a=CORE).digest


def test_a_changed_pack_is_another_policy() -> None:
    assert policy("use: [a.yaml]", a=CORE).digest != policy("use: [a.yaml]", a=CORE.replace("5 req", "6 req")).digest


def test_a_policy_keeps_the_text_of_every_file_that_it_was_made_of() -> None:
    listed = "gauger: 1\nlists: {known: {file: ../lists/known.txt.yaml}}\nuse: [core.yaml]"
    texts = {"packs__lists": listed, "packs__core": CORE, "lists__known.txt": "one # first\ntwo\n"}
    text = "gauger: 1\nuse: [packs/lists.yaml]"
    made = load(text, "/etc/gauger/main.yaml", files(**texts))
    assert made.files == {
        "/etc/gauger/main.yaml": text,
        "packs/lists.yaml": listed,
        "packs/core.yaml": CORE,
        "lists/known.txt.yaml": "one # first\ntwo\n",
    }
    assert made.lists["known"].values == {"one", "two"}


def test_a_list_s_file_is_looked_for_beside_the_file_that_names_it() -> None:
    pack = "gauger: 1\nlists: {a: {file: a.yaml}, b: {values: [x]}}"
    made = policy("use: [packs/p.yaml]\nlists: {c: {file: a.yaml}}", packs__p=pack, packs__a="inner", a="outer")
    assert {name: set(each.values) for name, each in made.lists.items()} == {"a": {"inner"}, "b": {"x"}, "c": {"outer"}}


def test_a_pack_of_the_main_file_s_name_has_another_one_in_the_records() -> None:
    text = "gauger: 1\nuse: [packs/a.yaml]"
    made = load(text, "packs/a.yaml", files(packs__a=CORE))  # the resolver begins at the folder `packs`
    assert made.files == {"packs/a.yaml": text, "./packs/a.yaml": CORE}


def test_a_pack_that_is_reached_twice_is_merged_once() -> None:
    made = policy(
        "use: [a.yaml, b.yaml, core.yaml]", a="gauger: 1\nuse: [core.yaml]", b="gauger: 1\nuse: [core.yaml]", core=CORE
    )
    assert [limit.id for limit in made.limits_of(None)] == ["few"]
    assert list(made.files) == ["main.yaml", "a.yaml", "core.yaml", "b.yaml"]


def test_names_are_relative_to_the_file_that_they_stand_in() -> None:
    made = policy("use: [x/y/a.yaml]", x__y__a="gauger: 1\nuse: [../b.yaml, ./c.yaml]", x__b=CORE, x__y__c="gauger: 1")
    assert list(made.files) == ["main.yaml", "x/y/a.yaml", "x/b.yaml", "x/y/c.yaml"]


@pytest.mark.parametrize(
    ("base", "name", "found"),
    [
        ("", "a.yaml", "a.yaml"),
        ("packs/a.yaml", "b.yaml", "packs/b.yaml"),
        ("packs/a.yaml", "../b.yaml", "b.yaml"),
        ("packs/a.yaml", ".././/x/./b.yaml", "x/b.yaml"),
        ("packs/a.yaml", "../../b.yaml", None),
        ("packs/a.yaml", "x/../../../b.yaml", None),
        ("", "/etc/passwd", None),
        ("", "c:/x.yaml", None),
        ("", "..\\x.yaml", None),
        ("", "a\0b", None),
        ("", ".", None),
        ("", "a" * 501, None),
    ],
)
def test_no_name_leads_out_of_the_folder(base: str, name: str, found: str | None) -> None:
    assert joined(base, name) == found


@given(st.lists(st.sampled_from(["a", "..", ".", "", "b.yaml"])), st.lists(st.sampled_from(["x", "y"])))
def test_a_name_that_is_found_is_below_the_folder(parts: list[str], base: list[str]) -> None:
    found = joined("/".join([*base, "p.yaml"]), "/".join(parts))
    assert found is None or (found and not {"", ".", ".."} & set(found.split("/")))


# what changes what a pack brings


def test_replaces_puts_a_whole_object_in_the_old_one_s_place() -> None:
    pack = CORE + "  - {id: more, by: [key], count: requests, rate: 9 requests/s}\n"
    new = "{id: few, replaces: true, by: [org], count: requests, rate: 1 requests/s}"
    first, second = policy(f"use: [core.yaml]\nlimits: [{new}]", core=pack).limits_of(None)
    assert (first.id, first.by, first.burst, second.id) == ("few", ("org",), 1, "more")


def test_plans_and_lists_are_replaced_by_name() -> None:
    pack = "gauger: 1\nplans: {default: {a: 1 requests/s, b: 2 requests/s}}\nlists: {l: {values: [x]}}"
    text = (
        "use: [p.yaml]\nplans: {default: {replaces: true, a: 3 requests/s}}\nlists: {l: {globs: [y*], replaces: true}}"
    )
    made = policy(text, p=pack)
    assert list(made.plans["default"].rates) == ["a"]
    assert made.lists["l"].globs == ("y*",)


def test_set_changes_single_values_and_nothing_else() -> None:
    made = policy(
        "use: [core.yaml]\nlimits: [{id: few, set: {mode: shadow, burst: 2 requests, status: 503}}]", core=CORE
    )
    (limit,) = made.limits_of(None)
    assert (limit.shadow, limit.burst, limit.status, limit.rate.amount) == (True, 2, 503, 5)


def test_set_reaches_plans_and_lists_by_name() -> None:
    pack = "gauger: 1\nplans: {default: {a: 1 requests/s, b: 2 requests/s}}\nlists: {l: {file: no.txt}}"
    text = "use: [p.yaml]\nplans: {default: {set: {b: unlimited, c: 3 requests/s}}}\nlists: {l: {set: {file: l.yaml}}}"
    made = policy(text, p=pack, l="x")
    assert {name: rate and rate.amount for name, rate in made.plans["default"].rates.items()} == {
        "a": 1,
        "b": None,
        "c": 3,
    }
    assert made.lists["l"].values == {"x"}


def test_a_dotted_key_leads_through_mappings_and_items() -> None:
    text = (
        "gauger: 1\nuse: [card.yaml]\nscorecards: [{id: card, set: {evidence.a.b.ceiling: 9 dB, needs: x, "
        "families.params: 1 dB, evidence.a.b.points.0%: 2 dB, evidence.a.b.points.1.5: 4 dB}}]"
    )
    with pytest.raises(AssertionError):  # `1.5` would have to be there: a dot leads on
        merged(text, card=CARD)
    data = merged(text.replace("points.1.5", "points.15%"), card=CARD).data
    assert data["scorecards"] == [
        {
            "id": "card",
            "evidence": [{"id": "a.b", "ceiling": "9 dB", "points": {"0%": "2 dB", "15%": "4 dB"}}],
            "families": {"params": "1 dB"},
            "needs": "x",
        }
    ]


def test_the_last_file_of_those_that_set_a_value_is_heard() -> None:
    change = "gauger: 1\nuse: [core.yaml]\nlimits: [{id: few, set: {burst: N requests}}]"
    made = policy("use: [a.yaml, b.yaml]", core=CORE, a=change.replace("N", "2"), b=change.replace("N", "3"))
    assert [limit.burst for limit in made.limits_of(None)] == [3]


def test_a_value_has_the_place_of_the_word_that_gave_it() -> None:
    text = "gauger: 1\nuse: [card.yaml]\nscorecards:\n- {id: card, set: {evidence.a.b.ceiling: 9 dB}}\n- {id: own}\n"
    document = merged(text, card=CARD)

    def place(*path: str | int, key: bool = False) -> str:
        found = document.finding(path, "", key=key)
        return f"{found.file}:{found.line}:{found.column}"

    path = ("scorecards", 0, "evidence", 0)
    assert place(*path, "ceiling") == "main.yaml:4:42"
    assert place(*path, "ceiling", key=True) == "main.yaml:4:20"
    assert place(*path, "points") == "card.yaml:5:42"
    assert place(*path) == place(*path, "nowhere") == "card.yaml:5:9"
    assert place("scorecards", 1, "id") == "main.yaml:5:8"
    assert place("scorecards", key=True) == "main.yaml:3:1"
    assert place() == "main.yaml:1:1"
    assert (document.value((*path, "points")).line, document.key((*path, "points")).column) == (5, 34)
    assert document.file_of((*path, "points")) == "card.yaml"


def test_a_policy_without_packs_has_the_places_that_it_had() -> None:
    text = f"gauger: 1\nlimits:\n  - {LIMIT}\n"
    alone, together = parse(text, "a.yaml"), merged(text)
    assert (together.data, together.nodes) == (alone.data, alone.nodes)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["few", "x", "a.b", "enforce", "5 requests/min"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "set", "replaces", "by", "x", "a.b", "use", "id.x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
SECTIONS = st.dictionaries(st.sampled_from(["limits", "rules", "plans", "lists", "use", "scorecards", "x"]), VALUES)


@given(SECTIONS, SECTIONS, SECTIONS)
def test_any_files_give_a_policy_or_findings(main: dict[str, Any], one: dict[str, Any], two: dict[str, Any]) -> None:
    texts = {"x": {"use": ["a.b"], **one}, "a.b": two}

    def resolve(name: str) -> bytes:
        return json.dumps({"gauger": 1, **texts[name]}).encode()

    text = json.dumps({"gauger": 1, "use": ["x"], **main})
    for finding in check(text, "main.yaml", resolve):
        assert isinstance(finding, Finding)
        assert finding.file in ("main.yaml", "x", "a.b")
        assert finding.line == 1 and finding.column >= 1


@pytest.mark.parametrize(
    "text",
    [
        "use: [a.yaml]\nlimits: [{id: few, set: {mode: shadow}}]\nplans: {p: {set: {a.b: 3}}}",
        f"limits: [{LIMIT.replace('few', 'few, replaces: true')}]\nlists: {{l: {{values: [x], replaces: true}}}}",
    ],
)
def test_editors_know_how_packs_are_changed(text: str) -> None:
    jsonschema.validate(parse(f"gauger: 1\n{text}", "a.yaml").data, schema())


@pytest.mark.parametrize(
    "text",
    [
        "limits: [{id: few, set: {by: [org]}}]",
        "limits: [{id: few, set: {}}]",
        "limits: [{set: {mode: shadow}}]",
        "limits: [{id: few, set: {mode: shadow}, status: 429}]",
        "limits: [{id: few, replaces: true}]",
        "lists: {a: {replaces: false, values: [x]}}",
        "plans: {a: {set: {b: 1}, c: 1 requests/s}}",
        "use: a.yaml",
    ],
)
def test_an_editor_and_the_merge_refuse_alike(text: str) -> None:
    assert said(f"use: [a.yaml]\n{text}" if "use" not in text else text, a="gauger: 1\nplans: {a: {}}") != []
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse(f"gauger: 1\n{text}", "a.yaml").data, schema())
