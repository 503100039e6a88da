"""What supervisor and worker say to each other arrives as it was said, or not at all."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.workers.channel import Answer, Ask, Brief, Last, Message, Up, Wrong, frame, read, read_brief, told

MESSAGES: list[Message] = [
    Brief(1, {"port": 8080, "upstream": None}, None, [3, 4], [], 5),
    Ask(7, "PUT", "/-/enforce", b"\x00\xff"),
    Up("p", "d", "enforce"),
    Wrong("is no policy", "policy.yaml:3:1", "look"),
    Answer(7, 200, b"x" * 300_000),
    Last(b""),
]


async def test_every_message_arrives_whole_and_in_order() -> None:
    reader = asyncio.StreamReader()
    whole = b"".join(frame(message) for message in MESSAGES)
    for at in range(0, len(whole), 1000):
        reader.feed_data(whole[at : at + 1000])
    reader.feed_eof()
    assert [await read(reader) for _ in MESSAGES] == MESSAGES
    assert await read(reader) is None


@pytest.mark.parametrize("kept", [0, 3, 4, 10])
async def test_half_a_message_is_none(kept: int) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(frame(MESSAGES[1])[:kept])
    reader.feed_eof()
    assert await read(reader) is None


@pytest.mark.parametrize("kept", [0, 3, 4, 10])
def test_a_brief_that_breaks_off_is_none(kept: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(frame(MESSAGES[0])[:kept])
        assert read_brief(theirs) is None


SETTINGS: dict[str, Any] = {
    "upstreams": {"openai": "http://a.test"},
    "trusted_proxies": ("10.0.0.0/8", "::1/128"),
    "policy": Path("policy.yaml"),
    "pepper": "a pepper of some length",
    "ops_token": "a token of sixteen or more",
    "credential": "replace",
    "openai_key": "sk-secret",
    "store": "valkey://user:secret@host:6379/2",
    "state_memory": "64 MiB",
    "drain_delay": 0.5,
}


@pytest.mark.parametrize("given", [{}, SETTINGS], ids=["defaults", "much"])
def test_a_worker_has_the_settings_of_its_supervisor_whatever_the_environment_says_by_then(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(**given)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(frame(Brief(0, told(settings, ledger=Path("a/b")), None, [], [], 0)))
        brief = read_brief(theirs)
    assert brief is not None
    monkeypatch.setenv("GAUGER_PORT", "1")
    monkeypatch.setenv("GAUGER_PEPPER", "another pepper of some length")
    assert Settings(**brief.settings) == settings.model_copy(update={"ledger": Path("a/b")})
