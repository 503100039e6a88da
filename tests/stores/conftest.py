"""A server for each module that asks for one; its tests share it."""

from collections.abc import Iterator

import pytest

from tests.stores.valkey.servers import Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as made:
        yield made
