"""Whatever breaks, wherever: one record, and nothing left behind. A fault is injected at the k-th await, for all k."""

import asyncio
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from gateway.accounts import Directory
from gateway.app import Gate, build_core
from gateway.edge.core import Core
from gateway.edge.exchange import Aborted
from gateway.ledger.record import Row, Ruled, Settled
from gateway.settings import Settings
from tests.rig import policy_of

POLICY = """
gauger: 1
policy: {id: exits}
limits:
  - {id: few, by: [key], count: requests, rate: 1k requests/min}
  - {id: out, by: [key], count: tokens.output, rate: 100k tokens/min}
  - {id: live, by: [key], count: concurrent, rate: 4 requests}
"""
BODY = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
FAULTS: list[type[BaseException]] = [asyncio.CancelledError, ConnectionResetError, ValueError, Aborted]


class Fault:
    """Raises at the k-th await of a request; counts them where there is none."""

    def __init__(self, at: int, error: type[BaseException]) -> None:
        self.at = at
        self.error = error
        self.passed = 0

    async def point(self) -> None:
        self.passed += 1
        await asyncio.sleep(0)
        if self.passed == self.at:
            raise self.error


def core_with(log: io.BytesIO, state: Path, rows: list[Row]) -> Core:
    given: dict[str, Any] = {"state_dir": state, "pepper": SecretStr("a pepper for this test")}
    core = build_core(Settings(**given), stream=log, rules=(policy_of(POLICY), Directory.empty()))
    core.journal.subscribe(rows.append)
    return core


async def one_request(core: Core, fault: Fault, *, leaves: bool = False, body: bytes = BODY) -> BaseException | None:
    """A request through the gate around a streaming app, in this task. Returns what came out of the gate."""
    pieces = [body[:20], body[20:]]

    async def receive() -> dict[str, Any]:
        await fault.point()
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        await fault.point()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await fault.point()
        await receive()
        heads = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": heads})
        for _ in range(2):
            await send({"type": "http.response.body", "body": b'data: {"choices": []}\n\n', "more_body": True})
        if leaves:
            await receive()
            return
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [
            (b"host", b"h"),
            (b"authorization", b"Bearer sk-1"),
            (b"content-length", b"%d" % len(body)),
        ],
        "client": ("192.0.2.1", 5),
    }
    task = asyncio.ensure_future(Gate(app, core=core)(scope, receive, send))
    await asyncio.wait({task})
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def check(core: Core, log: io.BytesIO, rows: list[Row], requests: int) -> list[dict[str, Any]]:
    for _ in range(5):
        await asyncio.sleep(0)
    assert core.admission.inflight == 0
    assert core.admission.held == 0
    assert core.limits.open == 0
    assert core.limits.leases == 0
    assert not core.live
    ruled = [row.request for row in rows if isinstance(row, Ruled)]
    settled = [row.request for row in rows if isinstance(row, Settled)]
    assert len(ruled) == requests
    assert sorted(ruled) == sorted(settled)
    core.lines.flush()
    records: list[dict[str, Any]] = [orjson.loads(line) for line in log.getvalue().splitlines()]
    assert sorted(record["request_id"] for record in records) == sorted(ruled)
    return records


@pytest.mark.parametrize("leaves", [False, True], ids=["whole", "client leaves"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: error.__name__)
async def test_a_fault_at_any_await_leaves_one_record_and_nothing_else(
    tmp_path: Path, error: type[BaseException], leaves: bool
) -> None:
    log, rows = io.BytesIO(), list[Row]()
    core = core_with(log, tmp_path, rows)
    clean = Fault(0, error)
    assert await one_request(core, clean, leaves=leaves) is None
    awaits = clean.passed
    assert awaits >= 7
    for at in range(1, awaits + 1):
        await one_request(core, Fault(at, error), leaves=leaves)
        await check(core, log, rows, at + 1)
    await core.aclose()


@pytest.mark.parametrize("body", [b"{", b'{"n": 0}', b""], ids=["no JSON", "a wrong field", "empty"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: error.__name__)
async def test_the_same_while_a_refusal_is_being_sent(tmp_path: Path, error: type[BaseException], body: bytes) -> None:
    log, rows = io.BytesIO(), list[Row]()
    core = core_with(log, tmp_path, rows)
    clean = Fault(0, error)
    await one_request(core, clean, body=body)
    for at in range(1, clean.passed + 1):
        await one_request(core, Fault(at, error), body=body)
        await check(core, log, rows, at + 1)
    await core.aclose()


async def test_being_cut_off_at_any_turn_of_the_loop_gives_everything_back(tmp_path: Path) -> None:
    """The server cancels a request's task at shutdown; that can hit any await, also the ones of settling."""
    log, rows = io.BytesIO(), list[Row]()
    core = core_with(log, tmp_path, rows)
    for turns in range(30):
        task = asyncio.ensure_future(one_request(core, Fault(0, ValueError)))
        for _ in range(turns):
            await asyncio.sleep(0)
        inner = [found for found in asyncio.all_tasks() if found not in (task, asyncio.current_task())]
        for found in inner:
            found.cancel()
        await asyncio.wait({task})
    records = await check(core, log, rows, len([row for row in rows if isinstance(row, Ruled)]))
    assert {record["end"] for record in records} == {"done", "timeout"}
    await core.aclose()
