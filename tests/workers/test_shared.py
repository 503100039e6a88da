"""Several workers and their own Valkey: one limit for all, and what holds while it is away."""

from collections import Counter
from pathlib import Path

import httpx
import psutil

from tests.cli.process import DEADLINE
from tests.workers.conftest import CHAT, KEY, flock, free_ports

FOUR = (
    "gauger: 1\npolicy: {id: four}\nlimits:\n"
    "  - {id: four, by: [account], count: requests, rate: 4 requests/day, burst: 4 requests}\n"
)


def test_workers_share_a_limit_and_outlive_their_store(tmp_path: Path) -> None:
    base = free_ports(2)
    with flock(tmp_path, 2, policy=FOUR, GAUGER_WORKER_PORTS=str(base)) as f:

        def ask(worker: int, key: str) -> int:
            url, headers = f"http://127.0.0.1:{base + worker}/v1/chat/completions", {"authorization": f"Bearer {key}"}
            return httpx.post(url, json=CHAT, headers=headers, timeout=DEADLINE).status_code

        assert Counter(ask(number % 2, "sk-one") for number in range(6)) == {200: 4, 429: 2}
        killed = f.valkey()
        psutil.Process(killed.pid).kill()
        psutil.wait_procs([killed], timeout=DEADLINE)
        # Nobody waits for it, and each of the two grants half: at least while it is away, at most until it is back.
        assert ask(0, "sk-two") == ask(1, "sk-two") == 200
        f.hear("the embedded Valkey has ended", pid=killed.pid, code=-9)
        f.served.hear(rf'"the embedded Valkey answers".*"pid":(?!{killed.pid}\b)')
        while any(worker["store"]["state"] == "down" for worker in f.ready()["workers"]):
            pass
        assert Counter(ask(number % 2, "sk-three") for number in range(6)) == {200: 4, 429: 2}
        assert f.counted("gauger_embedded_valkey_restarts_total") == 1
        f.stop()
        records = f.served.records()
        assert {record["store"] for record in (*records[:6], *records[-6:])} == {"valkey"}
        served = Counter(record["service"]["instance"].rpartition("/")[2] for record in records)
        assert served == {"worker-0": 7, "worker-1": 7}


def test_one_worker_with_a_store_of_its_own_keeps_limits_when_it_is_killed(tmp_path: Path) -> None:
    with flock(tmp_path, 1, policy=FOUR) as f:

        def ask() -> int:
            return httpx.post(f"{f.url}/v1/chat/completions", json=CHAT, headers=KEY, timeout=DEADLINE).status_code

        assert [ask() for _ in range(3)] == [200] * 3
        killed = f.worker(0)
        killed.kill()
        psutil.wait_procs([killed], timeout=DEADLINE)
        assert [ask() for _ in range(2)] == [200, 429]  # a connection waits for the next worker where there is none
        assert f.ready()["workers"][0]["restarts"] == 1
