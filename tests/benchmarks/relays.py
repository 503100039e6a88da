"""The same raw ASGI relay over one upstream client or another, for bench_upstream.py, which starts it.

    python tests/benchmarks/relays.py CLIENT PORT MODEL_PORT [FOLDER_OF_PACKAGES]

Requests and answers pass as the gateway's own relay has them pass: fields without the hop-by-hop ones, bodies block by
block. What a library would do besides (decompress, follow, keep cookies) is turned off where it can be.
"""

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
Fields = list[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Ask = Callable[
    [Scope, Fields, bytes], "AbstractAsyncContextManager[tuple[int, Fields, Callable[[], Awaitable[bytes]]]]"
]
"""Sends a request; gives status, fields, and what reads the next block of the body, empty at its end."""

HOP = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host"})
HOPS = frozenset(name.decode() for name in HOP)
ANSWER = b"x" * 1500


def none(_: int) -> Ask:
    """Nobody is asked: what the server and the relay cost by themselves."""

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        left = [ANSWER]

        async def read() -> bytes:
            return left.pop() if left else b""

        yield 200, [(b"content-length", b"1500")], read

    return ask


def _ours(upstream: Any) -> Ask:
    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        response = await upstream.send(scope["method"].encode(), scope["raw_path"], fields, body)

        async def read() -> bytes:
            return await response.read() or b""

        try:
            yield response.status, response.headers, read
        finally:
            await response.aclose()

    return ask


def _settings(**given: Any) -> Any:
    from gateway.settings import Settings

    return Settings(pool_size=4096, **given)


def h1(model: int) -> Ask:
    """The gateway's own client."""
    from gateway.edge.transports import make_upstream

    return _ours(make_upstream(f"http://127.0.0.1:{model}", _settings()))


def httpx(model: int) -> Ask:
    """The gateway over httpx's transports, one for each connection."""
    from gateway.edge.transports import make_upstream

    return _ours(make_upstream(f"http://127.0.0.1:{model}", _settings(transport="httpx")))


def _transport(library: str, model: int) -> Ask:
    """A transport called directly, the same for all requests, as the library means it."""
    lib = importlib.import_module(library)
    limits = lib.Limits(max_connections=None, max_keepalive_connections=None)
    transport = lib.AsyncHTTPTransport(limits=limits, trust_env=False)
    url = lib.URL(f"http://127.0.0.1:{model}/v1/chat/completions")
    extensions = {"timeout": {"connect": 5.0, "read": 60.0, "write": 60.0, "pool": 5.0}}

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        request = lib.Request(scope["method"], url, headers=fields, content=body, extensions=extensions)
        response = await transport.handle_async_request(request)
        blocks = aiter(response.stream)

        async def read() -> bytes:
            return await anext(blocks, b"")

        try:
            yield response.status_code, [(name.lower(), value) for name, value in response.headers.raw], read
        finally:
            await response.stream.aclose()

    return ask


def httpx_shared(model: int) -> Ask:
    """httpx's transport with its own pool."""
    return _transport("httpx", model)


def httpx2(model: int) -> Ask:
    """The same of its successor."""
    return _transport("httpx2", model)


def aiohttp(model: int) -> Ask:
    """aiohttp's session: its URL made once, no cookies, no redirects, no timers."""
    lib: Any = importlib.import_module("aiohttp")
    url = importlib.import_module("yarl").URL(f"http://127.0.0.1:{model}/v1/chat/completions", encoded=True)
    many = importlib.import_module("multidict").CIMultiDict
    sessions: list[Any] = []

    def session() -> Any:
        if not sessions:
            made = lib.ClientSession(
                auto_decompress=False,
                connector=lib.TCPConnector(limit=0, keepalive_timeout=60),
                cookie_jar=lib.DummyCookieJar(),
                timeout=lib.ClientTimeout(total=None, ceil_threshold=1e9),
                read_bufsize=2**18,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
            sessions.append(made)
        return sessions[0]

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        given = many((name.decode("latin-1"), value.decode("latin-1")) for name, value in fields)
        response = await session()._request(scope["method"], url, headers=given, data=body, allow_redirects=False)
        try:
            yield response.status, [(name.lower(), v) for name, v in response.raw_headers], response.content.readany
        finally:
            response.release()

    return ask


def aiohttp_low(model: int) -> Ask:
    """aiohttp's protocol and parser without its session: connections are kept here."""
    handler = importlib.import_module("aiohttp.client_proto").ResponseHandler
    idle: list[Any] = []
    host = b"host: 127.0.0.1:%d\r\n" % model

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        loop = asyncio.get_running_loop()
        lines = b"".join(b"%b: %b\r\n" % pair for pair in fields)
        head = b"%b %b HTTP/1.1\r\n%b%b\r\n" % (scope["method"].encode(), scope["raw_path"], host, lines)
        protocol = None
        while idle and protocol is None:
            protocol = idle.pop()
            protocol = protocol if protocol.is_connected() and not protocol.should_close else None
        if protocol is None:
            _, protocol = await loop.create_connection(lambda: handler(loop), "127.0.0.1", model)
        protocol.set_response_params(
            timer=None,
            skip_payload=False,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=None,
            read_bufsize=2**18,
        )
        protocol.transport.writelines((head, body))
        message, content = await protocol.read()
        try:
            yield message.code, [(name.lower(), value) for name, value in message.raw_headers], content.readany
        finally:
            if content.at_eof() and not message.should_close and not protocol.should_close:
                idle.append(protocol)
            else:
                protocol.close()

    return ask


def pyreqwest(model: int) -> Ask:
    """The Rust client reqwest, by pyreqwest. Its buffer is none, or it would hold back the head of a stream."""
    builder = importlib.import_module("pyreqwest.client").ClientBuilder()
    client = builder.gzip(False).deflate(False).brotli(False).zstd(False).build()
    url = f"http://127.0.0.1:{model}/v1/chat/completions"

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        request = client.request(scope["method"], url).headers(_words(fields)).body_bytes(body)
        async with request.streamed_read_buffer_limit(0).build_streamed() as response:

            async def read() -> bytes:
                block = await response.body_reader.read_chunk()
                return b"" if block is None else bytes(block)

            yield response.status, _bytes(response.headers), read

    return ask


def pyqwest(model: int) -> Ask:
    """The same, by pyqwest."""
    lib: Any = importlib.import_module("pyqwest")
    plain = {"enable_gzip": False, "enable_brotli": False, "enable_zstd": False, "follow_redirects": False}
    transport = lib.HTTPTransport(
        http_version=lib.HTTPVersion.HTTP1, pool_max_idle_per_host=1024, enable_otel=False, **plain
    )
    client = lib.Client(transport)
    url = f"http://127.0.0.1:{model}/v1/chat/completions"

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        async with client.stream(scope["method"], url, headers=_words(fields), content=body) as response:
            blocks = aiter(response.content)

            async def read() -> bytes:
                return bytes(await anext(blocks, b""))

            yield response.status, _bytes(response.headers), read

    return ask


def aiosonic(model: int) -> Ask:
    """aiosonic, in pure Python."""
    lib: Any = importlib.import_module("aiosonic")
    pools: Any = importlib.import_module("aiosonic.pools")
    connectors: Any = importlib.import_module("aiosonic.connectors")
    url = f"http://127.0.0.1:{model}/v1/chat/completions"
    clients: list[Any] = []

    def client() -> Any:
        if not clients:
            size = pools.PoolConfig(size=512, max_conn_idle_ms=60_000)
            clients.append(lib.HTTPClient(connector=connectors.TCPConnector(pool_configs={":default": size})))
        return clients[0]

    @asynccontextmanager
    async def ask(scope: Scope, fields: Fields, body: bytes) -> Any:
        response = await client().request(url, scope["method"], headers=dict(_words(fields)), data=body)
        left = [await response.content()]  # its iterator is for chunked answers alone

        async def read() -> bytes:
            return left.pop() if left else b""

        yield response.status_code, [(name.encode(), v.encode()) for name, v in response.raw_headers], read

    return ask


def _words(fields: Fields) -> list[tuple[str, str]]:
    """As text, without the length, which these libraries write themselves."""
    return [(name.decode(), value.decode("latin-1")) for name, value in fields if name != b"content-length"]


def _bytes(headers: Any) -> Fields:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


CLIENTS: dict[str, Callable[[int], Ask]] = {
    "none": none,
    "h1": h1,
    "aiohttp-low": aiohttp_low,
    "aiohttp": aiohttp,
    "pyreqwest": pyreqwest,
    "pyqwest": pyqwest,
    "aiosonic": aiosonic,
    "httpx": httpx,
    "httpx2": httpx2,
    "httpx-shared": httpx_shared,
}


def relay(make: Callable[[int], Ask], model: int) -> Any:
    """The ASGI app."""
    made: list[Ask] = []

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        if not made:
            made.append(make(model))
        fields = [pair for pair in scope["headers"] if pair[0] not in HOP]
        async with made[0](scope, fields, body) as (status, headers, read):
            kept = [pair for pair in headers if pair[0] not in HOP]
            await send({"type": "http.response.start", "status": status, "headers": kept})
            while block := await read():
                await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def main() -> None:
    import uvicorn

    sys.path.insert(0, str(ROOT))
    name, port, model, *more = sys.argv[1:]
    sys.path.extend(more)  # behind our own packages, so that all contestants have the same of these
    app = relay(CLIENTS[name], int(model))
    options: dict[str, Any] = {"http": "httptools", "loop": "uvloop", "lifespan": "off", "ws": "none"}
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False, **options)


if __name__ == "__main__":
    main()
