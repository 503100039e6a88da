"""Who says what: one conversation reads the same in every dialect, however long, and odd types refuse nothing."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway import dialects
from gateway.protocols import Call

Body = dict[str, Any]
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
GEMINI = "/v1beta/models/gemini-pro:generateContent"
LONG = 10_000


def read(path: str, body: Body) -> Call:
    found = dialects.match("POST", path)
    assert found is not None
    dialect, route = found
    (call,) = dialect.parse(route, orjson.dumps(body))
    return call


def chat(turns: list[tuple[str, str]]) -> Body:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def messages(turns: list[tuple[str, str]]) -> Body:
    def message(role: str, text: str) -> Body:
        if role != "tool":
            return {"role": role, "content": [{"type": "text", "text": text}]}
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": text}]}

    said = [message(role, text) for role, text in turns if role != "system"]
    return {"system": "".join(text for role, text in turns if role == "system"), "messages": said}


def responses(turns: list[tuple[str, str]]) -> Body:
    def item(role: str, text: str) -> Body:
        if role != "tool":
            return {"role": role, "content": text}
        return {"type": "function_call_output", "call_id": "1", "output": text}

    return {"input": [item(role, text) for role, text in turns]}


def gemini(turns: list[tuple[str, str]]) -> Body:
    def content(role: str, text: str) -> Body:
        if role != "tool":
            return {"role": {"assistant": "model"}.get(role, role), "parts": [{"text": text}]}
        return {"role": "function", "parts": [{"functionResponse": {"name": text, "response": {}}}]}

    said = [content(role, text) for role, text in turns if role != "system"]
    system = [{"text": text} for role, text in turns if role == "system"]
    return {"systemInstruction": {"parts": system}, "contents": said}


EACH = pytest.mark.parametrize(
    ("path", "spoken"),
    [(CHAT, chat), (MESSAGES, messages), (RESPONSES, responses), (GEMINI, gemini)],
    ids=["chat", "messages", "responses", "gemini"],
)
Spoken = Callable[[list[tuple[str, str]]], Body]


@EACH
@pytest.mark.parametrize(
    ("turns", "asked", "said", "answers", "results"),
    [
        ("user:Q", ("Q",), "", 0, 0),
        ("user:Q user:R", ("Q", "R"), "", 0, 0),
        ("user:Q assistant:A user:R", ("R",), "A", 1, 0),
        ("user:Q assistant:A", ("Q",), "", 0, 0),
        ("user:Q assistant:A user:R assistant:B", ("R",), "A", 1, 0),
        ("user:Q assistant:A tool:T", (), "A", 1, 1),
        ("user:Q assistant:A tool:T tool:U", (), "A", 1, 2),
        ("user:Q assistant:A tool:T user:R", ("R",), "A", 1, 1),
        ("user:Q assistant:A tool:T assistant:B user:R", ("R",), "B", 2, 1),
        ("user:Q assistant:A tool:T assistant:B", (), "A", 1, 1),
        ("tool:T user:Q", ("Q",), "", 0, 1),
        ("", (), "", 0, 0),
    ],
)
def test_one_conversation_reads_the_same_in_every_dialect(
    path: str, spoken: Spoken, turns: str, asked: tuple[str, ...], said: str, answers: int, results: int
) -> None:
    spelled = [("system", "S")] + [(role, text) for role, _, text in (turn.partition(":") for turn in turns.split())]
    call = read(path, spoken(spelled))
    assert (call.system, call.asked, call.said) == (("S",), asked, said)
    assert (call.answers, call.results) == (answers, results)
    assert call.text == tuple(text for _, text in spelled)


@EACH
def test_a_conversation_of_ten_thousand_turns_is_read_to_its_end(path: str, spoken: Spoken) -> None:
    round_ = [("user", "Q"), ("assistant", "A"), ("tool", "T"), ("assistant", "B")]
    call = read(path, spoken([*(round_ * (LONG // 4)), ("user", "R")]))
    assert (call.asked, call.said, call.answers, call.results) == (("R",), "B", LONG // 2, LONG // 4)
    assert (call.messages, len(call.text)) == (LONG + 1, LONG + 1)
    asked = read(path, spoken([("user", str(at)) for at in range(LONG)])).asked
    assert asked == tuple(str(at) for at in range(LONG))


ODD: tuple[Any, ...] = (None, True, -1, 0.5, "", "x", [], ["x"], {}, {"x": 1}, {"type": 1}, [[]], {"type": ["x"]})
NEW = {
    CHAT: ("user", "safety_identifier", "logit_bias", "seed", "response_format", "reasoning_effort"),
    MESSAGES: ("metadata", "thinking", "output_format", "output_config"),
    RESPONSES: ("user", "safety_identifier", "text", "reasoning", "previous_response_id", "conversation"),
    "/v1/completions": ("user", "safety_identifier", "logit_bias", "seed", "response_format"),
    "/v1/embeddings": ("user", "safety_identifier"),
}
BARE: dict[str, Body] = {
    CHAT: chat([("user", "Q")]),
    MESSAGES: messages([("user", "Q")]),
    RESPONSES: {"input": "Q"},
    "/v1/completions": {"prompt": "Q"},
    "/v1/embeddings": {"input": "Q"},
}
CONFIG = ("responseMimeType", "responseSchema", "responseJsonSchema", "seed", "thinkingConfig")
CONFIGS = (*CONFIG, "response_mime_type", "response_schema", "response_json_schema", "thinking_config")
THINKING = ("thinkingBudget", "thinking_budget", "includeThoughts", "include_thoughts", "thinkingLevel")


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_nothing_is_refused_for_what_a_new_field_holds(odd: Any) -> None:
    for path, names in NEW.items():
        for name in names:
            for spelling in (name, name.upper()):
                call = read(path, {**BARE[path], spelling: odd})
                assert (call.text, call.asked) == (("Q",), ("Q",)), (path, spelling)
                assert type(call.user) is str
    for inner in ({name: odd} for name in CONFIGS):
        call = read(GEMINI, {**gemini([("user", "Q")]), "generationConfig": inner})
        assert call.asked == ("Q",)
    both = read(GEMINI, {**gemini([("user", "Q")]), "generationConfig": dict.fromkeys(CONFIGS, odd)})
    assert both.asked == ("Q",)
    thinking = {"thinkingConfig": dict.fromkeys(THINKING, odd)}
    assert read(GEMINI, {**gemini([("user", "Q")]), "generationConfig": thinking}).asked == ("Q",)


@EACH
@pytest.mark.parametrize("role", [None, 7, [], {}, "", "x", ["user"]], ids=repr)
def test_nothing_is_refused_for_a_role(path: str, spoken: Spoken, role: Any) -> None:
    body = spoken([("user", "Q"), ("assistant", "A"), ("user", "R")])
    listed = next(value for value in body.values() if type(value) is list)
    listed[0]["role"] = role
    call = read(path, body)
    assert (call.text, call.asked, call.said, call.answers) == (("Q", "A", "R"), ("R",), "A", 1)


def test_the_biased_tokens_of_a_call_are_bounded() -> None:
    call = read(CHAT, {**BARE[CHAT], "logit_bias": {str(token): 1 for token in range(5_000)}})
    assert call.bias == tuple(range(1_024))
