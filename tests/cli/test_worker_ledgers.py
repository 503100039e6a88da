"""A folder with the ledgers of several workers is read as one: proven, erased from, replayed and searched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway.cli.sources import expand
from gateway.errors import Mistake
from gateway.ledger.record import Ruled
from gateway.stores.segments import ledgers, read_rows, segments
from tests.stores.ledgers import rows, write

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for worker in (0, 1, 10, 2):
        write(tmp_path / f"worker-{worker}", rows(12))
    (tmp_path / "worker-3").mkdir()  # has not written yet
    (tmp_path / "worker-x").mkdir()
    return tmp_path


def test_workers_are_read_in_order_of_their_number(folder: Path) -> None:
    assert [each.name for each in ledgers(folder)] == ["worker-0", "worker-1", "worker-2", "worker-10"]
    assert len(expand([str(folder)])) == sum(len(segments(each)) for each in ledgers(folder))


def test_what_one_process_wrote_before_comes_first(folder: Path) -> None:
    write(folder, rows(3))
    assert ledgers(folder)[0] == folder and len(ledgers(folder)) == 5


def test_a_folder_without_workers_is_itself(tmp_path: Path) -> None:
    assert ledgers(tmp_path) == [tmp_path]
    with pytest.raises(Mistake):
        expand([str(tmp_path)])


def test_each_worker_s_ledger_is_proven(run: Run, folder: Path) -> None:
    result = run("verify", str(folder))
    assert result.exit_code == 0
    assert result.stdout.count("proven\n") == 4
    broken = segments(folder / "worker-1")[0].path
    broken.write_bytes(broken.read_bytes()[40:])
    result = run("verify", str(folder), "--json")
    assert result.exit_code == 1
    assert [json.loads(line)["proven"] for line in result.stdout.splitlines()] == [True, False, True, True]


def test_a_head_belongs_to_one_ledger(run: Run, folder: Path) -> None:
    result = run("verify", str(folder), "--head", "0" * 64)
    assert result.exit_code == 2
    assert "worker-10" in str(result.exception.hint if isinstance(result.exception, Mistake) else result.output)


def test_an_account_is_erased_from_all_of_them(run: Run, folder: Path) -> None:
    accounts = {
        row.facts.caller.account for each in ledgers(folder) for row in read_rows(each) if isinstance(row, Ruled)
    }
    account = sorted(accounts)[0]
    assert run("erase", account, "--ledger", str(folder)).exit_code == 0
    for each in ledgers(folder):
        assert all(row.facts.caller.account != account for row in read_rows(each) if isinstance(row, Ruled))
    assert run("verify", str(folder)).exit_code == 0
