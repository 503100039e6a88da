"""Tokens: believed for a signature of the issuer's key set, while that set can be had and a while after."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.edge import tokens
from gateway.edge.tokens import Jwks
from gateway.errors import Mistake, Refusal
from gateway.identity import Jwt

NOW = 1_900_000_000
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


class Clock:
    """Wall and monotonic time of a test; it moves when told."""

    def __init__(self) -> None:
        self.seconds = float(NOW)

    def __call__(self) -> float:
        return self.seconds


class Issuer:
    """An HTTP server on loopback that answers every request with `status`, `headers` and `body`."""

    def __init__(self) -> None:
        self.status = "200 OK"
        self.headers = ""
        self.body = b""
        self.requests: list[bytes] = []
        self.gate: asyncio.Event | None = None
        self.url = ""

    def serve(self, *keys: dict[str, Any]) -> None:
        self.status, self.headers = "200 OK", ""
        self.body = json.dumps({"keys": keys}).encode()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        if self.gate is not None:
            await self.gate.wait()
        head = f"HTTP/1.1 {self.status}\r\ncontent-length: {len(self.body)}\r\nconnection: close\r\n{self.headers}\r\n"
        writer.write(head.encode() + self.body)
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        async with server:
            yield


class World:
    """An issuer, a clock, and the object under test."""

    def __init__(self, issuer: Issuer, clock: Clock, jwks: Jwks) -> None:
        self.issuer, self.clock, self.jwks = issuer, clock, jwks

    async def claims(self, token: str, scheme: str = "Bearer") -> dict[str, str] | None:
        return await self.jwks.claims([(b"authorization", f"{scheme} {token}".encode())])

    async def refusal(self, token: str) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.claims(token)
        assert token[-20:] not in str(caught.value)
        return caught.value


Make = Callable[..., Any]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    issuer, clock = Issuer(), Clock()
    issuer.serve(public(RSA_KEY, "k1"))
    async with issuer.running(), httpx.AsyncClient() as client:
        made: list[Jwks] = []

        def build(**changes: Any) -> World:
            rules = Jwt(**{"jwks": issuer.url, "issuer": "https://id.test/", "audience": "gauger", **changes})
            made.append(Jwks(rules, client, now=clock, monotonic=clock))
            return World(issuer, clock, made[-1])

        yield build
        for jwks in made:
            await jwks.aclose()


def public(key: Any, kid: str | None = None, **more: str) -> dict[str, Any]:
    how: Any = RSAAlgorithm
    if isinstance(key, ec.EllipticCurvePrivateKey):
        how = ECAlgorithm
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        how = OKPAlgorithm
    data: dict[str, Any] = json.loads(how.to_jwk(key.public_key()))
    data.pop("key_ops", None)
    return {**data, **({"kid": kid} if kid is not None else {}), **more}


def token(
    key: Any = RSA_KEY,
    kid: str | None = "k1",
    algorithm: str = "RS256",
    head: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    payload = {"iss": "https://id.test/", "aud": "gauger", "exp": NOW + 3600, "sub": "acme", **claims}
    headers = {**({"kid": kid} if kid is not None else {}), **(head or {})}
    kept = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers=headers)


def forged(head: dict[str, Any], secret: bytes | None) -> str:
    """A token made by hand, with what no library signs."""

    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    payload = {"iss": "https://id.test/", "aud": "gauger", "exp": NOW + 3600, "sub": "acme"}
    signed = part(json.dumps(head).encode()) + b"." + part(json.dumps(payload).encode())
    signature = b"" if secret is None else hmac.new(secret, signed, hashlib.sha256).digest()
    return (signed + b"." + part(signature)).decode()


async def test_a_good_token_names_its_account(make: Make) -> None:
    world = make(org="org_id", plan="tier")
    assert await world.claims(token(org_id="org-1", tier="gold")) == {"account": "acme", "org": "org-1", "plan": "gold"}
    assert await world.claims(token(), "bearer  ") == {"account": "acme"}
    assert await world.claims(token(aud=["other", "gauger"])) == {"account": "acme"}
    assert len(world.issuer.requests) == 1


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "PS256"), (EC_KEY, "ES256"), (ED_KEY, "EdDSA")])
async def test_every_listed_asymmetric_algorithm_works(make: Make, key: Any, algorithm: str) -> None:
    world = make(algorithms=(algorithm,))
    world.issuer.serve(public(key, "k1"))
    assert await world.claims(token(key, algorithm=algorithm)) == {"account": "acme"}


@pytest.mark.parametrize("value", ["sk-plain", "a.b.c", "e30.e30.x", "sk.with.dots", "one.two", "", "W10.W10.W10"])
async def test_what_is_no_token_is_left_to_be_a_key(make: Make, value: str) -> None:
    world = make()
    assert await world.claims(value) is None
    assert await world.claims(token(), "Basic") is None
    assert await world.jwks.claims([(b"x-api-key", b"sk")]) is None
    assert not world.issuer.requests


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 1e400},
        {"nbf": NOW + 61},
        {"nbf": "x"},
        {"iss": "https://evil.test/"},
        {"iss": None},
        {"iss": "https://id.test"},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"sub": None},
        {"sub": 7},
        {"sub": "a b"},
        {"sub": "x" * 129},
        {"key": OTHER_KEY},
        {"kid": "k2"},
        {"head": {"crit": ["x"], "x": 1}},
        {"algorithm": "PS256"},
    ],
    ids=lambda changes: " ".join(f"{name}={value}"[:40] for name, value in changes.items() if name != "key") or "key",
)
async def test_a_token_that_is_not_good_is_refused(make: Make, changes: dict[str, Any]) -> None:
    refusal = await make().refusal(token(**changes))
    assert (refusal.status, refusal.code) == (401, "invalid_token")


async def test_times_have_a_leeway(make: Make) -> None:
    world = make()
    assert await world.claims(token(exp=NOW - 59, nbf=NOW + 59)) is not None
    assert (await make(leeway=0).refusal(token(exp=NOW))).status == 401


async def test_a_token_without_a_signature_is_refused(make: Make) -> None:
    for name in ("none", "None", "NONE", ""):
        assert (await make().refusal(forged({"alg": name, "kid": "k1"}, None))).status == 401


async def test_the_public_key_is_no_shared_secret(make: Make) -> None:
    pem = RSA_KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    world = make()
    for secret in (pem, b""):
        assert (await world.refusal(forged({"alg": "HS256", "kid": "k1"}, secret))).status == 401


@pytest.mark.parametrize("algorithms", [("HS256",), ("none",), ("RS256", "HS256"), ()])
async def test_a_policy_cannot_list_shared_secrets(make: Make, algorithms: tuple[str, ...]) -> None:
    with pytest.raises(Mistake, match="algorithms"):
        make(algorithms=algorithms)


async def test_a_key_that_the_token_brings_is_not_looked_at(make: Make) -> None:
    world = make()
    brought = token(OTHER_KEY, head={"jwk": public(OTHER_KEY, "k1"), "jku": "http://127.0.0.1:1/"})
    assert (await world.refusal(brought)).status == 401


async def test_odd_key_ids_are_unknown(make: Make) -> None:
    world = make()
    for kid in (["k1"], {"a": 1}, None, 7):
        assert (await world.refusal(forged({"alg": "RS256", "kid": kid}, b"x"))).status == 401


async def test_a_token_without_a_key_id_needs_a_set_of_one(make: Make) -> None:
    world = make()
    assert await world.claims(token(kid=None)) is not None
    world.issuer.serve(public(RSA_KEY, "k1"), public(OTHER_KEY, "k2"))
    assert (await make().refusal(token(kid=None))).status == 401


async def test_keys_of_another_use_or_kind_serve_nothing(make: Make) -> None:
    small = rsa.generate_private_key(65537, 1024)
    world = make()
    world.issuer.serve(
        public(RSA_KEY, "enc", use="enc"),
        public(RSA_KEY, "alg", alg="RS512"),
        public(small, "small"),
        {"kty": "oct", "k": "AAAA", "kid": "oct"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": 7},
        {"kty": "EC", "crv": "P-384", "kid": "curve"},
        "text",
        public(RSA_KEY, "k1", use="sig", alg="RS256"),
    )
    assert await world.claims(token()) is not None
    for kid in ("enc", "alg", "oct", "broken", "curve"):
        assert (await world.refusal(token(kid=kid))).status == 401
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        signed = token(small, "small")
    assert (await world.refusal(signed)).status == 401


async def test_a_new_key_is_fetched_when_a_token_names_it(make: Make) -> None:
    world = make()
    old = token()
    assert await world.claims(old) is not None
    world.issuer.serve(public(OTHER_KEY, "k2"))
    assert await world.claims(token(OTHER_KEY, "k2")) == {"account": "acme"}
    assert len(world.issuer.requests) == 2
    assert (await world.refusal(old)).status == 401  # its key was withdrawn, though it had been verified before


async def test_made_up_key_ids_fetch_once_in_half_a_minute(make: Make) -> None:
    world = make()
    for number in range(20):
        assert (await world.refusal(token(kid=f"made-up-{number}"))).status == 401
    assert len(world.issuer.requests) == 2
    world.clock.seconds += 30
    await world.refusal(token(kid="again"))
    assert len(world.issuer.requests) == 3


async def test_many_requests_wait_for_one_fetch(make: Make) -> None:
    world = make()
    world.issuer.gate = asyncio.Event()
    waiting = [asyncio.create_task(world.claims(token(sub=f"a{number}"))) for number in range(10)]
    while not world.issuer.requests:
        await asyncio.sleep(0)
    waiting.pop(0).cancel()  # the one that began it
    world.issuer.gate.set()
    assert [(await task)["account"] for task in waiting] == [f"a{number}" for number in range(1, 10)]
    assert len(world.issuer.requests) == 1


async def test_an_old_set_is_renewed_in_the_background(make: Make) -> None:
    world = make()
    known = token()
    await world.claims(known)
    world.clock.seconds += 500  # over 80 % of ten minutes
    assert await world.claims(known) is not None
    await world.jwks._join()
    assert len(world.issuer.requests) == 2


async def test_old_keys_serve_while_the_endpoint_is_down_but_not_for_ever(make: Make) -> None:
    world = make()
    known = token(exp=NOW + 10**6)
    await world.claims(known)
    world.issuer.status, world.issuer.body = "500 Oops", b""
    world.clock.seconds += 3600
    assert await world.claims(known) is not None
    await world.jwks._join()
    assert (world.jwks.failures, world.jwks.last_error) == (1, "ValueError")
    assert await world.claims(token(sub="new", exp=NOW + 10**6)) == {"account": "new"}
    world.clock.seconds += 13 * 3600
    refusal = await world.refusal(known)
    assert (refusal.status, refusal.code) == (503, "identity_unavailable")
    world.clock.seconds += 6
    world.issuer.serve(public(RSA_KEY, "k1"))
    assert await world.claims(known) is not None


async def test_without_any_key_set_the_fault_is_ours_and_attempts_are_spaced(make: Make) -> None:
    world = make(jwks="http://127.0.0.1:1/jwks.json")
    for _ in range(5):
        assert (await world.refusal(token())).status == 503
    assert (world.jwks.failures, world.jwks.last_error) == (1, "ConnectError")


GOOD_SET = json.dumps({"keys": [public(RSA_KEY, "k1")]}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("302 Found", "location: /elsewhere\r\n", b""),
        ("200 OK", "", GOOD_SET + b" " * tokens.MAX_SET),
        ("200 OK", "", b"not json"),
        ("200 OK", "", b"[]"),
        ("200 OK", "", b'{"keys": []}'),
        ("200 OK", "", b'{"keys": 7}'),
        ("200 OK", "", b"[" * 100_000),
        ("200 OK", "content-encoding: gzip\r\n", GOOD_SET),
        ("200 OK", "", json.dumps({"keys": [public(RSA_KEY, f"k{number}") for number in range(51)]}).encode()),
    ],
    ids=["redirect", "huge", "text", "list", "empty", "number", "deep", "coded", "many"],
)
async def test_an_answer_that_is_no_key_set_changes_nothing(make: Make, status: str, headers: str, body: bytes) -> None:
    world = make()
    assert await world.claims(token()) is not None
    world.issuer.status, world.issuer.headers, world.issuer.body = status, headers, body
    assert (await world.refusal(token(kid="k9"))).status == 401
    assert len(world.issuer.requests) == 2
    assert world.jwks.failures == 1
    assert await world.claims(token(sub="new")) == {"account": "new"}


async def test_a_known_token_ends_when_it_expires(make: Make) -> None:
    world = make()
    known = token(exp=NOW + 100)
    await world.claims(known)
    world.clock.seconds += 159
    assert await world.claims(known) is not None
    world.clock.seconds += 1
    assert (await world.refusal(known)).status == 401  # at the second, leeway included


async def test_a_huge_token_is_refused_unread(make: Make) -> None:
    world = make()
    assert (await world.refusal(token(pad="x" * 9000))).status == 401
    assert not world.issuer.requests


async def test_what_is_remembered_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_VERIFIED", 3)
    world = make()
    for number in range(6):
        await world.claims(token(sub=f"a{number}"))
    assert len(world.jwks._verified) == 3


@pytest.mark.parametrize(
    "url", ["http://id.test/jwks", "ftp://127.0.0.1/", "https://", "http://10.0.0.1/", "file:///x"]
)
async def test_a_key_set_comes_over_https_only(make: Make, url: str) -> None:
    with pytest.raises(Mistake, match="https"):
        make(jwks=url)


async def test_closing_ends_a_fetch(make: Make) -> None:
    world = make()
    world.issuer.gate = asyncio.Event()
    waiting = asyncio.create_task(world.claims(token()))
    while not world.issuer.requests:
        await asyncio.sleep(0)
    await world.jwks.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    world.issuer.gate.set()
