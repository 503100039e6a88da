"""What a start tells of the store, and of ledgers that it leaves alone."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.settings import Settings
from gateway.starting import InForce, banner, forsaken
from tests.stores.ledgers import rows, write

STORE = "valkey://:hunter2@store.example:6379"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("", "worker-0", "worker-1", "worker-2"):
        write(tmp_path / name, rows(3))
    (tmp_path / "worker-3").mkdir()
    return tmp_path


def test_one_process_leaves_the_workers_ledgers_alone(folder: Path) -> None:
    assert forsaken(Settings(ledger=folder)) == [str(folder / f"worker-{n}") for n in (0, 1, 2)]


def test_workers_leave_alone_what_one_process_wrote_and_what_more_did(folder: Path) -> None:
    settings = Settings(ledger=folder, workers=2, embedded_valkey=True)
    assert forsaken(settings) == [str(folder), str(folder / "worker-2")]
    assert forsaken(Settings(ledger=folder / "worker-0")) == []
    assert forsaken(Settings(ledger=folder / "none")) == []
    assert forsaken(Settings()) == []


def test_a_start_says_where_limits_live_and_no_password(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = Settings(workers=4, store=SecretStr(STORE), ledger=folder, worker_ports=9000)
    banner(settings, "http://m", InForce("p", "d", "enforce"), "http://a", "http://b")
    said = capfd.readouterr().err
    assert "workers   4, limits in valkey://:***@store.example:6379, ports 9000 to 9003 besides\n" in said
    assert "ledgers that no process goes on with" in said
    assert "hunter2" not in said
    banner(Settings(), "http://m", InForce("p", "d", "enforce"), "http://a", "http://b")
    said = capfd.readouterr().err
    assert "workers " not in said and "no process" not in said
