"""Requests as they stand on the wire, observed as the gateway observes them."""

from typing import Any

import orjson

from gateway.observe import Observation, Prints
from gateway.observe.wire import form_of, from_wire

__all__ = ["PRINTS", "chat", "talk", "upload"]

PRINTS = Prints(b"k")
JSON = [(b"content-type", b"application/json")]


def chat(prompt: str, system: str = "", **body: Any) -> Observation:
    """A chat completion that asks one thing."""
    messages = [{"role": "system", "content": system}] if system else []
    return _sent({"model": "m", "messages": [*messages, {"role": "user", "content": prompt}], **body})


def talk(*turns: str, **body: Any) -> Observation:
    """A conversation: a user's turn, an answer, a user's turn, and so on."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)]
    return _sent({"model": "m", "messages": messages, **body})


def upload(prompts: list[str], **body: Any) -> Observation:
    """What an uploaded file of chat completions adds up to, one prompt a line."""
    lines = [
        {
            "custom_id": str(at),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": prompt}], **body},
        }
        for at, prompt in enumerate(prompts)
    ]
    text = "".join(orjson.dumps(line).decode() + "\n" for line in lines)
    content_type, form = form_of("batch", "b.jsonl", "application/jsonl", text)
    wire = from_wire("POST", "/v1/files", [(b"content-type", content_type)], form, PRINTS)
    assert wire.folded is not None
    return wire.folded


def _sent(body: dict[str, Any]) -> Observation:
    wire = from_wire("POST", "/v1/chat/completions", JSON, orjson.dumps(body), PRINTS)
    assert not wire.refused, wire.refused
    return wire.seen
