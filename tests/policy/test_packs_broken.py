"""The museum of broken packs: what is said about several files, and in which of them."""

import json
from typing import Any

import pytest

from gateway.documents import parse
from gateway.policy.check import check
from gateway.policy.overlay import MAX_SET
from gateway.policy.packs import MAX_BYTES, merge

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


def said(text: str, **texts: str) -> list[str]:
    """What is wrong, as one line a finding."""
    return [str(finding) for finding in check(f"gauger: 1\n{text}", "main.yaml", files(**texts))]


TWO = f"use: [core.yaml]\nlimits:\n  - {LIMIT}"
RING = {"a": "gauger: 1\nuse: [b.yaml]", "b": "gauger: 1\nuse: [a.yaml]"}


@pytest.mark.parametrize(
    ("text", "texts", "expected"),
    [
        (
            TWO,
            {"core": CORE},
            "main.yaml:4:10: error: the limit `few` is also at core.yaml:4:5 "
            "(`replaces: true` takes its place, `set: {...}` changes single values of it)",
        ),
        (
            "use: [a.yaml]\nplans: {default: {}}",
            {"a": "gauger: 1\nplans:\n  default: {}"},
            "main.yaml:3:9: error: the plan `default` is also at a.yaml:3:3 "
            "(`replaces: true` takes its place, `set: {...}` changes single values of it)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: fwe, set: {mode: shadow}}]",
            {"core": CORE},
            "main.yaml:3:15: error: there is no limit `fwe` to change (did you mean `few`?)",
        ),
        (
            "lists: {a: {replaces: true, values: [x]}}",
            {},
            "main.yaml:2:9: error: there is no list `a` to change (only what a pack brings can be changed)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {reserve.first: 1k tokens}}]",
            {"core": CORE},
            "main.yaml:3:26: error: it has no key `reserve` (it has id, by, count, rate, burst)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {mod: shadow}}]",
            {"core": CORE},
            "main.yaml:3:26: error: unknown key `mod` (did you mean `mode`?)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {mode: off}}]",
            {"core": CORE},
            "main.yaml:3:32: error: `off` is not one of enforce, shadow",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {by: [org]}}]",
            {"core": CORE},
            "main.yaml:3:30: error: `set` takes one value, not a list (`replaces: true` gives the whole anew)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {reserve: {first: 2k tokens}}}]",
            {"core": CORE},
            "main.yaml:3:35: error: `set` takes one value, not a mapping (write each value apart, as in"
            " `reserve.first: …`, or `replaces: true` gives the whole anew)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {by: org}}]",
            {"core": CORE},
            "main.yaml:3:26: error: this is a list, and `set` changes single values",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {rate.period: min}}]",
            {"core": CORE},
            "main.yaml:3:26: error: `rate` is one value and has no keys",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {id: many}}]",
            {"core": CORE},
            "main.yaml:3:26: error: an id can't be changed (other files know it by that name)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {}}]",
            {"core": CORE},
            "main.yaml:3:25: error: this is empty",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: [mode]}]",
            {"core": CORE},
            "main.yaml:3:25: error: this must be a mapping, not a list (as in `set: {mode: shadow}`)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, set: {mode: shadow}, burst: 3 requests}]",
            {"core": CORE},
            "main.yaml:3:41: error: `burst` can't stand beside `set` "
            "(put it into `set`, or give the whole with `replaces: true` and without `set`)",
        ),
        (
            "use: [core.yaml]\nlimits: [{id: few, replaces: false}]",
            {"core": CORE},
            "main.yaml:3:30: error: this must be true, not `false` (leave it out where nothing is replaced)",
        ),
        (
            "use: [core.yaml]\nlimits: [{set: {mode: shadow}}]",
            {"core": CORE},
            "main.yaml:3:10: error: `id` is missing: what does this change?",
        ),
        (
            "use: [core.yaml]\nlimits:\n  - {id: few, set: {mode: shadow}}\n  - {id: few, set: {burst: 3 requests}}",
            {"core": CORE},
            "main.yaml:5:5: error: the limit `few` is here twice; the first is at 4:5 (write once what it should be)",
        ),
        (
            f"limits:\n  - {LIMIT}\n  - {LIMIT}",
            {},
            "main.yaml:4:10: error: the id `few` is here twice; the first is at 3:10 "
            "(give each limit a name of its own)",
        ),
        (
            "use: packs/core.yaml",
            {},
            "main.yaml:2:6: error: this must be a list, not `packs/core.yaml` "
            "(write it in brackets, as in `[packs/core.yaml]`)",
        ),
        ("use: [7]", {}, "main.yaml:2:7: error: this must be the name of a file, not `7`"),
        (
            "use: [packs/core.yaml]\nlimits: [{id: few, set: {mode: shadow}}]",
            {},
            "main.yaml:2:7: error: `packs/core.yaml` can't be read: No such file or directory "
            "(a name is relative to the file that it stands in; `packs/...` may be a shipped pack)",
        ),
        (
            "use: [../core.yaml]",
            {},
            "main.yaml:2:7: error: `../core.yaml` leads out of the policy's folder "
            "(a name is relative to the file that it stands in, as in `packs/extraction.yaml`)",
        ),
        (
            "use: [a.yaml]",
            RING,
            "b.yaml:2:7: error: packs use each other in a circle: a.yaml -> b.yaml -> a.yaml (remove one of them)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nuse: [main.yaml]"},
            "a.yaml:2:7: error: packs use each other in a circle: main.yaml -> a.yaml -> main.yaml "
            "(remove one of them)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nidentity: {anonymous: refuse}"},
            "a.yaml:2:1: error: a pack has no `identity` (it belongs into the policy that uses the pack)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nlimit: []"},
            "a.yaml:2:1: error: unknown key `limit` (did you mean `limits`?)",
        ),
        (
            "use: [a.yaml]",
            {"a": "limits: []"},
            "a.yaml:1:1: error: `gauger` is missing (begin the file with `gauger: 1`)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: true"},
            "a.yaml:1:9: error: format `true` is not known (this version reads format 1)",
        ),
        (
            "use: [a.yaml]",
            {"a": "- x"},
            "a.yaml:1:1: error: a pack is a policy file, not a list (begin the file with `gauger: 1`)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nlimits: [}"},
            "a.yaml:2:10: error: a value is missing, or a bracket that closes",
        ),
        (
            "use: [a.yaml]\nlimits: []",
            {"a": "gauger: 1\nlimits: {x: 1}"},
            "a.yaml:2:9: error: this must be a list, not a mapping"
            " (write each as an item: `- {id: …, by: [account], count: requests, rate: …}`)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nlimits: [{id: x, by: [key], count: requests, rate: 5 parsecs/min}]"},
            "a.yaml:2:54: error: `parsecs` is no unit (the units are requests and tokens)",
        ),
        (
            "use: [a.yaml]",
            {"a": "gauger: 1\nlimits: [{id: x, by: [key], count: requests, rate: plan.x}]"},
            "a.yaml:2:52: error: no plan has a rate `x` (add `plans`)",
        ),
        (
            "use: [packs/a.yaml]",
            {"packs__a": "gauger: 1\nlists: {l: {file: ../../l.txt}}"},
            "packs/a.yaml:2:19: error: `../../l.txt` leads out of the policy's folder",
        ),
        (
            "use: [packs/a.yaml]",
            {"packs__a": "gauger: 1\nlists: {l: {file: l.txt}}"},
            "packs/a.yaml:2:19: error: `l.txt` can't be read: No such file or directory "
            "(paths start at the folder of the file that they stand in)",
        ),
    ],
)
def test_every_mistake_has_its_file_and_its_words(text: str, texts: dict[str, str], expected: str) -> None:
    assert said(text, **texts) == [expected]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("evidence.ab.ceiling: 1 dB", "4:29: error: `evidence` has no item `ab` (did you mean `a.b`?)"),
        ("evidence.a.b.c.d: 1 dB", "4:33: error: `evidence.a.b` has no key `c` (it has id, ceiling, points)"),
        ("evidence.a.b.id: x", "4:20: error: an id can't be changed (other files know it by that name)"),
        (
            "families: 1 dB",
            "4:20: error: this is a mapping, and `set` changes single values "
            "(name a value in it, as in `families.params`)",
        ),
        (
            "evidence.a.b: x",
            "4:20: error: this is a mapping, and `set` changes single values "
            "(name a value in it, as in `evidence.a.b.ceiling`)",
        ),
    ],
)
def test_a_dotted_key_that_leads_nowhere(change: str, expected: str) -> None:
    text = f"gauger: 1\nuse: [card.yaml]\nscorecards:\n- id: card\n  set: {{{change}}}\n"
    text = text.replace("- id: card\n  set", "- {id: card, set").replace("}\n", "}}\n")
    _, findings = merge(parse(text, "main.yaml"), text, files(card=CARD))
    assert [str(each) for each in findings] == [f"main.yaml:{expected}"]


