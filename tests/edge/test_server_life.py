"""A server's life: start, several in one loop, drain, and the mistakes that stop it before it listens."""

import asyncio
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.edge.server import Bounds, bounds_of, make_server, run
from gateway.errors import Mistake
from gateway.settings import Settings
from tests.conformance.rig import talk

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class App:
    """Waits for `go` before each answer, and notes what happened in order."""

    def __init__(self, *, open_gate: bool = True) -> None:
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.notes: list[str] = []
        if open_gate:
            self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self.notes.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # what a settlement needs
            self.notes.append("cancelled")
            raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        self.notes.append("answered")


async def test_two_servers_run_in_one_loop_and_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    servers = [make_server(App()), make_server(App())]
    stop, up = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run(servers, stop, started=up.set))
    await asyncio.wait_for(up.wait(), 5)
    replies = [await talk(("127.0.0.1", server.port), [GET]) for server in servers]
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert [reply.bodies for reply in replies] == [[b"ok"], [b"ok"]]
    assert servers[0].url == f"http://127.0.0.1:{servers[0].port}"
    assert before == during == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))


async def test_a_drain_lets_running_requests_end_and_closes_idle_connections() -> None:
    app = App(open_gate=False)
    server = make_server(app)
    stop, up = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run([server], stop, started=up.set, drain_timeout=20))
    await asyncio.wait_for(up.wait(), 5)
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", server.port)
    running = asyncio.create_task(talk(("127.0.0.1", server.port), [GET], quiet=1.0))
    await asyncio.wait_for(app.begun.wait(), 5)
    stop.set()
    assert await asyncio.wait_for(idle.read(), 5) == b""
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", server.port)
    app.go.set()
    reply = await running
    await asyncio.wait_for(task, 5)
    idle_writer.close()
    assert (reply.bodies, reply.closed) == ([b"ok"], True)
    assert b"connection: close" in reply.raw
    assert app.notes == ["answered", "shutdown"]


async def test_what_does_not_end_in_time_is_cut_off_before_the_app_shuts_down() -> None:
    app = App(open_gate=False)
    server = make_server(app)
    stop, up = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run([server], stop, started=up.set, drain_timeout=0.05))
    await asyncio.wait_for(up.wait(), 5)
    running = asyncio.create_task(talk(("127.0.0.1", server.port), [GET]))
    await asyncio.wait_for(app.begun.wait(), 5)
    stop.set()
    await asyncio.wait_for(task, 5)
    reply = await running
    assert (reply.raw, reply.closed) == (b"", True)
    assert app.notes == ["cancelled", "shutdown"]


async def test_a_port_in_use_is_a_mistake_and_stops_the_other_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        good = make_server(App())
        bad = make_server(App(), "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(Mistake, match="can't listen on"):
            await run([bad, good], asyncio.Event())
    if good.port:
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", good.port)


async def test_an_app_that_does_not_start_is_a_mistake() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": ""})

    with pytest.raises(Mistake, match="failed to start"):
        await run([make_server(app)], asyncio.Event())


def test_without_the_strict_parser_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gateway.edge.protocol", "gateway.edge.cycle", "uvicorn.protocols.http.httptools_impl"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(Mistake, match="strict HTTP parser"):
        make_server(App())


async def test_tls_is_spoken_with_the_files_of_the_bounds(tmp_path: Path) -> None:
    authority = trustme.CA()
    cert = authority.issue_cert("127.0.0.1")
    cert.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    cert.private_key_pem.write_to_path(tmp_path / "key.pem")
    given: dict[str, Any] = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    settings = Settings(**given)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server = make_server(App(), "127.0.0.1", 0, bounds_of(settings))
    async with server.listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert server.url.startswith("https://")
    assert bounds_of(settings, tls=False).tls_cert is None


def test_a_certificate_that_can_not_be_read_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="certificate"):
        make_server(App(), "127.0.0.1", 0, Bounds(tls_cert=tmp_path / "none.pem", tls_key=tmp_path / "none.pem"))
