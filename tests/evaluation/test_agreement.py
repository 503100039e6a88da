"""The measures agree with those of the scorer that comes with the traffic. It needs numpy, which Gauger does not."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.replay import command
from tests.evaluation import baselines
from tests.evaluation.__main__ import main
from tests.evaluation.metrics import RANKS, Case, Summary, summary
from tests.evaluation.traffic import DEFAULT, labels, lines

SCORER = DEFAULT / "score.py"
POLICY = """
gauger: 1
policy: {id: watching}
use: [packs/extraction.yaml]
"""


def numeric() -> str | None:
    """A Python that has numpy."""
    for name in (sys.executable, "python3", "python"):
        path = shutil.which(name)
        if path is not None and not subprocess.run([path, "-c", "import numpy"], capture_output=True).returncode:
            return path
    return None


PYTHON = numeric() if SCORER.is_file() else None
pytestmark = pytest.mark.skipif(PYTHON is None, reason="score.py is not beside this checkout, or no Python has numpy")


def scorer(*arguments: str | Path) -> str:
    assert PYTHON is not None
    return subprocess.run(
        [PYTHON, SCORER, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_on_decisions_by_chance(tmp_path: Path) -> None:
    draw = Random(3)
    kinds = {f"e{at}": ("extraction", f"x{at % 3}") for at in range(9)}
    kinds |= {f"b{at}": ("benign", f"y{at % 4}") for at in range(140)}
    traffic, decisions = [], []
    seen: dict[str, list[tuple[float, int, int]]] = {name: [] for name in kinds}
    for at in range(1500):
        name = draw.choice(list(kinds)) if at >= len(kinds) else list(kinds)[at]
        label, family = kinds[name]
        tokens = draw.randrange(400)
        score = round(draw.gauss(-20 if label == "benign" else -14, 6), 0)  # with ties
        action = draw.choices(list(RANKS)[:5], (90, 5, 3, 2 + 8 * (label == "extraction"), 1))[0]
        row = {
            "id": f"r{at}",
            "t": float(at),
            "account": name,
            "label": label,
            "family": family,
            "response_tokens": tokens,
        }
        traffic.append(row)
        decisions.append({"id": f"r{at}", "t": float(at), "account": name, "action": action, "score": score})
        seen[name].append((score, RANKS[action], tokens))
    ours = summary(
        Case(name, *kinds[name], [s for s, _, _ in each], [r for _, r, _ in each], [t for _, _, t in each])
        for name, each in seen.items()
    )
    known = [{"account": name, "label": label, "family": family} for name, (label, family) in kinds.items()]
    said = scorer(
        "score",
        written(tmp_path / "t.jsonl.gz", traffic),
        written(tmp_path / "a.jsonl", known),
        written(tmp_path / "d.jsonl", decisions),
        "--json",
    )
    theirs = json.loads(said)
    assert 0 < ours.totals.caught < 9
    agree(ours, theirs)
    assert theirs["missing_decisions"] == 0


def agree(ours: Summary, theirs: dict[str, Any]) -> None:
    """Every figure that both have. Theirs are rounded."""
    totals = ours.totals
    assert totals.auc == pytest.approx(theirs["auc"], abs=1e-4)
    for each in totals.at_fpr:
        other = theirs["at_fpr"][f"{each.fpr:g}"]
        assert (each.threshold, each.false_alarms) == (other["threshold"], other["fp"])
        assert each.tpr == pytest.approx(other["tpr"], abs=1e-4)
        assert each.interval == pytest.approx(other["ci95"], abs=1e-3)
    benign, extraction = theirs["benign"], theirs["extraction"]
    assert (totals.benign, totals.false_alarms) == (benign["accounts"], benign["acted_accounts"])
    assert (totals.extraction, totals.caught) == (extraction["accounts"], extraction["acted_accounts"])
    assert totals.benign_tagged == benign["tagged_accounts"]
    assert totals.fpr_interval == pytest.approx(benign["ci95"], abs=1e-3)
    assert totals.tpr_interval == pytest.approx(extraction["ci95"], abs=1e-3)
    assert totals.tokens_served == pytest.approx(extraction["tokens_before_action"], abs=1e-3)
    rows = [("extraction", family) for family in ours.extraction] + [("benign", family) for family in ours.benign]
    assert len(rows) == len(theirs["families"])
    for label, family in rows:
        other = theirs["families"][f"{label}/{family.family}"]
        assert (family.accounts, family.acted, family.tagged) == (other["accounts"], other["acted"], other["tagged"])
        assert family.median_requests == other["median_requests_to_action"]


def test_on_the_smoke_traffic_judged_by_gauger(tmp_path: Path) -> None:
    policy, out, decisions = tmp_path / "policy.yaml", tmp_path / "out.json", tmp_path / "decisions.jsonl"
    policy.write_text(POLICY)
    traffic, accounts = DEFAULT / "smoke.jsonl.gz", DEFAULT / "dev.accounts.jsonl"
    assert main(["--data", str(traffic), "--policy", str(policy), "--json", str(out), "--quick"]) == 0
    made = CliRunner().invoke(command, [str(traffic), "--policy", str(policy), "--decisions", str(decisions)])
    assert made.exit_code == 0, made.output
    theirs = json.loads(scorer("score", traffic, accounts, decisions, "--json"))
    ours = json.loads(out.read_bytes())["gauger"]["shipped"]["totals"]
    assert ours["auc"] == pytest.approx(theirs["auc"], abs=1e-4)
    assert [each["threshold"] for each in ours["at_fpr"]] == [
        theirs["at_fpr"][name]["threshold"] for name in ("0.001", "0.01")
    ]
    assert ours["benign_tagged"] == theirs["benign"]["tagged_accounts"]


@pytest.mark.parametrize(("ours", "theirs"), [("hour", "volume"), ("day", "tokens"), ("opening", "template")])
def test_the_baselines_are_the_same(ours: str, theirs: str) -> None:
    requests = list(lines(DEFAULT / "smoke.jsonl.gz"))
    scores = baselines.scored(requests)[ours]
    said: dict[str, list[float]] = {}
    for line in scorer("baseline", DEFAULT / "smoke.jsonl.gz", theirs).splitlines():
        row = json.loads(line)
        said.setdefault(row["account"], []).append(row["score"])
    assert labels(DEFAULT / "dev.accounts.jsonl").keys() >= said.keys()
    assert scores.keys() == said.keys()
    for account, each in scores.items():
        assert each == pytest.approx(said[account], abs=1e-4)
