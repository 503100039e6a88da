"""`deploy/nginx.conf` and `deploy/envoy.yaml` send each key to one gateway, and change nothing on the way."""

import asyncio
import contextlib
import json
import random
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.conformance.conftest import SHORT
from tests.conformance.hostile_wire import CASES
from tests.conformance.rig import Upstream, talk
from tests.conformance.test_hostile import outcome
from tests.deploy.routed import DEPLOY, KINDS, LACKING, SOON, Member, free_port, member, nginx_file, program, proxy
from tests.edge.wire import wire
from tests.rig import gateway

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("routing")]

KEYS = [f"sk-{random.Random(n).getrandbits(120):030x}" for n in range(160)]
CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"
ASKED = {"contents": [{"parts": [{"text": "hello"}]}]}
TOLD = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


@dataclass
class Site:
    """Four gateways, a proxy that knows the first three of them, and one that knows all."""

    kind: str
    members: list[Member]
    three: int
    four: int

    @property
    def fleet(self) -> dict[str, Member]:
        return {made.name: made for made in self.members}


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("routing")
    async with contextlib.AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(f"g{n}", folder / f"g{n}")) for n in range(4)]
        ends = [(made.port, made.ops_port) for made in members]
        three = await stack.enter_async_context(proxy(request.param, folder / "three", ends[:3]))
        four = await stack.enter_async_context(proxy(request.param, folder / "four", ends))
        yield Site(request.param, members, three, four)


@contextlib.asynccontextmanager
async def caller(port: int, address: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(local_address=address, limits=httpx.Limits(max_connections=16))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=SOON) as client:
        yield client


async def asked(client: httpx.AsyncClient, path: str, body: Any, **headers: str) -> str:
    """The name of the gateway that a request came to."""
    answer = await client.post(path, json=body, headers={name.replace("_", "-"): v for name, v in headers.items()})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["gateway"])


async def places(port: int, keys: Sequence[str] = KEYS) -> dict[str, str]:
    """Key -> name of its gateway."""
    async with caller(port) as client:
        names = await asyncio.gather(*(asked(client, CHAT, BODY, authorization=f"Bearer {key}") for key in keys))
    return dict(zip(keys, names, strict=True))


async def test_a_key_has_one_gateway_wherever_it_stands_and_whatever_it_asks(site: Site) -> None:
    async with caller(site.three) as client:
        for key in KEYS[:6]:
            found = [
                await asked(client, CHAT, BODY, authorization=f"Bearer {key}"),
                await asked(client, CHAT, BODY, authorization=f"bearer   {key} what follows a blank"),
                await asked(client, "/v1/embeddings", {"model": "m", "input": "x"}, authorization=f"BEARER {key}"),
                await asked(client, "/v1/messages", TOLD, x_api_key=key, anthropic_version="2023-06-01"),
                await asked(client, "/v1/messages", TOLD, x_api_key=f"{key} more"),
                await asked(client, "/openai/deployments/d/chat/completions?api-version=1", BODY, api_key=key),
                await asked(client, GEMINI, ASKED, x_goog_api_key=key),
                await asked(client, f"{GEMINI}?key={key}", ASKED),
                await asked(client, f"{GEMINI}?alt=json&key={key}&x=1", ASKED),
                await asked(client, f"{GEMINI}?$key={key}", ASKED),
                await asked(client, f"{GEMINI}?access_token={key}", ASKED),
                await session(site.three, key),
                await session(site.three, None, ["realtime", f"openai-insecure-api-key.{key}"]),
            ]
            assert set(found) == {found[0]}, key


async def session(port: int, key: str | None, protocols: list[str] | None = None) -> str:
    """The name of the gateway that a realtime session came to; it is opened, used and closed."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    made: Any = connect(
        f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime",
        additional_headers=headers,
        subprotocols=protocols,  # type: ignore[arg-type]
        proxy=None,
        open_timeout=SOON,
        close_timeout=0.05,  # Envoy holds the connection for another second
    )
    async with made as ws:
        await ws.send("hello")
        name, said = str(await ws.recv()).split(" ", 1)
        assert said == "hello"
        return name


async def test_keys_are_spread_and_stay_where_they_are(site: Site) -> None:
    first = await places(site.three)
    counted = Counter(first.values())
    assert set(counted) == {"g0", "g1", "g2"}
    assert min(counted.values()) > len(KEYS) / 20, counted
    assert await places(site.three) == first


async def test_callers_without_a_key_are_sent_by_their_network(site: Site) -> None:
    found = []
    for last in (5, 77, 200):
        async with caller(site.three, f"127.9.9.{last}") as client:
            found.append(await asked(client, CHAT, BODY))
            found.append(await asked(client, CHAT, BODY, x_forwarded_for=f"10.{last}.0.1"))
    assert len(set(found)) == 1


async def test_one_gateway_more_takes_its_share_and_nothing_else_moves(site: Site) -> None:
    before, after = await places(site.three), await places(site.four)
    moved = [key for key in KEYS if before[key] != after[key]]
    assert len(KEYS) / 20 < len(moved) < len(KEYS) / 2
    assert sum(after[key] != "g3" for key in moved) <= strays(site)


def strays(site: Site) -> int:
    """How many of the keys may move although their gateway stays: Maglev's table shifts by one or two in a thousand."""
    return 0 if site.kind == "nginx" else len(KEYS) // 100


