"""What reading, observing and judging a request costs: CPU µs a rung, beside nginx with `limit_req` in the same run.

    python tests/benchmarks/bench_detect.py [--rounds N] [--lines N]

Chat prompts of 2 KB and 32 KB, ASCII and not, with and without wording that says something, by the shipped policy; each
of 50 accounts asks in turn, and every rung follows the one before it, so nothing is hotter than in a gateway. `judge`
contains `signals`, which is measured once more by itself. The prose is this repository's own.

The reference is nginx as a reverse proxy that limits by key, before an nginx that answers 1.5 KB at once: CPU of the
proxy's process a 2 KB request, 16 connections. Where nginx isn't installed, no ratios are printed. Half a minute.
"""

import argparse
import gc
import gzip
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.decide import AccountState, Facts, Outcome, judge, settle
from gateway.dialects import match
from gateway.files import resolver
from gateway.gauges import PANEL
from gateway.identity import Caller
from gateway.observe import Prints, observe
from gateway.observe.wire import form_of, from_wire
from gateway.policy.loader import load
from gateway.usage import Usage
from tests.benchmarks.bench_replay import ONE, ROOT, TRAFFIC, run
from tests.observe.wishes import ASKED

POLICY = ROOT / "policies" / "default.yaml"
PROSE = ("policies/README.md", "deploy/README.md", "gateway/README.md", "README.md")
RUNGS = ("parse", "observe", "signals", "judge", "settle")
ACCOUNTS = 50
PROMPTS = 200
SYSTEM = "You are the assistant of a shop for garden tools. Answer from what you are given, in three sentences at most."
ENOUGH = Usage(500, 150, source="upstream")
ANSWER = {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": {"content": "word " * 270}}]}
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_buffer_size 64k; default_type application/json;
  client_body_temp_path {folder}/{name}; proxy_temp_path {folder}/{name}; fastcgi_temp_path {folder}/{name};
  uwsgi_temp_path {folder}/{name}; scgi_temp_path {folder}/{name};
  limit_req_zone $http_authorization zone=keys:10m rate=1000000r/s;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port}; location / {{ {does} }} }}
}}
"""
PROXY = 'limit_req zone=keys burst=100000 nodelay; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://model;'
SCRIPT = (
    'wrk.method="POST"\nwrk.headers["Content-Type"]="application/json"\nwrk.headers["Authorization"]="Bearer sk-1"\n'
)


def prose() -> list[str]:
    """Paragraphs of ASCII."""
    text = "\n\n".join((ROOT / name).read_text() for name in PROSE)
    plain = [" ".join(each.split()) for each in text.split("\n\n") if each[:1].isalpha()]
    return [each for each in plain if each.isascii() and len(each) > 200]


def accented(text: str) -> str:
    """The same in letters beyond ASCII: every third e."""
    parts = text.split("e")
    return "".join(part + ("é" if at % 3 == 2 else "e") for at, part in enumerate(parts))[:-1]


def prompts(size: int, wide: bool, worded: bool, dice: random.Random) -> list[bytes]:
    """Bodies of chat requests of so many bytes, each another."""
    paragraphs = prose()
    wishes = [wish for some in ASKED.values() for wish in some if wish.isascii() is not wide]
    bodies = []
    for _ in range(PROMPTS):
        parts: list[str] = ["Context:"]
        while sum(map(len, parts)) < size:
            paragraph = dice.choice(paragraphs)
            parts.append(accented(paragraph) if wide else paragraph)
            if worded:
                parts.append(dice.choice(wishes))
        text = "\n".join(parts)[: size - 300] + "\nQuestion: what follows from that for a customer?"
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
        bodies.append(orjson.dumps({"model": "gpt-4o", "temperature": 0.2, "messages": messages}))
    return bodies


def rungs(bodies: list[bytes], rounds: int) -> dict[str, list[float]]:
    """CPU µs of each rung, one figure a request."""
    found = match("POST", "/v1/chat/completions")
    assert found is not None
    dialect, route = found
    policy = load(POLICY.read_text(), POLICY.name, resolver(POLICY))
    prints, clock, now = Prints(b"bench"), time.thread_time_ns, 1_800_000_000_000_000
    empty = statistics.median([-(clock() - clock()) for _ in range(2000)])
    callers = [Caller(f"account-{at}") for at in range(ACCOUNTS)]
    states = [AccountState() for _ in callers]
    names = ("parse", "observe", "judge", "settle", "signals", "all")
    taken: dict[str, list[float]] = {name: [] for name in names}
    outcome = Outcome(end="done", status=200, upstream_status=200, usage=ENOUGH)
    for turn in range(rounds + 1):
        for at, body in enumerate(bodies):
            who, now = at % ACCOUNTS, now + 1_000_000
            begun = clock()
            calls = dialect.parse(route, body)
            parsed = clock()
            seen = observe(route, calls, len(body), prints, b"OpenAI/Python 1.0")
            observed = clock()
            facts = Facts(callers[who], seen)
            states[who], verdict = judge(policy, states[who], facts, now)
            judged = clock()
            states[who], _ = settle(policy, states[who], facts, verdict, outcome, now + 500_000)
            settled = clock()
            PANEL.pack(PANEL.asked(states[who].signals, seen, callers[who], now + 600_000))
            stepped = clock()
            if turn:  # the first round warms up
                steps = (parsed - begun, observed - parsed, judged - observed, settled - judged, stepped - settled)
                costs = [(step - empty) / 1000 for step in steps]
                for name, cost in zip(names, (*costs, sum(costs[:3])), strict=True):
                    taken[name].append(cost)
    return taken


def batch_line(bodies: list[bytes]) -> float:
    """CPU µs a line of an uploaded batch: read, observed, folded."""
    lines = b"\n".join(
        orjson.dumps(
            {"custom_id": str(at), "method": "POST", "url": "/v1/chat/completions", "body": orjson.loads(body)}
        )
        for at, body in enumerate(bodies)
    )
    kind, form = form_of("batch", "lines.jsonl", "application/jsonl", lines.decode())
    costs = []
    for _ in range(5):
        begun = time.thread_time_ns()
        wire = from_wire("POST", "/v1/files", [(b"content-type", kind)], form, Prints(b"bench"))
        costs.append((time.thread_time_ns() - begun) / len(bodies) / 1000)
        assert wire.folded is not None and wire.folded.lines == len(bodies)
    return min(costs)


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@contextmanager
def nginx(folder: Path, name: str, port: int, upstream: int, does: str) -> Iterator[int]:
    """An nginx that listens; its process id."""
    conf = folder / f"{name}.conf"
    conf.write_text(NGINX.format(folder=folder, name=name, port=port, upstream=upstream, does=does))
    process = subprocess.Popen(["nginx", "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as some:
                if not some.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def cpu(pid: int) -> int:
    """ns that a process was on a CPU."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def ask_by_wrk(folder: Path, port: int, body: bytes) -> int:
    """Sends requests for two seconds; how many were answered."""
    script = folder / "post.lua"
    script.write_bytes(SCRIPT.encode() + b"wrk.body=[==[" + body + b"]==]\n")
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    said = subprocess.run(
        ["wrk", "-t1", "-c16", "-d2s", "-s", str(script), url], capture_output=True, text=True, check=True
    ).stdout
    assert "Non-2xx" not in said, said
    return int(said.partition(" requests in")[0].split()[-1])


