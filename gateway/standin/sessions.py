"""Shell. A session with the stand-in over a WebSocket: its opening, or a refusal, and JSON both ways."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson
from starlette.types import Receive, Scope, Send

from gateway.standin.answers import Manner
from gateway.standin.exchange import Fail, Reply

__all__ = ["Died", "Left", "Talk"]

DIES_AFTER = 5  # events of an answer


class Died(ConnectionError):
    """Raised into the server by a model that dies: the session, or the answer, ends in the middle."""


class Left(Exception):
    """The client has closed."""


class Talk:
    """The server's end of one session. Messages go out as text, or as Google's do, in binary frames."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, binary: bool = False) -> None:
        self.offered: list[str] = scope.get("subprotocols") or []
        self.sent = 0  # messages
        self._receive = receive
        self._send = send
        self._binary = binary

    async def accept(self, headers: list[tuple[bytes, bytes]], subprotocol: str | None = None) -> None:
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})

    async def refuse(self, reply: Reply, headers: list[tuple[bytes, bytes]]) -> None:
        """A plain answer in place of a session."""
        head = [(b"content-type", reply.kind.encode()), (b"content-length", b"%d" % len(reply.body)), *headers]
        head += [(name.encode(), value.encode()) for name, value in reply.headers]
        await self._send({"type": "websocket.http.response.start", "status": reply.status, "headers": head})
        await self._send({"type": "websocket.http.response.body", "body": reply.body, "more_body": False})

    async def read(self) -> dict[str, Any]:
        """The client's next message. Raises Left where there will be none, Fail where it is no JSON object."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Left
        data = message.get("text") or message.get("bytes") or b""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise Fail(400, "The message is no JSON.", "invalid_json") from None
        if not isinstance(value, dict):
            raise Fail(400, "The message must be a JSON object.", "invalid_json")
        return value

    async def say(self, value: Mapping[str, Any], manner: Manner | None = None) -> None:
        """Sends a message; of an answer (`manner`) as its model does. Raises Died for a model that dies."""
        if manner is not None:
            if manner.delay:
                await asyncio.sleep(manner.delay)
            if manner.die and self.sent >= DIES_AFTER:
                raise Died("the model died, as its name says")
        self.sent += 1
        data = orjson.dumps(value)
        key, content = ("bytes", data) if self._binary else ("text", data.decode())
        await self._send({"type": "websocket.send", key: content})

    async def close(self, code: int, reason: str = "") -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class Conversation(msgspec.Struct):
    """What a session remembers: how many tokens it has said, both sides, and its last words."""

    tokens: int = 0
    last: str = ""
    answers: int = 0