async def test_a_gateway_that_goes_leaves_its_keys_to_the_others_and_gets_them_back(site: Site) -> None:
    before = await places(site.three)
    his = [key for key in KEYS if before[key] == "g1"]
    await site.fleet["g1"].stop()
    try:
        await placed(site, his, lambda now: "g1" not in now.values())
        away = await places(site.three)
    finally:
        await site.fleet["g1"].start()
    assert sum(away[key] != name for key, name in before.items() if name != "g1") <= strays(site)
    assert {away[key] for key in his} == {"g0", "g2"}
    await placed(site, his, lambda now: set(now.values()) == {"g1"})
    assert await places(site.three) == before


async def test_a_gateway_that_drains_is_left_before_its_port_closes(site: Site) -> None:
    before = await places(site.three)
    his = [key for key in KEYS if before[key] == "g2"]
    admission = site.fleet["g2"].up.core.admission
    admission.draining = True
    try:
        if site.kind == "envoy":  # open nginx asks nobody whether he is ready
            await placed(site, his, lambda now: "g2" not in now.values())
        away = await places(site.three)
    finally:
        admission.draining = False
    assert sum(away[key] != name for key, name in before.items() if name != "g2") <= strays(site)
    await placed(site, his, lambda now: set(now.values()) == {"g2"})


async def placed(site: Site, keys: Sequence[str], wanted: Callable[[dict[str, str]], bool]) -> None:
    """Waits until the keys are where they should be. No request may fail meanwhile."""
    async with asyncio.timeout(SOON):
        while not wanted(await places(site.three, keys)):
            await asyncio.sleep(0.3)


async def test_a_streamed_answer_comes_piece_by_piece(site: Site) -> None:
    name = (await places(site.three, KEYS[:1]))[KEYS[0]]
    behind = site.fleet[name].behind
    async with caller(site.three) as client:
        heads = {"authorization": f"Bearer {KEYS[0]}"}
        async with client.stream("POST", CHAT, json={**BODY, "stream": True}, headers=heads) as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"data: {}\n\n"
            behind.go.set()  # only now is there more: who waits for the whole answer waits for ever
            assert json.loads(b"".join([piece async for piece in pieces])) == {"gateway": name}
    behind.go.clear()


REFUSED = ["/v1/../x", "/v1/%2e%2e/x", "/v1/a%2fb", "/v1/a%5cb", "//v1/models", "/v1/./models", "/v1/a\\b", "/v1/%00"]
PASSED = ["/v1//models", "/v1/models/", "/v1/Models;a=b", "/v1/m%41dels?x=%2F..%2f&y=a//b/../c", "/v1/x?a=b?c"]


@pytest.mark.parametrize("target", [*REFUSED, *PASSED])
async def test_a_target_gets_there_as_it_is_or_not_at_all(site: Site, target: str) -> None:
    for made in site.members:
        made.behind.seen.clear()
    async with wire(f"http://127.0.0.1:{site.three}") as client:
        await client.send(f"GET {target} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-1\r\n\r\n".encode())
        status, _ = await client.head()
    seen = [one.target for made in site.members for one in made.behind.seen]
    if target in PASSED:
        assert (status, seen) == (200, [target.encode()])
    else:
        assert (status, seen) == (400, [])


HOSTILE = [case for case in CASES if case.group in ("smuggling", "identity", "path")]
OTHERWISE = {
    ("nginx", "chunk-bare-lf"),  # reads a bare line feed as an end: what follows is a second request, and sent as one
    ("envoy", "connection-strips-auth"),  # takes the caller at his word: he has no key then
}


