"""Requests a second that `gauger replay` does on one core, and the memory that it takes: from raw traffic and a ledger.

    python tests/benchmarks/bench_replay.py [TRAFFIC] [--policy FILE] [--times N]

Each figure is CPU time of a process of its own; that of an empty start is measured the same way and taken off. The best
of N runs counts. TRAFFIC is a log as `gauger replay` reads it; the default lies beside the checkout.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRAFFIC = ROOT.parent / "shared" / "data" / "dev.jsonl.gz"
ONE = '{"t":1,"account":"a","path":"/v1/chat/completions","body":{"model":"m","messages":[]}}\n'


def run(*arguments: str) -> tuple[float, str]:
    """Seconds of CPU, and what was printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    made = subprocess.run(
        [sys.executable, "-m", "gateway", "replay", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, made.stdout


def peak(*arguments: str) -> float:
    """MiB of resident memory, at most."""
    code = (
        "import resource, sys\nfrom gateway.cli import main\nsys.argv = ['gauger', 'replay', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(made.stderr.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traffic", nargs="?", default=str(TRAFFIC))
    parser.add_argument("--policy")
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    policy = ["--policy", given.policy] if given.policy else []
    with tempfile.TemporaryDirectory() as folder:
        one, led = Path(folder, "one.jsonl"), str(Path(folder, "led"))
        one.write_text(ONE)
        _, told = run(given.traffic, *policy, "--ledger", led)
        count = int(told.split(": ", 1)[1].split(" ")[0].replace(",", ""))
        start = min(run(str(one), *policy)[0] for _ in range(given.times))
        print(f"{count:,} requests; an empty start takes {start:.2f} s")
        for name, arguments in (
            ("raw traffic", [given.traffic, *policy]),
            ("raw traffic, decisions written", [given.traffic, *policy, "--decisions", str(Path(folder, "out"))]),
            ("ledger, its own policy", [led]),
            ("ledger, a policy that is named", [led, *policy] if policy else [led, "--policy", _other(folder)]),
        ):
            seconds = min(run(*arguments)[0] for _ in range(given.times)) - start
            print(f"{name:32} {count / seconds:10,.0f} requests/s {peak(*arguments):8.0f} MiB")


def _other(folder: str) -> str:
    """The shipped policy with another burst, and without the tests that hold it to its own."""
    path = Path(folder, "other.yaml")
    text = (ROOT / "policies" / "default.yaml").read_text().partition("\ntests:")[0]
    path.write_text(text.replace("burst: 100 requests", "burst: 20 requests"))
    return str(path)


if __name__ == "__main__":
    main()
