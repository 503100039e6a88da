"""Bounds on what may be in the house at once: bodies, uploads, requests, time; and what a refusal leaves behind."""

import asyncio
from pathlib import Path

import pytest

from tests.edge.chaos import ASK, BODY, HEAD, STREAM, Scene, scene
from tests.edge.evil import Peer, Script, answer, replying
from tests.edge.wire import SOON, Headers, Wire, chunked, values, wire

UPLOAD = b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def holding() -> Script:
    """Answers with a head and no end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(STREAM)
        await peer.gone()

    return script


async def told(w: Wire) -> tuple[int, Headers, bytes]:
    status, headers = await w.head()
    return status, headers, await w.exactly(int(values(headers, b"content-length")[0]))


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 2000\r\n\r\n",  # refused by what it says, before a byte of it came
        b"Content-Length: 2000\r\n\r\n" + b"x" * 2000,
        CHUNKED + chunked(b"x" * 1000, b"x" * 1000),
        CHUNKED + chunked(b"x" * 1025, end=False),  # refused by what came, although more would come
    ],
    ids=["declared", "sent", "chunked", "half chunked"],
)
async def test_a_json_body_over_its_bound_is_a_413(tmp_path: Path, body: bytes) -> None:
    async with scene(replying(answer()), tmp_path, max_body=1024) as s, wire(s.url) as w:
        await w.send(HEAD, body)
        status, headers, said = await told(w)
        assert (status, b"request_too_large" in said) == (413, True)
        assert values(headers, b"x-should-retry") == [b"false"]
        assert not s.model.connections
        (record,) = await s.nothing_left("refused")
        assert (record["verdict"], record["http"]["status"]) == ("reject", 413)


async def test_a_json_body_at_its_bound_passes(tmp_path: Path) -> None:
    body = BODY[:-1] + b" " * (1024 - len(BODY)) + b"}"
    async with scene(replying(answer()), tmp_path, max_body=1024) as s, wire(s.url) as w:
        await w.send(HEAD, CHUNKED, chunked(body[:500], body[500:]))
        assert (await told(w))[0] == 200
        assert s.model.seen[0].body == body
        assert s.model.seen[0].values(b"content-length") == [b"1024"]
        await s.nothing_left("done")


async def test_an_upload_that_says_it_is_too_large_never_reaches_the_model(tmp_path: Path) -> None:
    async with scene(replying(answer()), tmp_path, max_upload=1024) as s, wire(s.url) as w:
        await w.send(UPLOAD, b"Content-Length: 1025\r\n\r\n")
        assert (await told(w))[0] == 413
        assert not s.model.connections
        await s.nothing_left("refused")


async def test_an_upload_that_grows_too_large_is_stopped_on_its_way(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        assert not (await peer.gone()).endswith(b"0\r\n\r\n")

    async with scene(script, tmp_path, max_upload=4096) as s, wire(s.url) as w:
        await w.send(UPLOAD, CHUNKED, chunked(b"x" * 4000, end=False))
        await asyncio.wait_for(s.model.until_open(1), SOON)
        await w.send(chunked(b"x" * 200, end=False))
        status, _, said = await told(w)
        assert (status, b"request_too_large" in said) == (413, True)
        await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left("refused")


async def test_an_upload_at_its_bound_passes(tmp_path: Path) -> None:
    async with scene(replying(answer()), tmp_path, max_upload=4096) as s, wire(s.url) as w:
        await w.send(UPLOAD, CHUNKED, chunked(b"x" * 4096))
        assert (await told(w))[0] == 200
        (record,) = await s.nothing_left("done")
        assert record["http"]["bytes_in"] == 4096


@pytest.mark.parametrize("framing", [b"Content-Length: 6\r\n\r\n", CHUNKED], ids=["length", "chunked"])
async def test_an_upload_that_breaks_off_is_broken_off_upstream(tmp_path: Path, framing: bytes) -> None:
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        await peer.head()
        got.append(await peer.gone())

    async with scene(script, tmp_path) as s, wire(s.url) as w:
        await w.send(UPLOAD, framing, chunked(b"one", end=False) if framing is CHUNKED else b"one")
        await asyncio.wait_for(s.model.until_open(1), SOON)
        w.leave()
        await asyncio.wait_for(s.model.until_open(0), SOON)
        await s.nothing_left("client_abort")
        assert not got[0].endswith(b"0\r\n\r\n")
        assert len(got[0]) < 10


async def test_a_model_that_takes_no_more_of_an_upload_is_a_504(tmp_path: Path) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with scene(script, tmp_path, read_timeout=0.2) as s, wire(s.url) as w:
        size = 50_000_000
        w.writer.write(UPLOAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size)
        status, _, said = await told(w)
        assert (status, b"upstream_timeout" in said) == (504, True)
        (record,) = await s.nothing_left("timeout")
        assert record["http"]["bytes_in"] < size


@pytest.mark.parametrize("sent", [b"", b'{"model": "gpt'], ids=["nothing", "half"])
async def test_a_json_body_that_breaks_off_gives_its_bytes_back(tmp_path: Path, sent: bytes) -> None:
    async with scene(replying(answer()), tmp_path) as s, wire(s.url) as w:
        await w.send(HEAD, b"Content-Length: 100\r\n\r\n", sent)
        while not s.g.core.admission.inflight:
            await asyncio.sleep(0.01)
        w.leave()
        await s.nothing_left("client_abort")
        assert not s.model.connections


async def inside(s: Scene, held: int) -> None:
    async with asyncio.timeout(10):
        while s.g.core.admission.held != held:
            await asyncio.sleep(0.01)


async def test_bodies_have_a_budget_that_they_share(tmp_path: Path) -> None:
    half = b"x" * 600_000
    async with scene(replying(answer()), tmp_path, body_budget=1_048_576) as s, wire(s.url) as one, wire(s.url) as two:
        await one.send(HEAD, b"Content-Length: 700000\r\n\r\n", half)
        await inside(s, 600_000)
        await two.send(HEAD, b"Content-Length: 700000\r\n\r\n", half)
        status, headers, said = await told(two)
        assert (status, b"overloaded" in said) == (503, True)
        assert int(values(headers, b"retry-after")[0]) >= 1
        one.leave()
        await s.nothing_left("refused", "client_abort")


async def test_a_length_that_is_only_announced_takes_nothing_from_the_budget(tmp_path: Path) -> None:
    async with scene(replying(answer()), tmp_path, body_budget=1_048_576) as s, wire(s.url) as one, wire(s.url) as two:
        await one.send(HEAD, b"Content-Length: 1000000\r\n\r\n", b"x")
        await inside(s, 1)
        await two.send(ASK)
        assert (await told(two))[0] == 200
        one.leave()
        await s.nothing_left("done", "client_abort")


async def test_requests_at_once_have_a_bound(tmp_path: Path) -> None:
    async with scene(holding(), tmp_path, max_inflight=2) as s, wire(s.url) as one, wire(s.url) as two:
        for w in (one, two):
            await w.send(ASK)
            await w.head()
        async with wire(s.url) as three:
            await three.send(ASK)
            status, headers, said = await told(three)
            assert (status, b"overloaded" in said) == (503, True)
            assert int(values(headers, b"retry-after")[0]) >= 1
        one.leave()
        async with asyncio.timeout(SOON):
            while s.g.core.admission.inflight > 1:
                await asyncio.sleep(0.01)
        async with wire(s.url) as four:
            await four.send(ASK)
            assert (await four.head())[0] == 200
        two.leave()
        await s.nothing_left("refused", *["client_abort"] * 3)


async def test_a_body_that_trickles_is_a_408(tmp_path: Path) -> None:
    async with scene(replying(answer()), tmp_path, body_timeout=0.2) as s, wire(s.url) as w:
        await w.send(HEAD, b"Content-Length: 100\r\n\r\n", b"{")
        status, headers, said = await told(w)
        assert (status, b"body_timeout" in said) == (408, True)
        assert values(headers, b"connection") == [b"close"]
        await s.nothing_left("refused")


async def test_a_refusal_does_not_invite_the_body_that_it_refuses(tmp_path: Path) -> None:
    policy = "gauger: 1\nidentity: {anonymous: refuse}\n"
    async with scene(replying(answer()), tmp_path, policy=policy) as s, wire(s.url) as w:
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        await w.send(head, b"Content-Length: 100000\r\n\r\n")
        status, headers, _ = await told(w)
        assert status == 401
        assert values(headers, b"connection") == [b"close"]  # the body may come or not: no next request can be told
        await s.nothing_left("refused")


async def test_a_refused_small_body_leaves_the_connection_usable(tmp_path: Path) -> None:
    policy = "gauger: 1\nidentity: {anonymous: refuse}\n"
    async with scene(replying(answer()), tmp_path, policy=policy) as s, wire(s.url) as w:
        await w.send(ASK.replace(b"Authorization: Bearer sk-one\r\n", b""))
        assert (await told(w))[0] == 401
        await w.send(ASK)
        assert (await told(w))[0] == 200
        await s.nothing_left("refused", "done")
