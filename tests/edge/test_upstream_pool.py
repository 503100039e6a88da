"""Connections: bounded, reused, queued for in order, and never lost, whatever is cancelled or times out."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from gateway.edge.upstream import PoolBounds, Upstream, UpstreamError, UpstreamStats, UpstreamTimeouts
from tests.edge.evil import Client, Evil, Peer, answer, echoing, fetch, h1, replying

NOTHING = UpstreamStats(open=0, idle=0, waiting=0)


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


async def test_the_connection_that_was_used_last_is_reused_first(client: Client) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server)
        first, second = [await upstream.send(b"GET", b"/", []) for _ in range(2)]
        for response in (first, second):
            while await response.read() is not None:
                pass
            await response.aclose()
        assert upstream.stats == UpstreamStats(open=2, idle=2, waiting=0)
        for _ in range(5):
            await fetch(upstream)
        assert server.connections == 2
        await upstream.aclose()
        await upstream.aclose()
        assert upstream.stats == NOTHING
        await server.until_open(0)


async def test_an_answer_that_was_not_read_to_its_end_closes_its_connection(client: Client) -> None:
    async with Evil(replying(answer(b"x" * 100_000))) as server:
        upstream = client(server)
        response = await upstream.send(b"GET", b"/", [])
        await response.aclose()
        await response.aclose()
        assert upstream.stats == NOTHING
        with pytest.raises(UpstreamError):
            await response.read()
        await server.until_open(0)


@pytest.mark.parametrize("field", [b"Connection: close", b"Connection: x, Close", b"Keep-Alive: timeout=1"])
async def test_a_connection_that_the_server_will_close_is_not_reused(client: Client, field: bytes) -> None:
    async with Evil(replying(answer(b"", field))) as server:
        upstream = client(server)
        for _ in range(3):
            await fetch(upstream)
        assert server.connections == 3
        assert upstream.stats == NOTHING


async def test_idle_connections_expire(client: Client) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server, bounds=PoolBounds(idle=0.05))
        await fetch(upstream)
        assert upstream.stats.idle == 1
        await server.until_open(0)
        assert upstream.stats == NOTHING


async def test_requests_above_the_bound_wait_in_order_and_beyond_the_queue_are_refused(client: Client) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await go.wait()
            await peer.write(answer())

    async with Evil(script) as server:
        upstream = client(server, bounds=PoolBounds(connections=2, waiting=5))
        tasks = [asyncio.create_task(fetch(upstream, b"/%d" % number)) for number in range(7)]
        while len(server.seen) < 2:
            await asyncio.sleep(0.005)
        assert upstream.stats == UpstreamStats(open=2, idle=0, waiting=5)
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent) == ("pool_full", False)
        go.set()
        assert await asyncio.gather(*tasks) == [(200, b"ok")] * 7
        assert [seen.line.split()[1] for seen in server.seen][2:] == [b"/2", b"/3", b"/4", b"/5", b"/6"]
        assert (server.connections, upstream.stats.idle) == (2, 2)
        await upstream.aclose()


async def test_waiting_for_a_connection_ends_in_time_and_closing_ends_it_at_once(client: Client) -> None:
    async with Evil(silent) as server:
        upstream = client(server, bounds=PoolBounds(connections=1, wait=0.05))
        holder = asyncio.create_task(fetch(upstream))
        with pytest.raises(UpstreamError) as caught:
            await asyncio.gather(fetch(upstream))
        assert (caught.value.kind, caught.value.sent) == ("timeout_pool", False)
        waiter = asyncio.create_task(fetch(upstream))
        await asyncio.sleep(0)
        await upstream.aclose()
        for task in (holder, waiter):
            with pytest.raises(UpstreamError) as caught:
                await task
            assert caught.value.kind == "closed"
        assert upstream.stats == NOTHING
        with pytest.raises(UpstreamError):
            await fetch(upstream)
        await server.until_open(0)


@pytest.mark.parametrize("seed", range(4))
async def test_no_slot_is_lost_when_hundreds_are_cancelled_under_contention(client: Client, seed: int) -> None:
    dice = random.Random(seed)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for block in (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", b"\r\nbo", b"dy"):
                for _ in range(dice.randrange(3)):
                    await asyncio.sleep(0)
                await peer.write(block)

    async def source() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield b"part"

    async def one() -> None:
        body = source() if dice.random() < 0.3 else b"x"
        async with await upstream.send(b"POST", b"/", [], body) as response:
            while await response.read() is not None:
                await asyncio.sleep(0)

    async with Evil(script) as server:
        upstream = client(server, bounds=PoolBounds(connections=5, waiting=1000, wait=0, idle=60))
        tasks = [asyncio.create_task(one()) for _ in range(400)]
        while not all(task.done() for task in tasks):
            for _ in range(dice.randrange(4)):
                await asyncio.sleep(0)
            dice.choice(tasks).cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {type(None), asyncio.CancelledError}
        stats = upstream.stats
        assert (stats.open, stats.waiting) == (stats.idle, 0)
        await server.until_open(stats.open)
        responses = await asyncio.gather(*(upstream.send(b"GET", b"/", []) for _ in range(5)))
        assert upstream.stats == UpstreamStats(open=5, idle=0, waiting=0)
        for response in responses:
            await response.aclose()
        await server.until_open(0)
        assert upstream.stats == NOTHING
        await upstream.aclose()
        assert asyncio.all_tasks() - {asyncio.current_task()} == server.tasks


async def test_cancelled_at_any_step_a_request_leaves_its_place_to_the_next(client: Client) -> None:
    """httpcore's own pool loses a place between giving it away and connecting, and then answers nobody any more."""
    async with Evil(echoing()) as server:
        done = False
        steps = 0
        while not done:
            upstream = client(server, bounds=PoolBounds(connections=1, wait=5))
            task = asyncio.create_task(fetch(upstream))
            for _ in range(steps):
                await asyncio.sleep(0)
            done, steps = task.done(), steps + 1
            task.cancel()
            await asyncio.wait((task,))
            assert await fetch(upstream) == (200, b"GET / HTTP/1.1")
            await upstream.aclose()
            assert upstream.stats == NOTHING
        assert steps > 5
        await server.until_open(0)


