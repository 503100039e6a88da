"""The gateway is an ASGI app: it runs unchanged under other servers than its own."""

import asyncio
import importlib.util
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest

from gateway import standin

ROOT = Path(__file__).parent.parent.parent
POLICY = """
gauger: 1
policy: {id: elsewhere}
limits:
  - {id: few, by: [key], count: requests, rate: 2 requests/h, burst: 2 requests}
  - {id: live, by: [key], count: concurrent, rate: 9 requests}
"""
APP = "from gateway import Gate, Relay; from gateway.settings import load; s = load()[0]; app = Gate(Relay(None, s), s)"

ENDS = ("done", "client_abort")  # of a stream whose reader left: it may all have been on its way by then

Command = Callable[[int], Sequence[str]]
SERVERS: dict[str, tuple[str, Command]] = {
    "uvicorn-h11": ("uvicorn", lambda port: ["--http", "h11", "--loop", "asyncio", "--port", str(port)]),
    "uvicorn-httptools": ("uvicorn", lambda port: ["--http", "httptools", "--loop", "uvloop", "--port", str(port)]),
    "granian": ("granian", lambda port: ["--interface", "asgi", "--loop", "asyncio", "--port", str(port)]),
    "hypercorn": ("hypercorn", lambda port: ["--bind", f"127.0.0.1:{port}"]),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def served(name: str, folder: Path) -> AsyncIterator[str]:
    """The gateway's URL under that server, in a process of its own, in front of the stand-in model."""
    module, command = SERVERS[name]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install {module}")
    (folder / "elsewhere.py").write_text(APP)
    (folder / "policy.yaml").write_text(POLICY)
    port = free_port()
    async with standin.serving() as model:
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "GAUGER_UPSTREAM": model.url,
            "GAUGER_POLICY": str(folder / "policy.yaml"),
            "GAUGER_STATE_DIR": str(folder),
            "GAUGER_LEDGER": str(folder / "ledger"),
        }
        with (folder / "lines").open("wb") as out, (folder / "log").open("wb") as log:
            arguments = [sys.executable, "-m", module, "elsewhere:app", *command(port)]
            process = await asyncio.create_subprocess_exec(*arguments, env=env, cwd=folder, stdout=out, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            async with asyncio.timeout(30), httpx.AsyncClient() as client:
                while True:
                    try:
                        await client.get(f"{url}/v1/models")
                        break
                    except httpx.TransportError:
                        assert process.returncode is None, (folder / "log").read_text()
                        await asyncio.sleep(0.05)
            yield url
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.wait(), 30)


@pytest.mark.parametrize("name", SERVERS)
async def test_it_runs_unchanged_under_another_server(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as url:
        one = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-one", max_retries=0)
        words: Any = [{"role": "user", "content": "hello"}]
        answer = await one.chat.completions.create(model="gpt-4o-mini", messages=words)
        assert answer.choices[0].message.content
        stream = await one.chat.completions.create(model="gpt-4o-mini", messages=words, stream=True)
        assert len([event async for event in stream]) > 2
        with pytest.raises(openai.RateLimitError) as refused:
            await one.chat.completions.create(model="gpt-4o-mini", messages=words)
        assert refused.value.response.headers["retry-after"]
        async with httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer sk-two"}) as client:
            raw = '{"model": "m", "model": "n", "messages": []}'
            assert (await client.post("/v1/chat/completions", content=raw)).status_code == 400
            assert (await client.get("/v1/x/%2e%2e/y")).status_code == 400
            body = {"model": "gpt-4o-mini", "messages": words, "stream": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                await anext(response.aiter_raw())  # and leaves
        other = anthropic.AsyncAnthropic(base_url=url, api_key="sk-ant-three", max_retries=0)
        message = await other.messages.create(model="claude-x", max_tokens=9, messages=words)
        assert message.usage.output_tokens
        await one.close()
        await other.close()
        async with asyncio.timeout(10):
            while len(lines := written(tmp_path)) < 8:
                await asyncio.sleep(0.02)
    asked = [line for line in lines if line["account"]["source"] == "key"]  # the others: is it there, and a wrong path
    assert [line["http"]["status"] for line in asked] == [200, 200, 429, 400, 200, 200]
    assert [line["end"] for line in asked] in (["done", "done", "refused", "refused", end, "done"] for end in ENDS)
    assert list((tmp_path / "ledger").iterdir())


def written(folder: Path) -> list[dict[str, Any]]:
    """The request lines so far."""
    return [orjson.loads(line) for line in (folder / "lines").read_bytes().splitlines() if line.startswith(b"{")]
