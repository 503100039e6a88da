"""What a request costs in the gateway beside moving its bytes: CPU µs of rungs 2 to 7 and 9, whole and one by one.

    python tests/benchmarks/bench_path.py [--policy FILE] [--requests N] [--profile]

The gate runs as in a gateway, around an app that answers at once, without sockets: identity, parsing, observing,
linking, judging, limits, the record and its ledger rows (to a folder, with the thread that writes them). Bodies are
distinct prose from this repository, 2 KB and 32 KB; 64 accounts ask in turn. Every other request goes to the same app
without the gate, and the difference of the medians is the path. `worded`: each prompt asks for something that the
extraction signals know by its words.
"""

import argparse
import asyncio
import cProfile
import gc
import io
import pstats
import random
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parents[2]))

from pydantic import SecretStr

from gateway.app import build_core
from gateway.edge import finish, gate
from gateway.edge.core import Core
from gateway.edge.gate import Gate
from gateway.settings import Settings
from tests.observe.wishes import ASKED

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "policies" / "packs" / "extraction-enforce.yaml"
PROSE = ("policies/README.md", "deploy/README.md", "gateway/README.md", "README.md")
SYSTEM = "You are the assistant of a shop for garden tools. Answer from what you are given, in three sentences at most."
ANSWER = orjson.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "mock",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "word " * 230}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 420, "completion_tokens": 250, "total_tokens": 670},
    }
)
HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER)), (b"x-request-id", b"req_1")]
STEPS = ("_trace", "_identify", "_parse", "_judge", "_act", "_relay", "_settle")


def bodies(size: int, count: int, *, worded: bool, seed: int = 1) -> list[bytes]:
    """Distinct chat requests of about `size` bytes."""
    text = "".join((ROOT / name).read_text() for name in PROSE)
    plain = text.encode("ascii", "ignore").decode()
    random_ = random.Random(seed)
    wishes = [wish for language in ASKED.values() for wish in language]
    found = []
    for at in range(count):
        start = random_.randrange(len(plain) - size)
        prose = plain[start : start + size - 400]
        asked = wishes[at % len(wishes)] if worded else "What follows from this for a shop like ours?"
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{prose}\n{at}. {asked}"}]
        found.append(
            orjson.dumps({"model": "mock", "messages": messages, "temperature": 0.7, "max_tokens": 256, "n": 1})
        )
    return found


def scope_of(at: int, size: int) -> dict[str, Any]:
    """What an ASGI server makes of a request of account `at`."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
        "headers": [
            (b"host", b"127.0.0.1:8080"),
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
            (b"user-agent", b"OpenAI/Python 2.7.1"),
            (b"authorization", b"Bearer sk-test-%032d" % at),
            (b"content-length", b"%d" % size),
        ],
        "extensions": {},
    }


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """The app: reads the body, answers at once."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": list(HEAD)})
    await send({"type": "http.response.body", "body": ANSWER, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def timed(spent: dict[str, list[int]]) -> list[tuple[Any, str, Any]]:
    """Wraps the steps of the gate so that each adds its ns to `spent`; what was replaced comes back."""
    before: list[tuple[Any, str, Any]] = []

    def wrap(owner: Any, name: str, label: str = "") -> None:
        inner = getattr(owner, name)
        before.append((owner, name, inner))
        times = spent.setdefault(label or name.strip("_"), [])

        async def awaited(*args: Any, **named: Any) -> Any:
            began = perf_counter_ns()
            try:
                return await inner(*args, **named)
            finally:
                times.append(perf_counter_ns() - began)

        def called(*args: Any, **named: Any) -> Any:
            began = perf_counter_ns()
            try:
                return inner(*args, **named)
            finally:
                times.append(perf_counter_ns() - began)

        setattr(owner, name, awaited if asyncio.iscoroutinefunction(inner) else called)

    for name in STEPS:
        wrap(Gate, name)
    wrap(gate, "observe")
    wrap(gate, "judge", "core.judge")
    wrap(gate, "settle", "core.settle")
    wrap(Gate, "_linked")
    wrap(finish, "report")
    wrap(finish, "line")
    return before


async def drive(gated: Gate, prompts: list[bytes], requests: int, first: int = 0) -> tuple[list[int], list[int]]:
    """ns of each request through the gate, and of each to the app alone."""
    through: list[int] = []
    alone: list[int] = []

    async def nowhere(message: Any) -> None:
        pass

    for at in range(first, first + requests):
        body = prompts[at % len(prompts)]

        async def receive(body: bytes = body) -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        for app, times in ((answering, alone), (gated, through)):
            scope = scope_of(at % 64, len(body))
            began = perf_counter_ns()
            await app(scope, receive, nowhere)
            times.append(perf_counter_ns() - began)
        if at % 16 == 0:
            await asyncio.sleep(0.0)
    return through, alone


def core_of(policy: Path, folder: str) -> Core:
    settings = Settings(
        policy=policy,
        pepper=SecretStr("a pepper for a benchmark"),
        state_dir=Path(folder),
        ledger=Path(folder, "ledger"),
        upstream="http://127.0.0.1:1",
    )
    return build_core(settings, stream=Path("/dev/null").open("wb"))


def _tenth(times: list[int]) -> float:
    """The tenth percentile: what a request costs where nothing else disturbs the machine."""
    return statistics.quantiles(times, n=10)[0]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=POLICY)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--profile", action="store_true", help="where the time goes, by function (2 KB)")
    given = parser.parse_args()
    gc.freeze()
    print("µs of CPU, median (10th percentile, mean)    of that, by step (each step timed, which itself takes some µs)")
    for size, worded in ((2048, False), (2048, True), (32768, False), (32768, True)):
        with tempfile.TemporaryDirectory() as folder:
            core = core_of(given.policy, folder)
            gated = Gate(answering, core)
            prompts = bodies(size, 512, worded=worded)
            await drive(gated, prompts, given.requests // 2)
            if given.profile and size == 2048 and not worded:
                profile = cProfile.Profile()
                profile.enable()
                await drive(gated, prompts, given.requests)
                profile.disable()
                out = io.StringIO()
                pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(60)
                print(out.getvalue())
            through, alone = await drive(gated, prompts, given.requests, given.requests // 2)
            spent: dict[str, list[int]] = {}
            before = timed(spent)
            await drive(gated, prompts, given.requests // 2, 2 * given.requests)
            for owner, name, inner in before:
                setattr(owner, name, inner)
            await core.aclose()
        base = statistics.median(alone)
        path, mean, low = statistics.median(through), statistics.fmean(through), _tenth(through) - _tenth(alone)
        steps = "  ".join(f"{name} {statistics.median(times) / 1000:.0f}" for name, times in spent.items() if times)
        label = f"{size // 1024} KB{' worded' if worded else ''}"
        print(
            f"{label:20} {(path - base) / 1000:8.1f} ({low / 1000:6.1f}, {(mean - base) / 1000:6.1f})   {steps}",
            flush=True,
        )


if __name__ == "__main__":
    asyncio.run(main())
