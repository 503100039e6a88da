"""Shell. One end of a WebSocket as bytes in, messages out, and back: `websockets`' sans-I/O protocol, with our bounds.

Frames are put together to messages here, so that a message costs its bytes and no more, however small the fragments
are. Pings are answered. Nothing is ever logged: the library would show frames, which hold prompts.
"""

import logging
from collections import deque

import msgspec
from websockets.exceptions import InvalidState, PayloadTooBig, ProtocolError
from websockets.frames import CLOSE, CONT, PING, PONG, TEXT, Frame
from websockets.protocol import OPEN, Protocol, Side

from gateway.wire.talk import Message
from gateway.wire.websocket import INVALID_TEXT, NO_CODE, TRY_LATER, reason_of

__all__ = ["Closed", "Frames"]

SILENT = logging.Logger("frames", logging.CRITICAL + 1)
"""Stands alone: whatever level the operator chooses, no frame is shown."""
EXPECTED = (ProtocolError, PayloadTooBig, UnicodeDecodeError, EOFError)

log = logging.getLogger("gateway.edge.frames")


class Closed(msgspec.Struct, frozen=True):
    """A close as it was received. `code` is 1005 where it had none."""

    code: int
    reason: str = ""


class Frames:
    """`feed` what arrives, then take `messages`, in order, and `output`, which must be written.

    `closed`: the peer has sent its close, and its answer is in `output`. `fault`: the code with which the peer was
    told that it broke the protocol (1002), a text was none (1007), or a message was too large (1009). After either,
    what arrives is dropped.
    """

    def __init__(self, *, client: bool, max_bytes: int) -> None:
        self._protocol = Protocol(Side.CLIENT if client else Side.SERVER, state=OPEN, max_size=max_bytes, logger=SILENT)
        self._parts = bytearray()
        self._text = False
        self.messages: deque[Message] = deque()
        self.waiting = 0  # bytes of the messages, about
        self.closed: Closed | None = None
        self.fault = 0

    @property
    def held(self) -> int:
        """Bytes that are kept of what has arrived."""
        return self.waiting + len(self._parts) + len(self._protocol.reader.buffer)

    @property
    def over(self) -> bool:
        """A close was sent or received: no message can be sent any more."""
        return self._protocol.state is not OPEN

    def feed(self, data: bytes) -> None:
        """The next bytes from the peer."""
        if self.closed is not None or self.fault:
            return
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame) and not self._frame(event):
                return
        error = protocol.parser_exc
        if error is not None:
            if not isinstance(error, EXPECTED):
                log.error("reading a frame failed: %s", type(error).__name__)
            sent = protocol.close_sent
            self.fault = sent.code if sent is not None else NO_CODE
            self._parts.clear()

    def take(self) -> Message:
        """The next message. There must be one."""
        message = self.messages.popleft()
        self.waiting -= len(message)
        return message

    def output(self) -> bytes:
        """What must be written now: answers to pings and closes."""
        return b"".join(self._protocol.data_to_send())

    def message(self, message: Message) -> bytes:
        """The bytes of a message; none once a close was sent or received."""
        protocol = self._protocol
        if protocol.state is not OPEN:
            return b""
        if isinstance(message, str):
            protocol.send_text(message.encode("utf-8", "replace"))
        else:
            protocol.send_binary(message)
        return self.output()

    def ping(self) -> bytes:
        """The bytes of a ping."""
        try:
            self._protocol.send_ping(b"")
        except InvalidState:
            return b""
        return self.output()

    def close(self, code: int, reason: str = "") -> bytes:
        """The bytes of a close; none where one was sent or received. 1005 = without a code."""
        protocol = self._protocol
        if protocol.state is not OPEN:
            return b""
        if code == NO_CODE:
            protocol.send_close()
        else:
            protocol.send_close(code, reason_of(reason))
        return self.output()

    def fail(self, code: int, reason: str) -> bytes:
        """The bytes of a close that says what the peer did wrong; what it still sends is dropped."""
        self.fault = code
        self.messages.clear()
        self._parts.clear()
        self.waiting = 0
        self._protocol.fail(code, reason)
        self._protocol.reader.discard()
        return self.output()

    def overflow(self) -> bytes:
        """The gateway holds too much to take more of this message."""
        return self.fail(TRY_LATER, "too many messages are held")

    def _frame(self, frame: Frame) -> bool:
        """Takes one frame in; False: what it ends is no message, and nothing after it is read."""
        opcode = frame.opcode
        if opcode is CLOSE:
            received = self._protocol.close_rcvd
            self.closed = Closed(received.code, received.reason) if received is not None else Closed(NO_CODE)
            return True
        if opcode is PING or opcode is PONG:
            return True
        if opcode is not CONT:
            self._text = opcode is TEXT
            if frame.fin:
                return self._whole(frame.data)
        self._parts += frame.data
        if frame.fin:
            parts, self._parts = self._parts, bytearray()
            return self._whole(parts)
        return True

    def _whole(self, data: bytes | bytearray | memoryview) -> bool:
        message: Message
        if self._text:
            try:
                message = bytes(data).decode()
            except UnicodeDecodeError:
                self._protocol.fail(INVALID_TEXT, "a text that is not UTF-8")
                self.fault = INVALID_TEXT
                return False
        else:
            message = bytes(data)
        self.messages.append(message)
        self.waiting += len(message)
        return True
