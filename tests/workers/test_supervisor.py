"""`gauger serve --workers N`: real processes, which are killed, and what callers and operators see of it."""

import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.errors import Mistake
from gateway.settings import Settings
from gateway.workers.supervisor import check
from tests.cli.process import DEADLINE, serving
from tests.workers.conftest import BLOCK, CHAT, KEY, WIDE, Flock, flock

together = pytest.mark.xdist_group("workers")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flock]:
    """Two workers for the tests that leave them as they were."""
    with flock(tmp_path_factory.mktemp("two"), 2) as made:
        yield made


@together
def test_both_answer_and_what_they_count_is_added(two: Flock) -> None:
    before = two.counted("gauger_requests_total")
    with httpx.Client(headers=KEY, timeout=DEADLINE) as one, httpx.Client(headers=KEY, timeout=DEADLINE) as other:
        for client in (one, other, one, other, one):
            assert client.post(f"{two.url}/v1/chat/completions", json=CHAT).status_code == 200
    assert two.counted("gauger_requests_total") == before + 5
    assert two.counted("gauger_workers") == 2


@together
def test_the_operator_s_port_says_what_holds_for_all(two: Flock) -> None:
    assert httpx.get(f"{two.ops}/livez").text == "ok\n"
    ready = two.ready()
    assert (ready["ready"], ready["enforcing"], ready["policy"]["id"]) == (True, True, "wide")
    assert [(each["worker"], each["state"], each["ready"]) for each in ready["workers"]] == [
        (0, "up", True),
        (1, "up", True),
    ]
    assert len({each["pid"] for each in ready["workers"]}) == 2
    policy = httpx.get(f"{two.ops}/-/policy").json()
    assert (policy["id"], policy["workers"]) == ("wide", 2)
    assert httpx.get(f"{two.url}/livez").status_code == 404  # the data port only proxies


@together
def test_a_worker_that_is_killed_comes_back_and_nothing_is_refused_or_forgotten(two: Flock) -> None:
    sent = two.counted("gauger_requests_total")
    restarts = two.counted("gauger_worker_restarts_total")
    for _ in range(4):
        assert two.ask().status_code == 200
    assert two.counted("gauger_requests_total") == sent + 4  # and so it has been seen
    killed = two.worker(1)
    killed.kill()
    psutil.wait_procs([killed], timeout=DEADLINE)
    for _ in range(4):
        assert two.ask().status_code == 200
    two.hear("worker ended", worker=1, pid=killed.pid, code=-9)
    two.hear("worker serves", worker=1, pid=_other_than(two, killed.pid))
    for _ in range(4):
        assert two.ask().status_code == 200
    assert two.counted("gauger_requests_total") == sent + 12
    assert two.counted("gauger_worker_restarts_total") == restarts + 1
    assert two.ready()["workers"][1]["restarts"] == 1


