"""`gauger simulate`: files, a running gateway, and the attacker."""

import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.process import ROOT, serving

Run = Callable[..., Result]

SMALL = ("--days", "0.5", "--benign", "8", "--hydra", "hydra-20,accounts=5,pace=40")
WALL = """
gauger: 1
policy: {id: wall, mode: enforce}
limits: [{id: few, by: [account], count: requests, rate: 1 requests/day, burst: 10 requests}]
"""


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_writes_traffic_accounts_and_labels(run: Run, tmp_path: Path) -> None:
    result = run("simulate", *SMALL, "--out", "t.jsonl", "--accounts-out", "a.yaml", "--labels-out", "l.jsonl")
    assert result.exit_code == 0, result.output
    lines, labels = rows(tmp_path / "t.jsonl"), rows(tmp_path / "l.jsonl")
    assert {line["account"] for line in lines} == {label["account"] for label in labels}
    useful = sum(line["useful"] for line in lines)
    assert f"{useful:,}" in next(line for line in result.stdout.splitlines() if line.startswith("hydra-1"))
    assert f"{len(lines):,}" in result.stdout.splitlines()[-1]
    assert (tmp_path / "a.yaml").read_text().count("- {id: ") == len(labels)
    run("simulate", *SMALL, "--out", "again.jsonl.gz")
    assert gzip.decompress((tmp_path / "again.jsonl.gz").read_bytes()) == (tmp_path / "t.jsonl").read_bytes()


def test_replay_reads_every_line_of_it(run: Run, tmp_path: Path) -> None:
    run("simulate", *SMALL, "--control", "course,viral", "--out", "t.jsonl", "--accounts-out", "a.yaml")
    (tmp_path / "p.yaml").write_text("gauger: 1\npolicy: {id: p}\nidentity: {directory: a.yaml}\n")
    result = run("replay", "t.jsonl", "--policy", "p.yaml", "--json", "r.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["tally"]["requests"] == len(rows(tmp_path / "t.jsonl"))
    assert not found.get("bad")
    assert "are no requests" not in result.stderr


def test_standard_output_carries_the_traffic_alone(run: Run) -> None:
    result = run("simulate", *SMALL, "--out", "-", "--requests", "7")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == [f"s{at:07}" for at in range(1, 8)]
    assert "hydra-1" in result.stderr or "in all" in result.stderr


def test_a_scenario_s_file_and_its_prompts(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "bank.txt").write_text("".join(f"What is number {at}?\n" for at in range(30)))
    (folder / "s.yaml").write_text(
        "days: 1\nbenign: 2\nprompts: bank.txt\nhydras: [{accounts: 3, pace: 50, frames: none}]\n"
    )
    result = run("simulate", "--scenario", "s/s.yaml", "--out", "t.jsonl")
    assert result.exit_code == 0, result.output
    asked = {line["body"]["messages"][0]["content"] for line in rows(tmp_path / "t.jsonl") if line["campaign"]}
    assert asked == {f"What is number {at}?" for at in range(30)}
    assert "hydra-1 asked all its 30 prompts" in result.stdout


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "where to?"),
        (["--out", "a", "--live", "http://127.0.0.1:1"], "where to?"),
        (["--out", "a", "--labels-out", "a"], "different files"),
        (["--out", "a", "--scenario", "mixt"], "did you mean `mixed`"),
        (["--out", "a", "--control", "corse"], "did you mean `course`"),
        (["--out", "a", "--hydra", "pase=3"], "did you mean `pace`"),
        (["--out", "a", "--hydra", "id=x", "--hydra", "id=x"], "two campaigns are called `x`"),
        (["--out", "a", "--prompts", "nothing"], "can't be read"),
        (["--out", "no/such/folder"], "can't be written"),
        (["--out", "a", "--days", "0"], "--days"),
        (["--live", "localhost:80"], "is no address"),
        (["attack", "--cost", "acount=3"], "did you mean `account`"),
        (["attack", "--cost", "account=-3"], "is no price"),
        (["attack", "--policy", "nothing.yaml"], "can't be read"),
        (["attack", "--target", "100000", "--days", "0.1"], "even undefended"),
    ],
)
def test_a_wrong_command_line_is_clear_and_code_2(run: Run, arguments: list[str], said: str) -> None:
    result = run("simulate", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_running_gateway_is_asked_and_the_answers_are_counted(run: Run, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        result = run("simulate", *SMALL, "--live", served.url, "--speed", "1e7", "--requests", "60")
    assert result.exit_code == 0, result.output
    total = result.stdout.splitlines()[-2].split()
    assert total[:2] == ["in", "all"]
    assert sum(int(number) for number in total[2:5]) == 60
    assert "200: " in result.stdout


def test_ctrl_c_ends_it_with_a_summary(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        command = [sys.executable, "-m", "gateway", "simulate", *SMALL, "--live", served.url, "--speed", "60"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        served.hear("gateway")
        while not (tmp_path / "stdout").stat().st_size:  # the first request is there, so the handler is too
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said, wrong = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "in all" in said
    assert "Traceback" not in wrong


def test_the_attacker_s_report_adds_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wall.yaml").write_text(WALL)
    arguments = ("--target", "40", "--budget", "6", "--days", "1", "--benign", "2", "--goal", "plain")
    result = run("simulate", "attack", "--policy", "wall.yaml", *arguments, "--json", "r.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["policy"] == "wall"
    undefended = found["undefended"]
    assert undefended["reached"] and undefended["spent"]["refused"] == 0
    assert not found["naive"]["reached"]
    assert found["naive"]["spent"]["useful"] == 10  # and then the wall
    assert len(found["tries"]) <= 6
    prices = found["costs"]
    for each in [undefended, *found["tries"], found["best"]]:
        spent, knobs = each["spent"], each["knobs"]
        cost = (
            spent["requests"] * prices["request"]
            + spent["accounts"] * (prices["account"] + knobs["age"] / 30 * prices["ageing"])
            + max(0, spent["networks"] - -(-spent["accounts"] // 10)) * prices["network"]
            + spent["reworded"] * prices["rewording"]
        )
        assert each["cost"] == pytest.approx(cost, abs=0.001)
        assert each["per_1000"] == pytest.approx(1000 * cost / spent["useful"], abs=0.01)
        assert spent["answered"] + spent["refused"] <= spent["requests"]
        assert spent["useful"] <= spent["requests"] - spent["filler"]
    reached = [each for each in found["tries"] if each["reached"]]
    assert found["best"] == min(reached, key=lambda each: each["cost"])
    assert found["best"]["spent"]["accounts"] >= 4
    assert found["multiplier"] == pytest.approx(found["best"]["per_1000"] / undefended["per_1000"], abs=0.01)
    assert f"multiplier        {found['multiplier']:,.1f}" in result.stdout
    assert "stopped after 10 useful answers" in result.stdout
    again = run("simulate", "attack", "--policy", "wall.yaml", *arguments, "--json", "-")
    assert json.loads(again.stdout) == found


def test_a_policy_that_stops_nothing_is_called_that(run: Run, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text("gauger: 1\npolicy: {id: open}\n")
    result = run("simulate", "attack", "--policy", "open.yaml", "--target", "30", "--days", "1", "--benign", "0")
    assert result.exit_code == 0, result.output
    assert "the policy doesn't stop it" in result.stdout
    assert "multiplier        1.0 ×" in result.stdout
