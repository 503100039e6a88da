"""`gauger calibrate`: of raw traffic and of a ledger, named in a policy, tampered with, and whether it still holds."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway.adopt import read_rules
from gateway.policy.calibration import read
from gateway.settings import Settings
from gateway.stores.segments import read_rows
from tests.calibrate.scored import CARD

Run = Callable[..., Result]
DATA = Path(__file__).parents[3] / "shared" / "data"
DAY = 86_400
START = 1_750_000_000  # 2025-06-15
OWNERS = 320
QUIET = CARD.replace("rho: 0.2}}", "rho: 0.2}, floor: 0 dB}")  # who doesn't stream is not acquitted by it
POLICY = QUIET.replace("PROMISE", "{throttle: 1% of owners/month}") + "identity: {directory: accounts.yaml}\n"
NAMED = POLICY.replace("/month}", "/month}\n    calibration: c.json")


def request(t: float, account: str, **body: Any) -> dict[str, Any]:
    return {
        "t": t,
        "account": account,
        "path": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": f"{account} asks"}], **body},
        "status": 200,
        "response_tokens": 10,
        "latency_ms": 100,
    }


def traffic(above: int = 0, owners: int = OWNERS, days: int = 31) -> str:
    """Owners who ask once a month, one of ten for two answers (-18 dB); and `above` of them who want logprobs too."""
    made = [request(START + at % days * DAY + at, f"acct-{at}", n=1 + (at % 10 == 0)) for at in range(owners)]
    made += [request(START + day * DAY + 40_000, "acct-0") for day in range(days)]
    made += [request(START + 50_000 + at, f"acct-{at}", n=2, logprobs=True) for at in range(above)]
    return "".join(json.dumps(each) + "\n" for each in sorted(made, key=lambda each: each["t"]))


def accounts(owners: int = OWNERS, created: str = "2024-01-31") -> str:
    return "accounts:\n" + "".join(f"  - {{id: acct-{at}, created: {created}}}\n" for at in range(owners))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").write_text(traffic())
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "accounts.yaml").write_text(accounts())
    return tmp_path


def made(run: Run, *more: str, code: int = 0) -> str:
    result = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--out", "c.json", *more)
    assert result.exit_code == code, result.output
    return result.stdout


def test_raw_traffic_and_its_ledger_give_the_same_file(run: Run, folder: Path) -> None:
    text = made(run)
    first = (folder / "c.json").read_bytes()
    found = read(first)
    (card,) = found.cards
    assert (found.date, found.window_days, found.covered_days) == ("2025-07-16", 30, 30)
    assert (found.cohort.rule, found.cohort.owners, found.source.requests) == ("trusted", OWNERS, OWNERS + 31)
    assert (card.promises[0].supported, card.promises[0].threshold_db) == (True, -17.99)
    assert "throttle 1%" in text
    assert "320 owners support no promise below 0.932% (1 in 107) at 95 %" in text
    assert run("replay", "log.jsonl", "--policy", "p.yaml", "--ledger", "led").exit_code == 0
    for sources in (["led"], ["led", "--policy", "p.yaml"], ["log.jsonl", "--policy", "p.yaml"]):
        result = run("calibrate", *sources, "--out", "again.json")
        assert result.exit_code == 0, result.output
        assert (folder / "again.json").read_bytes() == first


def test_a_policy_that_names_its_calibration_keeps_its_promise(run: Run, folder: Path) -> None:
    assert "warning (promise)" in run("check", "p.yaml").stdout
    made(run)
    (folder / "p.yaml").write_text(NAMED)
    assert "(promise)" not in run("check", "p.yaml").stdout
    policy, _ = read_rules(Settings(policy=folder / "p.yaml"))
    assert list(policy.calibrations) == ["theft"]
    before = (folder / "c.json").read_bytes()
    made(run)  # it names what is there to be made, and gives the same again
    assert (folder / "c.json").read_bytes() == before


def test_a_ledger_replays_without_the_calibration_s_file(run: Run, folder: Path) -> None:
    made(run)
    (folder / "p.yaml").write_text(NAMED)
    assert run("replay", "log.jsonl", "--policy", "p.yaml", "--ledger", "led").exit_code == 0
    for name in ("c.json", "p.yaml", "accounts.yaml"):
        (folder / name).unlink()
    adopted = next(row for row in read_rows(folder / "led") if hasattr(row, "files"))
    assert sorted(adopted.files) == ["c.json", "p.yaml"]
    result = run("replay", "led")
    assert result.exit_code == 0, result.output
    assert f"all {OWNERS + 31} requests agree" in result.stdout
    assert run("calibrate", "led", "--against", "c.json").exit_code == 2


def test_a_promise_without_support_is_code_1_and_says_what_is_needed(run: Run, folder: Path) -> None:
    (folder / "log.jsonl").write_text(traffic(owners=200))
    text = made(run, code=1)
    assert "throttle: 200 owners support at most 1.49% (1 in 67) at 95 %; 1% needs 299" in text
    assert "NOT SUPPORTED" in text
    (folder / "p.yaml").write_text(NAMED)
    assert "200 owners support at most 1.49%" in run("check", "p.yaml").stdout


def test_three_days_are_no_month_and_a_shorter_window_is_an_experiment(run: Run, folder: Path) -> None:
    (folder / "log.jsonl").write_text(traffic(days=3))
    assert "3 days of traffic say too little of a month" in made(run, code=1)
    assert "a window of 3 days is an experiment" in made(run, "--window", "3", code=1)
    assert read((folder / "c.json").read_bytes()).experiment


def test_a_rule_that_acts_too_early_is_code_1(run: Run, folder: Path) -> None:
    (folder / "p.yaml").write_text(POLICY.replace("score.theft >= 2 dB", "score.theft >= -20 dB"))
    text = made(run, code=1)
    assert "theft, rule slow: the promise `throttle: 1% of owners/month` is not kept" in text
    assert "take `score.theft >= -17.99 dB`" in text


def test_a_file_is_told_in_words_and_a_changed_one_is_refused(run: Run, folder: Path) -> None:
    made(run)
    told = run("calibrate", "--check", "c.json")
    assert told.exit_code == 0
    assert told.stdout.startswith("calibration of 2025-07-16 for the policy made")
    assert "owners known for more than 90 days: 320" in told.stdout
    changed = (folder / "c.json").read_text().replace("-17.99", "-27.99")
    (folder / "c.json").write_text(changed)
    refused = run("calibrate", "--check", "c.json")
    assert refused.exit_code == 2
    assert "c.json: it was changed after it was made" in refused.stderr
    (folder / "p.yaml").write_text(NAMED)
    checked = run("check", "p.yaml")
    assert checked.exit_code == 1
    assert "`c.json`: it was changed after it was made" in checked.stdout


@pytest.mark.parametrize(("above", "code"), [(0, 0), (5, 0), (9, 1)])
def test_whether_it_still_holds(run: Run, folder: Path, above: int, code: int) -> None:
    made(run)
    (folder / "later.jsonl").write_text(traffic(above))
    result = run("calibrate", "later.jsonl", "--policy", "p.yaml", "--against", "c.json", "--json", "d.json")
    assert result.exit_code == code, result.output
    assert f"{above} of 320 owners are at -17.99 dB or above" in result.stdout
    (found,) = json.loads((folder / "d.json").read_text())
    assert (found["above"], found["drifted"]) == (above, bool(code))
    assert ("DRIFT" in result.stdout) is bool(code)
    other = run("calibrate", "later.jsonl", "--policy", "p.yaml", "--against", "c.json", "--cohort", "all")
    assert other.exit_code == code


def test_another_card_can_not_be_compared(run: Run, folder: Path) -> None:
    made(run)
    (folder / "p.yaml").write_text(POLICY.replace("points: 9 dB", "points: 8 dB"))
    result = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--against", "c.json")
    assert result.exit_code == 2
    assert "another version of the card theft" in result.stderr


def test_who_is_to_be_reviewed_is_written_and_read_again(run: Run, folder: Path) -> None:
    (folder / "log.jsonl").write_text(traffic(1))
    made(run, "--review", "review.jsonl")
    before = read((folder / "c.json").read_bytes()).cards[0]
    lines = [json.loads(line) for line in (folder / "review.jsonl").read_text().splitlines()]
    assert [each["owner"] for each in lines] == ["acct-0", "acct-10", "acct-100", "acct-110"]
    assert lines[0]["addends"] == {"many": 12.0, "probs": 9.0}
    assert before.promises[0].threshold_db == -8.99
    lines[0]["label"], lines[1]["label"] = "extraction", "benign"
    (folder / "reviewed.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    text = made(run, "--reviewed", "reviewed.jsonl")
    after = read((folder / "c.json").read_bytes()).cards[0]
    assert after.promises[0].threshold_db == -17.99
    assert (after.guard.top, after.guard.reviewed, after.guard.benign, after.guard.removed) == (4, 2, 1, 1)
    assert "1 found to extract were taken out of the cohort" in text
    assert "acct-0 [extraction]" in text


def test_fitted_nulls_are_a_pack_that_stands_beside_the_policy(run: Run, folder: Path) -> None:
    (folder / "packs").mkdir()
    (folder / "packs" / "theft.yaml").write_text(CARD.replace("PROMISE", "{}"))
    (folder / "p.yaml").write_text("gauger: 1\nuse: [packs/theft.yaml]\nidentity: {directory: accounts.yaml}\n")
    made(run, "--nulls", "nulls.yaml")
    assert "fine" in run("check", "nulls.yaml").stdout or run("check", "nulls.yaml").exit_code == 0
    (folder / "p.yaml").write_text("gauger: 1\nuse: [packs/theft.yaml, nulls.yaml]\n")
    policy, _ = read_rules(Settings(policy=folder / "p.yaml"))
    a, b = policy.scorecards[0].evidence[0].null
    assert a / (a + b) == pytest.approx(0.001)  # nobody streams
    assert run("calibrate", "log.jsonl", "--policy", "p.yaml", "--against", "c.json").exit_code == 2  # another card


def test_the_nulls_of_the_policy_s_own_card_are_left_to_its_author(run: Run, folder: Path) -> None:
    result = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--nulls", "nulls.yaml")
    assert result.exit_code == 0
    assert "the nulls of theft are not in the pack" in result.stderr


def test_labels_make_the_cohort(run: Run, folder: Path) -> None:
    (folder / "log.jsonl").write_text(traffic(3))
    (folder / "accounts.yaml").write_text(accounts(created="2025-06-01"))
    known = [{"account": f"acct-{at}", "label": "extraction" if at < 3 else "benign"} for at in range(OWNERS)]
    (folder / "labels.jsonl").write_text("".join(json.dumps(each) + "\n" for each in known))
    assert "known for more than 90 days" in run("calibrate", "log.jsonl", "--policy", "p.yaml").stderr
    text = made(run, "--labels", "labels.jsonl")
    found = read((folder / "c.json").read_bytes())
    assert (found.cohort.rule, found.cohort.owners) == ("labelled", OWNERS - 3)
    strata = {each.name: each for each in found.cards[0].strata}
    assert strata["extraction"].above == {"throttle": 3, "level": 3}
    assert strata["new"].owners == OWNERS - 3
    assert "3 (100.0%)" in text
    against = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--against", "c.json")
    assert (against.exit_code, "owners with a label" in against.stderr) == (2, True)
    again = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--against", "c.json", "--labels", "labels.jsonl")
    assert again.exit_code == 0


def test_ledgers_of_several_policies_are_judged_by_one(run: Run, folder: Path) -> None:
    (folder / "q.yaml").write_text(POLICY.replace("points: 9 dB", "points: 8 dB"))
    for name in ("p", "q"):
        assert run("replay", "log.jsonl", "--policy", f"{name}.yaml", "--ledger", name).exit_code == 0
    result = run("calibrate", "p", "q")
    assert result.exit_code == 2
    assert "several policies" in result.stderr
    assert "--policy FILE" in result.stderr
    assert run("calibrate", "p", "q", "--policy", "p.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which traffic?"),
        (["--check", "c.json", "log.jsonl"], "--check reads a calibration file and nothing else"),
        (["log.jsonl", "--labels", "p.yaml", "--cohort", "all"], "--cohort says nothing"),
        (["log.jsonl", "--against", "c.json", "--out", "x"], "--against makes nothing"),
        (["log.jsonl", "--window", "0"], "--window"),
        (["log.jsonl", "--nulls", "n.yaml"], "name it with --policy"),
        (["log.jsonl", "--out", "-", "--json", "-"], "one file at most"),
        (["--check", "absent.json"], "absent.json: can't be read"),
        (["--check", "p.yaml"], "p.yaml: this is no calibration"),
        (["log.jsonl", "--labels", "p.yaml"], "p.yaml:2: this is no label"),
        (["p.yaml"], "neither a ledger nor JSON lines"),
        (["empty"], "there is nothing to read"),
        (["log.jsonl", "--policy", "absent.yaml"], "absent.yaml"),
        (["log.jsonl", "--policy", "bad.yaml"], "bad.yaml:1"),
        (["log.jsonl", "--policy", "bare.yaml"], "no scorecards"),
        (["nobody.jsonl", "--policy", "p.yaml"], "no request in this traffic was scored"),
    ],
)
def test_what_is_wrong_is_said(run: Run, folder: Path, arguments: list[str], said: str) -> None:
    (folder / "empty").write_text("")
    (folder / "bad.yaml").write_text("gauger: 2\n")
    (folder / "bare.yaml").write_text("gauger: 1\n")
    (folder / "nobody.jsonl").write_text('{"t": 1750000000, "path": "/v1/chat/completions", "body": {"model": 7}}\n')
    result = run("calibrate", *arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_written_to_standard_output_is_nothing_but_that(run: Run, folder: Path) -> None:
    result = run("calibrate", "log.jsonl", "--policy", "p.yaml", "--out", "-")
    assert read(result.stdout).cohort.owners == OWNERS
    assert "card theft" in result.stderr
    whole = json.loads(run("calibrate", "log.jsonl", "--policy", "p.yaml", "--json", "-").stdout)
    assert sorted(whole) == ["calibration", "nulls", "review", "together"]


def test_gzip_is_read_and_a_line_that_is_no_request_is_counted(run: Run, folder: Path) -> None:
    (folder / "log.jsonl.gz").write_bytes(gzip.compress((traffic() + '{"t": "x", "path": 1}\n').encode()))
    result = run("calibrate", "log.jsonl.gz", "--policy", "p.yaml")
    assert result.exit_code == 0
    assert "1 lines are no requests; the first: log.jsonl.gz:352" in result.stderr


@pytest.mark.skipif(not (DATA / "smoke.jsonl.gz").is_file(), reason="the smoke traffic is not beside this checkout")
def test_smoke_traffic_under_the_shipped_packs_supports_no_promise(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "gauger: 1\nuse: [packs/extraction-enforce.yaml]\n"
        "scorecards: [{id: extraction, set: {promise.throttle: 0.1% of owners/month}}]\n"
    )
    labels = str(DATA / "dev.accounts.jsonl")
    result = run("calibrate", str(DATA / "smoke.jsonl.gz"), "--policy", "p.yaml", "--labels", labels, "--out", "c.json")
    assert result.exit_code == 1
    found = read((tmp_path / "c.json").read_bytes())
    (card,) = found.cards
    assert 0 < found.cohort.owners < 68
    assert not card.promises[0].supported
    assert "0.1% needs 2,995" in card.promises[0].why
    assert "days of traffic say too little of a month" in card.promises[0].why
    assert next(each for each in card.strata if each.name == "extraction").above["level"] > 0
