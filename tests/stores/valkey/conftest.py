"""A server of its own for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.stores.valkey.servers import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made
