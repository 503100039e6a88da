"""TLS to the model server: verified, named, and honest about where a stream ended."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from gateway.edge.pool import tls_context
from gateway.edge.upstream import UpstreamError, UpstreamStats, UpstreamTimeouts
from tests.edge.evil import Client, Evil, Peer, echoing, fetch


class Names:
    """A certificate authority, a server's context for `localhost`, and a client's that trusts the authority."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.set_alpn_protocols(["h2", "http/1.1"])
        authority.issue_cert("localhost").configure_cert(self.server)
        self.asked: list[str | None] = []
        self.server.sni_callback = lambda _, name, __: self.asked.append(name)
        file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(file))
        self.client = tls_context(file)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Names:
    return Names(tmp_path_factory.mktemp("ca"))


async def test_a_verified_server_is_asked_by_name_and_its_connection_is_reused(client: Client, names: Names) -> None:
    async with Evil(echoing(), tls=names.server) as server:
        names.asked.clear()
        upstream = client(server, tls=names.client, host="localhost")
        for _ in range(3):
            assert await fetch(upstream, b"/x") == (200, b"GET /x HTTP/1.1")
        assert (server.connections, names.asked) == (1, ["localhost"])
        await upstream.aclose()
        await server.until_open(0)


async def test_http2_is_never_chosen(client: Client, names: Names) -> None:
    chosen: list[str | None] = []

    async def script(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await echoing()(peer)

    async with Evil(script, tls=names.server) as server:
        upstream = client(server, tls=names.client, host="localhost")
        await fetch(upstream)
        assert chosen == ["http/1.1"]
        await upstream.aclose()


async def test_a_server_that_nobody_vouches_for_gets_no_request(client: Client, names: Names) -> None:
    async with Evil(echoing(), tls=names.server) as server:
        upstream = client(server, tls=tls_context(), host="localhost")
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent) == ("tls", False)
        assert "localhost" not in str(caught.value)
        assert (server.seen, upstream.stats) == ([], UpstreamStats(open=0, idle=0, waiting=0))


async def test_a_certificate_for_another_host_gets_no_request(client: Client, names: Names) -> None:
    async with Evil(echoing(), tls=names.server) as server:
        upstream = client(server, tls=names.client, host="127.0.0.1")
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent) == ("tls", False)
        assert (server.seen, upstream.stats.open) == ([], 0)


async def test_a_handshake_that_does_not_end_meets_the_connect_time_out(client: Client, names: Names) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with Evil(script) as server:  # speaks no TLS, and says nothing
        upstream = client(server, tls=names.client, host="localhost", timeouts=UpstreamTimeouts(connect=0.1))
        with pytest.raises(UpstreamError) as caught:
            await fetch(upstream)
        assert (caught.value.kind, caught.value.sent, upstream.stats.open) == ("timeout_connect", False, 0)
        await server.until_open(0)


async def test_cancelling_a_handshake_frees_its_slot(client: Client, names: Names) -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with Evil(script) as server:
        upstream = client(server, tls=names.client, host="localhost")
        task = asyncio.create_task(fetch(upstream))
        await server.until_open(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert upstream.stats.open == 0
        await server.until_open(0)
        await upstream.aclose()


@pytest.mark.parametrize("honest", [True, False])
async def test_a_body_to_the_end_of_the_connection_must_end_with_tlss_own_word(
    client: Client, names: Names, honest: bool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        if not honest:
            peer.cut()
            await peer.gone()

    async with Evil(script, tls=names.server) as server:
        upstream = client(server, tls=names.client, host="localhost")
        response = await upstream.send(b"GET", b"/", [])
        assert await response.read() == b"half"
        if honest:
            assert await response.read() is None
        else:
            with pytest.raises(UpstreamError) as caught:
                await response.read()
            assert caught.value.kind == "closed"
        await response.aclose()
        await server.until_open(0)


async def test_a_large_body_goes_up_whole(client: Client, names: Names) -> None:
    body = bytes(range(256)) * 16_000
    async with Evil(echoing(), tls=names.server) as server:
        upstream = client(server, tls=names.client, host="localhost")
        for _ in range(2):
            assert await fetch(upstream, b"/", method=b"POST", body=body) == (200, b"POST / HTTP/1.1")
        assert [seen.body == body for seen in server.seen] == [True, True]
        assert server.connections == 1
        await upstream.aclose()
