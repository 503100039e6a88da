"""`gauger signals`: every card, or the one that is asked for."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result

from gateway.catalogue import CARDS
from gateway.gauges import PANEL

Run = Callable[..., Result]


def test_all_cards_are_printed_by_family(run: Run) -> None:
    result = run("signals")
    assert result.exit_code == 0
    assert [line.split("  ")[0] for line in result.stdout.splitlines() if line[:1].strip()] == [
        card.code for card in CARDS.values()
    ]
    for name in PANEL.readings:
        assert f" {name}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


@pytest.mark.parametrize("name", ["V1", "v1", "volume", "volume.py", "week.requests"])
def test_one_is_found_by_code_file_or_reading(run: Run, name: str) -> None:
    text = run("signals", name).stdout
    assert text.startswith("V1  volume: requests, refusals and tokens of an account, over an hour, a day and a week\n")
    assert "\n  family       account; gateway/signals/volume.py\n" in text
    assert "\n  half-life    42 minutes, 17 hours, 4.9 days\n" in text
    assert "\n  readings     hour.requests (requests): requests, this one included; of the last hour\n" in text


def test_the_hits_of_a_share_are_of_its_signal(run: Run) -> None:
    shared = next(name for name, read in PANEL.readings.items() if read.hits is not None)
    assert run("signals", f"{shared}.hits").stdout == run("signals", shared).stdout


def test_what_is_not_there_is_code_2_with_the_nearest(run: Run) -> None:
    result = run("signals", "volumes")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no signal or reading `volumes`" in result.stderr
    assert "did you mean `volume`?" in result.stderr
    assert "`gauger signals` prints all of them" in run("signals", "qqqqqqqq\x1b[31m").stderr
    assert "\x1b" not in run("signals", "qqqqqqqq\x1b[31m").stderr


def test_json_has_the_same_with_stable_keys(run: Run) -> None:
    whole = json.loads(run("signals", "--json").stdout)
    assert whole["schema"] == "gauger.signals/1"
    assert [each["file"] for each in whole["signals"]] == list(CARDS)
    (one,) = json.loads(run("signals", "V1", "--json").stdout)["signals"]
    assert one in whole["signals"]
    assert list(one) == [
        "code",
        "file",
        "family",
        "title",
        "measures",
        "formula",
        "unit",
        "state",
        "half_life",
        "evasion",
        "look_alikes",
        "source",
        "readings",
    ]
    assert one["readings"][0] == {
        "name": "hour.requests",
        "unit": "requests",
        "doc": "requests, this one included; of the last hour",
        "words": "requests",
        "share": False,
        "missing": False,
        "among": "requests",
    }


@pytest.mark.parametrize("name", ["X2", "partition", "campaign.partition", "campaign.overlap", "overlap"])
def test_a_campaign_s_signal_is_found_alike(run: Run, name: str) -> None:
    text = run("signals", name).stdout
    assert text.startswith("X2  a partition: ")
    assert "\n  family       campaign; gateway/campaigns/signals/partition.py\n" in text
    assert "\n  readings     campaign.partition (dB): " in text


def test_the_hits_of_a_share_of_members_are_of_its_signal(run: Run) -> None:
    assert run("signals", "campaign.marked.hits").stdout == run("signals", "X7").stdout
