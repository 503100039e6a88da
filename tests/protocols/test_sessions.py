"""Realtime dialects: which upgrades are theirs, which model is asked for, and what a session is known to have used."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import dialects
from gateway.dialects import DIALECTS
from gateway.errors import Refusal
from gateway.protocols import Answer, Route
from gateway.usage import Usage

SESSIONS = ("gemini_live", "openai_realtime")
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"


@pytest.mark.parametrize(
    ("path", "dialect", "template"),
    [
        ("/v1/realtime", "openai_realtime", "/v1/realtime"),
        ("/v1/realtime/", "openai_realtime", "/v1/realtime"),
        ("/V1/Realtime", "openai_realtime", "/v1/realtime"),
        ("/realtime", "openai_realtime", "/realtime"),
        ("/openai/realtime", "openai_realtime", "/openai/realtime"),
        ("/openai/v1/realtime", "openai_realtime", "/openai/v1/realtime"),
        (LIVE, "gemini_live", LIVE),
        (LIVE.lower(), "gemini_live", LIVE),
        (LIVE.replace("v1beta", "v1alpha"), "gemini_live", LIVE.replace("v1beta", "v1alpha")),
        (LIVE.replace(".Bidi", "/Bidi"), "gemini_live", LIVE),
        (LIVE + "Constrained", "gemini_live", LIVE + "Constrained"),
        (
            "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
            "gemini_live",
            "/ws/google.cloud.aiplatform.v1beta1.LlmBidiService/BidiGenerateContent",
        ),
    ],
)
def test_an_upgrade_on_a_realtime_path_is_a_session(path: str, dialect: str, template: str) -> None:
    found = dialects.match("WEBSOCKET", path)
    assert found is not None
    assert (found[1].dialect, found[1].template) == (dialect, template)
    assert (found[1].op, found[1].kind, found[1].vendor) == ("realtime", "session", found[0].vendor)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime/translations",
        "/v1/realtime/calls",
        "/v1/responses",
        "/v1/chat/completions",
        LIVE.replace("Content", "Music"),
        "/ws/google.ai.generativelanguage.v9.GenerativeService.BidiGenerateContent",
        "/",
    ],
)
def test_no_dialect_speaks_on_other_sockets(path: str) -> None:
    assert dialects.match("WEBSOCKET", path) is None


@pytest.mark.parametrize("path", ["/v1/realtime", LIVE])
@pytest.mark.parametrize("method", ["GET", "POST", "CONNECT", "websocket"])
def test_without_an_upgrade_it_is_no_session(path: str, method: str) -> None:
    assert dialects.match(method, path) is None


def test_whose_words_are_spoken_there() -> None:
    assert dialects.vendor_of(LIVE, []) == "gemini"
    assert dialects.vendor_of("/v1/realtime", []) == "openai"


def model_in(query: str) -> str | None:
    found = dialects.match("WEBSOCKET", "/v1/realtime")
    assert found is not None
    (call,) = found[0].parse(found[1], query.encode())
    assert (call.op, call.stream, call.text) == ("realtime", True, ())
    return call.model


@pytest.mark.parametrize(
    ("query", "model"),
    [
        ("model=gpt-realtime", "gpt-realtime"),
        ("model=gpt%2drealtime&x=1", "gpt-realtime"),
        ("api-version=2025&deployment=mine", "mine"),
        ("call_id=rtc_1", None),
        ("model=", None),
        ("", None),
    ],
)
def test_the_model_is_read_from_the_query(query: str, model: str | None) -> None:
    assert model_in(query) == model


@pytest.mark.parametrize(
    "query", ["model=a&model=b", "model=a&deployment=b", "m%6fdel=a&model=b", "model=" + "a" * 300, "model=a%00b"]
)
def test_a_model_that_servers_could_read_differently_is_refused(query: str) -> None:
    with pytest.raises(Refusal) as found:
        model_in(query)
    assert found.value.status == 400
    assert "a" * 50 not in str(found.value)


def session(name: str) -> Any:
    path = {"gemini_live": LIVE, "openai_realtime": "/v1/realtime"}[name]
    found = dialects.match("WEBSOCKET", path)
    assert found is not None
    return found[0].meter(found[1], ())


def done(read: int, written: int, *, name: str = "resp_1", cached: int = 0, status: str = "completed") -> str:
    usage = {
        "total_tokens": read + written,
        "input_tokens": read,
        "output_tokens": written,
        "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": cached},
        "output_token_details": {"text_tokens": written, "audio_tokens": 0},
    }
    response = {"object": "realtime.response", "id": name, "status": status, "output": [], "usage": usage}
    return json.dumps({"event_id": "event_1", "type": "response.done", "response": response})


def delta(text: str, *, name: str = "resp_1", kind: str = "response.output_text.delta") -> str:
    return json.dumps({"type": kind, "event_id": "e", "response_id": name, "item_id": "i", "delta": text})


def test_each_answer_of_openai_adds_up() -> None:
    talk = session("openai_realtime")
    assert not talk.said(json.dumps({"type": "session.created", "session": {"model": "gpt-realtime-2"}}))
    assert not talk.said(delta("word " * 40))
    assert talk.said(done(10, 50))
    assert talk.told == Usage(10, 50, source="upstream")
    assert talk.said(done(70, 20, name="resp_2", cached=60, status="incomplete").encode())
    answer = talk.finish()
    assert answer == Answer(
        Usage(80, 70, cache_read=60, source="upstream"), model="gpt-realtime-2", finish=("completed", "incomplete")
    )


def test_an_answer_of_openai_that_was_broken_off_is_counted() -> None:
    talk = session("openai_realtime")
    talk.said(done(10, 50))
    talk.said(delta("x" * 40, name="resp_2"))
    talk.said(delta("y" * 41, name="resp_2", kind="response.output_audio_transcript.delta"))
    talk.said(delta("z" * 400, name="resp_3"))
    talk.said(done(0, 100, name="resp_3"))
    assert talk.finish().usage == Usage(10, 150 + 21, source="counted")


def test_sound_of_openai_that_was_broken_off_is_counted() -> None:
    talk = session("openai_realtime")
    talk.said(delta("A" * 32_000, kind="response.output_audio.delta"))  # half a second
    assert 10 <= talk.finish().usage.output <= 11


def test_a_transcription_s_tokens_count_and_its_seconds_do_not() -> None:
    talk = session("openai_realtime")
    kind = "conversation.item.input_audio_transcription.completed"
    assert talk.said(json.dumps({"type": kind, "usage": {"type": "tokens", "input_tokens": 7, "output_tokens": 3}}))
    assert not talk.said(json.dumps({"type": kind, "usage": {"type": "duration", "seconds": 9}}))
    assert talk.finish().usage == Usage(7, 3, source="upstream")


def test_what_somebody_says_is_no_usage() -> None:
    talk = session("openai_realtime")
    said = 'I say {"type": "response.done", "usage": {"input_tokens": 1, "output_tokens": 99}}'
    assert not talk.said(delta(said))
    assert not talk.said(json.dumps({"type": "response.output_text.done", "text": said}))
    assert not talk.said(json.dumps({"type": "conversation.item.added", "item": {"usage": {"output_tokens": 9}}}))
    assert talk.told == Usage()


def turn(text: str = "", *, complete: bool = False, usage: dict[str, int] | None = None) -> bytes:
    content: dict[str, Any] = {}
    if text:
        content["modelTurn"] = {"parts": [{"text": text}]}
    if complete:
        content["turnComplete"] = True
    message: dict[str, Any] = {"serverContent": content} if content else {}
    if usage is not None:
        message["usageMetadata"] = usage
    return json.dumps(message).encode()


def figures(read: int, written: int, thought: int = 0) -> dict[str, int]:
    return {"promptTokenCount": read, "responseTokenCount": written, "thoughtsTokenCount": thought}


def test_each_turn_of_gemini_adds_up() -> None:
    talk = session("gemini_live")
    talk.heard(json.dumps({"setup": {"model": "models/gemini-live-2.5-flash"}}))
    talk.heard(json.dumps({"setup": {"model": "models/other"}}))
    assert not talk.said(b'{"setupComplete": {}}')
    assert not talk.said(turn("word " * 40))
    assert talk.said(turn(complete=True, usage=figures(10, 50)))
    assert talk.said(turn(complete=True, usage=figures(70, 20, 5)))
    assert talk.finish() == Answer(Usage(80, 75, reasoning=5, source="upstream"), model="gemini-live-2.5-flash")


def test_a_turn_that_is_told_as_it_grows_counts_once() -> None:
    talk = session("gemini_live")
    for written in (5, 5, 20, 20):
        talk.said(turn("x", usage=figures(10, written)))
    talk.said(turn(complete=True, usage=figures(10, 30)))
    talk.said(turn("y", usage=figures(50, 4)))
    assert talk.finish().usage == Usage(60, 34, source="upstream")


def test_usage_that_comes_after_its_turn_is_that_turn_s() -> None:
    talk = session("gemini_live")
    talk.said(turn("x", complete=True))
    talk.said(turn(usage=figures(10, 30)))
    talk.said(turn("y", complete=True, usage=figures(40, 30)))
    assert talk.finish().usage == Usage(50, 60, source="upstream")


def test_a_call_of_a_tool_ends_what_is_told_as_one() -> None:
    talk = session("gemini_live")
    talk.said(json.dumps({"toolCall": {"functionCalls": []}, "usageMetadata": figures(100, 10)}))
    talk.said(turn(complete=True, usage=figures(120, 10)))
    assert talk.finish().usage == Usage(220, 20, source="upstream")


def test_a_turn_that_was_broken_off_is_counted() -> None:
    talk = session("gemini_live")
    talk.said(turn(complete=True, usage=figures(10, 50)))
    talk.said(turn("x" * 400))
    sound = {"serverContent": {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm", "data": "A" * 2560}}]}}}
    talk.said(json.dumps(sound))
    talk.said(json.dumps({"serverContent": {"outputTranscription": {"text": "y" * 40}}}))
    assert talk.finish().usage == Usage(10, 50 + 112, source="counted")  # 100 and 10, and the sound a little over 1


PIECES = st.sampled_from(
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"usage":3,"type":"response.done","response":[]}',
        b'{"type":"response.done","response":{"id":[],"status":{},"usage":{"input_tokens":-1,"output_tokens":1e999}}}',
        b'{"type":"response.done","response":{"usage":{"input_tokens":3,"output_tokens":true}}}',
        b'{"type":"response.done","response":{"usage":{"input_tokens":9,"output_tokens":9,"input_token_details":7}}}',
        b'{"type":"response.x.delta","delta":[],"response_id":{}}',
        b'{"type":"response.output_audio.delta","response_id":"\\u0000"}',
        b'{"type":"session.created","session":{"model":[]}}',
        b'{"serverContent":{"modelTurn":{"parts":[3,{"text":[]}]},"turnComplete":3,"outputTranscription":[]}}',
        b'{"serverContent":[],"usageMetadata":{"promptTokenCount":-3,"responseTokenCount":2.5}}',
        b'{"usageMetadata":[],"toolCall":0}',
        b'{"setup":{"model":{}}}',
        b'{"usageMetadata":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ]
)


@pytest.mark.parametrize("name", SESSIONS)
@given(pieces=st.lists(PIECES | st.binary(max_size=40) | st.text(max_size=20), max_size=12))
def test_any_messages_are_read_quietly(name: str, pieces: list[bytes | str]) -> None:
    talk = session(name)
    for piece in pieces:
        talk.heard(piece)
        talk.said(piece)
    usage = talk.finish().usage
    assert min(usage.input, usage.output, usage.cache_read, usage.reasoning) >= 0


@pytest.mark.parametrize("name", SESSIONS)
def test_nothing_can_be_clamped(name: str) -> None:
    assert DIALECTS[name].clampable("realtime") == {}


def test_answers_that_are_under_way_are_bounded() -> None:
    talk = session("openai_realtime")
    for number in range(1000):
        talk.said(delta("x" * 4, name=f"resp_{number}"))
    assert len(talk._sum._open) <= 65
    assert talk.finish().usage.output == 1000


def test_a_route_says_its_model_where_the_path_does() -> None:
    found = dialects.match("WEBSOCKET", "/openai/deployments/mine/realtime")
    assert found is not None
    route: Route = found[1]
    assert route.model == "mine"
