"""The client's, the server's and the relay's tests run on both event loops that the gateway runs on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.edge.evil import CLIENTS, Client


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    """Each client that stands behind the seam: what is asked of one is asked of both."""
    return CLIENTS[request.param]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name.startswith(("test_upstream", "test_server", "test_relay", "test_chaos")):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
