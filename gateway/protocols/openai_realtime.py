"""Pure. OpenAI Realtime: a session over a WebSocket, in events that are JSON objects.

Each answer ends with `response.done`, which tells its usage; the input of an answer is the conversation up to it. A
transcription of what the user said is told apart. Of an answer that was broken off, its deltas are counted: four
characters a token, and 2,400 bytes of sound (16 bit, 24 kHz, twenty tokens a second).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from gateway.errors import Refusal
from gateway.protocols import MAX_NAME, Answer, Call, Dialect, Meter, Op, Path, Route, openai_path
from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire import fields
from gateway.wire.meters import document_in, openai_usage
from gateway.wire.talk import Message, Sum, bytes_in, characters, sound

__all__ = ["OpenAIRealtime"]

NAMES = ("model", "deployment")  # Azure's name of it
BYTES_A_TOKEN = 2400
MAX_STATUSES = 16  # answers whose status is kept
STATUS = re.compile(r"[a-z_]{1,32}")
ANSWER = re.compile(rb'"response_id"\s*+:\s*+"([^"\\]{1,128})"')
SOUND = (b'"response.output_audio.delta"', b'"response.audio.delta"')  # the second is the beta's name
TOLD = (b'"response.done"', b'"usage"')
DELTA = b'.delta"'
OPENED = b'"session.created"'


class OpenAIRealtime(Dialect):
    """GET /v1/realtime?model=… with an upgrade (also without `/v1`, and Azure's paths). Source: OpenAI API reference.

    `parse` reads the query, in place of a body.
    """

    vendor: ClassVar[Vendor] = "openai"
    provider = "openai"

    def match(self, method: str, path: str) -> Route | None:
        found = openai_path(path, "/realtime") if method == "WEBSOCKET" else None
        if found is None:
            return None
        return Route("openai_realtime", "openai", found[0], "realtime", "session", model=found[1], stream=True)

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        given = parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=100) if body else []
        names = [(name, value) for name, value in given if name in NAMES]
        if len(names) > 1:
            raise Refusal("bad_request", 400, "ambiguous_field", "model is given twice.", param="model")
        model = fields.word(names[0][1], names[0][0]) if names else None
        return (Call(op="realtime", model=route.model or model, body={}, stream=True),)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _Talk()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return {}


class _Talk(Meter):
    """Reads the server's events."""

    def __init__(self) -> None:
        self._sum = Sum()
        self._model: str | None = None
        self._statuses: list[str] = []

    @property
    def told(self) -> Usage:
        return self._sum.told

    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        """The session is open."""

    def feed(self, data: bytes) -> None:
        self.said(data)

    def heard(self, message: Message) -> None:
        """What the client says is not read."""

    def said(self, message: Message) -> bool:
        """An event of the server; True: more usage has been told."""
        data = bytes_in(message)
        if TOLD[0] in data or TOLD[1] in data:
            return self._ended(document_in(data))
        if DELTA in data:
            self._delta(data)
        elif self._model is None and OPENED in data:
            self._opened(document_in(data))
        return False

    def finish(self) -> Answer:
        return Answer(usage=self._sum.total(), model=self._model, finish=tuple(self._statuses))

    def _opened(self, value: Any) -> None:
        session = value.get("session") if isinstance(value, dict) else None
        model = session.get("model") if isinstance(session, dict) else None
        if isinstance(model, str) and 0 < len(model) <= MAX_NAME:
            self._model = model

    def _ended(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        before = self._sum.told
        response = value.get("response")
        if value.get("type") == "response.done" and isinstance(response, dict):
            name = response.get("id")
            self._sum.close(name if isinstance(name, str) else "")
            status = response.get("status")
            if isinstance(status, str) and STATUS.fullmatch(status) and len(self._statuses) < MAX_STATUSES:
                self._statuses.append(status)
            self._tell(response.get("usage"))
        elif isinstance(value.get("usage"), dict):
            self._tell(value["usage"])
        return self._sum.told is not before

    def _tell(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        details = {f"{way}_tokens_details": usage.get(f"{way}_token_details") for way in ("input", "output")}
        read = openai_usage({**usage, **details}, "input", "output")
        if read is not None:
            self._sum.tell(read)

    def _delta(self, data: bytes) -> None:
        if SOUND[0] in data or SOUND[1] in data:
            found = ANSWER.search(data)
            self._sum.see(found[1].decode("latin-1") if found is not None else "", sound(data, BYTES_A_TOKEN))
            return
        value = document_in(data)
        kind = value.get("type") if isinstance(value, dict) else None
        if isinstance(kind, str) and kind.startswith("response."):
            name = value.get("response_id")
            self._sum.see(name if isinstance(name, str) else "", characters(value.get("delta")))
