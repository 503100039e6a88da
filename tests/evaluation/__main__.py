"""Shell. `make evaluate`: how well the shipped packs tell extraction, on labelled traffic.

    python -m tests.evaluation [--data DIR] [--json FILE] [--accounts [shipped|fitted]] [--quick] [--policy FILE]

The traffic goes through the steps of `gauger replay`, without its labels: once under the packs as they are, once with
the nulls of every count fitted on one half of the benign owners and tried on the other.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from gateway.accounts import load_accounts
from gateway.errors import Mistake
from gateway.files import resolver
from gateway.policy.loader import load
from gateway.policy.model import Policy
from tests.evaluation import accounts, baselines, nulls, report
from tests.evaluation.metrics import Case, summary
from tests.evaluation.replaying import Fleet, Track, cases, replay
from tests.evaluation.report import Column
from tests.evaluation.traffic import Files, Labelled, Line, MissingError, find, labels, lines

POLICY = Path(__file__).parent / "policy.yaml"
SCHEMA = "gauger.evaluation/1"


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.quick and given.accounts == "fitted":
        parser.error("--quick fits nothing")
    if not 1 <= given.workers <= 256:
        parser.error("--workers are 1 to 256")
    if (given.workers > 1 or given.directory) and not given.quick:
        parser.error("--workers and --directory go with --quick")
    try:
        files = find(given.data)
    except MissingError as missing:
        if given.data is None:
            print(f"evaluate: skipped: {missing}")
            return 0
        print(f"evaluate: {missing}", file=sys.stderr)
        return 2
    try:
        evaluate(files, given)
    except Mistake as mistake:
        print(f"evaluate: {mistake}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with NAME.jsonl.gz and NAME.accounts.jsonl, or that traffic")
    parser.add_argument("--policy", type=Path, default=POLICY, help="judge by this policy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, with every account")
    parser.add_argument(
        "--accounts",
        nargs="?",
        const="shipped",
        choices=("shipped", "fitted"),
        help="show each extraction account, and the benign ones that come nearest, with their evidence",
    )
    parser.add_argument("--directory", type=Path, metavar="FILE", help="an accounts file; with --quick")
    parser.add_argument(
        "--workers", type=int, default=1, help="deal the requests to so many processes, each on its own"
    )
    parser.add_argument(
        "--routing", choices=("key", "none"), default="key", help="with --workers: an account to one of them, or to any"
    )
    parser.add_argument("--unshared", action="store_true", help="with --workers: none hears what the others have seen")
    parser.add_argument("--quick", action="store_true", help="only the packs as they are: no fit, no baselines")
    return parser


def evaluate(files: Files, given: argparse.Namespace) -> None:
    """Measures and prints. Raises Mistake."""
    known, requests = labels(files.accounts), list(lines(files.traffic))
    text = given.policy.read_text()
    policy = _policy(text, given.policy)
    fleet = Fleet(given.workers, given.routing == "key", not given.unshared)
    directory = load_accounts(given.directory.read_text(), str(given.directory)) if given.directory else None
    tracks = replay(policy, requests, fleet, directory)
    shipped = cases(tracks, requests, known)
    runs = {"shipped": (policy, shipped, tracks)}
    columns = [Column("GAUGER, as shipped", summary(shipped), gauger=True)]
    fits: list[nulls.Fitted] = []
    others: dict[str, Column] = {}
    if not given.quick:
        fits, runs["fitted"] = _fitted(text, given.policy, policy, tracks, requests, known)
        columns.append(Column("GAUGER, nulls fitted", summary(runs["fitted"][1]), gauger=True))
        scores = baselines.scored(requests)
        for name, title in baselines.NAMES.items():
            others[name] = Column(title, summary(baselines.judged(scores[name], shipped)))
        columns += [others[baselines.RATE], others[max(baselines.FEATURES, key=lambda name: _worth(others[name]))]]
    print(f"{files.traffic.name}: {len(requests):,} requests; policy {policy.id} ({policy.digest})\n")
    print(report.table(columns))
    print(_limited(shipped, tracks))
    if fits:
        print(report.nulls(fits))
    told = {name: accounts.described(*run) for name, run in runs.items()}
    if given.accounts in told:
        print(accounts.told(told[given.accounts]))
        print(accounts.lines_by_family(told[given.accounts]))
    if given.json is not None:
        found = {
            "schema": SCHEMA,
            "traffic": files.traffic.name,
            "requests": len(requests),
            "policies": {name: policy.digest for name, (policy, _, _) in runs.items()},
            "gauger": {name: summary(run[1]) for name, run in runs.items()},
            "baselines": {name: column.summary for name, column in others.items()},
            "nulls": fits,
            "accounts": told,
        }
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


def _worth(column: Column) -> tuple[float, float]:
    return column.summary.totals.tpr, column.summary.totals.auc


def _limited(judged: list[Case], tracks: dict[str, Track]) -> str:
    """The limits are there to be throttled; by themselves they should decide little."""
    met = [case.label for case in judged if tracks[case.account].limited]
    kinds = f"{met.count('benign')} benign and {len(met) - met.count('benign')} extraction accounts"
    return f"limits, full or throttled, refused requests of {kinds}\n"


def _fitted(
    text: str,
    path: Path,
    policy: Policy,
    tracks: dict[str, Track],
    requests: list[Line],
    known: dict[str, Labelled],
) -> tuple[list[nulls.Fitted], tuple[Policy, list[Case], dict[str, Track]]]:
    """The nulls of one half of the benign owners, and what came of everybody else under them."""
    half = {name for name, each in known.items() if each.label != "extraction" and nulls.to_fit(name)}
    fits = nulls.fitted(policy, [track.counts for name, track in tracks.items() if name in half])
    other = _policy(text + nulls.overlay(fits), path)
    again = replay(other, requests)
    tried = [case for case in cases(again, requests, known) if case.account not in half]
    return fits, (other, tried, again)


def _policy(text: str, path: Path) -> Policy:
    return load(text, str(path), resolver(path.parent))


if __name__ == "__main__":
    sys.exit(main())
