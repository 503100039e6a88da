"""What is the httpx client's own: what it refuses, whose transport it takes, and what a wrong setting is told."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gateway.edge.httpx_upstream import HttpxUpstream
from gateway.edge.pool import H1Upstream
from gateway.edge.transports import make_upstream
from gateway.edge.upstream import Origin, PoolBounds, Upstream, UpstreamError, UpstreamStats, UpstreamTimeouts
from gateway.errors import Mistake
from gateway.settings import Settings
from gateway.settings import load as load_settings
from tests.edge.evil import Evil, Headers, Peer, answer, echoing, fetch, over_httpx, replying

NOTHING = UpstreamStats(open=0, idle=0, waiting=0)
ORIGIN = Origin("http", "model.example", 80)


def asking(handler: Any, **options: Any) -> HttpxUpstream:
    """The client over one transport that all requests share, and that somebody else wrote."""
    transport = httpx.MockTransport(handler)
    return HttpxUpstream(ORIGIN, lambda: transport, shared=True, **options)


@pytest.mark.parametrize(
    "method, headers",
    [(b"get", []), (b"GET", [(b"x", b" a")]), (b"GET", [(b"x", b"a ")]), (b"GET", [(b"x", b"a\x0bb")])],
)
async def test_what_the_library_would_change_or_refuse_is_refused(method: bytes, headers: Headers) -> None:
    async with Evil(echoing()) as server:
        upstream = over_httpx(server)
        with pytest.raises(UpstreamError) as caught:
            await upstream.send(method, b"/", headers)
        assert (caught.value.kind, caught.value.sent) == ("invalid", False)
        assert upstream.stats == NOTHING
        assert server.seen == []


async def test_somebody_elses_transport_is_asked_as_any_client_is() -> None:
    seen: list[httpx.Request] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        await request.aread()
        seen.append(request)
        return httpx.Response(201, headers=[("X-One", "1"), ("x-one", "2")], stream=httpx.ByteStream(b"body"))

    upstream = asking(handler)
    async with await upstream.send(
        b"POST", b"/v1/x?a=%20b", [(b"a", b"b"), (b"te", b"trailers")], b"hello"
    ) as response:
        assert (response.status, response.headers) == (201, [(b"x-one", b"1"), (b"x-one", b"2")])
        assert upstream.stats == UpstreamStats(open=1, idle=0, waiting=0)
        assert await response.read() == b"body"
        assert await response.read() is None
    (request,) = seen
    assert (request.method, request.url.raw_path, request.content) == ("POST", b"/v1/x?a=%20b", b"hello")
    assert request.headers.raw == [(b"host", b"model.example"), (b"a", b"b"), (b"content-length", b"5")]
    assert upstream.stats == NOTHING
    await upstream.aclose()
    with pytest.raises(UpstreamError):
        await fetch(upstream)


async def test_a_target_that_somebody_elses_transport_would_rewrite_is_refused() -> None:
    upstream = asking(lambda request: httpx.Response(200))
    for target in (b"/v1/../admin", b'/"x"', b"/a#b", b"/a?b#c"):
        with pytest.raises(UpstreamError) as caught:
            await upstream.send(b"GET", target, [])
        assert (caught.value.kind, caught.value.sent, upstream.stats) == ("invalid", False, NOTHING)


@pytest.mark.parametrize(
    "error, kind, sent",
    [
        (httpx.ConnectError(""), "connect", False),
        (httpx.ConnectTimeout(""), "timeout_connect", False),
        (httpx.PoolTimeout(""), "timeout_pool", False),
        (httpx.ReadTimeout(""), "timeout_read", True),
        (httpx.WriteTimeout(""), "timeout_read", True),
        (httpx.ReadError(""), "closed", True),
        (httpx.RemoteProtocolError("Server disconnected"), "closed", True),
        (httpx.RemoteProtocolError("illegal header line"), "invalid", True),
        (httpx.UnsupportedProtocol(""), "invalid", False),
        (ConnectionResetError(), "closed", True),
        (TimeoutError(), "timeout_read", True),
    ],
)
async def test_what_is_not_known_of_a_failure_is_taken_for_sent(error: Exception, kind: str, sent: bool) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    upstream = asking(handler)
    with pytest.raises(UpstreamError) as caught:
        await fetch(upstream)
    assert (caught.value.kind, caught.value.sent, upstream.stats) == (kind, sent, NOTHING)


async def test_a_defect_of_a_transport_stays_a_defect_and_leaves_nothing() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise KeyError("defect")

    upstream = asking(handler)
    with pytest.raises(KeyError):
        await fetch(upstream)
    assert upstream.stats == NOTHING


async def test_a_shared_transport_is_bounded_and_cancelled_requests_leave_it() -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    upstream = asking(handler, bounds=PoolBounds(connections=2, waiting=1), timeouts=UpstreamTimeouts(total=0.2))
    tasks = [asyncio.create_task(fetch(upstream)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert upstream.stats == UpstreamStats(open=2, idle=0, waiting=1)
    with pytest.raises(UpstreamError, match="too many"):
        await fetch(upstream)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    late = [each for each in results[1:] if isinstance(each, UpstreamError)]
    assert [(each.kind, each.sent) for each in late] == [("timeout_total", True)] * 2
    assert upstream.stats == NOTHING


async def test_an_answer_that_breaks_off_in_somebody_elses_transport_is_no_end() -> None:
    class Half(httpx.AsyncByteStream):
        closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"half"
            raise httpx.ReadError("")

        async def aclose(self) -> None:
            self.closed = True

    half = Half()
    upstream = asking(lambda _: httpx.Response(200, stream=half))
    response = await upstream.send(b"GET", b"/", [])
    assert await response.read() == b"half"
    with pytest.raises(UpstreamError, match="before its answer was complete"):
        await response.read()
    assert (half.closed, upstream.stats) == (True, NOTHING)


# The setting


def made(tmp_path: Path, url: str = "http://127.0.0.1:1", **settings: Any) -> Upstream:
    return make_upstream(url, Settings(state_dir=tmp_path, **settings))


async def test_the_setting_chooses_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def with_settings(settings: Settings) -> httpx.AsyncBaseTransport:
        given.append(settings)
        return httpx.MockTransport(lambda request: httpx.Response(200, stream=httpx.ByteStream(b"mine")))

    module = SimpleNamespace(make=with_settings, Own=httpx.AsyncHTTPTransport)
    monkeypatch.setitem(sys.modules, "a_transport_of_mine", module)
    assert isinstance(made(tmp_path), H1Upstream)
    async with Evil(echoing()) as server:
        url = f"http://127.0.0.1:{server.port}"
        for name in ("httpx", "httpx:AsyncHTTPTransport", "a_transport_of_mine:Own"):
            upstream = made(tmp_path, url, transport=name)
            assert isinstance(upstream, HttpxUpstream)
            assert await fetch(upstream, b"/x/../y") == (200, b"GET /x/../y HTTP/1.1")
            assert upstream.stats.idle == 1
            await upstream.aclose()
            await server.until_open(0)
    upstream = made(tmp_path, transport="a_transport_of_mine:make")
    assert await fetch(upstream) == (200, b"mine")
    assert isinstance(given[0], Settings)


@pytest.mark.parametrize(
    "name, said",
    [
        ("no_such_package.x:make", "there is no module no_such_package"),
        ("httpx:nothing_such", "nothing of that name"),
        ("httpx:__version__", "can't be called"),
        ("httpx:Headers", "made a Headers"),
        ("httpx:URL", "made a URL"),
        ("tests.edge.test_httpx_upstream:broken", "broken failed: OSError: no way"),
    ],
)
def test_a_transport_that_cant_be_had_is_a_mistake(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(Mistake, match=said) as caught:
        made(tmp_path, transport=name)
    assert caught.value.place == "transport"


def broken() -> httpx.AsyncBaseTransport:
    raise OSError("no way")


def test_a_transport_that_is_no_name_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGER_TRANSPORT", "h2")
    with pytest.raises(Mistake, match=r"transport \(GAUGER_TRANSPORT\): is h1, httpx, or package.module:factory"):
        load_settings()


# A proxy


async def test_an_http_proxy_gets_the_whole_target_and_the_models_host(tmp_path: Path) -> None:
    async with Evil(replying(answer(b"through"))) as proxy:
        at = SecretStr(f"http://me:hunter2@127.0.0.1:{proxy.port}")
        upstream = made(tmp_path, "http://model.example", transport="httpx", upstream_proxy=at)
        for _ in range(2):
            assert await fetch(upstream, b"/v1/x/../y?a=%20|") == (200, b"through")
        assert proxy.connections == 1
        seen = proxy.seen[0]
        assert seen.line == b"GET http://model.example/v1/x/../y?a=%20| HTTP/1.1"
        assert seen.values(b"host") == [b"model.example"]
        assert seen.values(b"proxy-authorization") == [b"Basic bWU6aHVudGVyMg=="]
        await upstream.aclose()


@pytest.mark.parametrize("refuses", [True, False])
async def test_a_proxy_that_makes_no_tunnel_gets_no_request(tmp_path: Path, refuses: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if refuses:
            await peer.write(answer(b"", status=b"407 Proxy Authentication Required"))
            await peer.gone()

    async with Evil(script) as proxy:
        at = SecretStr(f"http://127.0.0.1:{proxy.port}")
        upstream = made(tmp_path, "https://model.example", transport="httpx", upstream_proxy=at)
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream, method=b"POST", body=b"secret")
        assert (caught.value.sent, upstream.stats) == (False, NOTHING)
        assert [seen.line for seen in proxy.seen] == [b"CONNECT model.example:443 HTTP/1.1"]
        await proxy.until_open(0)


def test_a_proxy_that_makes_no_sense_is_a_mistake_without_its_password(tmp_path: Path) -> None:
    for transport, proxy in (
        ("httpx", "ftp://me:hunter2@a"),
        ("httpx", "me:hunter2@[a"),
        ("h1", "http://me:hunter2@a"),
    ):
        with pytest.raises(Mistake) as caught:
            made(tmp_path, transport=transport, upstream_proxy=SecretStr(proxy))
        assert caught.value.place == "upstream_proxy"
        assert "hunter2" not in f"{caught.value}{caught.value.hint}"
