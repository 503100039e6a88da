"""`gauger serve` killed in the middle of everything, and started again on the same ledger."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from click.testing import Result

from gateway.ledger.record import Opened, Resumed, Ruled, Settled
from gateway.stores.segments import read_rows
from gateway.stores.snapshot import snapshots
from tests.cli.process import Served, serving

POLICY = """
gauger: 1
policy: {id: killed}
limits:
  - {id: daily, by: [account], count: requests, rate: 100000 requests/day, window: calendar}
  - {id: few, by: [account, model], count: requests, rate: 3 requests/week, burst: 3 requests}
  - {id: live, by: [account], count: concurrent, rate: 2 requests, lease: 15 min}
rules:
  - {id: busy, when: hour.requests > 20 or day.output_tokens > 1000, then: {tag: [busy]}}
  - {id: slow, when: hour.requests > 40, then: {throttle: {limit: daily, to: 50%, for: 10 min}}}
"""
CLIENTS = 8
Run = Callable[..., Result]
ANSWER = orjson.dumps(
    {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "A word, then."}}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }
)


class Model(asyncio.Protocol):
    """A model server without request ids of its own, so the gateway's are seen. Some requests it never answers."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.held = transport, b""

    def data_received(self, data: bytes) -> None:
        self.held += data
        while (end := self.held.find(b"\r\n\r\n") + 4) >= 4:
            start = self.held.lower().index(b"content-length:") + 15
            size = end + int(self.held[start:end].split(b"\r\n")[0])
            if len(self.held) < size:
                return
            body, self.held = self.held[end:size], self.held[size:]
            if b'"stuck-' not in body:
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                self.transport.write(head % len(ANSWER) + ANSWER)


async def ask(client: httpx.AsyncClient, url: str, key: int | str, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": f"Say a word to {key}."}]}
    return await client.post(
        f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer sk-{key}"}, timeout=20
    )


async def asking(url: str, key: int, done: list[str]) -> None:
    """One caller, one request after the other, until the gateway is gone."""
    async with httpx.AsyncClient() as client:
        while True:
            try:
                got = await ask(client, url, key % 4, f"model-{len(done)}")
            except httpx.TransportError:
                return
            assert got.status_code == 200
            done.append(got.headers["x-request-id"])


async def killed(served: Served, folder: Path, done: list[str]) -> None:
    """Load, two more snapshots, requests that nobody answers, and the end."""
    url, before = served.url, set(snapshots(folder))
    calls = [asyncio.create_task(asking(url, key, done)) for key in range(CLIENTS)]
    async with httpx.AsyncClient() as client:
        stuck = [asyncio.create_task(ask(client, url, "stuck", f"stuck-{at}")) for at in range(2)]
        while len(set(snapshots(folder)) - before) < 2 or len(done) < 200:
            await asyncio.sleep(0.01)
        assert (await ask(client, url, "stuck", "more")).status_code == 429  # both places are taken
        served.signal(signal.SIGKILL)
        await asyncio.gather(*calls)
        ended = await asyncio.gather(*stuck, return_exceptions=True)
        assert all(isinstance(each, httpx.TransportError) for each in ended)
    served.wait()


@pytest.mark.parametrize("interval, kills", [("0.2", 2), ("0", 1)])
async def test_kill_9_under_load_loses_no_more_than_what_was_under_way(
    tmp_path: Path, interval: str, kills: int, run: Run
) -> None:
    folder, policy = tmp_path / "led", tmp_path / "killed.yaml"
    policy.write_text(POLICY)
    model = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", 0)
    given = ["--upstream", f"http://127.0.0.1:{model.sockets[0].getsockname()[1]}", "--policy", str(policy)]
    given += ["--ledger", str(folder)]
    done: list[str] = []
    for turn in range(kills):
        with serving(tmp_path, *given, GAUGER_SNAPSHOT_INTERVAL="0.2") as served:
            async with httpx.AsyncClient() as client:
                if not turn:
                    for _ in range(3):
                        assert (await ask(client, served.url, "spent", "m")).status_code == 200
                assert (await ask(client, served.url, "spent", "m")).status_code == 429
            await killed(served, folder, done)
        settled = {row.request for row in read_rows(folder) if isinstance(row, Settled)}
        lost = [request for request in done if request not in settled]
        assert len(lost) <= CLIENTS
        done = [request for request in done if request in settled]
    if interval == "0":
        for path in snapshots(folder):
            path.unlink()
    with serving(tmp_path, *given, GAUGER_SNAPSHOT_INTERVAL=interval) as served:
        said = orjson.loads(served.hear('"event":"restored"').string)
        assert said["service"]["instance"]
        assert (said["snapshot"] > 0) == (interval != "0")
        assert (said["open"] >= 2, said["rows"] > 0) == (True, True)
        assert "differences" not in said
        async with httpx.AsyncClient() as client:
            assert (await ask(client, served.url, "spent", "m")).status_code == 429  # what was spent stays so
            assert (await ask(client, served.url, 0, "new")).status_code == 200
            assert (await ask(client, served.url, "stuck", "new")).status_code == 200  # leases are free again
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
    model.close()
    rows = list(read_rows(folder))
    assert sum(isinstance(row, Opened) for row in rows) == 1
    assert sum(isinstance(row, Resumed) for row in rows) == kills
    known = next(row for row in rows if isinstance(row, Ruled) and row.facts.seen.model == "new")
    assert known.verdict.effects.tags == ("busy",)  # what it did before the kills is not forgotten
    story = run("explain", known.facts.caller.account, "--ledger", str(folder))
    assert (story.exit_code, "starts of the gateway" in story.output) == (0, False), story.output
    proof = run("verify", str(folder))
    assert (proof.exit_code, f"of {kills + 1} starts, {kills} of which went on" in proof.output) == (0, True), (
        proof.output
    )
    replay = run("replay", str(folder), "--json", str(tmp_path / "replay.json"))
    assert replay.exit_code == 0, replay.output
    tally = orjson.loads((tmp_path / "replay.json").read_bytes())["tally"]
    assert (tally["differences"], tally["after_gap"], tally["gaps"], tally["resumed"]) == (0, 0, 0, kills)
    assert tally["compared"] == tally["requests"] > len(done)