def _other_than(f: Flock, pid: int) -> Any:
    """The process id of worker 1, once it is another and serves."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        worker = f.ready()["workers"][1]
        if worker["state"] == "up" and worker["pid"] != pid:
            return worker["pid"]
    raise AssertionError("worker 1 does not come back")


@together
def test_rules_are_read_again_by_all_or_it_is_said_who_refused(two: Flock) -> None:
    two.policy.write_text(WIDE.replace("id: wide", "id: other"))
    got = httpx.post(f"{two.ops}/-/reload", timeout=DEADLINE)
    assert (got.status_code, got.json()["changed"], got.json()["workers"]) == (200, True, 2)
    assert httpx.get(f"{two.ops}/-/policy").json()["id"] == "other"
    two.policy.write_text(WIDE + "surprise: 1\n")
    got = httpx.post(f"{two.ops}/-/reload", timeout=DEADLINE)
    assert (got.status_code, got.json()["worker"]) == (422, 0)
    assert got.json()["findings"]
    assert {each["policy"]["id"] for each in two.ready()["workers"]} == {"other"}
    killed = two.worker(1)
    killed.kill()  # it can't come back with such a policy, and the other goes on
    assert "surprise" in two.hear("worker ended", worker=1, code=2)["why"]
    assert two.ask().status_code == 200
    two.policy.write_text(WIDE.replace("id: wide", "id: other"))
    _other_than(two, killed.pid)
    two.policy.write_text(WIDE)
    two.served.signal(signal.SIGHUP)
    for worker in (0, 1):
        assert two.served.hear(rf'"reloaded".*/worker-{worker}".*"policy":"wide"')
    assert httpx.get(f"{two.ops}/-/policy").json()["id"] == "wide"


def test_the_kill_switch_reaches_all_and_those_that_come_later(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with flock(tmp_path, 2, "--ledger", str(ledger), policy=BLOCK) as f:
        assert [f.ask().status_code for _ in range(2)] == [403, 403]
        got = httpx.put(f"{f.ops}/-/enforce", json={"enforce": False}, timeout=DEADLINE)
        assert (got.status_code, got.json()["enforcing"]) == (200, False)
        assert [f.ask().status_code for _ in range(3)] == [200, 200, 200]
        killed = f.worker(1)
        killed.kill()
        psutil.wait_procs([killed], timeout=DEADLINE)
        _other_than(f, killed.pid)
        assert {each["enforcing"] for each in f.ready()["workers"]} == {False}
        assert [f.ask().status_code for _ in range(3)] == [200, 200, 200]
        f.served.signal(signal.SIGUSR1)
        f.served.hear(r'"kill switch".*"enforcing":true,"by":"signal"')
        for worker in (0, 1):
            f.served.hear(rf'"kill switch".*/worker-{worker}".*"enforcing":true')
        assert f.ask().status_code == 403
        f.stop()
        records = f.served.records()
        done = Counter((record["kill"], record["action"]) for record in records)
        assert set(done) == {(False, "block"), (True, "allow")}  # one that is killed takes its last lines along
        assert done[False, "block"] >= 1 and done[True, "allow"] >= 3
        assert {record["service"]["instance"].rpartition("/")[2] for record in records} <= {"worker-0", "worker-1"}
        assert sorted(each.name for each in ledger.iterdir()) == ["worker-0", "worker-1"]


def test_a_stream_ends_whole_before_the_workers_do(tmp_path: Path) -> None:
    body = {**CHAT, "model": "standin-slow-30-tokens-20", "stream": True}
    with flock(tmp_path, 2, GAUGER_DRAIN_DELAY="0.4") as f:
        left = f.everybody()
        with httpx.stream("POST", f"{f.url}/v1/chat/completions", json=body, headers=KEY, timeout=DEADLINE) as stream:
            lines = stream.iter_lines()
            next(lines)
            f.served.signal(signal.SIGTERM)
            f.hear("draining")
            ready = httpx.get(f"{f.ops}/readyz")
            assert (ready.status_code, ready.json()["draining"]) == (503, True)
            assert "data: [DONE]" in list(lines)
        assert f.served.wait() == 0
        assert [each for each in left if each.is_running()] == []
        assert [record["end"] for record in f.served.records()] == ["done"]
        with pytest.raises(httpx.ConnectError):
            f.ask()


def test_a_supervisor_that_is_killed_leaves_nobody(tmp_path: Path) -> None:
    body = {**CHAT, "model": "standin-slow-30-tokens-20", "stream": True}
    with flock(tmp_path, 2) as f:
        left = f.everybody()
        assert len(left) == 3
        f.served.process.kill()
        _, alive = psutil.wait_procs(left, timeout=DEADLINE)
        assert alive == []
        assert len(f.events("the supervisor is gone")) == 2
        with pytest.raises(httpx.ConnectError):
            f.ask(**body)


def refused(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """What a start says that ends with code 2, and leaves nobody."""
    with serving(folder, *arguments, **environment) as served:
        assert served.wait() == 2, "\n".join(served.said)
        assert not any("Traceback" in line for line in served.said)
        return [line for line in served.said if not line.startswith("{")]


def test_limits_that_nobody_shares_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    wrong, hint = refused(tmp_path, "--workers", "2")
    assert wrong.startswith("gauger: workers: ")
    assert "--embedded-valkey" in hint
    assert "GAUGER_STORE=" in hint


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "limits that nobody shares": ({"workers": 2}, "workers"),
    "two stores": ({"embedded_valkey": True, "store": "valkey://127.0.0.1:1"}, "store"),
    "ports beyond the last": ({"workers": 2, "embedded_valkey": True, "worker_ports": 65_535}, "worker_ports"),
}


@pytest.mark.parametrize(("given", "place"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_settings_that_can_t_hold_for_several_are_refused(given: dict[str, Any], place: str) -> None:
    with pytest.raises(Mistake) as caught:
        check(Settings(**given))
    assert caught.value.place == place
    assert caught.value.hint or place == "worker_ports"


@pytest.mark.parametrize(
    "given",
    [{}, {"workers": 2, "embedded_valkey": True}, {"workers": 9, "store": "valkey://h", "worker_ports": 65_527}],
)
def test_settings_that_hold_are_taken(given: dict[str, Any]) -> None:
    check(Settings(**given))


@pytest.mark.parametrize("option", ["--port", "--ops-port"])
def test_a_port_in_use_stops_the_start_in_one_clear_line(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(tmp_path, "--workers", "2", "--embedded-valkey", option, str(port))
    assert said[0] == f"gauger: port: can't listen on 127.0.0.1:{port}: Address already in use"
    assert len(said) == 2


def test_a_policy_with_mistakes_stops_the_start_and_is_said_once(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(WIDE.replace("1000 requests/min", "1 parsecs/h"))
    said = refused(tmp_path, "--workers", "2", "--embedded-valkey", "--policy", str(policy))
    assert re.search(r"policy\.yaml:4:\d+: ", said[0])
    assert len([line for line in said if line.startswith("gauger: ")]) == 1
