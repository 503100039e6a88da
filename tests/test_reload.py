"""Reloading: a good file is swapped in while requests run, a bad one changes nothing, and state stays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import reload
from gateway.accounts import Directory
from gateway.adopt import read_rules, rule_files
from gateway.edge.core import Core
from gateway.identity import key_digest
from gateway.policy.model import Policy
from gateway.reload import Reloader
from gateway.settings import Settings
from tests.rig import Running, gateway

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
KEY = {"authorization": "Bearer sk-one"}


def limited(count: int, name: str = "few", extra: str = "") -> str:
    return (
        f"gauger: 1\npolicy: {{id: p{count}}}\n{extra}limits:\n"
        f"  - {{id: {name}, by: [account], count: requests, rate: {count} requests/h, burst: {count} requests}}\n"
    )


class Files:
    """The policy file of a running gateway, and its reloader."""

    def __init__(self, g: Running, folder: Path) -> None:
        self.g = g
        self.policy = folder / "policy.yaml"
        settings = Settings(policy=self.policy, state_dir=folder)
        self.reloader = Reloader(g.core, lambda: rule_files(settings, g.core.policy), lambda: read_rules(settings))
        self.reloader.look()

    def write(self, text: str) -> bool:
        self.policy.write_text(text)
        return self.reloader.look()

    async def status(self, client: httpx.AsyncClient, **headers: str) -> int:
        got = await client.post(f"{self.g.url}/v1/chat/completions", json=CHAT, headers=headers or KEY)
        return got.status_code


@asynccontextmanager
async def running(folder: Path, text: str, **given: Any) -> AsyncIterator[Files]:
    (folder / "policy.yaml").write_text(text)
    settings = Settings(policy=folder / "policy.yaml", state_dir=folder)
    policy, directory = read_rules(settings)
    async with gateway(directory=directory, state_dir=folder, **given) as g:
        g.core.adopt(policy, directory)
        yield Files(g, folder)


def reloads(core: Core, result: str) -> float:
    line = f'gauger_policy_reload_total{{result="{result}"}} '
    found = [text for text in core.metrics.render().decode().splitlines() if text.startswith(line)]
    return float(found[0].removeprefix(line)) if found else 0.0


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as made:
        yield made


async def test_a_better_policy_is_in_force_for_the_next_request(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with running(tmp_path, limited(1)) as files:
        assert [await files.status(client) for _ in range(2)] == [200, 429]
        assert files.write(limited(5, "another"))
        assert await files.status(client) == 200
        assert files.g.core.policy.id == "p5"
        assert reloads(files.g.core, "loaded") == 1


async def test_what_was_spent_stays_spent(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with running(tmp_path, limited(3)) as files:
        assert [await files.status(client) for _ in range(3)] == [200] * 3
        accounts = len(files.g.core.accounts)
        assert files.write(limited(3, extra="tokens: {reasoning: 0.5}\n"))
        assert await files.status(client) == 429
        assert len(files.g.core.accounts) == accounts


async def test_an_unchanged_file_is_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path, limited(3)) as files:
        before = files.g.core.policy
        files.policy.touch()
        assert not files.reloader.look()
        assert files.g.core.policy is before
        assert files.reloader.look(force=True)


BROKEN = {
    "half of it": limited(9)[:-20],
    "nothing": "",
    "no YAML": "gauger: [1",
    "no policy": "hello: world\n",
    "a wrong unit": limited(9).replace("requests/h", "parsecs/h"),
    "an accounts file that is not there": limited(9, extra="identity: {directory: nowhere.yaml}\n"),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
async def test_a_bad_policy_leaves_the_old_one_in_force(
    tmp_path: Path, client: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    async with running(tmp_path, limited(1)) as files:
        assert await files.status(client) == 200
        capfd.readouterr()
        assert not files.write(text)
        assert files.g.core.policy.id == "p1"
        assert await files.status(client) == 429
        assert reloads(files.g.core, "refused") == 1
        said = capfd.readouterr().err
        assert "reload refused" in said
        assert files.g.core.policy.digest in said
        assert not files.reloader.look()  # and it is said once
        assert reloads(files.g.core, "refused") == 1
        assert files.write(limited(5, "another"))
        assert await files.status(client) == 200


async def test_a_file_that_vanishes_or_becomes_a_folder_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, limited(1)) as files:
        files.policy.unlink()
        assert not files.reloader.look()
        files.policy.mkdir()
        assert not files.reloader.look()
        assert files.g.core.policy.id == "p1"
        files.policy.rmdir()
        assert files.write(limited(5))
        assert files.g.core.policy.id == "p5"


async def test_a_symbolic_link_that_points_elsewhere_is_a_change(tmp_path: Path) -> None:
    """As a Kubernetes config map changes: `policy.yaml -> ..data/policy.yaml`, `..data -> ..time`."""
    for number in (1, 5):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        (folder / "policy.yaml").write_text(limited(number))
    async with running(tmp_path, limited(1)) as files:
        (tmp_path / "..data").symlink_to("..1")
        files.policy.unlink()
        files.policy.symlink_to("..data/policy.yaml")
        assert not files.reloader.look()
        (tmp_path / "..new").symlink_to("..5")
        (tmp_path / "..new").rename(tmp_path / "..data")
        assert files.reloader.look()
        assert files.g.core.policy.id == "p5"


async def test_an_accounts_file_that_comes_later_ends_the_refusal(tmp_path: Path) -> None:
    async with running(tmp_path, limited(1)) as files:
        assert not files.write(limited(5, extra="identity: {directory: accounts.yaml}\n"))
        (tmp_path / "accounts.yaml").write_text("accounts: []\n")
        assert files.reloader.look()
        assert files.g.core.policy.id == "p5"


async def test_a_revoked_key_is_refused_from_the_next_request_on(tmp_path: Path, client: httpx.AsyncClient) -> None:
    text = limited(100, extra="identity: {directory: accounts.yaml, unknown: refuse}\n")
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text("accounts: []\n")
    async with running(tmp_path, text) as files:
        assert await files.status(client) == 401
        digest = key_digest(files.g.core.pepper.current, "sk-one")
        accounts.write_text(f"accounts:\n  - {{id: acct_1, keys: [{digest}]}}\n")
        assert files.reloader.look()
        assert await files.status(client) == 200
        accounts.write_text("accounts:\n  - {id: acct_1, keys: [sk-one]}\n")
        assert not files.reloader.look()
        assert await files.status(client) == 200
        accounts.write_text("accounts:\n  - {id: acct_1}\n")
        assert files.reloader.look()
        assert await files.status(client) == 401
        assert await files.status(client, authorization="Bearer sk-two") == 401


async def test_a_defect_of_reading_leaves_the_old_rules_in_force(tmp_path: Path) -> None:
    async with running(tmp_path, limited(1)) as files:

        def broken() -> Any:
            raise RecursionError

        reloader = Reloader(files.g.core, lambda: [files.policy], broken)
        assert not reloader.look(force=True)
        assert reloads(files.g.core, "refused") == 1


async def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    async with running(tmp_path, limited(1)) as files:
        files.policy.write_text(limited(2))  # still being written: it is valid, and not what is meant
        settings = Settings(policy=files.policy, state_dir=tmp_path)
        seen: list[str] = []

        def load() -> tuple[Policy, Directory]:
            rules = read_rules(settings)
            seen.append(rules[0].id)
            files.policy.write_text(limited(5))
            return rules

        adopted: list[str] = []
        reloader = Reloader(files.g.core, lambda: [files.policy], load)
        task = asyncio.create_task(reloader.run(0))
        reloader.ask()
        async with asyncio.timeout(5):
            while files.g.core.policy.id != "p5":
                adopted.append(files.g.core.policy.id)
                await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait((task,))
        assert seen == ["p2", "p5"]
        assert set(adopted) == {"p1"}


async def test_reloading_under_load_fails_no_request(tmp_path: Path, client: httpx.AsyncClient) -> None:
    one, two = limited(100_000), limited(200_000)
    async with running(tmp_path, one) as files:
        digests = {files.g.core.policy.digest}
        watching = asyncio.create_task(files.reloader.run(0.001))
        done = asyncio.Event()
        statuses: list[int] = []

        async def ask() -> None:
            while not done.is_set():
                statuses.append(await files.status(client))

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for number in range(50):
            before = files.g.core.policy
            if number % 2:
                files.policy.write_text((one, two)[number // 2 % 2][:50])
                files.reloader.ask()
                await asyncio.sleep(0)
            files.policy.write_text((two, one)[number % 2])
            if number % 5 == 0:  # this one must be seen
                async with asyncio.timeout(5):
                    while files.g.core.policy is before:
                        files.reloader.ask()
                        await asyncio.sleep(0.005)
            else:
                files.reloader.look()
            digests.add(files.g.core.policy.digest)
        done.set()
        await asyncio.gather(*asking)
        watching.cancel()
        await asyncio.wait((watching,))
        async with asyncio.timeout(5):
            while files.g.core.admission.inflight:
                await asyncio.sleep(0.01)
        assert set(statuses) == {200}
        assert len(digests) == 2
        records = files.g.records()
        assert len(records) == len(statuses)
        assert {record["policy"]["digest"] for record in records} == digests
        assert files.g.core.limits.open == 0


async def test_of_many_who_ask_one_reads_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path, limited(1)) as files:
        settings = Settings(policy=files.policy, state_dir=tmp_path)
        reading: list[int] = []
        most = 0

        def load() -> tuple[Policy, Directory]:
            nonlocal most
            reading.append(1)
            most = max(most, len(reading))
            rules = read_rules(settings)
            reading.pop()
            return rules

        reloader = Reloader(files.g.core, lambda: [files.policy], load)
        watching = asyncio.create_task(reloader.run(0.001))
        assert await asyncio.gather(*[reloader.now() for _ in range(8)]) == [(True, [])] * 8
        watching.cancel()
        await asyncio.wait((watching,))
        assert most == 1


async def test_refused_rules_that_take_long_to_read_are_not_read_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "REST", 1_000_000)
    async with running(tmp_path, limited(1)) as files:
        settings = Settings(policy=files.policy, state_dir=tmp_path)
        read: list[str] = []

        def load() -> tuple[Policy, Directory]:
            read.append(files.policy.read_text())
            return read_rules(settings)

        reloader = Reloader(files.g.core, lambda: [files.policy], load)
        files.policy.write_text("gauger: 1\nx: 1\n")
        watching = asyncio.create_task(reloader.run(0.001))
        async with asyncio.timeout(10):
            while not read:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.2)
            assert len(read) == 1
            assert not (await reloader.now())[0]  # unless somebody asks
            files.policy.write_text(limited(3))  # or they change
            while files.g.core.policy.id != "p3":
                await asyncio.sleep(0.005)
        watching.cancel()
        await asyncio.wait((watching,))
        assert len(read) == 3
