"""Shell. What a supervisor and a worker say to each other, over a pair of sockets that only they hold.

The pair is the worker's standard input: no port, no path, no token, and its end tells either side that the other one is
gone, however it went. A message is its length in four bytes and MessagePack.
"""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from gateway.settings import Settings

__all__ = ["Answer", "Ask", "Brief", "Last", "Message", "Up", "Wrong", "frame", "read", "read_brief", "told"]

LENGTH = struct.Struct(">I")


class Brief(msgspec.Struct, frozen=True, tag=True):
    """The first word to a worker: its settings, as they hold for it, and the descriptors that it serves."""

    worker: int
    settings: dict[str, Any]
    upstream: str | None
    shared: list[int]  # listening sockets that all workers accept from
    own: list[int]  # those of this one alone
    board: int  # of `sharing.py`


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A request to the worker's operator's side (`edge/ops.py`)."""

    id: int
    method: str
    path: str
    body: bytes = b""


class Up(msgspec.Struct, frozen=True, tag=True):
    """The worker serves; by which policy."""

    policy: str
    digest: str
    mode: str


class Wrong(msgspec.Struct, frozen=True, tag=True):
    """The worker can't start: a `Mistake`."""

    message: str
    place: str
    hint: str


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What the worker's operator's side said to an `Ask`."""

    id: int
    status: int
    body: bytes


class Last(msgspec.Struct, frozen=True, tag=True):
    """The metrics of a worker that has served its last request."""

    metrics: bytes


Message = Brief | Ask | Up | Wrong | Answer | Last

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    """The bytes of a message."""
    body = msgspec.msgpack.encode(message, enc_hook=_plain)
    return LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None where the other side is gone."""
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        return _decoder.decode(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def read_brief(sock: socket.socket) -> Brief | None:
    """The first message, read without an event loop; None where the supervisor is gone or says something else."""
    head = sock.recv(LENGTH.size, socket.MSG_WAITALL)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    body = sock.recv(length, socket.MSG_WAITALL)
    message = _decoder.decode(body) if len(body) == length else None
    return message if isinstance(message, Brief) else None


def told(settings: Settings, **changes: Any) -> dict[str, Any]:
    """The settings as a worker is told them, secrets too: names and plain values."""
    return {**settings.model_dump(), **changes}


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)
