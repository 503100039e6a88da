"""Clamps, in every dialect: the model server will understand what the judge wanted, and nothing else moves."""

from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.actions import Clamped
from gateway.dialects import DIALECTS
from gateway.errors import Refusal
from gateway.observe import observe
from gateway.observe.prints import Prints
from gateway.policy.effects import clamped
from gateway.protocols import Call, Route
from gateway.wire.json import edit

PRINTS = Prints(b"pepper")
PATHS = {
    "anthropic_messages": "/v1/messages",
    "gemini": "/v1beta/models/gemini-2.5-flash:generateContent",
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
}
EACH = pytest.mark.parametrize("name", sorted(PATHS))
LOGPROBS = "message.output_text.logprobs"
NAMES = ("n", "max_tokens", "temperature", "top_p", "logprobs", "top_logprobs")

TEXTS: dict[str, dict[str, Any]] = {
    "anthropic_messages": {"messages": [{"role": "user", "content": 'n: 3, "max_tokens": 9'}]},
    "gemini": {"contents": [{"parts": [{"text": "hi"}]}]},
    "openai_chat": {"messages": [{"role": "user", "content": "hi"}]},
    "openai_completions": {"prompt": ["one", "two"]},
    "openai_responses": {"input": "hi"},
}
SHARES = st.floats(0, 2, allow_nan=False) | st.integers(0, 2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "n": st.none() | st.integers(1, 8),
    "max_tokens": st.none() | st.integers(0, 50),
    "temperature": st.none() | SHARES,
    "top_p": st.none() | SHARES,
    "top_logprobs": st.none() | st.integers(0, 20),
}
BOUNDS: dict[str, st.SearchStrategy[Any]] = {
    "n": st.integers(1, 6),
    "max_tokens": st.integers(1, 40),
    "temperature": SHARES,
    "top_p": SHARES,
    "logprobs": st.just(False),
    "top_logprobs": st.just(False) | st.integers(0, 10),
}
EXTRAS = st.dictionaries(
    st.sampled_from(["x", "user", "seed"]), st.none() | st.integers(-(2**31), 2**31) | st.text(), max_size=3
)


def route_of(name: str) -> Route:
    route = DIALECTS[name].match("POST", PATHS[name])
    assert route is not None
    return route


@st.composite
def bodies(draw: st.DrawFn, name: str) -> bytes:
    """A body with its fields in some of their places, in any order, with blanks here and there."""
    edits: dict[tuple[str, ...], Any] = {}
    snake = draw(st.booleans())  # Gemini has two spellings for each step; one body keeps to one
    for field, places in DIALECTS[name].clampable(route_of(name).op).items():
        values = VALUES.get(field)
        if field == "logprobs":
            values = st.integers(0, 5) if name == "openai_completions" else st.booleans()
            if name == "openai_chat":
                values |= st.integers(0, 5)
        assert values is not None
        if name == "gemini":
            places = (places[-1 if snake else 0],)
        for place in places:
            if draw(st.booleans()):
                edits[place] = draw(values)
    if name == "openai_responses" and draw(st.booleans()):
        edits["include",] = draw(st.lists(st.sampled_from([LOGPROBS, "file_search_call.results"]), max_size=3))
    start = orjson.dumps({**draw(EXTRAS), **TEXTS[name]}, option=draw(st.sampled_from([0, orjson.OPT_INDENT_2])))
    return edit(start, dict(draw(st.permutations(list(edits.items())))))


def call_of(name: str, body: bytes) -> Call:
    (call,) = DIALECTS[name].parse(route_of(name), body)
    return call


def judged(name: str, body: bytes, bounds: dict[str, Any]) -> dict[str, Clamped]:
    return clamped(bounds, observe(route_of(name), (call_of(name, body),), len(body), PRINTS))


def acted(name: str, body: bytes, clamp: dict[str, Clamped]) -> bytes:
    dialect = DIALECTS[name]
    return dialect.rewrite(body, dialect.clamp(route_of(name).op, call_of(name, body).body, clamp))


def rest_of(name: str, value: Any) -> Any:
    """A parsed body without what clamps may touch."""
    gone = {place[-1] for places in DIALECTS[name].clampable(route_of(name).op).values() for place in places}
    inner = {"generationConfig", "generation_config"}
    kept = {key: child for key, child in value.items() if key not in gone | inner and key != "include"}
    return kept | {
        key: left
        for key in inner & value.keys()
        if (left := {step: one for step, one in value[key].items() if step not in gone})
    }