async def test_a_cancelled_read_ends_the_exchange(client: Client) -> None:
    async with Evil(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")) as server:
        upstream = client(server)
        response = await upstream.send(b"GET", b"/", [])
        task = asyncio.create_task(response.read())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upstream.stats == NOTHING
        await response.aclose()
        await server.until_open(0)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"POST", b"PATCH"])
async def test_only_a_repeatable_request_is_sent_again_when_a_reused_connection_dies(
    client: Client, method: bytes
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b""))
        await peer.request()
        if peer.number > 1:
            await peer.write(answer(b""))

    async with Evil(script) as server:
        upstream = client(server)
        await fetch(upstream)
        if method in (b"POST", b"PATCH"):
            with pytest.raises(UpstreamError) as caught:
                await fetch(upstream, method=method)
            assert (caught.value.kind, caught.value.sent) == ("closed", True)
            assert len(server.seen) == 2
        else:
            assert await fetch(upstream, method=method) == (200, b"")
            assert [seen.line.split()[0] for seen in server.seen] == [b"GET", method, method]
        await upstream.aclose()


async def ended_after(upstream: Upstream, server: Evil, sent: int) -> None:
    await fetch(upstream)
    with pytest.raises(UpstreamError) as caught:
        await fetch(upstream)
    assert caught.value.kind == "closed"
    assert len(server.seen) == sent
    assert upstream.stats == NOTHING


async def test_a_request_is_sent_again_once(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.write(answer(b""))
            await peer.request()

    async with Evil(script) as server:
        await ended_after(client(server), server, 3)


async def test_a_request_is_not_sent_again_by_our_own_client_after_a_byte_of_an_answer() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b""))
        await peer.request()
        await peer.write(b"HTTP/1.1 2")

    async with Evil(script) as server:
        await ended_after(h1(server), server, 2)


async def test_a_post_is_not_given_to_a_connection_that_the_server_has_hung_up(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer(b""))

    async with Evil(script) as server:
        upstream = client(server)
        for _ in range(20):
            assert await fetch(upstream, method=b"POST", body=b"x") == (200, b"")
            await server.until_open(0)  # hung up; our loop may or may not have heard
        assert len(server.seen) == 20
        await upstream.aclose()


async def test_silence_of_the_server_ends_in_a_time_out_and_slowness_of_the_reader_does_not(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await peer.gone()

    async with Evil(script) as server:
        upstream = client(server, timeouts=UpstreamTimeouts(read=0.1))
        response = await upstream.send(b"GET", b"/", [])
        await asyncio.sleep(0.3)
        assert await response.read() == b"half"
        with pytest.raises(UpstreamError) as caught:
            await response.read()
        assert (caught.value.kind, upstream.stats) == ("timeout_read", NOTHING)

    async with Evil(silent) as server:
        upstream = client(server, timeouts=UpstreamTimeouts(read=0.1))
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent, upstream.stats) == ("timeout_read", True, NOTHING)


async def test_an_answer_that_drips_for_ever_ends_by_the_total_time_out(client: Client) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)

    async with Evil(script) as server:
        upstream = client(server, timeouts=UpstreamTimeouts(read=5, total=0.1))
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, upstream.stats) == ("timeout_total", NOTHING)


async def test_a_slow_source_of_a_body_is_not_the_servers_silence(client: Client) -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(0.3)
        yield b"b"

    async with Evil(replying(answer())) as server:
        upstream = client(server, timeouts=UpstreamTimeouts(read=0.1))
        async with await upstream.send(b"POST", b"/", [], source()) as response:
            assert response.status == 200
        assert server.seen[0].body == b"ab"
        await upstream.aclose()


async def test_a_server_that_is_not_there_is_an_error_without_its_name(client: Client) -> None:
    async with Evil(echoing()) as server:
        upstream = client(server)
    with pytest.raises(UpstreamError) as caught:
        await fetch(upstream)
    assert (caught.value.kind, caught.value.sent, upstream.stats) == ("connect", False, NOTHING)
    assert "127" not in str(caught.value)

    async with Evil(echoing()) as server:
        upstream = client(server, host="nowhere.invalid")
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent, upstream.stats) == ("dns", False, NOTHING)
        assert "nowhere" not in str(caught.value)
        await upstream.aclose()
