"""Every row of the hostile table against a real gateway on real sockets."""

import re
import secrets
from itertools import pairwise
from random import Random

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.server import make_server
from tests.conformance.hostile import MARK, TOKEN, Case, request
from tests.conformance.hostile_bodies import CASES as BODIES
from tests.conformance.hostile_wire import CASES as WIRE
from tests.conformance.passthrough import Passthrough
from tests.conformance.rig import Recorded, Reply, Upstream, talk

CASES = WIRE + BODIES
KEY_LINE = re.compile(rb"^authorization: ([^\r]*)", re.IGNORECASE | re.MULTILINE)
Pair = tuple[tuple[str, int], Upstream]

pytestmark = pytest.mark.asyncio(loop_scope="module")


def outcome(case: Case, reply: Reply, seen: list[Recorded], token: bytes) -> str:
    """The letter of the table that this is, or a sentence that says what went wrong."""
    if len(seen) > case.answers:
        return f"the upstream saw {len(seen)} requests"
    if any(MARK in request.target for request in seen):
        return "the upstream saw the smuggled request"
    if not seen:
        if reply.status in range(400, 500) or reply.status in (501, 505):
            return "R" if reply.whole and len(reply.statuses) <= case.answers else "a refusal and more"
        if reply.status:
            return f"status {reply.status} without a request upstream"
        return "D" if reply.closed else "no answer and an open connection"
    if reply.status != 200 or reply.bodies[0] != token:
        return f"status {reply.status}, or the answer of another request"
    first = seen[0]
    if first.target != case.target or first.body != case.body.replace(TOKEN, token):
        return "passed as something else"
    if any(first.values(name) for name in case.gone):
        return "passed with a field that only the gateway may send or read"
    if case.group == "identity" and first.values(b"authorization") != KEY_LINE.findall(b"".join(case.pieces)):
        return "passed as somebody else"
    return "P" if "P" in case.demanded else "N"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_hostile_request_ends_as_demanded(case: Case, under_test: Pair) -> None:
    address, upstream = under_test
    before, token = len(upstream.requests), secrets.token_hex(8).encode()
    reply = await talk(address, case.sent(token), answers=case.answers, half_close=case.half_close)
    found = outcome(case, reply, upstream.requests[before:], token)
    assert upstream.anomalies == []
    assert found in tuple(case.demanded)
    await the_next_caller_gets_his_own_answer(address, upstream, before + len(upstream.requests[before:]))


@pytest.mark.parametrize("case", [case for case in CASES if case.group != "slow"], ids=lambda case: case.id)
async def test_where_the_network_cuts_it_changes_nothing(case: Case, under_test: Pair) -> None:
    address, upstream = under_test
    before, token = len(upstream.requests), secrets.token_hex(8).encode()
    whole = b"".join(case.sent(token))
    ends = [0, *sorted(Random(case.id).sample(range(1, min(len(whole), 300)), 3)), len(whole)]
    reply = await talk(address, [whole[a:b] for a, b in pairwise(ends)], answers=case.answers, quiet=0.01)
    assert outcome(case, reply, upstream.requests[before:], token) in tuple(case.demanded)
    assert upstream.anomalies == []


async def the_next_caller_gets_his_own_answer(address: tuple[str, int], upstream: Upstream, before: int) -> None:
    token = secrets.token_hex(8).encode()
    reply = await talk(address, [request().replace(TOKEN, token)], quiet=0.0)
    assert (reply.status, reply.bodies) == (200, [token])
    assert len(upstream.requests) == before + 1


async def test_the_table_covers_every_group() -> None:
    groups = {case.group for case in CASES}
    assert groups == {"smuggling", "head", "identity", "path", "json", "encoding", "multipart", "slow"}
    assert len({case.id for case in CASES}) == len(CASES) >= 120


@pytest.mark.parametrize(
    "name", ["connection-strips-auth", "dup-authorization", "auth-and-query-key", "fragment", "upgrade-h2c", "cl.te"]
)
async def test_what_stock_servers_let_through_never_reaches_the_upstream(name: str, under_test: Pair) -> None:
    address, upstream = under_test
    case = next(case for case in WIRE if case.name == name)
    before = len(upstream.requests)
    reply = await talk(address, case.pieces)
    assert reply.status in (400, 501)
    assert len(upstream.requests) == before


class Careless(Passthrough):
    """Forwards whatever the server understood."""

    checks = False


@pytest.mark.parametrize("name", ["http09", "upgrade-h2c", "te-gzip-chunked", "dup-authorization", "fragment"])
async def test_the_table_tells_a_careless_gateway_from_a_strict_one(name: str) -> None:
    case = next(case for case in WIRE if case.name == name)
    async with Upstream() as upstream:
        server = make_server(Careless(upstream.url))
        server.config.http_protocol_class = HttpToolsProtocol
        async with server.listening() as port:
            reply = await talk(("127.0.0.1", port), case.sent(b"0" * 16), patience=0.5)
    assert outcome(case, reply, upstream.requests, b"0" * 16) not in tuple(case.demanded)
