"""Shell. The HTTP server under the ASGI app: uvicorn with our protocol, several listeners in one event loop."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import uvicorn

from gateway.errors import Mistake, Refusal
from gateway.settings import Settings

__all__ = [
    "Accept",
    "Acceptor",
    "Bounds",
    "Config",
    "Held",
    "Server",
    "bounds_of",
    "listen",
    "make_server",
    "run",
    "url_of",
]

LAST_WORDS = 5.0
"""Seconds that cancelled requests get to settle before the app is told to shut down."""

log = logging.getLogger(__name__)


class Bounds(msgspec.Struct, frozen=True):
    """What one client connection may take; seconds and bytes. Sources: the defaults of the servers named."""

    head_timeout: float = 10.0  # accept or first byte to end of head, not renewed (Apache: 20-40; nginx: 60)
    body_idle_timeout: float = 10.0  # without a byte of the body while we read (nginx client_body_timeout: 60)
    write_timeout: float = 60.0  # without a byte taken by a client that has data waiting (nginx send_timeout: 60)
    keepalive_timeout: float = 75.0  # between requests (nginx keepalive_timeout: 75)
    linger: float = 5.0  # reading on after a last answer, so that it isn't lost (nginx lingering_timeout: 5)
    head_bytes: int = 32_768  # all header fields (nginx large_client_header_buffers: 4 x 8 KiB)
    head_fields: int = 100  # header fields (Envoy max_headers_count, Apache LimitRequestFields: 100)
    target_bytes: int = 16_384  # path and query (nginx: 8 KiB; keys and filters in queries need more)
    connections: int = 10_000  # at once (HAProxy and Envoy leave it to the operator; each takes a descriptor)
    backlog: int = 2048  # not yet accepted (uvicorn's own)
    message_bytes: int = 16_777_216  # a message of a WebSocket (OpenAI takes 15 MiB of sound in one; uvicorn: 16 MiB)
    message_budget: int = 268_435_456  # all messages of all WebSockets that wait or are not whole
    ping: float = 20.0  # without a byte of a WebSocket, then a ping; as long again, and it is dead (uvicorn: 20)
    tls_cert: Path | None = None  # PEM chain
    tls_key: Path | None = None


def bounds_of(settings: Settings, *, tls: bool = True) -> Bounds:
    """The bounds that the settings say, for a port with or without their TLS."""
    return Bounds(
        head_timeout=settings.head_timeout,
        body_idle_timeout=settings.body_idle_timeout,
        write_timeout=settings.write_timeout,
        keepalive_timeout=settings.keepalive_timeout,
        message_bytes=settings.message_bytes,
        message_budget=settings.body_budget,
        tls_cert=settings.tls_cert if tls else None,
        tls_key=settings.tls_key if tls else None,
    )


class Held:
    """Bytes that all sessions of a server hold of what their clients have sent."""

    __slots__ = ("most", "now")

    def __init__(self, most: int) -> None:
        self.most = most
        self.now = 0


class Config(uvicorn.Config):
    """uvicorn's configuration and what our protocol needs beside it."""

    bounds: Bounds = Bounds()
    held: Held
    on_refusal: Callable[[Refusal], None] | None = None


class Acceptor(Protocol):
    """What accepts connections from one socket until it is closed, and then closes that too."""

    def close(self) -> None: ...


Accept = Callable[[socket.socket, Callable[[], asyncio.Protocol], ssl.SSLContext | None, Callable[[], int]], Acceptor]
"""Makes one: of a socket, the protocol of its connections, their TLS, and how many there are now."""


