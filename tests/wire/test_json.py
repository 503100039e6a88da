"""Strict JSON: what readers read differently is refused; edits change what they name and nothing else."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.wire.json import MAX_DEPTH, REMOVE, edit, parse

REFUSED = {
    "the same key twice": b'{"model":"a","model":"b"}',
    "the same key twice, once escaped": b'{"a":1,"\\u0061":2}',
    "the same key twice, deep": b'{"x":[{"y":{"a":1,"a":1}}]}',
    "the same empty key twice": b'{"":1,"":2}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":Infinity}',
    "minus infinity": b"[-Infinity]",
    "overflow": b'{"a":1e400}',
    "negative overflow": b"[[-1e400]]",
    "overflow by digits": b"[" + b"9" * 400 + b".0]",
    "overflow by both": b"[12345678901e300]",
    "2^63": b"[9223372036854775808]",
    "2^64": b'{"a":18446744073709551616}',
    "below -2^63": b"[-9223372036854775809]",
    "400 digits": b"[" + b"9" * 400 + b"]",
    "5,000 digits": b"[" + b"9" * 5000 + b"]",
    "top level 2^64": b"18446744073709551616",
    "a lone high surrogate": b'["\\ud800"]',
    "a lone low surrogate": b'["\\udc00"]',
    "surrogates in the wrong order": b'["\\udc00\\ud800"]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "a raw 0xff": b'["\xff"]',
    "a raw 0xff in a key": b'{"\xff":1}',
    "an overlong form": b'["\xc0\x80"]',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "trailing garbage": b"{}x",
    "a trailing NUL": b"{}\x00",
    "two documents": b"{}{}",
    "a comment": b'{/* c */"a":1}',
    "a line comment": b"{}//c",
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a trailing comma": b'{"a":1,}',
    "nothing": b"",
    "blanks only": b" \n",
    "a raw NUL in a string": b'["\x00"]',
    "a raw newline in a string": b'["\n"]',
    "a leading zero": b"[01]",
    "a plus": b"[+1]",
    "a bare fraction": b"[.5]",
    "hex": b"[0x10]",
    "a half escape": b'["\\u041"]',
    "an unknown escape": b'["\\x41"]',
    "truncated": b'{"a":[1,2',
    "vertical tab as blank": b"[\x0b1]",
    "true in another case": b"[True]",
    "arrays 129 deep": b"[" * 129 + b"]" * 129,
    "arrays 1,000 deep": b"[" * 1000 + b"]" * 1000,
    "arrays 100,000 deep and open": b"[" * 100_000,
    "objects 129 deep": b'{"a":' * 129 + b"1" + b"}" * 129,
    "objects 20,000 deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
}
READ = {
    "an escaped NUL": (b'["\\u0000"]', ["\0"]),
    "a pair of surrogates": (b'["\\ud83d\\ude00"]', ["😀"]),
    "the largest integers": (b"[9223372036854775807,-9223372036854775808]", [2**63 - 1, -(2**63)]),
    "a number too small": (b"[1e-400]", [0.0]),
    "blanks around": (b' \t\r\n{"a" : 1}\n', {"a": 1}),
    "equal keys in different objects": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    "keys that differ in case": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "a scalar": (b"null", None),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_readers_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse(body)
    assert (caught.value.kind, caught.value.status, caught.value.code) == ("bad_request", 400, "invalid_json")


@pytest.mark.parametrize(("body", "value"), READ.values(), ids=READ.keys())
def test_what_all_readers_read_alike_is_read(body: bytes, value: Any) -> None:
    assert parse(body) == value


def test_the_bound_of_nesting_is_exact() -> None:
    parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    parse(b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH)


def test_a_refusal_says_where_and_not_what() -> None:
    with pytest.raises(Refusal) as caught:
        parse(b'{"canary":1,\n "canary":2}')
    assert "canary" not in str(caught.value)
    assert "(byte 23)" in caught.value.detail


def test_many_keys_and_many_messages_are_read() -> None:
    keys = {f"k{i}": i for i in range(50_000)}
    assert parse(orjson.dumps(keys)) == keys
    assert len(parse(orjson.dumps({"messages": [{"role": "user", "content": "x"}] * 100_000}))["messages"]) == 100_000


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0123456789eE+-.truefalsn \n', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = parse(body)
    except Refusal:
        return
    assert orjson.loads(body) == value


KEYS = st.text(max_size=4) | st.sampled_from(['a"b', "\\", "é", "n", "max_tokens", "stream_options"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)
STYLES = st.sampled_from(
    [{"indent": 1}, {"separators": (",", ":")}, {"separators": (" ,\t", " : "), "ensure_ascii": False}]
)


@st.composite
def edits_of(draw: st.DrawFn, body: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """Changes to members that are there, deep or not, to missing ones, and removals."""
    found: dict[tuple[str, ...], Any] = {}
    for _ in range(draw(st.integers(1, 4))):
        here = body
        path: tuple[str, ...] = ()
        while True:
            step = draw(st.sampled_from(sorted(here)) | KEYS if here else KEYS)
            path = (*path, step)
            inner = here.get(step)
            if isinstance(inner, dict) and draw(st.booleans()):
                here = inner
            else:
                break
        if not any(path[: len(other)] == other or other[: len(path)] == path for other in found):
            found[path] = draw(VALUES | st.just(REMOVE))
    return found


def apply(body: dict[str, Any], edits: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """The same edits on values: what the text must mean afterwards."""
    made: dict[str, Any] = orjson.loads(orjson.dumps(body))
    for path, value in edits.items():
        here = made
        for step in path[:-1]:
            here = here.setdefault(step, {})
        if value is REMOVE:
            here.pop(path[-1], None)
        else:
            here[path[-1]] = value
    return made


@given(st.data(), OBJECTS, STYLES)
def test_an_edited_body_parses_to_the_original_with_only_the_named_members_changed(
    data: st.DataObject, body: dict[str, Any], style: dict[str, Any]
) -> None:
    edits = data.draw(edits_of(body))
    text = json.dumps(body, **style).encode()
    assert parse(edit(text, edits)) == apply(body, edits)


@given(st.data(), OBJECTS, STYLES)
def test_putting_the_old_value_back_gives_the_old_bytes_back(
    data: st.DataObject, body: dict[str, Any], style: dict[str, Any]
) -> None:
    if not body:
        return
    text = json.dumps(body, **style).encode()
    key = data.draw(st.sampled_from(sorted(body)))
    marked = edit(text, {(key,): "\x01marked\x01"})
    before, _, after = marked.partition(orjson.dumps("\x01marked\x01"))
    assert text.startswith(before)
    assert text.endswith(after)
    assert orjson.loads(text[len(before) : len(text) - len(after)]) == body[key]


@given(OBJECTS, STYLES)
def test_no_edits_give_the_same_object(body: dict[str, Any], style: dict[str, Any]) -> None:
    text = json.dumps(body, **style).encode()
    assert edit(text, {}) is text
    assert edit(text, {("not there", "nor here"): REMOVE}) is text


@pytest.mark.parametrize(
    ("before", "edits", "after"),
    [
        (b'{"a": 1.0, "n" : 5 ,"b":1e2}', {("n",): 1}, b'{"a": 1.0, "n" : 1 ,"b":1e2}'),
        (b'{"a":1}', {("n",): 1}, b'{"a":1,"n":1}'),
        (b"{ }", {("n",): 1}, b'{"n":1 }'),
        (b'{"a":1\n}\n', {("s", "u"): True}, b'{"a":1,"s":{"u":true}\n}\n'),
        (b'{"s":{"x":[1,{"u":2}]}}', {("s", "u"): True}, b'{"s":{"x":[1,{"u":2}],"u":true}}'),
        (b'{"s":null,"z":1}', {("s", "u"): True}, b'{"s":{"u":true},"z":1}'),
        (b'{"a":1, "b":2, "c":3}', {("b",): REMOVE}, b'{"a":1, "c":3}'),
        (b'{"a":1, "b":2, "c":3}', {("c",): REMOVE}, b'{"a":1, "b":2}'),
        (b'{"a":1, "b":2, "c":3}', {("a",): REMOVE, ("b",): REMOVE}, b'{"c":3}'),
        (b'{"a":1, "b":2, "c":3}', {("c",): REMOVE, ("b",): REMOVE, ("d",): 4}, b'{"a":1,"d":4}'),
        (b'{ "a":1, "b":2 }', {("a",): REMOVE, ("b",): REMOVE}, b"{  }"),
        (b'{"a":1}', {("a",): REMOVE, ("b",): 2}, b'{"b":2}'),
        (b'{"\\u006e":5,"x":"}\\"{"}', {("n",): 1}, b'{"\\u006e":1,"x":"}\\"{"}'),
    ],
)
def test_edits_keep_every_other_byte(before: bytes, edits: dict[tuple[str, ...], Any], after: bytes) -> None:
    assert edit(before, edits) == after


@pytest.mark.parametrize("edits", [{(): 1}, {("a",): 1, ("a", "b"): 2}, {("a", "b"): 2, ("a",): 1}])
def test_edits_that_contradict_themselves_are_an_error(edits: dict[tuple[str, ...], Any]) -> None:
    with pytest.raises(ValueError):
        edit(b'{"a":{"b":1}}', edits)
    with pytest.raises(ValueError):
        edit(b"[1]", {("a",): 1})
