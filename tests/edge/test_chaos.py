"""The gate around the relay when clients and model servers fail: the right end, one record, and nothing left over."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.edge.chaos import ASK, BODY, STREAM, scene
from tests.edge.evil import Peer, Script, answer
from tests.edge.wire import SOON, chunked, values, wire

EVENT = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'


def streaming(count: int) -> Script:
    """Sends the head and `count` events, then nothing more until the client hangs up."""

    async def script(peer: Peer) -> None:
        await peer.request()
        if count >= 0:
            await peer.write(STREAM, chunked(*[EVENT] * count, end=False))
        await peer.gone()

    return script


@pytest.mark.parametrize("count", [-1, 0, 1, 2, 5])
async def test_a_client_that_leaves_is_followed_at_once(tmp_path: Path, count: int) -> None:
    async with scene(streaming(count), tmp_path) as s, wire(s.url) as w:
        await w.send(ASK)
        await asyncio.wait_for(s.model.until_open(1), SOON)
        if count < 0:
            while not s.model.seen:
                await asyncio.sleep(0.01)
        else:
            await w.head()
        seen = b""
        while len(seen) < count * len(EVENT):  # one chunk of ours may hold several of theirs
            seen += await w.chunk()
        w.leave()
        await asyncio.wait_for(s.model.until_open(0), SOON)
        (record,) = await s.nothing_left("client_abort")
        assert record["usage"]["output"] >= count


async def test_a_client_that_leaves_an_endless_stream_ends_it(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        while True:
            await peer.write(chunked(EVENT, end=False))
            await asyncio.sleep(0)

    async with scene(script, tmp_path) as s, wire(s.url) as w:
        await w.send(ASK)
        await w.head()
        for _ in range(50):
            await w.chunk()
        w.leave()
        await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left("client_abort")


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
BEFORE_THE_HEAD = {
    "nothing at all": (b"", "upstream_unreachable"),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", "upstream_unreachable"),
    "garbage": (b"\x16\x03\x01\x00\xff garbage\r\n\r\n", "upstream_invalid"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "upstream_invalid"),
    "two framings": (
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "upstream_invalid",
    ),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", "upstream_invalid"),
    "a switch of protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "upstream_invalid"),
    "a head without end": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000, "upstream_invalid"),
}


@pytest.mark.parametrize(("raw", "code"), BEFORE_THE_HEAD.values(), ids=BEFORE_THE_HEAD)
async def test_a_model_that_fails_before_its_head_is_a_502(tmp_path: Path, raw: bytes, code: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(raw)

    async with scene(script, tmp_path) as s, httpx.AsyncClient() as client:
        got = await client.post(f"{s.url}/v1/chat/completions", content=BODY)
        assert (got.status_code, got.json()["error"]["code"]) == (502, code)
        (record,) = await s.nothing_left("upstream_error")
        assert record["level"] == "warning"
        assert len(s.model.seen) == 1  # a POST that may have been paid for is not sent twice


AFTER_THE_HEAD = {
    "half of its length": OK + b"Content-Length: 10\r\n\r\nhalf",
    "half a chunk": STREAM + chunked(b"half", end=False) + b"ff\r\nmore",
    "no last chunk": STREAM + chunked(b"half", end=False),
    "a chunk size that is none": STREAM + chunked(b"half", end=False) + b"zz\r\nmore\r\n0\r\n\r\n",
    "a chunk size that overflows": STREAM + chunked(b"half", end=False) + b"fffffffffffffffff1\r\nmore\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("raw", AFTER_THE_HEAD.values(), ids=AFTER_THE_HEAD)
async def test_a_model_that_fails_after_its_head_breaks_the_answer_off(tmp_path: Path, raw: bytes, reset: bool) -> None:
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(raw)
        await read.wait()
        if reset:
            peer.reset()

    async with scene(script, tmp_path) as s, wire(s.url) as w:
        await w.send(ASK)
        status, headers = await w.head()
        assert status == 200
        first = await w.exactly(4) if values(headers, b"content-length") else await w.chunk()
        assert first[:4] == b"half"
        read.set()
        assert not (await w.rest()).endswith(b"0\r\n\r\n")
        await s.nothing_left("upstream_error")


async def test_what_comes_after_an_answer_reaches_nobody(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.write(answer(b"ok"), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")

    async with scene(script, tmp_path) as s, wire(s.url) as w:
        for _ in range(3):
            await w.send(ASK)
            assert (await w.head())[0] == 200
            assert await w.exactly(2) == b"ok"
        await s.nothing_left("done", "done", "done")
        assert s.model.connections == 3


@pytest.mark.parametrize("bound", ["read_timeout", "total_timeout"])
async def test_a_model_that_is_silent_is_a_504(tmp_path: Path, bound: str) -> None:
    settings: dict[str, Any] = {bound: 0.1}
    async with scene(streaming(-1), tmp_path, **settings) as s, httpx.AsyncClient() as client:
        got = await client.post(f"{s.url}/v1/chat/completions", content=BODY)
        assert (got.status_code, got.json()["error"]["code"]) == (504, "upstream_timeout")
        await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left("timeout")


async def test_a_stream_that_falls_silent_is_broken_off(tmp_path: Path) -> None:
    async with scene(streaming(2), tmp_path, read_timeout=0.2) as s, wire(s.url) as w:
        await w.send(ASK)
        await w.head()
        said = await w.rest()
        assert said.count(EVENT[:-1]) == 2
        assert not said.endswith(b"0\r\n\r\n")
        await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left("timeout")


async def test_a_client_that_does_not_read_makes_the_model_wait(tmp_path: Path) -> None:
    block, total = b"x" * 65_536, 50 * 1_048_576
    sent = 0
    stalled = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            peer.writer.write(block)
            sent += len(block)
            try:
                await asyncio.wait_for(peer.writer.drain(), 0.5)
            except TimeoutError:
                stalled.set()
                await peer.writer.drain()
        await peer.gone()

    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    narrow.setblocking(False)
    async with scene(script, tmp_path) as s:
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", s.g.port))
        reader, writer = await asyncio.open_connection(sock=narrow)
        writer.write(ASK)
        await asyncio.wait_for(stalled.wait(), 10)
        assert sent < total / 2
        await reader.readuntil(b"\r\n\r\n")
        got = 0
        while got < total:
            got += len(await asyncio.wait_for(reader.read(1_048_576), 10))
        assert sent == got == total
        writer.transport.abort()
        (record,) = await s.nothing_left("done")
        assert record["http"]["bytes_out"] == total


async def test_a_full_pool_is_a_503_that_says_when(tmp_path: Path) -> None:
    async with scene(streaming(1), tmp_path, pool_size=1, pool_waiting=0) as s, wire(s.url) as w:
        await w.send(ASK)
        await w.head()
        async with httpx.AsyncClient() as client:
            got = await client.post(f"{s.url}/v1/chat/completions", content=BODY)
        assert (got.status_code, got.json()["error"]["code"]) == (503, "upstream_busy")
        assert int(got.headers["retry-after"]) >= 1
        w.leave()
        await s.nothing_left("upstream_error", "client_abort")


async def test_a_wait_for_a_connection_ends_with_its_time_or_its_client(tmp_path: Path) -> None:
    async with scene(streaming(1), tmp_path, pool_size=1, pool_waiting=2, pool_wait=0.3) as s:
        upstream = s.relay.upstreams["openai"]
        async with wire(s.url) as w, wire(s.url) as leaves, wire(s.url) as waits:
            await w.send(ASK)
            await w.head()
            await leaves.send(ASK)
            await waits.send(ASK)
            while upstream.stats.waiting < 2:
                await asyncio.sleep(0.01)
            leaves.leave()
            assert (await waits.head())[0] == 503
            assert upstream.stats.waiting == 0
            w.leave()
            await s.nothing_left("client_abort", "upstream_error", "client_abort")


async def test_many_requests_share_few_connections(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            seen = await peer.request()
            await peer.write(answer(seen.values(b"x-number")[0]))

    async with scene(script, tmp_path, pool_size=20, pool_wait=60.0) as s:

        async def one(number: int) -> bytes:
            async with wire(s.url) as w:
                await w.send(ASK.replace(b"Host", b"X-Number: %d\r\nHost" % number))
                _, headers = await w.head()
                return await w.exactly(int(values(headers, b"content-length")[0]))

        assert await asyncio.gather(*map(one, range(200))) == [b"%d" % number for number in range(200)]
        await s.nothing_left(*["done"] * 200)
        assert s.model.connections <= 20


async def test_a_model_that_hangs_up_between_requests_is_asked_again(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(answer())  # and closes, without having said so

    async with scene(script, tmp_path) as s, wire(s.url) as w:
        for _ in range(5):
            await w.send(ASK)
            status, headers = await w.head()
            await w.exactly(int(values(headers, b"content-length")[0]))
            assert status == 200
            await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left(*["done"] * 5)