async def test_what_is_hostile_is_read_by_both_alike(site: Site, tmp_path: Path) -> None:
    wrong = {}
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(Upstream())
        made = await stack.enter_async_context(gateway(upstream=upstream.url, bounds=SHORT, state_dir=tmp_path))
        ends = [(made.port, int(made.ops_url.rpartition(":")[2]))]
        port = await stack.enter_async_context(proxy(site.kind, tmp_path / "proxy", ends))
        for case in HOSTILE:
            before = len(upstream.requests)
            reply = await talk(("127.0.0.1", port), case.sent(b"token"), answers=case.answers, quiet=0.01)
            found = outcome(case, reply, upstream.requests[before:], b"token")
            if found not in tuple(case.demanded) and (site.kind, case.name) not in OTHERWISE:
                wrong[case.id] = found
        assert upstream.anomalies == []
    assert wrong == {}


async def test_a_body_and_what_was_sent_with_it_get_there_as_they_are(site: Site) -> None:
    name = (await places(site.three, KEYS[:1]))[KEYS[0]]
    seen = site.fleet[name].behind.seen
    seen.clear()
    text = "ÿ\u2028" + random.Random(1).randbytes(300_000).hex()
    whole = json.dumps({**BODY, "user": text, "x": 1.0}, indent=3, ensure_ascii=False).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(whole), 70_000):
            yield whole[at : at + 70_000]

    heads = {
        "authorization": f"Bearer {KEYS[0]}",
        "content-type": "application/json",
        "x_under_score": "1",
        "x-request-id": "his own",
        "openai-organization": "org",
    }
    async with caller(site.three) as client:
        for content in (whole, pieces()):
            answer = await client.post(CHAT, content=content, headers=heads)
            assert answer.json() == {"gateway": name}
            assert answer.headers["server"] == "behind"
    assert [one.body for one in seen] == [whole, whole]
    for one in seen:
        got = {key.decode(): value.decode() for key, value in one.headers}
        assert {key: got.get(key) for key in heads} == heads
        assert not [key for key in got if key.startswith("x-envoy")]


async def test_who_asks_is_believed_of_the_proxy_and_of_nobody_else(site: Site) -> None:
    fleet = site.fleet
    name = (await places(site.three, KEYS[:1]))[KEYS[0]]
    member = fleet[name]

    async def network(port: int, address: str, **headers: str) -> str:
        async with caller(port, address) as client:
            assert await asked(client, CHAT, BODY, authorization=f"Bearer {KEYS[0]}", **headers) == name
        return str(member.up.records()[-1]["client"]["network"])

    lies = {"x_forwarded_for": "9.9.9.9", "forwarded": "for=9.9.9.9", "x_real_ip": "9.9.9.9"}
    his = await network(member.port, "127.7.7.7")  # straight to the gateway
    assert await network(member.port, "127.7.7.7", **lies) == his
    assert await network(site.three, "127.7.7.7") == his
    assert await network(site.three, "127.7.7.7", **lies) == his
    assert await network(site.three, "127.8.8.8") != his


async def test_what_a_gateway_was_sent_is_sent_to_no_other(site: Site, tmp_path: Path) -> None:
    heads: list[bytes] = []

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A gateway that dies of each request, and is ready for the next."""
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET /readyz"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                await writer.drain()
            else:
                heads.append(head)
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(await asyncio.start_server(breaks, "127.0.0.1", 0)) for _ in "123"]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        port = await stack.enter_async_context(proxy(site.kind, tmp_path, [(port, port) for port in ports]))
        client = await stack.enter_async_context(caller(port))
        wish = {"x-envoy-retry-on": "5xx,reset,connect-failure", "x-envoy-max-retries": "3"}
        answer = await client.post(CHAT, json=BODY, headers={"authorization": f"Bearer {KEYS[0]}", **wish})
    assert answer.status_code in (502, 503)
    assert len(heads) == 1
    assert heads[0].startswith(b"POST /v1/chat/completions ")


@pytest.mark.skipif(program("nginx") is None, reason=LACKING["nginx"])
async def test_nginx_itself_accepts_the_file(tmp_path: Path) -> None:
    file = nginx_file(tmp_path, free_port(), [(9000 + n, 0) for n in range(4)])
    command = [str(program("nginx")), "-t", "-e", "stderr", "-c", str(file)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not re.findall(r"\[(?:warn|error|emerg)\].*", done.stderr.replace("user directive", ""))


@pytest.mark.skipif(program("envoy") is None, reason=LACKING["envoy"])
async def test_envoy_itself_accepts_the_file() -> None:
    command = [str(program("envoy")), "--mode", "validate", "-c", str(DEPLOY / "envoy.yaml"), "--log-level", "warning"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
