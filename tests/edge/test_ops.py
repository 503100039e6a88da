"""The operator's switches: reload, kill switch, what is in force; and who may not touch them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gateway.adopt import read_rules, rule_files
from gateway.edge.ops import operator_app
from gateway.edge.server import Bounds, make_server
from gateway.reload import Reloader
from gateway.settings import Settings
from gateway.starting import is_loopback
from tests.rig import Running, gateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer sk-one"}
TOKEN = "a token of sixteen or more"
BLOCK = "gauger: 1\npolicy: {id: one, version: '7'}\nrules:\n  - {id: stop, when: req.n > 0, then: {block: {}}}\n"


class Operator:
    """A gateway whose rules lie in a file, and a client of its operator's port."""

    def __init__(self, g: Running, file: Path, client: httpx.AsyncClient) -> None:
        self.g = g
        self.file = file
        self.client = client

    async def status(self) -> int:
        async with httpx.AsyncClient() as caller:
            return (await caller.post(f"{self.g.url}/v1/chat/completions", json=CHAT, headers=KEY)).status_code


@asynccontextmanager
async def operated(folder: Path, **given: Any) -> AsyncIterator[Operator]:
    file = folder / "policy.yaml"
    file.write_text(BLOCK)
    settings = Settings(policy=file, state_dir=folder)
    async with gateway(policy=BLOCK, state_dir=folder) as g:
        g.core.adopt(*read_rules(settings))
        reloader = Reloader(g.core, lambda: rule_files(settings, g.core.policy), lambda: read_rules(settings))
        server = make_server(operator_app(g.core, reloader, **given), "127.0.0.1", 0, Bounds())
        async with (
            server.listening() as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
        ):
            yield Operator(g, file, client)


async def test_the_policy_in_force_is_shown(tmp_path: Path) -> None:
    async with operated(tmp_path) as o:
        policy = o.g.core.policy
        assert (await o.client.get("/-/policy")).json() == {
            "id": "one",
            "version": "7",
            "digest": policy.digest,
            "mode": "enforce",
            "enforcing": True,
        }


async def test_the_kill_switch_is_in_each_record_and_goes_back(tmp_path: Path) -> None:
    async with operated(tmp_path) as o:
        assert await o.status() == 403
        off = await o.client.put("/-/enforce", json={"enforce": False})
        assert (off.status_code, off.json()["enforcing"]) == (200, False)
        assert (await o.client.get("/readyz")).json()["enforcing"] is False
        assert await o.status() == 200
        assert (await o.client.put("/-/enforce", json={"enforce": True})).json()["enforcing"] is True
        assert await o.status() == 403
        records = o.g.records()
        assert [record["kill"] for record in records] == [False, True, False]
        assert [record["action"] for record in records] == ["block", "allow", "block"]
        assert {record["verdict"] for record in records} == {"block"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"false",
        b"{}",
        b'{"enforce": 0}',
        b'{"enforce": "false"}',
        b'{"enforce": false, "more": 1}',
        b'{"enforce": false, "enforce": true}',
        b"[",
        b"\xff",
    ],
)
async def test_a_switch_is_thrown_by_one_word_only(tmp_path: Path, body: bytes) -> None:
    async with operated(tmp_path) as o:
        assert (await o.client.put("/-/enforce", content=body)).status_code == 400
        assert (await o.client.put("/-/enforce", content=b" " * 2000 + b"{}")).status_code == 413
        assert (await o.client.get("/-/enforce")).status_code == 405
        assert o.g.core.kill is False


async def test_a_reload_says_what_came_of_it(tmp_path: Path) -> None:
    async with operated(tmp_path) as o:
        before = o.g.core.policy.digest
        same = await o.client.post("/-/reload")
        assert (same.status_code, same.json()) == (200, {"digest": before, "changed": False})
        o.file.write_text(BLOCK.replace("req.n > 0", "req.n > 1"))
        other = await o.client.post("/-/reload")
        assert (other.status_code, other.json()["changed"]) == (200, True)
        assert other.json()["digest"] == o.g.core.policy.digest != before
        assert await o.status() == 200


async def test_a_wrong_policy_is_refused_with_its_lines_and_the_old_one_stays(tmp_path: Path) -> None:
    async with operated(tmp_path) as o:
        before = o.g.core.policy.digest
        o.file.write_text(BLOCK.replace("block: {}", "block: {status: 408}") + "surprise: 1\n")
        refused = await o.client.post("/-/reload")
        said = refused.json()
        assert refused.status_code == 422
        assert (said["digest"], said["changed"], o.g.core.policy.digest) == (before, False, before)
        assert [line.partition("policy.yaml:")[2].split(":")[0] for line in said["findings"]] == ["4", "5"]
        assert (await o.client.post("/-/reload")).json()["findings"] == said["findings"]
        assert await o.status() == 403
        o.file.unlink()
        gone = await o.client.post("/-/reload")
        assert gone.status_code == 422
        assert "policy.yaml" in gone.json()["findings"][0]
        o.file.write_text(BLOCK)
        assert (await o.client.post("/-/reload")).status_code == 200


CHANGES = [("POST", "/-/reload", None), ("PUT", "/-/enforce", b'{"enforce": false}')]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_token_is_asked_for_where_one_is_set(
    tmp_path: Path, method: str, path: str, body: bytes | None
) -> None:
    async with operated(tmp_path, token=TOKEN, local=False) as o:

        async def ask(**headers: str) -> httpx.Response:
            return await o.client.request(method, path, content=body, headers=headers)

        for wrong in ({}, {"authorization": TOKEN}, {"authorization": "Bearer x"}, {"authorization": "bearer"}):
            answer = await ask(**wrong)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert TOKEN not in answer.text
        assert o.g.core.kill is False
        assert (await ask(authorization=f"Bearer {TOKEN}")).status_code == 200
        for path_ in ("/livez", "/readyz", "/metrics", "/-/policy"):
            assert (await o.client.get(path_)).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_nothing_changes_for_a_web_page_or_for_strangers(
    tmp_path: Path, method: str, path: str, body: bytes | None
) -> None:
    async with operated(tmp_path, token=TOKEN) as o:
        heads = {"authorization": f"Bearer {TOKEN}", "origin": "http://127.0.0.1:8081"}
        assert (await o.client.request(method, path, content=body, headers=heads)).status_code == 403
        assert o.g.core.kill is False
    async with operated(tmp_path, local=False) as o:
        barred = await o.client.request(method, path, content=body)
        assert barred.status_code == 403
        assert "GAUGER_OPS_TOKEN" in barred.json()["error"]
        assert o.g.core.kill is False


async def test_where_nothing_reloads_there_is_nothing_to_ask(tmp_path: Path) -> None:
    async with gateway(state_dir=tmp_path) as g, httpx.AsyncClient() as client:
        assert (await client.post(f"{g.ops_url}/-/reload")).status_code == 404
        for path in ("/-/policy", "/-/reload", "/-/enforce"):  # the data port only proxies
            assert (await client.get(f"{g.url}{path}")).status_code == 404


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("gateway.internal", False),
        ("", False),
    ],
)
def test_only_loopback_is_this_machine_s_alone(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("token", ["", "short"])
def test_a_token_that_could_be_guessed_is_no_setting(token: str) -> None:
    with pytest.raises(ValidationError):
        Settings(ops_token=token)  # type: ignore[arg-type]
