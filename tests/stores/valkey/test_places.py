"""The server of a key is found again: after a failover, after a slot has moved, while it is moving."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from valkey.crc import key_slot

from gateway.errors import StoreDown
from gateway.quotas import Draw
from gateway.stores.valkey.client import Client, Script, connect
from gateway.stores.valkey.remote import RemoteLimits
from gateway.stores.valkey.script import tag_of
from tests.stores.valkey.ledger import arrived
from tests.stores.valkey.servers import Cluster, Sentinels, Server

COUNT = Script("#!lua\nreturn redis.call('INCR', KEYS[1])")
MINUTE = 60_000_000


@asynccontextmanager
async def client_of(uri: str, timeout: float = 5) -> AsyncIterator[Client]:
    made = connect(uri, timeout)
    try:
        yield made
    finally:
        await made.aclose()
        assert not made._links


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


def tokens(key: str, cost: int, capacity: int = 1_000) -> Draw:
    return Draw(f"tokens-{key}", f"tokens|{key}", "rate", "tokens.output", 1, 3600 * MINUTE, capacity, cost)


async def test_sentinels_name_the_primary_and_the_next_one() -> None:
    with Sentinels() as sentinels:
        async with client_of(sentinels.uri) as client:
            assert await asyncio.gather(*(client.run(COUNT, ("k",), ()) for _ in range(3))) == [1, 2, 3]
            assert sentinels.primary.ask("WAIT", 1, 5_000) == 1
            sentinels.primary.freeze()
            client.timeout = 0.1
            with pytest.raises(StoreDown, match="time"):
                await client.run(COUNT, ("k",), ())
            sentinels.fail_over()
            client.timeout = 5
            assert await client.run(COUNT, ("k",), ()) == 4
            assert sentinels.replica.ask("GET", "k") == b"4"


async def test_a_primary_that_has_become_a_replica_is_left() -> None:
    with Sentinels() as sentinels:
        async with client_of(sentinels.uri) as client:
            assert await client.run(COUNT, ("k",), ()) == 1
            assert sentinels.primary.ask("WAIT", 1, 5_000) == 1
            sentinels.swap()
            assert await client.run(COUNT, ("k",), ()) == 2
            assert sentinels.replica.ask("GET", "k") == b"2"


async def test_nobody_knows_the_service(server: Server) -> None:
    with Server(sentinel=f"sentinel monitor other 127.0.0.1 {server.port} 1") as sentinel:
        async with client_of(f"valkey+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/gauger") as client:
            with pytest.raises(StoreDown):
                await client.run(COUNT, ("k",), ())
        async with client_of(f"valkey+sentinel://:secret@127.0.0.1:1,127.0.0.1:{sentinel.port}/other") as client:
            with pytest.raises(StoreDown) as caught:  # a sentinel without a password, a server without one
                await client.run(COUNT, ("k",), ())
            assert caught.value.kind == "error"


async def test_a_cluster_is_found_from_some_of_its_nodes(cluster: Cluster) -> None:
    async with client_of(cluster.uri) as client:
        keys = [f"found-{number}" for number in range(60)]
        assert await asyncio.gather(*(client.run(COUNT, (key,), ()) for key in keys)) == [1] * 60
        assert {cluster.owner(key).port for key in keys} == {node.port for node in cluster.nodes}
        assert len(client._links) == 3


async def test_a_slot_that_moves_loses_no_draw_and_repeats_none(cluster: Cluster) -> None:
    """Draws go on while the slot of their owner goes round: what passes is what the limit allows."""
    async with client_of(cluster.uri) as client:
        limits = RemoteLimits(client)
        done = asyncio.Event()
        passed = 0
        kinds: set[str] = set()

        async def ask(name: int) -> None:
            nonlocal passed
            turn = 0
            while not done.is_set():
                turn += 1
                try:
                    answer = await limits.draw(f"{name}-{turn}", (tokens("moving", 1, 100_000),), 0, "moving")
                except StoreDown as down:
                    kinds.add(down.kind)
                else:
                    passed += answer.ok
                await asyncio.sleep(0)

        asking = [asyncio.create_task(ask(name)) for name in range(4)]
        key = "gauger:{=moving}r|tokens|moving"
        for _ in range(2):
            for node in cluster.nodes:
                if node is not cluster.owner(key):
                    await asyncio.to_thread(cluster.move, key, node)
        done.set()
        await asyncio.gather(*asking)
        answer = await limits.draw("last", (tokens("moving", 1, 100_000),), 0, "moving")
        assert passed > 0
        assert kinds <= {"moved"}  # TRYAGAIN, in the middle of it: not done
        assert answer.readings[0].left == 100_000 - passed - 1
        await limits.aclose()


async def test_a_key_that_is_asked_for_on_its_way(cluster: Cluster) -> None:
    """The old home says ASK for what it doesn't have; the new one answers, once, and stays no home."""
    async with client_of(cluster.uri) as client:
        key = "on-its-way"
        to = next(node for node in cluster.nodes if node is not cluster.owner(key))
        source = cluster.owner(key)
        await client.run(COUNT, ("warm",), ())
        cluster.begin(key, to)
        assert await client.run(COUNT, (key,), ()) == 1
        assert await client.run(COUNT, (key,), ()) == 2
        assert client._places.find(key.encode()) == ("127.0.0.1", source.port)
        to.ask("CLUSTER", "SETSLOT", key_slot(key.encode()), "STABLE")
        source.ask("CLUSTER", "SETSLOT", key_slot(key.encode()), "STABLE")


