"""Shell. The stand-in as an ASGI app: reads a request, finds its route, answers, and remembers what it saw."""

import asyncio
import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from gateway.standin import claude, gemini, gemini_live, openai_realtime
from gateway.standin import openai_text as text
from gateway.standin.answers import Manner, seed_of, tag
from gateway.standin.exchange import Ask, Fail, Reply, Stream, Vendor, refused
from gateway.standin.openai_batches import Batches
from gateway.standin.openai_chat import chat
from gateway.standin.openai_responses import responses, stored
from gateway.standin.sessions import Died, Talk

__all__ = ["Died", "Seen", "StandIn"]

MAX_BODY = 64 * 1024 * 1024  # bytes
MAX_SEEN = 1024 * 1024  # bytes of a body that are remembered as they are
DIES_AFTER = 5  # events

LIVE = re.compile(r"/ws/google\.ai\.generativelanguage\.v1(?:beta|alpha)?\.GenerativeService\.BidiGenerateContent")
REALTIME = re.compile(r"/v1/realtime|/openai(?:/v1)?/realtime")

Handler = Callable[[Ask], Reply | Stream]
Route = tuple[str, re.Pattern[str], Handler]


class Seen(msgspec.Struct, frozen=True):
    """A request as the stand-in got it. `body` is None where it is larger than 1 MiB; `sha256` is always its digest."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
    sha256: str
    size: int


class StandIn:
    """A model server for tests and demonstrations. `record` is how many requests `seen` keeps.

    `gone` counts the answers whose client left before they were whole.
    """

    def __init__(self, record: int = 0) -> None:
        self.seen: deque[Seen] = deque(maxlen=max(0, record))
        self.gone = 0
        workers: dict[str, Handler] = {
            "/v1/chat/completions": chat,
            "/v1/completions": text.completions,
            "/v1/embeddings": text.embeddings,
            "/v1/responses": responses,
        }
        files = Batches(workers)
        batches = claude.MessageBatches()
        self._models = {
            "openai": [_route("GET", r"/v1/models", text.models), _route("GET", r"/v1/models/(.+)", text.model)],
            "anthropic": [_route("GET", r"/v1/models", claude.models), _route("GET", r"/v1/models/(.+)", claude.model)],
            "gemini": [_route("GET", r"/v1/models", gemini.models), _route("GET", r"/v1/models/(.+)", gemini.model)],
        }
        self._routes = [
            *(_route("POST", re.escape(path), worker) for path, worker in workers.items()),
            _route("GET", r"/v1/responses/([^/]+)", stored),
            _route("DELETE", r"/v1/responses/([^/]+)", stored),
            _route("POST", r"/v1/files", files.upload),
            _route("GET", r"/v1/files", files.files),
            _route("GET", r"/v1/files/([^/]+)", files.file),
            _route("DELETE", r"/v1/files/([^/]+)", files.remove),
            _route("GET", r"/v1/files/([^/]+)/content", files.content),
            _route("POST", r"/v1/batches", files.create),
            _route("GET", r"/v1/batches", files.batches),
            _route("GET", r"/v1/batches/([^/]+)", files.batch),
            _route("POST", r"/v1/batches/([^/]+)/cancel", files.batch),
            _route("POST", r"/v1/messages", claude.messages),
            _route("POST", r"/v1/messages/count_tokens", claude.count_tokens),
            _route("POST", r"/v1/messages/batches", batches.create),
            _route("GET", r"/v1/messages/batches", batches.all),
            _route("GET", r"/v1/messages/batches/([^/]+)", batches.one),
            _route("DELETE", r"/v1/messages/batches/([^/]+)", batches.remove),
            _route("POST", r"/v1/messages/batches/([^/]+)/cancel", batches.one),
            _route("GET", r"/v1/messages/batches/([^/]+)/results", batches.results),
            _route("GET", r"/v1beta/models", gemini.models),
            _route("GET", r"/v1beta/models/([^:]+)", gemini.model),
            _route("POST", r"/(?:v1|v1beta)/models/(.+):generateContent", gemini.generate),
            _route("POST", r"/(?:v1|v1beta)/models/(.+):streamGenerateContent", gemini.stream),
            _route("POST", r"/(?:v1|v1beta)/models/(.+):embedContent", gemini.embed),
            _route("POST", r"/(?:v1|v1beta)/models/(.+):batchEmbedContents", gemini.batch_embed),
            _route("POST", r"/(?:v1|v1beta)/models/(.+):countTokens", gemini.count_tokens),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Died, after a part of the answer, for a model that is told to die."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._session(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            self.gone += 1
            return
        self._remember(scope, body)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        seed = seed_of(scope["path"].encode(errors="surrogateescape"), body)
        ask = Ask(scope["method"], scope["path"], query, headers, body, seed)
        vendor = _vendor(ask)
        try:
            if len(body) > MAX_BODY:
                raise Fail(413, "The request is larger than the server is able to process.", "request_too_large")
            answer = self._answer(ask, vendor)
        except Fail as fail:
            answer = refused(vendor, fail, seed)
        name = b"request-id" if vendor == "anthropic" else b"x-request-id"
        request = [(name, f"req_{tag(seed, 'request')}".encode())]
        if isinstance(answer, Reply):
            await self._whole(answer, request, receive, send)
        else:
            await self._streamed(answer, request, receive, send)

    async def _session(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket: refused by a plain answer, or a session of one of the two realtime dialects."""
        await receive()
        self._remember({**scope, "method": "WEBSOCKET"}, b"")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        seed = seed_of(scope["path"].encode(), scope["query_string"])
        ask = Ask("WEBSOCKET", scope["path"], query, headers, b"", seed)
        live = LIVE.fullmatch(ask.path) is not None
        talk = Talk(scope, receive, send, binary=live)
        request = [(b"x-request-id", f"req_{tag(seed, 'request')}".encode())]
        hidden = [each for each in talk.offered if each.startswith("openai-insecure-api-key.")]
        if hidden:
            headers.setdefault("authorization", "Bearer " + hidden[0].partition(".")[2])
        try:
            self._key(ask)
            if not live and REALTIME.fullmatch(ask.path) is None:
                raise Fail(404, f"Unknown request URL: {ask.path}.", "unknown_url")
            if not live:
                openai_realtime.opened(ask)
        except Fail as fail:
            await talk.refuse(refused("gemini" if live else "openai", fail, seed), request)
            return
        await talk.accept(request, "realtime" if "realtime" in talk.offered else None)
        await (gemini_live.serve(ask, talk) if live else openai_realtime.serve(ask, talk))

    def _answer(self, ask: Ask, vendor: Vendor) -> Reply | Stream:
        self._key(ask)
        known = False
        for method, path, handler in self._models[vendor] + self._routes:
            found = path.fullmatch(ask.path)
            if found and method == ask.method:
                return handler(msgspec.structs.replace(ask, args=found.groups()))
            known = known or found is not None
        if known:
            raise Fail(405, "Method not allowed.", "method_not_supported")
        raise Fail(404, f"Unknown request URL: {ask.method} {ask.path}.", "unknown_url")

    @staticmethod
    def _key(ask: Ask) -> None:
        """Fails where the key is a wrong one."""
        key = ask.headers.get("authorization", "").removeprefix("Bearer ") or next(
            (ask.headers[name] for name in ("x-api-key", "x-goog-api-key", "api-key") if name in ask.headers),
            ask.query.get("key", ""),
        )
        if key.startswith("bad-"):
            raise Fail(401, "Incorrect API key provided.", "invalid_api_key")

    def _remember(self, scope: Scope, body: bytes) -> None:
        if not self.seen.maxlen:
            return
        query = scope["query_string"]
        target = (scope.get("raw_path") or scope["path"].encode()) + (b"?" + query if query else b"")
        kept = body if len(body) <= MAX_SEEN else None
        digest = hashlib.sha256(body).hexdigest()
        self.seen.append(Seen(scope["method"], target, list(scope["headers"]), kept, digest, len(body)))

    async def _whole(self, reply: Reply, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send) -> None:
        if reply.manner.delay:
            async with _Leaving(receive) as leaving:
                if await leaving.within(reply.manner.delay):
                    self.gone += 1
                    return
        extra = [(name.encode(), value.encode()) for name, value in reply.headers]
        length = (b"content-length", b"%d" % len(reply.body))
        await _start(send, reply.status, [(b"content-type", reply.kind.encode()), length, *extra, *headers])
        if reply.manner.die:
            half = reply.body[: len(reply.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            raise Died("the model died, as its name says")
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})

    async def _streamed(self, stream: Stream, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send) -> None:
        kind = (b"content-type", stream.kind.encode())
        await _start(send, 200, [kind, (b"cache-control", b"no-cache"), *headers])
        async with _Leaving(receive) as leaving:
            for event in _mortal(stream.events, stream.manner):
                if await leaving.within(stream.manner.delay):
                    self.gone += 1
                    return
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Leaving:
    """Watches for the client's leave while an answer is under way: a real model stops then, too."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def __aenter__(self) -> "_Leaving":
        self._task = asyncio.ensure_future(self._gone())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def within(self, seconds: float) -> bool:
        """Whether the client has left, now or in this time."""
        if seconds and not self._task.done():
            await asyncio.wait([self._task], timeout=seconds)
        return self._task.done()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _mortal(events: Iterator[bytes], manner: Manner) -> Iterator[bytes]:
    for index, event in enumerate(events):
        if manner.die and index == DIES_AFTER:
            raise Died("the model died, as its name says")
        yield event


def _route(method: str, path: str, handler: Handler) -> Route:
    return method, re.compile(path), handler


def _vendor(ask: Ask) -> Vendor:
    """Whose words an answer is in. All three list models on `/v1/models`: headers and the place of the key tell."""
    if ask.path.startswith("/v1beta/") or (ask.method == "POST" and ask.path.startswith("/v1/models/")):
        return "gemini"
    if ask.path.startswith("/v1/messages"):
        return "anthropic"
    if ask.path == "/v1/models" or ask.path.startswith("/v1/models/"):
        if "anthropic-version" in ask.headers:
            return "anthropic"
        if "x-goog-api-key" in ask.headers or "key" in ask.query:
            return "gemini"
    return "openai"


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _read(receive: Receive) -> bytes | None:
    """The body, cut a little above the bound; None where the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        if len(body) <= MAX_BODY:
            body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
