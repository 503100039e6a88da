"""From labelled lines to the table: on traffic made here, and on the smoke traffic where it is beside the checkout."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.evaluation.__main__ import main
from tests.evaluation.traffic import DEFAULT, find, lines

START = 1_750_000_000.0
POLICY = """
gauger: 1
policy: {id: tiny}
use: [packs/tiny.yaml]
plans: {default: {output: 1M tokens/min}}
limits: [{id: output, by: [account], count: tokens.output, rate: plan.output}]
"""
# Twenty of twenty are worth about 16 dB and count half; the prior is 5 below nothing.
PACK = """
gauger: 1
policy: {id: tiny-pack}
scorecards:
  - id: theft
    prior: -5 dB
    families: {params: 20 dB}
    evidence: [{id: streams, family: params, rate: streamed_share, benign: {mean: 2%, rho: 0.2}}]
rules:
  - {id: look, when: score.theft >= -2 dB, then: {tag: [look]}, owner: us}
  - {id: slow, when: score.theft >= 2 dB, then: {throttle: {limit: output, to: 25%}}, owner: us}
"""


def request(at: int, account: str, label: str, family: str, stream: bool) -> dict[str, Any]:
    return {
        "id": f"r{at}",
        "t": START + at,
        "account": account,
        "key": f"key-{account}",
        "label": label,
        "family": family,
        "path": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": f"{account} asks"}], "stream": stream},
        "status": 200,
        "response_usage": {"prompt_tokens": 5, "completion_tokens": 10},
        "response_tokens": 10,
        "latency_ms": 100,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One whose every answer streams, which is what the pack looks for; one that copies quietly, and three others."""
    kinds = [("taker", "extraction", "loud"), ("quiet", "extraction", "quiet")]
    kinds += [(f"plain-{at}", "benign", "chat") for at in (1, 2, 3)]  # the last is of the other half
    made = [
        request(5 * turn + at, account, label, family, account == "taker")
        for turn in range(40)
        for at, (account, label, family) in enumerate(kinds)
    ]
    traffic = "".join(json.dumps(each) + "\n" for each in made)
    (tmp_path / "made.jsonl.gz").write_bytes(gzip.compress(traffic.encode()))
    known = (
        {"account": account, "label": label, "family": family, "cluster": None} for account, label, family in kinds
    )
    (tmp_path / "made.accounts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in known))
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "tiny.yaml").write_text(PACK)
    return tmp_path


@pytest.mark.parametrize("routing", ["key", "none"])
@pytest.mark.parametrize("more", [(), ("--unshared",)])
def test_requests_are_dealt_to_workers_and_counted_together(folder: Path, routing: str, more: tuple[str, ...]) -> None:
    """By key each worker judges whole accounts, as one process would; else none sees enough for longer."""
    alone = measured(folder, "--quick")["gauger"]["shipped"]
    made = measured(folder, "--quick", "--workers", "4", "--routing", routing, *more)["gauger"]["shipped"]
    assert made["totals"]["extraction"] == 2
    assert made["extraction"][0]["requests"] == 40
    if routing == "key":
        assert made == alone
    else:
        assert made["extraction"][0]["median_share"] > alone["extraction"][0]["median_share"]


def measured(folder: Path, *more: str) -> dict[str, Any]:
    out = folder / "out.json"
    arguments = ["--data", str(folder), "--policy", str(folder / "policy.yaml"), "--json", str(out), *more]
    assert main(arguments) == 0
    found: dict[str, Any] = json.loads(out.read_bytes())
    return found


def test_whoever_does_what_the_pack_looks_for_is_caught_and_nobody_else(folder: Path) -> None:
    found = measured(folder)
    totals = found["gauger"]["shipped"]["totals"]
    assert (totals["extraction"], totals["caught"], totals["benign"], totals["false_alarms"]) == (2, 1, 3, 0)
    assert totals["auc"] == 0.75  # the quiet one scores as the benign do
    taker, quiet = (
        next(a for a in found["accounts"]["shipped"] if a["account"] == name) for name in ("taker", "quiet")
    )
    assert taker["tagged"] < taker["acted"] < 40
    assert taker["action"] == "throttle"
    assert taker["share"] == taker["acted"] / 40  # ten tokens an answer
    assert taker["highest"]["evidence"][0]["id"] == "streams"
    assert taker["highest"]["evidence"][0]["read"]["streamed_share.hits"] == pytest.approx(taker["at"], abs=0.01)
    assert taker["score"] == pytest.approx(-5 + taker["highest"]["families"]["params"])
    assert (quiet["acted"], quiet["share"]) == (None, 1.0)
    assert totals["tokens_served"] == (taker["acted"] + 40) / 80
    loud, silent = found["gauger"]["shipped"]["extraction"]
    assert (loud["family"], loud["acted"], loud["median_requests"]) == ("loud", 1, taker["acted"])
    assert (silent["family"], silent["acted"], silent["median_requests"]) == ("quiet", 0, None)


