"""`gauger explain campaign`: from a ledger, from request lines; what it says where nothing is found."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import Result

from gateway.ledger.line import Shown, encode, line
from gateway.ledger.record import Adopted, Row, Ruled, Settled
from gateway.stores.proof import erase
from tests.ledger.campaigned import ID, POLICY, ended, grown, judged, policy
from tests.stores.ledgers import write

Run = Callable[..., Result]

JOINT = policy()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Six accounts that become a campaign, in a ledger."""
    write(tmp_path / "ledger", grown(JOINT), max_bytes=20_000)
    return tmp_path / "ledger"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The same as request lines, with other events between them."""
    rows = grown(JOINT)
    made = [b'{"event":"serving"}\n', b"not json\n"]
    for row, end in pairwise(rows):
        if isinstance(row, Ruled) and isinstance(end, Settled):
            made.append(encode(line(row, end, Shown(JOINT))))
    (tmp_path / "gauger.log").write_bytes(b"".join(made))
    (tmp_path / "joint.yaml").write_text(POLICY)
    return tmp_path / "gauger.log"


def test_a_campaign_is_told_from_its_ledger(run: Run, ledger: Path) -> None:
    result = run("explain", "campaign", ID, "--ledger", str(ledger))
    assert result.exit_code == 0
    assert result.stdout.startswith(f"campaign {ID}\n")
    assert "\nrequests 30 of accounts that were members then; 1,500 input and 15,000 output tokens\n" in result.stdout
    assert "and not about a person" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert run("explain", ID, "--ledger", str(ledger)).stdout == result.stdout
    assert run("explain", ID, GAUGER_LEDGER=str(ledger)).stdout == result.stdout


def test_the_json_has_its_keys(run: Run, ledger: Path) -> None:
    found = json.loads(run("explain", "campaign", ID, "--ledger", str(ledger), "--json").stdout)
    assert (found["schema"], found["id"], found["accounts"], found["requests"]) == ("gauger.campaign/1", ID, 6, 30)
    assert {"looks", "path", "firsts", "rules", "peaks", "against", "spoken", "alike", "members", "notes"} <= set(found)
    assert list(found["members"][0]) == [
        "account",
        "org",
        "first",
        "last",
        "membership",
        "requests",
        "output",
        "actions",
    ]
    assert found["path"][0]["addends"][0]["words"]


def test_a_request_of_a_member_is_explained_with_its_campaign(run: Run, ledger: Path) -> None:
    text = run("explain", "record", "R4-2", "--ledger", str(ledger)).stdout
    assert f"\nCampaign {ID}\n" in text
    assert "which is its campaign's" in text
    found = json.loads(run("explain", "R4-2", "--ledger", str(ledger), "--json").stdout)
    assert found["campaign"]["members"] == 10
    assert found["cards"][0]["shared"]["decides"] is True
    before = json.loads(run("explain", "R-before", "--ledger", str(ledger), "--json").stdout)
    assert (before["campaign"], before["cards"][0]["shared"]) == (None, None)


def test_request_lines_tell_the_same_story(run: Run, ledger: Path, log: Path) -> None:
    """Lines are written at the end of a request, so its end follows its beginning at once, as in this ledger."""
    for kind, name in (("campaign", ID), ("account", "a3")):
        whole = run("explain", kind, name, "--ledger", str(ledger)).stdout
        assert whole
        assert run("explain", kind, name, str(log), "--ledger", str(ledger)).stdout == whole
        assert run("explain", kind, name, str(log), "--policy", "joint.yaml").stdout == whole
        assert run("explain", kind, name, "-", "--policy", "joint.yaml", given=log.read_text()).stdout == whole
        alone = run("explain", kind, name, str(log))
        assert alone.exit_code == 0
        assert "one-pool" in alone.stdout
        assert "so seldom asked the same: 60 dB (" not in alone.stdout  # a line's words need the policy


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["campaign", "campaign-nobody"], "there is no campaign `campaign-nobody`; "),
        (["campaign", "c\x1b[31m"], "there is no campaign `c·[31m`"),
        (["nobody"], "there is no record, account or campaign `nobody`"),
    ],
)
def test_what_is_not_there_is_code_2(run: Run, ledger: Path, arguments: list[str], said: str) -> None:
    result = run("explain", *arguments, "--ledger", str(ledger))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_what_no_line_holds_is_code_2_with_a_hint(run: Run, log: Path) -> None:
    result = run("explain", "campaign", "campaign-nobody", str(log))
    assert result.exit_code == 2
    assert "there is no campaign `campaign-nobody` in 31 request lines" in result.stderr
    assert "only in lines that were judged with it" in result.stderr
    assert run("explain", "record", "R1", str(log)).exit_code == 2
    assert "which ledger?" in run("explain", "campaign", ID).stderr


def test_erased_members_are_counted_and_not_named(run: Run, ledger: Path) -> None:
    erase(ledger, "a3")
    text = run("explain", "campaign", ID, "--ledger", str(ledger)).stdout
    assert "- 10 rows of erased accounts were passed over\n" in text
    assert "\nrequests 25 of accounts" in text
    assert "a3:" not in text


def test_a_ledger_without_campaigns_has_none_and_one_without_the_policy_s_text_still_tells(
    run: Run, tmp_path: Path
) -> None:
    row = judged(JOINT, None)
    write(tmp_path / "one", [row, ended(row)])
    result = run("explain", "campaign", ID, "--ledger", str(tmp_path / "one"))
    assert result.exit_code == 2
    rows: list[Row] = [each for each in grown(JOINT) if not isinstance(each, Adopted)]
    write(tmp_path / "bare", rows)
    assert run("explain", "campaign", ID, "--ledger", str(tmp_path / "bare")).exit_code == 0
