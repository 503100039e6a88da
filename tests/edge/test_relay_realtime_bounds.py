"""What a session may take, on either side: messages, buffers, patience, and frames that are none."""

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.edge.server import Bounds
from gateway.edge.tunnel import TunnelBounds
from gateway.ledger.record import Ruled, Settled
from tests.edge.sessions import POLICY as LIVE
from tests.edge.sessions import SOON, Scene, echo, end_of, kill, scene, silent


async def test_a_message_of_the_client_over_the_bound_is_1009(tmp_path: Path) -> None:
    async with scene(echo, tmp_path, message_bytes=2000, bounds=Bounds(message_bytes=2000, linger=0.3)) as s:
        async with s.connect() as ws:
            await ws.send("x" * 2000)
            assert await ws.recv() == "x" * 2000
            await ws.send("x" * 2001)
            assert (await end_of(ws))[0] == 1009
        async with s.connect() as ws:
            await ws.send(["x" * 1500, "y" * 1500])
            assert (await end_of(ws))[0] == 1009
        first, _ = await s.nothing_left("client_abort", "client_abort")
        assert (first["session"]["close"], first["session"]["by"]) == (1009, "gateway")
        assert first["error"]["type"] == "bad_message"


async def test_a_message_of_the_model_over_the_bound_is_1009(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.send("x" * 2001)
        await silent(ws)

    async with scene(handler, tmp_path, message_bytes=2000) as s, s.connect() as ws:
        assert (await end_of(ws))[0] == 1009
        (record,) = await s.nothing_left("upstream_error")
        assert record["session"]["by"] == "gateway"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),  # a client's must be masked
        (b"\xf1\x80\x00\x00\x00\x00", 1002),  # reserved bits, as of an extension
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # an operation that is none
        (b"\x80\x80\x00\x00\x00\x00", 1002),  # a continuation of nothing
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),  # a text that is none
        (b"\x88\x81\x00\x00\x00\x00\x01", 1002),  # half a code
        (b"\x88\x82\x00\x00\x00\x00\x03\xed", 1002),  # 1005 is never sent
        (b"\x89\xfe\x00\x80\x00\x00\x00\x00" + bytes(128), 1002),  # a ping of 128 bytes
    ],
)
async def test_frames_that_break_the_protocol_end_it(tmp_path: Path, frame: bytes, code: int) -> None:
    async with scene(silent, tmp_path, bounds=Bounds(linger=0.3)) as s:
        async with s.connect() as ws:
            ws.transport.write(frame)
            assert (await end_of(ws))[0] == code
        (record,) = await s.nothing_left("client_abort")
        assert record["session"]["close"] == code


