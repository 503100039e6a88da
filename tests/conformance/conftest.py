"""One gateway and one recording upstream for the whole hostile table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import uvloop

from gateway.edge.server import Bounds, make_server
from tests.conformance.passthrough import Passthrough
from tests.conformance.rig import Upstream

SHORT = Bounds(head_timeout=0.3, body_idle_timeout=0.3, write_timeout=1.0, keepalive_timeout=5.0, linger=0.3)


@asynccontextmanager
async def start_gateway(upstream_url: str) -> AsyncIterator[tuple[str, int]]:
    """The gateway under test, with short deadlines; yields its address."""
    async with make_server(Passthrough(upstream_url), "127.0.0.1", 0, SHORT).listening() as port:
        yield "127.0.0.1", port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def under_test() -> AsyncIterator[tuple[tuple[str, int], Upstream]]:
    """(address of the gateway, its upstream)"""
    async with Upstream() as upstream, start_gateway(upstream.url) as address:
        yield address, upstream


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}