def test_a_warning_about_a_pack_is_shown_in_the_pack() -> None:
    (finding,) = said("use: [core.yaml]", core=CORE.replace("burst: 5", "burst: 50"))
    assert finding.startswith("core.yaml:4:69: warning: at one instant 50 requests may pass")


def test_all_mistakes_of_all_files_come_at_once() -> None:
    found = said("use: [a.yaml, b.yaml]\nx: 1", a="gauger: 1\nlimits: [7]", b="gauger: 1\ntokens: {}")
    assert [line.split(": error")[0] for line in found] == ["a.yaml:2:10", "b.yaml:2:1", "main.yaml:3:1"]


def test_packs_are_at_most_eight_deep_and_a_policy_has_at_most_32_files() -> None:
    chain = {f"p{n}": f"gauger: 1\nuse: [p{n + 1}.yaml]" for n in range(1, 9)}
    assert said("use: [p2.yaml]", **chain, p9="gauger: 1") == []
    assert said("use: [p1.yaml]", **chain, p9="gauger: 1") == [
        "p8.yaml:2:7: error: packs use packs more than 8 deep",
    ]
    many = {f"p{n}": "gauger: 1" for n in range(32)}
    names = [f"{name}.yaml" for name in many]
    assert said(f"use: {json.dumps(names[:31])}", **many) == []
    assert [line.split(": ", 1)[1] for line in said(f"use: {json.dumps(names)}", **many)] == [
        "error: a policy is made of at most 32 files"
    ]


