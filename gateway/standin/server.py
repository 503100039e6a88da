"""Shell. Runs the stand-in on a socket, inside an event loop that belongs to someone else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvicorn

from gateway.standin.app import StandIn

__all__ = ["Running", "serving"]

BACKLOG = 2048
GRACE = 0.5  # s that answers under way get when the server stops
POLL = 0.005  # s


class Running(msgspec.Struct, frozen=True):
    """A stand-in that listens: `url` has no slash at its end."""

    url: str
    port: int
    app: StandIn


@asynccontextmanager
async def serving(host: str = "127.0.0.1", port: int = 0, record: int = 0) -> AsyncIterator[Running]:
    """Listens while the context lasts; port 0 takes a free one. Handles no signals, logs no requests.

    Raises OSError where the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener = socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())  # for TCP_NODELAY
    app = StandIn(record)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # `Server.serve` would take the process's signals; these are the steps it takes otherwise.
    await server.startup(sockets=[listener])
    await server.on_tick(0)
    try:
        bound = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        yield Running(f"http://{shown}:{bound}", bound, app)
    finally:
        await _stop(server, listener)


async def _stop(server: uvicorn.Server, listener: socket.socket) -> None:
    """Idle connections close at once, busy ones after their answer, and whatever is late is cut."""
    for each in server.servers:
        each.close()
    listener.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    loop = asyncio.get_running_loop()
    late = loop.time() + GRACE
    await asyncio.sleep(0)  # a closed transport says so to its protocol in the next round
    while (state.connections or state.tasks) and loop.time() < late:  # noqa: ASYNC110 - uvicorn's sets tell no one
        await asyncio.sleep(POLL)
    for connection in list(state.connections):
        connection.transport.abort()  # the app hears of it as a client that left, and ends
    while state.connections or state.tasks:  # noqa: ASYNC110
        await asyncio.sleep(POLL)