async def test_a_model_that_breaks_the_protocol_is_1011(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        ws.transport.write(b"\x83\x00")
        await silent(ws)

    async with scene(handler, tmp_path) as s, s.connect() as ws:
        assert (await end_of(ws))[0] == 1011
        (record,) = await s.nothing_left("upstream_error")
        assert record["error"]["type"] == "invalid"


async def test_a_client_that_does_not_read_stops_the_model_within_bounds(tmp_path: Path) -> None:
    sent = 0

    async def handler(ws: ServerConnection) -> None:
        nonlocal sent
        block = os.urandom(65_536)
        while True:
            await ws.send(block)
            sent += len(block)

    async with scene(handler, tmp_path) as s:
        async with s.connect(max_queue=1) as ws:
            ws.transport.pause_reading()
            before = -1
            while sent != before:  # until it stands still
                before = sent
                await asyncio.sleep(0.3)
            assert 0 < sent < 30_000_000  # what the sockets' own buffers take, and a little more
            ws.transport.resume_reading()
            read = 0
            while read <= before:
                read += len(await asyncio.wait_for(ws.recv(), SOON))
            kill(ws)
        await s.nothing_left("client_abort")


async def test_a_model_that_does_not_read_stops_the_client_within_bounds(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        ws.transport.pause_reading()
        await go.wait()
        ws.transport.resume_reading()
        await silent(ws)

    async with scene(handler, tmp_path) as s, s.connect() as ws:
        sent = 0
        block = os.urandom(65_536)
        with pytest.raises(TimeoutError):
            while sent < 100_000_000:
                await asyncio.wait_for(ws.send(block), 0.5)
                sent += len(block)
        assert 0 < sent < 30_000_000
        go.set()
        await asyncio.wait_for(ws.send("more"), SOON)
        await ws.close()
        await s.nothing_left("done")


async def test_a_client_that_never_reads_again_is_given_up(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        while True:
            await ws.send(bytes(65_536))

    async with scene(handler, tmp_path, bounds=Bounds(write_timeout=0.3)) as s, s.connect(max_queue=1) as ws:
        ws.transport.pause_reading()
        await s.nothing_left("client_abort")


async def test_a_model_that_is_silent_is_pinged_and_one_that_is_dead_is_given_up(tmp_path: Path) -> None:
    async def handler(ws: ServerConnection) -> None:
        await ws.recv()
        ws.transport.pause_reading()
        await ws.wait_closed()

    async with scene(handler, tmp_path, options={"close_timeout": 0.1}) as s:
        s.relay._tunnel = TunnelBounds(ping=0.06)
        async with s.connect() as ws:
            await asyncio.sleep(0.3)  # five pings, answered by the library
            assert ws.state.name == "OPEN"
            await ws.send("die")
            assert await end_of(ws) == (1006, "")
        (record,) = await s.nothing_left("timeout")
        assert record["error"]["type"] == "timeout_read"


async def test_pings_of_a_client_that_does_not_read_the_answers_are_bounded(tmp_path: Path) -> None:
    async with scene(silent, tmp_path, bounds=Bounds(write_timeout=0.4)) as s, s.connect() as ws:
        ws.transport.pause_reading()
        ping = b"\x89\xfd\x00\x00\x00\x00" + bytes(125)
        with pytest.raises((ConnectionError, TimeoutError, AssertionError)):
            for _ in range(2000):  # 26 MB
                ws.transport.write(ping * 100)
                async with asyncio.timeout(SOON):
                    while ws.transport.get_write_buffer_size():
                        await asyncio.sleep(0.001)
                        assert not ws.transport.is_closing()
        await s.nothing_left("client_abort")


async def test_all_sessions_together_hold_no_more_than_the_budget(tmp_path: Path) -> None:
    async def slow(ws: ServerConnection) -> None:
        await ws.wait_closed()

    bounds = Bounds(message_budget=300_000, linger=0.3)
    async with scene(slow, tmp_path, bounds=bounds) as s, s.connect() as one, s.connect() as two:
        half = b"\x82\xff" + (200_000).to_bytes(8) + bytes(4) + bytes(180_000)  # a message that is not whole
        one.transport.write(half)
        two.transport.write(half)
        async with asyncio.timeout(SOON):
            done, _ = await asyncio.wait(
                [asyncio.create_task(one.wait_closed()), asyncio.create_task(two.wait_closed())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        assert len(done) == 1
        assert sorted((ws.close_code or 0) for ws in (one, two)) == [0, 1013]
        kill(one)
        kill(two)
        await s.nothing_left("client_abort", "client_abort")


async def test_however_sessions_end_nothing_is_left(tmp_path: Path) -> None:
    """Many at once, whose sides close, are killed, break the protocol or are given up, in every order."""
    chance = random.Random(7)

    async def handler(ws: ServerConnection) -> None:
        async for message in ws:
            if message == "close":
                await ws.close(4000, "as you say")
            elif message == "die":
                kill(ws)
            elif message == "break":
                ws.transport.write(b"\x83\x00")
            else:
                await ws.send(message)

    async def one(s: Scene) -> None:
        try:
            async with s.connect(close_timeout=0.2) as ws:
                for _ in range(chance.randrange(4)):
                    await ws.send(os.urandom(chance.randrange(100_000)))
                how = chance.choice(["leave", "kill", "close", "die", "break", "bad", "cancel"])
                if how == "kill":
                    kill(ws)
                elif how == "bad":
                    ws.transport.write(b"\x81\x02hi")
                elif how == "cancel":
                    raise asyncio.CancelledError
                elif how != "leave":
                    await ws.send(how)
                    await end_of(ws)
        except (ConnectionClosed, OSError, asyncio.CancelledError):
            pass

    policy = LIVE.replace("1000", "30")
    async with scene(handler, tmp_path, policy=policy, bounds=Bounds(linger=0.2), max_inflight=25) as s:

        async def many() -> None:
            for _ in range(6):
                with contextlib.suppress(InvalidStatus):  # too many at once
                    await one(s)

        await asyncio.gather(*(many() for _ in range(40)))
        core, upstream = s.g.core, s.relay.upstreams["openai"]
        async with asyncio.timeout(SOON):
            while core.admission.inflight or core.limits.open or upstream.stats.open:
                await asyncio.sleep(0.005)
        assert (core.limits.leases, core.live) == (0, {})
        records = s.g.records()
        assert len(records) == 240
        ends = {record["end"] for record in records}
        assert ends - {"refused"} == {"done", "client_abort", "upstream_error"}
        ruled = [row.request for row in s.g.rows if isinstance(row, Ruled)]
        settled = [row.request for row in s.g.rows if isinstance(row, Settled)]
        assert sorted(ruled) == sorted(settled) == sorted(record["request_id"] for record in records)
    assert [task for task in asyncio.all_tasks() if "tunnel" in repr(task.get_coro())] == []
