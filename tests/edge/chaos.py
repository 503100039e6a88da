"""A gateway in front of a model server that misbehaves, and what must hold whatever happened: nothing is left over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.app import Relay
from gateway.settings import Settings
from tests.edge.evil import Evil, Script
from tests.rig import Running, gateway

POLICY = """
gauger: 1
policy: {id: chaos}
limits:
  - {id: live, by: [account], count: concurrent, rate: 1000 requests}
  - {id: out, by: [account], count: tokens.output, rate: 100M tokens/h}
"""
BODY = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": true}'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-one\r\n"
ASK = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Scene:
    """The model server, the gateway in front of it, and the relay between them."""

    def __init__(self, model: Evil, g: Running, relay: Relay) -> None:
        self.model = model
        self.g = g
        self.relay = relay
        self.url = g.url

    async def nothing_left(self, *ends: str) -> list[dict[str, Any]]:
        """The records, one a request and ended so, once everything that was taken has been given back."""
        core, upstream = self.g.core, self.relay.upstreams["openai"]
        async with asyncio.timeout(10):
            while core.admission.inflight or core.limits.open or upstream.stats.open != upstream.stats.idle:
                await asyncio.sleep(0.01)
        assert (core.limits.leases, core.admission.held, core.live) == (0, 0, {})
        assert upstream.stats.waiting == 0
        records = self.g.records()
        assert [record["end"] for record in records] == list(ends)
        assert len({record["request_id"] for record in records}) == len(records)
        return records


@asynccontextmanager
async def scene(script: Script, state_dir: Path, *, policy: str = POLICY, **settings: Any) -> AsyncIterator[Scene]:
    async with Evil(script) as model:
        chosen = Settings(state_dir=state_dir, **settings)
        relay = Relay(f"http://127.0.0.1:{model.port}", chosen)
        async with gateway(app=relay, policy=policy, state_dir=state_dir, **settings) as g:
            yield Scene(model, g, relay)
        await relay.aclose()
