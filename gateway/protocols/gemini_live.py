"""Pure. Gemini Live: a session over a WebSocket, in messages that are JSON objects, in text or binary frames.

The first message of the client is its setup, which names the model. The server tells its usage with a turn: it is the
turn's, and grows where it is told more than once. A call of a tool, or `turnComplete`, ends what is told as one. Of a
turn that was broken off what was seen is counted: four characters a token, 1,920 bytes of sound (16 bit, 24 kHz,
25 tokens a second).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gateway.protocols import MAX_NAME, Answer, Call, Dialect, Meter, Op, Path, Route
from gateway.refusals import Vendor
from gateway.usage import Usage
from gateway.wire.meters import document_in, tokens
from gateway.wire.talk import Message, Sum, bytes_in, characters, sound

__all__ = ["GeminiLive"]

PATH = re.compile(
    r"/ws/(?:google\.ai\.generativelanguage\.(?P<version>v1beta|v1alpha|v1)\.GenerativeService"
    r"|google\.cloud\.aiplatform\.(?P<cloud>v1beta1|v1)\.LlmBidiService)"
    r"[./](?P<method>BidiGenerateContent(?:Constrained)?)",
    re.IGNORECASE,
)
BYTES_A_TOKEN = 1920
SOUND = (b'"inlineData"', b'"inline_data"')
WORDS = re.compile(rb'"(?:usage_?metadata|turn_?complete|tool_?call)"', re.IGNORECASE)
FIGURES = (
    ("promptTokenCount", "prompt_token_count"),
    ("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
    ("responseTokenCount", "response_token_count", "candidatesTokenCount", "candidates_token_count"),
    ("thoughtsTokenCount", "thoughts_token_count"),
    ("cachedContentTokenCount", "cached_content_token_count"),
)
TURN = "turn"


class GeminiLive(Dialect):
    """GET /ws/google.ai.generativelanguage.VERSION.GenerativeService.BidiGenerateContent, and Vertex AI's, with an
    upgrade. Source: Gemini Live API reference. The model is named in the session's first message, after it was judged.
    """

    vendor: ClassVar[Vendor] = "gemini"
    provider = "gcp.gemini"

    def match(self, method: str, path: str) -> Route | None:
        found = PATH.fullmatch(path) if method == "WEBSOCKET" else None
        if found is None:
            return None
        if found["version"] is None:
            template = f"/ws/google.cloud.aiplatform.{found['cloud'].lower()}.LlmBidiService/BidiGenerateContent"
        else:
            name = "BidiGenerateContentConstrained" if len(found["method"]) > 20 else "BidiGenerateContent"
            version = found["version"].lower()
            template = f"/ws/google.ai.generativelanguage.{version}.GenerativeService.{name}"
        return Route("gemini_live", "gemini", template, "realtime", "session", stream=True)

    def parse(self, route: Route, body: bytes) -> tuple[Call, ...]:
        return (Call(op="realtime", model=None, body={}, stream=True),)

    def meter(self, route: Route, calls: Sequence[Call]) -> Meter:
        return _Talk()

    def clampable(self, op: Op) -> Mapping[str, tuple[Path, ...]]:
        return {}


class _Talk(Meter):
    """Reads the client's setup and the server's messages."""

    def __init__(self) -> None:
        self._sum = Sum()
        self._model: str | None = None
        self._turn = Usage()  # of the turn under way, as far as it was told
        self._late = False  # a turn has ended, and its usage was not told yet

    @property
    def told(self) -> Usage:
        return self._sum.told

    def start(self, status: int, content_type: bytes, content_encoding: bytes) -> None:
        """The session is open."""

    def feed(self, data: bytes) -> None:
        self.said(data)

    def heard(self, message: Message) -> None:
        """A message of the client: nothing but the model of its setup is read."""
        if self._model is not None:
            return
        data = bytes_in(message)
        if b'"setup"' not in data:
            return
        value = document_in(data)
        setup = value.get("setup") if isinstance(value, dict) else None
        model = setup.get("model") if isinstance(setup, dict) else None
        if isinstance(model, str) and 0 < len(model) <= MAX_NAME:
            self._model = model.removeprefix("models/")

    def said(self, message: Message) -> bool:
        """A message of the server; True: more usage has been told."""
        data = bytes_in(message)
        told = WORDS.search(data) is not None
        if SOUND[0] in data or SOUND[1] in data:
            self._sum.see(TURN, sound(data, BYTES_A_TOKEN))
            if not told:
                return False
        value = document_in(data)
        if not isinstance(value, dict):
            return False
        content = _get(value, "serverContent", "server_content")
        if isinstance(content, dict):
            self._words(content)
        before = self._sum.told
        usage = _usage(_get(value, "usageMetadata", "usage_metadata"))
        if usage is not None:
            self._tell(usage, late=self._late and content is None)
        over = isinstance(content, dict) and _get(content, "turnComplete", "turn_complete") is True
        if over or _get(value, "toolCall", "tool_call") is not None:
            self._late = self._turn == Usage()
            self._turn = Usage()
        return self._sum.told is not before

    def finish(self) -> Answer:
        return Answer(usage=self._sum.total(), model=self._model)

    def _tell(self, usage: Usage, *, late: bool) -> None:
        """What the turn has used more than it had when it was last told."""
        turn = self._turn
        grown = Usage(
            max(0, usage.input - turn.input),
            max(0, usage.output - turn.output),
            max(0, usage.cache_read - turn.cache_read),
            reasoning=max(0, usage.reasoning - turn.reasoning),
            source="upstream",
        )
        self._sum.tell(grown)
        self._sum.close(TURN)
        self._late = False
        if not late:
            self._turn = Usage(
                max(usage.input, turn.input),
                max(usage.output, turn.output),
                max(usage.cache_read, turn.cache_read),
                reasoning=max(usage.reasoning, turn.reasoning),
                source="upstream",
            )

    def _words(self, content: dict[str, Any]) -> None:
        turn = _get(content, "modelTurn", "model_turn")
        parts = turn.get("parts") if isinstance(turn, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                self._sum.see(TURN, characters(part.get("text")))
        spoken = _get(content, "outputTranscription", "output_transcription")
        if isinstance(spoken, dict):
            self._sum.see(TURN, characters(spoken.get("text")))


def _get(value: Mapping[str, Any], *names: str) -> Any:
    """The field in the first spelling that says something."""
    for name in names:
        found = value.get(name)
        if found is not None:
            return found
    return None


def _usage(value: Any) -> Usage | None:
    """`usageMetadata` of a session; thinking is told apart from the answer, and is output."""
    if not isinstance(value, dict):
        return None
    figures = [tokens(_get(value, *names)) for names in FIGURES]
    read, used, written, thought, cached = figures
    if read is None or used is None or written is None or thought is None or cached is None:
        return None
    return Usage(read + used, written + thought, min(cached, read), reasoning=thought, source="upstream")
