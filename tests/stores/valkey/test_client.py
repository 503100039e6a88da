"""A call ends in time, whatever the server does; its answer is its own; what may have been done is never done twice."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
import uvloop
from valkey.exceptions import ValkeyError

from gateway.errors import Mistake, StoreDown
from gateway.stores.valkey import client as client_module
from gateway.stores.valkey.client import Client, Script, connect
from tests.stores.valkey.servers import Between, Server, until

ECHO = Script("#!lua\nreturn {KEYS[1], ARGV[1]}")
COUNT = Script("#!lua\nreturn redis.call('INCR', KEYS[1])")


@asynccontextmanager
async def client_of(uri: str, timeout: float = 5, ca: Path | None = None) -> AsyncIterator[Client]:
    made = connect(uri, timeout, ca)
    try:
        yield made
    finally:
        await made.aclose()
        assert made.inflight == 0
        assert not made._links


async def failure(client: Client, script: Script = ECHO) -> StoreDown:
    """How a call fails, which has to be within the client's time: a test that waits for ever fails by its own time."""
    with pytest.raises(StoreDown) as caught:
        await asyncio.wait_for(client.run(script, ("k",), ("a",)), 10)
    return caught.value


async def eventually(client: Client, script: Script = COUNT) -> object:
    """The first answer after an outage."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await client.run(script, ("k",), ())
            except StoreDown:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("uri", ["uri", "unix_uri"])
async def test_answers_belong_to_their_calls(uri: str) -> None:
    with Server(unix=True) as server:
        async with client_of(getattr(server, uri)) as client:
            answers = await asyncio.gather(*(client.run(ECHO, (f"k{n}",), (n,)) for n in range(500)))
            assert answers == [[b"k%d" % n, b"%d" % n] for n in range(500)]
            assert len(client._links) == 1


async def test_calls_of_one_turn_share_a_write(server: Server) -> None:
    async with Between(server) as way, client_of(way.uri) as client:
        await client.run(ECHO, ("k",), ("a",))
        before = way.asked
        await asyncio.gather(*(client.run(ECHO, ("k",), (n,)) for n in range(50)))
        assert way.asked - before <= 2


async def test_a_script_that_the_server_has_forgotten_is_sent_again(server: Server) -> None:
    async with client_of(server.uri) as client:
        assert await client.run(COUNT, ("k",), ()) == 1
        server.ask("SCRIPT", "FLUSH")
        assert await client.run(COUNT, ("k",), ()) == 2


@pytest.mark.parametrize("first", [True, False], ids=["while connecting", "later"])
async def test_a_server_that_hangs_is_waited_for_no_longer_than_allowed(server: Server, first: bool) -> None:
    async with client_of(server.uri, 0.1) as client:
        if not first:
            await client.run(COUNT, ("k",), ())
        server.freeze()
        assert [(await failure(client)).kind for _ in range(3)] == ["timeout"] * 3
        downs = await asyncio.gather(*(failure(client) for _ in range(20)))
        assert {down.kind for down in downs} == {"timeout"}
        assert len(client._links) <= client_module.LATE + 1
        server.thaw()
        await eventually(client)


async def test_a_way_on_which_nothing_comes_through_is_the_same(server: Server) -> None:
    async with Between(server) as way, client_of(way.uri, 0.1) as client:
        way.hang = True
        assert (await failure(client)).kind == "timeout"
        way.hang = False
        assert await eventually(client) == 1


async def test_a_server_that_is_farther_away_than_a_call_may_wait_is_reached(server: Server) -> None:
    """The first calls are over before there is a connection, and are never sent; later ones go through."""
    async with client_of(server.uri, 0.02) as client:
        server.freeze()
        assert (await failure(client, COUNT)).kind == "timeout"
        assert (await failure(client, COUNT)).kind == "timeout"
        assert len(client._links) == 1
        server.thaw()
        client.timeout = 5
        assert await client.run(COUNT, ("k",), ()) == 1
        assert len(client._links) == 1


async def test_a_late_answer_is_nobody_elses(server: Server) -> None:
    async with client_of(server.uri, 0.1) as client:
        await client.run(ECHO, ("k",), ("first",))
        server.freeze()
        late = [asyncio.ensure_future(client.run(ECHO, ("late",), (n,))) for n in range(5)]
        assert all(isinstance(each, StoreDown) for each in await asyncio.gather(*late, return_exceptions=True))
        server.thaw()
        client.timeout = 5
        answers = await asyncio.gather(*(client.run(ECHO, ("new",), (n,)) for n in range(100)))
        assert answers == [[b"new", b"%d" % n] for n in range(100)]


async def test_a_call_that_is_given_up_leaves_the_answers_in_order(server: Server) -> None:
    async with client_of(server.uri) as client:
        await client.run(ECHO, ("k",), ("first",))
        tasks = [asyncio.ensure_future(client.run(ECHO, ("k",), (n,))) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert answers[1::2] == [[b"k", b"%d" % n] for n in range(1, 20, 2)]
        assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
        assert await client.run(ECHO, ("k",), ("last",)) == [b"k", b"last"]


async def test_what_may_have_been_done_is_not_tried_again(server: Server) -> None:
    async with Between(server) as way, client_of(way.uri, 0.1) as client:
        assert await client.run(COUNT, ("k",), ()) == 1
        way.eat = True
        assert (await failure(client, COUNT)).kind == "timeout"
        way.eat = False
        assert server.ask("GET", "k") == b"2"
        assert await client.run(COUNT, ("k",), ()) == 3


async def test_a_server_that_dies_under_a_call(server: Server) -> None:
    async with client_of(server.uri) as client:
        await client.run(COUNT, ("k",), ())
        server.freeze()
        waiting = asyncio.ensure_future(failure(client))
        await asyncio.sleep(0.01)
        server.kill()
        assert (await waiting).kind == "closed"
        assert (await failure(client)).kind == "refused"
        server.start()
        assert await eventually(client) == 1


async def test_a_connection_that_ended_between_two_calls_costs_neither(server: Server) -> None:
    async with client_of(server.uri) as client:
        await client.run(COUNT, ("k",), ())
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        async with asyncio.timeout(10):
            while client._links:
                await asyncio.sleep(0.001)
        assert await client.run(COUNT, ("k",), ()) == 2


async def test_a_server_without_memory_says_so_before_it_does_anything() -> None:
    with Server(maxmemory="1", maxmemory_policy="noeviction") as server:
        async with client_of(server.uri) as client:
            down = await failure(client, COUNT)
            assert (down.kind, server.ask("EXISTS", "k")) == ("oom", 0)


async def test_a_primary_that_lacks_its_replicas(server: Server) -> None:
    async with client_of(server.uri) as client:
        server.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        assert (await failure(client, COUNT)).kind == "noreplicas"


async def test_a_replica_refuses(server: Server) -> None:
    async with client_of(server.uri) as client:
        await client.run(COUNT, ("k",), ())
        server.ask("REPLICAOF", "127.0.0.1", server.port)
        down = await failure(client, COUNT)
        assert down.kind in ("readonly", "loading")  # the second where it knows already that its primary is away


async def test_a_server_that_reads_its_data(server: Server) -> None:
    server.ask("EVAL", "for i = 1, 20000 do redis.call('SET', i, i) end", 0)
    server.ask("SAVE")
    slow = {"dir": str(server.folder), "key_load_delay": "200", "loading_process_events_interval_bytes": "1024"}
    with Server(unix=False, sentinel=None, **slow) as loading:
        async with client_of(loading.uri) as client:
            assert (await failure(client)).kind == "loading"


async def test_a_wrong_password_is_told_and_not_shown() -> None:
    with Server(requirepass="right-one") as server:
        async with client_of(f"valkey://:wrong-one@127.0.0.1:{server.port}") as client:
            down = await failure(client)
            assert down.kind == "error"
            assert "one" not in str(down)
        async with client_of(f"valkey://:right-one@127.0.0.1:{server.port}/3") as client:
            assert await client.run(COUNT, ("k",), ()) == 1
        assert server.ask("EXISTS", "k") == 0  # it is in another database


async def test_a_script_that_fails_is_an_error_and_the_connection_goes_on(server: Server) -> None:
    async with client_of(server.uri) as client:
        down = await failure(client, Script("#!lua\nreturn redis.call('LPUSH')"))
        assert down.kind == "error"
        assert await client.run(COUNT, ("k",), ()) == 1
        assert len(client._links) == 1


async def test_somebody_elses_script_that_never_ends(server: Server) -> None:
    server.ask("CONFIG", "SET", "busy-reply-threshold", 1)
    endless = asyncio.create_task(asyncio.to_thread(hangs, server))
    async with client_of(server.uri) as client:
        async with asyncio.timeout(10):
            while (down := await failing(client)) is None:
                await asyncio.sleep(0.01)
        assert down.kind == "timeout"
        assert "BUSY" in str(down)
        server.ask("SCRIPT", "KILL")
        await endless
        assert await eventually(client) is not None


def hangs(server: Server) -> None:
    with pytest.raises(ValkeyError):
        server.ask("EVAL", "while true do end", 0)


async def failing(client: Client) -> StoreDown | None:
    try:
        await client.run(COUNT, ("k",), ())
    except StoreDown as down:
        return down
    return None


async def test_more_calls_than_allowed_are_refused_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "INFLIGHT", 3)
    async with client_of(server.uri) as client:
        answers = await asyncio.gather(*(client.run(COUNT, ("k",), ()) for _ in range(5)), return_exceptions=True)
        assert sorted(answer for answer in answers if isinstance(answer, int)) == [1, 2, 3]
        assert [answer.kind for answer in answers if isinstance(answer, StoreDown)] == ["busy", "busy"]


async def test_what_is_no_valkey_server_is_an_error() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with client_of(f"valkey://127.0.0.1:{port}") as client:
            assert (await failure(client)).kind in ("error", "closed", "refused")


async def test_tls_is_checked_against_the_given_authority(server: Server, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    for name, made in (("ours.pem", authority), ("other.pem", stranger)):
        made.cert_pem.write_to_path(tmp_path / name)
    async with Between(server, context) as way:
        async with client_of(way.uri, ca=tmp_path / "ours.pem") as client:
            assert await client.run(COUNT, ("k",), ()) == 1
        for wrong in (tmp_path / "other.pem", None):
            async with client_of(way.uri, ca=wrong) as client:
                down = await failure(client)
                assert down.kind == "refused"
                assert "certificate" in str(down).lower()
        async with client_of(f"valkeys://localhost:{way.port}", ca=tmp_path / "ours.pem") as client:
            assert (await failure(client)).kind == "refused"  # the certificate is for the address


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_is_none_is_a_mistake_at_the_start(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(Mistake, match=r"ca\.pem") as caught:
        connect("valkeys://localhost", ca=bundle)
    assert caught.value.hint


async def test_a_server_that_stops_for_a_while_does_every_call_once(server: Server) -> None:
    async with client_of(server.uri, 0.05) as client:
        await client.run(COUNT, ("k",), ())
        server.freeze()
        await asyncio.gather(*(failure(client, COUNT) for _ in range(10)))
        server.thaw()
        await eventually(client, ECHO)
        until(lambda: server.ask("GET", "k") == b"11")


@pytest.mark.parametrize(
    "scenario",
    [
        test_calls_of_one_turn_share_a_write,
        test_a_way_on_which_nothing_comes_through_is_the_same,
        test_a_late_answer_is_nobody_elses,
        test_a_call_that_is_given_up_leaves_the_answers_in_order,
        test_a_server_that_dies_under_a_call,
        test_a_server_that_stops_for_a_while_does_every_call_once,
    ],
)
def test_the_loop_of_the_gateway_keeps_the_same_promises(
    server: Server, scenario: Callable[[Server], Coroutine[None, None, None]]
) -> None:
    uvloop.run(scenario(server))


def test_a_deadline_that_is_over_already_is_one(server: Server) -> None:
    async def late() -> None:
        async with client_of(server.uri, 0.05) as client:
            await client.run(COUNT, ("k",), ())
            server.freeze()
            link = next(iter(client._links))
            past = asyncio.get_running_loop().time() - 1
            answers = [link.call(b"*1\r\n$4\r\nPING\r\n", past + turn) for turn in (0, 0.5, 0)]
            for answer in answers:
                with pytest.raises(StoreDown, match="time"):
                    await asyncio.wait_for(answer, 10)
            server.thaw()

    uvloop.run(late())
    asyncio.run(late())
