"""The words of an event that is like one before: found without its JSON, and the same as with it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocols import Meter, Route
from gateway.protocols.anthropic_messages import AnthropicMessages
from gateway.protocols.openai_chat import OpenAIChat
from gateway.wire.refrain import TRIES, Refrain

CHAT = Route("openai_chat", "openai", "/v1/chat/completions", "chat")
CLAUDE = Route("anthropic_messages", "anthropic", "/v1/messages", "chat")


def delta(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return orjson.dumps({"id": "c1", "model": "m", "choices": [choice], **more})


def learned(text: str = "so") -> Refrain:
    refrain = Refrain()
    refrain.learn("", delta(text), text, 0)
    return refrain


def test_the_words_of_an_event_like_the_first() -> None:
    refrain = learned()
    assert refrain.at == 0
    assert refrain.text("", delta(" it goes on")) == " it goes on"
    assert refrain.text("", delta("\u00e9t\u00e9")) == "\u00e9t\u00e9"
    assert refrain.text("", delta("")) == ""


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("", delta('he said "no"')),
        ("", delta("a line\nand another")),
        ("", delta("back\\slash")),
        ("", delta("so").replace(b"so", b"\xff")),
        ("", delta("so").replace(b"so", b"\x01")),
        ("", delta("so").replace(b"null", b'"stop"')),
        ("", delta("so").replace(b"c1", b"c2")),
        ("", delta("so", usage=None)),
        ("", delta("so")[:-3]),
        ("", delta("so").replace(b"so", b'x"},"index":1,"delta":{"content":"y')),
        ("ping", delta("so")),
        ("", b""),
    ],
)
def test_anything_else_is_read_whole(name: str, data: bytes) -> None:
    assert learned().text(name, data) is None


@pytest.mark.parametrize("text", ["content", "c1", "m", "index", 'a "quote"', "a\nb"])
def test_a_text_whose_place_is_not_plain_teaches_nothing(text: str) -> None:
    assert learned(text).text("", delta("so")) is None


def test_a_text_that_is_spelled_in_escapes_is_not_taken_for_a_name_that_isnt() -> None:
    refrain = Refrain()
    refrain.learn("", b'{"model":1,"text":"\\u006dodel"}', "model", 0)
    assert refrain.text("", b'{"other":1,"text":"\\u006dodel"}') is None


def test_who_numbers_his_events_is_given_up() -> None:
    refrain = Refrain()
    for at in range(TRIES + 2):
        assert refrain.text("", delta("so", n=at)) is None
        refrain.learn("", delta("so", n=at), "so", 0)
    assert refrain.text("", delta("so", n=TRIES + 1)) is None


WORDS = st.text(max_size=12) | st.sampled_from(["so", " it", " goes", " on\n", '"', "\\", "\u2603", "\x85", "content"])


def fed(meter: Meter, events: list[bytes], cut: int) -> object:
    data = b"".join(events)
    meter.keep()
    meter.start(200, b"text/event-stream", b"")
    for at in range(0, len(data), cut):
        meter.feed(data[at : at + cut])
    return meter.finish()


@given(st.lists(WORDS, max_size=20), st.integers(1, 400), st.booleans())
def test_a_stream_counts_the_same_read_by_its_refrain_or_event_by_event(
    words: list[str], cut: int, numbered: bool
) -> None:
    texts = [word.encode("utf-8", "replace").decode() for word in words]
    chat = [b"data: " + delta(text, **({"n": at} if numbered else {})) + b"\n\n" for at, text in enumerate(texts)]
    each = [b"data: " + delta(text, other=at) + b"\n\n" for at, text in enumerate(texts)]  # no two are alike
    assert fed(OpenAIChat().meter(CHAT, ()), chat, cut) == fed(OpenAIChat().meter(CHAT, ()), each, cut)


@given(st.lists(st.tuples(st.sampled_from(["text", "thinking", "partial_json"]), WORDS), max_size=20))
def test_thoughts_and_calls_are_counted_and_not_spoken(pieces: list[tuple[str, str]]) -> None:
    def event(at: int, kind: str, text: str, number: int) -> bytes:
        value = {"type": "content_block_delta", "index": at, "delta": {"type": f"{kind}_delta", kind: text}}
        return b"event: content_block_delta\ndata: " + orjson.dumps({**value, "n": number}) + b"\n\n"

    texts = [(kind, word.encode("utf-8", "replace").decode()) for kind, word in pieces]
    alike = [event(0, kind, text, 0) for kind, text in texts]
    other = [event(0, kind, text, at) for at, (kind, text) in enumerate(texts)]
    dialect = AnthropicMessages()
    assert fed(dialect.meter(CLAUDE, ()), alike, 1000) == fed(dialect.meter(CLAUDE, ()), other, 1000)