def test_nulls_are_fitted_on_half_of_the_benign_and_tried_on_the_rest(folder: Path) -> None:
    found = measured(folder)
    (null,) = found["nulls"]
    tried = found["gauger"]["fitted"]["totals"]
    assert (null["owners"], null["hitting"]) == (2, 0)
    assert (tried["benign"], tried["extraction"]) == (1, 2)
    assert null["shipped"] == pytest.approx({"mean": 0.02, "rho": 0.2})
    assert null["fitted"] == pytest.approx({"mean": 0.001, "rho": 0.2})  # none of them ever asked
    acted = {
        name: next(a["acted"] for a in each if a["account"] == "taker") for name, each in found["accounts"].items()
    }
    assert acted["fitted"] < acted["shipped"]  # what no benign owner does says more


def test_baselines_flag_no_benign_account(folder: Path) -> None:
    found = measured(folder)
    assert list(found["baselines"]) == ["hour", "day", "opening"]
    for each in found["baselines"].values():
        assert each["totals"]["false_alarms"] == 0
        assert each["totals"]["caught"] == 0  # all five send and take as much


def test_the_table_and_the_accounts_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(folder, "--accounts")
    told = capsys.readouterr().out
    rows: dict[str, list[str]] = {}
    for line in told.splitlines():
        rows.setdefault(line.partition("  ")[0], line.split())
    assert rows["loud"][1:4] == ["1", "1", "1"]
    assert rows["chat"][1:4] == ["3", "0", "0"]
    assert rows["extraction accounts caught"][3:6] == ["1", "of", "2"]
    assert "taker  loud" in told
    assert "streams +" in told
    assert "theft.streams" in told
    assert "plain-2" in told


def test_quick_is_the_packs_as_they_are_alone(folder: Path) -> None:
    found = measured(folder, "--quick")
    assert list(found["gauger"]) == ["shipped"]
    assert found["baselines"] == {}
    assert found["nulls"] == []


def test_quick_and_fitted_exclude_each_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--data", str(folder), "--quick", "--accounts", "fitted"])
    assert ended.value.code == 2
    assert "--quick fits nothing" in capsys.readouterr().err


def test_labels_are_taken_off_and_the_rest_passes_byte_for_byte(tmp_path: Path) -> None:
    traffic = tmp_path / "made.jsonl.gz"
    body = b'{"label": "kept",  "temperature":1.50,"text":"\\u00e9"}'
    line = b'{"t":1,"account":"a","label":"benign","family":"chat","body":' + body + b',"response_tokens":null}\n'
    traffic.write_bytes(gzip.compress(line + b"\n"))
    (found,) = lines(traffic)
    assert found.data == b'{"t":1,"account":"a","body":' + body + b',"response_tokens":null}'
    assert (found.account, found.label, found.tokens) == ("a", "benign", 0)


def test_without_traffic_it_says_so_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.evaluation.traffic.DEFAULT", tmp_path / "absent")
    assert main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("evaluate: skipped: no dev.jsonl.gz in ")
    assert "DATA=dir" in line
    assert main(["--data", str(tmp_path)]) == 2  # asked for by name
    assert capsys.readouterr().err.startswith("evaluate: no dev.jsonl.gz in ")


def test_of_several_files_none_is_guessed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other.jsonl.gz").write_bytes(b"")
    assert main(["--data", str(folder)]) == 2
    assert "several" in capsys.readouterr().err
    assert find(folder / "made.jsonl.gz") == (folder / "made.jsonl.gz", folder / "made.accounts.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "made.jsonl.gz",
            gzip.compress(b'{"t":1,"account":"a"}\n', mtime=0),
            "made.jsonl.gz:1: this is no labelled request",
        ),
        (
            "made.accounts.jsonl",
            b'{"account":"plain-9","label":"benign","family":"chat"}\n',
            "5 accounts have no label",
        ),
        ("policy.yaml", b"gauger: 2\n", "policy.yaml:1"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    folder: Path, name: str, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / name).write_bytes(content)
    assert main(["--data", str(folder), "--policy", str(folder / "policy.yaml")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(not (DEFAULT / "smoke.jsonl.gz").is_file(), reason="the smoke traffic is not beside this checkout")
def test_smoke_traffic_under_the_shipped_packs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["--data", str(DEFAULT / "smoke.jsonl.gz"), "--json", str(out), "--accounts"]) == 0
    found = json.loads(out.read_bytes())
    assert found["requests"] == 2000
    totals = found["gauger"]["shipped"]["totals"]
    there = {line.account: line.label for line in lines(DEFAULT / "smoke.jsonl.gz")}.values()
    assert totals["extraction"] == list(there).count("extraction") > 0
    assert totals["benign"] == list(there).count("benign") > 0
    assert (
        sum(family["requests"] for label in ("extraction", "benign") for family in found["gauger"]["shipped"][label])
        == 2000
    )
    assert found["gauger"]["fitted"]["totals"]["benign"] < totals["benign"]
    assert found["baselines"]["day"]["totals"]["auc"] > 0.5
    assert "refused requests of" in capsys.readouterr().out