def ask_by_hand(port: int, body: bytes, rounds: int = 1000) -> int:
    """Sends so many requests on each of sixteen connections, all of them at a time; how many were answered."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-1\r\n"
    request = head + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
    size = 0
    for _ in range(rounds):
        for client in clients:
            client.sendall(request)
        for client in clients:
            came = client.recv(1 << 16)
            size = size or len(came)
            while len(came) < size:
                came += client.recv(1 << 16)
            assert came.startswith(b"HTTP/1.1 200"), came[:100]
    for client in clients:
        client.close()
    return 16 * rounds


def reference(body: bytes) -> float | None:
    """CPU µs of nginx a request; None where there is none."""
    if shutil.which("nginx") is None or not Path("/proc/self/schedstat").exists():
        return None
    costs = []
    with tempfile.TemporaryDirectory() as name:
        folder, port, upstream = Path(name), free_port(), free_port()
        answers = f"return 200 '{orjson.dumps(ANSWER).decode()}';"
        with nginx(folder, "model", upstream, 1, answers), nginx(folder, "proxy", port, upstream, PROXY) as pid:
            ask_by_hand(port, body, 20)
            for _ in range(3):
                begun = cpu(pid)
                count = ask_by_wrk(folder, port, body) if shutil.which("wrk") else ask_by_hand(port, body)
                costs.append((cpu(pid) - begun) / count / 1000)
    return statistics.median(costs)


def replayed(lines: int) -> float | None:
    """Requests/s of CPU that `gauger replay` takes from raw traffic; None where the traffic isn't there."""
    if not TRAFFIC.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        one, some = Path(folder, "one.jsonl"), Path(folder, "some.jsonl")
        one.write_text(ONE)
        with gzip.open(TRAFFIC) as traffic, some.open("wb") as out:
            out.writelines(line for _, line in zip(range(lines), traffic, strict=False))
        policy = ("--policy", str(POLICY))
        start = min(run(str(one), *policy)[0] for _ in range(2))
        return lines / (min(run(str(some), *policy)[0] for _ in range(2)) - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=6000)
    given = parser.parse_args()
    dice = random.Random(1)
    kinds = [(size, wide, worded) for size in (2048, 32768) for wide in (False, True) for worded in (False, True)]
    bodies = {kind: prompts(*kind, dice) for kind in kinds}
    proxy = reference(bodies[2048, False, False][0])
    print(f"nginx with limit_req, 2 KB: {proxy:.1f} µs" if proxy is not None else "nginx is not installed: no ratios")
    gc.collect()
    gc.freeze()
    print(f"{'µs of CPU, median (p99)':30}" + "".join(f"{rung:>15}" for rung in RUNGS) + "  parse + observe + judge")
    for size, wide, worded in kinds:
        taken = rungs(bodies[size, wide, worded], given.rounds)
        name = f"{size // 1024} KB {'wide' if wide else 'ASCII'}{', worded' if worded else ''}"
        cells = []
        for rung in (*RUNGS, "all"):
            costs = sorted(taken[rung])
            cells.append(f"{costs[len(costs) // 2]:7.1f} ({costs[len(costs) * 99 // 100]:5.0f})")
        ratio = f"  {statistics.median(taken['all']) / proxy:4.1f} x nginx" if proxy is not None else ""
        print(f"{name:30}" + "".join(f"{cell:>15}" for cell in cells[:5]) + f"  {cells[5]}{ratio}")
    print(f"{'a line of a batch, 2 KB':30}{batch_line(bodies[2048, False, False]):15.1f} read, observed and folded")
    speed = replayed(given.lines)
    print("no traffic to replay" if speed is None else f"replay of raw traffic: {speed:,.0f} requests/s of CPU")


if __name__ == "__main__":
    main()
