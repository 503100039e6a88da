"""Rules that change under a running gateway: packs are watched, tests must pass, and what was begun is ended."""

import asyncio
from pathlib import Path

import httpx
import orjson

from gateway.edge.exchange import Receive, Scope, Send
from gateway.ledger.record import Adopted, Ruled
from gateway.stores.segments import read_rows
from tests.test_reload import CHAT, KEY, reloads, running

TAGGED = """
gauger: 1
policy: {id: p}
rules:
  - {id: few, when: req.n >= NUMBER, then: {tag: [many]}}
tests:
  - {name: three are many, given: {req: {n: 3}}, expect: {tags: [many]}}
  - {name: two are few, given: {req: {n: 2}}, expect: {tags: []}}
"""


async def test_a_policy_that_fails_its_own_tests_never_replaces_a_running_one(tmp_path: Path) -> None:
    async with running(tmp_path, TAGGED.replace("NUMBER", "3")) as files:
        before = files.g.core.policy.digest
        assert not files.write(TAGGED.replace("NUMBER", "2"))
        assert files.g.core.policy.digest == before
        assert reloads(files.g.core, "refused") == 1
        assert files.write(TAGGED.replace("NUMBER", "3").replace("id: p}", "id: q}"))
        assert files.g.core.policy.id == "q"


async def test_a_pack_that_changes_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    pack = tmp_path / "packs" / "own.yaml"
    pack.write_text("gauger: 1\nrules: [{id: a, when: req.n >= 1, then: {tag: [one]}}]\n")
    async with running(tmp_path, "gauger: 1\nuse: [packs/own.yaml]\n") as files:
        first = files.g.core.policy.digest
        assert not files.reloader.look()
        pack.write_text("gauger: 1\nrules: [{id: a, when: req.n >= 1, then: {tag: [two]}}]\n")
        assert files.reloader.look()
        assert files.g.core.policy.digest != first
        pack.write_text("gauger: 1\nrules: [{id: a, when: req.nn >= 1, then: {tag: [three]}}]\n")
        assert not files.reloader.look()
        async with httpx.AsyncClient(timeout=30) as client:
            assert await files.status(client) == 200
        (record,) = files.g.records()
        assert record["effects"]["tags"] == ["two"]
        assert record["policy"]["digest"] == files.g.core.policy.digest


async def test_what_lasts_of_a_rule_survives_a_reload_and_ends_with_its_rule(tmp_path: Path) -> None:
    text = "gauger: 1\npolicy: {id: p}\nrules: [{id: stop, when: req.n > 1, then: {block: {for: 1h, code: no}}}]\n"
    async with running(tmp_path, text) as files, httpx.AsyncClient(timeout=30) as client:
        url = f"{files.g.url}/v1/chat/completions"
        assert (await client.post(url, json=CHAT | {"n": 2}, headers=KEY)).status_code == 403
        assert await files.status(client) == 403
        assert files.write(text.replace("id: p}", "id: q}"))
        assert await files.status(client) == 403
        assert files.write(text.replace("id: stop", "id: halt"))
        assert await files.status(client) == 200


async def test_a_request_ends_under_the_policy_that_it_began_with(tmp_path: Path) -> None:
    text = (
        "gauger: 1\npolicy: {id: p}\nrules: [{id: long, phase: response, when: resp.status == 200, then: {tag: [T]}}]\n"
    )
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"{}"})

    given = running(tmp_path, text.replace("[T]", "[old]"), app=app)
    async with given as files, httpx.AsyncClient(timeout=30) as client:
        old = files.g.core.policy.digest
        first = asyncio.create_task(files.status(client))
        await begun.wait()
        assert files.write(text.replace("[T]", "[new]"))
        go_on.set()
        assert await first == 200
        assert await files.status(client) == 200
        for _ in range(100):
            if len(files.g.records()) == 2:
                break
            await asyncio.sleep(0.02)
        one, two = files.g.records()
        assert (one["effects"]["tags"], one["policy"]["digest"]) == (["old"], old)
        assert two["effects"]["tags"] == ["new"]


async def test_the_ledger_keeps_the_text_of_every_policy_that_was_in_force(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "own.yaml").write_text("gauger: 1\nrules: [{id: a, when: req.n >= 1, then: {tag: [one]}}]\n")
    text = "gauger: 1\npolicy: {id: p}\nuse: [packs/own.yaml]\n"
    ledger = tmp_path / "ledger"
    async with running(tmp_path, text, ledger=ledger) as files, httpx.AsyncClient(timeout=30) as client:
        assert await files.status(client) == 200
        assert files.write(text.replace("id: p}", "id: q}"))
        assert await files.status(client) == 200
    rows = list(read_rows(ledger))
    adopted = [row for row in rows if isinstance(row, Adopted) and row.files]
    assert [row.id for row in adopted[-2:]] == ["p", "q"]
    assert "packs/own.yaml" in adopted[-1].files
    ruled = [row for row in rows if isinstance(row, Ruled)]
    assert [row.policy for row in ruled] == [row.digest for row in adopted[-2:]]
    assert all(row.verdict.effects.tags == ("one",) for row in ruled)
    assert orjson.dumps(adopted[-1].files)


async def test_a_new_segment_says_by_which_policy_its_rows_are_ruled(tmp_path: Path) -> None:
    given = running(tmp_path, TAGGED.replace("NUMBER", "3"), ledger=tmp_path / "ledger", ledger_segment_bytes=65_536)
    async with given as files, httpx.AsyncClient(timeout=30) as client:
        core = files.g.core
        assert core.ledger is not None
        core.repeat_policy()
        core.ledger.flush()
        first = core.ledger.number
        for _ in range(200):
            assert await files.status(client) == 200
            core.ledger.flush()
            if core.ledger.number > first:
                break
        core.repeat_policy()
        core.repeat_policy()
    newest = sorted((tmp_path / "ledger").glob("segment-*"))[-1]
    adopted = [row for row in read_rows(newest) if isinstance(row, Adopted)]
    assert [row.digest for row in adopted] == [core.policy.digest]


async def test_a_promise_that_nothing_supports_never_comes_into_force_with_a_block(tmp_path: Path) -> None:
    card = """
gauger: 1
policy: {id: p}
scorecards:
  - id: x
    prior: -30 dB
    families: {params: 30 dB, content: 30 dB}
    promise: {block: 0.1% of owners/month}
    evidence:
      - {id: a, family: params, when: req.n > 1, points: 25 dB}
      - {id: b, family: content, when: req.n > 2, points: 25 dB}
rules: [{id: stop, when: score.x >= 10 dB, then: {block: {code: no}}, mode: MODE, owner: me}]
"""
    async with running(tmp_path, card.replace("MODE", "shadow")) as files:
        before = files.g.core.policy.digest
        assert not files.write(card.replace("MODE", "enforce"))
        assert files.g.core.policy.digest == before
        assert reloads(files.g.core, "refused") == 1


async def test_an_exception_that_has_expired_stops_no_reload(tmp_path: Path) -> None:
    text = """
gauger: 1
rules: [{id: slow, when: req.n > 1, then: {throttle: {delay: 1 s}}, owner: me}]
exceptions: [{id: old, silences: [slow], when: req.n > 1, expires: 2020-01-31, owner: me, reason: long ago}]
"""
    async with running(tmp_path, "gauger: 1\n") as files:
        assert files.write(text)
