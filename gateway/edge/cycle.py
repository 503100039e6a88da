"""Shell. One request and its answer on a connection, and the plain answers that are given below ASGI."""

import asyncio
import json
import traceback
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.edge.exchange import Aborted
from gateway.errors import Refusal

if TYPE_CHECKING:
    from gateway.edge.protocol import GaugerHttpProtocol

__all__ = ["Cycle", "answer_bytes"]

FAILED = Refusal("internal", 500, "internal_error", "The gateway failed.", close=True)


def answer_bytes(refusal: Refusal) -> bytes:
    """A refusal as a whole HTTP/1.1 answer that closes the connection."""
    kind = "invalid_request_error" if refusal.status not in (500, 503) else "server_error"
    body = json.dumps({"error": {"message": refusal.detail, "type": kind, "code": refusal.code}}).encode()
    retry = "retry-after: 1\r\n" if refusal.status == 503 else ""
    head = (
        f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}\r\n"
        f"date: {formatdate(usegmt=True)}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        f"{retry}connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    def __init__(self, protocol: "GaugerHttpProtocol", **given: Any) -> None:
        super().__init__(**given)
        self.protocol = protocol
        self.closing = False  # the connection ends with this answer
        self.until_close = False  # HTTP/1.0 without a length: the end of the connection is the end of the answer

    async def run_asgi(self, app: Any) -> None:
        """Calls the app; a failure is logged by type and place only, because a message may quote the request."""
        try:
            await app(self.scope, self.receive, self.send)
        except Aborted:
            self.cut()
        except asyncio.CancelledError:
            self.cut()
            raise
        except Exception as error:  # noqa: BLE001 - an app may raise anything; it ends here, as in any ASGI server
            places = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            self.logger.error("the application failed: %s at %s", type(error).__name__, " > ".join(places[-8:]))  # noqa: TRY400
            self._unfinished()
        else:
            if not self.response_complete and not self.disconnected:
                self.logger.error("the application returned without a whole answer")
                self._unfinished()
        finally:
            self.on_response = _nothing

    def _unfinished(self) -> None:
        if self.response_started:
            self.cut()
        elif not self.disconnected:
            self.protocol.fail(self, FAILED)

    def cut(self) -> None:
        """Ends the connection so that the client can't take what it has for a whole answer; harmless when repeated.

        What was sent is still delivered: without its last chunk or bytes, its end is visibly missing. Where only the
        connection's end would mark it (HTTP/1.0), the connection is reset.
        """
        if self.response_complete or self.disconnected:
            return
        self.leave()
        if self.until_close:
            self.protocol.reset()
        else:
            self.protocol.close()

    def leave(self) -> None:
        """From here on nothing is sent, and the app hears `http.disconnect`."""
        self.disconnected = True
        self.message_event.set()

    async def send(self, message: Any) -> None:
        if self.response_started:
            if self.until_close:
                self.expected_content_length = len(message.get("body", b"")) + bool(message.get("more_body", False))
            await super().send(message)
        else:
            await self._start(message)

    async def _start(self, message: Any) -> None:
        if self.waiting_for_100_continue and self.more_body:
            self.keep_alive = False  # whether the body still comes is the client's choice: RFC 9110 section 10.1.1
        bare = message.get("status") in (204, 304)
        if (
            self.scope["http_version"] == "1.0"
            and not bare
            and self.scope["method"] != "HEAD"
            and all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
        ):
            self.until_close, self.chunked_encoding = True, False
        await super().send(message)
        if not self.response_started:
            return
        if bare:
            self.expected_content_length = 0  # of a body that a 304 only describes
        if not self.keep_alive:
            self.closing, self.keep_alive = True, True  # the protocol closes, after the request has been read

    async def receive(self) -> Any:
        if self.flow.read_paused or self.waiting_for_100_continue:
            self.protocol.touch()
        return await super().receive()


def _nothing() -> None:
    """Stands in for a callback that has served."""
