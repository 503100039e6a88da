"""One gateway and one recording upstream for the whole hostile table."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import uvloop

from gateway.edge.server import Bounds
from tests.conformance.rig import Upstream
from tests.rig import gateway

SHORT = Bounds(head_timeout=0.3, body_idle_timeout=0.3, write_timeout=1.0, keepalive_timeout=5.0, linger=0.3)


@asynccontextmanager
async def start_gateway(upstream_url: str, state_dir: Path) -> AsyncIterator[tuple[str, int]]:
    """The whole gateway with an open policy and short deadlines; yields its address."""
    async with gateway(upstream=upstream_url, bounds=SHORT, state_dir=state_dir) as running:
        yield "127.0.0.1", running.port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def under_test(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[tuple[str, int], Upstream]]:
    """(address of the gateway, its upstream)"""
    async with Upstream() as upstream, start_gateway(upstream.url, tmp_path_factory.mktemp("state")) as address:
        yield address, upstream


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}