def test_a_file_that_is_not_there_is_asked_for_once() -> None:
    asked: list[str] = []

    def resolve(name: str) -> bytes:
        asked.append(name)
        raise OSError(name)

    check("gauger: 1\nuse: [" + "a.yaml, " * 9 + "b.yaml]", "main.yaml", resolve)
    assert asked == ["a.yaml", "b.yaml"]


def test_packs_are_bounded_together() -> None:
    big = "gauger: 1\n" + "# a long line of nothing\n" * 40_000
    texts = {f"p{n}": big for n in range(5)}
    found = said(f"use: {json.dumps([f'{name}.yaml' for name in texts])}", **texts)
    assert len(big) * 5 > MAX_BYTES
    assert [line.split(": ", 1)[1] for line in found] == ["error: all packs are larger than 4 MiB"]


def test_what_one_file_sets_is_bounded() -> None:
    keys = ", ".join(f"k{n}: 1" for n in range(MAX_SET + 1))
    (finding,) = said(f"use: [core.yaml]\nlimits: [{{id: few, set: {{{keys}}}}}]", core=CORE)
    assert "sets more than 1000 values" in finding
    (finding,) = said(f"use: [core.yaml]\nlimits: [{{id: few, set: {{{'a.' * 200}b: 1}}}}]", core=CORE)
    assert "this is too long: at most 300" in finding


def test_a_resolver_may_raise_anything() -> None:
    def resolve(name: str) -> bytes:
        raise RuntimeError("out of order")

    (finding,) = check("gauger: 1\nuse: [a.yaml]", "main.yaml", resolve)
    assert finding.message == "`a.yaml` can't be read: out of order"
