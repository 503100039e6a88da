"""The soak in short: it runs, finds nothing wrong, and its verdict can tell a leak and a missing record."""

import random
from array import array
from pathlib import Path

import pytest

from gateway.ledger.record import Opened
from gateway.stores.segment_writer import SegmentWriter
from tests.soak.__main__ import main, told
from tests.soak.audit import audit
from tests.soak.crowd import KINDS
from tests.soak.host import Lines
from tests.soak.run import Plan, soak
from tests.soak.verdict import BLOCKS, growth


@pytest.mark.xdist_group("soak")
@pytest.mark.timeout(90)
async def test_a_short_soak_finds_nothing_wrong(tmp_path: Path) -> None:
    report = await soak(Plan(4.0, 80.0, keys=300, sample=0.1, reload=1.5), tmp_path)
    assert report["wrong"] == []
    assert set(report["kinds"]) >= KINDS.keys() - {"slow", "gone_amid_head"}  # rare ones may not have been drawn
    assert report["ends"]["done"] > 100
    assert report["ends"]["client_abort"] >= 5
    assert report["asked"] == sum(report["ends"].values())
    assert "nothing is wrong" in told(report)


@pytest.mark.parametrize("leak, noise, much", [(0.0, 5000.0, False), (200.0, 5000.0, True), (30.0, 0.0, False)])
def test_growth_is_told_from_noise(leak: float, noise: float, much: bool) -> None:
    dice = random.Random(1)
    samples = [(x * 50.0, 1e8 + leak * x * 50 + dice.gauss(0, noise)) for x in range(600)]
    found = growth(samples)
    assert found is not None
    assert abs(found.slope - leak) <= 2 * found.noise + 1e-6
    assert (found.too_much(64.0), found.certain(64.0)) == (much, True)


def test_warm_up_is_no_growth_and_a_short_run_is_no_verdict() -> None:
    samples = [(x * 50.0, 1e8 + min(x, 250) * 1e5) for x in range(600)]
    found = growth(samples)
    assert found is not None
    assert (found.slope, found.noise) == (0.0, 0.0)
    assert growth(samples[: 4 * BLOCKS - 2]) is None
    assert growth([(1.0, 1e8)] * 600) is None


def test_a_record_that_is_missing_or_there_twice_is_seen(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "ledger", version="test")
    writer(Opened(1, 1, "test", "one", "p", accounts=100, memory=1 << 24, cells=1000))
    writer.close()
    lines = Lines()
    record = '{"request_id": "%s", "end": "done", "http": {"status": 200}, "seq": {"ruled": %d, "settled": %d}}'
    for name, seq in (("A", 2), ("A", 4), ("B", 6)):
        lines.take((record % (name, seq, seq + 1)).encode())
    lines.take(b"no JSON")
    assert lines.settled == array("Q", [3, 5, 7])
    wrong = audit(tmp_path, lines, 4)
    assert [each.split(":")[0] for each in wrong] == [
        "JSONDecodeError",
        "3 request lines for 4 requests",
        "1 ids stand in more than one line",
        "3 rows `ruled` stand in the lines or in the ledger alone",
        "3 rows `settled` stand in the lines or in the ledger alone",
    ]


@pytest.mark.parametrize("arguments", [["--rate", "much"], ["--minutes", "0"], ["--keys", "-1"]])
def test_what_makes_no_sense_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
