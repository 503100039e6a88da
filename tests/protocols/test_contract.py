"""What every dialect promises, whichever it is: one owner a path, refusals only, no text in errors, quiet meters."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import protocols
from gateway.dialects import DIALECTS
from gateway.errors import Refusal
from gateway.protocols import Answer, Call, Dialect, Route
from gateway.wire.json import edit

CANARY = "xqcanaryq"
CASES = Path(__file__).parent / "cases"
TABLES = {path.stem: json.loads(path.read_text()) for path in sorted(CASES.glob("*.json"))}
EACH = pytest.mark.parametrize("name", sorted(TABLES))  # those of calls; of sessions: test_sessions.py


def routes_of(name: str) -> list[Route]:
    paths = {case["path"] for kind in ("requests", "answers") for case in TABLES[name][kind]}
    found = [DIALECTS[name].match("POST", path) for path in sorted(paths)]
    return [route for route in found if route is not None]


def bodies_of(name: str) -> list[tuple[str, bytes]]:
    return [
        (case["path"], case["raw"].encode() if "raw" in case else orjson.dumps(case["body"]))
        for case in TABLES[name]["requests"]
    ]


def refused(dialect: Dialect, path: str, body: bytes) -> Refusal | None:
    """The refusal of this body, or None where it is read; anything else that is raised is a failure."""
    try:
        calls = dialect.parse(route_of(dialect, path), body)
    except Refusal as refusal:
        found = refusal
    else:
        assert all(isinstance(call, Call) for call in calls)
        return None
    assert (found.kind, found.status) == ("bad_request", 400)
    return found


def route_of(dialect: Dialect, path: str) -> Route:
    route = dialect.match("POST", path)
    assert route is not None
    return route


@EACH
def test_its_paths_are_its_own(name: str) -> None:
    routes = routes_of(name)
    assert routes
    for path, _ in bodies_of(name):
        speaking = [other for other, dialect in DIALECTS.items() if dialect.match("POST", path) is not None]
        assert speaking == [name]
    for route in routes:
        assert (route.dialect, route.vendor) == (name, DIALECTS[name].vendor)


@EACH
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "OPTIONS", "post"])
def test_it_speaks_on_no_other_method(name: str, method: str) -> None:
    for path, _ in bodies_of(name):
        assert DIALECTS[name].match(method, path) is None


@EACH
def test_no_edits_leave_the_body_as_it_is(name: str) -> None:
    for _, body in bodies_of(name):
        assert DIALECTS[name].rewrite(body, {}) is body


@EACH
def test_what_can_be_clamped_is_read_back_clamped(name: str) -> None:
    dialect = DIALECTS[name]
    values = {"max_tokens": 7, "n": 1, "temperature": 0.25, "top_p": 0.75}
    for route in routes_of(name):
        for field, places in dialect.clampable(route.op).items():
            assert places
            if field not in values:
                continue
            for body in ({}, *(_planted(place, 9) for place in places)):
                edits = dialect.clamp(route.op, body, {field: (None, values[field])})
                (call,) = dialect.parse(route, dialect.rewrite(orjson.dumps(body), edits))
                assert getattr(call, field) == values[field], (field, body)


def _planted(place: tuple[str, ...], value: int) -> dict[str, Any]:
    made: dict[str, Any] = orjson.loads(edit(b"{}", {place: value}))
    return made


@EACH
def test_an_unknown_operation_has_nothing_to_clamp(name: str) -> None:
    assert DIALECTS[name].clampable("opaque") == {}


@EACH
@given(data=st.data())
def test_a_mutated_body_is_read_or_refused(name: str, data: st.DataObject) -> None:
    path, body = data.draw(st.sampled_from(bodies_of(name)))
    start, end = sorted((data.draw(st.integers(0, len(body))), data.draw(st.integers(0, len(body)))))
    put = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"", b"null", b"[]", b"{}", b"1e999", b'"x"', b"[[]]", b"-1"])
    )
    refused(DIALECTS[name], path, body[:start] + put + body[end:])


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 0.5, "x", [], {}, [None], [1], ["x"], [[]], [{}], {"x": 1}, {"text": []}, [{"text": 1}]]
)


@EACH
@given(data=st.data())
def test_a_member_of_another_type_is_read_or_refused(name: str, data: st.DataObject) -> None:
    path, body = data.draw(st.sampled_from([(path, body) for path, body in bodies_of(name) if body.startswith(b"{")]))
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    refused(DIALECTS[name], path, orjson.dumps(_replace(value, data)))


def _replace(value: Any, data: st.DataObject) -> Any:
    """The value with something else at a random place."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        key = data.draw(st.sampled_from(sorted(value)))
        return {**value, key: _replace(value[key], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        return [_replace(value[0], data), *value[1:]]
    return data.draw(VALUES)


@EACH
def test_a_refusal_never_quotes_the_body(name: str) -> None:
    said = [
        f"{refusal!r} {refusal} {refusal.detail} {refusal.param} {refusal.__cause__!r} {refusal.__context__!r}".lower()
        for path, body in bodies_of(name)
        for hostile in _hostile(body)
        if (refusal := refused(DIALECTS[name], path, hostile)) is not None
    ]
    assert len(said) > 15
    assert [words for words in said if CANARY in words] == []


def _hostile(body: bytes) -> list[bytes]:
    quoted = f'"{CANARY}"'.encode()
    made = [
        body[:-1] + quoted,
        b"{" + quoted + b":1," + quoted + b":2}",
        quoted,
        b"[" + quoted,
        b'{"' + CANARY.encode() + b"\xff",
        b'{"model":["' + CANARY.encode() + b'"]}',
    ]
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return made
    if isinstance(value, dict):
        for key in value:
            others: list[Any] = [
                CANARY,
                [CANARY],
                {CANARY: CANARY},
                [{CANARY: CANARY}],
                [{"content": {CANARY: 1}, "role": CANARY}],
            ]
            made += [orjson.dumps({**value, key: other}) for other in others]
            made.append(orjson.dumps({**value, key.upper(): CANARY}))
    return made


TYPES = st.sampled_from([b"application/json", b"text/event-stream", b"text/plain", b"", b"application/problem+json; x"])
CODINGS = st.sampled_from([b"", b"gzip", b"br", b"zstd", b"deflate", b"gzip, br", b"rot13"])
PIECES = st.binary(max_size=30) | st.sampled_from(
    [
        b"data: ",
        b"\n\n",
        b"[DONE]",
        b'{"usage":{"prompt_tokens":-1,"completion_tokens":1e999,"input_tokens":"x"}}',
        b'{"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":7}}',
        b'{"choices":[{"delta":7,"index":-5,"finish_reason":{}},3,{"message":[],"text":{}}]}',
        b'{"choices":[{"index":"x","delta":{"tool_calls":[{"function":1},2],"content":[]}}],"model":1}',
        b'{"type":"message_delta","delta":3,"usage":[1]}',
        b'{"type":"message_start","message":{"usage":{"input_tokens":true,"output_tokens":99999999999}}}',
        b'{"type":"content_block_start","content_block":{"input":' + b"[" * 400 + b"]" * 400 + b"}}",
        b'{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":null},"status":[]}}',
        b'{"candidates":[{"content":{"parts":[3,{"functionCall":{"args":' + b"[" * 400 + b"]" * 400 + b"}}]}}]}",
        b'{"usageMetadata":{"promptTokenCount":2.5,"candidatesTokenCount":-3}}',
    ]
)


@EACH
@given(
    data=st.data(),
    status=st.sampled_from([200, 204, 400, 429, 500]),
    kind=TYPES,
    coding=CODINGS,
    pieces=st.lists(PIECES, max_size=8),
)
def test_its_meters_read_any_bytes_quietly_and_in_any_chunks(
    name: str, data: st.DataObject, status: int, kind: bytes, coding: bytes, pieces: list[bytes]
) -> None:
    dialect = DIALECTS[name]
    route = data.draw(st.sampled_from(routes_of(name)))

    def answer(chunks: list[bytes]) -> Answer:
        meter = dialect.meter(route, ())
        meter.start(status, kind, coding)
        for chunk in chunks:
            meter.feed(chunk)
        return meter.finish()

    told = answer(pieces)
    usage = told.usage
    assert min(usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning) >= 0
    assert usage.source == "none" or status < 400
    if coding == b"":
        joined = b"".join(pieces)
        assert answer([joined]) == told
        assert answer([bytes((byte,)) for byte in joined]) == told


@EACH
def test_an_answer_that_never_began_has_no_usage(name: str) -> None:
    for route in routes_of(name):
        assert DIALECTS[name].meter(route, ()).finish() == Answer()


def test_a_folder_of_dialects_is_found_by_itself() -> None:
    files = {path.stem for path in Path(protocols.__path__[0]).glob("*.py")} - {"__init__"}
    assert set(DIALECTS) == files
