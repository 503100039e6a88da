"""Who a caller is, end to end: accounts file, plans, organisations, trusted headers, tokens and client certificates."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import SecretStr

from gateway.accounts import Directory, load_accounts
from gateway.identity import key_digest
from gateway.pepper import load_pepper
from gateway.settings import Settings
from tests.rig import Running, gateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
PEPPER = load_pepper(Settings(pepper=SecretStr("a pepper for tests only"))).current  # what the rig's gateways have
HERE = "127.0.0.0/8"
PLANS = """
plans: {free: {requests: 1 requests/h}, paid: {requests: 3 requests/h}}
limits:
  - {id: each, by: [account], count: requests, rate: plan.requests, burst: 3 requests}
"""

Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda policy, **given: gateway(policy=f"gauger: 1\n{policy}", state_dir=tmp_path, **given)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


def accounts(*lines: str) -> Directory:
    """`KEY<name>` stands for the hash of the key `sk-<name>`."""
    text = "accounts:\n" + "".join(f"  - {{{line}}}\n" for line in lines)
    for name in ("one", "two", "three"):
        text = text.replace(f"KEY{name}", key_digest(PEPPER, f"sk-{name}"))
    return load_accounts(text, "accounts.yaml", ("free", "paid"))


async def ask(client: httpx.AsyncClient, g: Running, key: str | None = None, **headers: str) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if key is not None:
        sent["authorization"] = f"Bearer {key}"
    return await client.post(f"{g.url}/v1/chat/completions", json=CHAT, headers=sent)


async def account_of(g: Running) -> dict[str, Any]:
    """The account in the last record."""
    async with asyncio.timeout(5):
        while g.core.admission.inflight:
            await asyncio.sleep(0.01)
    found: dict[str, Any] = g.records()[-1]["account"]
    return found


async def test_an_account_s_plan_decides_its_limit(start: Start, client: httpx.AsyncClient) -> None:
    directory = accounts(
        "id: acct_1, org: acme, plan: free, labels: [eval], keys: [KEYone]", "id: acct_2, plan: paid, keys: [KEYtwo]"
    )
    policy = "identity: {plan: free}\n" + PLANS.replace("burst: 3 requests", "window: calendar")
    async with start(policy, directory=directory) as g:
        assert [(await ask(client, g, "sk-one")).status_code for _ in range(3)] == [200, 429, 429]
        found = await account_of(g)
        assert (found["id"], found["org"], found["plan"], found["known"]) == ("acct_1", "acme", "free", True)
        assert [(await ask(client, g, "sk-two")).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert [(await ask(client, g, "sk-three")).status_code for _ in range(2)] == [200, 429]
        found = await account_of(g)
        assert found["id"].startswith("key-")
        assert not found["known"]


async def test_two_keys_of_one_account_share_its_limit(start: Start, client: httpx.AsyncClient) -> None:
    async with start("identity: {plan: paid}\n" + PLANS, directory=accounts("id: a, keys: [KEYone, KEYtwo]")) as g:
        statuses = [(await ask(client, g, key)).status_code for key in ("sk-one", "sk-two") * 2]
        assert statuses == [200, 200, 200, 429]


async def test_two_accounts_of_one_organisation_share_its_limit(start: Start, client: httpx.AsyncClient) -> None:
    policy = "limits:\n  - {id: org, by: [org], count: requests, rate: 3 requests/h, burst: 3 requests}\n"
    directory = accounts(
        "id: a, org: acme, keys: [KEYone]", "id: b, org: acme, keys: [KEYtwo]", "id: c, org: other, keys: [KEYthree]"
    )
    async with start(policy, directory=directory) as g:
        assert [(await ask(client, g, key)).status_code for key in ("sk-one", "sk-two") * 2] == [200, 200, 200, 429]
        assert (await ask(client, g, "sk-three")).status_code == 200
        assert [(await ask(client, g)).status_code for _ in range(5)] == [200] * 5  # without an org, not met


async def test_an_unknown_key_is_refused_in_the_caller_s_words(start: Start, client: httpx.AsyncClient) -> None:
    policy = "identity: {unknown: refuse, anonymous: refuse}\n"
    async with start(policy, directory=accounts("id: a, keys: [KEYone]"), record=9) as g:
        openai = await ask(client, g, "sk-nobody")
        assert (openai.status_code, openai.json()["error"]["code"]) == (401, "invalid_api_key")
        body = {**CHAT, "max_tokens": 5}
        claude = await client.post(f"{g.url}/v1/messages", json=body, headers={"x-api-key": "sk-nobody"})
        assert (claude.status_code, claude.json()["type"]) == (401, "error")
        assert claude.json()["error"]["type"] == "authentication_error"
        path = "/v1beta/models/gemini-2.5-flash:generateContent"
        gemini = await client.post(f"{g.url}{path}?key=sk-nobody", json={"contents": []})
        assert (gemini.status_code, gemini.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
        nobody = await ask(client, g)
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "missing_api_key")
        assert not g.model.app.seen
        assert (await ask(client, g, "sk-one")).status_code == 200
        assert (await account_of(g))["id"] == "a"
        assert not any("sk-" in line for line in g.log.getvalue().decode().splitlines())


@pytest.mark.parametrize(("trusted", "account"), [((HERE,), "acct_1"), (("10.0.0.0/8",), None)])
async def test_a_header_names_the_account_only_from_a_trusted_proxy(
    start: Start, client: httpx.AsyncClient, trusted: tuple[str, ...], account: str | None
) -> None:
    policy = "identity: {trusted: [{header: X-Account, as: account}]}\n"
    async with start(policy, directory=accounts("id: acct_1, org: acme"), trusted_proxies=trusted, record=5) as g:
        assert (await ask(client, g, x_account="acct_1")).status_code == 200
        found = await account_of(g)
        names = {name.lower() for name, _ in g.model.app.seen[-1].headers}
        if account is None:
            assert found["id"].startswith("net-")
            assert b"x-account" not in names  # so that the model server is not fooled either
        else:
            assert (found["id"], found["org"], found["source"]) == ("acct_1", "acme", "header")
            assert b"x-account" in names


async def test_a_trusted_header_that_came_twice_is_nobody_s(start: Start, client: httpx.AsyncClient) -> None:
    policy = "identity: {trusted: [{header: x-account, as: account}]}\n"
    async with start(policy, trusted_proxies=(HERE,)) as g:
        url = f"{g.url}/v1/chat/completions"
        twice = [("x-account", "acct_1"), ("x-account", "acct_2")]
        got = await client.post(url, json=CHAT, headers=twice)
        assert (got.status_code, got.json()["error"]["code"]) == (401, "invalid_identity_header")


async def test_a_client_certificate_s_subject_is_an_account(start: Start, client: httpx.AsyncClient) -> None:
    policy = "identity: {trusted: [{header: x-ssl-client-s-dn, as: mtls}]}\n" + (
        "limits:\n  - {id: each, by: [account], count: requests, rate: 1 requests/h, burst: 1 requests}\n"
    )
    directory = accounts('id: robot, subjects: ["CN=robot,O=Acme"]')
    async with start(policy, directory=directory, trusted_proxies=(HERE,)) as g:
        got = [(await ask(client, g, x_ssl_client_s_dn="CN=robot,O=Acme")).status_code for _ in range(2)]
        assert got == [200, 429]
        found = await account_of(g)
        assert (found["id"], found["source"], found["known"]) == ("robot", "mtls", True)
        assert (await ask(client, g, x_ssl_client_s_dn="CN=other,O=Acme")).status_code == 200
        found = await account_of(g)
        assert found["id"].startswith("mtls-")
        assert "other" not in json.dumps(found)


class Issuer:
    """An identity provider on loopback: its key set, and the tokens that it signs."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.fetched = 0
        self.url = ""

    async def __aenter__(self) -> "Issuer":
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/jwks.json"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetched += 1
        public = {**jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": "k1", "alg": "ES256"}
        body = json.dumps({"keys": [public]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    def token(self, **claims: object) -> str:
        given = {"iss": "https://id.test", "aud": "gauger", "sub": "acct_1", "exp": int(time.time()) + 600, **claims}
        return jwt.encode(given, self.key, "ES256", headers={"kid": "k1"})


async def test_a_token_names_the_account_its_organisation_and_its_plan(start: Start, client: httpx.AsyncClient) -> None:
    async with Issuer() as issuer:
        policy = (
            f"identity:\n  plan: free\n  anonymous: refuse\n"
            f"  jwt: {{jwks: '{issuer.url}', issuer: 'https://id.test', audience: gauger, org: tenant, plan: tier}}\n"
        ) + PLANS.replace("burst: 3 requests", "window: calendar")
        async with start(policy) as g:
            token = issuer.token(tenant="acme", tier="paid")
            assert [(await ask(client, g, token)).status_code for _ in range(4)] == [200, 200, 200, 429]
            found = await account_of(g)
            assert found == {**found, "id": "acct_1", "org": "acme", "plan": "paid", "source": "jwt", "known": True}
            assert [(await ask(client, g, issuer.token(sub="acct_2"))).status_code for _ in range(2)] == [200, 429]
            for bad in (
                issuer.token(aud="other"),
                issuer.token(iss="https://evil.test"),
                issuer.token(exp=int(time.time()) - 600),
                issuer.token(sub="key-0123456789abcdef"),
                token[:-8] + ("A" * 8 if not token.endswith("A" * 8) else "B" * 8),
            ):
                got = await ask(client, g, bad)
                assert (got.status_code, got.json()["error"]["code"]) == (401, "invalid_token")
            assert issuer.fetched == 1
            assert token not in g.log.getvalue().decode()
        await g.core.aclose()


async def test_a_key_set_that_can_not_be_had_is_a_503(start: Start, client: httpx.AsyncClient) -> None:
    async with Issuer() as issuer:
        token = issuer.token()
    policy = f"identity: {{jwt: {{jwks: '{issuer.url}', issuer: 'https://id.test', audience: gauger}}}}\n"
    async with start(policy) as g:
        assert (await ask(client, g, token)).status_code == 503
        assert (await ask(client, g, "sk-a-key-and-no-token")).status_code == 200
    await g.core.aclose()
