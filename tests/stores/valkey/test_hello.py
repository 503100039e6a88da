"""The processes that share a store: each counts once, for as long as it is heard of."""

from gateway.stores.valkey.client import connect
from gateway.stores.valkey.remote import RemoteLimits
from tests.stores.valkey.servers import Server


async def count(limits: RemoteLimits) -> int:
    return (await limits.hello()).replicas


async def test_a_process_counts_until_it_takes_its_leave(server: Server) -> None:
    stays, goes = RemoteLimits(connect(server.uri, 5)), RemoteLimits(connect(server.uri, 5))
    assert await count(stays) == 1
    assert await count(goes) == 2
    await goes.aclose()
    assert await count(stays) == 1
    await stays.aclose()


async def test_the_next_life_of_a_process_is_not_another_one(server: Server) -> None:
    limits = RemoteLimits(connect(server.uri, 5))
    assert await count(limits) == 1
    for _ in range(2):
        client = connect(server.uri, 5)
        assert await count(RemoteLimits(client, name="worker")) == 2
        await client.aclose()  # killed: nobody takes leave
    await limits.aclose()


async def test_a_store_that_is_away_holds_up_no_end(server: Server) -> None:
    limits = RemoteLimits(connect(server.uri, 0.2))
    assert await count(limits) == 1
    server.freeze()
    await limits.aclose()
    server.thaw()