class Server(uvicorn.Server):
    """One listener. Handles no signals, never exits the process, and drains without polling.

    `url` is known once it is started; port 0 takes a free one.
    """

    config: Config
    drain_timeout: float = 30.0
    sockets: Sequence[socket.socket] = ()  # what it listens on; none = the address of its configuration
    accept: Accept | None = None  # where others accept from the same sockets; None = the event loop's own server
    url: str = ""
    port: int = 0

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals belong to the process, which may run several servers."""
        yield

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Listens inside the block, which gets the port, and drains at its end."""
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup()
        try:
            yield self.port
        finally:
            await self.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises Mistake where uvicorn would exit the process."""
        sockets = sockets or list(self.sockets) or listen(self.config.host, self.config.port, self.config.backlog)
        try:
            await (super().startup(sockets) if self.accept is None else self._accepting(self.accept, sockets))
        except SystemExit:
            for sock in sockets:
                sock.close()
            raise Mistake("the application failed to start", hint="its own log lines say why") from None
        self.port = sockets[0].getsockname()[1]
        self.url = url_of(self.config.host, self.port, tls=self.config.is_ssl)

    async def _accepting(self, accept: Accept, sockets: Sequence[socket.socket]) -> None:
        config, state = self.config, self.server_state

        def protocol() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            return cast("asyncio.Protocol", made(config=config, server_state=state, app_state=self.lifespan.state))

        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit
        made = [accept(sock, protocol, config.ssl, lambda: len(state.connections)) for sock in sockets]
        self.servers = cast("list[asyncio.Server]", made)  # which are closed, and no more
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts nothing more, lets running requests end within `drain_timeout`, then cancels what is left."""
        state = self.server_state
        for listener in self.servers:
            listener.close()
        for connection in list(state.connections):
            connection.shutdown()
        loop = asyncio.get_running_loop()
        end = loop.time() + self.drain_timeout
        while state.tasks and (left := end - loop.time()) > 0:
            await asyncio.wait(list(state.tasks), timeout=left)
        if state.tasks:
            log.warning("%d requests did not end in time and are cut off", len(state.tasks))
            for task in list(state.tasks):
                task.cancel()
            await asyncio.wait(list(state.tasks), timeout=LAST_WORDS)
        await asyncio.sleep(0)  # the last answers leave for the transports
        for connection in list(state.connections):
            connection.transport.close()
        await self.lifespan.shutdown()


def make_server(
    app: Any,
    host: str = "127.0.0.1",
    port: int = 0,
    bounds: Bounds | None = None,
    *,
    lifespan: bool = True,
    on_refusal: Callable[[Refusal], None] | None = None,
    sockets: Sequence[socket.socket] = (),
) -> Server:
    """A server of one ASGI 3 app on one address, or on sockets that listen already, which it then owns.

    `on_refusal` hears of every refusal that the app does not see.

    Raises Mistake without httptools: uvicorn would silently fall back to a parser that lets requests be smuggled.
    """
    try:
        from gateway.edge.protocol import GaugerHttpProtocol
    except ImportError as error:
        raise Mistake(
            f"the strict HTTP parser can't be loaded: {error.name} is missing",
            place="httptools",
            hint="pip install httptools uvicorn",
        ) from None
    bounds = bounds or Bounds()
    config = Config(
        app,
        host=host,
        port=port,
        http=GaugerHttpProtocol,
        ws="none",
        interface="asgi3",
        lifespan="auto" if lifespan else "off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who the client is, is decided by identity.py
        server_header=False,
        date_header=False,
        backlog=bounds.backlog,
        ssl_certfile=bounds.tls_cert,
        ssl_keyfile=bounds.tls_key,
    )
    config.bounds = bounds
    config.held = Held(bounds.message_budget)
    config.on_refusal = on_refusal
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise Mistake(f"the TLS certificate or key can't be read: {error.strerror}", place="tls_cert") from None
    server = Server(config)
    server.sockets = sockets
    return server


async def run(
    servers: Sequence[Server],
    stop: asyncio.Event,
    *,
    started: Callable[[], None] | None = None,
    settings: Settings | None = None,
    drain_timeout: float = 30.0,
    drain_delay: float = 0.0,
) -> None:
    """Serves until `stop` is set, then drains, the first server first. `started` is called when all listen.

    `settings` overrides the two durations (seconds). Raises Mistake when one can't start, after stopping the others.
    """
    if settings is not None:
        drain_timeout, drain_delay = settings.drain_timeout, settings.drain_delay
    async with contextlib.AsyncExitStack() as stack:
        for server in reversed(servers):
            server.drain_timeout = drain_timeout
            await stack.enter_async_context(server.listening())
        if started is not None:
            started()
        await stop.wait()
        if drain_delay:
            await asyncio.sleep(drain_delay)


def url_of(host: str, port: int, *, tls: bool) -> str:
    """The URL of what listens there, without a slash at its end."""
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def _tcp(sock: socket.socket) -> socket.socket:
    """The same socket, one that says it is TCP's: on those alone asyncio sends at once what is small (TCP_NODELAY)."""
    return socket.socket(sock.family, sock.type, socket.IPPROTO_TCP, fileno=sock.detach())


def listen(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listening sockets on every address of the host. Raises Mistake when one can't be had."""
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
            chosen = (address[0], made[0].getsockname()[1]) if made and not port else address[:2]
            made.append(_tcp(socket.create_server(chosen, family=family, backlog=backlog)))
    except OSError as error:
        for sock in made:
            sock.close()
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror  # < 0: of getaddrinfo
        raise Mistake(
            f"can't listen on {host}:{port}: {reason}", place="port", hint="choose another with --port or --ops-port"
        ) from None
    for sock in made:
        sock.setblocking(False)
    return made