async def test_keys_of_one_owner_are_in_one_slot_whatever_his_name(cluster: Cluster) -> None:
    async with client_of(cluster.uri) as client:
        limits = RemoteLimits(client)
        assert len({tag_of(owner) for owner in ("a%7B", "a{", "a%257B")}) == 3
        for owner in ("", "a", "{", "}", "{}", "}{", "%7B", "a}b{c", "ü\ud800", "{}" * 40):
            draws = (tokens("x", 1), tokens("}", 1), tokens("{y}", 1))
            assert (await limits.draw(f"one-{owner!r}", draws, 0, owner)).readings[0].left == 999
            assert limits.settle(f"one-{owner!r}", {"tokens-x": 0}) == {"tokens-x": -1}
        await limits.aclose()
        assert limits.dropped == 0


async def test_the_loss_of_one_primary_is_seen(cluster: Cluster) -> None:
    async with client_of(cluster.uri) as client:
        limits = RemoteLimits(client)
        first = await limits.hello()
        assert (first.fresh, first.replicas) == (True, 1)
        again = await limits.hello()
        assert (again.epoch, again.fresh) == (first.epoch, False)
        for node in cluster.nodes:
            node.ask("FLUSHALL")
            lost = await limits.hello()
            assert lost.fresh
            assert lost.epoch != again.epoch
            again = lost
        assert (await limits.hello()).epoch == again.epoch


async def test_a_part_of_a_cluster_that_dies_takes_its_own_keys_with_it() -> None:
    with Cluster() as cluster:
        async with client_of(cluster.uri) as client:
            limits = RemoteLimits(client)
            lone = "{lone}"
            assert await client.run(COUNT, (lone,), ()) == 1
            for node in cluster.nodes:
                node.ask("CLUSTER", "DELSLOTS", key_slot(lone.encode()))
            for _ in range(2):  # what the map says; what the map no longer has
                with pytest.raises(StoreDown) as caught:
                    await client.run(COUNT, (lone,), ())
                assert caught.value.kind == "moved"
            dead = cluster.nodes[2]
            keys = [f"key-{number}" for number in range(30)]
            lost = {key for key in keys if cluster.owner(key) is dead}
            dead.kill()
            for key in keys:
                if key in lost:
                    with pytest.raises(StoreDown):
                        await client.run(COUNT, (key,), ())
                else:
                    assert await client.run(COUNT, (key,), ()) == 1
            with pytest.raises(StoreDown):
                await limits.hello()
            await arrived(limits)
