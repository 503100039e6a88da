"""One connection below ASGI: deadlines, bounds, refusals and broken answers, on real sockets."""

import asyncio
import contextlib
import json
import logging
import socket
from typing import Any

import pytest

from gateway.edge.exchange import Aborted
from gateway.edge.server import Bounds, make_server
from gateway.errors import Refusal
from tests.conformance.rig import Reply, talk

SHORT = Bounds(head_timeout=0.2, body_idle_timeout=0.2, write_timeout=0.3, keepalive_timeout=0.3, linger=0.3)
HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
CLOSE = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"


class App:
    """Answers with the length of the body, and remembers scopes and what `receive` said at last."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.scopes.append(scope)
        await self.handle(scope, receive, send)

    async def body(self, receive: Any) -> bytes | None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                return None
            body += bytes(message["body"])
            if not message["more_body"]:
                return body

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        body = await self.body(receive)
        if body is not None:
            await answer(send, b"%d" % len(body))


async def answer(send: Any, body: bytes, status: int = 200, length: bool = True, extra: Any = ()) -> None:
    headers = [(b"content-length", b"%d" % len(body))] if length else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *extra]})
    await send({"type": "http.response.body", "body": body})


class Streaming(App):
    """Sends pieces until the client has gone."""

    piece = b"x" * 1000
    count = 1_000_000

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await self.body(receive)
        watch = asyncio.create_task(self.body(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(self.count):
            if self.gone.is_set():
                break
            await send({"type": "http.response.body", "body": self.piece, "more_body": True})
            await asyncio.sleep(0)
        await watch


def serving(app: Any, bounds: Bounds = SHORT, **given: Any) -> contextlib.AbstractAsyncContextManager[int]:
    return make_server(app, "127.0.0.1", 0, bounds, **given).listening()


async def ask(port: int, *pieces: bytes, **given: Any) -> Reply:
    return await talk(("127.0.0.1", port), pieces, **given)


def code_of(reply: Reply) -> str:
    return str(json.loads(reply.bodies[-1])["error"]["code"])


def head(*fields: bytes, target: bytes = b"/", method: bytes = b"POST", version: bytes = b"1.1") -> bytes:
    return b"%s %s HTTP/%s\r\n%s%s\r\n" % (method, target, version, HOST, b"".join(f + b"\r\n" for f in fields))


async def test_a_head_that_does_not_end_is_refused_in_time() -> None:
    async with serving(app := App()) as port:
        reply = await ask(port, b"GET / HTTP/1.1\r\nHost: a\r\nX-")
    assert (reply.status, code_of(reply), reply.closed) == (408, "head_timeout", True)
    assert app.scopes == []


async def test_bytes_do_not_renew_the_deadline_of_a_head() -> None:
    drip = [b"GET / HTTP/1.1\r\nHost: a\r\n", *[b"X-A: a\r\n"] * 90]  # 10 ms apart: four times the deadline
    async with serving(App()) as port:
        reply = await ask(port, *drip, b"\r\n")
    assert code_of(reply) == "head_timeout"


async def test_a_silent_connection_is_closed_without_a_word() -> None:
    async with serving(App()) as port:
        fresh = await ask(port)
        used = await ask(port, GET, quiet=3.0)
    assert (fresh.raw, fresh.closed) == (b"", True)
    assert (used.statuses, used.closed) == ([200], True)


async def test_a_body_that_stops_is_refused_and_the_app_hears_of_it() -> None:
    async with serving(app := App()) as port:
        reply = await ask(port, head(b"Content-Length: 9") + b"abc")
        await asyncio.wait_for(app.gone.wait(), 5)
    assert (reply.status, code_of(reply), reply.closed) == (408, "body_timeout", True)


async def test_a_slow_body_that_keeps_moving_is_read() -> None:
    async with serving(App()) as port:
        reply = await ask(port, head(b"Content-Length: 60"), *[b"a"] * 60)
    assert (reply.statuses, reply.bodies) == ([200], [b"60"])


async def test_time_in_which_we_do_not_read_is_not_the_clients() -> None:
    class Busy(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(SHORT.body_idle_timeout * 3)
            await super().handle(scope, receive, send)

    size = 4_000_000
    async with serving(Busy()) as port:
        reply = await ask(port, head(b"Content-Length: %d" % size) + b"a" * size)
        waited = await ask(port, head(b"Content-Length: 3", b"Expect: 100-continue"), answers=1, patience=0.4)
    assert (reply.statuses, reply.bodies) == ([200], [b"%d" % size])
    assert waited.statuses == []  # the client was not asked to send yet, so it isn't late


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    async with serving(app := Streaming()) as port:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(GET)
            await asyncio.wait_for(app.gone.wait(), 10)


@pytest.mark.parametrize("how", ["fin", "reset"])
async def test_the_app_hears_that_the_client_left_while_it_streams(how: str) -> None:
    class Trickle(Streaming):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await self.body(receive)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await self.body(receive)

    async with serving(app := Trickle()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        if how == "fin":
            writer.write_eof()
        else:
            writer.transport.abort()
        await asyncio.wait_for(app.gone.wait(), 5)
        writer.close()


async def test_the_first_of_pipelined_requests_hears_that_the_client_left() -> None:
    async with serving(app := Streaming(), Bounds()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET + GET)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        await asyncio.wait_for(app.gone.wait(), 5)
    assert len(app.scopes) == 1


@pytest.mark.parametrize(
    "sent, status, code",
    [
        (head(b"X-A: " + b"a" * 40_000), 431, "head_too_large"),
        (head(*[b"X-A: a"] * 101), 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 400_000, 431, "head_too_large"),
        (head(target=b"/" + b"a" * 17_000), 414, "target_too_long"),
        (head(b"Upgrade: h2c", b"Connection: Upgrade", b"Content-Length: 1") + b"a", 501, "unsupported_upgrade"),
        (head(b"Upgrade: websocket", b"Connection: Upgrade", method=b"GET"), 426, "websocket_version"),
        (head(b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 1") + b"a", 400, "invalid_upgrade"),
        (head(b"Upgrade: websocket", method=b"GET"), 400, "invalid_upgrade"),
        (head(b"Upgrade: websocket, h2c", b"Connection: Upgrade", method=b"GET"), 501, "unsupported_upgrade"),
        (head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 400, "invalid_coding"),
        (head(b"Transfer-Encoding: chunked", version=b"1.0") + b"0\r\n\r\n", 400, "invalid_coding"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "missing_host"),
        (b"GET /\r\n\r\n", 505, "unsupported_version"),
        (head(target=b"/a#b"), 400, "invalid_target"),
        (head(target=b"http://other/a"), 400, "invalid_target"),
        (head(b"Content-Length: 2, 2"), 400, "malformed"),
        (head(b"Transfer-Encoding: chunked") + b"0\r\nX-A: " + b"a" * 400_000, 400, "head_too_large"),
    ],
)
async def test_what_asgi_can_not_see_is_refused_before_the_app_answers(sent: bytes, status: int, code: str) -> None:
    refused: list[Refusal] = []
    bounds = Bounds(head_timeout=2, body_idle_timeout=2, linger=0.3)
    async with serving(App(), bounds, on_refusal=refused.append) as port:
        reply = await ask(port, sent, quiet=0.5)
    assert (code_of(reply), reply.closed) == (code, True)
    assert reply.status == status or code == "head_too_large"
    assert len(reply.statuses) == 1
    assert b"connection: close" in reply.raw
    assert [refusal.code for refusal in refused] == [code]


async def test_trailers_are_not_added_to_the_head_and_spaces_are_trimmed() -> None:
    async with serving(app := App()) as port:
        await ask(port, head(b"Transfer-Encoding: chunked", b"X-A: b \t") + b"1\r\na\r\n0\r\nX-Api-Key: k\r\n\r\n")
    assert app.scopes[0]["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked"), (b"x-a", b"b")]


async def test_the_scope_holds_the_target_as_it_was_sent() -> None:
    async with serving(app := App()) as port:
        await ask(port, head(target=b"//a%41/;b?c=%41?d", method=b"GET"))
    scope = app.scopes[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("//aA/;b", b"//a%41/;b", b"c=%41?d")


async def test_a_bad_request_behind_a_good_one_waits_for_its_turn() -> None:
    class Slow(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(0.05)
            await super().handle(scope, receive, send)

    async with serving(Slow()) as port:
        garbage = await ask(port, GET + GET + b"nonsense\r\n\r\n", answers=3)
        late = await ask(port, GET + b"GET / HTTP/1.1\r\nX-", answers=2)
        broken = await ask(port, GET + head(b"Transfer-Encoding: chunked") + b"zz\r\n", answers=2)
        flood = await ask(port, GET * 100, answers=18, patience=3)
    assert garbage.statuses == [200, 200, 400]
    assert late.statuses == [200, 408]
    assert broken.statuses == [200, 400]
    assert flood.statuses == [200] * 17 + [400]


async def test_an_http10_client_gets_no_chunks() -> None:
    class Unsized(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
            await send({"type": "http.response.body", "body": b"c"})

    async with serving(Unsized()) as port:
        reply = await ask(port, b"GET / HTTP/1.0\r\n\r\n")
    assert reply.raw.partition(b"\r\n\r\n")[2] == b"abc"
    assert b"transfer-encoding" not in reply.raw
    assert reply.closed


async def test_a_304_may_describe_a_body_that_it_does_not_have() -> None:
    class NotModified(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"", 304, False, [(b"content-length", b"99")])

    async with serving(NotModified()) as port:
        reply = await ask(port, GET + GET, answers=2)
    assert reply.statuses == [304, 304]


def ends_badly(how: str) -> App:
    class Broken(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
            if how == "extension":
                scope["extensions"]["gauger.abort"]()
            elif how == "exception":
                raise Aborted("the upstream died")
            elif how == "bug":
                raise ValueError("Bearer sk-secret")

    return Broken()


@pytest.mark.parametrize("how, lines", [("extension", 0), ("exception", 0), ("bug", 1), ("return", 1)])
async def test_a_broken_answer_has_no_clean_end(how: str, lines: int, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ends_badly(how)) as port:
        reply = await ask(port, GET)
        old = await ask(port, b"GET / HTTP/1.0\r\n\r\n")
    assert reply.closed
    assert reply.bodies == [b"part"]
    assert not reply.whole
    assert old.closed
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 2 * lines


async def test_an_app_that_fails_is_answered_for_and_its_words_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            raise ValueError("Bearer sk-secret")

    async with serving(Failing()) as port:
        reply = await ask(port, GET)
    assert (reply.status, code_of(reply), reply.closed) == (500, "internal_error", True)
    assert "ValueError" in caplog.text
    assert "sk-secret" not in caplog.text + reply.raw.decode()


async def test_an_early_refusal_of_a_large_body_is_seen_and_not_a_reset() -> None:
    class TooLarge(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"no", 413, extra=[(b"connection", b"close")])

    def blocking(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(head(b"Content-Length: 20000000"))
            for _ in range(20):
                sock.sendall(b"a" * 1_000_000)
            return sock.recv(65536)

    async with serving(TooLarge(), Bounds()) as port:
        raw = await asyncio.to_thread(blocking, port)
    assert raw.startswith(b"HTTP/1.1 413")


async def test_the_rest_of_an_answered_body_is_read_but_not_for_ever() -> None:
    class Early(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"no", 403)

    async with serving(Early()) as port:
        endless = await ask(port, head(b"Content-Length: 1000"), *[b"a"] * 90, quiet=3.0)
        ended = await ask(port, head(b"Content-Length: 3"), b"a", b"bc", GET, answers=2, quiet=3.0)
    assert (endless.statuses, endless.closed) == ([403], True)
    assert (ended.statuses, ended.closed) == ([403, 403], True)


async def test_a_body_is_only_asked_for_when_the_app_wants_it() -> None:
    class Refusing(App):
        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await answer(send, b"no", 403)

    expecting = head(b"Content-Length: 3", b"Expect: 100-continue")
    async with serving(App()) as port:
        wanted = await ask(port, expecting, b"abc")
    async with serving(Refusing()) as port:
        unwanted = await ask(port, expecting)
    assert wanted.raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
    assert unwanted.raw.startswith(b"HTTP/1.1 403")
    assert b"connection: close" in unwanted.raw


async def test_the_answer_has_no_fields_of_the_servers_own() -> None:
    async with serving(App()) as port:
        reply = await ask(port, GET)
    assert reply.raw == b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0"


async def test_the_bound_of_connections_refuses_the_next() -> None:
    async with serving(App(), Bounds(connections=1)) as port:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        reply = await ask(port)
        first.close()
    assert (reply.status, code_of(reply), reply.closed) == (503, "too_many_connections", True)
