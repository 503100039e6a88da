"""Shell. A session on its way through the rungs: a request for a WebSocket, and then its messages, in both directions.

It is judged once, at its request, and holds its place and its leases to its end. What is said in it is not read; what
it costs is metered, message by message, and charged to the limits of tokens each time that the model server tells it.
When one of them is overdrawn, the session is told so in the words of its dialect and closed (1008).
"""

from time import perf_counter_ns
from typing import Any, Protocol, runtime_checkable

import msgspec

from gateway import dialects
from gateway.decide import SESSION, SWITCHED
from gateway.edge.core import Core
from gateway.edge.exchange import Exchange, Message, Receive, Scope, Send
from gateway.errors import Refusal
from gateway.ledger.record import Used
from gateway.observe import observe
from gateway.policy.draws import used_so_far
from gateway.quotas import Reading
from gateway.refusals import event_of, refusal_of
from gateway.usage import Usage
from gateway.wire.http import canonical
from gateway.wire.websocket import ABNORMAL, GOING_AWAY, HANDSHAKE, INTERNAL, NORMAL, POLICY, hidden_keys, reason_of

__all__ = ["Session", "Talk"]


@runtime_checkable
class Talk(Protocol):
    """What a session's meter does beside a meter's own."""

    @property
    def told(self) -> Usage: ...
    def heard(self, message: str | bytes) -> None: ...
    def said(self, message: str | bytes) -> bool: ...


