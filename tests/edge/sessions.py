"""Sessions on real sockets: a model server whose handler a test writes, a gateway in front of it, and a client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gateway.app import Relay
from gateway.settings import Settings
from tests.rig import Running, gateway

Handler = Callable[[ServerConnection], Awaitable[None]]

SOON = 5.0
"""Seconds within which what must follow from an event follows; waited for, never measured."""
POLICY = """
gauger: 1
policy: {id: sessions}
limits:
  - {id: live, by: [account], count: concurrent, rate: 1000 requests}
  - {id: out, by: [account], count: tokens.output, rate: 100M tokens/h}
"""
KEY = {"authorization": "Bearer sk-one"}


class Model:
    """A model server. `seen` are the handshakes that it was sent, `ends` how its sessions ended."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[Any] = []
        self.ends: list[tuple[int | None, str | None]] = []
        self.open = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def model(handler: Handler, **options: Any) -> AsyncIterator[Model]:
    made = Model()

    async def session(ws: ServerConnection) -> None:
        made.seen.append(ws.request)
        made.open += 1
        try:
            with contextlib.suppress(ConnectionClosed):
                await handler(ws)
            await ws.close()
        finally:
            made.open -= 1
            made.ends.append((ws.close_code, ws.close_reason))

    options = {"compression": None, "max_size": None, "ping_interval": None, **options}
    async with serve(session, "127.0.0.1", 0, **options) as server:
        made.port = next(iter(server.sockets)).getsockname()[1]
        yield made


class Scene:
    """The model server, the gateway in front of it, and the relay between them."""

    def __init__(self, made: Model, g: Running, relay: Relay) -> None:
        self.model = made
        self.g = g
        self.relay = relay

    def connect(self, path: str = "/v1/realtime?model=gpt-realtime", **options: Any) -> Any:
        plain: dict[str, Any] = {"proxy": None, "compression": None, "ping_interval": None, "max_size": None}
        plain["additional_headers"] = KEY
        return connect(f"ws://127.0.0.1:{self.g.port}{path}", **{**plain, **options})

    async def nothing_left(self, *ends: str) -> list[dict[str, Any]]:
        """The records, one a session and ended so, once everything that was taken has been given back."""
        core, upstream = self.g.core, self.relay.upstreams["openai"]
        async with asyncio.timeout(SOON):
            while core.admission.inflight or core.limits.open or upstream.stats.open != upstream.stats.idle:
                await asyncio.sleep(0.005)
        assert (core.limits.leases, core.admission.held, core.live) == (0, 0, {})
        records = self.g.records()
        assert [record["end"] for record in records] == list(ends)
        return records


@asynccontextmanager
async def scene(
    handler: Handler, state_dir: Path, *, policy: str = POLICY, options: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Scene]:
    """`options` are the model server's, `settings` the gateway's."""
    async with model(handler, **(options or {})) as made:
        bounds = settings.pop("bounds", None)
        chosen = Settings(state_dir=state_dir, **settings)
        relay = Relay(made.url, chosen)
        async with gateway(app=relay, policy=policy, bounds=bounds, state_dir=state_dir, **settings) as g:
            yield Scene(made, g, relay)
        await relay.aclose()


async def echo(ws: ServerConnection) -> None:
    """Says everything again."""
    async for message in ws:
        await ws.send(message)


async def silent(ws: ServerConnection) -> None:
    """Reads and says nothing."""
    async for _ in ws:
        pass


def done(read: int, written: int, name: str = "resp_1") -> str:
    """OpenAI's end of an answer."""
    usage = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    return json.dumps({"type": "response.done", "response": {"id": name, "status": "completed", "usage": usage}})


async def answering(ws: ServerConnection) -> None:
    """Each message is how many tokens its answer has."""
    async for message in ws:
        await ws.send(json.dumps({"type": "response.output_text.delta", "response_id": "r", "delta": "word"}))
        await ws.send(done(10, int(message), "r"))


async def said(ws: ClientConnection) -> dict[str, Any]:
    """The next event."""
    found: dict[str, Any] = json.loads(await asyncio.wait_for(ws.recv(), SOON))
    return found


async def end_of(ws: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason of the end, which comes soon; what is said before it is dropped."""
    async with asyncio.timeout(SOON):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.recv()
        await ws.wait_closed()
    return ws.close_code, ws.close_reason


def kill(ws: ClientConnection | ServerConnection) -> None:
    """Ends a connection as a killed process does."""
    ws.transport.abort()
