"""The operator's port of several workers: one answer for all, or the name of who spoils it."""

from typing import Any

import httpx
import pytest

from gateway.workers.ops import Said, operator_app

READY = {"ready": True, "draining": False, "store": "valkey", "enforcing": True, "inflight": 2}
AWAY = "does not answer"
TOKEN = "a token of sixteen or more"


class Flock:
    """Workers that say what a test has them say."""

    def __init__(self, *answers: tuple[int, Any] | str, draining: bool = False) -> None:
        self.said: Said = dict(enumerate(answers))
        self.draining = draining
        self.orders: list[object] = []

    def states(self) -> dict[int, dict[str, Any]]:
        return {number: {"pid": 100 + number, "state": "up", "restarts": 0} for number in self.said}

    async def look(self) -> Said:
        return self.said

    async def in_force(self) -> Said:
        return self.said

    async def reload(self) -> Said:
        self.orders.append("reload")
        return self.said

    async def enforce(self, enforcing: bool, by: str) -> Said:
        self.orders.append((enforcing, by))
        return self.said

    async def metrics(self) -> bytes:
        return b"gauger_workers 2.0\n"


def client(flock: Flock, **given: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=operator_app(flock, **given)), base_url="http://ops")


async def test_ready_is_who_has_one_that_is_ready() -> None:
    async with client(Flock((200, READY), AWAY)) as ops:
        got = await ops.get("/readyz")
    assert got.status_code == 200
    whole = got.json()
    assert (whole["ready"], whole["inflight"], whole["store"]) == (True, 2, "valkey")
    assert [each["ready"] for each in whole["workers"]] == [True, False]
    assert [each["worker"] for each in whole["workers"]] == [0, 1]
    assert whole["workers"][1]["why"] == AWAY
    assert whole["workers"][0]["pid"] == 100


async def test_what_is_under_way_is_added() -> None:
    async with client(Flock((200, READY), (200, READY))) as ops:
        assert (await ops.get("/readyz")).json()["inflight"] == 4


async def test_a_store_is_down_where_one_can_t_reach_it() -> None:
    up, down = {"state": "up"}, {"state": "down", "why": "timeout"}
    async with client(Flock(*((200, {**READY, "store": store}) for store in (up, down, up)))) as ops:
        assert (await ops.get("/readyz")).json()["store"] == down


NOT_READY = {
    "nobody answers": Flock(AWAY, AWAY),
    "all drain": Flock((200, READY), draining=True),
    "each drains by itself": Flock((503, {**READY, "ready": False, "draining": True})),
}


@pytest.mark.parametrize("flock", NOT_READY.values(), ids=NOT_READY)
async def test_not_ready(flock: Flock) -> None:
    async with client(flock) as ops:
        got = await ops.get("/readyz")
        assert (got.status_code, got.json()["ready"]) == (503, False)
        assert (await ops.get("/livez")).status_code == 200


SAME = {"digest": "d", "enforcing": True}


async def test_what_all_say_is_said_once() -> None:
    async with client(Flock((200, SAME), (200, SAME))) as ops:
        got = await ops.get("/-/policy")
    assert (got.status_code, got.json()) == (200, {**SAME, "workers": 2})


async def test_who_differs_is_named() -> None:
    async with client(Flock((200, SAME), (200, {**SAME, "digest": "other"}))) as ops:
        got = await ops.get("/-/policy")
    assert (got.status_code, got.json()["error"]) == (503, "worker 1 differs")
    assert [each["digest"] for each in got.json()["workers"]] == ["d", "other"]


async def test_nobody_there_is_said() -> None:
    async with client(Flock()) as ops:
        assert (await ops.post("/-/reload")).status_code == 503


async def test_a_reload_changed_something_where_it_did_for_one() -> None:
    answers = [(200, {"digest": "d", "changed": changed}) for changed in (False, True)]
    async with client(Flock(*answers)) as ops:
        got = await ops.post("/-/reload")
    assert (got.status_code, got.json()) == (200, {"digest": "d", "changed": True, "workers": 2})


async def test_findings_are_those_of_the_first_who_has_some() -> None:
    refused = (422, {"digest": "d", "changed": False, "findings": ["policy.yaml:1:1: no"]})
    async with client(Flock((200, {"digest": "d", "changed": False}), refused, refused)) as ops:
        got = await ops.post("/-/reload")
    assert got.status_code == 422
    assert (got.json()["worker"], got.json()["findings"]) == (1, ["policy.yaml:1:1: no"])


async def test_an_order_that_one_did_not_follow_is_an_error() -> None:
    flock = Flock((200, SAME), AWAY)
    async with client(flock) as ops:
        got = await ops.put("/-/enforce", json={"enforce": False})
    assert (got.status_code, got.json()) == (503, {"error": "worker 1 does not answer"})
    assert flock.orders == [(False, "operator's port")]


@pytest.mark.parametrize(("method", "path"), [("POST", "/-/reload"), ("PUT", "/-/enforce")])
@pytest.mark.parametrize(
    ("given", "headers", "status"),
    [
        ({"token": TOKEN}, {}, 401),
        ({"local": False}, {}, 403),
        ({}, {"origin": "http://page.test"}, 403),
    ],
)
async def test_who_may_not_change_anything_reaches_no_worker(
    method: str, path: str, given: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    flock = Flock((200, SAME))
    async with client(flock, **given) as ops:
        got = await ops.request(method, path, json={"enforce": False}, headers=headers)
    assert got.status_code == status
    assert flock.orders == []


async def test_a_switch_is_thrown_by_one_word_only() -> None:
    flock = Flock((200, SAME))
    async with client(flock) as ops:
        assert (await ops.put("/-/enforce", content=b"{}")).status_code == 400
        assert flock.orders == []
        assert (await ops.put("/-/enforce", json={"enforce": True})).status_code == 200


async def test_metrics_are_of_prometheus_type() -> None:
    async with client(Flock((200, SAME))) as ops:
        got = await ops.get("/metrics")
    assert got.headers["content-type"].startswith("text/plain; version=")
    assert got.text == "gauger_workers 2.0\n"