class Session(Exchange):
    """`Exchange` over the ASGI channels of a WebSocket. Plain answers go out as such as long as it isn't open."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str, core: Core) -> None:
        super().__init__({**scope, "method": "GET"}, receive, send, request_id)
        self._core = core
        self._talk: Talk | None = None
        self._connected = False  # the server's `websocket.connect` has been taken
        self._said_so = False  # the app has had one
        self._over: Message | None = None  # we have closed it: what the app hears of that
        self._close = 0
        self._by = ""
        self._heard = self._spoken = self._told = 0  # messages of either side, tellings of usage
        # The server's part of the handshake is done. A key that is hidden in a subprotocol is one like any other, for
        # as long as it is asked who calls; the app gets it where it was.
        self._hidden = [(b"authorization", b"Bearer " + key) for key in hidden_keys(scope.get("subprotocols") or ())]
        self.headers = [pair for pair in self.headers if pair[0] not in HANDSHAKE or pair[0] == b"connection"]
        self.headers += self._hidden

    def parse(self, core: Core) -> None:
        """Rungs 3 and 4: whose session it is, and what is known of it. Raises Refusal (404) where nobody's."""
        headers = self.scope["headers"]
        headers[:] = [pair for pair in headers if pair not in self._hidden]
        found = dialects.match("WEBSOCKET", canonical(self.raw_path))
        if found is None:
            raise Refusal("not_found", 404, "no_such_socket", "There is no WebSocket on this path.", retry=False)
        self.dialect, self.route = dialect, route = found
        self.vendor = route.vendor
        (call,) = dialect.parse(route, self.scope.get("query_string") or b"")
        named = msgspec.structs.replace(route, model=call.model)
        seen = observe(named, (), 0, core.prints, self.header(b"user-agent"))
        self.seen = msgspec.structs.replace(seen, stream=True)
        self.meter = meter = dialect.meter(route, ())
        assert isinstance(meter, Talk)
        self._talk = meter

    def talked(self) -> dict[str, Any] | None:
        if self.status != SWITCHED:
            return None
        close, by = self._close or ABNORMAL, self._by or "nobody"
        if self.error == "shutdown":
            close, by = GOING_AWAY, "gateway"
        talk = {"messages_in": self._heard, "messages_out": self._spoken, "answers": self._told}
        return {"close": close, "by": by, **talk}

    async def gone(self) -> None:
        while (await self._receive())["type"] != "websocket.disconnect":
            self._connected = True

    async def receive(self) -> Message:
        """The wrapped app's receive: `websocket.connect`, then the client's messages, metered."""
        if not self._said_so:
            self._said_so = True
            if not self._connected:
                self._connected = True
                return await self._receive()
            return {"type": "websocket.connect"}
        message = self._over or await self._receive()
        message = self._over or message  # we may have closed it meanwhile
        if message["type"] == "websocket.receive":
            said = _payload(message)
            self._heard += 1
            self.bytes_in += len(said) if isinstance(said, bytes) or said.isascii() else len(said.encode())
            if self._talk is not None:
                self._talk.heard(said)
        elif message["type"] == "websocket.disconnect":
            self._left(message)
        return message

    async def send(self, message: Message) -> None:
        """The wrapped app's send, and the gate's: refusals, the answer to the request, the model server's messages."""
        kind: str = message["type"]
        if kind == "websocket.send":
            await self._say(message)
        elif kind == "websocket.accept":
            begun = self._begin({**message, "status": SWITCHED, "headers": message.get("headers", ())})
            await self._send({name: value for name, value in begun.items() if name != "status"})
        elif kind == "websocket.close":
            await self._closed(message)
        elif kind.endswith("http.response.start"):
            await self._answer(self._begin(message))
        else:
            if chunk := message.get("body", b""):
                self.first_byte = self.first_byte or perf_counter_ns()
                self.bytes_out += len(chunk)
            self.finished = not message.get("more_body", False)
            await self._answer(message)

    async def _answer(self, message: Message) -> None:
        """A plain answer. Where the server has no way to give one, a close in its place: ASGI makes that a 403."""
        kind = message["type"].removeprefix("websocket.")
        if "websocket.http.response" in self.scope.get("extensions", {}):
            await self._send({**message, "type": f"websocket.{kind}"})
        elif kind == "http.response.start":
            await self._send({"type": "websocket.close", "code": POLICY if self.status < 500 else INTERNAL})

    async def _say(self, message: Message) -> None:
        if self._over is not None:
            return
        said = _payload(message)
        self.first_byte = self.first_byte or perf_counter_ns()
        self._spoken += 1
        self.bytes_out += len(said) if isinstance(said, bytes) or said.isascii() else len(said.encode())
        grown = self._talk is not None and self._talk.said(said)
        spent = await self._charge() if grown else ()
        await self._send(message)
        if spent:
            await self._stop(spent)

    async def _charge(self) -> tuple[Reading, ...]:
        """Charges what has been told by now, and leaves a row of it; the limits that were overdrawn by it."""
        core, policy, verdict, ruled, talk = self._core, self.policy, self.verdict, self.ruled, self._talk
        assert policy is not None
        assert verdict is not None
        assert ruled is not None
        assert talk is not None
        self._told += 1
        usage = talk.told
        used = used_so_far(verdict.draws, policy.tokens, usage)
        if not used:
            return ()
        now = core.clock.now()
        readings = await core.limits.charge(self.id, used, now)  # nothing gives way before its row is there
        if readings:
            core.journal.append(Used(core.journal.next(), now, self.id, ruled.facts.caller.account, usage))
        return tuple(each for each in readings if not each.ok and not each.shadow)

    async def _stop(self, spent: tuple[Reading, ...]) -> None:
        """Tells the client which limit it was, and closes. To the model server it is a session that has ended."""
        policy = self.policy
        assert policy is not None
        refusal = refusal_of(spent, policy.limits_of(self.caller.plan if self.caller else None))
        self._over = {"type": "websocket.disconnect", "code": NORMAL, "reason": ""}
        self.error = self.error or refusal.code
        self.finished = True
        self._close, self._by = POLICY, "gateway"
        event = event_of(self.vendor, refusal, self.id)
        if event is not None:
            self.bytes_out += len(event)
            await self._send({"type": "websocket.send", "text": event.decode()})
        reason = reason_of(f"{refusal.code}: {refusal.detail}")
        await self._send({"type": "websocket.close", "code": POLICY, "reason": reason})

    async def _closed(self, message: Message) -> None:
        """The app closes: for the model server, or of its own."""
        if self._over is not None:
            return
        ours = message.get("gauger.ours", False)
        if not self.status:  # in place of an accept
            self.status = self.upstream_status = 403
        elif not self._close:
            self._close, self._by = message.get("code", NORMAL), "gateway" if ours else "server"
        self.finished = True
        await self._send({name: value for name, value in message.items() if name != "gauger.ours"})

    def _left(self, message: Message) -> None:
        code = message.get("code", ABNORMAL)
        if self._close:
            return
        fault = message.get("gauger.fault", 0)
        self._close, self._by = fault or code, "gateway" if fault else "client"
        if code != ABNORMAL:
            self.finished = True
        elif self.end is None:
            self.end = "client_abort"
            self.error = self.error or ("bad_message" if fault else "")


def _payload(message: Message) -> str | bytes:
    text: str | None = message.get("text")
    if text is not None:
        return text
    data: bytes = message["bytes"]
    return data


assert SESSION == "realtime"