@EACH
@given(data=st.data(), bounds=st.fixed_dictionaries({}, optional=BOUNDS))
def test_a_clamped_body_keeps_to_the_clamp_and_to_itself(
    name: str, data: st.DataObject, bounds: dict[str, Any]
) -> None:
    body = data.draw(bodies(name))
    before = call_of(name, body)
    clamp = judged(name, body, bounds)
    sent = acted(name, body, clamp)
    after = call_of(name, sent)
    prompts = 2 if name == "openai_completions" else 1  # each is answered n times
    for field in ("n", "max_tokens", "temperature", "top_p"):
        left = getattr(after, field)
        if field in bounds:
            assert left is None or left <= bounds[field] * (prompts if field == "n" else 1)
            assert left is not None or field not in clamp
        else:
            assert left == getattr(before, field)
    if "logprobs" in bounds:
        assert after.logprobs is None
    elif "top_logprobs" in bounds:
        assert (after.logprobs or 0) <= bounds["top_logprobs"]
    else:
        assert after.logprobs == before.logprobs
    for field in set(Call.__struct_fields__) - {"body", *NAMES}:
        assert getattr(after, field) == getattr(before, field)
    assert rest_of(name, after.body) == rest_of(name, before.body)
    others = [word for word in before.body.get("include") or () if word != LOGPROBS]
    assert [word for word in after.body.get("include") or () if word != LOGPROBS] == others
    assert acted(name, sent, judged(name, sent, bounds)) == sent  # once is enough


@EACH
@given(data=st.data())
def test_without_a_clamp_the_body_is_the_very_same(name: str, data: st.DataObject) -> None:
    body = data.draw(bodies(name))
    assert acted(name, body, {}) is body
    loose = {"n": 128, "max_tokens": 2**31, "temperature": 2.0, "top_p": 2.0, "top_logprobs": 20}
    asked = call_of(name, body)
    if asked.max_tokens is not None:
        assert acted(name, body, judged(name, body, loose)) is body


CASES: list[tuple[str, str, dict[str, Clamped], str]] = [
    ("openai_chat", '{"n": 5,  "x":1}', {"n": (5, 1)}, '{"n": 1,  "x":1}'),
    ("openai_chat", '{"n":1, "best_of": 5}', {"n": (5, 2)}, '{"n":1, "best_of": 2}'),
    ("openai_chat", '{"n":4, "best_of": 5}', {"n": (5, 2)}, '{"n":2, "best_of": 2}'),
    ("openai_chat", "{}", {"n": (1, 1)}, "{}"),
    ("openai_chat", "{}", {"max_tokens": (None, 9)}, '{"max_completion_tokens":9}'),
    ("openai_chat", '{"max_tokens":null}', {"max_tokens": (None, 9.0)}, '{"max_tokens":9}'),
    ("openai_chat", '{"temperature":2,"a":1}', {"temperature": (2.0, None)}, '{"a":1}'),
    ("openai_chat", '{"a":1,"logprobs":true,"top_logprobs":5}', {"logprobs": (True, False)}, '{"a":1}'),
    (
        "openai_chat",
        '{"logprobs":true,"top_logprobs":5}',
        {"top_logprobs": (5, 2)},
        '{"logprobs":true,"top_logprobs":2}',
    ),
    ("openai_completions", '{"logprobs":5}', {"top_logprobs": (5, 0)}, '{"logprobs":0}'),
    ("openai_completions", '{"logprobs":0}', {"logprobs": (True, False)}, "{}"),
    (
        "openai_responses",
        f'{{"include": ["a", "{LOGPROBS}"], "top_logprobs": 3}}',
        {"logprobs": (True, False)},
        '{"include": ["a"]}',
    ),
    (
        "gemini",
        '{"generation_config": {"response_logprobs": true, "logprobs": 5, "topK": 3}}',
        {"logprobs": (True, False)},
        '{"generation_config": {"topK": 3}}',
    ),
    (
        "gemini",
        '{"generation_config": null}',
        {"max_tokens": (None, 7)},
        '{"generation_config": {"maxOutputTokens":7}}',
    ),
    ("anthropic_messages", '{"max_tokens":70}', {"max_tokens": (70, 7), "n": (1, 1)}, '{"max_tokens":7}'),
]


@pytest.mark.parametrize(("name", "body", "clamp", "sent"), CASES)
def test_examples(name: str, body: str, clamp: dict[str, Clamped], sent: str) -> None:
    assert acted(name, body.encode(), clamp) == sent.encode()


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_an_operation_without_such_fields_changes_nothing(name: str) -> None:
    everything: dict[str, Clamped] = dict.fromkeys(NAMES, (9, 1))
    assert DIALECTS[name].clamp("opaque", {"n": 9, "logprobs": 3, "include": [LOGPROBS]}, everything) == {}


def test_a_body_that_says_a_field_in_two_ways_never_gets_so_far() -> None:
    body = msgspec.json.encode({"generationConfig": {"topP": 1, "top_p": 1}})
    with pytest.raises(Refusal, match="ambiguous"):
        call_of("gemini", body)
