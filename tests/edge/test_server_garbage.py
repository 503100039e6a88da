"""What a request leaves for the collector: nothing, so that no body or answer waits in memory for it to come by."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.edge.chaos import ASK, BODY, HEAD, STREAM, Scene, scene
from tests.edge.evil import Peer, answer
from tests.edge.wire import Wire, chunked, wire

PLAIN = BODY.replace(b', "stream": true', b"")
EVENT = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'


@contextmanager
def garbage() -> Iterator[Counter[str]]:
    """Kinds of objects of the gateway's own, made inside the block, that only the collector could free after it."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith("gateway."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def script(peer: Peer) -> None:
    while True:
        seen = await peer.request()
        if b"stream" in seen.body:
            await peer.write(STREAM, chunked(EVENT, EVENT, b"data: [DONE]\n\n"))
        else:
            await peer.write(answer(b'{"usage": {"prompt_tokens": 1}}', b"Content-Type: application/json"))


async def ask(w: Wire, end: str) -> None:
    if end == "refused":
        await w.send(HEAD + b"Content-Length: 3\r\n\r\n{]}")
        await w.head()
    elif end == "aborted":
        await w.send(ASK)
        await w.head()
        w.leave()
    elif end == "half a body":
        await w.send(HEAD + b"Content-Length: 99\r\n\r\n{")
        w.leave()
    else:
        await w.send(ASK)
        await w.head()
        while await w.chunk():
            pass
        await w.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(PLAIN) + PLAIN)
        _, headers = await w.head()
        await w.exactly(int(dict(headers)[b"content-length"]))


async def over(s: Scene, records: int) -> None:
    async with asyncio.timeout(10):
        while s.g.core.admission.inflight or len(s.g.records()) < records:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # the loop's own hold on what it has called


@pytest.mark.parametrize("end", ["whole", "refused", "aborted", "half a body"])
async def test_a_request_leaves_nothing_to_the_collector(tmp_path: Path, end: str) -> None:
    async with scene(script, tmp_path) as s:
        async with wire(s.url) as w:
            await ask(w, end)
        await over(s, 1)
        with garbage() as found:
            for _ in range(3):
                async with wire(s.url) as w:
                    await ask(w, end)
            await over(s, 4)
        assert found == {}
